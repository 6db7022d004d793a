//! What can be wrong with the configuration.

use std::path::PathBuf;

use super::value::ValueProblem;
use super::{Level, Origin};
use crate::error::{Advice, ErrorKind, Hint};
use crate::fs;

/// A failure of reading or changing the configuration. No variant holds a value: it may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that is no TOML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What the parser expected; without the text of the file.
        message: String,
    },
    /// A file that git could not merge.
    #[error("{}:{line}:1: a conflict marker (possible merge conflict)", path.display())]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
    },
    /// A key that mlv does not know.
    #[error("no configuration key is called `{key}`")]
    UnknownKey {
        /// The key as given.
        key: String,
        /// Known keys that are near it, nearest first.
        near: Vec<String>,
    },
    /// A value that cannot be used.
    #[error("{origin}: `{key}` {problem}")]
    InvalidValue {
        /// The key.
        key: String,
        /// Where the value stands.
        origin: Origin,
        /// Why it cannot be used.
        problem: ValueProblem,
    },
    /// A value that was to be set and cannot be used.
    #[error("`{key}` {problem}")]
    CannotSet {
        /// The key.
        key: String,
        /// At which level it was to be set.
        level: Level,
        /// Why it cannot be used.
        problem: ValueProblem,
    },
    /// A value that uses an environment variable which is not set.
    #[error("{origin}: `{key}` needs the environment variable {variable}, which is not set")]
    UnsetVariable {
        /// The key.
        key: String,
        /// Where the value stands.
        origin: Origin,
        /// The variable's name.
        variable: String,
    },
    /// A key that has no value.
    #[error("`{key}` is not set{}", place(.level))]
    NotSet {
        /// The key.
        key: String,
        /// At which level it was looked for; none: at all of them.
        level: Option<Level>,
    },
    /// A name that no remote can have.
    #[error("a remote cannot be called `{name}`")]
    RemoteName {
        /// The name as given.
        name: String,
    },
    /// A remote that is not configured.
    #[error("no remote is called `{name}`")]
    NoSuchRemote {
        /// The name as given.
        name: String,
        /// Names that are near it, nearest first.
        near: Vec<String>,
    },
    /// A remote that is configured already.
    #[error("a remote `{name}` is configured already at {origin}")]
    RemoteExists {
        /// The name.
        name: String,
        /// Where it stands.
        origin: Origin,
    },
    /// A name for a remote that another has.
    #[error("a remote is called `{name}` already, at {origin}")]
    RemoteNameTaken {
        /// The name.
        name: String,
        /// Where it stands.
        origin: Origin,
    },
    /// A remote without a place.
    #[error("the remote `{name}` has options but no `url`")]
    RemoteWithoutUrl {
        /// The name.
        name: String,
    },
    /// No remote was named, and none is the default.
    #[error("no remote is named, and there is no default")]
    NoDefaultRemote {
        /// The remotes that there are, sorted.
        known: Vec<String>,
    },
    /// Files of a project made by a newer mlv.
    #[error("{origin}: the project has version {found}, and this mlv knows 1")]
    UnsupportedVersion {
        /// Where it says so.
        origin: Origin,
        /// The version.
        found: i64,
    },
    /// There is no folder for the configuration of the user.
    #[error("there is no folder for the {level} configuration: HOME is not set")]
    NoFolder {
        /// The level.
        level: Level,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Fs(#[from] fs::Error),
}

fn place(level: &Option<Level>) -> String {
    level.map_or_else(String::new, |level| format!(" in the {level} configuration"))
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::UnknownKey { .. } => ErrorKind::Usage,
            Error::NoSuchRemote { .. } | Error::NoDefaultRemote { .. } => ErrorKind::NoRemote,
            Error::UnsupportedVersion { .. } => ErrorKind::UnsupportedVersion,
            Error::Fs(error) => error.kind(),
            _ => ErrorKind::Config,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        let near = |near: &[String]| match near.is_empty() {
            true => Vec::new(),
            false => vec![Hint::new(format!("did you mean `{}`?", near.join("` or `")))],
        };
        match self {
            Error::UnknownKey { key, near: names } if names.is_empty() => {
                let command = if key.starts_with("remote.") { "remote modify" } else { "config" };
                vec![Hint::new(format!("mlv {command} --help lists what there is"))]
            }
            Error::UnknownKey { near: names, .. } => near(names),
            Error::Conflict { path, .. } => {
                let file = path.file_name().unwrap_or_default().display();
                vec![Hint::new(format!("take what you want of both sides into `{file}`, then `git add` it"))]
            }
            Error::NoSuchRemote { near: names, .. } if names.is_empty() => vec![Hint::new("mlv remote list")],
            Error::NoSuchRemote { near: names, .. } => near(names),
            Error::CannotSet { key, problem, .. } | Error::InvalidValue { key, problem, .. }
                if problem.is_about_tracking() =>
            {
                vec![Hint::new(format!("mlv config --local {key} VALUE"))]
            }
            Error::UnsetVariable { variable, .. } => vec![Hint::new(format!("export {variable}=…"))],
            Error::RemoteExists { name, .. } => {
                vec![Hint::new(format!("to replace it: mlv remote add --force {name} URL"))]
            }
            Error::RemoteNameTaken { name, .. } => {
                vec![Hint::new(format!("choose another name, or first: mlv remote rename {name} OTHER"))]
            }
            Error::RemoteName { .. } => {
                vec![Hint::new("use up to 100 letters, digits, `_`, `-`, `.`, `+`; none of `-.` in front")]
            }
            Error::RemoteWithoutUrl { name } => vec![Hint::new(format!("mlv remote modify {name} url URL"))],
            Error::NoDefaultRemote { known } => match &known[..] {
                [] => vec![Hint::new("mlv remote add --default NAME URL")],
                [only] => vec![Hint::new(format!("mlv remote default {only}"))],
                several => {
                    vec![Hint::new(format!(
                        "mlv remote default NAME, with one of `{}`",
                        several.join("`, `")
                    ))]
                }
            },
            Error::Fs(error) => error.hints(),
            _ => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            Error::Syntax { path, .. } | Error::Conflict { path, .. } => Some(path.display().to_string()),
            Error::InvalidValue { origin, .. }
            | Error::UnsetVariable { origin, .. }
            | Error::UnsupportedVersion { origin, .. } => {
                origin.file().map(|file| file.display().to_string())
            }
            Error::Fs(error) => error.subject(),
            _ => None,
        }
    }
}
