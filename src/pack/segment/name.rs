//! Names of segments.

use std::fmt;

use crate::model::digest::Digest;
use crate::pack::segment::layout::NAME;

/// The part of a segment's name that is its own: 16 bytes of its footer's hash, 8 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub [u8; NAME]);

/// Bytes of an id that its footer gives.
const FROM_FOOTER: usize = 16;

impl SegmentId {
    /// The id of a segment with this footer. Nothing that can be deleted has a name that its content
    /// alone gives, so there are random bytes in it.
    pub(super) fn new(footer: &[u8], random: [u8; NAME - FROM_FOOTER]) -> SegmentId {
        let mut id = [0; NAME];
        id[..FROM_FOOTER].copy_from_slice(&Digest::of(footer).as_bytes()[..FROM_FOOTER]);
        id[FROM_FOOTER..].copy_from_slice(&random);
        SegmentId(id)
    }

    /// Whether this is an id of a segment with this footer.
    pub(super) fn is_of(&self, footer: &[u8]) -> bool {
        self.0[..FROM_FOOTER] == Digest::of(footer).as_bytes()[..FROM_FOOTER]
    }
}

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
