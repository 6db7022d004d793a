//! Why bytes are no pack, record or segment, or why a pack takes no more.

use std::io;

use crate::error::{Advice, ErrorKind};
use crate::model::digest::Digest;
use crate::model::object::RecordKey;

/// A failure of the pack formats.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not what they should be: magic, checksum, reserved bytes, order or lengths.
    #[error("not a readable {what}: {why}")]
    Malformed {
        /// Which structure: "pack", "record", "index segment".
        what: &'static str,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A version that this mlv does not know.
    #[error("{what} of version {version}, which this mlv does not know")]
    Version {
        /// Which structure.
        what: &'static str,
        /// Its version.
        version: u32,
    },
    /// A number over its limit, before anything was allocated for it.
    #[error("{what} over the limit of {limit}: {found}")]
    Limit {
        /// What is limited, with its unit: "bytes of a pack".
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was found.
        found: u64,
    },
    /// A record that holds another thing than it was looked up for.
    #[error("the record stands for another one than {}", wanted.hash)]
    OtherRecord {
        /// What was wanted.
        wanted: RecordKey,
    },
    /// A record whose bytes do not hash to its name.
    #[error("the bytes do not match their hash {hash}")]
    Damaged {
        /// The name.
        hash: Digest,
    },
    /// The pack's bytes could not be handed on.
    #[error("cannot write a pack")]
    Write(#[source] io::Error),
}

impl Error {
    pub(super) fn pack(why: &'static str) -> Error {
        Error::Malformed { what: "pack", why }
    }

    pub(super) fn record(why: &'static str) -> Error {
        Error::Malformed { what: "record", why }
    }

    pub(super) fn segment(why: &'static str) -> Error {
        Error::Malformed { what: "index segment", why }
    }
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Version { .. } => ErrorKind::UnsupportedVersion,
            Error::Write(source) => ErrorKind::of_io(source),
            _ => ErrorKind::Damaged,
        }
    }
}
