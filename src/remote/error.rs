//! What can go wrong between a clone and its remote.

use std::fmt;

use crate::error::{Advice, ErrorKind, Hint};
use crate::model::object::RecordKey;
use crate::remote::backend::BackendError;
use crate::remote::records::RecordError;

/// An error of the caller's source or sink, kept with its advice.
#[derive(Debug)]
pub struct Cause(Box<dyn Advice + Send + Sync>);

impl Cause {
    /// Keeps `error`.
    pub fn new(error: impl Advice + Send + Sync + 'static) -> Cause {
        Cause(Box::new(error))
    }

    /// The error itself.
    pub fn advice(&self) -> &(dyn Advice + Send + Sync) {
        &*self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A failure of a push, a fetch or a question to a remote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call of the backend failed for good.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// There is nothing of mlv's at the place.
    #[error("`{place}` holds no mlv remote")]
    NotARemote {
        /// The place.
        place: Box<str>,
    },
    /// This clone used a remote at the place, and there is none now.
    #[error("`{place}` held a remote before and holds none now")]
    Vanished {
        /// The place.
        place: Box<str>,
    },
    /// The remote's own texts are damaged, or of a newer version.
    #[error("the remote at `{place}` cannot be used")]
    Record {
        /// The place.
        place: Box<str>,
        /// What is wrong.
        source: RecordError,
    },
    /// Records that are neither here nor on the remote.
    #[error("{} neither here nor at `{place}`, first: {}", count_are(missing.len()), first(missing))]
    Missing {
        /// The place.
        place: Box<str>,
        /// What is missing, in the order in which it was asked for.
        missing: Vec<RecordKey>,
    },
    /// Records here whose bytes do not hash to their names, and that the remote lacks.
    #[error("{} damaged in the cache and not at `{place}`, first: {}", count_are(damaged.len()), first(damaged))]
    DamagedHere {
        /// The place.
        place: Box<str>,
        /// What is damaged.
        damaged: Vec<RecordKey>,
    },
    /// What was written does not stay, or is not listed, however often it is written.
    #[error("the remote at `{place}` does not keep what is written to it: gave up after {rounds} rounds")]
    NotSettling {
        /// The place.
        place: Box<str>,
        /// How often the verification failed.
        rounds: u32,
    },
    /// Reading from the caller's store failed.
    #[error(transparent)]
    Source(Cause),
    /// Writing to the caller's store failed.
    #[error(transparent)]
    Sink(Cause),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

fn count_are(count: usize) -> String {
    if count == 1 { "1 object is".to_owned() } else { format!("{count} objects are") }
}

fn first(keys: &[RecordKey]) -> String {
    keys.first().map_or_else(String::new, |key| format!("`{}`", key.hash))
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Backend(error) => error.kind(),
            Error::NotARemote { .. } | Error::Vanished { .. } | Error::Missing { .. } => ErrorKind::NotFound,
            Error::Record { source, .. } => source.kind(),
            Error::DamagedHere { .. } => ErrorKind::Damaged,
            Error::NotSettling { .. } => ErrorKind::RemoteInvalid,
            Error::Source(cause) | Error::Sink(cause) => cause.advice().kind(),
            Error::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            Error::Backend(error) => error.hints(),
            Error::NotARemote { .. } => vec![
                Hint::new("if it is on a network share, check that it is mounted"),
                Hint::new("run `mlv push` where the data is"),
            ],
            Error::Vanished { .. } => vec![
                Hint::new("if it is on a network share, check that it is mounted"),
                Hint::new("run `mlv push --create` to begin anew there"),
            ],
            Error::Record { source, .. } => source.hints(),
            Error::Missing { .. } => {
                vec![Hint::new("run `mlv fetch` from a remote that has them, or `mlv push` where they are")]
            }
            Error::DamagedHere { .. } => vec![Hint::new("run `mlv fsck` to see what is damaged")],
            Error::NotSettling { .. } => vec![Hint::new("run the same command again later")],
            Error::Source(cause) | Error::Sink(cause) => cause.advice().hints(),
            Error::Interrupted => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            Error::Backend(error) => error.subject(),
            Error::NotARemote { place }
            | Error::Vanished { place }
            | Error::Record { place, .. }
            | Error::Missing { place, .. }
            | Error::DamagedHere { place, .. }
            | Error::NotSettling { place, .. } => Some(place.to_string()),
            Error::Source(cause) | Error::Sink(cause) => cause.advice().subject(),
            Error::Interrupted => None,
        }
    }
}
