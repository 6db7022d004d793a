//! Reading parts of files.

use std::ops::Range;

use super::*;
use crate::remote::backend::read;
use crate::remote::names::{pack_key, parse_pack_key};
use crate::remote::transfer::slice::{Slice, SliceOutcome, read_slice};

const SIZE: usize = 9_000_000;

/// A large file on a remote.
fn pushed(backend: &Arc<MemoryBackend>) -> (ObjectId, Vec<u8>) {
    let bytes = noise(5, SIZE);
    let mut clone = Clone::new(1);
    let id = clone.add_file("big.bin", bytes.clone());
    clone.push(backend).expect("pushes");
    (id, bytes)
}

fn part(
    backend: &Arc<MemoryBackend>,
    id: ObjectId,
    size: usize,
    range: Range<u64>,
) -> (Result<SliceOutcome, Error>, Vec<u8>, Requests) {
    let mut remote = Clone::new(9).open(Arc::clone(backend), Operation::Read).expect("opens");
    let mut out = Vec::new();
    let slice = Slice { id, size: size as u64, range };
    let outcome = read_slice(&mut remote, &slice, &mut out, &NoReport);
    (outcome, out, remote.requests())
}

#[test]
fn a_part_is_what_the_file_has_there_and_costs_its_chunks() {
    let backend = memory();
    let (id, bytes) = pushed(&backend);
    let end = SIZE as u64;
    for range in [0..1, 0..end, 4_000_000..4_000_001, 12_345..2_000_000, end - 1..end, end..end, 7..7] {
        let (outcome, out, requests) = part(&backend, id, SIZE, range.clone());
        assert_eq!(outcome.expect("reads"), SliceOutcome::Done, "{range:?}");
        assert!(out == bytes[range.start as usize..range.end as usize], "{range:?}");
        // A chunk at either end, the recipe, the segment and the format.
        let bound = (range.end - range.start) + (2 << 16) + (200 << 10);
        assert!(requests.bytes_in <= bound, "{range:?}: {requests:?}");
        assert!(requests.total() <= 6, "{range:?}: {requests:?}");
    }
}

#[test]
fn a_small_file_is_one_record() {
    let backend = memory();
    let mut clone = Clone::new(1);
    let id = clone.add_file("a", b"0123456789".to_vec());
    clone.push(&backend).expect("pushes");
    let (outcome, out, _) = part(&backend, id, 10, 3..7);
    assert_eq!((outcome.expect("reads"), out), (SliceOutcome::Done, b"3456".to_vec()));
    let (outcome, out, _) = part(&backend, id, 11, 3..7);
    assert_eq!((outcome.expect("reads"), out), (SliceOutcome::Damaged, Vec::new()), "another size");
    let nowhere = ObjectId(Digest::of(b"nowhere"));
    assert_eq!(part(&backend, nowhere, 3, 0..3).0.expect("reads"), SliceOutcome::Missing);
}

/// R4: a record is never taken for another one, and damage is told.
#[test]
fn damaged_chunk_is_no_part_of_a_file() {
    let backend = memory();
    let (id, bytes) = pushed(&backend);
    for key in backend.keys() {
        if let Some(pack) = parse_pack_key(&key) {
            let mut stored = read(&*backend, &key, u64::MAX).expect("reads");
            let middle = stored.len() / 2;
            stored[middle] ^= 1;
            backend.replace(&pack_key(pack), stored);
        }
    }
    let (outcome, out, _) = part(&backend, id, SIZE, 0..SIZE as u64);
    assert_eq!(outcome.expect("reads"), SliceOutcome::Damaged);
    assert!(out.len() < SIZE && bytes.starts_with(&out), "only what comes before the damage");
}

/// R4: chunks that are right and make another file are found out when all of it is read.
#[test]
fn a_recipe_that_makes_another_file_is_found_out_at_the_end() {
    use crate::model::digest::ChunkId;
    use crate::model::object::ChunkRef;
    use crate::model::recipe::Recipe;
    let other = noise(6, 20_000);
    let id = ObjectId(Digest::of(b"what it should be"));
    let chunk = ChunkRef { id: ChunkId(Digest::of(&other)), len: 20_000 };
    let recipe = Recipe { file: id, file_len: 20_000, profile: 1, chunks: vec![chunk] };
    let mut clone = Clone::new(1);
    for (key, bytes) in recipe.encode() {
        clone.wants.record(key);
        clone.store.insert(key, bytes);
    }
    let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
    clone.wants.record(key);
    clone.store.insert(key, other.clone());
    let backend = memory();
    clone.push(&backend).expect("pushes");
    let (outcome, _, _) = part(&backend, id, 20_000, 0..20_000);
    assert_eq!(outcome.expect("reads"), SliceOutcome::Damaged);
    let (outcome, out, _) = part(&backend, id, 20_000, 0..10);
    assert_eq!(
        (outcome.expect("reads"), out),
        (SliceOutcome::Done, other[..10].to_vec()),
        "of a part it is not known"
    );
}
