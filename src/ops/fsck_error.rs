//! What `fsck` finds that is not about one output of the work tree alone.

use crate::error::{Advice, ErrorKind, Hint};
use crate::model::path::RepoPath;

/// Damage in the cache or on a remote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsckError {
    /// Damaged records that no output of the work tree needs.
    #[error("{count} damaged {} in the cache, needed by no output here", if *count == 1 { "record" } else { "records" })]
    DamagedRecords {
        /// How many.
        count: usize,
    },
    /// A pack in the cache without its table, or a file of the cache that cannot be read.
    #[error("cannot read `{file}` in the cache as what it is")]
    BrokenInCache {
        /// The file, from the cache's root.
        file: String,
    },
    /// Data that a clone said it needs, and that the remote has not.
    #[error("the remote `{remote}` has lost the data of `{path}`")]
    LostFrom {
        /// The path.
        path: RepoPath,
        /// The remote.
        remote: String,
    },
    /// What other commits or clones need and a remote cannot give.
    #[error("`{remote}` cannot give {count} of what other commits or clones need")]
    LostThere {
        /// How much.
        count: usize,
        /// The remote.
        remote: String,
    },
    /// Records of what clones need that are damaged, or none at all.
    #[error("what {} need of `{remote}` is not known", if *count == 1 { "a clone may" } else { "clones may" })]
    UnknownNeeds {
        /// How many records are damaged; 0 where there is none.
        count: u64,
        /// The remote.
        remote: String,
    },
    /// Packs that no index names.
    #[error("`{remote}` has {count} {} without an index", if *count == 1 { "pack" } else { "packs" })]
    NotIndexed {
        /// How many.
        count: usize,
        /// The remote.
        remote: String,
    },
}

impl Advice for FsckError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Damaged
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = match self {
            FsckError::DamagedRecords { .. } | FsckError::BrokenInCache { .. } => return Vec::new(),
            FsckError::LostFrom { .. } | FsckError::LostThere { .. } => {
                "run `mlv fsck --remote --repair` in a clone that has the data"
            }
            FsckError::UnknownNeeds { count: 0, .. } => "run `mlv push` in every clone",
            FsckError::UnknownNeeds { .. } => {
                "run `mlv fsck --remote --repair` in each clone, until it is the one that wrote the record"
            }
            FsckError::NotIndexed { .. } => "run `mlv fsck --remote --repair`",
        };
        vec![Hint::new(hint)]
    }

    fn subject(&self) -> Option<String> {
        match self {
            FsckError::LostFrom { path, .. } => Some(path.to_string()),
            _ => None,
        }
    }

    fn quoted(&self) -> Vec<String> {
        self.subject().into_iter().collect()
    }
}
