//! Reads packs: the table at the end, single records, and what is left of a damaged pack.

use std::borrow::Cow;

use crate::model::digest::{Digest, Domain, Hasher, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::recipe;
use crate::pack::format::{self, Codec, ENTRY_LEN, HEADER_LEN, RECORD_LEN, TRAILER_LEN, TableEntry, Trailer};
use crate::pack::writer::seal;
use crate::pack::{Error, codec};

/// Where the table of a pack lies, from its last [`TRAILER_LEN`] bytes and its length.
pub fn read_trailer(last: &[u8], pack_len: u64) -> Result<Trailer, Error> {
    let trailer = format::decode_trailer(last)?;
    if trailer.pack_len != pack_len || trailer.table_offset < HEADER_LEN as u64 {
        return Err(Error::pack("it has another length than it says"));
    }
    Ok(trailer)
}

/// The records of a pack, sorted by hash, from its header and its table.
///
/// Checks the name, the order, and that the records lie without gaps from the header to the table.
pub fn read_table(header: &[u8], table: &[u8], trailer: &Trailer) -> Result<Vec<TableEntry>, Error> {
    format::check_header(header)?;
    if table.len() != trailer.count as usize * ENTRY_LEN {
        return Err(Error::pack("its table has another length than it says"));
    }
    let mut hasher = Hasher::new();
    hasher.update(&header[..HEADER_LEN]);
    hasher.update(table);
    if PackId(hasher.finish()) != trailer.id {
        return Err(Error::pack("its table does not match its name"));
    }
    let entries = table.chunks_exact(ENTRY_LEN).map(format::decode_entry).collect::<Result<Vec<_>, _>>()?;
    if entries.windows(2).any(|pair| pair[0].key >= pair[1].key) {
        return Err(Error::pack("its table is out of order"));
    }
    let mut by_offset: Vec<_> = entries.iter().map(|entry| (u64::from(entry.offset), entry.end())).collect();
    by_offset.sort_unstable();
    let mut at = HEADER_LEN as u64;
    for (start, end) in by_offset {
        if start != at {
            return Err(Error::pack("its records overlap or have gaps"));
        }
        at = end;
    }
    if at != trailer.table_offset {
        return Err(Error::pack("its records do not end where its table starts"));
    }
    Ok(entries)
}

/// The records of a whole pack in memory.
pub fn read_pack(bytes: &[u8]) -> Result<(PackId, Vec<TableEntry>), Error> {
    let Some(start) = bytes.len().checked_sub(TRAILER_LEN) else {
        return Err(Error::pack("it is too short"));
    };
    let trailer = read_trailer(&bytes[start..], bytes.len() as u64)?;
    let table = &bytes[trailer.table_offset as usize..start];
    Ok((trailer.id, read_table(bytes, table, &trailer)?))
}

/// The decompressed bytes of the record that `bytes` start with, checked against `wanted`.
///
/// `bytes` hold the record's header and stored bytes and may go on behind them. A record of a file
/// serves where a chunk is wanted, and the other way round. Output is capped at the length that the
/// header states, itself at most 16 MiB.
pub fn decode_record(bytes: &[u8], wanted: RecordKey) -> Result<Cow<'_, [u8]>, Error> {
    let raw = open_record(bytes, wanted)?;
    if is_named(wanted, &raw) { Ok(raw) } else { Err(Error::Damaged { hash: wanted.hash }) }
}

/// As [`decode_record`], without hashing the bytes: for a record that the caller knows to be right.
pub fn open_record(bytes: &[u8], wanted: RecordKey) -> Result<Cow<'_, [u8]>, Error> {
    let entry = format::decode_record_header(bytes, 0)?;
    if !serves(entry.key, wanted) {
        return Err(Error::OtherRecord { wanted });
    }
    let Some(stored) = bytes[RECORD_LEN..].get(..entry.stored_len as usize) else {
        return Err(Error::record("it ends early"));
    };
    Ok(match entry.codec {
        Codec::Raw => Cow::Borrowed(stored),
        Codec::Zstd => Cow::Owned(codec::decompress(stored, entry.raw_len)?),
    })
}

/// Whether a record `found` can be used where `wanted` is asked for.
pub fn serves(found: RecordKey, wanted: RecordKey) -> bool {
    let plain = |kind| matches!(kind, RecordKind::File | RecordKind::Chunk);
    found.hash == wanted.hash && (found.kind == wanted.kind || (plain(found.kind) && plain(wanted.kind)))
}

/// Whether `raw` are the bytes that `key` names.
pub fn is_named(key: RecordKey, raw: &[u8]) -> bool {
    match key.kind {
        RecordKind::File => Digest::of(raw) == key.hash,
        RecordKind::Chunk => !raw.is_empty() && Digest::of(raw) == key.hash,
        RecordKind::TreePage => Digest::of_domain(Domain::TreePage, raw) == key.hash,
        RecordKind::Recipe => recipe::is_named(key.hash, raw),
        // A run record is looked up by its inputs: the first of its two lines.
        RecordKind::RunRecord => raw
            .iter()
            .position(|&byte| byte == b'\n')
            .is_some_and(|end| Digest::of_domain(Domain::RunRecord, &raw[..=end]) == key.hash),
    }
}

/// What can be read of a pack from its start, without its table: for salvage.
///
/// Stops at the first record whose header is wrong; records are not checked against their hash.
pub fn walk_records(bytes: &[u8]) -> Vec<TableEntry> {
    let mut found = Vec::new();
    let mut at = HEADER_LEN;
    while let Some(rest) = bytes.get(at..)
        && let Ok(entry) = format::decode_record_header(rest, at as u32)
        && entry.end() <= bytes.len() as u64
    {
        at = entry.end() as usize;
        found.push(entry);
    }
    found
}

/// The records of the pack `id` where its table cannot be read: what [`walk_records`] finds, if that gives
/// the pack its name, so that nothing is missing.
pub fn recover_table(bytes: &[u8], id: PackId) -> Option<Vec<TableEntry>> {
    let header = bytes.get(..HEADER_LEN)?.try_into().ok()?;
    let (sealed, _) = seal(header, walk_records(bytes)).ok()?;
    (sealed.id == id).then_some(sealed.entries)
}
