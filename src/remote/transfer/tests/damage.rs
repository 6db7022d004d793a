//! O1: every object of a remote in turn removed, truncated, changed, replaced, emptied.

use super::*;
use crate::remote::backend::{Key, read, write};
use crate::remote::conformance::faulty::{Fault, FaultyBackend};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Removed,
    Emptied,
    Halved,
    Flipped(usize),
    Replaced,
}

fn harm(store: &MemoryBackend, key: &Key, harm: Harm) {
    let mut bytes = read(store, key, u64::MAX).expect("reads");
    match harm {
        Harm::Removed => return store.delete(key).expect("memory"),
        Harm::Emptied => bytes.clear(),
        Harm::Halved => bytes.truncate(bytes.len() / 2),
        Harm::Flipped(part) => {
            let at = bytes.len() * part / 8;
            bytes[at] ^= 0x20;
        }
        Harm::Replaced => {
            // By another valid object of the same kind, or of any.
            let folder = key.parts().next().expect("a part").to_owned();
            let others: Vec<Key> = store.keys().into_iter().filter(|other| other != key).collect();
            let same = others.iter().find(|other| other.parts().next() == Some(&folder));
            bytes = read(store, same.unwrap_or(&others[0]), u64::MAX).expect("reads");
        }
    }
    store.replace(key, bytes);
}

fn harms() -> impl Iterator<Item = Harm> {
    [Harm::Removed, Harm::Emptied, Harm::Halved, Harm::Replaced].into_iter().chain((0..8).map(Harm::Flipped))
}

/// A remote with two clones' data, some of it in common, over several packs and segments.
fn filled() -> (Arc<MemoryBackend>, Clone, Clone) {
    let backend = memory();
    let first = mixed(1);
    first.push(&backend).expect("pushes");
    let mut second = mixed(2);
    for path in ["a.csv", "b.bin"] {
        second.add_file(path, noise(77, 40_000));
    }
    second.push(&backend).expect("pushes");
    (backend, first, second)
}

#[test]
fn a_harmed_object_gives_no_wrong_byte_and_hides_no_loss() {
    let (pristine, _, _) = filled();
    for key in pristine.keys() {
        for how in harms() {
            let (backend, first, second) = filled();
            // Nonces differ between runs: take the object of the same rank.
            let rank = pristine.keys().iter().position(|other| *other == key).expect("listed");
            let key = backend.keys()[rank].clone();
            harm(&backend, &key, how);
            for clone in [&first, &second] {
                let fresh = Clone::new(50);
                match fresh.fetch(&backend, &clone.wants) {
                    Ok((report, _)) => {
                        let unwanted = report.missing.len() + report.gone.len() + report.damaged.len();
                        let distinct: BTreeSet<_> = clone.wants.wants().iter().map(|want| want.key).collect();
                        assert_eq!(fresh.store.len() + unwanted, distinct.len(), "{key} {how:?}");
                    }
                    Err(error) => {
                        let is_told = matches!(error, Error::NotARemote { .. } | Error::Record { .. });
                        assert!(key.as_str() == "mlv-remote" && is_told, "{key} {how:?}: {error}");
                    }
                }
            }
        }
    }
}

/// R15, R8: the next push of a clone that has the bytes makes good what a listing can show.
#[test]
fn the_next_push_makes_good_what_is_gone_or_torn() {
    for how in [Harm::Removed, Harm::Emptied, Harm::Halved] {
        let count = filled().0.keys().len();
        for rank in 0..count {
            let (backend, first, second) = filled();
            let key = backend.keys()[rank].clone();
            if key.as_str() == "mlv-remote" && how != Harm::Removed {
                continue;
            }
            harm(&backend, &key, how);
            for clone in [&first, &second] {
                clone.push(&backend).unwrap_or_else(|error| panic!("{key} {how:?}: {error}"));
                assert_fetchable(&backend, clone);
            }
        }
    }
}

/// A record that is damaged in one pack is taken from another.
#[test]
fn the_other_copy_serves_where_one_is_damaged() {
    let backend = memory();
    let first = mixed(1);
    first.push(&backend).expect("pushes");
    // A clone that knows nothing of the first push sends all of it again.
    let blind = memory();
    first.push(&blind).expect("pushes");
    for key in blind.keys().into_iter().filter(|key| key.as_str() != "mlv-remote") {
        backend.put(&key, &[read(&blind, &key, u64::MAX).expect("reads").into()]).expect("memory");
    }
    for key in blind.keys().into_iter().filter(|key| key.as_str().starts_with("pk/")) {
        for how in harms() {
            let before = read(&backend, &key, u64::MAX).expect("reads");
            harm(&backend, &key, how);
            assert_fetchable(&backend, &first);
            backend.replace(&key, before);
        }
    }
}

