//! Hands out many records at once, without checking them: for a push, which hashes every record in
//! the pass in which it copies it (R4). Checking here as well cost a fifth of the push's time.

use std::ops::Range;

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::{Codec, RECORD_LEN};
use crate::store::packed::Packed;
use crate::store::{Cache, Error};

/// Records that lie this close are read together with what lies between them, in bytes.
const GAP: u64 = 16 << 10;
/// Most bytes that are read together, unless one record has more.
const WINDOW: u64 = 1 << 20;

/// Where one record's bytes are.
struct Placed {
    pack: PackId,
    range: Range<u64>,
    key: RecordKey,
}

impl Cache {
    /// Hands the bytes of each of `keys` to `each`, in the order in which they lie; a record that is not
    /// there is left out.
    ///
    /// The bytes may be damaged: who uses them hashes them. Records have up to 16 MiB.
    pub fn load_unverified(
        &self,
        keys: &[RecordKey],
        each: &mut dyn FnMut(RecordKey, &[u8]),
    ) -> Result<(), Error> {
        let packed = self.packed();
        let mut placed = Vec::with_capacity(keys.len());
        let mut others = Vec::new();
        for key in keys {
            let at = packed.as_ref().and_then(|packed| packed.find(*key).next());
            match at.filter(|at| at.codec == Codec::Raw) {
                Some(at) => placed.push(Placed { pack: at.pack, range: at.range(), key: *key }),
                None => others.push(*key),
            }
        }
        if let Some(packed) = &packed {
            placed.sort_unstable_by_key(|one| (one.pack, one.range.start));
            let mut buffer = Vec::new();
            for window in windows(&placed) {
                if !read_window(packed, window, &mut buffer, each) {
                    others.extend(window.iter().map(|one| one.key));
                }
            }
        }
        for key in others {
            match self.read_record(key) {
                Ok(bytes) => each(key, &bytes),
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Runs of neighbours that are worth one read.
fn windows(placed: &[Placed]) -> impl Iterator<Item = &[Placed]> {
    let mut rest = placed;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let near = |pair: &[Placed]| {
            pair[0].pack == pair[1].pack
                && pair[1].range.start.saturating_sub(pair[0].range.end) <= GAP
                && pair[1].range.end - first.range.start <= WINDOW
        };
        let len = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (window, tail) = rest.split_at(len);
        rest = tail;
        Some(window)
    })
}

/// Reads a window and hands its records out; false if it could not be read.
fn read_window(
    packed: &Packed,
    window: &[Placed],
    buffer: &mut Vec<u8>,
    each: &mut dyn FnMut(RecordKey, &[u8]),
) -> bool {
    let (Some(first), Some(last)) = (window.first(), window.last()) else { return true };
    let start = first.range.start;
    buffer.resize((last.range.end - start) as usize, 0);
    if packed.read_range_into(first.pack, start, buffer).is_err() {
        return false;
    }
    for one in window {
        let (from, to) = ((one.range.start - start) as usize, (one.range.end - start) as usize);
        each(one.key, &buffer[from + RECORD_LEN..to]);
    }
    true
}
