//! Times what reads the work tree: walking, the stat index, taking files into the cache.
//!
//! `cargo bench --bench store`. Works below `TMPDIR`; figures hold for its file system only.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mlv::fs::dir::Dir;
use mlv::fs::stamp::FileKind;
use mlv::fs::walk::{Walk, walk};
use mlv::model::digest::Digest;
use mlv::model::path::RepoPath;
use mlv::report::{NoReport, Reporter, Task, Unit};
use mlv::store::statindex::{StatIndex, StatIndexUpdate};
use mlv::store::{Cache, CacheOptions};
use tempfile::TempDir;

fn main() {
    divan::main();
}

const JOBS: usize = 2;
const FILES: usize = 10_000;
const FILE: usize = 10 << 10;
/// The one large file, in bytes.
const LARGE: usize = 256 << 20;

/// Bytes that do not compress, different for every `seed`.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let block = |at: u64| *Digest::of(&[seed.to_le_bytes(), at.to_le_bytes()].concat()).as_bytes();
    (0..len.div_ceil(32) as u64).flat_map(block).take(len).collect()
}

/// A folder of small files, 100 in each of its folders.
fn small_files() -> (TempDir, Dir) {
    let folder = TempDir::new().expect("a temporary folder");
    for at in 0..FILES {
        let below = folder.path().join(format!("data/{:03}", at / 100));
        if at % 100 == 0 {
            std::fs::create_dir_all(&below).expect("a folder");
        }
        std::fs::write(below.join(format!("{at:06}.png")), noise(at as u64, FILE)).expect("a file");
    }
    let dir = Dir::open(folder.path()).expect("a folder");
    (folder, dir)
}

fn walk_data(dir: &Dir) -> Walk {
    walk(dir, &data(), &|_, _| false, JOBS).expect("a readable folder")
}

fn data() -> RepoPath {
    "data".parse().expect("a path")
}

#[divan::bench(sample_count = 20)]
fn walk_10_000_files(bencher: Bencher) {
    let (_folder, dir) = small_files();
    bencher.counter(ItemsCount::new(FILES)).bench_local(|| walk_data(&dir));
}

mod stat_index {
    use super::*;

    fn filled() -> (TempDir, Dir, Walk, RepoPath) {
        let (folder, dir) = small_files();
        let walked = walk_data(&dir);
        let path: RepoPath = "index".parse().expect("a path");
        let mut update = StatIndexUpdate::new();
        for entry in &walked.entries {
            update.put("data", &entry.path, &entry.stamp, Digest::of(entry.path.as_bytes()));
        }
        update.save(&StatIndex::default(), &dir, &path).expect("a writable folder");
        (folder, dir, walked, path)
    }

    #[divan::bench(sample_count = 20)]
    fn load(bencher: Bencher) {
        let (_folder, dir, _, path) = filled();
        bencher.counter(ItemsCount::new(FILES)).bench_local(|| StatIndex::load(&dir, &path));
    }

    /// The merge of a walk with the index: what status does for every file.
    #[divan::bench(sample_count = 20)]
    fn look_up_all(bencher: Bencher) {
        let (_folder, dir, walked, path) = filled();
        let index = StatIndex::load(&dir, &path);
        bencher.counter(ItemsCount::new(FILES)).bench_local(|| {
            let mut lookups = index.below("data");
            walked.entries.iter().filter(|entry| lookups.at(&entry.path, &entry.stamp).is_some()).count()
        });
    }

    #[divan::bench(sample_count = 20)]
    fn replace_ten(bencher: Bencher) {
        let (_folder, dir, walked, path) = filled();
        let index = StatIndex::load(&dir, &path);
        bencher.counter(ItemsCount::new(FILES)).bench_local(|| {
            let mut update = StatIndexUpdate::new();
            for entry in walked.entries.iter().step_by(FILES / 10) {
                update.put("data", &entry.path, &entry.stamp, Digest::of(b"another"));
            }
            update.save(&index, &dir, &path).expect("a writable folder");
        });
    }
}

mod ingest {
    use super::*;

    fn cache(root: &Path) -> Cache {
        Cache::open(root, CacheOptions::default()).expect("an empty folder")
    }

    fn empty() -> TempDir {
        TempDir::new().expect("a temporary folder")
    }

    /// Hashing while copying: small files, into packs.
    #[divan::bench(sample_count = 5)]
    fn small_10_000(bencher: Bencher) {
        let (_folder, dir) = small_files();
        let walked = walk_data(&dir);
        let files: Vec<(&str, FileKind)> =
            walked.entries.iter().map(|entry| (&*entry.path, entry.stamp.kind)).collect();
        let meter = NoReport.meter(Task { verb: "add", unit: Unit::Bytes, total: None });
        bencher.counter(BytesCount::new(FILES * FILE)).with_inputs(empty).bench_local_refs(|folder| {
            let cache = cache(&folder.path().join("cache"));
            let writer = cache.writer().expect("a writable cache");
            writer.ingest_all(&dir, &data(), &files, JOBS, &*meter).expect("readable files");
            writer.finish().expect("a writable cache")
        });
    }

    /// Hashing while copying: one large file, loose.
    #[divan::bench(sample_count = 5)]
    fn one_of_256_mib(bencher: Bencher) {
        let folder = empty();
        let mut file = File::create(folder.path().join("large")).expect("a file");
        file.write_all(&noise(0, LARGE)).expect("room for a file");
        let dir = Dir::open(folder.path()).expect("a folder");
        let meter = NoReport.meter(Task { verb: "Hashing", unit: Unit::Bytes, total: None });
        bencher.counter(BytesCount::new(LARGE)).with_inputs(empty).bench_local_refs(|folder| {
            let cache = cache(&folder.path().join("cache"));
            let writer = cache.writer().expect("a writable cache");
            let files = [("large", FileKind::File)];
            writer.ingest_all(&dir, &RepoPath::root(), &files, 1, &*meter).expect("a readable file");
            writer.finish().expect("a writable cache")
        });
    }
}
