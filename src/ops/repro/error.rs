//! What can go wrong with one stage.

use std::sync::Arc;

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;
use crate::model::place::{Excerpt, Place};
use crate::model::stage::Stage;
use crate::model::units::Span;
use crate::model::words;
use crate::ops::OpError;
use crate::pipeline::exec::ExecError;
use crate::pipeline::plan::MissingInput;

/// A failure that is about one stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// Its command ended with another code than 0.
    #[error("the command of stage `{stage}` exited with {code}")]
    Code {
        /// The stage.
        stage: Box<str>,
        /// The exit code.
        code: i32,
        /// The file with all that it printed, relative to the root.
        log: String,
    },
    /// Its command was ended by a signal.
    #[error("the command of stage `{stage}` was ended by signal {signal}")]
    Signal {
        /// The stage.
        stage: Box<str>,
        /// The signal's number.
        signal: i32,
        /// The file with all that it printed, relative to the root.
        log: String,
    },
    /// Its command was ended because it took longer than its `timeout`.
    #[error("the command of stage `{stage}` was ended after {limit}, its timeout")]
    TimedOut {
        /// The stage.
        stage: Box<str>,
        /// How long it might take.
        limit: Span,
        /// The file with all that it printed, relative to the root.
        log: String,
    },
    /// What it reads is not there. Nothing was touched.
    #[error("{place}: stage `{stage}` cannot run without {}", listed(missing))]
    MissingInputs {
        /// Where the first of them is named.
        place: Box<Place>,
        /// The line.
        #[source]
        excerpt: Option<Box<Excerpt>>,
        /// The stage.
        stage: Box<str>,
        /// What is missing, at least one.
        missing: Vec<MissingInput>,
        /// What brings the first one that mlv tracks.
        remedy: Option<Bring>,
    },
    /// What it reads, or goes on from, is not, or only partly, downloaded. Nothing was touched.
    #[error("stage `{stage}` cannot run: `{path}` is not, or only partly, downloaded")]
    PartialInput {
        /// The stage.
        stage: Box<str>,
        /// The dependency.
        path: RepoPath,
    },
    /// What it reads, goes on from or is frozen at is not here, and the remote that has it cannot be used. Nothing was touched.
    #[error("stage `{stage}` cannot run: what it needs cannot be pulled: {cause}")]
    NotPulled {
        /// The stage.
        stage: Box<str>,
        /// Why, which is so for every stage.
        cause: Arc<OpError>,
    },
    /// It is frozen, and what it made is neither here nor in the cache. Nothing was touched.
    #[error("stage `{stage}` is frozen, and what it made at `{path}` is not here")]
    FrozenResult {
        /// The stage.
        stage: Box<str>,
        /// The output.
        path: RepoPath,
        /// Whether mlv keeps the output; git otherwise.
        is_kept: bool,
        /// Whether something else is there.
        is_edited: bool,
    },
    /// A dependency that is a symlink, or has one that leads out of it.
    #[error("the dependency `{path}` of stage `{stage}` {}", linked(path, link))]
    SymlinkInput {
        /// The stage.
        stage: Box<str>,
        /// The dependency.
        path: RepoPath,
        /// The link: the dependency itself, or below it.
        link: RepoPath,
    },
    /// Its command ended well and did not make what it declares.
    #[error("stage `{stage}` did not make its output `{path}`")]
    MissingOutput {
        /// The stage.
        stage: Box<str>,
        /// The output.
        path: RepoPath,
    },
    /// It is to be accepted as it is, and there is nothing: neither what a run recorded nor an output.
    #[error("stage `{stage}` never ran, and its output `{path}` is not here")]
    NothingMade {
        /// The stage.
        stage: Box<str>,
        /// The first output that is not there.
        path: RepoPath,
    },
    /// What it reads changed while it ran, so that nobody knows what its outputs were made from.
    #[error("`{path}`, an input of stage `{stage}`, changed while the stage ran")]
    InputChanged {
        /// The stage.
        stage: Box<str>,
        /// The dependency or parameter file.
        path: RepoPath,
    },
    /// There is not enough of a thing that is counted.
    #[error("stage `{stage}` needs {wanted} of `{name}`, and there {}", counted(*provided))]
    NoResource {
        /// The stage.
        stage: Box<str>,
        /// What it needs.
        name: Box<str>,
        /// How much.
        wanted: u32,
        /// How much there is.
        provided: usize,
        /// The options that provide all that is needed.
        options: String,
    },
    /// It has not run here.
    #[error("stage `{stage}` has not run here: there is nothing that it printed")]
    NoLog {
        /// The stage.
        stage: Box<str>,
    },
    /// A pattern of dependencies that matches more than the lock can hold.
    #[error("the dependency `{pattern}` matches more than {limit} paths")]
    TooManyMatches {
        /// The pattern.
        pattern: RepoPath,
        /// The limit.
        limit: usize,
    },
    /// Its command could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// How a recorded input comes into the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bring {
    /// The input, or the folder around it.
    pub path: RepoPath,
    /// Whether the cache has all of it.
    pub is_in_cache: bool,
}

