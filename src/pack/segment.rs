//! Index segments: which pack holds which record (docs/formats.md, "Index segments").
//!
//! ```text
//! header  64 B : "MLVSEGM1" | u16 version | u8 tier | u8 bits | u8 k | u8[3] 0 | u32 prefix | u32 entries
//!                | u32 packs | u32 superseded | rsv[32]
//! fan-out      : (2^k + 1) x u32; [i] = entries whose k hash bits after the prefix are < i
//! entries      : 52 B each, rising by hash, type, pack: hash[32] u32 pack_no u32 offset u32 stored_len
//!                u32 raw_len u8 type u8 codec u16 0
//! packs        : 40 B each, rising by id: id[32] u64 pack_len
//! superseded   : 24 B each, sorted: the <id32><rand16> of a segment's name
//! footer 176 B : BLAKE3 of each of the five parts above | u64 segment_len | "MLVSEND1"
//! ```
//! A segment is advisory: a wrong one costs time, never data. Look-ups work on the bytes as they
//! came; nothing is unpacked, so that a segment of a million records opens in milliseconds.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::Error;
use crate::pack::format::{self, Codec, MAX_PACK, TableEntry, array, is_zero, u16_at, u32_at, u64_at};

/// Most entries of a segment; more are split by hash prefix.
pub const MAX_ENTRIES: usize = 4_194_304;
/// Largest segment that is read, in bytes.
pub const MAX_SEGMENT: u64 = 256 << 20;

const MAGIC: &[u8; 8] = b"MLVSEGM1";
const END: &[u8; 8] = b"MLVSEND1";
const VERSION: u16 = 1;
const HEADER: usize = 64;
const ENTRY: usize = 52;
const PACK: usize = 40;
const NAME: usize = 24;
const FOOTER: usize = 176;
const MAX_FAN_OUT_BITS: u8 = 13;
/// Entries of one fan-out bucket that a look-up may have to search: two cache lines of probes.
const BUCKET: usize = 32;

/// The part of a segment's name that is its own: 16 bytes of its footer's hash, 8 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub [u8; NAME]);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A segment's name: `<tier2>-<bits2>-<prefix8>-<count8>-<id32><rand16>`, lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// 0 for what one operation wrote; merging makes the next.
    pub tier: u8,
    /// How many leading hash bits all its entries share.
    pub bits: u8,
    /// Those bits, left-aligned.
    pub prefix: u32,
    /// Entries.
    pub count: u32,
    /// The segment's own part.
    pub id: SegmentId,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SegmentName { tier, bits, prefix, count, id } = self;
        write!(f, "{tier:02x}-{bits:02x}-{prefix:08x}-{count:08x}-{id}")
    }
}

impl SegmentName {
    /// Reads exactly what `Display` prints.
    pub fn parse(text: &str) -> Option<SegmentName> {
        let hex = |part: &str, len: usize| {
            let right = part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if right { u32::from_str_radix(part, 16).ok() } else { None }
        };
        let parts: Vec<&str> = text.split('-').collect();
        let [tier, bits, prefix, count, id] = parts[..] else { return None };
        if id.len() != 2 * NAME || !id.is_ascii() {
            return None;
        }
        let mut own = [0; NAME];
        for (at, byte) in own.iter_mut().enumerate() {
            *byte = u8::try_from(hex(&id[2 * at..2 * at + 2], 2)?).ok()?;
        }
        Some(SegmentName {
            tier: u8::try_from(hex(tier, 2)?).ok()?,
            bits: u8::try_from(hex(bits, 2)?).ok()?,
            prefix: hex(prefix, 8)?,
            count: hex(count, 8)?,
            id: SegmentId(own),
        })
    }
}

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

/// Collects packs and writes the segment over them.
#[derive(Default)]
pub struct SegmentBuilder {
    packs: BTreeMap<PackId, (u64, Vec<TableEntry>)>,
    superseded: Vec<SegmentId>,
}

impl SegmentBuilder {
    /// A builder without packs.
    pub fn new() -> SegmentBuilder {
        SegmentBuilder::default()
    }

    /// Adds records of a pack of `len` bytes. Adding a pack again adds to its records.
    pub fn add_pack(&mut self, id: PackId, len: u64, entries: &[TableEntry]) {
        self.packs.entry(id).or_insert((len, Vec::new())).1.extend_from_slice(entries);
    }

    /// Adds all records of `other`.
    pub fn add_segment(&mut self, other: &Segment) {
        for (key, at) in other.iter() {
            let entry = TableEntry {
                key,
                offset: at.offset,
                stored_len: at.stored_len,
                raw_len: at.raw_len,
                codec: at.codec,
                crc: 0,
            };
            self.packs.entry(at.pack).or_insert((at.pack_len, Vec::new())).1.push(entry);
        }
    }

    /// Lists a segment that this one replaces.
    pub fn supersede(&mut self, id: SegmentId) {
        self.superseded.push(id);
    }

    /// Number of records, counting one that was added twice twice.
    pub fn count(&self) -> usize {
        self.packs.values().map(|(_, entries)| entries.len()).sum()
    }

    /// As [`count`](Self::count), of the records whose hash starts with the first `bits` bits of `prefix`.
    pub fn count_in(&self, bits: u8, prefix: u32) -> usize {
        let inside = |entry: &&TableEntry| in_prefix(entry.key.hash, bits, prefix);
        self.packs.values().map(|(_, entries)| entries.iter().filter(inside).count()).sum()
    }

