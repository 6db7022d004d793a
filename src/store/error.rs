//! What can go wrong with the cache and the files made from it.

use std::path::{Path, PathBuf};

use crate::error::{Advice, ErrorKind, Hint};
use crate::fs;
use crate::model::digest::Digest;
use crate::model::object::{RecordKey, RecordKind};
use crate::model::shell;
use crate::pack;

/// A failure of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] fs::Error),
    /// The cache does not hold what is needed.
    #[error("{} {} is not in the cache", noun(key.kind), key.hash)]
    Missing {
        /// What was asked for.
        key: RecordKey,
    },
    /// What the cache holds under a name does not hash to it. It was moved to quarantine.
    #[error("{} {} is damaged in the cache", noun(key.kind), key.hash)]
    Damaged {
        /// What was asked for.
        key: RecordKey,
    },
    /// Bytes that were to be stored do not hash to the name they were announced with.
    #[error("bytes of hash {found} arrived instead of {expected}")]
    WrongBytes {
        /// What was announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A symlink that would lead out of the work tree.
    #[error("the symbolic link `{}` would lead out of the project", path.display())]
    UnsafeLink {
        /// Where it was to be made.
        path: PathBuf,
    },
    /// The folder holds a cache of another format.
    #[error("`{}` is a cache of another version than this mlv knows", path.display())]
    UnknownCache {
        /// The marker file.
        path: PathBuf,
    },
    /// There was a cache in the folder, and there is none now.
    #[error("`{}` held the cache before and holds none now", path.display())]
    Vanished {
        /// The folder.
        path: PathBuf,
    },
    /// The file that says which format the cache has is damaged.
    #[error("`{}`, which says what the cache's format is, is damaged", path.display())]
    DamagedMarker {
        /// The marker file.
        path: PathBuf,
    },
    /// A pack in the cache could not be written or read as such.
    #[error("the cache's pack `{}` cannot be used", path.display())]
    Pack {
        /// The pack, or the folder it was being written in.
        path: PathBuf,
        /// Why.
        source: pack::Error,
    },
    /// An earlier write of the same operation failed, so that nothing more is stored.
    #[error("the cache could not be written")]
    Broken,
    /// An object larger than what may be read at once.
    #[error("{} {} has {size} bytes, too many to be read at once", noun(key.kind), key.hash)]
    TooLarge {
        /// What was asked for.
        key: RecordKey,
        /// Its size in bytes.
        size: u64,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The command that writes the marker of a cache again.
fn new_marker(path: &Path) -> String {
    let path = shell::word(&path.display().to_string());
    format!("echo '{{\"version\":1,\"hash\":\"blake3\",\"trust\":\"self\"}}' > {path}")
}

fn noun(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::File => "object",
        RecordKind::Chunk => "chunk",
        RecordKind::Recipe => "recipe",
        RecordKind::TreePage => "tree page",
        RecordKind::RunRecord => "run record",
    }
}

impl Error {
    /// Whether the failure is that the cache does not hold something, or holds it damaged:
    /// another source may help.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Missing { .. } | Error::Damaged { .. })
    }
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Fs(error) => error.kind(),
            Error::Missing { .. } => ErrorKind::NotDownloaded,
            Error::Vanished { .. } => ErrorKind::NotFound,
            Error::Damaged { .. } | Error::WrongBytes { .. } | Error::DamagedMarker { .. } => {
                ErrorKind::Damaged
            }
            Error::UnsafeLink { .. } => ErrorKind::UnsafePath,
            Error::UnknownCache { .. } => ErrorKind::UnsupportedVersion,
            Error::Pack { source, .. } => source.kind(),
            Error::Broken | Error::TooLarge { .. } => ErrorKind::Io,
            Error::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            Error::Fs(error) => error.hints(),
            Error::Missing { .. } | Error::Damaged { .. } => {
                vec![Hint::new("`mlv fetch` gets it from the remote, if it was pushed")]
            }
            Error::Vanished { path } => {
                let path = shell::path(&path.display().to_string());
                vec![
                    Hint::new("mount its disk, or bring the folder back"),
                    Hint::new(format!("to begin an empty cache there: mlv cache dir --local {path}")),
                ]
            }
            // Without the file no reader would look into the cache, so that removing it is no remedy.
            Error::DamagedMarker { path } => vec![Hint::new(new_marker(path))],
            Error::UnknownCache { path } => vec![
                Hint::new("install a newer mlv"),
                Hint::new(format!(
                    "or, if no newer one was ever used here, it is damaged: {}",
                    new_marker(path)
                )),
            ],
            _ => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            Error::Fs(error) => error.subject(),
            Error::Missing { key } | Error::Damaged { key } | Error::TooLarge { key, .. } => {
                Some(key.hash.to_string())
            }
            Error::WrongBytes { expected, .. } => Some(expected.to_string()),
            Error::UnsafeLink { path }
            | Error::UnknownCache { path }
            | Error::Vanished { path }
            | Error::DamagedMarker { path }
            | Error::Pack { path, .. } => Some(path.display().to_string()),
            Error::Broken | Error::Interrupted => None,
        }
    }
}
