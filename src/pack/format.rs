//! The fixed structures of a pack, little-endian (docs/formats.md, "Packs").
//!
//! ```text
//! header  64 B : "MLVPACK1" | u16 version | u16 flags | u32 rsv | nonce[16] | rsv[32]
//! record  64 B : "MLVB" | u8 type | u8 codec | u16 flags | u32 stored_len | u32 raw_len | hash[32]
//!                | u32 crc32c(first 48 B) | rsv[12] ; then stored_len bytes
//! table        : count x 52 B sorted by hash, type: hash[32] u32 offset u32 stored_len u32 raw_len
//!                u8 type u8 codec u16 rsv u32 crc32c(record header)
//! trailer 96 B : u32 count | u32 table_len | u64 table_off | id[32] | u64 pack_len | u32 version
//!                | rsv[24] | u32 crc32c(first 84 B) | "MLVPEND1"
//! ```

use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::Error;

/// Bytes of a pack's header.
pub const HEADER_LEN: usize = 64;
/// Bytes of a record's header.
pub const RECORD_LEN: usize = 64;
/// Bytes of one line of the table.
pub const ENTRY_LEN: usize = 52;
/// Bytes of the trailer.
pub const TRAILER_LEN: usize = 96;
/// Writers start a new pack when one has this many bytes.
pub const TARGET_PACK: u64 = 32 << 20;
/// No pack is larger, so that each is one request of a remote.
pub const MAX_PACK: u64 = 48 << 20;
/// Most records of a pack.
pub const MAX_RECORDS: usize = 65_536;
/// Most bytes of a record, decompressed.
pub const MAX_RAW: u32 = 16 << 20;
/// The version of packs.
pub const VERSION: u16 = 1;

const HEADER_MAGIC: &[u8; 8] = b"MLVPACK1";
const RECORD_MAGIC: &[u8; 4] = b"MLVB";
const TRAILER_MAGIC: &[u8; 8] = b"MLVPEND1";

/// How a record's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
}

impl Codec {
    /// The codec with this number.
    pub fn from_byte(byte: u8) -> Option<Codec> {
        match byte {
            0 => Some(Codec::Raw),
            1 => Some(Codec::Zstd),
            _ => None,
        }
    }
}

/// One record as the table of its pack has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// What the record is.
    pub key: RecordKey,
    /// Where its header starts, in bytes from the start of the pack.
    pub offset: u32,
    /// Bytes behind the header.
    pub stored_len: u32,
    /// Bytes after decompression.
    pub raw_len: u32,
    /// How the bytes are stored.
    pub codec: Codec,
    /// The checksum in the record's header.
    pub crc: u32,
}

impl TableEntry {
    /// Where the record ends, in bytes from the start of the pack.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + RECORD_LEN as u64 + u64::from(self.stored_len)
    }
}

/// The end of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Number of records.
    pub count: u32,
    /// Where the table starts.
    pub table_offset: u64,
    /// The pack's name.
    pub id: PackId,
    /// Bytes of the whole pack.
    pub pack_len: u64,
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// The `N` bytes at `at`; the caller has checked the length.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The header of a new pack. The nonce makes the name unique: nothing that can be deleted has a name
/// that its content alone gives.
pub fn encode_header(nonce: [u8; 16]) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[..8].copy_from_slice(HEADER_MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_le_bytes());
    out[16..32].copy_from_slice(&nonce);
    out
}

/// Checks a pack's header.
pub fn check_header(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() < HEADER_LEN || &bytes[..8] != HEADER_MAGIC {
        return Err(Error::pack("it does not start as one"));
    }
    let version = u16_at(bytes, 8);
    if version != VERSION {
        return Err(Error::Version { what: "pack", version: version.into() });
    }
    if !is_zero(&bytes[10..16]) || !is_zero(&bytes[32..HEADER_LEN]) {
        return Err(Error::pack("reserved bytes of the header are used"));
    }
    Ok(())
}

/// The header of a record and its checksum.
pub fn encode_record(key: RecordKey, codec: Codec, stored_len: u32, raw_len: u32) -> ([u8; RECORD_LEN], u32) {
    let mut out = [0; RECORD_LEN];
    out[..4].copy_from_slice(RECORD_MAGIC);
    out[4] = key.kind as u8;
    out[5] = codec as u8;
    out[8..12].copy_from_slice(&stored_len.to_le_bytes());
    out[12..16].copy_from_slice(&raw_len.to_le_bytes());
    out[16..48].copy_from_slice(key.hash.as_bytes());
    let crc = crc32c::crc32c(&out[..48]);
    out[48..52].copy_from_slice(&crc.to_le_bytes());
    (out, crc)
}

/// Reads the header of the record at `offset` of a pack; `bytes` start there.
pub fn decode_record_header(bytes: &[u8], offset: u32) -> Result<TableEntry, Error> {
    if bytes.len() < RECORD_LEN || &bytes[..4] != RECORD_MAGIC {
        return Err(Error::record("it does not start as one"));
    }
    let crc = u32_at(bytes, 48);
    if crc != crc32c::crc32c(&bytes[..48]) {
        return Err(Error::record("the checksum of its header is wrong"));
    }
    if !is_zero(&bytes[6..8]) || !is_zero(&bytes[52..RECORD_LEN]) {
        return Err(Error::record("reserved bytes are used"));
    }
    let hash = Digest::from_bytes(array(bytes, 16));
    let lens = (u32_at(bytes, 8), u32_at(bytes, 12));
    entry(hash, (bytes[4], bytes[5]), offset, lens, crc)
}

