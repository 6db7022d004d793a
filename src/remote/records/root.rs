//! Root records: what one clone of one project needs of a remote.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    MAX_ROOT_RECORD, RecordError, RecordType, check_version, checked_text, first_difference, to_line,
};
use crate::model::digest::{Digest, Domain, ObjectId, RunKey, TreeId};
use crate::model::object::ContentId;
use crate::remote::names::{ClientId, ProjectId, RootRecordName, ShortId};

/// Something that a clone needs whole: an output, or a run record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// A file.
    File {
        /// Its contents.
        id: ObjectId,
        /// Its length in bytes.
        size: u64,
    },
    /// A directory.
    Tree {
        /// Its root page.
        id: TreeId,
        /// Sum of its files, in bytes.
        size: u64,
        /// Number of its files.
        nfiles: u64,
    },
    /// A run record.
    Run(RunKey),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentLine {
    hash: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nfiles: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunLine {
    run: String,
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Root::File { id, .. } => ContentId::File(*id).fmt(f),
            Root::Tree { id, .. } => ContentId::Tree(*id).fmt(f),
            Root::Run(key) => write!(f, "run {key}"),
        }
    }
}

impl Root {
    pub(in crate::remote) fn encode(self) -> String {
        match self {
            Root::File { id, size } => {
                to_line(&ContentLine { hash: ContentId::File(id).to_string(), size, nfiles: None })
            }
            Root::Tree { id, size, nfiles } => {
                to_line(&ContentLine { hash: ContentId::Tree(id).to_string(), size, nfiles: Some(nfiles) })
            }
            Root::Run(key) => to_line(&RunLine { run: key.to_string() }),
        }
    }

    pub(in crate::remote) fn decode(line: &str) -> Option<Root> {
        if let Ok(line) = serde_json::from_str::<RunLine>(line) {
            return line.run.parse().ok().map(Root::Run);
        }
        let line: ContentLine = serde_json::from_str(line).ok()?;
        match (line.hash.parse().ok()?, line.nfiles) {
            (ContentId::File(id), None) => Some(Root::File { id, size: line.size }),
            (ContentId::Tree(id), Some(nfiles)) => Some(Root::Tree { id, size: line.size, nfiles }),
            _ => None,
        }
    }
}

/// The name of a git commit: 40 or 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CommitName(Box<str>);

impl CommitName {
    /// Checks that `text` is a full commit name.
    pub fn parse(text: &str) -> Option<CommitName> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (hex && matches!(text.len(), 40 | 64)).then(|| CommitName(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What one clone of one project needs of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootRecord {
    /// The clone.
    pub client: ClientId,
    /// The record's number among this client's.
    pub seq: u64,
    /// The project.
    pub project: ProjectId,
    /// The commits that name the roots; sorted, each once.
    pub commits: Vec<CommitName>,
    /// The roots, in the order of their lines, each once.
    pub roots: Vec<Root>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RootHeader {
    version: u64,
    client: String,
    seq: u64,
    project: String,
    commits: Vec<Box<str>>,
}

impl RootRecord {
    /// The bytes; order and repetition of commits and roots do not matter.
    pub fn encode(&self) -> Vec<u8> {
        let mut commits: Vec<Box<str>> = self.commits.iter().map(|commit| commit.0.clone()).collect();
        commits.sort_unstable();
        commits.dedup();
        let header = RootHeader {
            version: 1,
            client: self.client.to_string(),
            seq: self.seq,
            project: self.project.to_string(),
            commits,
        };
        let mut lines: Vec<String> = self.roots.iter().map(|root| root.encode()).collect();
        lines.sort_unstable();
        lines.dedup();
        lines.insert(0, to_line(&header));
        lines.concat().into_bytes()
    }

    /// Reads the bytes.
    pub fn decode(bytes: &[u8]) -> Result<RootRecord, RecordError> {
        let what = RecordType::Root;
        let text = checked_text(what, bytes, MAX_ROOT_RECORD)?;
        let malformed = |line: usize| RecordError::Malformed { what, line };
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().ok_or(malformed(1))?;
        check_version(what, first)?;
        let header: RootHeader = serde_json::from_str(first).map_err(|_| malformed(1))?;
        let mut record = RootRecord {
            client: ClientId::parse(&header.client).ok_or(malformed(1))?,
            seq: header.seq,
            project: ProjectId::parse(&header.project).ok_or(malformed(1))?,
            commits: Vec::with_capacity(header.commits.len()),
            roots: Vec::new(),
        };
        for commit in &header.commits {
            record.commits.push(CommitName::parse(commit).ok_or(malformed(1))?);
        }
        for (number, line) in (2..).zip(lines) {
            record.roots.push(Root::decode(line).ok_or(malformed(number))?);
        }
        let again = record.encode();
        if again == bytes { Ok(record) } else { Err(malformed(first_difference(&again, bytes))) }
    }

    /// The name of a record with these bytes.
    pub fn name(client: ClientId, seq: u64, bytes: &[u8]) -> RootRecordName {
        let ShortId(start) = ShortId::of(Digest::of_domain(Domain::RootRecord, bytes));
        RootRecordName { client, seq, id: (start >> 64) as u64 }
    }

    /// Reads the record called `name` and checks that it is the one that the name stands for.
    pub fn decode_named(name: RootRecordName, bytes: &[u8]) -> Result<RootRecord, RecordError> {
        let record = RootRecord::decode(bytes)?;
        if RootRecord::name(record.client, record.seq, bytes) == name {
            Ok(record)
        } else {
            Err(RecordError::OtherContent { what: RecordType::Root })
        }
    }
}
