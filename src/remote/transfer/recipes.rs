//! Reading single records and the recipes of large files from a remote.

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
pub(super) fn read_record(
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
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether a read says that the object, or this part of it, is not there.
pub(super) fn is_absence(error: &BackendError) -> bool {
    use crate::remote::backend::Situation;
    matches!(error.situation, Situation::NotFound | Situation::Invalid)
}

/// A recipe as it stands on a remote.
pub(super) struct Found {
    /// Its chunks in the order of the file.
    pub(super) chunks: Vec<ChunkRef>,
    /// Where the recipe's records lie.
    pub(super) places: Vec<Place>,
}

/// Reads the recipe of `file`, from the places that `places` gives for each of its records.
///
/// `None` if it is absent or damaged. Its sums are checked, its chunks are not looked for.
pub(super) fn read_recipe<P: IntoIterator<Item = Place>>(
    backend: &dyn Backend,
    catalog: &Catalog,
    places: &dyn Fn(RecordKey) -> P,
    file: ObjectId,
) -> Result<Option<Found>, BackendError> {
    let key = RecordKey { hash: file.digest(), kind: RecordKind::Recipe };
    let Some((bytes, place)) = read_record(backend, catalog, places(key), key)? else { return Ok(None) };
    let pages = match recipe::decode(key.hash, &bytes, &Profile::bounds_of) {
        Ok(Decoded::Chunks(recipe)) => {
            return Ok(Some(Found { chunks: recipe.chunks, places: vec![place] }));
        }
        Ok(Decoded::Pages { pages, .. }) => pages,
        Err(_) => return Ok(None),
    };
    let mut found = Found { chunks: Vec::new(), places: vec![place] };
    for page in pages {
        let key = RecordKey { hash: page.id, kind: RecordKind::Recipe };
        let Some((bytes, place)) = read_record(backend, catalog, places(key), key)? else { return Ok(None) };
        match recipe::decode(key.hash, &bytes, &Profile::bounds_of) {
            Ok(Decoded::Chunks(part))
                if part.file_len == page.bytes && part.chunks.len() == page.chunks as usize =>
            {
                found.chunks.extend(part.chunks);
                found.places.push(place);
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(found))
}