/// Checks what stands in record headers, tables and segments alike.
pub(super) fn entry(
    hash: Digest,
    (kind, codec): (u8, u8),
    offset: u32,
    (stored_len, raw_len): (u32, u32),
    crc: u32,
) -> Result<TableEntry, Error> {
    let kind = RecordKind::from_byte(kind).ok_or(Error::record("its type is not known"))?;
    let codec = Codec::from_byte(codec).ok_or(Error::record("its codec is not known"))?;
    check_lengths(kind, codec, stored_len, raw_len)?;
    Ok(TableEntry { key: RecordKey { hash, kind }, offset, stored_len, raw_len, codec, crc })
}

/// The rule for the lengths of a record: a frame is smaller than what it holds, only files are empty.
pub(super) fn check_lengths(
    kind: RecordKind,
    codec: Codec,
    stored_len: u32,
    raw_len: u32,
) -> Result<(), Error> {
    if raw_len > MAX_RAW {
        return Err(Error::Limit { what: "bytes of a record", limit: MAX_RAW.into(), found: raw_len.into() });
    }
    let fits = match codec {
        Codec::Raw => stored_len == raw_len,
        Codec::Zstd => (1..raw_len).contains(&stored_len),
    };
    if fits && (raw_len > 0 || kind == RecordKind::File) {
        Ok(())
    } else {
        Err(Error::record("its lengths do not fit each other"))
    }
}

/// Appends one line of the table.
pub fn encode_entry(out: &mut Vec<u8>, entry: &TableEntry) {
    out.extend_from_slice(entry.key.hash.as_bytes());
    out.extend_from_slice(&entry.offset.to_le_bytes());
    out.extend_from_slice(&entry.stored_len.to_le_bytes());
    out.extend_from_slice(&entry.raw_len.to_le_bytes());
    out.extend_from_slice(&[entry.key.kind as u8, entry.codec as u8, 0, 0]);
    out.extend_from_slice(&entry.crc.to_le_bytes());
}

/// Reads one line of the table, of [`ENTRY_LEN`] bytes.
pub fn decode_entry(bytes: &[u8]) -> Result<TableEntry, Error> {
    if bytes.len() != ENTRY_LEN || !is_zero(&bytes[46..48]) {
        return Err(Error::pack("a line of its table is malformed"));
    }
    let hash = Digest::from_bytes(array(bytes, 0));
    let lens = (u32_at(bytes, 36), u32_at(bytes, 40));
    entry(hash, (bytes[44], bytes[45]), u32_at(bytes, 32), lens, u32_at(bytes, 48))
}

/// The end of a pack.
pub fn encode_trailer(trailer: &Trailer) -> [u8; TRAILER_LEN] {
    let mut out = [0; TRAILER_LEN];
    out[..4].copy_from_slice(&trailer.count.to_le_bytes());
    out[4..8].copy_from_slice(&(trailer.count * ENTRY_LEN as u32).to_le_bytes());
    out[8..16].copy_from_slice(&trailer.table_offset.to_le_bytes());
    out[16..48].copy_from_slice(trailer.id.digest().as_bytes());
    out[48..56].copy_from_slice(&trailer.pack_len.to_le_bytes());
    out[56..60].copy_from_slice(&u32::from(VERSION).to_le_bytes());
    let crc = crc32c::crc32c(&out[..84]);
    out[84..88].copy_from_slice(&crc.to_le_bytes());
    out[88..].copy_from_slice(TRAILER_MAGIC);
    out
}

/// Reads a trailer: the last [`TRAILER_LEN`] bytes of a pack.
pub fn decode_trailer(bytes: &[u8]) -> Result<Trailer, Error> {
    if bytes.len() != TRAILER_LEN || &bytes[88..] != TRAILER_MAGIC {
        return Err(Error::pack("it does not end as one"));
    }
    if u32_at(bytes, 84) != crc32c::crc32c(&bytes[..84]) {
        return Err(Error::pack("the checksum of its end is wrong"));
    }
    let version = u32_at(bytes, 56);
    if version != u32::from(VERSION) {
        return Err(Error::Version { what: "pack", version });
    }
    let trailer = Trailer {
        count: u32_at(bytes, 0),
        table_offset: u64_at(bytes, 8),
        id: PackId(Digest::from_bytes(array(bytes, 16))),
        pack_len: u64_at(bytes, 48),
    };
    let table_len = u64::from(trailer.count) * ENTRY_LEN as u64;
    if trailer.pack_len > MAX_PACK {
        return Err(Error::Limit { what: "bytes of a pack", limit: MAX_PACK, found: trailer.pack_len });
    }
    let whole = trailer.table_offset.checked_add(table_len + TRAILER_LEN as u64);
    let fits = u64::from(u32_at(bytes, 4)) == table_len
        && whole == Some(trailer.pack_len)
        && (1..=MAX_RECORDS as u32).contains(&trailer.count)
        && is_zero(&bytes[60..84]);
    if fits { Ok(trailer) } else { Err(Error::pack("the numbers at its end do not fit each other")) }
}
