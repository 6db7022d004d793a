mod damage;
mod failures;

use super::*;
use crate::fs::dir::Dir;
use crate::fs::fault::{Plan, with_plan};
use crate::fs::stamp::FileKind;
use crate::model::digest::{Digest, ObjectId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::report::{NoReport, Reporter, Task, Unit};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

struct Place {
    root: tempfile::TempDir,
    work: Dir,
}

/// In memory where that is possible: thousands of fsyncs on a busy disk would take minutes.
pub(super) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Place {
    fn new() -> Place {
        let root = scratch();
        fs::create_dir(root.path().join("work")).unwrap();
        let work = Dir::open(&root.path().join("work")).unwrap();
        Place { root, work }
    }

    fn cache(&self) -> Cache {
        self.cache_with(CacheOptions::default())
    }

    fn cache_with(&self, options: CacheOptions) -> Cache {
        Cache::open(&self.root.path().join("cache"), options).unwrap()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> RepoPath {
        let path = self.root.path().join("work").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        name.parse().unwrap()
    }

    /// All files of the cache below a folder.
    fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut todo = vec![self.root.path().join("cache").join(folder)];
        while let Some(path) = todo.pop() {
            match fs::read_dir(&path) {
                Ok(entries) => todo.extend(entries.map(|entry| entry.unwrap().path())),
                Err(_) if path.is_file() => found.push(path),
                Err(_) => {}
            }
        }
        found.sort();
        found
    }
}

fn key_of(bytes: &[u8]) -> RecordKey {
    RecordKey { hash: Digest::of(bytes), kind: RecordKind::File }
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let block = Digest::of(&seed.to_le_bytes());
    block.as_bytes().iter().copied().cycle().take(len).collect()
}

fn meter() -> Box<dyn crate::report::Meter> {
    NoReport.meter(Task { verb: "Hashing", unit: Unit::Bytes, total: None })
}

fn read(cache: &Cache, id: ObjectId) -> Vec<u8> {
    let mut read = Vec::new();
    cache.open_unverified(id).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(Digest::of(&read), id.digest());
    read
}

/// Every visible thing is whole, and hashes to its name: what `fsck` says of a cache.
fn check(cache: &Cache, place: &Place) {
    for path in place.files("objects") {
        let hex: String = path
            .components()
            .rev()
            .take(2)
            .map(|part| part.as_os_str().to_str().unwrap())
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        assert_eq!(Digest::of(&fs::read(&path).unwrap()).to_string(), hex);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    }
    let Some(packed) = cache.packed() else { return };
    for (_, segment) in packed.segments() {
        for (key, _) in segment.iter() {
            cache.read_record(key).unwrap();
        }
    }
}

#[test]
fn opening_makes_nothing_and_the_first_write_makes_the_marker() {
    let place = Place::new();
    let cache = place.cache();
    assert!(!cache.has(key_of(b"x")));
    assert!(matches!(cache.read_record(key_of(b"x")), Err(Error::Missing { .. })));
    assert_eq!(cache.writer().unwrap().finish().unwrap(), WriteStats::default());
    assert!(!cache.root().exists());
    let writer = cache.writer().unwrap();
    writer.put_record(key_of(b"x"), b"x").unwrap();
    writer.finish().unwrap();
    assert!(cache.root().join("mlv-cache").exists() && cache.root().join("CACHEDIR.TAG").exists());
    assert_eq!(place.files("stage"), Vec::<std::path::PathBuf>::new());
    assert_eq!(place.cache().read_record(key_of(b"x")).unwrap(), b"x");
}

#[test]
fn few_records_lie_loose_and_many_in_packs() {
    for (count, packs, loose) in [(63, 0, 63), (64, 1, 0), (200, 1, 0)] {
        let place = Place::new();
        let cache = place.cache();
        let writer = cache.writer().unwrap();
        for seed in 0..count {
            let bytes = bytes(seed, 100 + seed as usize);
            assert!(writer.put_record(key_of(&bytes), &bytes).unwrap());
            assert!(!writer.put_record(key_of(&bytes), &bytes).unwrap(), "twice");
        }
        let stats = writer.finish().unwrap();
        assert_eq!((stats.packs, stats.loose, stats.records), (packs, loose, count));
        assert_eq!(place.files("objects").len() as u64, loose);
        assert_eq!(place.files("pk").len() as u64, packs);
        let reopened = place.cache();
        let presence = reopened.snapshot();
        for seed in 0..count {
            let bytes = bytes(seed, 100 + seed as usize);
            assert_eq!(read(&reopened, ObjectId(Digest::of(&bytes))), bytes);
            assert!(presence.has(key_of(&bytes)) && reopened.has(key_of(&bytes)));
            assert_eq!(reopened.object_len(ObjectId(Digest::of(&bytes))), Some(bytes.len() as u64));
        }
        assert!(!presence.has(key_of(b"other")));
        let again = reopened.writer().unwrap();
        assert!(!again.put_record(key_of(&bytes(1, 101)), &bytes(1, 101)).unwrap());
        assert_eq!(again.finish().unwrap(), WriteStats::default());
        check(&reopened, &place);
    }
}

#[test]
fn wrong_bytes_are_never_stored() {
    let place = Place::new();
    let cache = place.cache();
    let writer = cache.writer().unwrap();
    assert!(matches!(writer.put_record(key_of(b"a"), b"b"), Err(Error::WrongBytes { .. })));
    let id = ObjectId(Digest::of(b"a"));
    assert!(matches!(writer.put_stream(&mut &b"b"[..], id), Err(Error::WrongBytes { .. })));
    assert!(writer.put_stream(&mut &b"a"[..], id).unwrap());
    assert!(!writer.put_stream(&mut &b"a"[..], id).unwrap());
    writer.finish().unwrap();
    assert_eq!(read(&cache, id), b"a");
    assert_eq!(place.files("objects").len(), 1);
}

/// Takes in one file or symlink.
fn ingest(writer: &CacheWriter<'_>, dir: &Dir, path: &RepoPath) -> Result<Ingested, Error> {
    let kind = dir.stat(path)?.map_or(FileKind::File, |stamp| stamp.kind);
    writer.ingest_all(dir, &RepoPath::root(), &[(path.as_str(), kind)], 1, &*meter())?.remove(0)
}

#[test]
fn files_are_taken_in_once_and_told_apart() {
    let place = Place::new();
    let cache = place.cache();
    let writer = cache.writer().unwrap();
    let large = bytes(1, 300 << 10);
    let path = place.file("d/large", &large);
    let ingested = ingest(&writer, &place.work, &path).unwrap();
    assert_eq!((ingested.id.digest(), ingested.size), (Digest::of(&large), large.len() as u64));
    assert!(
        ingested.is_new && !ingest(&writer, &place.work, &place.file("empty", b"")).unwrap().stamp.mode_x
    );
    assert_eq!(Some(ingested.stamp), place.work.stat(&path).unwrap());
    std::os::unix::fs::symlink("d/large", place.root.path().join("work/link")).unwrap();
    let link = ingest(&writer, &place.work, &"link".parse().unwrap()).unwrap();
    assert_eq!(
        (link.id.digest(), link.stamp.kind, link.size),
        (Digest::of(b"d/large"), FileKind::Symlink, 7)
    );
    assert!(ingest(&writer, &place.work, &"none".parse().unwrap()).is_err());
    writer.finish().unwrap();
    assert_eq!(read(&cache, ObjectId(Digest::of(&large))), large);
    assert_eq!(read(&cache, ObjectId(Digest::of(b""))), b"");
    let mut slice = vec![0; 100];
    let count = cache.read_object_at(ObjectId(Digest::of(&large)), (300 << 10) - 40, &mut slice).unwrap();
    assert_eq!(slice[..count], large[large.len() - 40..]);
    check(&cache, &place);
}

#[test]
fn a_batch_gives_the_same_for_any_number_of_threads() {
    let mut seen = Vec::new();
    for jobs in [1, 3, 8] {
        let place = Place::new();
        let mut names = Vec::new();
        for seed in 0..500u64 {
            let name = format!("f{seed:03}");
            // Every fifth has the bytes of another one.
            place.file(&format!("d/{name}"), &bytes(seed - seed % 5 / 4, 5000));
            names.push(name);
        }
        place.file("d/big", &bytes(9, 1 << 20));
        names.push("big".into());
        names.push("absent".into());
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), FileKind::File)).collect();
        let cache = place.cache();
        let writer = cache.writer().unwrap();
        let base = "d".parse().unwrap();
        let results = writer.ingest_all(&place.work, &base, &files, jobs, &*meter()).unwrap();
        let stats = writer.finish().unwrap();
        assert_eq!((stats.records, stats.loose, stats.packs), (401, 1, 1));
        assert!(results[501].is_err());
        let ids: Vec<_> = results[..501]
            .iter()
            .map(|result| result.as_ref().unwrap())
            .map(|i| (i.id, i.size, i.is_new))
            .collect();
        seen.push(ids);
        check(&cache, &place);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn holes_stay_holes() {
    let place = Place::new();
    let path = place.root.path().join("work/sparse");
    let file = fs::File::create(&path).unwrap();
    file.write_all_at(b"start", 0).unwrap();
    file.write_all_at(b"middle", 8 << 20).unwrap();
    file.set_len(64 << 20).unwrap();
    if file.metadata().unwrap().blocks() > 4096 {
        return;
    }
    let cache = place.cache();
    let writer = cache.writer().unwrap();
    let ingested = ingest(&writer, &place.work, &"sparse".parse().unwrap()).unwrap();
    writer.finish().unwrap();
    assert_eq!(ingested.id.digest(), Digest::of(&fs::read(&path).unwrap()));
    let stored = &place.files("objects")[0];
    assert!(fs::metadata(stored).unwrap().blocks() <= 4096, "{}", fs::metadata(stored).unwrap().blocks());
    check(&cache, &place);
}

