//! Stages as they are defined, resolved: what `mlv.yaml` says, with paths relative to the root.

use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::value::{Entries, KeyPath, Value};

mod places;

pub use places::Places;

/// The stages of one `mlv.yaml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The file, relative to the repository's root.
    pub file: RepoPath,
    /// In the order of the file; names are unique.
    pub stages: Vec<Stage>,
    /// Parameter files that the file lists at the top.
    pub params: Vec<RepoPath>,
    /// Metrics files that the file lists at the top; those of stages are outputs.
    pub metrics: Vec<RepoPath>,
    /// Files that templates take values from, sorted.
    pub values: Vec<RepoPath>,
    /// Plots that the file defines at the top; those of stages are outputs.
    pub plots: Vec<Plot>,
    /// Outputs that have a name for others, sorted by it.
    pub artifacts: Vec<Artifact>,
}

impl Pipeline {
    /// A pipeline without anything.
    pub fn empty(file: &RepoPath) -> Pipeline {
        Pipeline {
            file: file.clone(),
            stages: Vec::new(),
            params: Vec::new(),
            metrics: Vec::new(),
            values: Vec::new(),
            plots: Vec::new(),
            artifacts: Vec::new(),
        }
    }
}

/// A command with its inputs and outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name, unique in its file.
    pub name: Box<str>,
    /// Where it and what it names stand in the file, for messages.
    pub places: Places,
    /// What is run.
    pub command: Command,
    /// Where it is run, relative to the repository's root.
    pub wdir: RepoPath,
    /// Files and directories that it reads, sorted, without duplicates.
    pub deps: Vec<RepoPath>,
    /// Patterns of files and directories that it reads, sorted by what is written, each once.
    pub patterns: Vec<PathPattern>,
    /// Parameters that it reads, sorted by file, each file once.
    pub params: Vec<ParamDep>,
    /// What it makes, sorted by path.
    pub outs: Vec<Out>,
    /// Not run because of changed inputs.
    pub frozen: bool,
    /// Run each time.
    pub always_changed: bool,
    /// What it is for.
    pub desc: Option<Box<str>>,
    /// What runs the command.
    pub shell: Shell,
    /// Variables that the command gets, sorted by name.
    pub env: Variables,
    /// Variables of mlv's own environment whose values are inputs, sorted.
    pub env_deps: Vec<Box<str>>,
    /// How long the command may take.
    pub timeout: Option<Duration>,
    /// How often a command that failed is tried again.
    pub retries: u32,
    /// Stages of the same file that run before it, whatever it reads; sorted.
    pub needs: Vec<Box<str>>,
    /// What it takes of things that are counted, by name.
    pub resources: Vec<(Box<str>, u32)>,
}

/// Variables for a command, by name.
pub type Variables = Vec<(Box<str>, Box<str>)>;

/// What runs a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shell {
    /// `/bin/sh -e`.
    #[default]
    Sh,
    /// `bash -eo pipefail`.
    Bash,
}

impl Shell {
    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Shell::Sh => "sh",
            Shell::Bash => "bash",
        }
    }
}

/// Most that a stage may take of one resource, and most that there may be of it.
pub const MAX_RESOURCE: u32 = 1024;

/// Whether a resource may have this name: what a command gets of it is in `MLV_` and the name in
/// upper case, and `MLV_ROOT`, `MLV_RUN` and `MLV_STAGE` are taken.
pub fn is_resource_name(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_word && name.starts_with(|c: char| c.is_ascii_lowercase()) && !["root", "run", "stage"].contains(&name)
}

/// The key of [`Stage::env`] in definitions and locks.
pub const ENV: &str = "env";
/// The key of [`Stage::env_deps`] in definitions and locks.
pub const ENV_DEPS: &str = "env_deps";
/// The key of [`Stage::shell`] in definitions and locks.
pub const SHELL: &str = "shell";

impl Stage {
    /// Whether it has neither inputs nor outputs, so that nothing tells when it is up to date.
    pub fn is_bare(&self) -> bool {
        !self.has_inputs() && self.outs.is_empty()
    }

