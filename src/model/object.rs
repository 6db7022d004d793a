//! Objects (whole files), the chunks that large ones are sent as, and how outputs name them.

use std::fmt;
use std::str::FromStr;

use crate::model::digest::{ChunkId, Digest, ObjectId, ParseDigestError, TreeId};

/// What a record in a pack holds. The numbers are the format's (docs/formats.md, "Packs").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// The full bytes of a file, or the target text of a symlink.
    File = 1,
    /// A slice of a large file.
    Chunk = 2,
    /// How a large file is put together; keyed by the file's hash.
    Recipe = 3,
    /// A page of a directory tree.
    TreePage = 4,
    /// What a stage run consumed and produced.
    RunRecord = 5,
}

impl RecordKind {
    /// The kind with this number in the formats.
    pub fn from_byte(byte: u8) -> Option<RecordKind> {
        match byte {
            1 => Some(RecordKind::File),
            2 => Some(RecordKind::Chunk),
            3 => Some(RecordKind::Recipe),
            4 => Some(RecordKind::TreePage),
            5 => Some(RecordKind::RunRecord),
            _ => None,
        }
    }
}

/// Names a record: its hash and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The record's hash.
    pub hash: Digest,
    /// What it holds.
    pub kind: RecordKind,
}

/// A slice of an object, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// The chunk's name.
    pub id: ChunkId,
    /// Its length in bytes, at least 1.
    pub len: u32,
}

/// The contents of an output: of one file or of a directory. Written `blake3:…` or `blake3-tree:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentId {
    /// One file.
    File(ObjectId),
    /// A directory.
    Tree(TreeId),
}

impl ContentId {
    /// The digest, whatever it names.
    pub fn digest(self) -> Digest {
        match self {
            ContentId::File(id) => id.digest(),
            ContentId::Tree(id) => id.digest(),
        }
    }

    /// Whether this names a directory.
    pub fn is_tree(self) -> bool {
        matches!(self, ContentId::Tree(_))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentId::File(id) => write!(f, "blake3:{id}"),
            ContentId::Tree(id) => write!(f, "blake3-tree:{id}"),
        }
    }
}

/// Why a text is not a content id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseContentIdError {
    /// The text does not start with a known algorithm and a colon.
    #[error("a hash is written `blake3:<hex>` or, of a directory, `blake3-tree:<hex>`")]
    Algorithm,
    /// The digits are wrong.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
}

impl FromStr for ContentId {
    type Err = ParseContentIdError;

    fn from_str(text: &str) -> Result<ContentId, ParseContentIdError> {
        match text.split_once(':') {
            Some(("blake3", hex)) => Ok(ContentId::File(hex.parse()?)),
            Some(("blake3-tree", hex)) => Ok(ContentId::Tree(hex.parse()?)),
            _ => Err(ParseContentIdError::Algorithm),
        }
    }
}

/// What is recorded of an output's contents, in pointers, locks and root records alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentInfo {
    /// The name of the contents.
    pub id: ContentId,
    /// Bytes; of a directory the sum of its files.
    pub size: u64,
    /// Number of files; of a directory only.
    pub nfiles: Option<u64>,
    /// Whether the owner may execute it; always false for a directory.
    pub executable: bool,
}
