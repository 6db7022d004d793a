//! The small texts on a remote: what it is, root records, marks and notes. Pure.
//!
//! Every line is canonical JSON: one key order, no spaces, integers only, LF. A text is
//! accepted only if encoding what was read gives the same bytes, so two readers cannot
//! disagree about it. Limits are checked before anything is parsed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Advice, ErrorKind, Hint};
use crate::model::digest::{Digest, Domain, PackId};
use crate::remote::backend::ELSEWHERE;
use crate::remote::names::{ClientId, MarkName, Nonce, RepoId, ShortId};

mod root;

pub use root::{CommitName, Root, RootRecord};

/// The longest `mlv-remote` in bytes.
pub const MAX_FORMAT: u64 = 64 << 10;
/// The longest root record in bytes.
pub const MAX_ROOT_RECORD: u64 = 64 << 20;
/// The longest mark in bytes: that of any object.
pub const MAX_MARK: u64 = crate::remote::backend::MAX_OBJECT;
/// The text of a note; what it is about stands in its name.
pub const NOTE: &str = "{\"version\":1}\n";

/// Which text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// `mlv-remote`.
    Format,
    /// A root record.
    Root,
    /// A mark.
    Mark,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordType::Format => "the remote's format file",
            RecordType::Root => "a root record",
            RecordType::Mark => "a mark",
        })
    }
}

/// Why a text of a remote is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The text is longer than its limit.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which text.
        what: RecordType,
        /// The most bytes it may have.
        limit: u64,
    },
    /// The text does not say what it should, or not in the canonical form.
    #[error("{what} is damaged: line {line} is not in the canonical form")]
    Malformed {
        /// Which text.
        what: RecordType,
        /// The line, from 1.
        line: usize,
    },
    /// Something else answers in the place of the remote: a login, a proxy's notice.
    #[error("the answer is a web page, not {what}")]
    WebPage {
        /// Which text.
        what: RecordType,
    },
    /// The bytes are not those that the name stands for.
    #[error("{what} does not match its name")]
    OtherContent {
        /// Which text.
        what: RecordType,
    },
    /// The text is of a newer format.
    #[error("{what} has version {found}, this mlv knows 1")]
    Version {
        /// Which text.
        what: RecordType,
        /// The version it has.
        found: u64,
    },
    /// The remote demands something that this mlv does not know.
    #[error("the remote needs the feature `{feature}` for {class}, which this mlv does not know")]
    Feature {
        /// The operation that is refused.
        class: Operation,
        /// The feature's name, as the remote has it.
        feature: Box<str>,
    },
}

impl RecordError {
    fn is_about_format(&self) -> bool {
        let (RecordError::TooLong { what, .. }
        | RecordError::Malformed { what, .. }
        | RecordError::OtherContent { what }
        | RecordError::Version { what, .. }) = self
        else {
            return false;
        };
        *what == RecordType::Format
    }
}

impl Advice for RecordError {
    fn kind(&self) -> ErrorKind {
        match self {
            RecordError::Version { .. } | RecordError::Feature { .. } => ErrorKind::UnsupportedVersion,
            _ => ErrorKind::RemoteInvalid,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self.kind() {
            ErrorKind::UnsupportedVersion => vec![Hint::new("install a newer mlv; nothing was changed")],
            _ if matches!(self, RecordError::WebPage { .. }) => vec![Hint::new(ELSEWHERE)],
            _ if self.is_about_format() => vec![Hint::new(
                "bring `mlv-remote` back from a copy of the remote; or delete it there, and run `mlv push` in a clone \
                 that used the remote, which writes it again",
            )],
            _ => vec![Hint::new(
                "bring it back from a copy of the remote, or `mlv push -r NAME` to a new one where the data is",
            )],
        }
    }
}

/// A class of operations that a remote's features can close to older programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fetching.
    Read,
    /// Pushing, which reads too.
    Write,
    /// Collecting garbage, which reads and writes too.
    Gc,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Read => "reading",
            Operation::Write => "writing",
            Operation::Gc => "collecting",
        })
    }
}

/// What `mlv-remote` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFormat {
    /// Names this remote.
    pub repo_id: RepoId,
    /// Features that a reader must know.
    pub read: Vec<Box<str>>,
    /// Features that a writer must know.
    pub write: Vec<Box<str>>,
    /// Features that a collector must know.
    pub gc: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatLine {
    format: u64,
    repo_id: String,
    hash: String,
    read: Vec<Box<str>>,
    write: Vec<Box<str>>,
    gc: Vec<Box<str>>,
}

/// What every version of a line has.
#[derive(Deserialize)]
struct VersionLine {
    #[serde(alias = "format")]
    version: u64,
}

impl RemoteFormat {
    /// A new remote's format: no features.
    pub fn new(repo_id: RepoId) -> RemoteFormat {
        RemoteFormat { repo_id, read: Vec::new(), write: Vec::new(), gc: Vec::new() }
    }

