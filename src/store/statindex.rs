//! What every file's bytes hashed to when they were last looked at: the stat index.
//!
//! One flat sorted file, in the order of walks and trees, so that `status` is a merge of two
//! sorted lists. A hint and nothing more (R10): an unreadable index is an empty one, of two
//! writers the last wins, and a hit saves reading and hashing, never the question whether the
//! cache holds the object.
//!
//! ```text
//! header  64 B : "MLVSTIX1" | u16 version | u16 0 | u32 entries between restarts | u64 entries
//!                | u64 bytes of all entries | rsv[32]                      (little-endian)
//! entry        : u16 bytes in common with the path before | u16 rest_len | rest | u8 kind
//!                | u64 inode | u64 dev | u64 size | i64 mtime | i64 ctime | hash[32]
//! restarts     : u64 each; the offset of every 64th entry, whose path stands in full
//! trailer 32 B : BLAKE3 of all before
//! ```
//! kind: 0 file, 1 executable file, 2 symlink. Times in ns since the epoch.
//!
//! **When an entry is trusted.** Kind, inode, size, mtime and, for a file with one link, ctime
//! are as recorded; *and* both times lie before the index file's own mtime by more than the
//! granularity of the file system's clock. A file that changes twice within one tick of that
//! clock looks the same after as between: its entry is "racily clean" and its bytes are read
//! again. The index's mtime comes from the same clock, so a wrong clock costs time only (R22).
//! An entry that is racy when the index is replaced is left out of the new one: the new mtime
//! would make it look safe.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::fs;
use crate::fs::dir::Dir;
use crate::fs::stamp::{FileKind, FileStamp};
use crate::model::digest::Digest;
use crate::model::path::RepoPath;

const MAGIC: &[u8; 8] = b"MLVSTIX1";
const VERSION: u16 = 1;
const HEADER: usize = 64;
const RESTART: usize = 64;
/// Bytes of an entry after its path.
const RECORD: usize = 1 + 5 * 8 + Digest::LEN;
/// 50 M entries of 160 bytes.
const MAX_SIZE: u64 = 8 << 30;

/// What a header says of the file that it starts.
struct Lengths {
    count: usize,
    entries_end: usize,
    /// Bytes of the whole file.
    file: usize,
}

impl Lengths {
    fn of(header: &[u8; HEADER]) -> Option<Lengths> {
        let u64_at = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let is_known = header.starts_with(MAGIC)
            && header[8..12] == [VERSION.to_le_bytes(), [0; 2]].concat()
            && header[12..16] == (RESTART as u32).to_le_bytes();
        if !is_known {
            return None;
        }
        let count = usize::try_from(u64_at(16)?).ok()?;
        let entries_end = usize::try_from(u64_at(24)?).ok()?.checked_add(HEADER)?;
        let restarts_end = entries_end.checked_add(count.div_ceil(RESTART).checked_mul(8)?)?;
        Some(Lengths { count, entries_end, file: restarts_end.checked_add(Digest::LEN)? })
    }
}

/// Stamps and hashes by path, as they were when the index was written.
#[derive(Debug, Default)]
pub struct StatIndex {
    bytes: Vec<u8>,
    count: usize,
    entries_end: usize,
    /// Stamps at or after this are racy: the index's mtime less the clock's granularity.
    horizon_ns: i64,
}

impl StatIndex {
    /// Reads the index at `path` of `dir`; one that is missing or damaged is empty.
    pub fn load(dir: &Dir, path: &RepoPath) -> StatIndex {
        StatIndex::try_load(dir, path).unwrap_or_default()
    }

    fn try_load(dir: &Dir, path: &RepoPath) -> Option<StatIndex> {
        use std::io::Read;
        let (mut file, stamp) = dir.open_file_stamped(path).ok()?;
        if stamp.size > MAX_SIZE {
            return None;
        }
        // The header first: a file that is not an index may have any size.
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let lengths = Lengths::of(&header)?;
        if stamp.size != lengths.file as u64 {
            return None;
        }
        let mut bytes = Vec::with_capacity(lengths.file + 1);
        bytes.extend_from_slice(&header);
        file.read_to_end(&mut bytes).ok()?;
        let mut index = StatIndex::parse(bytes)?;
        // A clock that shows whole seconds only (ext3, HFS+) is coarse whatever its name says.
        let is_coarse = stamp.mtime_ns % 1_000_000_000 == 0;
        let granularity = if is_coarse { fs::stamp::COARSE_NS } else { fs::stamp::granularity_ns(dir) };
        index.horizon_ns = stamp.mtime_ns.saturating_sub(granularity);
        Some(index)
    }

