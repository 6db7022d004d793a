//! The cache's packs and the segments that say what is in them.
//!
//! Everything here is advisory (R10): a segment that cannot be read is passed over, one that
//! names an absent pack is ignored for that pack, and each record is checked against its hash
//! when it is read.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::fs::dir::Dir;
use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::model::path::RepoPath;
use crate::pack::format::{HEADER_LEN, TRAILER_LEN, check_header};
use crate::pack::reader::{decode_record, read_trailer};
use crate::pack::segment::{Location, MAX_SEGMENT, Segment, SegmentId, SegmentName};
use crate::store::layout::{self, pack_path, segment_path};
use crate::store::own_packs::OwnPacks;

/// The packed records of a cache as they were at one moment.
pub(super) struct Packed {
    dir: Arc<Dir>,
    /// In the order of their names, largest tier first.
    segments: Vec<(SegmentName, Segment)>,
    /// All names that were listed, sorted.
    listing: Vec<SegmentName>,
    damaged: HashSet<(PackId, u32)>,
    absent: OnceLock<HashSet<PackId>>,
    broken: OnceLock<HashSet<PackId>>,
    own: Arc<OwnPacks>,
    files: Mutex<Vec<(PackId, Arc<OpenPack>)>>,
}

struct OpenPack {
    file: File,
    /// Whether this process wrote it, and nobody since.
    is_own: bool,
}

/// Packs held open. A run of reads is within one pack; a few threads each have theirs.
const OPEN_PACKS: usize = 32;
/// Up to so many packs are looked for one by one; of more, the 256 folders are listed.
const ONE_BY_ONE: usize = 300;
/// How often the segments are listed again when one vanished between listing and reading.
const TRIES: usize = 4;

/// Why a record could not be read from its place.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The pack is gone: the segments are out of date.
    Vanished,
    /// The bytes there are not the record.
    Damaged,
    /// The system's own failure.
    Io(io::Error),
}

impl Packed {
    /// Reads the segments of a cache.
    pub(super) fn load(dir: Arc<Dir>, own: Arc<OwnPacks>) -> Packed {
        let mut packed = Packed {
            segments: Vec::new(),
            listing: Vec::new(),
            damaged: damaged(&dir),
            absent: OnceLock::new(),
            broken: OnceLock::new(),
            own,
            files: Mutex::default(),
            dir,
        };
        for _ in 0..TRIES {
            packed.listing = list(&packed.dir);
            if packed.read_segments() {
                break;
            }
        }
        packed
    }

    /// The same as if the pack were not there.
    pub(super) fn without(mut self, id: PackId) -> Packed {
        let mut absent = self.absent().clone();
        absent.insert(id);
        self.absent = OnceLock::from(absent);
        self
    }

    /// False if a listed segment is gone: another process merged it meanwhile.
    fn read_segments(&mut self) -> bool {
        self.segments.clear();
        let mut superseded: HashSet<SegmentId> = HashSet::new();
        // Merged segments have higher tiers: they are read first and say which to leave out.
        for name in self.listing.iter().rev() {
            if superseded.contains(&name.id) {
                continue;
            }
            let bytes = match self.dir.read_file(&segment_path(name), MAX_SEGMENT) {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => return false,
                Err(_) => continue,
            };
            let Ok(segment) = Segment::parse(bytes) else { continue };
            // Only over the whole range of hashes does one segment cover what it was made from.
            if segment.range().1 == 0 {
                superseded.extend(segment.superseded());
            }
            self.segments.push((*name, segment));
        }
        true
    }

    /// Whether the folder of segments still lists what this was read from.
    pub(super) fn is_current(&self) -> bool {
        list(&self.dir) == self.listing
    }

    /// Segments that are in use, largest tier first.
    pub(super) fn segments(&self) -> &[(SegmentName, Segment)] {
        &self.segments
    }

    /// Whether a segment that is in use names the pack.
    pub(super) fn names_pack(&self, id: PackId) -> bool {
        self.segments.iter().any(|(_, segment)| segment.packs().any(|(named, _)| named == id))
    }

