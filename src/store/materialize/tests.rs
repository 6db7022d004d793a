mod folders;

use super::*;
use crate::error::{Advice, ErrorKind};
use crate::fs::fault::{Plan, with_plan};
use crate::model::object::{RecordKey, RecordKind};
use crate::report::{NoReport, Reporter, Task as Work, Unit};
use crate::store::layout::loose_path;
use crate::store::{Cache, CacheOptions};
use std::fs as os;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

struct Project {
    root: tempfile::TempDir,
    work: Dir,
    mlv: Arc<Dir>,
    staging: Staging,
    cache: Cache,
}

impl Project {
    fn new(options: CacheOptions) -> Project {
        let root = crate::store::tests::scratch();
        os::create_dir_all(root.path().join(".mlv/tmp")).unwrap();
        let open = |path: &str| Dir::open(&root.path().join(path)).unwrap();
        let cache = Cache::open(&root.path().join(".mlv/cache"), options).unwrap();
        Project {
            work: open("."),
            mlv: Arc::new(open(".mlv")),
            staging: Staging::create(open(".mlv/tmp")).unwrap(),
            cache,
            root,
        }
    }

    fn store(&self, contents: &[&[u8]]) {
        let writer = self.cache.writer().unwrap();
        for bytes in contents {
            let key = RecordKey { hash: Digest::of(bytes), kind: RecordKind::File };
            writer.put_record(key, bytes).unwrap();
        }
        writer.finish().unwrap();
    }

    /// Changes a byte of everything in the cache, of each record that is packed first in its pack.
    fn damage(&self) {
        let mut todo = vec![self.path(".mlv/cache/objects"), self.path(".mlv/cache/pk")];
        while let Some(path) = todo.pop() {
            if let Ok(entries) = os::read_dir(&path) {
                todo.extend(entries.map(|entry| entry.unwrap().path()));
            } else if path.is_file() {
                os::set_permissions(&path, os::Permissions::from_mode(0o600)).unwrap();
                let offset = if path.to_string_lossy().contains("/pk/") { 130 } else { 2 };
                os::File::options().write(true).open(&path).unwrap().write_all_at(b"!", offset).unwrap();
            }
        }
    }

    fn rescue(&self) -> Rescue {
        Rescue::new(self.mlv.clone(), "mlv checkout")
    }