    /// The dependencies as they are written, from the root: names, then patterns.
    pub fn dep_names(&self) -> impl Iterator<Item = &RepoPath> {
        self.deps.iter().chain(self.patterns.iter().map(PathPattern::as_path))
    }

    /// Whether anything is declared whose change is a reason to run.
    pub fn has_inputs(&self) -> bool {
        let has_files = !self.deps.is_empty() || !self.patterns.is_empty();
        has_files || !self.params.is_empty() || !self.env_deps.is_empty()
    }

    /// What decides besides the command how it runs, as the lock has it: sorted by key. `variable`
    /// tells the value of a variable of mlv's own environment.
    ///
    /// Values of [`Stage::env_deps`] may be secrets: a lock has the start of their hash.
    pub fn settings(&self, variable: impl Fn(&str) -> Option<String>) -> Entries {
        let mut settings = Entries::new();
        if !self.env.is_empty() {
            let env = self.env.iter().map(|(name, value)| (name.clone(), Value::Text(value.clone())));
            settings.push((ENV.into(), Value::Map(env.collect())));
        }
        if !self.env_deps.is_empty() {
            let hash = |value: String| Value::Text(Digest::of(value.as_bytes()).to_string()[..16].into());
            let now =
                self.env_deps.iter().map(|name| (name.clone(), variable(name).map_or(Value::Null, hash)));
            settings.push((ENV_DEPS.into(), Value::Map(now.collect())));
        }
        if self.shell != Shell::Sh {
            settings.push((SHELL.into(), Value::Text(self.shell.as_str().into())));
        }
        settings
    }
}

/// What a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// One script, of one line or several, for one shell.
    Script(Box<str>),
    /// Scripts that are run one after the other, each by a shell of its own.
    List(Vec<Box<str>>),
}

impl Command {
    /// The scripts in the order in which they are run.
    pub fn scripts(&self) -> &[Box<str>] {
        match self {
            Command::Script(script) => std::slice::from_ref(script),
            Command::List(scripts) => scripts,
        }
    }

    /// The scripts as one line, for messages.
    pub fn summary(&self) -> String {
        let lines = self.scripts().iter().flat_map(|script| script.lines());
        lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// Whether one of the scripts pipes commands: `a | b`, not `a || b`, and not in quotes.
    pub fn has_pipe(&self) -> bool {
        self.scripts().iter().any(|script| has_pipe(script))
    }
}

fn has_pipe(script: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            // `>|` writes, `||` is or.
            (None, '|') if before != '>' && chars.next_if_eq(&'|').is_none() => return true,
            _ => {}
        }
        before = c;
    }
    false
}

/// Parameters of one file that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamDep {
    /// The file.
    pub file: RepoPath,
    /// Which values.
    pub keys: ParamKeys,
}

/// Which values of a parameter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamKeys {
    /// Each one.
    All,
    /// Those named: sorted, without duplicates.
    Named(Vec<KeyPath>),
}

/// What a stage makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// The file or directory.
    pub path: RepoPath,
    /// Whether mlv keeps the contents; if not, git or nobody does.
    pub cache: bool,
    /// Whether `push` uploads it.
    pub push: bool,
    /// The remote that it goes to instead of the default one.
    pub remote: Option<Box<str>>,
    /// Whether the command may leave it out.
    pub optional: bool,
    /// Whether the next run finds it as the last one left it.
    pub persist: bool,
    /// What it is for.
    pub role: Role,
    /// What people wrote about it.
    pub notes: Notes,
}

impl Out {
    /// Whether it holds numbers for `metrics`.
    pub fn is_metric(&self) -> bool {
        self.role == Role::Metric
    }
}

/// What an output is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing that mlv knows of.
    #[default]
    Data,
    /// Numbers for `metrics`.
    Metric,
    /// Points or pictures for `plots`.
    Plot(Box<Plot>),
}

