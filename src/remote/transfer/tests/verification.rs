//! What a push makes of marks, vanished packs and vanished segments (P5).

use super::*;
use crate::model::digest::PackId;
use crate::remote::backend::{Key, list_sorted, read, write};
use crate::remote::conformance::faulty::Interposed;
use crate::remote::names::{Nonce, NoteName, parse_pack_key};
use crate::remote::records::{Mark, NOTE};

fn packs(store: &MemoryBackend) -> Vec<PackId> {
    list_sorted(store, "pk/").expect("memory").iter().filter_map(|line| parse_pack_key(&line.key)).collect()
}

fn mark(store: &MemoryBackend, packs: Vec<PackId>) -> Key {
    let bytes = Mark { client: ClientId(9), packs }.encode();
    let key = Mark::name(&bytes, Nonce(1)).key();
    write(&store, &key, &bytes).expect("memory");
    key
}

/// Pushes once, lets `meanwhile` change the remote, pushes again from the same clone.
fn push_twice(meanwhile: impl Fn(&MemoryBackend)) -> (PushReport, Arc<MemoryBackend>) {
    let backend = memory();
    let clone = mixed(1);
    clone.push(&backend).expect("pushes");
    meanwhile(&backend);
    let (report, _) = clone.push(&backend).expect("pushes again");
    (report, backend)
}

/// Everything is sent again, and can be fetched when the packs of the first push are gone.
fn assert_sent_again(report: PushReport, backend: &Arc<MemoryBackend>, old: &[PackId]) {
    assert_eq!(report.objects, 203, "{report:?}");
    for pack in old {
        backend.delete(&crate::remote::names::pack_key(*pack)).expect("memory");
    }
    assert_fetchable(backend, &mixed(1));
}

/// R7: a marked pack may be gone at any moment, so nothing relies on it.
#[test]
fn marked_packs_are_not_relied_on() {
    let old = Mutex::new(Vec::new());
    let (report, backend) = push_twice(|store| {
        *old.lock().expect("no panic") = packs(store);
        mark(store, packs(store));
    });
    assert_sent_again(report, &backend, &old.into_inner().expect("no panic"));
}

/// R9: that a pack is named somewhere does not mean that it is there.
#[test]
fn packs_that_are_gone_or_torn_are_sent_again() {
    for torn in [false, true] {
        let old = Mutex::new(Vec::new());
        let (report, backend) = push_twice(|store| {
            *old.lock().expect("no panic") = packs(store);
            for pack in packs(store) {
                let key = crate::remote::names::pack_key(pack);
                let bytes = read(store, &key, u64::MAX).expect("reads");
                store.delete(&key).expect("memory");
                if torn {
                    store.replace(&key, bytes[..bytes.len() / 2].to_vec());
                }
            }
        });
        assert_sent_again(report, &backend, &old.into_inner().expect("no panic"));
    }
}

/// Another clone finds nothing that no segment names; so a segment that is gone comes back.
#[test]
fn segments_that_are_gone_are_written_again() {
    for torn in [false, true] {
        let (report, backend) = push_twice(|store| {
            for line in list_sorted(store, "ix/").expect("memory") {
                let bytes = read(store, &line.key, u64::MAX).expect("reads");
                store.delete(&line.key).expect("memory");
                if torn {
                    store.replace(&line.key, bytes[..bytes.len() / 2].to_vec());
                }
            }
        });
        assert_eq!(report.bytes_sent, 0, "the packs are there: {report:?}");
        assert_fetchable(&backend, &mixed(1));
    }
}

/// The same while the push is on its way: the change comes right before one of its calls.
#[test]
fn whatever_happens_between_two_calls_is_seen() {
    let calls = {
        let store = memory();
        mixed(1).push(&store).expect("pushes").1.total()
    };
    for at in 1..=calls {
        for act in 0..3 {
            let store = memory();
            let doomed: Arc<Mutex<Vec<PackId>>> = Arc::default();
            let noted = Arc::clone(&doomed);
            let backend =
                Arc::new(Interposed::new(Arc::clone(&store), move |store: &Arc<MemoryBackend>, call| {
                    if call != at {
                        return;
                    }
                    let there = packs(store);
                    match act {
                        0 => there.iter().for_each(|pack| {
                            store.delete(&crate::remote::names::pack_key(*pack)).expect("memory")
                        }),
                        1 => drop(mark(store, there.clone())),
                        _ => list_sorted(store, "ix/")
                            .expect("memory")
                            .iter()
                            .for_each(|l| store.delete(&l.key).expect("memory")),
                    }
                    if act < 2 {
                        noted.lock().expect("no panic").extend(there);
                    }
                }));
            let clone = mixed(1);
            clone.push(&backend).expect("pushes");
            let listings = 3;
            if at + listings > calls {
                // After the listing that would show it: no push can know. The next one does.
                clone.push(&store).expect("pushes");
            }
            for pack in doomed.lock().expect("no panic").iter() {
                store.delete(&crate::remote::names::pack_key(*pack)).expect("memory");
            }
            assert_fetchable(&store, &clone);
        }
    }
}

/// Whoever has the bytes heals what was noted as damaged, and takes the note away.
#[test]
fn noted_damage_is_healed_by_who_has_the_bytes() {
    let backend = memory();
    let mut clone = mixed(1);
    let small = clone.add_file("small", b"small".to_vec());
    clone.push(&backend).expect("pushes");
    backend.advance(Duration::from_secs(10));
    let note = |hash: Digest| {
        let name = NoteName { hash, nonce: Nonce(1) };
        write(&backend, &name.key(), NOTE.as_bytes()).expect("memory");
    };
    note(small.digest());
    backend.advance(Duration::from_secs(10));
    let (report, _) = clone.push(&backend).expect("pushes");
    assert_eq!((report.objects, report.packs), (1, 1), "{report:?}");
    assert!(list_sorted(&backend, "gc/").expect("memory").is_empty(), "healed");
    let (report, _) = clone.push(&backend).expect("pushes");
    assert_eq!(report.packs, 0);

    // Who does not have the bytes looks whether they are well.
    note(small.digest());
    let mut other = Clone::new(2);
    other.wants.file(small, 5, "small");
    other.push(&backend).expect("the record reads well");
    for line in list_sorted(&backend, "pk/").expect("memory") {
        let mut bytes = read(&backend, &line.key, u64::MAX).expect("reads");
        bytes.iter_mut().skip(64).for_each(|byte| *byte ^= 1);
        backend.replace(&line.key, bytes);
    }
    let error = other.push(&backend).expect_err("damaged there, absent here");
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

/// R9: a mark that cannot be read may be about any pack.
#[test]
fn an_unreadable_mark_stops_a_push() {
    let backend = memory();
    let clone = mixed(1);
    clone.push(&backend).expect("pushes");
    let key = mark(&backend, packs(&backend));
    backend.replace(&key, b"{\"version\":1,\"client\":\"0000000000000009\",\"packs\":1}\n".to_vec());
    let error = clone.push(&backend).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::RemoteInvalid);
}

/// A store that forgets what it is told is not pushed to for ever.
#[test]
fn a_store_that_does_not_keep_packs_is_given_up() {
    let backend = Arc::new(Interposed::new(memory(), |store: &Arc<MemoryBackend>, _| {
        packs(store)
            .iter()
            .for_each(|pack| store.delete(&crate::remote::names::pack_key(*pack)).expect("memory"));
    }));
    let error = mixed(1).push(&backend).expect_err("gives up");
    assert_eq!(error.kind(), ErrorKind::RemoteInvalid);
}
