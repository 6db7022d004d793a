//! Reads segments, on the bytes as they came.

use std::ops::Range;

use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::Error;
use crate::pack::format::{self, Codec, MAX_PACK, array, is_zero, u16_at, u32_at, u64_at};
use crate::pack::segment::layout::{
    ENTRY, FOOTER, HEADER, MAGIC, MAX_ENTRIES, MAX_FAN_OUT_BITS, MAX_SEGMENT, NAME, PACK, VERSION, bucket,
    footer, in_prefix, rows_start,
};
use crate::pack::segment::{SegmentId, SegmentName};

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The pack.
    pub pack: PackId,
    /// Bytes of that pack.
    pub pack_len: u64,
    /// The record's header starts here.
    pub offset: u32,
    /// Bytes behind the header.
    pub stored_len: u32,
    /// Bytes after decompression.
    pub raw_len: u32,
    /// How the bytes are stored.
    pub codec: Codec,
}

impl Location {
    /// The bytes of the pack that the record fills, with its header.
    pub fn range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + format::RECORD_LEN as u64 + u64::from(self.stored_len)
    }
}

/// A segment as it was read: its bytes, and where its parts start.
pub struct Segment {
    bytes: Vec<u8>,
    tier: u8,
    bits: u8,
    k: u8,
    prefix: u32,
    rows: usize,
    packs: usize,
    superseded: usize,
}

impl Segment {
    /// Checks every rule of the format: checksums, order, numbers within their bounds, fan-out.
    pub fn parse(bytes: Vec<u8>) -> Result<Segment, Error> {
        if bytes.len() as u64 > MAX_SEGMENT {
            let found = bytes.len() as u64;
            return Err(Error::Limit { what: "bytes of an index segment", limit: MAX_SEGMENT, found });
        }
        if bytes.len() < HEADER + FOOTER || &bytes[..8] != MAGIC {
            return Err(Error::segment("it does not start as one"));
        }
        let version = u16_at(&bytes, 8);
        if version != VERSION {
            return Err(Error::Version { what: "index segment", version: version.into() });
        }
        let segment = Segment {
            tier: bytes[10],
            bits: bytes[11],
            k: bytes[12],
            prefix: u32_at(&bytes, 16),
            rows: u32_at(&bytes, 20) as usize,
            packs: u32_at(&bytes, 24) as usize,
            superseded: u32_at(&bytes, 28) as usize,
            bytes,
        };
        segment.check_header()?;
        segment.check_footer()?;
        segment.check_rows()?;
        segment.check_packs()?;
        Ok(segment)
    }

    fn check_header(&self) -> Result<(), Error> {
        let reserved = is_zero(&self.bytes[13..16]) && is_zero(&self.bytes[32..HEADER]);
        let outside = u64::from(self.prefix) << self.bits.min(32) & 0xffff_ffff;
        let numbers = self.k <= MAX_FAN_OUT_BITS
            && self.bits <= 32
            && outside == 0
            && (1..=MAX_ENTRIES).contains(&self.rows)
            && (1..=self.rows).contains(&self.packs)
            && self.superseded <= MAX_ENTRIES;
        if !reserved || !numbers {
            return Err(Error::segment("the numbers of its header are impossible"));
        }
        if self.names_start() + self.superseded * NAME + FOOTER != self.bytes.len() {
            return Err(Error::segment("it has another length than its header gives"));
        }
        Ok(())
    }

    fn check_footer(&self) -> Result<(), Error> {
        let end = self.bytes.len() - FOOTER;
        let right = footer(&self.bytes[..end], rows_start(self.k), self.rows, self.packs);
        if right == self.bytes[end..] { Ok(()) } else { Err(Error::segment("a checksum is wrong")) }
    }

    fn check_rows(&self) -> Result<(), Error> {
        let mut counts = vec![0u32; (1 << self.k) + 1];
        let mut used = vec![false; self.packs];
        let mut last: Option<(RecordKey, u32)> = None;
        for at in 0..self.rows {
            let row = self.row(at);
            let hash = Digest::from_bytes(array(row, 0));
            let entry = format::entry(
                hash,
                (row[48], row[49]),
                u32_at(row, 36),
                (u32_at(row, 40), u32_at(row, 44)),
                0,
            )?;
            let pack = u32_at(row, 32);
            let here = Some((entry.key, pack));
            let inside = self.packs > pack as usize
                && in_prefix(hash, self.bits, self.prefix)
                && entry.offset >= format::HEADER_LEN as u32
                && entry.end() <= self.pack_len(pack);
            if last >= here || !inside || !is_zero(&row[50..]) {
                return Err(Error::segment("an entry is out of order or out of bounds"));
            }
            used[pack as usize] = true;
            counts[bucket(hash, self.bits, self.k) + 1] += 1;
            last = here;
        }
        let mut sum = 0;
        for (at, count) in counts.iter().enumerate() {
            sum += count;
            if self.fan_out(at) != sum as usize {
                return Err(Error::segment("its fan-out is wrong"));
            }
        }
        if used.contains(&false) { Err(Error::segment("it names a pack without a record")) } else { Ok(()) }
    }

