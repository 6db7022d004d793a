//! Reading single records and the recipes of large files from a remote.

use std::ops::Range;

use crate::chunk::cdc::Profile;
use crate::model::digest::ObjectId;
use crate::model::object::{ChunkRef, RecordKey, RecordKind};
use crate::model::recipe::{self, Decoded};
use crate::pack::format::RECORD_LEN;
use crate::pack::reader::decode_record;
use crate::remote::backend::{Backend, BackendError, read_range};
use crate::remote::catalog::{Catalog, Place};
use crate::remote::names::pack_key;

/// The verified bytes of the record for `key` at one of `places`; `None` if none of them has it.
///
/// Fails only where the backend fails for another reason than that a pack is gone or short.
pub(crate) fn read_record(
    backend: &dyn Backend,
    catalog: &Catalog,
    places: impl IntoIterator<Item = Place>,
    key: RecordKey,
) -> Result<Option<(Vec<u8>, Place)>, BackendError> {
    for place in places {
        let (pack, _) = catalog.pack(place.pack);
        let start = u64::from(place.offset);
        let end = start + RECORD_LEN as u64 + u64::from(place.stored_len);
        match read_range(backend, &pack_key(pack), start..end) {
            Ok(bytes) => {
                if let Ok(raw) = decode_record(&bytes, key) {
                    return Ok(Some((raw.into_owned(), place)));
                }
            }
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Most chunks of a file that is fetched: 16 TiB at the average of the last profile. A recipe of
/// pages may name one page without end, and is checked before its chunks fill the memory (R13).
const MAX_CHUNKS: u64 = 1 << 24;

/// All of a file.
pub(crate) const ALL: Range<u64> = 0..u64::MAX;

/// A recipe as it stands on a remote.
pub(crate) struct Found {
    /// The file's length in bytes.
    pub(crate) len: u64,
    /// Where the first of `chunks` starts in the file.
    pub(crate) start: u64,
    /// Its chunks in the order of the file: all that hold a byte of the range that was asked for,
    /// perhaps with others around them.
    pub(crate) chunks: Vec<ChunkRef>,
    /// The recipe's pages, if it has any, and where they lie.
    pub(crate) pages: Vec<(RecordKey, Place)>,
}

/// Reads the recipe record `bytes` of a file of `size` bytes (0: not known), and those of its pages that
/// tell of bytes in `range`, each from the places that `places` gives.
///
/// `None` if it is no recipe of this file, or a page is absent or damaged. Its sums are checked, its
/// chunks are not looked for.
pub(crate) fn expand<P: IntoIterator<Item = Place>>(
    (backend, catalog): (&dyn Backend, &Catalog),
    places: &dyn Fn(RecordKey) -> P,
    (file, size): (ObjectId, u64),
    bytes: &[u8],
    range: Range<u64>,
) -> Result<Option<Found>, BackendError> {
    let is_right = |len: u64| size == 0 || len == size;
    let (len, pages) = match recipe::decode(file.digest(), bytes, &Profile::bounds_of) {
        Ok(Decoded::Chunks(recipe)) if is_right(recipe.file_len) => {
            return Ok(Some(Found {
                len: recipe.file_len,
                start: 0,
                chunks: recipe.chunks,
                pages: Vec::new(),
            }));
        }
        Ok(Decoded::Pages { file_len, pages, .. }) if is_right(file_len) => (file_len, pages),
        _ => return Ok(None),
    };
    if pages.iter().map(|page| u64::from(page.chunks)).sum::<u64>() > MAX_CHUNKS {
        return Ok(None);
    }
    let mut found = Found { len, start: 0, chunks: Vec::new(), pages: Vec::new() };
    let mut end = 0;
    for page in pages {
        let start = end;
        end += page.bytes;
        if end <= range.start || start >= range.end {
            continue;
        }
        if found.pages.is_empty() {
            found.start = start;
        }
        let key = RecordKey { hash: page.id, kind: RecordKind::Recipe };
        let Some((bytes, place)) = read_record(backend, catalog, places(key), key)? else { return Ok(None) };
        match recipe::decode(key.hash, &bytes, &Profile::bounds_of) {
            Ok(Decoded::Chunks(part))
                if part.file_len == page.bytes && part.chunks.len() == page.chunks as usize =>
            {
                found.chunks.extend(part.chunks);
                found.pages.push((key, place));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(found))
}