    /// The segment of the given tier over the records whose hash starts with the first `bits` bits of
    /// `prefix`, and the name it gets with `random`. `None` if there is no such record.
    ///
    /// Fails where there are more than [`MAX_ENTRIES`].
    pub fn build(
        &self,
        tier: u8,
        (bits, prefix): (u8, u32),
        random: [u8; 8],
    ) -> Result<Option<(SegmentName, Vec<u8>)>, Error> {
        let (packs, rows) = self.rows(bits, prefix);
        if rows.is_empty() {
            return Ok(None);
        }
        if rows.len() > MAX_ENTRIES {
            let found = rows.len() as u64;
            return Err(Error::Limit {
                what: "entries of an index segment",
                limit: MAX_ENTRIES as u64,
                found,
            });
        }
        let mut superseded = self.superseded.clone();
        superseded.sort_unstable();
        superseded.dedup();
        let fan_out_bits = fan_out_bits(rows.len());
        let mut out = Vec::with_capacity(HEADER + rows.len() * ENTRY + packs.len() * PACK + FOOTER + 64);
        let counts = (rows.len() as u32, packs.len() as u32, superseded.len() as u32);
        put_header(&mut out, (tier, bits, fan_out_bits), prefix, counts);
        put_fan_out(&mut out, &rows, bits, fan_out_bits);
        let starts = rows_start(fan_out_bits);
        for (key, pack_no, entry) in &rows {
            out.extend_from_slice(key.hash.as_bytes());
            for number in [*pack_no, entry.offset, entry.stored_len, entry.raw_len] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&[key.kind as u8, entry.codec as u8, 0, 0]);
        }
        for (id, len) in &packs {
            out.extend_from_slice(id.digest().as_bytes());
            out.extend_from_slice(&len.to_le_bytes());
        }
        for name in &superseded {
            out.extend_from_slice(&name.0);
        }
        let footer = footer(&out, starts, rows.len(), packs.len());
        out.extend_from_slice(&footer);
        let mut own = [0; NAME];
        own[..16].copy_from_slice(&Digest::of(&footer).as_bytes()[..16]);
        own[16..].copy_from_slice(&random);
        Ok(Some((SegmentName { tier, bits, prefix, count: counts.0, id: SegmentId(own) }, out)))
    }

    /// The packs with a record in the range, and the rows, sorted.
    #[allow(clippy::type_complexity)]
    fn rows(&self, bits: u8, prefix: u32) -> (Vec<(PackId, u64)>, Vec<(RecordKey, u32, &TableEntry)>) {
        let mut packs = Vec::new();
        let mut rows = Vec::with_capacity(self.count());
        for (id, (len, entries)) in &self.packs {
            let before = rows.len();
            let number = packs.len() as u32;
            let inside = entries.iter().filter(|entry| in_prefix(entry.key.hash, bits, prefix));
            rows.extend(inside.map(|entry| (entry.key, number, entry)));
            if rows.len() > before {
                packs.push((*id, *len));
            }
        }
        rows.sort_unstable_by_key(|(key, number, _)| (*key, *number));
        rows.dedup_by_key(|(key, number, _)| (*key, *number));
        (packs, rows)
    }
}

fn put_header(out: &mut Vec<u8>, (tier, bits, k): (u8, u8, u8), prefix: u32, counts: (u32, u32, u32)) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[tier, bits, k, 0, 0, 0]);
    for number in [prefix, counts.0, counts.1, counts.2] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.resize(HEADER, 0);
}

fn put_fan_out(out: &mut Vec<u8>, rows: &[(RecordKey, u32, &TableEntry)], bits: u8, k: u8) {
    let mut below = vec![0u32; (1 << k) + 1];
    for (key, _, _) in rows {
        below[bucket(key.hash, bits, k) + 1] += 1;
    }
    for at in 1..below.len() {
        below[at] += below[at - 1];
    }
    for count in below {
        out.extend_from_slice(&count.to_le_bytes());
    }
}

fn footer(parts: &[u8], rows_start: usize, rows: usize, packs: usize) -> [u8; FOOTER] {
    let packs_start = rows_start + rows * ENTRY;
    let names_start = packs_start + packs * PACK;
    let ranges = [
        0..HEADER,
        HEADER..rows_start,
        rows_start..packs_start,
        packs_start..names_start,
        names_start..parts.len(),
    ];
    let mut out = [0; FOOTER];
    for (at, range) in ranges.into_iter().enumerate() {
        out[32 * at..32 * at + 32].copy_from_slice(Digest::of(&parts[range]).as_bytes());
    }
    out[160..168].copy_from_slice(&((parts.len() + FOOTER) as u64).to_le_bytes());
    out[168..].copy_from_slice(END);
    out
}

fn fan_out_bits(entries: usize) -> u8 {
    let mut k = 0;
    while k < MAX_FAN_OUT_BITS && entries >> k > BUCKET {
        k += 1;
    }
    k
}

fn rows_start(k: u8) -> usize {
    HEADER + 4 * ((1 << k) + 1)
}

/// The first four bytes of a hash as a number, most significant first.
fn head(hash: Digest) -> u32 {
    u32::from_be_bytes(array(hash.as_bytes(), 0))
}

fn in_prefix(hash: Digest, bits: u8, prefix: u32) -> bool {
    bits == 0 || (head(hash) ^ prefix) >> (32 - u32::from(bits)) == 0
}

/// The `k` bits after the first `bits` of a hash; `bits` up to 32, `k` up to 13.
fn bucket(hash: Digest, bits: u8, k: u8) -> usize {
    if k == 0 {
        return 0;
    }
    let first = u64::from_be_bytes(array(hash.as_bytes(), 0));
    ((first << bits) >> (64 - k)) as usize
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
            && name.id.0[..16] == Digest::of(footer).as_bytes()[..16]
    }

    /// The bytes, as stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
