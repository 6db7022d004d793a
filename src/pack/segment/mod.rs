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

mod builder;
mod layout;
mod name;
mod read;

pub use builder::SegmentBuilder;
#[cfg(test)]
pub(super) use layout::footer as footer_of;
pub use layout::{MAX_ENTRIES, MAX_SEGMENT};
pub use name::{SegmentId, SegmentName};
pub use read::{Location, Segment};
