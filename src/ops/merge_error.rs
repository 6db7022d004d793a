//! What keeps two versions of a file of mlv's from being merged.

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;
use crate::model::words;

/// More paths than this are counted instead of listed.
const LISTED: usize = 5;

/// A conflict, or what is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Contents that both sides changed differently.
    #[error("both sides changed {}", listed(paths))]
    Contents {
        /// The pointer.
        file: RepoPath,
        /// The output, or paths in it; at least one.
        paths: Vec<RepoPath>,
    },
    /// A pointer in which both sides changed something else than the contents.
    #[error("both sides changed what `{file}` says besides the contents")]
    Rest {
        /// The pointer.
        file: RepoPath,
    },
    /// A file that one side deleted and the other changed.
    #[error("`{file}` was changed on one side and removed on the other")]
    Removed {
        /// The file.
        file: RepoPath,
    },
    /// A file of which it is not known what both sides started from.
    #[error("what both sides of `{file}` started from is not known")]
    NoBase {
        /// The file.
        file: RepoPath,
    },
    /// A file in conflict for git, in which somebody took the markers away.
    #[error("`{file}` has no conflict markers any more")]
    Edited {
        /// The file.
        file: RepoPath,
    },
    /// A file in conflict for git that is as one side has it.
    #[error("git has not merged `{file}`: it is as on one side")]
    Left {
        /// The file.
        file: RepoPath,
    },
    /// A part of what a file in conflict tracks.
    #[error("`{target}` is a part of what `{file}` tracks, which is resolved as a whole")]
    Part {
        /// The target as given.
        target: String,
        /// The file.
        file: RepoPath,
    },
    /// A target that is in no conflict.
    #[error("`{target}` is not in conflict")]
    NoConflict {
        /// The target as given.
        target: String,
    },
    /// A file that is neither a pointer nor a lock.
    #[error("`{file}` is neither a pointer nor a lock, which mlv could merge")]
    NotMlv {
        /// The file.
        file: RepoPath,
    },
}

fn listed(paths: &[RepoPath]) -> String {
    words::listed(paths.iter().map(|path| format!("`{path}`")))
}

impl MergeError {
    fn file(&self) -> Option<&RepoPath> {
        match self {
            MergeError::Contents { file, .. }
            | MergeError::Rest { file }
            | MergeError::Removed { file }
            | MergeError::NoBase { file }
            | MergeError::Edited { file }
            | MergeError::Left { file }
            | MergeError::Part { file, .. }
            | MergeError::NotMlv { file } => Some(file),
            MergeError::NoConflict { .. } => None,
        }
    }
}

impl Advice for MergeError {
    fn kind(&self) -> ErrorKind {
        match self {
            MergeError::NoConflict { .. } | MergeError::Part { .. } => ErrorKind::NoSuchTarget,
            MergeError::NotMlv { .. } => ErrorKind::Usage,
            _ => ErrorKind::Conflict,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            MergeError::Edited { file } => {
                vec![Hint::new(format!("if it is right as it is: git add {}", hint_path(file)))]
            }
            MergeError::Left { file } => vec![Hint::new(format!("mlv resolve {}", hint_path(file)))],
            MergeError::NoConflict { .. } => vec![Hint::new("git status")],
            MergeError::NotMlv { .. } => Vec::new(),
            MergeError::Removed { file } => {
                let file = hint_path(file);
                vec![Hint::new(format!(
                    "`mlv resolve --ours {file}` or `mlv resolve --theirs {file}` keeps or removes it"
                ))]
            }
            other => {
                let file = other.file().map(hint_path).unwrap_or_default();
                vec![Hint::new(format!(
                    "`mlv resolve --ours {file}` or `mlv resolve --theirs {file}` takes one side of what both \
                     changed"
                ))]
            }
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            MergeError::NoConflict { target } | MergeError::Part { target, .. } => Some(target.clone()),
            other => other.file().map(ToString::to_string),
        }
    }

    fn affected(&self) -> Vec<(String, String)> {
        match self {
            MergeError::Contents { paths, .. } => {
                paths.iter().map(|path| (path.to_string(), "both sides changed it".to_owned())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn quoted(&self) -> Vec<String> {
        let mut quoted: Vec<String> = self.file().map(ToString::to_string).into_iter().collect();
        if let MergeError::Contents { paths, .. } = self {
            quoted.extend(paths.iter().take(LISTED).map(ToString::to_string));
        }
        quoted
    }
}