    /// Checks lengths and checksum. What stands between them is checked as it is read.
    fn parse(bytes: Vec<u8>) -> Option<StatIndex> {
        let Lengths { count, entries_end, file } = Lengths::of(bytes.first_chunk()?)?;
        let (body, sum) = bytes.split_at_checked(file.checked_sub(Digest::LEN)?)?;
        (sum == Digest::of(body).as_bytes()).then_some(())?;
        Some(StatIndex { count, entries_end, bytes, horizon_ns: i64::MIN })
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The hash of the file at `path` (from the work tree's root), if its stamp proves it.
    pub fn lookup(&self, path: &str, stamp: &FileStamp) -> Option<Digest> {
        self.below("").at(path, stamp)
    }

    /// Answers for paths below `base` (an output's path, or empty), asked in rising order.
    pub fn below<'i>(&'i self, base: &str) -> Lookups<'i> {
        let mut wanted = base.as_bytes().to_vec();
        if !base.is_empty() {
            wanted.push(b'/');
        }
        Lookups { index: self, base: wanted.len(), wanted, reader: None }
    }

    /// A reader at the last restart whose path is not after `path`.
    fn restart_before(&self, path: &[u8]) -> Reader<'_> {
        let (mut low, mut high) = (0, self.count.div_ceil(RESTART));
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            match self.restart_path(middle) {
                Some(first) if first <= path => low = middle,
                _ => high = middle,
            }
        }
        Reader::at(self, if low == 0 { HEADER } else { self.restart_offset(low).unwrap_or(self.entries_end) })
    }

    fn restart_offset(&self, number: usize) -> Option<usize> {
        let at = self.entries_end.checked_add(number.checked_mul(8)?)?;
        let offset = u64::from_le_bytes(self.bytes.get(at..at + 8)?.try_into().ok()?);
        usize::try_from(offset).ok().filter(|offset| (HEADER..self.entries_end).contains(offset))
    }

    fn restart_path(&self, number: usize) -> Option<&[u8]> {
        let offset = self.restart_offset(number)?;
        let len = u16::from_le_bytes(self.bytes.get(offset + 2..offset + 4)?.try_into().ok()?);
        self.bytes.get(offset + 4..offset + 4 + usize::from(len))
    }

    fn is_racy(&self, record: &Record) -> bool {
        record.mtime_ns.max(record.ctime_ns) >= self.horizon_ns
    }
}

/// What is recorded of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    kind: u8,
    inode: u64,
    dev: u64,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    hash: Digest,
}

impl Record {
    /// Nothing for what the index does not hold: folders, devices.
    fn new(stamp: &FileStamp, hash: Digest) -> Option<Record> {
        let FileStamp { dev, inode, size, mtime_ns, ctime_ns, .. } = *stamp;
        Some(Record { kind: kind_of(stamp)?, inode, dev, size, mtime_ns, ctime_ns, hash })
    }

    fn fits(&self, stamp: &FileStamp) -> bool {
        // Making a hard link changes the ctime of all, so it tells only of a file with one.
        // Device numbers change with a reboot.
        Some(self.kind) == kind_of(stamp)
            && self.inode == stamp.inode
            && self.size == stamp.size
            && self.mtime_ns == stamp.mtime_ns
            && (stamp.nlink != 1 || self.ctime_ns == stamp.ctime_ns)
    }