fn linked(path: &RepoPath, link: &RepoPath) -> String {
    if path == link {
        return "is a symbolic link".to_owned();
    }
    format!("has a symbolic link that leads out of it: `{link}`")
}

fn frozen_hints(stage: &str, path: &RepoPath, is_kept: bool, is_edited: bool) -> Vec<Hint> {
    let path = hint_path(path);
    let back = if is_kept { format!("mlv pull {path}") } else { format!("git checkout -- {path}") };
    let mut hints = vec![Hint::new(back)];
    if is_edited {
        hints.push(Hint::new(format!("`mlv commit {stage}` records what is there instead")));
    }
    hints.push(Hint::new(format!("`mlv repro {stage} --force` makes it anew of the inputs as they are now")));
    hints
}

/// "is 1", "are 2".
fn counted(number: usize) -> String {
    match number {
        0 => "is none".to_owned(),
        1 => "is 1".to_owned(),
        _ => format!("are {number}"),
    }
}

fn listed(missing: &[MissingInput]) -> String {
    words::listed(missing.iter().map(name))
}

fn name(input: &MissingInput) -> String {
    match input {
        MissingInput::File { path } => format!("`{path}`"),
        MissingInput::Match { pattern } => format!("anything that matches `{pattern}`"),
        MissingInput::Param { file, key } => format!("the parameter `{key}` of `{file}`"),
    }
}

impl StageError {
    /// That `stage`, the target `target`, cannot run without `missing`, at least one input. `bring` says how one
    /// that is recorded comes here.
    pub(in crate::ops) fn lacks(
        (target, stage): (&str, &Stage),
        missing: Vec<MissingInput>,
        bring: impl Fn(&RepoPath) -> Option<Bring>,
    ) -> StageError {
        let remedy = missing.iter().filter_map(MissingInput::file).find_map(bring);
        let mut place = missing.first().map_or_else(
            || stage.places.of_stage(),
            |first| match first {
                MissingInput::File { path } | MissingInput::Match { pattern: path } => {
                    stage.places.of_input(path)
                }
                MissingInput::Param { file, key } => stage.places.of_param(file, key),
            },
        );
        let (excerpt, place) = (place.excerpt.take().map(Box::new), Box::new(place));
        StageError::MissingInputs { place, excerpt, stage: target.into(), missing, remedy }
    }

    /// The exit code of the command, if it had one.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            StageError::Code { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The file with all that the command printed, if it ran.
    pub fn log(&self) -> Option<&str> {
        match self {
            StageError::Code { log, .. }
            | StageError::Signal { log, .. }
            | StageError::TimedOut { log, .. } => Some(log),
            _ => None,
        }
    }
}

