//! Pushes and fetches between doubles of a store and a remote.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fetch::{FetchReport, fetch};
use super::plan::plan_push;
use super::push::{PushReport, PushRequest, push};
use super::settle::push_again;
use super::{RecordReceiver, RecordSink, RecordSource};
use crate::error::{Advice, ErrorKind};
use crate::model::digest::{Digest, Domain, ObjectId, RunKey, TreeId};
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::reader::is_named;
use crate::remote::backend::Backend;
use crate::remote::counting::Requests;
use crate::remote::error::{Cause, Error};
use crate::remote::memory::MemoryBackend;
use crate::remote::names::{ClientId, ProjectId};
use crate::remote::open::{OpenOptions, Remote};
use crate::remote::records::{Operation, Root};
use crate::remote::retry::Patience;
use crate::remote::wants::WantList;
use crate::report::NoReport;

mod again;
mod budgets;
mod damage;
mod faults;
mod presence;
mod progress;
mod resume;
mod schedule;
mod slice;
mod verification;
mod whole;

/// Bytes that look random and depend on `seed` alone.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    // The large ones are made once: most tests want the same.
    static LARGE: Mutex<BTreeMap<(u64, usize), Vec<u8>>> = Mutex::new(BTreeMap::new());
    if len < 1 << 20 {
        return make_noise(seed, len);
    }
    let mut large = LARGE.lock().expect("no panic");
    large.entry((seed, len)).or_insert_with(|| make_noise(seed, len)).clone()
}

fn make_noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A store in memory: what a cache is to the real thing.
#[derive(Default)]
struct Store {
    records: Mutex<BTreeMap<RecordKey, Vec<u8>>>,
    damaged: Mutex<BTreeSet<RecordKey>>,
    /// What is read of a record when its first place turned out to be damaged.
    copies: Mutex<BTreeMap<RecordKey, Vec<u8>>>,
}

impl Store {
    fn insert(&self, key: RecordKey, bytes: Vec<u8>) {
        self.records.lock().expect("no panic").insert(key, bytes);
    }

    fn get(&self, key: RecordKey) -> Option<Vec<u8>> {
        self.records.lock().expect("no panic").get(&key).cloned()
    }

    fn len(&self) -> usize {
        self.records.lock().expect("no panic").len()
    }

