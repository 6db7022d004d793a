//! Writes packs, and decides which records are worth compressing.

use std::collections::HashMap;
use std::io::Write;

use crate::model::digest::{Hasher, PackId};
use crate::model::object::RecordKey;
use crate::pack::format::{
    self, Codec, ENTRY_LEN, HEADER_LEN, MAX_PACK, MAX_RECORDS, RECORD_LEN, TRAILER_LEN, TableEntry, Trailer,
};
use crate::pack::{Error, codec};

/// A finished pack.
#[derive(Clone, Debug)]
pub struct SealedPack {
    /// Its name.
    pub id: PackId,
    /// Bytes of the whole pack.
    pub len: u64,
    /// Its records, sorted by hash, then type.
    pub entries: Vec<TableEntry>,
}

/// Appends records to a pack that goes out as it comes.
pub struct PackWriter<W> {
    out: W,
    header: [u8; HEADER_LEN],
    len: u64,
    entries: Vec<TableEntry>,
}

impl<W: Write> PackWriter<W> {
    /// Starts a pack; `nonce` must be random, it makes the name unique.
    pub fn new(mut out: W, nonce: [u8; 16]) -> Result<PackWriter<W>, Error> {
        let header = format::encode_header(nonce);
        out.write_all(&header).map_err(Error::Write)?;
        Ok(PackWriter { out, header, len: HEADER_LEN as u64, entries: Vec::new() })
    }

    /// Number of records so far.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that the pack would have if it ended now.
    pub fn sealed_len(&self) -> u64 {
        self.len + (self.entries.len() * ENTRY_LEN + TRAILER_LEN) as u64
    }

    /// Whether a record of `stored_len` bytes still fits.
    pub fn fits(&self, stored_len: usize) -> bool {
        let more = (RECORD_LEN + stored_len + ENTRY_LEN) as u64;
        self.entries.len() < MAX_RECORDS && self.sealed_len() + more <= MAX_PACK
    }

    /// Appends a record whose bytes, decompressed, have `raw_len` bytes and the hash of `key`.
    ///
    /// The caller has checked the hash and brings each key once. Fails with `Limit` where
    /// [`fits`](Self::fits) is false, and for lengths that readers would refuse; after a failed write
    /// the pack is of no use.
    pub fn push(&mut self, key: RecordKey, codec: Codec, raw_len: u32, stored: &[u8]) -> Result<(), Error> {
        if self.entries.len() == MAX_RECORDS {
            let found = MAX_RECORDS as u64 + 1;
            return Err(Error::Limit { what: "records of a pack", limit: MAX_RECORDS as u64, found });
        }
        if !self.fits(stored.len()) {
            let found = self.sealed_len() + stored.len() as u64;
            return Err(Error::Limit { what: "bytes of a pack", limit: MAX_PACK, found });
        }
        format::check_lengths(key.kind, codec, stored.len() as u32, raw_len)?;
        let (header, crc) = format::encode_record(key, codec, stored.len() as u32, raw_len);
        self.out.write_all(&header).map_err(Error::Write)?;
        self.out.write_all(stored).map_err(Error::Write)?;
        let (offset, stored_len) = (self.len as u32, stored.len() as u32);
        self.entries.push(TableEntry { key, offset, stored_len, raw_len, codec, crc });
        self.len += (RECORD_LEN + stored.len()) as u64;
        Ok(())
    }

    /// Ends the pack with its table, and gives back what it was written to.
    ///
    /// Fails if it has no record, or one twice.
    pub fn finish(mut self) -> Result<(SealedPack, W), Error> {
        let (sealed, tail) = seal(&self.header, self.entries)?;
        self.out.write_all(&tail).map_err(Error::Write)?;
        Ok((sealed, self.out))
    }
}

/// The table and trailer of a pack that starts with `header`, and the name that they give it.
///
/// The records lie without gaps behind the header. Fails if there is none, or one twice.
pub fn seal(header: &[u8; HEADER_LEN], mut entries: Vec<TableEntry>) -> Result<(SealedPack, Vec<u8>), Error> {
    entries.sort_unstable_by_key(|entry| entry.key);
    if entries.is_empty() || entries.windows(2).any(|pair| pair[0].key == pair[1].key) {
        return Err(Error::pack("it has no record, or one twice"));
    }
    let table_offset = entries.iter().map(TableEntry::end).max().unwrap_or_default();
    let mut tail = Vec::with_capacity(entries.len() * ENTRY_LEN + TRAILER_LEN);
    for entry in &entries {
        format::encode_entry(&mut tail, entry);
    }
    let mut hasher = Hasher::new();
    hasher.update(header);
    hasher.update(&tail);
    let id = PackId(hasher.finish());
    let len = table_offset + (tail.len() + TRAILER_LEN) as u64;
    let count = entries.len() as u32;
    tail.extend_from_slice(&format::encode_trailer(&Trailer { count, table_offset, id, pack_len: len }));
    Ok((SealedPack { id, len, entries }, tail))
}

/// The bytes as one zstd frame if that is at least 5 % smaller and decodes to the same bytes.
pub fn compress_if_it_pays(raw: &[u8]) -> Option<Vec<u8>> {
    let frame = codec::compress(raw)?;
    // Decoded before it is stored: a wrong frame would be the only copy of somebody's data.
    let decoded = codec::decompress(&frame, u32::try_from(raw.len()).ok()?).ok()?;
    (decoded == raw).then_some(frame)
}

/// Decides by samples whether records of a kind of file are worth compressing.
///
/// One record in 16 per file extension is tried, on its first 4 KiB: data that does not shrink
/// (images, weights) then costs next to nothing.
#[derive(Default)]
pub struct Sampler {
    seen: HashMap<Box<str>, (u64, bool)>,
}

/// Bytes of a record that are tried.
const SAMPLE: usize = 4 << 10;
/// One record in so many is tried.
const EVERY: u64 = 16;

impl Sampler {
    /// Whether it is worth compressing `raw`, of a file with this extension.
    pub fn is_worth_it(&mut self, extension: &str, raw: &[u8]) -> bool {
        if !self.seen.contains_key(extension) {
            self.seen.insert(extension.into(), (0, false));
        }
        let Some((count, shrinks)) = self.seen.get_mut(extension) else { return false };
        if count.is_multiple_of(EVERY) && !raw.is_empty() {
            let sample = &raw[..raw.len().min(SAMPLE)];
            *shrinks = codec::compress(sample).is_some();
        }
        *count += 1;
        *shrinks
    }
}
