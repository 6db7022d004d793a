use super::*;
use crate::model::digest::Digest;
use crate::model::object::RecordKind;
use crate::pack::format::TableEntry;
use crate::pack::segment::SegmentBuilder;
use crate::remote::backend::write;
use crate::remote::conformance::faulty::Interposed;
use crate::remote::memory::MemoryBackend;

fn digest(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn key(number: u32) -> RecordKey {
    RecordKey { hash: digest(number), kind: RecordKind::File }
}

/// A pack of the records `numbers`, of 100 bytes each.
fn pack(id: u32, numbers: impl Iterator<Item = u32>) -> (PackId, u64, Vec<TableEntry>) {
    let entry = |(at, number): (u32, u32)| TableEntry {
        key: key(number),
        offset: 64 + at * 164,
        stored_len: 100,
        raw_len: 100,
        codec: Codec::Raw,
        crc: 0,
    };
    (PackId(digest(1_000_000 + id)), 10 << 20, (0..).zip(numbers).map(entry).collect())
}

fn segment(
    tier: u8,
    range: (u8, u32),
    packs: &[(PackId, u64, Vec<TableEntry>)],
    replaced: &[SegmentName],
) -> (SegmentName, Vec<u8>) {
    let mut builder = SegmentBuilder::new();
    packs.iter().for_each(|(id, len, entries)| builder.add_pack(*id, *len, entries));
    replaced.iter().for_each(|name| builder.supersede(name.id));
    builder.build(tier, range, [tier; 8]).expect("within limits").expect("has entries")
}

fn put(backend: &dyn Backend, (name, bytes): &(SegmentName, Vec<u8>)) {
    write(backend, &segment_key(name), bytes).expect("memory");
}

fn sorted(numbers: impl Iterator<Item = u32>) -> SortedKeys {
    SortedKeys::new(numbers.map(key).collect())
}

fn all(catalog: &Catalog) -> Usable {
    catalog.usable(|_, _| true)
}

fn names(catalog: &Catalog) -> Vec<SegmentName> {
    let mut names: Vec<_> = catalog.held().map(|(name, _)| *name).collect();
    names.sort();
    names
}

#[test]
fn union_of_segments_finds_what_each_has() {
    let backend = MemoryBackend::new();
    put(&backend, &segment(0, (0, 0), &[pack(1, 0..1000)], &[]));
    put(&backend, &segment(0, (0, 0), &[pack(2, 500..60_000)], &[]));
    let mut catalog = Catalog::default();
    assert!(!catalog.is_known());
    assert_eq!(catalog.refresh(&backend, &State::none()).expect("memory").added, 2);
    for wanted in [0..10u32, 0..70_000, 59_990..60_010] {
        let numbers: Vec<u32> = wanted.rev().collect();
        let found = catalog.locate(&sorted(numbers.iter().copied()), &all(&catalog));
        for (number, place) in numbers.iter().zip(found) {
            assert_eq!(place.is_some(), *number < 60_000, "{number}");
            assert_eq!(catalog.place(key(*number), &all(&catalog)).is_some(), place.is_some());
        }
    }
    assert_eq!(catalog.places(key(700)).count(), 2);
    let only_second = catalog.usable(|id, _| id == pack(2, 0..0).0);
    assert_eq!(catalog.place(key(3), &only_second), None);
    let place = catalog.place(key(700), &only_second).expect("in both");
    assert_eq!(catalog.pack(place.pack).0, pack(2, 0..0).0);
    let chunk = RecordKey { kind: RecordKind::Chunk, ..key(3) };
    assert!(catalog.place(chunk, &all(&catalog)).is_some(), "a file serves for a chunk");
    let page = RecordKey { kind: RecordKind::TreePage, ..key(3) };
    assert_eq!(catalog.place(page, &all(&catalog)), None);
    let twice = sorted([3, 4, 3].into_iter());
    assert_eq!(catalog.locate(&twice, &all(&catalog)).iter().flatten().count(), 3);
    assert_eq!(twice.repeated(), [false, false, true]);
}

/// Formats, "Index segments": superseded only when readable ones cover the whole range.
#[test]
fn a_segment_counts_until_readable_ones_cover_all_of_it() {
    let backend = MemoryBackend::new();
    let state = State::none();
    let old = segment(0, (0, 0), &[pack(1, 0..100)], &[]);
    let low = segment(1, (1, 0), &[pack(1, 0..100)], &[old.0]);
    let high = segment(1, (1, 1 << 31), &[pack(1, 0..100)], &[old.0]);
    put(&backend, &old);
    put(&backend, &low);
    let mut catalog = Catalog::default();
    catalog.refresh(&backend, &state).expect("memory");
    assert_eq!(names(&catalog), [old.0, low.0], "half covered is not covered");

    let damaged: Vec<u8> = high.1.iter().map(|byte| byte ^ 1).collect();
    write(&backend, &segment_key(&high.0), &damaged).expect("memory");
    let refreshed = catalog.refresh(&backend, &state).expect("memory");
    assert_eq!(refreshed.unreadable, [high.0]);
    assert_eq!(names(&catalog), [old.0, low.0], "an unreadable segment covers nothing");

    backend.replace(&segment_key(&high.0), high.1.clone());
    catalog.refresh(&backend, &state).expect("memory");
    assert_eq!(names(&catalog), [low.0, high.0]);
    for number in 0..100 {
        assert!(catalog.place(key(number), &all(&catalog)).is_some());
    }
    let mut fresh = Catalog::default();
    assert_eq!(
        fresh.refresh(&backend, &state).expect("memory").added,
        2,
        "the superseded one is not even read"
    );
}

#[test]
fn a_segment_that_vanished_is_told_unless_it_is_covered() {
    let backend = MemoryBackend::new();
    let state = State::none();
    let old = segment(0, (0, 0), &[pack(1, 0..100)], &[]);
    put(&backend, &old);
    let mut catalog = Catalog::default();
    assert_eq!(catalog.refresh(&backend, &state).expect("memory").orphaned, []);
    backend.delete(&segment_key(&old.0)).expect("memory");
    assert_eq!(catalog.refresh(&backend, &state).expect("memory").orphaned, [old.0]);
    backend.replace(&segment_key(&old.0), old.1[..50].to_vec());
    assert_eq!(
        catalog.refresh(&backend, &state).expect("memory").orphaned,
        [old.0],
        "torn is as good as gone"
    );
    backend.delete(&segment_key(&old.0)).expect("memory");
    put(&backend, &segment(1, (0, 0), &[pack(1, 0..100)], &[old.0]));
    assert_eq!(catalog.refresh(&backend, &state).expect("memory").orphaned, []);
    assert_eq!(catalog.segments(), 1);
}

#[test]
fn what_was_read_is_remembered_and_damage_to_it_costs_a_request() {
    let backend = MemoryBackend::new();
    let root = tempfile::tempdir().expect("a folder");
    let state = State::below(root.path(), crate::remote::names::RepoId(1), "memory");
    let one = segment(0, (0, 0), &[pack(1, 0..100)], &[]);
    put(&backend, &one);
    Catalog::default().refresh(&backend, &state).expect("memory");
    let mut again = Catalog::load(&state);
    assert!(again.is_known());
    assert_eq!(again.refresh(&backend, &state).expect("memory").added, 0);

    let mut pending = vec![root.path().to_path_buf()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()),
            );
        } else {
            let mut bytes = std::fs::read(&path).expect("reads");
            bytes[200] ^= 1;
            std::fs::write(&path, bytes).expect("writes");
        }
    }
    let mut damaged = Catalog::load(&state);
    assert!(!damaged.is_known(), "R10");
    assert_eq!(damaged.refresh(&backend, &state).expect("memory").added, 1);
}

