//! What can go wrong with git, as situations that a user knows.

use std::path::PathBuf;

use crate::error::{Advice, ErrorKind, Hint};
use crate::fs;

/// Why a revision names no commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoCommit {
    /// git knows no such name.
    Unknown,
    /// Several objects begin with these digits.
    Ambiguous,
    /// It goes back further than the history of a commit does.
    NoAncestor {
        /// The name of that commit.
        of: String,
        /// Whether the clone has only a part of the history.
        is_shallow: bool,
    },
    /// Two commits, and the part of the history that this shallow clone has does not tell where they
    /// parted.
    NoCommonAncestor,
}

impl std::fmt::Display for NoCommit {
    /// Behind what happened; empty where that says it all.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoCommit::Unknown => Ok(()),
            NoCommit::Ambiguous => f.write_str(": several objects begin so"),
            NoCommit::NoCommonAncestor => {
                f.write_str(": the two have no common ancestor in this shallow clone")
            }
            NoCommit::NoAncestor { of, is_shallow } => {
                let place = if *is_shallow { " in this shallow clone" } else { "" };
                write!(f, ": `{of}` has no such ancestor{place}")
            }
        }
    }
}

/// A failure of reading git's data, or of keeping an ignore file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository belongs to somebody else, and `safe.directory` does not list it.
    #[error("the git repository at `{}` belongs to another user", path.display())]
    OwnedByOther {
        /// The folder in which it was found.
        path: PathBuf,
        /// git's reason.
        source: Box<gix::Error>,
    },
    /// There is a git repository, but it cannot be opened.
    #[error("cannot open the git repository of `{}`", path.display())]
    CannotOpen {
        /// The folder that was asked about.
        path: PathBuf,
        /// git's reason.
        source: Box<gix::Error>,
    },
    /// A folder of the work tree whose name mlv cannot store.
    #[error("mlv cannot work below a folder of this name: `{}`", path.display())]
    FolderName {
        /// The folder.
        path: PathBuf,
    },
    /// A revision that does not name one commit.
    #[error("no commit is called `{revision}`{why}")]
    NoSuchRevision {
        /// The revision as given.
        revision: String,
        /// Why, as far as that is known.
        why: NoCommit,
    },
    /// Text that a program would take for an option, or that no revision has.
    #[error("not a revision: `{revision}`")]
    NotARevision {
        /// The revision as given.
        revision: String,
    },
    /// References in a format that this mlv cannot read: to it there would seem to be none.
    #[error("git keeps the references of this repository as `{format}`, which this mlv cannot read")]
    UnsupportedReferences {
        /// The format, as git's configuration names it.
        format: String,
    },
    /// An object that git should have and cannot give.
    #[error("cannot read git object {id}")]
    Object {
        /// The object's hex name.
        id: String,
        /// git's reason.
        source: Box<gix::Error>,
    },
    /// A file of a commit over mlv's limit for its kind.
    #[error("`{path}` in git object {id} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The file's path.
        path: String,
        /// The blob's hex name.
        id: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// git's index, its references or its ignore rules cannot be read.
    #[error("cannot read git's {what}")]
    Unreadable {
        /// What could not be read: "index", "references".
        what: &'static str,
        /// git's reason.
        source: Box<gix::Error>,
    },
    /// There is no `git` to run.
    #[error("there is no `git` on the path, outside of the work tree")]
    NoProgram,
    /// Another git process is at work on the index, or one was killed.
    #[error("another git process holds the index: `{}` exists", path.display())]
    IndexBusy {
        /// The lock file.
        path: PathBuf,
    },
    /// git did not take files into its index.
    #[error("git did not take the files into its index: {says}")]
    NotAdded {
        /// What it printed.
        says: String,
    },
    /// git refused a command.
    #[error("git refused: {says}")]
    Refused {
        /// What it printed.
        says: String,
    },
    /// Old commits are not in this clone.
    #[error("this is a shallow clone: git does not have the whole history here")]
    Shallow,
    /// A branch or tag of a git remote that this clone does not have.
    #[error("git has not fetched `{reference}` of `{remote}`")]
    NotFetched {
        /// The git remote.
        remote: String,
        /// The branch or tag.
        reference: String,
    },
    /// A git remote that does not tell its branches and tags.
    #[error("git cannot list the branches and tags of `{remote}`: {says}")]
    NotAnswering {
        /// The git remote.
        remote: String,
        /// What git printed.
        says: String,
    },
    /// Objects that a partial clone left with a git remote, which does not give them.
    #[error("this is a partial clone, and git cannot bring what it left with `{remote}`: {says}")]
    NotBrought {
        /// The git remote.
        remote: String,
        /// What git printed.
        says: String,
    },
    /// The work tree cannot be read or written.
    #[error(transparent)]
    Fs(#[from] fs::Error),
}

