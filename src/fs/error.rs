//! What can go wrong with files, each with the path it is about.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Advice, ErrorKind, Hint};

/// A failure of a file operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb: "open", "rename".
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A symlink stands where mlv must not follow one.
    #[error("`{}` is a symbolic link or lies behind one", path.display())]
    SymlinkInPath {
        /// The path that was to be reached.
        path: PathBuf,
    },
    /// Something other than a regular file.
    #[error("`{}` is not a regular file but a {found}", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is: "FIFO", "directory".
        found: &'static str,
    },
    /// A file stands where a folder is needed.
    #[error("`{}` is not a folder", path.display())]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// A name that is not UTF-8.
    #[error("the name of `{}` is not UTF-8", path.display())]
    NotUtf8 {
        /// The path with its raw bytes.
        path: PathBuf,
    },
    /// Something stands already where a new thing was to be put.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Someone else changed a file while it was being used.
    #[error("`{}` changed meanwhile", path.display())]
    ChangedMeanwhile {
        /// Which file.
        path: PathBuf,
    },
    /// A file over the limit of its kind.
    #[error("`{}` has {size} bytes, more than the limit of {limit}", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Another process holds a lock.
    #[error("`{}` is in use by {holder}", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// Who holds it: `pid 4242 (mlv repro)`.
        holder: String,
    },
    /// A line of an ignore file that is no pattern.
    #[error("{}:{line}: not a pattern: {pattern}", path.display())]
    IgnorePattern {
        /// The ignore file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The line's text.
        pattern: String,
        /// What is wrong with it.
        source: ::ignore::Error,
    },
    /// More patterns than the limit.
    #[error("`{}` has more than {limit} patterns", path.display())]
    TooManyPatterns {
        /// The ignore file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A file of mlv's own that cannot be read as such.
    #[error("`{}` is damaged at line {line}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Nothing of that name is in rescue.
    #[error("nothing in rescue is called `{name}`")]
    NotInRescue {
        /// The name that was asked for.
        name: String,
    },
    /// Less space than what is to be written needs.
    #[error("`{}` needs {needed} bytes and has {free} free", path.display())]
    NoSpace {
        /// A folder on the file system.
        path: PathBuf,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The user asked to stop while a lock was waited for.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether the failure is that the path does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The path that the failure is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::Io { path, .. }
            | Error::SymlinkInPath { path }
            | Error::NotAFile { path, .. }
            | Error::NotAFolder { path }
            | Error::NotUtf8 { path }
            | Error::Exists { path }
            | Error::ChangedMeanwhile { path }
            | Error::TooLarge { path, .. }
            | Error::Busy { path, .. }
            | Error::IgnorePattern { path, .. }
            | Error::TooManyPatterns { path, .. }
            | Error::NoSpace { path, .. }
            | Error::Malformed { path, .. } => Some(path),
            Error::NotInRescue { .. } | Error::Interrupted => None,
        }
    }
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Io { source, .. } => ErrorKind::of_io(source),
            Error::SymlinkInPath { .. } | Error::NotAFile { .. } | Error::NotUtf8 { .. } => {
                ErrorKind::UnsafePath
            }
            Error::NotAFolder { .. } | Error::Exists { .. } => ErrorKind::WouldOverwrite,
            Error::ChangedMeanwhile { .. } => ErrorKind::ChangedMeanwhile,
            Error::TooLarge { .. }
            | Error::IgnorePattern { .. }
            | Error::TooManyPatterns { .. }
            | Error::Malformed { .. } => ErrorKind::InvalidFile,
            Error::Busy { .. } => ErrorKind::Busy,
            Error::NoSpace { .. } => ErrorKind::NoSpace,
            Error::NotInRescue { .. } => ErrorKind::NoSuchTarget,
            Error::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            Error::Io { source, .. } => match source.kind() {
                // A file system may be out of inodes with bytes to spare.
                io::ErrorKind::StorageFull => vec![Hint::new(
                    "make room (`df -h` and `df -i` show what is full), then run the same command again",
                )],
                io::ErrorKind::QuotaExceeded => {
                    vec![Hint::new("make room in the quota, then run the same command again")]
                }
                _ => Vec::new(),
            },
            Error::NoSpace { .. } => vec![Hint::new("make room, then run the same command again")],
            Error::NotInRescue { .. } => vec![Hint::new("`mlv rescue list` shows what is there")],
            Error::Busy { .. } => {
                vec![Hint::new("wait for it to end, or run the command without `--no-wait`")]
            }
            Error::NotUtf8 { .. } => vec![Hint::new("rename it, or list its folder in `.mlvignore`")],
            Error::NotAFile { .. } => vec![Hint::new("remove it, or list it in `.mlvignore`")],
            _ => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        self.path().map(|path| path.display().to_string())
    }
}

/// Names the path and the verb of a failed system call: `.map_err(at(path, "rename"))`.
pub fn at<E: Into<io::Error>>(path: &Path, action: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Io { action, path: path.to_path_buf(), source: source.into() }
}