    fn check_packs(&self) -> Result<(), Error> {
        let ids: Vec<_> = self.packs().collect();
        let rising = ids.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let fit = ids.iter().all(|(_, len)| *len <= MAX_PACK);
        let names: Vec<_> = self.superseded().collect();
        if rising && fit && names.is_sorted_by(|a, b| a < b) {
            Ok(())
        } else {
            Err(Error::segment("its packs or superseded segments are out of order"))
        }
    }

    fn row(&self, at: usize) -> &[u8] {
        let start = rows_start(self.k) + at * ENTRY;
        &self.bytes[start..start + ENTRY]
    }

    fn fan_out(&self, at: usize) -> usize {
        u32_at(&self.bytes, HEADER + 4 * at) as usize
    }

    fn packs_start(&self) -> usize {
        rows_start(self.k) + self.rows * ENTRY
    }

    fn names_start(&self) -> usize {
        self.packs_start() + self.packs * PACK
    }

    fn pack_len(&self, number: u32) -> u64 {
        u64_at(&self.bytes, self.packs_start() + number as usize * PACK + 32)
    }

    fn location(&self, at: usize) -> (RecordKey, Location) {
        let row = self.row(at);
        let pack_at = self.packs_start() + u32_at(row, 32) as usize * PACK;
        let kind = RecordKind::from_byte(row[48]).unwrap_or(RecordKind::File);
        let location = Location {
            pack: PackId(Digest::from_bytes(array(&self.bytes, pack_at))),
            pack_len: u64_at(&self.bytes, pack_at + 32),
            offset: u32_at(row, 36),
            stored_len: u32_at(row, 40),
            raw_len: u32_at(row, 44),
            codec: Codec::from_byte(row[49]).unwrap_or(Codec::Raw),
        };
        (RecordKey { hash: Digest::from_bytes(array(row, 0)), kind }, location)
    }

    /// The rows whose hash is `hash`.
    fn rows_of(&self, hash: Digest) -> Range<usize> {
        if !in_prefix(hash, self.bits, self.prefix) {
            return 0..0;
        }
        let bucket = bucket(hash, self.bits, self.k);
        let (mut low, mut high) = (self.fan_out(bucket), self.fan_out(bucket + 1));
        let end = high;
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle)[..32] < hash.as_bytes()[..] { low = middle + 1 } else { high = middle }
        }
        let same = (low..end).take_while(|&at| self.row(at)[..32] == hash.as_bytes()[..]).count();
        low..low + same
    }

    /// The hash of the entry at position `at`, which is below [`len`](Self::len).
    pub fn hash_at(&self, at: usize) -> &[u8] {
        &self.row(at)[..32]
    }

    /// The entry at position `at`: its key, the number of its pack in the order of
    /// [`packs`](Self::packs), and its location.
    pub fn entry_at(&self, at: usize) -> (RecordKey, u32, Location) {
        let (key, location) = self.location(at);
        (key, u32_at(self.row(at), 32), location)
    }

    /// The positions of the entries with this hash.
    pub fn positions(&self, hash: Digest) -> Range<usize> {
        self.rows_of(hash)
    }

    /// Where records that serve for `key` lie: several, if several packs hold one.
    pub fn find(&self, key: RecordKey) -> impl Iterator<Item = Location> + '_ {
        self.rows_of(key.hash)
            .map(|at| self.location(at))
            .filter(move |(found, _)| crate::pack::reader::serves(*found, key))
            .map(|(_, location)| location)
    }

    /// Whether a record that serves for `key` is listed.
    pub fn contains(&self, key: RecordKey) -> bool {
        self.find(key).next().is_some()
    }

    /// All records, sorted by hash, type and pack.
    pub fn iter(&self) -> impl Iterator<Item = (RecordKey, Location)> + '_ {
        (0..self.rows).map(|at| self.location(at))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Never: a segment has at least one entry.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The packs and their lengths in bytes, rising by id.
    pub fn packs(&self) -> impl Iterator<Item = (PackId, u64)> + '_ {
        (0..self.packs).map(|number| {
            let at = self.packs_start() + number * PACK;
            (PackId(Digest::from_bytes(array(&self.bytes, at))), self.pack_len(number as u32))
        })
    }

    /// The segments that this one was merged from.
    pub fn superseded(&self) -> impl Iterator<Item = SegmentId> + '_ {
        (0..self.superseded).map(|at| SegmentId(array(&self.bytes, self.names_start() + at * NAME)))
    }

    /// The tier, the number of shared leading bits, and those bits left-aligned.
    pub fn range(&self) -> (u8, u8, u32) {
        (self.tier, self.bits, self.prefix)
    }

    /// Whether `name` is a name of this segment.
    pub fn has_name(&self, name: &SegmentName) -> bool {
        let footer = &self.bytes[self.bytes.len() - FOOTER..];
        (name.tier, name.bits, name.prefix) == self.range()
            && name.count as usize == self.rows
            && name.id.is_of(footer)
    }

    /// The bytes, as stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
