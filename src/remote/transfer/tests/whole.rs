//! What goes in comes out, and what is there already is not sent.

use super::*;
use crate::remote::backend::{list_sorted, read};
use crate::remote::conformance::faulty::FaultyBackend;
use crate::remote::folder::FolderBackend;
use crate::remote::names::{RootRecordName, format_key};
use crate::remote::records::{MAX_FORMAT, RemoteFormat, RootRecord};

fn round_trip(backend: Arc<impl Backend + 'static>) {
    let mut clone = mixed(1);
    let hole = [noise(5, 100_000), vec![0; 9_000_000], noise(6, 100_000)].concat();
    clone.add_file("hole.bin", hole.clone());
    clone.add_file("same.bin", hole);
    let (report, _) = clone.push(&backend).expect("pushes");
    assert_eq!(report.objects, 204, "204 different files and a copy");
    assert!(report.chunks > 200 && report.pages == 1 && report.packs == 1, "{report:?}");
    assert!(report.bytes_sent < 9_000_000, "zeros and the text compress or repeat: {}", report.bytes_sent);
    assert_fetchable(&backend, &clone);
    let (again, _) = clone.push(&backend).expect("pushes");
    assert_eq!(PushReport { requests: 0, ..again }, PushReport::default());
}

#[test]
fn everything_comes_back_from_memory() {
    round_trip(memory());
}

#[test]
fn everything_comes_back_from_a_folder() {
    let root = tempfile::tempdir().expect("a folder");
    round_trip(Arc::new(FolderBackend::new(&root.path().join("new"))));
}

#[test]
fn many_packs_and_many_large_files_come_back() {
    let backend = memory();
    let mut clone = Clone::new(1);
    clone.add_files(1, 20, 3_900_000);
    for number in 0..6 {
        clone.add_file("x.bin", noise(100 + number, 4_300_000 + number as usize));
    }
    let (report, _) = clone.push(&backend).expect("pushes");
    assert!(report.packs >= 3, "{report:?}");
    for line in list_sorted(&backend, "pk/").expect("memory") {
        assert!(line.size <= 48 << 20, "{line:?}");
    }
    assert_fetchable(&backend, &clone);
}

#[test]
fn the_next_version_of_a_large_file_sends_its_difference() {
    let backend = memory();
    let mut clone = Clone::new(1);
    let mut bytes = noise(1, 20_000_000);
    clone.add_file("model.bin", bytes.clone());
    clone.push(&backend).expect("pushes");
    bytes.splice(5_000_000..5_000_000, noise(2, 1_000));
    bytes[15_000_000] ^= 1;
    clone.add_file("model.bin", bytes);
    let (report, _) = clone.push(&backend).expect("pushes");
    assert!(report.bytes_sent < 800_000, "{report:?}");
    assert_fetchable(&backend, &clone);
}

/// The answer for a large file is remembered: no recipe is read again.
#[test]
fn a_large_file_that_is_there_is_found_without_its_recipe() {
    let backend = memory();
    let mut clone = Clone::new(1);
    clone.add_file("model.bin", noise(1, 5_000_000));
    clone.push(&backend).expect("pushes");
    let (_, requests) = clone.push(&backend).expect("pushes");
    assert_eq!((requests.get, requests.put), (1, 0), "{requests:?}");

    // Another clone that has the file in its cache reads the recipe once.
    let mut other = Clone::new(2);
    other.add_file("model.bin", noise(1, 5_000_000));
    let (report, _) = other.push(&backend).expect("pushes");
    assert_eq!(report.bytes_sent, 0);
    let (_, requests) = other.push(&backend).expect("pushes");
    assert_eq!((requests.get, requests.put), (1, 0), "{requests:?}");
}

/// What a clone does not hold is relied on where the remote has it.
#[test]
fn a_clone_without_the_data_pushes_what_it_has() {
    let backend = memory();
    let mut first = mixed(1);
    first.push(&backend).expect("pushes");
    let mut second = Clone::new(2);
    second.wants = first.wants.clone();
    second.roots = first.roots.clone();
    second.add_file("new.csv", b"x".to_vec());
    let (report, _) = second.push(&backend).expect("pushes");
    assert_eq!(report.objects, 1);
    first.wants = second.wants;
    first.store.insert(file_key(ObjectId(Digest::of(b"x"))), b"x".to_vec());
    assert_fetchable(&backend, &first);
}

#[test]
fn what_is_neither_here_nor_there_is_told_before_anything_is_written() {
    let backend = memory();
    let mut clone = mixed(1);
    let absent = ObjectId(Digest::of(b"absent"));
    clone.wants.file(absent, 6, "x");
    let large = ObjectId(Digest::of(b"absent and large"));
    clone.wants.file(large, 10 << 20, "x");
    let error = clone.push(&backend).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let Error::Missing { missing, .. } = error else { panic!("{error}") };
    assert_eq!(missing, [file_key(absent), file_key(large)]);
    assert_eq!(backend.keys(), []);
}

