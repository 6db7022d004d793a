//! Writes segments.

use std::collections::BTreeMap;

use crate::model::digest::PackId;
use crate::pack::Error;
use crate::pack::format::TableEntry;
use crate::pack::segment::layout::{
    ENTRY, FOOTER, HEADER, MAGIC, MAX_ENTRIES, NAME, PACK, VERSION, bucket, fan_out_bits, footer, in_prefix,
    leading, rows_start,
};
use crate::pack::segment::{Segment, SegmentId, SegmentName};

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
        self.add_part(other, &|_| true);
    }

    /// Adds the records of `other` in packs that `is_kept`.
    pub fn add_part(&mut self, other: &Segment, is_kept: &dyn Fn(&PackId) -> bool) {
        for (key, at) in other.iter().filter(|(_, at)| is_kept(&at.pack)) {
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
        let (limit, found) = (MAX_ENTRIES as u64, rows.len() as u64);
        if found > limit {
            return Err(Error::Limit { what: "entries of an index segment", limit, found });
        }
        let mut superseded = self.superseded.clone();
        superseded.sort_unstable();
        superseded.dedup();
        let k = fan_out_bits(rows.len());
        let len = rows_start(k) + rows.len() * ENTRY + packs.len() * PACK + superseded.len() * NAME + FOOTER;
        let mut out = Vec::with_capacity(len);
        let counts = (rows.len() as u32, packs.len() as u32, superseded.len() as u32);
        put_header(&mut out, (tier, bits, k), prefix, counts);
        put_fan_out(&mut out, &rows, bits, k);
        put_rows(&mut out, &rows);
        for (id, len) in &packs {
            out.extend_from_slice(id.digest().as_bytes());
            out.extend_from_slice(&len.to_le_bytes());
        }
        for name in &superseded {
            out.extend_from_slice(&name.0);
        }
        let footer = footer(&out, rows_start(k), rows.len(), packs.len());
        out.extend_from_slice(&footer);
        let id = SegmentId::new(&footer, random);
        Ok(Some((SegmentName { tier, bits, prefix, count: counts.0, id }, out)))
    }

    /// The packs with a record in the range and their lengths, and the rows, sorted.
    fn rows(&self, bits: u8, prefix: u32) -> (Vec<(PackId, u64)>, Vec<Row<'_>>) {
        let mut packs = Vec::new();
        let mut rows = Vec::with_capacity(self.count());
        for (id, (len, entries)) in &self.packs {
            let before = rows.len();
            let pack = packs.len() as u32;
            let inside = entries.iter().filter(|entry| in_prefix(entry.key.hash, bits, prefix));
            rows.extend(inside.map(|entry| Row { head: leading(entry.key.hash), pack, entry }));
            if rows.len() > before {
                packs.push((*id, *len));
            }
        }
        rows.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| (a.entry.key, a.pack).cmp(&(b.entry.key, b.pack)))
        });
        rows.dedup_by(|a, b| (a.head, a.pack, a.entry.key) == (b.head, b.pack, b.entry.key));
        (packs, rows)
    }
}

/// One entry to be.
struct Row<'e> {
    /// The start of the hash: most comparisons end here, without a look at the entry.
    head: u64,
    /// The pack's number in this segment.
    pack: u32,
    entry: &'e TableEntry,
}

fn put_rows(out: &mut Vec<u8>, rows: &[Row<'_>]) {
    for Row { pack, entry, .. } in rows {
        out.extend_from_slice(entry.key.hash.as_bytes());
        for number in [*pack, entry.offset, entry.stored_len, entry.raw_len] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[entry.key.kind as u8, entry.codec as u8, 0, 0]);
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

fn put_fan_out(out: &mut Vec<u8>, rows: &[Row<'_>], bits: u8, k: u8) {
    let mut below = vec![0u32; (1 << k) + 1];
    for row in rows {
        below[bucket(row.entry.key.hash, bits, k) + 1] += 1;
    }
    for at in 1..below.len() {
        below[at] += below[at - 1];
    }
    for count in below {
        out.extend_from_slice(&count.to_le_bytes());
    }
}
