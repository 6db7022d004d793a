//! Where the parts of a segment lie, and the numbers that both its writer and its reader need.

use crate::model::digest::Digest;
use crate::pack::format::array;

/// Most entries of a segment; more are split by hash prefix.
pub const MAX_ENTRIES: usize = 4_194_304;
/// Largest segment that is read, in bytes.
pub const MAX_SEGMENT: u64 = 256 << 20;

pub(super) const MAGIC: &[u8; 8] = b"MLVSEGM1";
pub(super) const END: &[u8; 8] = b"MLVSEND1";
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER: usize = 64;
pub(super) const ENTRY: usize = 52;
pub(super) const PACK: usize = 40;
pub(super) const NAME: usize = 24;
pub(super) const FOOTER: usize = 176;
pub(super) const MAX_FAN_OUT_BITS: u8 = 13;
/// Entries of one fan-out bucket that a look-up may have to search: two cache lines of probes.
const BUCKET: usize = 32;

/// Where the entries start.
pub(super) fn rows_start(k: u8) -> usize {
    HEADER + 4 * ((1 << k) + 1)
}

/// The first eight bytes of a hash as a number, most significant first: in the order of the hashes.
pub(super) fn leading(hash: Digest) -> u64 {
    u64::from_be_bytes(array(hash.as_bytes(), 0))
}

/// Whether the hash starts with the first `bits` bits of `prefix`; `bits` up to 32.
pub(super) fn in_prefix(hash: Digest, bits: u8, prefix: u32) -> bool {
    let differing = (leading(hash) >> 32) ^ u64::from(prefix);
    differing >> (32 - u32::from(bits)) == 0
}

/// The `k` bits after the first `bits` of a hash; `bits` up to 32, `k` up to 13.
pub(super) fn bucket(hash: Digest, bits: u8, k: u8) -> usize {
    if k == 0 {
        return 0;
    }
    ((leading(hash) << bits) >> (64 - k)) as usize
}

/// How many bits choose the bucket in a segment of so many entries.
pub(super) fn fan_out_bits(entries: usize) -> u8 {
    let mut k = 0;
    while k < MAX_FAN_OUT_BITS && entries >> k > BUCKET {
        k += 1;
    }
    k
}

/// The footer over the parts before it.
pub(in crate::pack) fn footer(parts: &[u8], rows_start: usize, rows: usize, packs: usize) -> [u8; FOOTER] {
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