/// Packs that a collection deleted cost a request for each other copy, not one for each chunk.
#[test]
fn chunks_of_packs_that_are_gone_are_asked_for_together() {
    let mut clone = Clone::new(1);
    clone.add_file("large", noise(9, 8 << 20));
    let copies = [memory(), memory()];
    for copy in &copies {
        clone.push(copy).expect("pushes");
    }
    for kept in &copies {
        // The indexes of both, and the packs of one.
        let backend = memory();
        for (copy, key) in copies.iter().flat_map(|copy| copy.keys().into_iter().map(move |key| (copy, key)))
        {
            if !key.as_str().starts_with("pk/") || Arc::ptr_eq(copy, kept) {
                write(&backend, &key, &read(copy, &key, u64::MAX).expect("reads")).expect("memory");
            }
        }
        let (report, requests) = Clone::new(2).fetch(&backend, &clone.wants).expect("fetches");
        assert!(report.is_complete() && report.chunks > 60, "{report:?}");
        assert!(requests.get < 20, "{requests:?}");
    }
}

/// What is gone from its known place since the catalogue was read is found at its new one.
#[test]
fn a_fetch_with_an_old_catalogue_looks_again() {
    let backend = memory();
    let clone = mixed(1);
    clone.push(&backend).expect("pushes");
    let reader = Clone::new(5);
    let (report, _) = reader.fetch(&backend, &clone.wants).expect("fetches");
    assert!(report.is_complete());
    for key in backend
        .keys()
        .into_iter()
        .filter(|key| key.as_str().starts_with("pk/") || key.as_str().starts_with("ix/"))
    {
        backend.delete(&key).expect("memory");
    }
    let (report, _) = clone.push(&backend).expect("sends all again");
    assert_eq!(report.objects, 203);
    let again = Clone { store: Store::default(), ..reader };
    let (report, _) = again.fetch(&backend, &clone.wants).expect("fetches");
    assert!(report.is_complete());
}

/// N1: a connection that breaks in the middle of a pack.
#[test]
fn reads_that_break_off_are_an_error_and_lose_nothing() {
    let (backend, first, _) = filled();
    let calls = Clone::new(5).fetch(&backend, &first.wants).expect("fetches").1.total();
    for at in 1..=calls {
        let faulty = FaultyBackend::new(Arc::clone(&backend), at, Fault::Torn);
        let reader = Clone::new(6);
        let error = reader.fetch(&Arc::new(faulty), &first.wants).expect_err("told");
        assert_eq!(error.kind(), ErrorKind::Network, "call {at}");
        reader.store.check();
        let (report, _) = reader.fetch(&backend, &first.wants).expect("fetches");
        assert!(report.is_complete());
    }
}

/// A lying index costs time, never truth: entries that point to other places.
#[test]
fn an_index_that_points_elsewhere_is_seen_through() {
    use crate::pack::format::TableEntry;
    use crate::pack::segment::{Segment, SegmentBuilder};
    use crate::remote::backend::list_sorted;
    use crate::remote::names::segment_key;
    let backend = memory();
    let clone = mixed(1);
    clone.push(&backend).expect("pushes");
    let listed = list_sorted(&backend, "ix/").expect("memory");
    let segment =
        Segment::parse(read(&backend, &listed[0].key, u64::MAX).expect("reads")).expect("a segment");
    let rows: Vec<_> = segment.iter().collect();
    let mut builder = SegmentBuilder::new();
    for (at, (key, location)) in rows.iter().enumerate() {
        // Each record at the place of the next but one, with its lengths.
        let (_, other) = &rows[(at + 2) % rows.len()];
        let entry = TableEntry {
            key: *key,
            offset: other.offset,
            stored_len: other.stored_len,
            raw_len: other.raw_len,
            codec: other.codec,
            crc: 0,
        };
        builder.add_pack(location.pack, location.pack_len, &[entry]);
    }
    let (name, bytes) = builder.build(0, (0, 0), [3; 8]).expect("builds").expect("entries");
    write(&backend, &segment_key(&name), &bytes).expect("memory");
    let fresh = Clone::new(4);
    // Whichever index is listed first is believed first: a record that is wrongly placed in its only pack is told
    // as damaged, or found by the true one. No wrong byte comes, and nothing is called missing.
    let (report, _) = fresh.fetch(&backend, &clone.wants).expect("fetches");
    assert!(report.missing.is_empty() && report.gone.is_empty(), "{report:?}");
    fresh.store.check();
    assert!(report.is_complete() || !report.damaged.is_empty());
}

