//! What a remote has of a list.

use super::*;
use crate::remote::names::parse_pack_key;
use crate::remote::transfer::presence::find_present;

fn ask(clone: &Clone, backend: &Arc<MemoryBackend>, of: &WantList) -> (Vec<bool>, Requests) {
    let mut remote = clone.open(Arc::clone(backend), Operation::Read).expect("opens");
    let present = find_present(&mut remote, of, &NoReport).expect("answers");
    (present, remote.requests())
}

/// A remote with some of everything, and a second push of three small files and a large one.
fn filled() -> (Arc<MemoryBackend>, Clone, usize) {
    let backend = memory();
    let mut clone = mixed(1);
    clone.push(&backend).expect("pushes");
    let before = clone.wants.len();
    clone.add_files(50, 3, 2_000);
    clone.add_file("b.bin", noise(78, 5_000_000));
    (backend, clone, before)
}

#[test]
fn each_leaf_is_looked_for_by_itself() {
    let (backend, clone, before) = filled();
    let (present, _) = ask(&clone, &backend, &clone.wants);
    let expected: Vec<bool> = (0..clone.wants.len()).map(|at| at < before).collect();
    assert_eq!(present, expected);
    clone.push(&backend).expect("pushes");
    assert!(ask(&clone, &backend, &clone.wants).0.iter().all(|is_there| *is_there));
}

/// DVC's "remote hole": what is gone is seen, also by the clone that pushed it.
#[test]
fn what_was_removed_is_not_there() {
    let (backend, clone, before) = filled();
    let packs = |backend: &MemoryBackend| -> Vec<_> {
        backend.keys().into_iter().filter(|key| parse_pack_key(key).is_some()).collect()
    };
    let old = packs(&backend);
    clone.push(&backend).expect("pushes");
    assert!(ask(&clone, &backend, &clone.wants).0.iter().all(|is_there| *is_there), "and remembered");
    for key in packs(&backend).iter().filter(|key| !old.contains(key)) {
        backend.delete(key).expect("memory");
    }
    let (present, _) = ask(&clone, &backend, &clone.wants);
    let expected: Vec<bool> = (0..clone.wants.len()).map(|at| at < before).collect();
    assert_eq!(present, expected);
    assert_eq!(ask(&Clone::new(9), &backend, &clone.wants).0, expected, "nor for anybody else");
}

/// A segment that only this clone remembers helps nobody else: whoever fetches looks into the packs then.
#[test]
fn what_no_segment_names_is_there_as_long_as_its_packs_are() {
    let backend = memory();
    let clone = mixed(1);
    clone.push(&backend).expect("pushes");
    for key in backend.keys() {
        if crate::remote::names::parse_segment_key(&key).is_some() {
            backend.delete(&key).expect("memory");
        }
    }
    assert!(ask(&clone, &backend, &clone.wants).0.iter().all(|is_there| *is_there));
    assert_fetchable(&backend, &clone);
    for key in backend.keys() {
        if crate::remote::names::parse_pack_key(&key).is_some() {
            backend.delete(&key).expect("memory");
        }
    }
    assert!(ask(&clone, &backend, &clone.wants).0.iter().all(|is_there| !is_there));
    clone.push(&backend).expect("pushes");
    assert!(ask(&clone, &backend, &clone.wants).0.iter().all(|is_there| *is_there), "a push mends it");
}

#[test]
fn requests_do_not_grow_with_the_files() {
    let backend = memory();
    let mut clone = Clone::new(1);
    for number in 0..20 {
        clone.add_file("x.bin", noise(number, 4_300_000));
    }
    clone.add_files(3, 2_000, 500);
    clone.push(&backend).expect("pushes");
    let fresh = Clone::new(9);
    let (present, requests) = ask(&fresh, &backend, &clone.wants);
    assert!(present.iter().all(|is_there| *is_there));
    // The format, three listings, the segment, and the recipes of three packs.
    assert!(requests.total() <= 8, "{requests:?}");
    let (_, again) = ask(&fresh, &backend, &clone.wants);
    assert!(again.total() <= 4, "the recipes are remembered: {again:?}");
}
