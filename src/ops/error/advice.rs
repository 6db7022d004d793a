//! What follows from a failure of an operation: its kind, the remedy, the paths that it is about.

use super::OpError;
use crate::config;
use crate::error::{Advice, ErrorKind, Hint};
use crate::model::shell;

impl Advice for OpError {
    fn kind(&self) -> ErrorKind {
        match self {
            OpError::NoSuchTarget { .. }
            | OpError::NoSuchStage { .. }
            | OpError::NotTracked { .. }
            | OpError::MadeByNoStage { .. }
            | OpError::NoMatch { .. }
            | OpError::NoSuchOperation { .. }
            | OpError::NothingRescued
            | OpError::NothingToPin { .. }
            | OpError::NoSuchPin { .. }
            | OpError::AmbiguousTarget { .. } => ErrorKind::NoSuchTarget,
            OpError::BadPattern { .. } | OpError::RemoteElsewhere { .. } => ErrorKind::Usage,
            OpError::BadTarget { .. } | OpError::BadName { .. } => ErrorKind::UnsafePath,
            OpError::UnusableTarget { kind, .. } => *kind,
            OpError::UnreadableCommit { source, .. } => source.kind(),
            OpError::Interrupted => ErrorKind::Interrupted,
            _ => self.lower().map_or(ErrorKind::Io, Advice::kind),
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            OpError::NoSuchTarget { near, .. } | OpError::NoSuchStage { near, .. } if !near.is_empty() => {
                vec![Hint::new(format!("did you mean `{}`?", near.join("` or `")))]
            }
            OpError::UnusableTarget { hints, .. } => hints.clone(),
            OpError::NotTracked { target } => {
                vec![Hint::new(format!("to track it: mlv add {}", shell::path(target)))]
            }
            // What may come the next time is nothing to give up.
            OpError::UnreadableCommit { source, .. } if source.kind() == ErrorKind::Network => source.hints(),
            OpError::UnreadableCommit { .. } => vec![
                Hint::new("add `--skip-failed` to keep nothing for that file of that commit"),
                Hint::new("or name the commits that count: `-a`, `-T`, `--rev`"),
            ],
            OpError::MadeByNoStage { .. } | OpError::NoSuchStage { .. } => vec![Hint::new("mlv stage list")],
            OpError::NoSuchOperation { .. } => vec![Hint::new("mlv rescue list")],
            OpError::AmbiguousTarget { candidates, .. } => {
                vec![Hint::new(format!("name one of `{}`", candidates.join("`, `")))]
            }
            OpError::NothingToPin { revision } => {
                vec![Hint::new(format!("mlv ls --rev {}", shell::word(revision)))]
            }
            OpError::NoSuchPin { remote, .. } => vec![Hint::new(format!("mlv remote pin -r {remote}"))],
            OpError::RemoteElsewhere { level, verb, names, .. } => {
                let flag = if *level == config::Level::System { "--system" } else { "--global" };
                vec![Hint::new(format!("mlv remote {verb} {flag} {names}"))]
            }
            _ => self.lower().map_or_else(Vec::new, Advice::hints),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            OpError::NoSuchTarget { target, .. }
            | OpError::NoSuchStage { target, .. }
            | OpError::NotTracked { target }
            | OpError::MadeByNoStage { target }
            | OpError::NoMatch { target }
            | OpError::NoSuchOperation { name: target }
            | OpError::AmbiguousTarget { target, .. }
            | OpError::UnusableTarget { target, .. }
            | OpError::BadTarget { target, .. }
            | OpError::BadPattern { target, .. } => Some(target.clone()),
            OpError::UnreadableCommit { path, .. } => Some(path.to_string()),
            OpError::BadName { path, .. } => Some(path.to_string()),
            _ => self.lower().and_then(Advice::subject),
        }
    }

    fn affected(&self) -> Vec<(String, String)> {
        self.lower().map_or_else(Vec::new, Advice::affected)
    }

    fn quoted(&self) -> Vec<String> {
        match self {
            OpError::UnreadableCommit { path, .. } | OpError::BadName { path, .. } => vec![path.to_string()],
            _ => self.lower().map_or_else(Vec::new, Advice::quoted),
        }
    }
}