/// R9: a listing that fails is never an empty one.
#[test]
fn a_failed_listing_stops_a_push() {
    let (backend, first, _) = filled();
    for at in 1..=5 {
        let dead = FaultyBackend::dead_from(Arc::clone(&backend), at);
        let error = first.push(&Arc::new(dead)).expect_err("told");
        assert_eq!(error.kind(), ErrorKind::Network);
    }
}

/// Puts `records` into a pack of its own, with a segment over it.
fn plant(backend: &MemoryBackend, records: &[(RecordKey, Vec<u8>)]) {
    use crate::pack::format::Codec;
    use crate::pack::segment::SegmentBuilder;
    use crate::pack::writer::PackWriter;
    use crate::remote::names::{pack_key, segment_key};
    let mut writer = PackWriter::new(Vec::new(), [7; 16]).expect("memory");
    for (key, bytes) in records {
        writer.push(*key, Codec::Raw, bytes.len() as u32, bytes).expect("fits");
    }
    let (sealed, bytes) = writer.finish().expect("a pack");
    write(&backend, &pack_key(sealed.id), &bytes).expect("memory");
    let mut builder = SegmentBuilder::new();
    builder.add_pack(sealed.id, sealed.len, &sealed.entries);
    let (name, bytes) = builder.build(0, (0, 0), [7; 8]).expect("builds").expect("entries");
    write(&backend, &segment_key(&name), &bytes).expect("memory");
}

/// Recipes that are well formed and lie: about the length, the chunks, their lengths, their number.
#[test]
fn a_recipe_that_lies_gives_no_file() {
    use crate::model::digest::ChunkId;
    use crate::model::object::ChunkRef;
    use crate::model::recipe::Recipe;
    let chunks: Vec<Vec<u8>> = (0..400).map(|number| noise(900 + number, 16 << 10)).collect();
    let part = |bytes: &Vec<u8>| ChunkRef { id: ChunkId(Digest::of(bytes)), len: bytes.len() as u32 };
    let whole = chunks.concat();
    let file = ObjectId(Digest::of(&whole));
    let honest =
        Recipe { file, file_len: whole.len() as u64, profile: 1, chunks: chunks.iter().map(part).collect() };
    let mut swapped = honest.clone();
    swapped.chunks.swap(3, 300);
    let mut longer = honest.clone();
    longer.chunks.push(part(&chunks[0]));
    longer.file_len += 16 << 10;
    // One chunk twice, the second time with a length that it does not have.
    let mut stretched = honest.clone();
    stretched.chunks[399] = ChunkRef { len: 60 << 10, ..stretched.chunks[0] };
    stretched.file_len += 44 << 10;
    let mut endless = honest.clone();
    endless.chunks = vec![part(&chunks[0]); 65_536 * 300];
    endless.file_len = endless.chunks.len() as u64 * (16 << 10);

    for (name, recipe, served) in [
        ("honest", honest, true),
        ("swapped", swapped, false),
        ("longer", longer, false),
        ("stretched", stretched, false),
        ("endless", endless, false),
    ] {
        let backend = memory();
        let mut other = Clone::new(1);
        other.add_file("x", b"x".to_vec());
        other.push(&backend).expect("pushes");
        let mut records: BTreeMap<RecordKey, Vec<u8>> = recipe.encode().into_iter().collect();
        for bytes in &chunks {
            records.insert(RecordKey { hash: Digest::of(bytes), kind: RecordKind::Chunk }, bytes.clone());
        }
        plant(&backend, &records.into_iter().collect::<Vec<_>>());
        // Whether the size of the file is believed or not known.
        for size in [recipe.file_len, 0] {
            let mut wants = WantList::new();
            wants.file(file, size, "x.bin");
            let reader = Clone::new(2);
            let (report, _) = reader.fetch(&backend, &wants).expect("answers");
            assert_eq!(report.is_complete(), served, "{name} {size}");
            assert_eq!(report.damaged.is_empty(), served, "{name} {size}");
            assert_eq!(reader.store.len(), usize::from(served), "{name}");
        }
    }
}