/// R4: bytes that are not what they are called are never sent as such.
#[test]
fn damage_at_the_source_is_told_and_not_sent() {
    for large in [false, true] {
        let backend = memory();
        let mut clone = Clone::new(1);
        clone.add_file("good", b"good".to_vec());
        let id = clone.add_file("bad", noise(1, if large { 5_000_000 } else { 5_000 }));
        let mut bytes = clone.store.get(file_key(id)).expect("held");
        bytes[1_000] ^= 1;
        clone.store.insert(file_key(id), bytes);
        let error = clone.push(&backend).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert_eq!(*clone.store.damaged.lock().expect("no panic"), BTreeSet::from([file_key(id)]));
        let fresh = Clone::new(2);
        let (report, _) = fresh.fetch(&backend, &clone.wants).expect("fetches");
        assert_eq!(report.missing, [file_key(id)], "large: {large}");
        assert!(list_sorted(&backend, "rt/").expect("memory").is_empty());
    }
}

#[test]
fn the_root_record_names_the_roots_and_is_written_when_they_change_or_age() {
    let backend = memory();
    let mut clone = Clone::new(7);
    let id = clone.add_file("a", b"a".to_vec());
    let records = || {
        let listed = list_sorted(&backend, "rt/").expect("memory");
        listed.iter().map(|line| RootRecordName::parse(&line.key).expect("a record")).collect::<Vec<_>>()
    };
    clone.push(&backend).expect("pushes");
    clone.push(&backend).expect("pushes");
    let names = records();
    assert_eq!((names.len(), names[0].client, names[0].seq), (1, ClientId(7), 1));
    let bytes = read(&backend, &names[0].key(), 1_000).expect("reads");
    let record = RootRecord::decode_named(names[0], &bytes).expect("a record");
    assert_eq!(record.roots, [Root::File { id, size: 1 }]);

    backend.advance(Duration::from_secs(14 * 24 * 3600));
    clone.push(&backend).expect("pushes");
    assert_eq!(records().len(), 1, "14 days are young");
    backend.advance(Duration::from_secs(2 * 24 * 3600));
    clone.push(&backend).expect("pushes");
    assert_eq!(records().len(), 2, "16 of 30 days are not");
    clone.add_file("b", b"b".to_vec());
    clone.push(&backend).expect("pushes");
    assert_eq!(records().last().map(|name| name.seq), Some(3));
}

#[test]
fn a_remote_is_made_by_the_first_push_and_needs_no_unknown_feature() {
    let backend = memory();
    let clone = mixed(1);
    let error = clone.fetch(&backend, &clone.wants).expect_err("nothing there");
    assert!(matches!(error, Error::NotARemote { .. }), "{error}");
    let remote = clone.open(Arc::clone(&backend), Operation::Write).expect("opens");
    assert!(!remote.exists());
    assert_eq!(backend.keys(), [], "opening makes nothing");

    let mut format = RemoteFormat::new(crate::remote::names::RepoId(5));
    format.write.push("locks".into());
    backend.replace(&format_key(), format.encode());
    let error = clone.push(&backend).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(backend.keys().len(), 1, "refused before any change");
    assert!(clone.open(Arc::clone(&backend), Operation::Read).is_ok());

    for text in ["", "<html>log in</html>", "{\"format\":2}\n"] {
        backend.replace(&format_key(), text.into());
        for operation in [Operation::Read, Operation::Write] {
            let error = clone.open(Arc::clone(&backend), operation).err().expect("refused");
            assert!(matches!(error, Error::Record { .. }), "{error}");
        }
    }
}

/// A remote that this clone used and that is gone is missed; it is made anew only if that is asked for.
#[test]
fn a_remote_that_vanished_is_missed() {
    let clone = mixed(1);
    clone.push(&memory()).expect("pushes");
    let open = |backend: Arc<MemoryBackend>, create| {
        let mut options = OpenOptions::new("memory", Some(clone.cache.path()), Operation::Write);
        options.create = create;
        Remote::open(Box::new(backend), options)
    };
    assert!(matches!(open(memory(), false).err(), Some(Error::Vanished { .. })));
    assert!(open(memory(), true).is_ok());
    // Where data is left only the text that says what it is was lost.
    let left = memory();
    clone.push(&left).expect("pushes");
    left.delete(&format_key()).expect("memory");
    assert!(open(left, false).is_ok());
}

