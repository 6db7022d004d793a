//! The names of objects on a remote, printed and parsed.
//!
//! ```text
//! pk/<hh>/<id64>                     pack
//! rt/<client16>-<seq16>-<id16>       root record
//! gc/m-<id32><rand16>                mark
//! gc/h-<hash64>-<pack16>             note of damage
//! gc/f-<project32>-<rand16>          a project that is about to be forgotten
//! ```
//! All digits are lower-case hex of the fixed width. Index segments (`ix/…`) are named by
//! [`crate::pack::segment`], whose fields the name repeats. A name of another shape is not
//! mlv's and is left alone.

use std::fmt;

use crate::model::digest::{Digest, PackId};
use crate::pack::segment::SegmentName;
use crate::remote::backend::Key;

/// The key of the object that says what the remote is.
pub const FORMAT_KEY: &str = "mlv-remote";
/// What the keys of packs start with.
pub const PACKS: &str = "pk/";
/// What the keys of index segments start with.
pub const SEGMENTS: &str = "ix/";
/// What the keys of root records start with.
pub const ROOTS: &str = "rt/";
/// What the keys of marks and notes start with.
pub const COLLECTION: &str = "gc/";

/// Declares a number that is written as lower-case hex of its full width.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $number:ty, $width:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $number);

        impl $name {
            /// Parses exactly the digits that `Display` prints.
            pub fn parse(text: &str) -> Option<$name> {
                let hex = text.len() == $width && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                if hex { <$number>::from_str_radix(text, 16).ok().map($name) } else { None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $width, "x}"), self.0)
            }
        }
    };
}

hex_id!(
    /// Names one clone of a project towards a remote; random.
    ClientId, u64, 16
);
hex_id!(
    /// Names a project across its clones; random, from `.mlv/config.toml`.
    ProjectId, u128, 32
);
impl ProjectId {
    /// No project's: records under it are pins, which no project ages.
    pub const PINS: ProjectId = ProjectId(0);
}

hex_id!(
    /// Names a remote; random, made when the remote is.
    RepoId, u128, 32
);
hex_id!(
    /// The random part that makes a name unique.
    Nonce, u64, 16
);
hex_id!(
    /// The first 16 bytes of a digest.
    ShortId, u128, 32
);

impl ShortId {
    /// The start of `digest`.
    pub fn of(digest: Digest) -> ShortId {
        let (start, _) = digest.as_bytes().split_at(16);
        ShortId(start.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte)))
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).expect("mlv's own names are keys: lower-case hex, letters, `/` and `-`, under 200 bytes")
}

/// The key of a pack.
pub fn pack_key(id: PackId) -> Key {
    let hex = id.to_string();
    key(&format!("{PACKS}{}/{hex}", &hex[..2]))
}

/// The pack that `key` names, if it is a pack's.
pub fn parse_pack_key(key: &Key) -> Option<PackId> {
    let (fan, hex) = key.as_str().strip_prefix(PACKS)?.split_once('/')?;
    let id: PackId = hex.parse().ok()?;
    (fan == &hex[..2]).then_some(id)
}

/// The key of an index segment.
pub fn segment_key(name: &SegmentName) -> Key {
    key(&format!("{SEGMENTS}{name}"))
}

/// The segment that `key` names, if it is a segment's.
pub fn parse_segment_key(key: &Key) -> Option<SegmentName> {
    SegmentName::parse(key.as_str().strip_prefix(SEGMENTS)?)
}

/// The key of the object that says what the remote is.
pub fn format_key() -> Key {
    key(FORMAT_KEY)
}

/// The name of a root record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootRecordName {
    /// Whose record it is.
    pub client: ClientId,
    /// Its number among this client's; a higher one implies all lower ones.
    pub seq: u64,
    /// The first 8 bytes of its hash.
    pub id: u64,
}

impl RootRecordName {
    /// What the keys of this client's records start with.
    pub fn prefix(client: ClientId) -> String {
        format!("{ROOTS}{client}-")
    }

    /// The name as a key.
    pub fn key(self) -> Key {
        key(&format!("{ROOTS}{}-{}-{}", self.client, Nonce(self.seq), Nonce(self.id)))
    }

    /// The record that `key` names, if it is a record's.
    pub fn parse(key: &Key) -> Option<RootRecordName> {
        let mut parts = key.as_str().strip_prefix(ROOTS)?.split('-');
        let client = ClientId::parse(parts.next()?)?;
        let Nonce(seq) = Nonce::parse(parts.next()?)?;
        let Nonce(id) = Nonce::parse(parts.next()?)?;
        parts.next().is_none().then_some(RootRecordName { client, seq, id })
    }
}