    /// Where the record can be read, best first.
    pub(super) fn find(&self, key: RecordKey) -> impl Iterator<Item = Location> + '_ {
        let usable = |at: &Location| !self.absent().contains(&at.pack) && !self.is_damaged(at);
        self.segments.iter().flat_map(move |(_, segment)| segment.find(key)).filter(usable)
    }

    /// Whether a record that serves is in a pack that exists and looks whole.
    pub(super) fn contains(&self, key: RecordKey) -> bool {
        self.find(key).any(|at| !self.broken().contains(&at.pack))
    }

    /// Packs that a crash of the machine left empty in part: their ends are not those of a pack, or not
    /// of this one. They are read as far as they can be, and what they hold is stored anew.
    fn broken(&self) -> &HashSet<PackId> {
        self.broken.get_or_init(|| {
            let named: HashSet<(PackId, u64)> =
                self.segments.iter().flat_map(|(_, segment)| segment.packs()).collect();
            if named.len() > ONE_BY_ONE {
                return HashSet::new();
            }
            let is_broken = |id: PackId, len: u64| {
                let ends = || {
                    let path = pack_path(id);
                    let file = self.dir.open_file(&path).ok()?;
                    let (mut header, mut trailer) = ([0; HEADER_LEN], [0; TRAILER_LEN]);
                    file.read_exact_at(&mut header, 0).ok()?;
                    file.read_exact_at(&mut trailer, len.checked_sub(TRAILER_LEN as u64)?).ok()?;
                    Some((header, trailer))
                };
                let is_whole = |(header, trailer): ([u8; HEADER_LEN], [u8; TRAILER_LEN])| {
                    check_header(&header).is_ok()
                        && read_trailer(&trailer, len).is_ok_and(|trailer| trailer.id == id)
                };
                !ends().is_some_and(is_whole)
            };
            named.into_iter().filter(|(id, len)| is_broken(*id, *len)).map(|(id, _)| id).collect()
        })
    }

    /// The records that were found damaged, as the segments call them.
    pub(super) fn damaged_records(&self) -> impl Iterator<Item = RecordKey> + '_ {
        let segments = self.segments.iter().filter(|_| !self.damaged.is_empty());
        let all = segments.flat_map(|(_, segment)| segment.iter());
        all.filter(|(_, at)| self.is_damaged(at)).map(|(key, _)| key)
    }

    fn is_damaged(&self, at: &Location) -> bool {
        !self.damaged.is_empty() && self.damaged.contains(&(at.pack, at.offset))
    }

    /// Packs that a segment names and that are not there; looked for once.
    fn absent(&self) -> &HashSet<PackId> {
        self.absent.get_or_init(|| {
            let named: HashSet<(PackId, u64)> =
                self.segments.iter().flat_map(|(_, segment)| segment.packs()).collect();
            if named.len() > ONE_BY_ONE {
                let there = list_packs(&self.dir);
                return named.into_iter().map(|(id, _)| id).filter(|id| !there.contains(id)).collect();
            }
            let is_there = |id: PackId, len: u64| {
                matches!(self.dir.stat(&pack_path(id)), Ok(Some(stamp)) if stamp.size == len)
            };
            named.into_iter().filter(|(id, len)| !is_there(*id, *len)).map(|(id, _)| id).collect()
        })
    }

    /// The verified bytes of the record at a place.
    pub(super) fn read(&self, key: RecordKey, at: &Location) -> Result<Vec<u8>, ReadError> {
        let range = at.range();
        let bytes = self.read_range(at.pack, range.start, (range.end - range.start) as usize)?;
        decode_record(&bytes, key).map(Cow::into_owned).map_err(|_| ReadError::Damaged)
    }

    /// Bytes of a pack; a pack that ends before is damaged.
    pub(super) fn read_range(&self, pack: PackId, start: u64, len: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; len];
        self.read_range_into(pack, start, &mut bytes).map(|_| bytes)
    }

    /// Fills `bytes` from a pack. Says whether this process wrote the pack and hashed what is in it.
    pub(super) fn read_range_into(
        &self,
        pack: PackId,
        start: u64,
        bytes: &mut [u8],
    ) -> Result<bool, ReadError> {
        let pack = self.open(pack)?;
        let read = pack.file.read_exact_at(bytes, start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Damaged,
            _ => ReadError::Io(error),
        });
        read.map(|()| pack.is_own)
    }

    fn open(&self, pack: PackId) -> Result<Arc<OpenPack>, ReadError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = files.iter().position(|(id, _)| *id == pack) {
            files[..=at].rotate_right(1);
            return Ok(files[0].1.clone());
        }
        let file = match self.dir.open_file(&pack_path(pack)) {
            Ok(file) => Arc::new(OpenPack { is_own: self.own.has(pack, &file), file }),
            Err(error) if error.is_not_found() => return Err(ReadError::Vanished),
            Err(crate::fs::Error::Io { source, .. }) => return Err(ReadError::Io(source)),
            Err(_) => return Err(ReadError::Damaged),
        };
        files.truncate(OPEN_PACKS - 1);
        files.insert(0, (pack, file.clone()));
        Ok(file)
    }
}

/// The names in the folder of segments, sorted.
fn list(dir: &Dir) -> Vec<SegmentName> {
    let entries = dir.read_dir(&RepoPath::own(layout::SEGMENTS)).unwrap_or_default();
    let mut names: Vec<_> = entries.iter().filter_map(|entry| SegmentName::parse(&entry.name)).collect();
    names.sort_unstable();
    names
}

/// All packs in their folders.
fn list_packs(dir: &Dir) -> HashSet<PackId> {
    let folders = dir.read_dir(&RepoPath::own(layout::PACKS)).unwrap_or_default();
    let paths = folders.iter().filter_map(|folder| RepoPath::own(layout::PACKS).join_str(&folder.name).ok());
    let ids = paths.flat_map(|path| names(dir, &path)).filter_map(|name| name.parse().ok());
    ids.map(PackId).collect()
}

/// Records of packs that were found damaged.
fn damaged(dir: &Dir) -> HashSet<(PackId, u32)> {
    let entries = dir.read_dir(&RepoPath::own(layout::BAD)).unwrap_or_default();
    entries.iter().filter_map(|entry| layout::parse_bad_note(&entry.name)).collect()
}

/// Names in a folder, for `RepoPath`s of loose records.
pub(super) fn names(dir: &Dir, folder: &RepoPath) -> Vec<String> {
    dir.read_dir(folder).unwrap_or_default().into_iter().map(|entry| entry.name).collect()
}