#[test]
fn sixteen_segments_become_one() {
    let place = Place::new();
    let cache = place.cache_with(CacheOptions { pack_from: 1, ..CacheOptions::default() });
    for round in 0..40u64 {
        let writer = cache.writer().unwrap();
        writer.put_record(key_of(&round.to_le_bytes()), &round.to_le_bytes()).unwrap();
        writer.finish().unwrap();
    }
    let tiers: Vec<u8> = cache.packed().unwrap().segments().iter().map(|(name, _)| name.tier).collect();
    assert_eq!(tiers, [vec![1; 2], vec![0; 8]].concat());
    assert_eq!(place.files("ix").len(), 10);
    for round in 0..40u64 {
        assert_eq!(place.cache().read_record(key_of(&round.to_le_bytes())).unwrap(), round.to_le_bytes());
    }
}

struct TreePage;

impl TreePage {
    fn of(bytes: &[u8]) -> RecordKey {
        let hash = Digest::of_domain(crate::model::digest::Domain::TreePage, bytes);
        RecordKey { hash, kind: RecordKind::TreePage }
    }
}

/// R5: many threads, each with a cache of its own, store the same things at once.
#[test]
fn eight_writers_at_once_store_everything_once_or_more() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for worker in 0..8u64 {
            let place = &place;
            scope.spawn(move || {
                for round in 0..3 {
                    let cache = place.cache();
                    let writer = cache.writer().unwrap();
                    for number in 0..if worker % 2 == 0 { 80 } else { 20 } {
                        let bytes = bytes(number + round * 10, 300);
                        writer.put_record(key_of(&bytes), &bytes).unwrap();
                    }
                    writer.finish().unwrap();
                    assert!(cache.has(key_of(&bytes(round * 10, 300))));
                }
            });
        }
    });
    let cache = place.cache();
    assert!(
        (0..100).all(|number| cache.read_record(key_of(&bytes(number, 300))).unwrap() == bytes(number, 300))
    );
    assert!(cache.check(2, &*meter()).unwrap().is_clean());
    assert!(place.files("stage").is_empty());
}