/// The name of a mark: the list of packs that a collector is about to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkName {
    /// The start of the mark's hash.
    pub id: ShortId,
    /// Makes the name unique.
    pub nonce: Nonce,
}

/// The name of a note: content that somebody found damaged or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteName {
    /// The hash of the record.
    pub hash: Digest,
    /// Makes the name unique.
    pub nonce: Nonce,
}

/// The name of the announcement that what a project pushed will count no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForgetName {
    /// The project.
    pub project: ProjectId,
    /// Makes the name unique.
    pub nonce: Nonce,
}

impl ForgetName {
    /// The name as a key.
    pub fn key(self) -> Key {
        key(&format!("{COLLECTION}f-{}-{}", self.project, self.nonce))
    }
}

impl fmt::Display for MarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m-{}{}", self.id, self.nonce)
    }
}

impl MarkName {
    /// Reads exactly what `Display` prints.
    pub fn parse(text: &str) -> Option<MarkName> {
        let (id, nonce) = text.strip_prefix("m-")?.split_at_checked(32)?;
        Some(MarkName { id: ShortId::parse(id)?, nonce: Nonce::parse(nonce)? })
    }

    /// The name as a key.
    pub fn key(self) -> Key {
        key(&format!("{COLLECTION}{self}"))
    }
}

impl NoteName {
    /// The name as a key.
    pub fn key(self) -> Key {
        key(&format!("{COLLECTION}h-{}-{}", self.hash, self.nonce))
    }
}

/// What a key below `gc/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionName {
    /// A mark.
    Mark(MarkName),
    /// A note of damage.
    Note(NoteName),
    /// A project that is about to be forgotten.
    Forget(ForgetName),
}

impl CollectionName {
    /// What `key` names, if that is one of these.
    pub fn parse(key: &Key) -> Option<CollectionName> {
        let name = key.as_str().strip_prefix(COLLECTION)?;
        if let Some(digits) = name.strip_prefix("m-") {
            let (id, nonce) = digits.split_at_checked(32)?;
            return Some(CollectionName::Mark(MarkName {
                id: ShortId::parse(id)?,
                nonce: Nonce::parse(nonce)?,
            }));
        }
        if let Some(digits) = name.strip_prefix("f-") {
            let (project, nonce) = digits.split_once('-')?;
            let (project, nonce) = (ProjectId::parse(project)?, Nonce::parse(nonce)?);
            return Some(CollectionName::Forget(ForgetName { project, nonce }));
        }
        let (hash, nonce) = name.strip_prefix("h-")?.split_once('-')?;
        Some(CollectionName::Note(NoteName { hash: hash.parse().ok()?, nonce: Nonce::parse(nonce)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_as_keys() {
        let digest = Digest::of(b"x");
        let pack = pack_key(PackId(digest));
        assert_eq!(parse_pack_key(&pack), Some(PackId(digest)));
        let root = RootRecordName { client: ClientId(0x0011_2233_4455_66ff), seq: 7, id: 1 };
        assert_eq!(root.key().as_str(), "rt/00112233445566ff-0000000000000007-0000000000000001");
        assert_eq!(RootRecordName::parse(&root.key()), Some(root));
        assert!(root.key().as_str().starts_with(&RootRecordName::prefix(root.client)));
        let mark = MarkName { id: ShortId::of(digest), nonce: Nonce(3) };
        assert_eq!(CollectionName::parse(&mark.key()), Some(CollectionName::Mark(mark)));
        let note = NoteName { hash: digest, nonce: Nonce(4) };
        assert_eq!(CollectionName::parse(&note.key()), Some(CollectionName::Note(note)));
        let forget = ForgetName { project: ProjectId(7), nonce: Nonce(5) };
        assert_eq!(CollectionName::parse(&forget.key()), Some(CollectionName::Forget(forget)));
        assert_eq!(format_key().as_str(), "mlv-remote");
    }

    #[test]
    fn other_shapes_are_not_ours() {
        let digest = Digest::of(b"x");
        for text in [
            format!("pk/00/{digest}"),
            format!("pk/{digest}"),
            "rt/00112233445566ff-7-1".to_owned(),
            "rt/00112233445566ff-0000000000000007-0000000000000001-0".to_owned(),
            "gc/m-00".to_owned(),
            format!("gc/h-{digest}"),
            format!("gc/x-{digest}"),
            "gc/f-00-0000000000000001".to_owned(),
        ] {
            let key = Key::parse(&text).expect("a key");
            assert_eq!(parse_pack_key(&key), None, "{text}");
            assert_eq!(RootRecordName::parse(&key), None, "{text}");
            assert_eq!(CollectionName::parse(&key), None, "{text}");
        }
    }
}