/// A listing may name what was merged and purged before it is read.
#[test]
fn a_listed_segment_that_is_gone_makes_the_listing_repeat() {
    let old = segment(0, (0, 0), &[pack(1, 0..100)], &[]);
    let merged = segment(1, (0, 0), &[pack(1, 0..100)], &[old.0]);
    let store = MemoryBackend::new();
    put(&store, &old);
    let backend = Interposed::new(&store, |store, call| {
        if call == 2 {
            store.delete(&segment_key(&old.0)).expect("memory");
            put(*store, &merged);
        }
    });
    let mut catalog = Catalog::default();
    let refreshed = catalog.refresh(&backend, &State::none()).expect("lists again");
    assert_eq!((refreshed.added, refreshed.orphaned.len()), (1, 0));
    assert_eq!(names(&catalog), [merged.0]);
}

#[test]
fn ranges_cover_only_without_a_gap() {
    let whole = range(0, 0);
    assert!(covers(whole, vec![range(0, 0)]));
    assert!(covers(whole, vec![range(1, 1 << 31), range(1, 0)]));
    assert!(!covers(whole, vec![range(1, 0), range(2, 3 << 30)]));
    assert!(covers(range(2, 1 << 30), vec![range(1, 0)]));
    assert!(!covers(range(1, 0), vec![range(2, 1 << 30)]));
    assert!(covers(range(32, 7), vec![range(32, 7)]));
    assert!(!covers(whole, Vec::new()));
}