    /// Every byte that is held is the one that its key names.
    fn check(&self) {
        for (key, bytes) in self.records.lock().expect("no panic").iter() {
            assert!(is_named(*key, bytes), "{key:?}");
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the bytes do not hash to the name of the file")]
struct WrongFile;

impl Advice for WrongFile {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Damaged
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the stream ended")]
struct Ended;

impl Advice for Ended {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Io
    }
}

impl RecordSource for Store {
    fn holds(&self, key: RecordKey) -> bool {
        self.records.lock().expect("no panic").contains_key(&key)
    }

    fn load(&self, keys: &[RecordKey], each: &mut RecordReceiver<'_>) -> Result<(), Cause> {
        for (at, key) in keys.iter().enumerate() {
            if let Some(bytes) = self.get(*key) {
                each(at, &bytes);
            }
        }
        Ok(())
    }

    fn open(&self, id: ObjectId) -> Result<Option<Box<dyn Read + Send + '_>>, Cause> {
        let bytes = self.get(file_key(id));
        Ok(bytes.map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    fn found_damaged(&self, key: RecordKey) {
        self.damaged.lock().expect("no panic").insert(key);
        if let Some(copy) = self.copies.lock().expect("no panic").remove(&key) {
            self.insert(key, copy);
        }
    }
}

impl RecordSink for Store {
    fn put(&self, key: RecordKey, raw: &[u8]) -> Result<(), Cause> {
        self.insert(key, raw.to_vec());
        Ok(())
    }

    fn put_file(&self, id: ObjectId, size: u64, bytes: &mut dyn Read) -> Result<(), Cause> {
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).map_err(|_| Cause::new(Ended))?;
        if ObjectId(Digest::of(&all)) != id || all.len() as u64 != size {
            return Err(Cause::new(WrongFile));
        }
        self.insert(file_key(id), all);
        Ok(())
    }
}

fn file_key(id: ObjectId) -> RecordKey {
    RecordKey { hash: id.digest(), kind: RecordKind::File }
}

/// A clone: its store, what it needs on the remote, and what it remembers of it.
struct Clone {
    store: Store,
    wants: WantList,
    roots: Vec<Root>,
    client: ClientId,
    cache: tempfile::TempDir,
}

impl Clone {
    fn new(client: u64) -> Clone {
        Clone {
            store: Store::default(),
            wants: WantList::new(),
            roots: Vec::new(),
            client: ClientId(client),
            cache: tempfile::tempdir().expect("a folder"),
        }
    }

    fn add_file(&mut self, path: &str, bytes: Vec<u8>) -> ObjectId {
        let id = ObjectId(Digest::of(&bytes));
        self.wants.file(id, bytes.len() as u64, path);
        self.roots.push(Root::File { id, size: bytes.len() as u64 });
        self.store.insert(file_key(id), bytes);
        id
    }

    fn add_page(&mut self, bytes: Vec<u8>) -> TreeId {
        let id = TreeId(Digest::of_domain(Domain::TreePage, &bytes));
        self.wants.page(id);
        self.store.insert(RecordKey { hash: id.digest(), kind: RecordKind::TreePage }, bytes);
        id
    }

    fn add_run(&mut self, text: &str) {
        let first = text.split_inclusive('\n').next().expect("a line");
        let key = RunKey(Digest::of_domain(Domain::RunRecord, first.as_bytes()));
        self.wants.run(key);
        self.store
            .insert(RecordKey { hash: key.digest(), kind: RecordKind::RunRecord }, text.as_bytes().to_vec());
    }

    /// A directory of `count` files of about `len` bytes, with pages as a tree of them has.
    fn add_files(&mut self, seed: u64, count: usize, len: usize) {
        for number in 0..count {
            let bytes = noise(seed * 1_000_003 + number as u64, len);
            let id = ObjectId(Digest::of(&bytes));
            self.wants.file(id, bytes.len() as u64, "data/x.bin");
            self.store.insert(file_key(id), bytes);
        }
        for page in 0..count.div_ceil(600) {
            self.add_page(noise(seed * 7_000_003 + page as u64, 48 << 10));
        }
        let id = TreeId(Digest::of(&seed.to_le_bytes()));
        self.roots.push(Root::Tree { id, size: (count * len) as u64, nfiles: count as u64 });
    }

    fn request(&self) -> PushRequest {
        PushRequest {
            client: self.client,
            project: ProjectId(1),
            commits: Vec::new(),
            roots: self.roots.clone(),
            is_whole: true,
            renew: false,
        }
    }

    fn open(&self, backend: impl Backend + 'static, operation: Operation) -> Result<Remote, Error> {
        let mut options = OpenOptions::new("memory", Some(self.cache.path()), operation);
        options.patience = Patience { attempts: 1, pause: Duration::ZERO, longest: Duration::ZERO };
        // Many stores share one name here.
        options.create = true;
        Remote::open(Box::new(backend), options)
    }

    fn push(&self, backend: &Arc<impl Backend + 'static>) -> Result<(PushReport, Requests), Error> {
        let mut remote = self.open(Arc::clone(backend), Operation::Write)?;
        if let Some(report) = push_again(&mut remote, &self.request(), &NoReport)? {
            return Ok((report, remote.requests()));
        }
        let plan = plan_push(&mut remote, &self.wants, &self.store)?;
        let report = push(&mut remote, plan, &self.wants, &self.store, &self.request(), &NoReport)?;
        Ok((report, remote.requests()))
    }

    /// Fetches what `of` needs into this clone's store.
    fn fetch(
        &self,
        backend: &Arc<impl Backend + 'static>,
        of: &WantList,
    ) -> Result<(FetchReport, Requests), Error> {
        let mut remote = self.open(Arc::clone(backend), Operation::Read)?;
        let report = fetch(&mut remote, of, &self.store, &NoReport)?;
        self.store.check();
        Ok((report, remote.requests()))
    }
}

/// A clone with some of everything.
fn mixed(client: u64) -> Clone {
    let mut clone = Clone::new(client);
    clone.add_files(client, 200, 3_000);
    clone.add_file("empty", Vec::new());
    clone.add_file("text.csv", b"a,b,c\n".repeat(5_000));
    clone.add_run("{\"version\":1,\"cmd\":\"true\"}\n{\"outs\":[]}\n");
    clone.add_file("model.bin", noise(client + 1_000, 4_300_000));
    clone
}

/// Another clone can fetch everything, now (R8).
fn assert_fetchable(backend: &Arc<impl Backend + 'static>, of: &Clone) {
    let fresh = Clone::new(99);
    let (report, _) = fresh.fetch(backend, &of.wants).expect("fetches");
    assert!(report.is_complete(), "{} missing, {} damaged", report.missing.len(), report.damaged.len());
    for want in of.wants.wants() {
        assert_eq!(
            fresh.store.get(want.key).map(|bytes| Digest::of(&bytes)),
            of.store.get(want.key).map(|bytes| Digest::of(&bytes))
        );
    }
}

fn memory() -> Arc<MemoryBackend> {
    Arc::new(MemoryBackend::new())
}