/// What was remembered of a remote is not applied to another one at its place.
#[test]
fn a_remote_that_was_made_anew_gets_everything_again() {
    let first = memory();
    let clone = mixed(1);
    clone.push(&first).expect("pushes");
    let second = memory();
    clone.push(&second).expect("pushes");
    assert_fetchable(&second, &clone);
    let id = |backend| {
        RemoteFormat::decode(&read(backend, &format_key(), MAX_FORMAT).expect("reads"))
            .expect("a format")
            .repo_id
    };
    assert_ne!(id(&*first as &dyn Backend), id(&*second as &dyn Backend));
}

#[test]
fn a_plan_tells_what_will_be_sent_and_changes_nothing() {
    let backend = memory();
    let clone = mixed(1);
    let plan = || {
        let mut remote = clone.open(Arc::clone(&backend), Operation::Write).expect("opens");
        let plan = plan_push(&mut remote, &clone.wants, &clone.store).expect("plans");
        (plan.counts(), remote.requests())
    };
    let (counts, requests) = plan();
    assert_eq!((counts.objects, counts.pages), (203, 2));
    assert!(counts.bytes >= 200 * 3_000 + 4_300_000);
    assert_eq!((requests.put, requests.delete), (0, 0));
    assert_eq!(backend.keys(), []);
    let (report, requests) = clone.push(&backend).expect("pushes");
    assert!(report.bytes_sent <= counts.bytes + 100_000);
    assert!(requests.total() <= counts.requests, "{requests:?} {counts:?}");
    let (counts, _) = plan();
    assert_eq!((counts.objects, counts.pages, counts.bytes), (0, 0, 0));
}

/// Sixteen pushes of one tier become one segment of the next, and nothing is lost by it.
#[test]
fn segments_are_merged_and_a_new_clone_reads_few() {
    let backend = memory();
    let mut clone = Clone::new(1);
    for number in 0..40u64 {
        clone.add_file("x", noise(number, 1_000));
        clone.push(&backend).expect("pushes");
    }
    let listed = list_sorted(&backend, "ix/").expect("memory").len();
    assert_eq!(listed, 42, "40 and two merged ones; only a collector deletes");
    let fresh = Clone::new(2);
    let (report, requests) = fresh.fetch(&backend, &clone.wants).expect("fetches");
    assert!(report.is_complete());
    assert!(requests.get < 40 + 1 + 2 + 8 + 2, "{requests:?}");
    let (_, requests) = clone.push(&backend).expect("pushes");
    assert_eq!(requests.total(), 5, "the clone that merged knows its own segments");
}

/// What tidies up decides about nothing: when it begins, the push has proven that all is there.
#[test]
fn a_push_whose_merge_fails_is_a_success() {
    let sixteenth = |dead_from| {
        let backend = memory();
        let mut clone = Clone::new(1);
        for number in 0..15u64 {
            clone.add_file("x", noise(number, 1_000));
            clone.push(&backend).expect("pushes");
        }
        clone.add_file("x", noise(15, 1_000));
        let faulty = Arc::new(FaultyBackend::dead_from(Arc::clone(&backend), dead_from));
        clone.push(&faulty).expect("pushes");
        assert_fetchable(&backend, &clone);
        (faulty.calls(), list_sorted(&backend, "ix/").expect("memory").len())
    };
    let (calls, segments) = sixteenth(u64::MAX);
    assert_eq!(segments, 17);
    // The last call writes the merged segment.
    assert_eq!(sixteenth(calls).1, 16);
}

/// A remote that only newer programs may write to is not written to by a read that finds damage.
#[test]
fn a_fetch_leaves_no_note_where_it_may_not_write() {
    for may_write in [true, false] {
        let backend = memory();
        let clone = mixed(1);
        clone.push(&backend).expect("pushes");
        let mut format = RemoteFormat::new(crate::remote::names::RepoId(5));
        if !may_write {
            format.write.push("locks".into());
        }
        backend.replace(&format_key(), format.encode());
        for key in backend.keys().into_iter().filter(|key| key.as_str().starts_with("pk/")) {
            let mut bytes = read(&backend, &key, u64::MAX).expect("reads");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            backend.replace(&key, bytes);
        }
        let before = backend.keys().len();
        let (report, _) = Clone::new(2).fetch(&backend, &clone.wants).expect("fetches");
        assert!(!report.damaged.is_empty());
        assert_eq!(backend.keys().len() > before, may_write);
    }
}

/// R4: a record that is damaged at one place of the source is taken from another.
#[test]
fn another_copy_at_the_source_serves() {
    let backend = memory();
    let mut clone = mixed(1);
    let id = clone.add_file("x", b"the true bytes".to_vec());
    clone.store.insert(file_key(id), b"other bytes".to_vec());
    clone.store.copies.lock().expect("no panic").insert(file_key(id), b"the true bytes".to_vec());
    clone.push(&backend).expect("pushes");
    assert_eq!(clone.store.damaged.lock().expect("no panic").len(), 1);
    assert_fetchable(&backend, &clone);
}