    /// The bytes of `mlv-remote`.
    pub fn encode(&self) -> Vec<u8> {
        let line = FormatLine {
            format: 1,
            repo_id: self.repo_id.to_string(),
            hash: "blake3".to_owned(),
            read: self.read.clone(),
            write: self.write.clone(),
            gc: self.gc.clone(),
        };
        to_line(&line).into_bytes()
    }

    /// Reads the bytes of `mlv-remote`.
    pub fn decode(bytes: &[u8]) -> Result<RemoteFormat, RecordError> {
        let what = RecordType::Format;
        let malformed = RecordError::Malformed { what, line: 1 };
        if is_web_page(bytes) {
            return Err(RecordError::WebPage { what });
        }
        let text = checked_text(what, bytes, MAX_FORMAT)?;
        check_version(what, text)?;
        let line: FormatLine = serde_json::from_str(text).map_err(|_| malformed.clone())?;
        let repo_id = RepoId::parse(&line.repo_id).ok_or(malformed.clone())?;
        let format = RemoteFormat { repo_id, read: line.read, write: line.write, gc: line.gc };
        if format.encode() == bytes { Ok(format) } else { Err(malformed) }
    }

    /// Refuses `class` if the remote needs a feature for it that this program does not know: all.
    pub fn permit(&self, class: Operation) -> Result<(), RecordError> {
        let needed: &[&Vec<Box<str>>] = match class {
            Operation::Read => &[&self.read],
            Operation::Write => &[&self.read, &self.write],
            Operation::Gc => &[&self.read, &self.write, &self.gc],
        };
        match needed.iter().find_map(|features| features.first()) {
            None => Ok(()),
            Some(feature) => Err(RecordError::Feature { class, feature: feature.clone() }),
        }
    }
}

/// Whether the bytes begin as no record does, and as markup always does.
fn is_web_page(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    bytes.trim_ascii_start().starts_with(b"<")
}

/// The packs that a collector is about to delete. It is never withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who put it.
    pub client: ClientId,
    /// The packs, sorted, each once.
    pub packs: Vec<PackId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkHeader {
    version: u64,
    client: String,
    packs: u64,
}

impl Mark {
    /// The bytes; order and repetition of packs do not matter.
    pub fn encode(&self) -> Vec<u8> {
        let mut packs = self.packs.clone();
        packs.sort_unstable();
        packs.dedup();
        let header = MarkHeader { version: 1, client: self.client.to_string(), packs: packs.len() as u64 };
        let mut text = to_line(&header);
        for pack in &packs {
            text.push_str(&pack.to_string());
            text.push('\n');
        }
        text.into_bytes()
    }

    /// Reads the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Mark, RecordError> {
        let what = RecordType::Mark;
        let text = checked_text(what, bytes, MAX_MARK)?;
        let malformed = |line: usize| RecordError::Malformed { what, line };
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().ok_or(malformed(1))?;
        check_version(what, first)?;
        let header: MarkHeader = serde_json::from_str(first).map_err(|_| malformed(1))?;
        let client = ClientId::parse(&header.client).ok_or(malformed(1))?;
        let mut mark = Mark { client, packs: Vec::new() };
        for (number, line) in (2..).zip(lines) {
            let id = line.strip_suffix('\n').and_then(|hex| hex.parse().ok());
            mark.packs.push(id.ok_or(malformed(number))?);
        }
        let again = mark.encode();
        if again == bytes { Ok(mark) } else { Err(malformed(first_difference(&again, bytes))) }
    }

    /// The name of a mark with these bytes.
    pub fn name(bytes: &[u8], nonce: Nonce) -> MarkName {
        MarkName { id: ShortId::of(Digest::of_domain(Domain::Mark, bytes)), nonce }
    }

    /// Reads the mark called `name` and checks that it is the one that the name stands for.
    pub fn decode_named(name: MarkName, bytes: &[u8]) -> Result<Mark, RecordError> {
        if Mark::name(bytes, name.nonce) != name {
            return Err(RecordError::OtherContent { what: RecordType::Mark });
        }
        Mark::decode(bytes)
    }
}

fn to_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("structs of texts and numbers always serialise");
    line.push('\n');
    line
}

fn checked_text(what: RecordType, bytes: &[u8], limit: u64) -> Result<&str, RecordError> {
    if bytes.len() as u64 > limit {
        return Err(RecordError::TooLong { what, limit });
    }
    std::str::from_utf8(bytes).map_err(|_| RecordError::Malformed { what, line: 1 })
}

/// Tells a newer format from a damaged one, so that the remedy is right.
fn check_version(what: RecordType, line: &str) -> Result<(), RecordError> {
    match serde_json::from_str(line) {
        Ok(VersionLine { version: 1 }) => Ok(()),
        Ok(VersionLine { version: found }) => Err(RecordError::Version { what, found }),
        Err(_) => Err(RecordError::Malformed { what, line: 1 }),
    }
}

/// The number of the first line, from 1, in which two texts differ.
fn first_difference(a: &[u8], b: &[u8]) -> usize {
    let common = a.iter().zip(b).take_while(|(x, y)| x == y);
    1 + common.filter(|(byte, _)| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