    fn encode(&self) -> [u8; RECORD] {
        let Record { kind, inode, dev, size, mtime_ns, ctime_ns, hash } = self;
        let mut bytes = [0; RECORD];
        bytes[0] = *kind;
        let numbers = [*inode, *dev, *size, mtime_ns.cast_unsigned(), ctime_ns.cast_unsigned()];
        for (number, eight) in numbers.iter().zip(bytes[1..].chunks_exact_mut(8)) {
            eight.copy_from_slice(&number.to_le_bytes());
        }
        bytes[RECORD - Digest::LEN..].copy_from_slice(hash.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8; RECORD]) -> Record {
        let number = |index: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[1 + 8 * index..9 + 8 * index]);
            eight
        };
        let mut hash = [0; Digest::LEN];
        hash.copy_from_slice(&bytes[RECORD - Digest::LEN..]);
        Record {
            kind: bytes[0],
            inode: u64::from_le_bytes(number(0)),
            dev: u64::from_le_bytes(number(1)),
            size: u64::from_le_bytes(number(2)),
            mtime_ns: i64::from_le_bytes(number(3)),
            ctime_ns: i64::from_le_bytes(number(4)),
            hash: Digest::from_bytes(hash),
        }
    }
}

fn kind_of(stamp: &FileStamp) -> Option<u8> {
    match stamp.kind {
        FileKind::File => Some(u8::from(stamp.mode_x)),
        FileKind::Symlink => Some(2),
        _ => None,
    }
}

/// Reads entries one after the other.
#[derive(Debug)]
struct Reader<'i> {
    index: &'i StatIndex,
    offset: usize,
    /// The path of the entry read last.
    path: Vec<u8>,
    record: Option<Record>,
}

impl<'i> Reader<'i> {
    fn start(index: &'i StatIndex) -> Reader<'i> {
        Reader::at(index, HEADER)
    }

    fn at(index: &'i StatIndex, offset: usize) -> Reader<'i> {
        Reader { index, offset, path: Vec::new(), record: None }
    }

    /// Reads the next entry; false at the end, or where the bytes make no sense.
    fn advance(&mut self) -> bool {
        self.record = self.read();
        self.record.is_some()
    }

    fn read(&mut self) -> Option<Record> {
        let bytes = self.index.bytes.get(self.offset..self.index.entries_end)?;
        let (lengths, bytes) = bytes.split_first_chunk::<4>()?;
        let shared = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
        let rest = usize::from(u16::from_le_bytes([lengths[2], lengths[3]]));
        let (rest, bytes) = bytes.split_at_checked(rest)?;
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        self.path.extend_from_slice(rest);
        let record = bytes.first_chunk::<RECORD>()?;
        self.offset += 4 + rest.len() + RECORD;
        Some(Record::decode(record))
    }
}

/// Answers questions in rising order of path, each entry being read once.
#[derive(Debug)]
pub struct Lookups<'i> {
    index: &'i StatIndex,
    /// The base with its slash, and after it the path asked for last.
    wanted: Vec<u8>,
    base: usize,
    /// Set at the first question, where that falls.
    reader: Option<Reader<'i>>,
}

impl Lookups<'_> {
    /// The hash of the file at `path` below the base, if its stamp proves it.
    ///
    /// A path that is not after the one before may be answered "unknown".
    pub fn at(&mut self, path: &str, stamp: &FileStamp) -> Option<Digest> {
        self.wanted.truncate(self.base);
        self.wanted.extend_from_slice(path.as_bytes());
        let reader = self.reader.get_or_insert_with(|| {
            let mut reader = self.index.restart_before(&self.wanted);
            reader.advance();
            reader
        });
        while reader.record.is_some() && reader.path < self.wanted {
            reader.advance();
        }
        let record = reader.record.as_ref().filter(|_| reader.path == self.wanted)?;
        (record.fits(stamp) && !self.index.is_racy(record)).then_some(record.hash)
    }
}

/// Whether a stamp taken from a file before its bytes were read stands for these bytes.
///
/// `before_ns` is the time just before the file was opened ([`now_ns`]). Without this, a file
/// that is hashed and changed again within the tick of its last change would look unchanged.
pub fn is_settled(stamp: &FileStamp, before_ns: i64, granularity_ns: i64) -> bool {
    stamp.mtime_ns.max(stamp.ctime_ns) < before_ns.saturating_sub(granularity_ns)
}

/// This machine's time in ns since the epoch.
pub fn now_ns() -> i64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
mod update;

pub use update::StatIndexUpdate;
