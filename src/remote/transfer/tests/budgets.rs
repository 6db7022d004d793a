//! How many requests things cost (docs/formats.md, "Requests").

use super::*;
use crate::remote::folder::FolderBackend;

/// Sets up a clone with `count` files of `len` bytes, pushes it to `backend`, and checks all budgets.
fn check(backend: Arc<impl Backend + 'static>, count: usize, len: usize, budget: u64) {
    let mut clone = Clone::new(1);
    clone.add_files(1, count, len);
    let (report, requests) = clone.push(&backend).expect("pushes");
    assert_eq!(report.objects, count as u64);
    assert!(requests.total() <= budget, "push of {count}: {requests:?}");

    let (_, requests) = clone.push(&backend).expect("pushes");
    assert!(requests.total() <= 5, "nothing new: {requests:?}");

    clone.add_files(2, 10, len);
    let (report, requests) = clone.push(&backend).expect("pushes");
    assert_eq!(report.objects, 10);
    assert!(requests.total() <= 8, "ten files changed: {requests:?}");

    // A pull asks for pages level by level, then for files; the clone keeps its catalogue between.
    let (pages, files): (Vec<_>, Vec<_>) =
        clone.wants.wants().iter().map(|want| want.key).partition(|key| key.kind == RecordKind::TreePage);
    let fresh = Clone::new(2);
    let mut remote = fresh.open(Arc::clone(&backend), Operation::Read).expect("opens");
    for keys in [vec![pages[0]], pages[1..].to_vec(), files] {
        let report =
            fetch(&mut remote, &keys.into_iter().collect(), &fresh.store, &NoReport).expect("fetches");
        assert!(report.is_complete());
    }
    assert_eq!(fresh.store.len(), clone.store.len());
    let requests = remote.requests();
    // One segment and one pack more than a pull of the first push alone.
    assert!(requests.total() <= budget + 2, "pull of {count}: {requests:?}");

    let cold = Clone::new(3);
    let mut remote = cold.open(Arc::clone(&backend), Operation::Read).expect("opens");
    for key in [pages[0], pages[1], clone.wants.wants()[count / 2].key] {
        let report =
            fetch(&mut remote, &[key].into_iter().collect(), &cold.store, &NoReport).expect("fetches");
        assert!(report.is_complete());
    }
    assert!(remote.requests().total() <= 8, "one file, cold: {:?}", remote.requests());
    assert!(remote.requests().bytes_in < 8 << 20, "only what is needed: {:?}", remote.requests());
}

#[test]
fn ten_thousand_files_in_memory() {
    check(memory(), 10_000, 10 << 10, 13);
}

#[test]
fn ten_thousand_files_in_a_folder() {
    let root = tempfile::tempdir().expect("a folder");
    check(Arc::new(FolderBackend::new(root.path())), 10_000, 10 << 10, 13);
}

/// 45 requests for files of 10 KiB, of which 32 are packs; of 256 bytes each they fill 2.
#[test]
fn a_hundred_thousand_files() {
    check(memory(), 100_000, 256, 45 - 32 + 2);
}