    fn put(&self, items: &[Item], jobs: usize) -> Outcome {
        let rescue = self.rescue();
        let outcome =
            Materializer::new(&self.cache, &self.work, &self.staging, &rescue, jobs).put(items, &*meter());
        rescue.finish();
        outcome
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn examined(&self, name: &str, is_saved: bool) -> Box<Examined> {
        let stamp = self.work.stat(&name.parse().unwrap()).unwrap().unwrap();
        let hash = os::read(self.path(name)).ok().map(|bytes| Digest::of(&bytes));
        Box::new(Examined { stamp, is_saved, hash })
    }

    fn staged(&self) -> usize {
        os::read_dir(self.staging.dir().path()).unwrap().count() - 1
    }
}

fn packing() -> CacheOptions {
    CacheOptions { pack_from: 1, ..CacheOptions::default() }
}

fn meter() -> Box<dyn Meter> {
    NoReport.meter(Work { verb: "Checking out", unit: Unit::Bytes, total: None })
}

fn item(path: &str, kind: EntryKind, bytes: &[u8]) -> Item {
    let (size, hash) = (bytes.len() as u64, Digest::of(bytes));
    Item { path: path.parse().unwrap(), kind, size, hash, old: None }
}

fn content(seed: usize, len: usize) -> Vec<u8> {
    Digest::of(&seed.to_le_bytes()).as_bytes().iter().copied().cycle().take(len).collect()
}

#[test]
fn every_kind_is_put_in_place_from_packs_and_loose_files() {
    let large = content(0, 300 << 10);
    for options in [packing(), CacheOptions::default()] {
        for jobs in [1, 3] {
            let project = Project::new(options.clone());
            project.store(&[b"one", b"two", b"one", b"", &large]);
            let items = [
                item("d/a", EntryKind::File, b"one"),
                item("d/again", EntryKind::File, b"one"),
                item("d/empty", EntryKind::File, b""),
                item("d/folder", EntryKind::EmptyDir, b""),
                item("d/large", EntryKind::File, &large),
                item("d/link", EntryKind::Symlink, b"two"),
                item("d/run", EntryKind::Executable, b"two"),
                item("d/run-large", EntryKind::Executable, &large),
            ];
            let outcome = project.put(&items, jobs);
            assert!(outcome.failed.is_empty() && outcome.stopped.is_none(), "{:?}", outcome.failed);
            for (index, stamp) in &outcome.done {
                assert_eq!(project.work.stat(&items[*index].path).unwrap(), Some(*stamp));
            }
            assert_eq!(
                outcome.done.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
                [0, 1, 2, 3, 4, 5, 6, 7]
            );
            let read = |name: &str| os::read(project.path(name)).unwrap();
            assert_eq!(
                (read("d/a"), read("d/again"), read("d/empty")),
                (b"one".into(), b"one".into(), vec![])
            );
            assert_eq!((read("d/large"), read("d/run-large")), (large.clone(), large.clone()));
            assert_eq!(os::read_link(project.path("d/link")).unwrap(), Path::new("two"));
            assert!(project.path("d/folder").is_dir());
            let mode = |name: &str| os::metadata(project.path(name)).unwrap().permissions().mode();
            assert_eq!((mode("d/run") & 0o100, mode("d/run-large") & 0o100), (0o100, 0o100));
            assert_eq!((mode("d/a") & 0o300, mode("d/large") & 0o300), (0o200, 0o200), "writable");
            assert_eq!(project.staged(), 0);
        }
    }
}

#[test]
fn many_files_over_several_packs_arrive_whole() {
    let project = Project::new(CacheOptions { pack_below: 8 << 20, ..packing() });
    let contents: Vec<Vec<u8>> = (0..40).map(|seed| content(seed, (seed % 7) * 900_000 + 10)).collect();
    project.store(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let items: Vec<Item> = (0..40)
        .map(|seed| item(&format!("d{}/f{seed}", seed % 3), EntryKind::File, &contents[seed]))
        .collect();
    let outcome = project.put(&items, 4);
    assert_eq!(outcome.done.len(), 40, "{:?}", outcome.failed);
    for (item, bytes) in items.iter().zip(&contents) {
        assert_eq!(&os::read(project.path(item.path.as_str())).unwrap(), bytes);
    }
}

/// R14: one that fails is named, the others are there.
#[test]
fn failures_are_single_and_named() {
    let project = Project::new(packing());
    project.store(&[b"one", b"two", b"../../x", b"/etc/passwd", b"a/../../.git/config"]);
    os::create_dir(project.path("taken")).unwrap();
    os::write(project.path("file"), "user's").unwrap();
    os::create_dir(project.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", project.path("way")).unwrap();
    let items = [
        item("absent", EntryKind::File, b"never stored"),
        item("d/link-1", EntryKind::Symlink, b"../../x"),
        item("d/link-2", EntryKind::Symlink, b"/etc/passwd"),
        item("d/link-3", EntryKind::Symlink, b"a/../../.git/config"),
        item("file", EntryKind::File, b"one"),
        item("file/below", EntryKind::File, b"one"),
        item("good", EntryKind::File, b"two"),
        item("taken", EntryKind::File, b"one"),
        item("way/through", EntryKind::File, b"one"),
    ];
    let outcome = project.put(&items, 1);
    assert_eq!(outcome.done.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [6]);
    let kinds: Vec<ErrorKind> = outcome.failed.iter().map(|(_, error)| error.kind()).collect();
    use ErrorKind::*;
    let expected = [
        NotDownloaded,
        UnsafePath,
        UnsafePath,
        UnsafePath,
        WouldOverwrite,
        WouldOverwrite,
        WouldOverwrite,
        UnsafePath,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(os::read(project.path("file")).unwrap(), b"user's");
    assert_eq!(os::read_dir(project.path("elsewhere")).unwrap().count(), 0);
    assert_eq!(project.staged(), 0);
}

/// R4: wrong bytes never arrive; another source serves, and what was wrong is put aside.
#[test]
fn damaged_objects_are_taken_from_elsewhere_or_refused() {
    let large = content(5, 200 << 10);
    for (options, bytes) in
        [(packing(), &b"small"[..]), (CacheOptions::default(), b"small"), (packing(), &large)]
    {
        let project = Project::new(options);
        project.store(&[bytes]);
        project.damage();
        let items = [item("f", EntryKind::File, bytes)];
        let outcome = project.put(&items, 1);
        assert!(matches!(outcome.failed[..], [(0, Error::Damaged { .. })]), "{outcome:?}");
        assert!(!project.path("f").exists());
        assert_eq!(project.staged(), 0);
        project.store(&[bytes]);
        assert_eq!(project.put(&items, 1).done.len(), 1);
        assert_eq!(os::read(project.path("f")).unwrap(), bytes);
    }
}

/// The mutations that the test above is there to notice.
#[test]
fn without_its_stamp_a_pack_of_this_process_would_be_believed() {
    let project = Project::new(packing());
    project.store(&[b"small"]);
    project.damage();
    let put = || project.put(&[item("f", EntryKind::File, b"small")], 1);
    assert_eq!(crate::fs::fault::with_mutation("pack-stamp", put).done.len(), 1);
    assert_ne!(os::read(project.path("f")).unwrap(), b"small");
}

#[test]
fn without_the_hash_wrong_bytes_would_arrive() {
    let project = Project::new(CacheOptions::default());
    project.store(&[b"right"]);
    let object = loose_path(RecordKey { hash: Digest::of(b"right"), kind: RecordKind::File });
    let path = project.path(".mlv/cache").join(object.as_str());
    os::set_permissions(&path, os::Permissions::from_mode(0o600)).unwrap();
    os::write(&path, "wrong").unwrap();
    let put = || project.put(&[item("f", EntryKind::File, b"right")], 1);
    assert_eq!(crate::fs::fault::with_mutation("materialize-verify", put).done.len(), 1);
    assert_eq!(os::read(project.path("f")).unwrap(), b"wrong");
}

#[test]
fn replaced_and_removed_files_are_saved_or_rescued() {
    let project = Project::new(packing());
    project.store(&[b"new", b"old saved", b"saved"]);
    for name in ["saved", "unsaved"] {
        os::write(project.path(name), format!("old {name}")).unwrap();
        os::create_dir_all(project.path("gone/deep")).unwrap();
        os::write(project.path(&format!("gone/deep/{name}")), name).unwrap();
    }
    let mut items = [item("saved", EntryKind::File, b"new"), item("unsaved", EntryKind::File, b"new")];
    items[0].old = Some(project.examined("saved", true));
    items[1].old = Some(project.examined("unsaved", false));
    let outcome = project.put(&items, 2);
    assert_eq!((outcome.done.len(), outcome.kept.len()), (2, 1));
    assert_eq!(os::read(project.path("unsaved")).unwrap(), b"new");
    let removals = ["saved", "unsaved"].map(|name| Removal {
        path: format!("gone/deep/{name}").parse().unwrap(),
        old: *project.examined(&format!("gone/deep/{name}"), name == "saved"),
    });
    let rescue = project.rescue();
    let materializer = Materializer::new(&project.cache, &project.work, &project.staging, &rescue, 1);
    let outcome = materializer.remove(&removals, &"gone".parse().unwrap());
    assert_eq!((outcome.done.len(), outcome.kept.len()), (2, 1));
    assert!(project.path("gone").exists() && !project.path("gone/deep").exists());
    let operations = crate::fs::rescue::list(&project.mlv).unwrap();
    let mut rescued: Vec<_> =
        operations.iter().flat_map(|operation| &operation.files).map(|file| &*file.path).collect();
    rescued.sort_unstable();
    assert_eq!(rescued, ["gone/deep/unsaved", "unsaved"]);
}

/// R18: a segment that others made may name places that reach into each other.
#[test]
fn records_that_overlap_in_a_segment_are_read_one_by_one() {
    let project = Project::new(CacheOptions { pack_below: 8 << 20, ..packing() });
    let large = content(4, 100 << 10);
    project.store(&[&large]);
    let cache = project.path(".mlv/cache");
    let only = |folder: std::path::PathBuf| os::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let pack = only(only(cache.join("pk")));
    let entry = |bytes: &[u8], offset| crate::pack::format::TableEntry {
        key: RecordKey { hash: Digest::of(bytes), kind: RecordKind::File },
        offset,
        stored_len: bytes.len() as u32,
        raw_len: bytes.len() as u32,
        codec: crate::pack::format::Codec::Raw,
        crc: 0,
    };
    let mut builder = crate::pack::segment::SegmentBuilder::new();
    let id = pack.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let entries = [entry(&large, 64), entry(b"inside", 80)];
    builder.add_pack(crate::model::digest::PackId(id), pack.metadata().unwrap().len(), &entries);
    let (name, bytes) = builder.build(0, (0, 0), [7; 8]).unwrap().unwrap();
    os::remove_file(only(cache.join("ix"))).unwrap();
    os::write(cache.join("ix").join(name.to_string()), bytes).unwrap();
    project.cache.forget_packed();

    let keys = entries.map(|entry| entry.key);
    let mut handed = Vec::new();
    project.cache.load_unverified(&keys, &mut |at, bytes| handed.push((at, Digest::of(bytes)))).unwrap();
    assert!(handed.contains(&(0, Digest::of(&large))) && handed.len() == 2, "{handed:?}");
    let items = [item("large", EntryKind::File, &large), item("other", EntryKind::File, b"inside")];
    let outcome = project.put(&items, 1);
    assert_eq!((outcome.done.len(), outcome.failed.len()), (1, 1), "{outcome:?}");
    assert_eq!(os::read(project.path("large")).unwrap(), large);
}

#[test]
fn loose_objects_are_linked_as_configured_and_executables_copied() {
    let bytes = content(1, 200 << 10);
    for mode in [LinkMode::Hardlink, LinkMode::Symlink, LinkMode::Copy] {
        let project = Project::new(CacheOptions { links: vec![mode], ..packing() });
        project.store(&[&bytes]);
        let items = [item("f", EntryKind::File, &bytes), item("x", EntryKind::Executable, &bytes)];
        let outcome = project.put(&items, 1);
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        let meta = os::symlink_metadata(project.path("f")).unwrap();
        assert_eq!(
            (meta.is_symlink(), meta.nlink()),
            (mode == LinkMode::Symlink, 1 + u64::from(mode == LinkMode::Hardlink))
        );
        assert_eq!(os::read(project.path("f")).unwrap(), bytes);
        assert_eq!(os::symlink_metadata(project.path("x")).unwrap().nlink(), 1);
        if mode == LinkMode::Symlink {
            let target = os::read_link(project.path("f")).unwrap();
            let object = project.cache.linked_object(target.to_str().unwrap()).unwrap();
            assert_eq!(object.id.digest(), Digest::of(&bytes));
            assert_eq!(project.cache.linked_object("/etc/passwd"), None);
        }
    }
}

/// R23: what cannot fit is refused before anything is written, with the numbers.
#[test]
fn what_cannot_fit_is_not_begun() {
    let project = Project::new(packing());
    project.store(&[b"one"]);
    let mut huge = item("huge", EntryKind::File, b"one");
    huge.size = 1 << 60;
    let outcome = project.put(&[item("small", EntryKind::File, b"one"), huge], 1);
    let stopped = outcome.stopped.unwrap();
    assert_eq!(stopped.kind(), ErrorKind::NoSpace);
    assert!(stopped.to_string().contains("needs 1152921504606846979 bytes"), "{stopped}");
    assert!(outcome.done.is_empty() && !project.path("small").exists());
}

/// S1: a disk that is full after all stops the rest and leaves whole files alone.
#[test]
fn a_full_disk_stops_the_rest() {
    let mount = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(mount.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let project = Project::new(packing());
        let contents: Vec<Vec<u8>> = (0..40).map(|seed| content(seed, 50_000)).collect();
        project.store(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
        // The size is not said, so that only the writing finds out.
        let items: Vec<Item> = contents
            .iter()
            .enumerate()
            .map(|(seed, bytes)| Item { size: 0, ..item(&format!("f{seed}"), EntryKind::File, bytes) })
            .collect();
        os::create_dir(mount.path().join("tmp")).unwrap();
        let work = Dir::open(mount.path()).unwrap();
        let staging = Staging::create(Dir::open(&mount.path().join("tmp")).unwrap()).unwrap();
        let rescue = project.rescue();
        let outcome = Materializer::new(&project.cache, &work, &staging, &rescue, 1).put(&items, &*meter());
        assert_eq!(outcome.stopped.unwrap().kind(), ErrorKind::NoSpace);
        assert!(!outcome.done.is_empty() && outcome.done.len() < 40 && outcome.failed.is_empty());
        assert_eq!(os::read_dir(mount.path()).unwrap().count(), outcome.done.len() + 1);
        for (index, _) in &outcome.done {
            assert_eq!(os::read(mount.path().join(format!("f{index}"))).unwrap(), contents[*index]);
        }
    });
    assert!(
        std::process::Command::new("umount").arg(mount.path()).status().is_ok_and(|status| status.success())
    );
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// K1: with a failure at any step every file is there whole or not at all, nothing of the
/// user's is lost, and the next attempt completes.
#[test]
fn a_failure_at_any_step_leaves_whole_files_and_loses_nothing() {
    let large = content(3, 150 << 10);
    for at in 1.. {
        let project = Project::new(packing());
        project.store(&[b"one", b"link", &large]);
        os::write(project.path("old"), "user's bytes").unwrap();
        let items = || {
            let mut items = vec![
                item("d/one", EntryKind::File, b"one"),
                item("d/two", EntryKind::File, &large),
                item("d/link", EntryKind::Symlink, b"link"),
                item("e", EntryKind::EmptyDir, b""),
                item("old", EntryKind::File, b"one"),
            ];
            items[4].old = project.path("old").exists().then(|| project.examined("old", false));
            items
        };
        let first = items();
        let (outcome, steps) = with_plan(Plan::Fail(at, 5, false), || project.put(&first, 1));
        for (name, whole) in [("d/one", &b"one"[..]), ("d/two", &large)] {
            let now = os::read(project.path(name));
            assert!(now.is_err() || now.unwrap() == whole, "step {at}: {name}");
        }
        let is_rescued = || {
            let operations = crate::fs::rescue::list(&project.mlv).unwrap();
            operations
                .iter()
                .flat_map(|operation| &operation.files)
                .any(|file| file.path == "old" && file.size == 12)
        };
        assert!(
            os::read(project.path("old")).is_ok_and(|now| now == b"user's bytes") || is_rescued(),
            "step {at}"
        );
        let rest: Vec<Item> = items()
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !outcome.done.iter().any(|(done, _)| done == index))
            .map(|(_, item)| item)
            .filter(|item| item.old.is_some() || !project.path(item.path.as_str()).exists())
            .filter(|item| {
                item.path.as_str() != "d/link" || os::symlink_metadata(project.path("d/link")).is_err()
            })
            .collect();
        let again = project.put(&rest, 1);
        assert!(again.failed.is_empty(), "step {at}: {:?}", again.failed);
        assert_eq!(os::read(project.path("old")).unwrap(), b"one");
        assert!(is_rescued(), "step {at}");
        if at > steps {
            assert!(outcome.failed.is_empty() && steps > 20, "{steps}");
            break;
        }
    }
}