impl Error {
    pub(super) fn unreadable<E: Into<gix::Error>>(what: &'static str) -> impl FnOnce(E) -> Error {
        move |source| Error::Unreadable { what, source: Box::new(source.into()) }
    }

    pub(super) fn object<E: Into<gix::Error>>(id: &gix::oid) -> impl FnOnce(E) -> Error {
        let id = id.to_string();
        move |source| Error::Object { id, source: Box::new(source.into()) }
    }
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::OwnedByOther { .. } => ErrorKind::PermissionDenied,
            Error::UnsupportedReferences { .. } => ErrorKind::UnsupportedVersion,
            Error::CannotOpen { .. }
            | Error::Unreadable { .. }
            | Error::NotAdded { .. }
            | Error::Refused { .. } => ErrorKind::Io,
            Error::NoProgram | Error::Shallow | Error::NotFetched { .. } => ErrorKind::NotFound,
            Error::NotAnswering { .. } | Error::NotBrought { .. } => ErrorKind::Network,
            Error::IndexBusy { .. } => ErrorKind::Busy,
            Error::NoSuchRevision { .. } | Error::NotARevision { .. } => ErrorKind::NoSuchRevision,
            Error::Object { .. } => ErrorKind::Damaged,
            Error::FolderName { .. } => ErrorKind::UnsafePath,
            Error::TooLarge { .. } => ErrorKind::InvalidFile,
            Error::Fs(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            Error::OwnedByOther { path, .. } => vec![Hint::new(format!(
                "if you trust it: git config --global --add safe.directory {}",
                quoted(&path.display().to_string())
            ))],
            Error::UnsupportedReferences { .. } => vec![Hint::new("git refs migrate --ref-format=files")],
            Error::NoSuchRevision {
                why: NoCommit::NoAncestor { is_shallow: true, .. } | NoCommit::NoCommonAncestor,
                ..
            } => {
                vec![Hint::new("git fetch --unshallow")]
            }
            Error::NoSuchRevision { .. } => vec![Hint::new("git log --oneline --all")],
            Error::Object { .. } => vec![Hint::new("git fsck")],
            Error::Shallow => vec![Hint::new("git fetch --unshallow")],
            Error::NotFetched { remote, .. } => {
                vec![Hint::new(format!("git fetch --tags {}", quoted(remote)))]
            }
            Error::NotAnswering { remote, .. } => {
                vec![Hint::new(format!("git ls-remote {}", quoted(remote)))]
            }
            Error::NotBrought { remote, .. } => {
                vec![Hint::new(format!("git fetch --refetch --no-filter {}", quoted(remote)))]
            }
            Error::Fs(error) => error.hints(),
            _ => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            Error::OwnedByOther { path, .. }
            | Error::CannotOpen { path, .. }
            | Error::FolderName { path } => Some(path.display().to_string()),
            Error::IndexBusy { path } => Some(path.display().to_string()),
            Error::TooLarge { path, .. } => Some(path.clone()),
            Error::Fs(error) => error.subject(),
            _ => None,
        }
    }
}

/// The text as one word of a shell command.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%:=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
