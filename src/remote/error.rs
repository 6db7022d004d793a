//! What can go wrong between a clone and its remote.

use std::fmt;
use std::time::SystemTime;

use crate::error::{Advice, ErrorKind, Hint};
use crate::fs::rescue::time;
use crate::model::object::RecordKey;
use crate::remote::backend::BackendError;
use crate::remote::records::RecordError;
use crate::remote::registry::scheme_of;

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
    /// Not all that clones need is there, so what can go is not known.
    #[error("{} cannot be found whole at `{place}`, first: {first}", count_of(*count, "output"))]
    Incomplete {
        /// The place.
        place: Box<str>,
        /// How many outputs and runs.
        count: usize,
        /// The first of them.
        first: Box<str>,
    },
    /// An index without which it is not known what stands where.
    #[error("the index `{key}` at `{place}` is damaged")]
    DamagedIndex {
        /// The place.
        place: Box<str>,
        /// The segment's key.
        key: Box<str>,
    },
    /// A record of what a clone needs that cannot be read.
    #[error("what the clone needs that wrote `{key}` at `{place}` is not known")]
    UnreadableRecord {
        /// The place.
        place: Box<str>,
        /// The record's key.
        key: Box<str>,
        /// Where the clone has written another since: until when the damaged one counts, and whether for this
        /// project.
        until: Option<(SystemTime, bool)>,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A list of packs that are about to be deleted which cannot be read.
    #[error("which packs the mark `{key}` at `{place}` takes away is not known")]
    UnreadableMark {
        /// The place.
        place: Box<str>,
        /// The mark's key.
        key: Box<str>,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A project that is to be forgotten, and of which no record is there.
    #[error("no other project called `{project}` pushed to `{place}`")]
    NoSuchProject {
        /// The place.
        place: Box<str>,
        /// Its id as given.
        project: Box<str>,
        /// The ids of those that did.
        known: Vec<Box<str>>,
    },
    /// The project of the clone that collects.
    #[error("`{project}` is this project: what its commits need is not forgotten")]
    OwnProject {
        /// Its id.
        project: Box<str>,
    },
    /// An answer of the store on which nothing can be deleted.
    #[error("what `{place}` says cannot be right: {what}")]
    Implausible {
        /// The place.
        place: Box<str>,
        /// What is wrong with it.
        what: Doubt,
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

/// Why a collector does not believe what a store says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// The clocks of the store and of this machine differ too much.
    #[error("its clock and that of this machine are {hours} hours apart")]
    Clocks {
        /// How much.
        hours: u64,
    },
    /// Something was written later than now.
    #[error("there are objects from the future of its clock")]
    Future,
    /// There are packs, and nobody needs any of them.
    #[error("it lists packs, and no record of any clone that needs them")]
    NoRecords,
    /// A record that counted a moment ago is not listed any more.
    #[error("it no longer lists a record that it listed before")]
    VanishedRecord,
    /// What was just written is not listed.
    #[error("it does not list what was just written")]
    HiddenMark,
}

impl Doubt {
    fn hint(self) -> Hint {
        Hint::new(match self {
            Doubt::Clocks { .. } => "set the clock that is wrong, then run the same command again",
            Doubt::Future => "set the store's clock, or wait until it has passed their time",
            Doubt::NoRecords => "run `mlv push` in every clone, then run the same command again",
            Doubt::VanishedRecord | Doubt::HiddenMark => {
                "`mlv remote test` shows whether its lists are complete"
            }
        })
    }
}

/// What may be wrong where a place has nothing of mlv's.
fn look_at(place: &str) -> &'static str {
    match scheme_of(place) {
        None => "if it is on a network share, check that it is mounted",
        Some("ssh" | "http" | "https") => "check its URL: `mlv remote list`",
        Some(_) => "check its URL and `endpointurl`: `mlv config --list`",
    }
}

fn count_of(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
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
            Error::DamagedHere { .. } | Error::Incomplete { .. } | Error::DamagedIndex { .. } => {
                ErrorKind::Damaged
            }
            Error::UnreadableRecord { source, .. } | Error::UnreadableMark { source, .. } => source.kind(),
            Error::NoSuchProject { .. } => ErrorKind::NoSuchTarget,
            Error::OwnProject { .. } => ErrorKind::Usage,
            Error::NotSettling { .. } | Error::Implausible { .. } => ErrorKind::RemoteInvalid,
            Error::Source(cause) | Error::Sink(cause) => cause.advice().kind(),
            Error::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            Error::Backend(error) => error.hints(),
            Error::NotARemote { place } => {
                vec![Hint::new(look_at(place)), Hint::new("run `mlv push` where the data is")]
            }
            Error::Vanished { place } => {
                vec![Hint::new(look_at(place)), Hint::new("run `mlv push --create` to begin anew there")]
            }
            Error::Record { source, .. } => source.hints(),
            Error::Missing { .. } => {
                vec![Hint::new("run `mlv fetch` from a remote that has them, or `mlv push` where they are")]
            }
            Error::DamagedHere { .. } => vec![Hint::new("run `mlv fsck` to see what is damaged")],
            Error::NotSettling { .. } => vec![Hint::new("run the same command again later")],
            Error::Incomplete { .. } => vec![
                Hint::new("if a push is under way, run the same command again after it"),
                Hint::new("run `mlv fsck --remote --repair` in a clone that has the data"),
            ],
            Error::DamagedIndex { .. } => vec![Hint::new("run `mlv remote reindex`")],
            Error::UnreadableRecord { source, .. } if source.kind() != ErrorKind::RemoteInvalid => {
                source.hints()
            }
            Error::UnreadableRecord { until: None, .. } => vec![
                Hint::new(
                    "run `mlv fsck --remote --repair` in each clone, until it is the one that wrote the record",
                ),
                Hint::new("30 days later the damaged one counts no longer, with `--keep 0d` at once"),
            ],
            Error::UnreadableRecord { until: Some((until, is_own)), .. } => {
                let day = &time(*until)[..10];
                let wait = match is_own {
                    true => format!(
                        "that clone has said since what it needs: the damaged one counts until {day}, and no \
                         longer than `--keep SPAN` says"
                    ),
                    false => format!("after {day} `mlv gc --cloud` in a clone of its own project deletes it"),
                };
                vec![Hint::new(wait)]
            }
            Error::UnreadableMark { .. } => vec![
                Hint::new("bring it back from a copy of the remote"),
                Hint::new("or, when no `mlv gc` runs in any clone, delete it there"),
            ],
            Error::NoSuchProject { known, .. } if known.is_empty() => {
                vec![Hint::new("only this project uses the remote: mlv gc --cloud --dry-run")]
            }
            Error::NoSuchProject { known, .. } => vec![Hint::new(format!("there are: {}", known.join(", ")))],
            Error::OwnProject { .. } => {
                vec![Hint::new("to keep less of it: `mlv gc --cloud -w`, or `-a -T`, and `--keep SPAN`")]
            }
            Error::Implausible { what, .. } => vec![what.hint()],
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
            | Error::Incomplete { place, .. }
            | Error::DamagedIndex { place, .. }
            | Error::UnreadableRecord { place, .. }
            | Error::UnreadableMark { place, .. }
            | Error::Implausible { place, .. }
            | Error::NoSuchProject { place, .. }
            | Error::NotSettling { place, .. } => Some(place.to_string()),
            Error::Source(cause) | Error::Sink(cause) => cause.advice().subject(),
            Error::OwnProject { .. } | Error::Interrupted => None,
        }
    }
}