/// A fold by another process: what was in a pack that is gone is found in the new one.
#[test]
fn records_of_a_pack_that_was_replaced_are_found_in_the_new_one() {
    let place = Place::new();
    let options = CacheOptions { pack_from: 1, ..CacheOptions::default() };
    let cache = place.cache_with(options.clone());
    let store = |text: &[u8]| {
        let writer = cache.writer().unwrap();
        writer.put_record(key_of(text), text).unwrap();
        writer.finish().unwrap();
    };
    store(b"one");
    let mine = place.cache_with(options);
    assert!(mine.has(key_of(b"one")));
    // Gone for the writer, so that it packs the record anew; `mine` still has the old view.
    fs::remove_file(&place.files("pk")[0]).unwrap();
    cache.forget_packed();
    store(b"one");
    assert_eq!(mine.read_record(key_of(b"one")).unwrap(), b"one");
}

/// I4, R5: a writer sees what another process stored after it opened.
#[test]
fn what_another_process_stores_is_seen() {
    let place = Place::new();
    let (mine, theirs) = (place.cache(), place.cache());
    for seed in 0..2 {
        let writer = theirs.writer().unwrap();
        for number in 0..70u64 {
            let bytes = bytes(seed * 1000 + number, 50);
            writer.put_record(key_of(&bytes), &bytes).unwrap();
        }
        writer.finish().unwrap();
        let bytes = bytes(seed * 1000, 50);
        assert_eq!(place.cache().read_record(key_of(&bytes)).unwrap(), bytes);
        if seed == 1 {
            assert_eq!(mine.read_record(key_of(&bytes)).unwrap(), bytes);
        }
        // Opened before there was a cache, or asked before the record came.
        assert!(!mine.has(key_of(b"none")));
    }
}

#[test]
fn a_group_cache_has_its_modes_whatever_the_umask() {
    let place = Place::new();
    let cache =
        place.cache_with(CacheOptions { trust: Trust::Group, pack_from: 2, ..CacheOptions::default() });
    let writer = cache.writer().unwrap();
    for text in [&b"one"[..], b"two"] {
        writer.put_record(key_of(text), text).unwrap();
    }
    let large = bytes(1, 200 << 10);
    writer.put_record(key_of(&large), &large).unwrap();
    writer.finish().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for folder in ["", "pk", "ix", "objects"] {
        assert_eq!(mode(&cache.root().join(folder)), 0o2775, "{folder}");
    }
    for file in ["pk", "ix", "objects"].iter().flat_map(|folder| place.files(folder)) {
        assert_eq!(mode(&file), 0o440, "{}", file.display());
    }
    // The marker decides, not the options of who comes later.
    let later = place.cache();
    let writer = later.writer().unwrap();
    writer.put_record(key_of(b"three"), b"three").unwrap();
    writer.finish().unwrap();
    assert_eq!(mode(&cache.root().join(layout::loose_path(key_of(b"three")).as_str())), 0o440);
}