/// What is drawn, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plot {
    /// Its name; the path of its only file as it is written, if it has no other name.
    pub id: Box<str>,
    /// The file that columns belong to which name none.
    pub file: Option<RepoPath>,
    /// What goes to the right.
    pub x: Axis,
    /// What goes up.
    pub y: Axis,
    /// What stands at the axis to the right.
    pub x_label: Option<Box<str>>,
    /// What stands at the axis up.
    pub y_label: Option<Box<str>>,
    /// What stands above.
    pub title: Option<Box<str>>,
    /// How it is drawn: the name of a template.
    pub template: Option<Box<str>>,
    /// Whether the first line of a table names its columns.
    pub header: bool,
}

/// Columns of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Axis {
    /// What the drawing code thinks best.
    #[default]
    Unset,
    /// These, of the plot's file or of the other axis' files.
    Columns(Vec<Box<str>>),
    /// These, by file, in the order of the pipeline file.
    Files(Vec<(RepoPath, Vec<Box<str>>)>),
}

/// An output that has a name for others, such as a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, unique in the file.
    pub name: Box<str>,
    /// The file or directory.
    pub path: RepoPath,
    /// What people wrote about it.
    pub notes: Notes,
}

/// What people write about an output. Free-form `meta` is allowed beside these and never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// A sentence.
    pub desc: Option<Box<str>>,
    /// What kind of thing it is: `type` in the file.
    pub kind: Option<Box<str>>,
    /// Words to find it by.
    pub labels: Vec<Box<str>>,
}

/// Longest stage name, in bytes.
pub const MAX_STAGE_NAME: usize = 1024;

/// Why a text is no stage name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StageNameError {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Over the limit.
    #[error("it is longer than 1,024 bytes")]
    TooLong,
    /// It would be taken for an option.
    #[error("it starts with a dash")]
    Dash,
    /// Another character than letters, digits, `_`, `-` and inner spaces.
    #[error("a name has letters, digits, `_`, `-` and single spaces")]
    Character,
}

/// Checks a stage name: letters and digits of any script, `_`, `-`, and spaces within, as DVC has it.
/// Behind the `@` of a generated name (`group@item`) anything printable may stand.
pub fn check_stage_name(name: &str) -> Result<(), StageNameError> {
    let (group, item) = name.split_once('@').map_or((name, None), |(group, item)| (group, Some(item)));
    if group.is_empty() || item == Some("") {
        return Err(StageNameError::Empty);
    }
    if name.len() > MAX_STAGE_NAME {
        return Err(StageNameError::TooLong);
    }
    if group.starts_with('-') {
        return Err(StageNameError::Dash);
    }
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let printable = |c: char| c.is_alphanumeric() || (' '..='~').contains(&c);
    let spaced = group.starts_with(' ') || name.ends_with(' ') || group.contains("  ");
    if spaced || !group.chars().all(word) || !item.unwrap_or_default().chars().all(printable) {
        return Err(StageNameError::Character);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_told_from_what_looks_like_one() {
        let has_pipe = |script: &str| Command::Script(script.into()).has_pipe();
        for script in ["a | b", "a|b", "a |& b", "x '|' | y", "a || b | c", "\"x\\\"\" | y"] {
            assert!(has_pipe(script), "{script}");
        }
        for script in ["a || b", "a '|' b", "a \"|\" b", "a >| b", "a \\| b", "a"] {
            assert!(!has_pipe(script), "{script}");
        }
    }

    #[test]
    fn names_are_words() {
        for good in ["train", "train_2", "a-b", "größe", "a b", "group@0.1", "g@us/east, 2"] {
            assert_eq!(check_stage_name(good), Ok(()), "{good}");
        }
        for bad in
            ["", "--force", "-x", "../x", "a.b", "a/b", "a:b", "@x", "g@", "a\n", "g@\u{1b}[0m", " a", "a "]
        {
            assert!(check_stage_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_stage_name(&"x".repeat(1025)), Err(StageNameError::TooLong));
    }
}
