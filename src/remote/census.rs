//! Counts what a remote holds, from the tables of its packs: no index is believed.

use std::collections::BTreeSet;

use crate::model::object::RecordKind;
use crate::pack::format::{HEADER_LEN, TRAILER_LEN, TableEntry};
use crate::pack::{self, reader};
use crate::remote::Error;
use crate::remote::backend::{Action, Backend, BackendError, Listed, Situation, list_sorted, read_range};
use crate::remote::names::PACKS;

/// How much of each kind a remote holds. A record that stands in several packs counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Census {
    /// Packs.
    pub packs: u64,
    /// Whole files, up to 4 MiB each.
    pub files: u64,
    /// Pieces of larger files.
    pub chunks: u64,
    /// Pages of directories.
    pub pages: u64,
    /// The packs' sizes added up, in bytes.
    pub bytes: u64,
}

/// Reads the tables of all packs.
///
/// Fails if one cannot be read or contradicts itself.
pub fn take(backend: &dyn Backend) -> Result<Census, Error> {
    let mut census = Census::default();
    let mut seen = BTreeSet::new();
    for pack in list_sorted(backend, PACKS)? {
        census.packs += 1;
        census.bytes += pack.size;
        seen.extend(table(backend, &pack)?.into_iter().map(|entry| entry.key));
    }
    for key in seen {
        match key.kind {
            RecordKind::File => census.files += 1,
            RecordKind::Chunk => census.chunks += 1,
            RecordKind::TreePage => census.pages += 1,
            RecordKind::Recipe | RecordKind::RunRecord => {}
        }
    }
    Ok(census)
}

/// What the table of a pack says, checked against its trailer.
pub(crate) fn table(backend: &dyn Backend, pack: &Listed) -> Result<Vec<TableEntry>, BackendError> {
    let damaged = |error: pack::Error| {
        BackendError::new(Situation::Invalid, Action::Read, pack.key.as_str(), backend.describe())
            .because(error)
    };
    let end = pack.size.saturating_sub(TRAILER_LEN as u64);
    let last = read_range(backend, &pack.key, end..pack.size)?;
    let trailer = reader::read_trailer(&last, pack.size).map_err(damaged)?;
    let header = read_range(backend, &pack.key, 0..HEADER_LEN as u64)?;
    let table = read_range(backend, &pack.key, trailer.table_offset..end)?;
    reader::read_table(&header, &table, &trailer).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::object::RecordKey;
    use crate::pack::format::Codec;
    use crate::pack::writer::PackWriter;
    use crate::remote::backend::write;
    use crate::remote::memory::MemoryBackend;
    use crate::remote::names::pack_key;

    fn put(backend: &MemoryBackend, nonce: u8, records: &[(RecordKind, &[u8])]) -> u64 {
        let mut writer = PackWriter::new(Vec::new(), [nonce; 16]).expect("a vector takes all");
        for (kind, bytes) in records {
            let key = RecordKey { kind: *kind, hash: Digest::of(bytes) };
            writer.push(key, Codec::Raw, bytes.len() as u32, bytes).expect("a vector takes all");
        }
        let (sealed, bytes) = writer.finish().expect("a vector takes all");
        write(&backend, &pack_key(sealed.id), &bytes).expect("memory takes all");
        bytes.len() as u64
    }

    #[test]
    fn records_count_once_and_packs_each() {
        let backend = MemoryBackend::new();
        assert_eq!(take(&backend).expect("an empty remote"), Census::default());
        let (file, chunk, page) = (RecordKind::File, RecordKind::Chunk, RecordKind::TreePage);
        let first = put(&backend, 1, &[(file, b"a"), (file, b"b"), (chunk, b"c"), (page, b"d")]);
        let second = put(&backend, 2, &[(file, b"b"), (chunk, b"e")]);
        let census = take(&backend).expect("a remote");
        assert_eq!(census, Census { packs: 2, files: 2, chunks: 2, pages: 1, bytes: first + second });
    }

    #[test]
    fn damaged_pack_is_an_error() {
        let backend = MemoryBackend::new();
        put(&backend, 1, &[(RecordKind::File, b"a")]);
        let pack = list_sorted(&backend, PACKS).expect("a listing").remove(0);
        backend.delete(&pack.key).expect("it was there");
        write(&backend, &pack.key, b"short").expect("memory takes all");
        assert!(take(&backend).is_err());
    }
}
