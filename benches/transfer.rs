//! Times pushes to a folder and fetches from it, apart from the cache: records come from one buffer
//! and go nowhere.
//!
//! `cargo bench --bench transfer`. Works below `TMPDIR`; figures hold for its file system only.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use divan::Bencher;
use divan::counter::BytesCount;
use mlv::error::{Advice, ErrorKind};
use mlv::model::digest::{Digest, ObjectId};
use mlv::model::object::{RecordKey, RecordKind};
use mlv::remote::error::Cause;
use mlv::remote::folder::FolderBackend;
use mlv::remote::names::{ClientId, ProjectId};
use mlv::remote::records::Operation;
use mlv::remote::transfer::fetch::fetch;
use mlv::remote::transfer::plan::plan_push;
use mlv::remote::transfer::push::{PushRequest, push};
use mlv::remote::transfer::{RecordReceiver, RecordSink, RecordSource};
use mlv::remote::wants::WantList;
use mlv::remote::{OpenOptions, Remote};
use mlv::report::NoReport;
use tempfile::TempDir;

fn main() {
    divan::main();
}

const FILES: usize = 10_000;
const FILE: usize = 10 << 10;
/// The one large file, in bytes.
const LARGE: usize = 256 << 20;

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let block = |at: u64| *Digest::of(&at.to_le_bytes()).as_bytes();
    (0..len.div_ceil(32) as u64).flat_map(block).take(len).collect()
}

fn key(id: ObjectId) -> RecordKey {
    RecordKey { hash: id.digest(), kind: RecordKind::File }
}

/// Records that are slices of one buffer: the cheapest source there is.
struct Slices {
    bytes: Vec<u8>,
    starts: HashMap<RecordKey, usize>,
    len: usize,
    wants: WantList,
}

impl Slices {
    fn new(count: usize, len: usize) -> Slices {
        let bytes = noise(count * 16 + len);
        let (mut wants, mut starts) = (WantList::new(), HashMap::new());
        for start in (0..count).map(|number| number * 16) {
            let id = ObjectId(Digest::of(&bytes[start..start + len]));
            wants.file(id, len as u64, "x.bin");
            starts.insert(key(id), start);
        }
        Slices { bytes, starts, len, wants }
    }

    fn push(&self, root: &Path) {
        let mut remote = open(root, Operation::Write);
        let plan = plan_push(&mut remote, &self.wants, self).expect("a readable folder");
        let request = PushRequest {
            client: ClientId(1),
            project: ProjectId(1),
            commits: Vec::new(),
            roots: Vec::new(),
            is_whole: true,
            renew: false,
        };
        push(&mut remote, plan, &self.wants, self, &request, &NoReport).expect("a writable folder");
    }

    fn bench_push(&self, bencher: Bencher) {
        let folder = || TempDir::new().expect("a temporary folder");
        let bytes = BytesCount::new(self.starts.len() * self.len);
        bencher.counter(bytes).with_inputs(folder).bench_local_refs(|folder| self.push(folder.path()));
    }

    fn bench_fetch(&self, bencher: Bencher) {
        let folder = TempDir::new().expect("a temporary folder");
        self.push(folder.path());
        bencher.counter(BytesCount::new(self.starts.len() * self.len)).bench_local(|| {
            let mut remote = open(folder.path(), Operation::Read);
            let report = fetch(&mut remote, &self.wants, &Nowhere, &NoReport).expect("a readable folder");
            assert!(report.is_complete());
        });
    }
}

fn open(root: &Path, operation: Operation) -> Remote {
    let backend = FolderBackend::new(&root.join("remote"));
    let options = OpenOptions::new("folder", None, operation);
    Remote::open(Box::new(backend), options).expect("a folder")
}

impl RecordSource for Slices {
    fn holds(&self, key: RecordKey) -> bool {
        self.starts.contains_key(&key)
    }

    fn load(&self, keys: &[RecordKey], each: &mut RecordReceiver<'_>) -> Result<(), Cause> {
        for (at, key) in keys.iter().enumerate() {
            each(at, &self.bytes[self.starts[key]..][..self.len]);
        }
        Ok(())
    }

    fn open(&self, id: ObjectId) -> Result<Option<Box<dyn Read + Send + '_>>, Cause> {
        Ok(Some(Box::new(&self.bytes[self.starts[&key(id)]..][..self.len])))
    }

    fn found_damaged(&self, _: RecordKey) {}
}

struct Nowhere;

#[derive(Debug, thiserror::Error)]
#[error("the stream ended")]
struct Ended;

impl Advice for Ended {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Io
    }
}

impl RecordSink for Nowhere {
    fn put(&self, _: RecordKey, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }

    fn put_file(&self, _: ObjectId, _: u64, bytes: &mut dyn Read) -> Result<(), Cause> {
        std::io::copy(bytes, &mut std::io::sink()).map(drop).map_err(|_| Cause::new(Ended))
    }
}

#[divan::bench(sample_count = 5)]
fn push_10_000_files(bencher: Bencher) {
    Slices::new(FILES, FILE).bench_push(bencher);
}

#[divan::bench(sample_count = 5)]
fn fetch_10_000_files(bencher: Bencher) {
    Slices::new(FILES, FILE).bench_fetch(bencher);
}

#[divan::bench(sample_count = 5)]
fn push_one_file_of_256_mib(bencher: Bencher) {
    Slices::new(1, LARGE).bench_push(bencher);
}

#[divan::bench(sample_count = 5)]
fn fetch_one_file_of_256_mib(bencher: Bencher) {
    Slices::new(1, LARGE).bench_fetch(bencher);
}
