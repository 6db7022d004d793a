//! Where things lie in a cache, and its marker (docs/formats.md, "Local cache").

use crate::fs::dir::Dir;
use crate::fs::{self, atomic};
use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::pack::segment::SegmentName;
use crate::store::Error;

/// The marker's name.
pub(super) const MARKER: &str = "mlv-cache";
/// Where operations build what they store.
pub(super) const STAGE: &str = "stage";
/// Packs.
pub(super) const PACKS: &str = "pk";
/// Index segments.
pub(super) const SEGMENTS: &str = "ix";
/// What turned out to be damaged.
pub(super) const BAD: &str = "bad";

const TAG: &str = "CACHEDIR.TAG";
/// <https://bford.info/cachedir/>: backup programs leave such folders out.
const TAG_TEXT: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# The cache of mlv: made again by `mlv fetch`, as far as it was pushed.\n";

const IGNORE: &str = ".gitignore";
/// Everything, itself included. The cache of linked work trees lies in the main one, where a branch
/// without mlv may be checked out, and nothing else says that it is not for git.
const IGNORE_TEXT: &[u8] = b"*\n";

/// The folder that loose records of this kind lie in.
pub(super) fn folder(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::File | RecordKind::Chunk => "objects",
        RecordKind::Recipe | RecordKind::TreePage => "pages",
        RecordKind::RunRecord => "runs",
    }
}

/// `objects/<hh>/<62 hex>`
pub(super) fn loose_path(key: RecordKey) -> RepoPath {
    let hex = key.hash.to_string();
    RepoPath::own(&format!("{}/{}/{}", folder(key.kind), &hex[..2], &hex[2..]))
}

/// `pk/<hh>/<id>`
pub(super) fn pack_path(id: PackId) -> RepoPath {
    let hex = id.to_string();
    RepoPath::own(&format!("{PACKS}/{}/{hex}", &hex[..2]))
}

/// `ix/<name>`
pub(super) fn segment_path(name: &SegmentName) -> RepoPath {
    RepoPath::own(&format!("{SEGMENTS}/{name}"))
}

/// `bad/<pack id>-<offset>`: the note that one record of a pack is damaged.
pub(super) fn bad_note(pack: PackId, offset: u32) -> RepoPath {
    RepoPath::own(&format!("{BAD}/{pack}-{offset:08x}"))
}

/// What such a note says.
pub(super) fn parse_bad_note(name: &str) -> Option<(PackId, u32)> {
    let (pack, offset) = name.split_once('-')?;
    let offset = (offset.len() == 8).then(|| u32::from_str_radix(offset, 16).ok())??;
    Some((PackId(pack.parse::<Digest>().ok()?), offset))
}

/// Who may use the cache, and so with which permission bits its files are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// One user: files 0444, folders 0755.
    Own,
    /// A group: files 0440, folders 2775.
    Group,
}

impl Trust {
    /// Permission bits of files.
    pub(super) fn file_mode(self) -> u32 {
        match self {
            Trust::Own => 0o444,
            Trust::Group => 0o440,
        }
    }

    /// Permission bits of folders.
    pub(super) fn dir_mode(self) -> u32 {
        match self {
            Trust::Own => 0o755,
            Trust::Group => 0o2775,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Trust::Own => "self",
            Trust::Group => "group",
        }
    }
}

/// The marker's fields.
#[derive(serde::Deserialize)]
struct Marker<'a> {
    version: u64,
    hash: &'a str,
    trust: &'a str,
}

/// Reads the marker; nothing if there is none yet. One that is not understood is refused.
pub(super) fn read_marker(dir: &Dir) -> Result<Option<Trust>, Error> {
    let path = RepoPath::own(MARKER);
    let bytes = match dir.read_file(&path, 4096) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Ok(marker) = serde_json::from_slice::<Marker<'_>>(&bytes) else {
        return Err(Error::DamagedMarker { path: dir.full(&path) });
    };
    if marker.version != 1 {
        return Err(Error::UnknownCache { path: dir.full(&path) });
    }
    // Version 1 never had other words.
    let trust = [Trust::Own, Trust::Group].into_iter().find(|trust| trust.word() == marker.trust);
    match trust.filter(|_| marker.hash == "blake3") {
        Some(trust) => Ok(Some(trust)),
        None => Err(Error::DamagedMarker { path: dir.full(&path) }),
    }
}

/// Writes the marker, the tag and the ignore file of a new cache.
pub(super) fn write_marker(dir: &Dir, trust: Trust) -> Result<(), fs::Error> {
    atomic::write(dir, &RepoPath::own(TAG), TAG_TEXT, Some(trust.file_mode()))?;
    atomic::write(dir, &RepoPath::own(IGNORE), IGNORE_TEXT, Some(trust.file_mode()))?;
    let text = format!("{{\"version\":1,\"hash\":\"blake3\",\"trust\":\"{}\"}}\n", trust.word());
    atomic::write(dir, &RepoPath::own(MARKER), text.as_bytes(), Some(trust.file_mode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_round_trip_and_unknown_ones_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        assert_eq!(read_marker(&dir).unwrap(), None);
        for trust in [Trust::Own, Trust::Group] {
            write_marker(&dir, trust).unwrap();
            assert_eq!(read_marker(&dir).unwrap(), Some(trust));
        }
        let newer = "{\"version\":2,\"hash\":\"md5\",\"trust\":\"self\"}";
        std::fs::write(root.path().join(MARKER), newer).unwrap();
        assert!(matches!(read_marker(&dir), Err(Error::UnknownCache { .. })));
        let words = [
            "{\"version\":1,\"hash\":\"clake3\",\"trust\":\"self\"}",
            "{\"version\":1,\"hash\":\"blake3\",\"trust\":\"felf\"}",
        ];
        for text in ["", "{}", "\0\0\0"].into_iter().chain(words) {
            std::fs::write(root.path().join(MARKER), text).unwrap();
            assert!(matches!(read_marker(&dir), Err(Error::DamagedMarker { .. })), "{text}");
        }
    }

    #[test]
    fn notes_on_damage_round_trip() {
        let pack = PackId(Digest::of(b"pack"));
        let note = bad_note(pack, 0xab_cdef);
        assert_eq!(parse_bad_note(note.file_name()), Some((pack, 0xab_cdef)));
        assert_eq!(parse_bad_note("x-00000000"), None);
    }
}
