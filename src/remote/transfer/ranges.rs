//! From places of records to reads of packs: which bytes to ask for, in how many requests. Pure.

use std::ops::Range;

use crate::pack::format::RECORD_LEN;
use crate::remote::backend::RoundTrip;
use crate::remote::catalog::{PackNo, Place};

/// A record that is wanted, and where it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// The caller's number for it.
    pub(super) index: u32,
    /// Where it is looked for.
    pub(super) place: Place,
}

impl Located {
    fn start(&self) -> u64 {
        u64::from(self.place.offset)
    }

    fn end(&self) -> u64 {
        self.start() + RECORD_LEN as u64 + u64::from(self.place.stored_len)
    }
}

/// One read: some neighbours in a pack, and what lies between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RangeRead {
    /// The pack.
    pub(super) pack: PackNo,
    /// The bytes of the pack.
    pub(super) bytes: Range<u64>,
    /// The records, by offset; they may overlap in a pack that lies.
    pub(super) records: Vec<Located>,
}

/// Unwanted bytes that are read rather than asking twice: what comes in the time of a round trip.
fn gap(round_trip: RoundTrip) -> u64 {
    match round_trip {
        RoundTrip::Local => 64 << 10,
        // 20 ms at 50 MB/s.
        RoundTrip::Network => 1 << 20,
    }
}

/// The reads that bring `records`, by pack and offset.
///
/// A read is cut where the unwanted bytes before the next record are more than a round trip is
/// worth, unless so far most of the pack is wanted; and at `limit` bytes, so that several threads
/// share a large pack where that costs no requests.
pub(super) fn plan_reads(mut records: Vec<Located>, round_trip: RoundTrip, limit: u64) -> Vec<RangeRead> {
    records.sort_unstable_by_key(|record| (record.place.pack, record.place.offset, record.index));
    let mut reads: Vec<RangeRead> = Vec::new();
    for of_pack in records.chunk_by(|a, b| a.place.pack == b.place.pack) {
        let wanted: u64 = of_pack.iter().map(|record| record.end() - record.start()).sum();
        let span = of_pack.last().map_or(0, Located::end) - of_pack.first().map_or(0, Located::start);
        // Mostly wanted: one streamed read is cheaper than many.
        let gap = if wanted.saturating_mul(2) >= span { u64::MAX } else { gap(round_trip) };
        let mut open: Option<RangeRead> = None;
        for record in of_pack {
            match &mut open {
                Some(read)
                    if record.start().saturating_sub(read.bytes.end) <= gap
                        && record.end().saturating_sub(read.bytes.start) <= limit =>
                {
                    read.bytes.end = read.bytes.end.max(record.end());
                    read.records.push(*record);
                }
                _ => {
                    reads.extend(open.take());
                    let bytes = record.start()..record.end();
                    open = Some(RangeRead { pack: record.place.pack, bytes, records: vec![*record] });
                }
            }
        }
        reads.extend(open);
    }
    reads
}