impl Advice for StageError {
    fn kind(&self) -> ErrorKind {
        match self {
            StageError::Code { .. } | StageError::Signal { .. } | StageError::TimedOut { .. } => {
                ErrorKind::StageFailed
            }
            StageError::PartialInput { .. } | StageError::FrozenResult { .. } => ErrorKind::NotDownloaded,
            StageError::NoLog { .. } => ErrorKind::NotFound,
            StageError::NoResource { .. } => ErrorKind::Usage,
            StageError::NotPulled { cause, .. } => cause.kind(),
            StageError::Exec(error) => error.kind(),
            _ => ErrorKind::StageInvalid,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        // Often that spares the run.
        let pull = Hint::new("mlv repro --pull");
        let hint = match self {
            StageError::PartialInput { path, .. } => {
                return vec![Hint::new(format!("mlv pull {}", hint_path(path))), pull];
            }
            StageError::FrozenResult { stage, path, is_kept, is_edited } => {
                return frozen_hints(stage, path, *is_kept, *is_edited);
            }
            StageError::MissingInputs { remedy: Some(Bring { path, is_in_cache: false }), .. } => {
                return vec![Hint::new(format!("mlv pull {}", hint_path(path))), pull];
            }
            StageError::Code { stage, .. }
            | StageError::Signal { stage, .. }
            | StageError::TimedOut { stage, .. } => {
                format!("`mlv logs {stage}` shows all that it printed")
            }
            StageError::MissingInputs { remedy: Some(Bring { path, .. }), .. } => {
                format!("mlv checkout {}", hint_path(path))
            }
            StageError::MissingInputs { missing, .. }
                if matches!(missing.first(), Some(MissingInput::Match { .. })) =>
            {
                "correct the pattern in `deps`: `*` stops at slashes, `**` does not, and neither matches names \
                 with a leading dot, mlv's and git's own files, or what .mlvignore leaves out"
                    .to_owned()
            }
            StageError::MissingInputs { missing, .. } => match missing.first() {
                Some(MissingInput::Param { file, key }) => {
                    format!("set `{key}` in `{}`, or take it out of `params`", hint_path(file))
                }
                _ => "write it, or correct its path; what a stage makes, name in its `outs`".to_owned(),
            },
            StageError::SymlinkInput { path, link, .. } if path == link => {
                "name what the link leads to as the dependency".to_owned()
            }
            StageError::SymlinkInput { link, .. } => {
                format!("name what it leads to as a dependency, and `/{link}` in .mlvignore")
            }
            StageError::InputChanged { stage, path } => format!(
                "if another program wrote `{}`, run `mlv repro {stage}` again; if the command itself does, let it \
                 write another file, which is an output",
                hint_path(path)
            ),
            StageError::NoLog { stage } | StageError::NothingMade { stage, .. } => {
                format!("mlv repro {stage}")
            }
            StageError::NoResource { options, .. } => {
                format!("say how many there are, or which: the same again with {options}")
            }
            StageError::TooManyMatches { .. } => "name the folder as the dependency".to_owned(),
            StageError::NotPulled { cause, .. } => return cause.hints(),
            StageError::Exec(error) => return error.hints(),
            _ => return Vec::new(),
        };
        vec![Hint::new(hint)]
    }

    fn subject(&self) -> Option<String> {
        match self {
            StageError::Code { stage, .. }
            | StageError::Signal { stage, .. }
            | StageError::TimedOut { stage, .. }
            | StageError::NoResource { stage, .. }
            | StageError::NotPulled { stage, .. }
            | StageError::NoLog { stage } => Some(stage.to_string()),
            StageError::MissingInputs { missing, .. } => missing.first().map(|input| match input {
                MissingInput::File { path } => path.to_string(),
                MissingInput::Match { pattern } => pattern.to_string(),
                MissingInput::Param { file, .. } => file.to_string(),
            }),
            StageError::PartialInput { path, .. }
            | StageError::SymlinkInput { path, .. }
            | StageError::FrozenResult { path, .. }
            | StageError::MissingOutput { path, .. }
            | StageError::NothingMade { path, .. }
            | StageError::InputChanged { path, .. } => Some(path.to_string()),
            StageError::TooManyMatches { pattern, .. } => Some(pattern.to_string()),
            StageError::Exec(error) => error.subject(),
        }
    }

    fn quoted(&self) -> Vec<String> {
        match self {
            StageError::MissingInputs { missing, .. } => {
                let path = |input: &MissingInput| match input {
                    MissingInput::File { path: named }
                    | MissingInput::Match { pattern: named }
                    | MissingInput::Param { file: named, .. } => named.to_string(),
                };
                missing.iter().map(path).collect()
            }
            StageError::SymlinkInput { path, link, .. } => vec![path.to_string(), link.to_string()],
            StageError::PartialInput { path, .. }
            | StageError::FrozenResult { path, .. }
            | StageError::MissingOutput { path, .. }
            | StageError::NothingMade { path, .. }
            | StageError::InputChanged { path, .. }
            | StageError::TooManyMatches { pattern: path, .. } => vec![path.to_string()],
            _ => Vec::new(),
        }
    }
}
