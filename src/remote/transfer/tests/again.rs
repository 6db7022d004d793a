//! A push of what an earlier one found there: it asks for packs, not for records.

use super::*;
use crate::model::object::RecordKind;
use crate::remote::names::{RootRecordName, pack_key};

/// A push of the same again, if what is remembered settles it.
fn again(clone: &Clone, backend: &Arc<MemoryBackend>, roots: &[Root]) -> Option<PushReport> {
    let mut remote = clone.open(Arc::clone(backend), Operation::Write).expect("opens");
    let request = PushRequest { roots: roots.to_vec(), ..clone.request() };
    push_again(&mut remote, &request, &NoReport).expect("asks")
}

fn pushed() -> (Clone, Arc<MemoryBackend>) {
    let (mut clone, backend) = (mixed(1), memory());
    assert_eq!(again(&clone, &backend, &clone.roots), None, "nothing was pushed");
    clone.push(&backend).expect("pushes");
    clone.add_file("more", noise(7, 70_000));
    assert_eq!(again(&clone, &backend, &clone.roots), None, "not all was pushed");
    clone.push(&backend).expect("pushes");
    (clone, backend)
}

fn packs(backend: &MemoryBackend) -> Vec<crate::model::digest::PackId> {
    let keys = backend.keys();
    keys.iter().filter_map(crate::remote::names::parse_pack_key).collect()
}

#[test]
fn what_was_found_there_is_not_looked_for_record_by_record() {
    let (clone, backend) = pushed();
    let report = again(&clone, &backend, &clone.roots).expect("settled");
    assert_eq!((report.requests, report.objects, report.packs), (5, 0, 0));
    assert!(again(&clone, &backend, &clone.roots[1..]).is_some(), "a part of it");
    let other = Root::File { id: ObjectId(Digest::of(b"other")), size: 5 };
    assert_eq!(again(&clone, &backend, &[other]), None);
    assert_eq!(again(&Clone::new(1), &backend, &clone.roots), None, "another clone");
}

/// R7, R9: one pack that went, was torn or is marked, and all is planned anew.
#[test]
fn one_pack_that_is_gone_unsettles_it() {
    let (clone, backend) = pushed();
    let packs = packs(&backend);
    assert!(packs.len() > 1, "{packs:?}");
    for pack in packs {
        let key = pack_key(pack);
        let bytes = crate::remote::backend::read(&backend, &key, u64::MAX).expect("memory");
        backend.delete(&key).expect("memory");
        assert_eq!(again(&clone, &backend, &clone.roots), None);
        backend.replace(&key, bytes[1..].to_vec());
        assert_eq!(again(&clone, &backend, &clone.roots), None);
        backend.replace(&key, bytes);
        assert!(again(&clone, &backend, &clone.roots).is_some());
    }
}

/// The root record is the clone's newest, as after every push: of fewer roots, too.
#[test]
fn the_root_record_is_written_all_the_same() {
    let (clone, backend) = pushed();
    let records = || {
        let keys = backend.keys();
        keys.iter().filter_map(RootRecordName::parse).map(|name| name.seq).collect::<Vec<_>>()
    };
    assert_eq!(records(), [1, 2]);
    assert!(again(&clone, &backend, &clone.roots).is_some());
    assert_eq!(records(), [1, 2]);
    assert!(again(&clone, &backend, &clone.roots[1..]).is_some());
    assert_eq!(records(), [1, 2, 3]);
}

/// A repair sends a few records under the roots of all: it says nothing about the rest.
#[test]
fn a_push_of_a_part_is_not_remembered_as_the_whole() {
    let (clone, backend) = (mixed(1), memory());
    let mut remote = clone.open(Arc::clone(&backend), Operation::Write).expect("opens");
    let mut part = WantList::new();
    part.record(
        *clone
            .wants
            .wants()
            .iter()
            .map(|want| &want.key)
            .find(|key| key.kind == RecordKind::File)
            .expect("a file"),
    );
    let plan = plan_push(&mut remote, &part, &clone.store).expect("plans");
    let request = PushRequest { is_whole: false, ..clone.request() };
    push(&mut remote, plan, &part, &clone.store, &request, &NoReport).expect("pushes");
    assert_eq!(again(&clone, &backend, &clone.roots), None);
}
