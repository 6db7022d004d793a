//! Hands out many records at once, without checking them: for a push, which hashes every record in
//! the pass in which it copies it (R4). Checking here as well cost a fifth of the push's time.

use std::io::{self, Read};
use std::ops::Range;

use crate::model::digest::{ObjectId, PackId};
use crate::model::object::{RecordKey, RecordKind};
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
    /// The position of its key in the list.
    position: usize,
}

impl Cache {
    /// Hands the bytes of each of `keys` to `each` with the key's position, in the order in which they
    /// lie; a record that is not there is left out.
    ///
    /// The bytes may be damaged: who uses them hashes them, and tells [`found_damaged`](Self::found_damaged).
    /// Records have up to 16 MiB.
    pub fn load_unverified(
        &self,
        keys: &[RecordKey],
        each: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), Error> {
        let packed = self.packed();
        let mut placed = Vec::with_capacity(keys.len());
        let mut others = Vec::new();
        for (position, key) in keys.iter().enumerate() {
            let at = packed.as_ref().and_then(|packed| packed.find(*key).next());
            match at.filter(|at| at.codec == Codec::Raw) {
                Some(at) => placed.push(Placed { pack: at.pack, range: at.range(), position }),
                None => others.push(position),
            }
        }
        if let Some(packed) = &packed {
            placed.sort_unstable_by_key(|one| (one.pack, one.range.start));
            let mut buffer = Vec::new();
            for window in windows(&placed) {
                if !read_window(packed, window, &mut buffer, each) {
                    others.extend(window.iter().map(|one| one.position));
                }
            }
        }
        for position in others {
            match self.read_record(keys[position]) {
                Ok(bytes) => each(position, &bytes),
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Opens an object of any size for reading from its start, unchecked as above.
    ///
    /// Fails with `Missing` if it is not there.
    pub fn open_unverified(&self, id: ObjectId) -> Result<Box<dyn Read + Send>, Error> {
        let key = RecordKey { hash: id.digest(), kind: RecordKind::File };
        match self.open_loose(key)? {
            Some(file) => Ok(Box::new(file)),
            None => Ok(Box::new(io::Cursor::new(self.read_record(key)?))),
        }
    }

    /// Takes out of use what is damaged of a record, so that its next reader gets another copy or none.
    pub fn found_damaged(&self, key: RecordKey) {
        // The careful way of reading notes each damaged place in a pack, and moves a loose file away.
        if self.read_record(key).is_err() {
            self.quarantine(key);
        }
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
    each: &mut dyn FnMut(usize, &[u8]),
) -> bool {
    let (Some(first), Some(end)) = (window.first(), window.iter().map(|one| one.range.end).max()) else {
        return true;
    };
    let start = first.range.start;
    buffer.resize((end - start) as usize, 0);
    if packed.read_range_into(first.pack, start, buffer).is_err() {
        return false;
    }
    for one in window {
        let (from, to) = ((one.range.start - start) as usize, (one.range.end - start) as usize);
        each(one.position, &buffer[from + RECORD_LEN..to]);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::object::RecordKind;
    use crate::store::CacheOptions;
    use std::path::PathBuf;

    fn key(bytes: &[u8]) -> RecordKey {
        RecordKey { hash: Digest::of(bytes), kind: RecordKind::File }
    }

    fn packs(folder: PathBuf) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { packs(path) } else { vec![path] }).collect()
    }

    /// R4: who finds damage says so, and the bytes are not handed out again.
    #[test]
    fn what_was_found_damaged_is_left_out_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cache");
        let records: Vec<Vec<u8>> = (0..100u32).map(|number| number.to_le_bytes().repeat(50)).collect();
        let cache = Cache::open(&path, CacheOptions::default()).unwrap();
        let writer = cache.writer().unwrap();
        for bytes in &records {
            assert!(writer.put_record(key(bytes), bytes).unwrap());
        }
        writer.finish().unwrap();
        for pack in packs(path.join("pk")) {
            let mut bytes = std::fs::read(&pack).unwrap();
            bytes[64 + RECORD_LEN + 3] ^= 1;
            std::fs::remove_file(&pack).unwrap();
            std::fs::write(&pack, bytes).unwrap();
        }
        let cache = Cache::open(&path, CacheOptions::default()).unwrap();
        let keys: Vec<RecordKey> = records.iter().map(|bytes| key(bytes)).collect();
        let load = || {
            let (mut count, mut wrong) = (0, Vec::new());
            let mut each = |position: usize, bytes: &[u8]| {
                count += 1;
                if key(bytes) != keys[position] {
                    wrong.push(keys[position]);
                }
            };
            cache.load_unverified(&keys, &mut each).unwrap();
            (count, wrong)
        };
        let (count, wrong) = load();
        assert_eq!((count, wrong.len()), (100, 1));
        cache.found_damaged(wrong[0]);
        let (count, wrong) = load();
        assert_eq!((count, wrong.len()), (99, 0));
    }
}
