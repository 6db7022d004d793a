//! Records framed for a pack, in the order in which they will lie there.
//!
//! Workers fill parcels of about a megabyte; a pack is a header, some parcels and a table,
//! written by one vectored call. So workers need no turn-taking, and no byte is copied
//! from a parcel to a pack, nor from there to the client that sends it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::model::object::RecordKey;
use crate::pack::format::{
    self, Codec, HEADER_LEN, MAX_PACK, MAX_RECORDS, RECORD_LEN, TARGET_PACK, TableEntry,
};
use crate::pack::writer::{SealedPack, seal};
use crate::par::Permit;

/// A parcel is full when it has so many bytes.
pub(super) const PARCEL: usize = 1 << 20;
/// A parcel is full when it has so many records: many parcels shall fit in a pack of small ones.
pub(super) const PARCEL_RECORDS: usize = 4_096;

/// Framed records with the permit for their memory.
pub(super) struct Parcel<'b> {
    pub(super) bytes: Vec<u8>,
    /// Offsets count from the start of the parcel.
    pub(super) entries: Vec<TableEntry>,
    /// The large files that have a chunk in here, by their position in the list of wants; sorted.
    pub(super) files: Vec<u32>,
    permit: Permit<'b>,
}

impl<'b> Parcel<'b> {
    pub(super) fn new(buffer: Vec<u8>, permit: Permit<'b>) -> Parcel<'b> {
        Parcel { bytes: buffer, entries: Vec::new(), files: Vec::new(), permit }
    }

    pub(super) fn push(&mut self, key: RecordKey, codec: Codec, raw_len: u32, stored: &[u8]) {
        let offset = self.bytes.len() as u32;
        let stored_len = stored.len() as u32;
        let (header, crc) = format::encode_record(key, codec, stored_len, raw_len);
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(stored);
        self.entries.push(TableEntry { key, offset, stored_len, raw_len, codec, crc });
    }

    /// Notes that the last record belongs to the large file at `index`.
    pub(super) fn belongs_to(&mut self, index: u32) {
        if self.files.last() != Some(&index) {
            self.files.push(index);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= PARCEL || self.entries.len() >= PARCEL_RECORDS
    }

    /// Whether a record of so many bytes would make it much larger than its permit is for.
    pub(super) fn is_overfull_with(&self, stored_len: usize) -> bool {
        !self.is_empty() && self.bytes.len() + stored_len > 2 * PARCEL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Buffers that were used and will be again: a fresh megabyte costs 256 page faults.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    pub(super) fn take(&self) -> Vec<u8> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        taken.unwrap_or_else(|| Vec::with_capacity(PARCEL + PARCEL / 8))
    }

    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        // What a single large record blew up is not kept: the budget counts parcels as filled.
        if buffer.capacity() <= 2 * PARCEL {
            buffer.clear();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }
}

/// A pack that is being put together.
pub(super) struct Building<'b> {
    parcels: Vec<Parcel<'b>>,
    entries: Vec<TableEntry>,
    len: u64,
}

/// A pack that is ready to go.
pub(super) struct Ready<'b> {
    pub(super) sealed: SealedPack,
    /// The pack's bytes: header, parcels, table.
    pub(super) parts: Vec<Bytes>,
    /// The large files that have a chunk in here; sorted, each once.
    pub(super) files: Vec<u32>,
    _permits: Vec<Permit<'b>>,
}

impl<'b> Building<'b> {
    pub(super) fn new() -> Building<'b> {
        Building { parcels: Vec::new(), entries: Vec::new(), len: HEADER_LEN as u64 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `parcel` can be added without passing the format's limits.
    pub(super) fn fits(&self, parcel: &Parcel<'_>) -> bool {
        let records = self.entries.len() + parcel.entries.len();
        let tail = (records * format::ENTRY_LEN + format::TRAILER_LEN) as u64;
        records <= MAX_RECORDS && self.len + parcel.bytes.len() as u64 + tail <= MAX_PACK
    }

    /// Whether the pack is as large as packs should be.
    pub(super) fn is_full(&self) -> bool {
        self.len >= TARGET_PACK || self.entries.len() + PARCEL_RECORDS > MAX_RECORDS
    }

    pub(super) fn add(&mut self, parcel: Parcel<'b>) {
        let start = self.len as u32;
        let moved = parcel.entries.iter().map(|entry| TableEntry { offset: entry.offset + start, ..*entry });
        self.entries.extend(moved);
        self.len += parcel.bytes.len() as u64;
        self.parcels.push(parcel);
    }

    /// Ends the pack; `nonce` must be random.
    pub(super) fn seal(self, nonce: [u8; 16]) -> Result<Ready<'b>, crate::pack::Error> {
        let header = format::encode_header(nonce);
        let (sealed, tail) = seal(&header, self.entries)?;
        let mut parts = vec![Bytes::copy_from_slice(&header)];
        let (mut files, mut permits) = (Vec::new(), Vec::new());
        for parcel in self.parcels {
            parts.push(parcel.bytes.into());
            files.extend(parcel.files);
            permits.push(parcel.permit);
        }
        parts.push(tail.into());
        files.sort_unstable();
        files.dedup();
        Ok(Ready { sealed, parts, files, _permits: permits })
    }
}

impl Ready<'_> {
    /// Frees the memory and gives the buffers back; keeps what a segment needs.
    pub(super) fn into_sealed(mut self, buffers: &Buffers) -> SealedPack {
        // Neither header nor table is a buffer.
        self.parts.pop();
        for part in self.parts.drain(1..) {
            // A client that was left behind by its server may hold on to a part for a while.
            if part.is_unique() {
                buffers.give_back(part.into());
            }
        }
        self.sealed
    }
}

/// The bytes that a record of `raw_len` bytes takes in a parcel at most.
pub(super) fn framed_len(raw_len: u64) -> u64 {
    raw_len + RECORD_LEN as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::object::RecordKind;
    use crate::par::Budget;

    // R13: what the budget counts is all there is.
    #[test]
    fn parcels_become_the_parts_of_a_pack_and_buffers_again_without_a_copy() {
        let (budget, buffers) = (Budget::new(1 << 20), Buffers::default());
        let mut parcel = Parcel::new(buffers.take(), budget.take(1));
        let key = RecordKey { hash: Digest::of(b"x"), kind: RecordKind::File };
        parcel.push(key, Codec::Raw, 1, b"x");
        let place = parcel.bytes.as_ptr();
        let mut building = Building::new();
        building.add(parcel);
        let ready = building.seal([0; 16]).expect("a pack");
        assert_eq!(ready.parts[1].as_ptr(), place);
        ready.into_sealed(&buffers);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place);
    }
}
