//! What pushes and fetches cost in CPU, apart from the store: run with
//! `cargo test --release --lib transfer::tests::speed -- --ignored --nocapture --test-threads 1`.

use super::*;
use crate::remote::folder::FolderBackend;
use std::time::Instant;

/// Records that are slices of one buffer: the cheapest source there is.
struct Slices {
    bytes: Vec<u8>,
    places: std::collections::HashMap<RecordKey, usize>,
    len: usize,
}

impl Slices {
    fn new(count: usize, len: usize) -> (Slices, WantList) {
        let bytes = noise(1, count * 16 + len);
        let mut wants = WantList::new();
        let mut places = std::collections::HashMap::new();
        for number in 0..count {
            let id = ObjectId(Digest::of(&bytes[number * 16..number * 16 + len]));
            wants.file(id, len as u64, "x.bin");
            places.insert(file_key(id), number * 16);
        }
        (Slices { bytes, places, len }, wants)
    }
}

impl RecordSource for Slices {
    fn holds(&self, key: RecordKey) -> bool {
        self.places.contains_key(&key)
    }

    fn load(&self, keys: &[RecordKey], each: &mut RecordReceiver<'_>) -> Result<(), Cause> {
        for (at, key) in keys.iter().enumerate() {
            each(at, &self.bytes[self.places[key]..][..self.len]);
        }
        Ok(())
    }

    fn open(&self, _: ObjectId) -> Result<Option<Box<dyn Read + Send + '_>>, Cause> {
        Ok(Some(Box::new(&self.bytes[..])))
    }

    fn found_damaged(&self, _: RecordKey) {}
}

struct Nowhere;

impl RecordSink for Nowhere {
    fn put(&self, _: RecordKey, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }

    fn put_file(&self, _: ObjectId, _: u64, bytes: &mut dyn Read) -> Result<(), Cause> {
        std::io::copy(bytes, &mut std::io::sink()).map(drop).map_err(|_| Cause::new(Ended))
    }
}

/// CPU time of this process in milliseconds, in steps of 10.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    10 * (fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime"))
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, cpu_start) = (Instant::now(), cpu());
    let result = work();
    println!("{what}: {} ms CPU, {} ms wall, {}", cpu() - cpu_start, start.elapsed().as_millis(), peak());
    result
}

fn scratch() -> tempfile::TempDir {
    match std::env::var_os("BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).expect("a folder"),
        None => tempfile::tempdir().expect("a folder"),
    }
}

#[test]
#[ignore = "measures"]
fn small_files() {
    let count = 100_000;
    let (source, wants) = Slices::new(count, 10 << 10);
    let root = scratch();
    let clone = Clone::new(1);
    let run = |what: &str| {
        timed(what, || {
            let backend = FolderBackend::new(&root.path().join("remote"));
            let mut remote = timed("  open", || clone.open(backend, Operation::Write)).expect("opens");
            let plan = timed("  plan", || plan_push(&mut remote, &wants, &source)).expect("plans");
            timed("  push", || push(&mut remote, plan, &wants, &source, &clone.request(), &NoReport))
                .expect("pushes")
        })
    };
    println!("{:?}", run("push 100,000 x 10 KiB"));
    println!("{:?}", run("push again"));
    timed("fetch", || {
        let backend = FolderBackend::new(&root.path().join("remote"));
        let mut remote = Clone::new(2).open(backend, Operation::Read).expect("opens");
        let report = fetch(&mut remote, &wants, &Nowhere, &NoReport).expect("fetches");
        assert!(report.is_complete());
        println!("{:?}", remote.requests());
    });
}

#[test]
#[ignore = "measures"]
fn a_large_file() {
    let source = Slices { bytes: noise(1, 1 << 30), places: Default::default(), len: 0 };
    let id = ObjectId(Digest::of(&source.bytes));
    let source = Slices { places: [(file_key(id), 0)].into(), ..source };
    let mut wants = WantList::new();
    wants.file(id, 1 << 30, "x.bin");
    let root = scratch();
    let clone = Clone::new(1);
    for what in ["push of 1 GiB (which is in memory)", "push again"] {
        let report = timed(what, || {
            let backend = FolderBackend::new(&root.path().join("remote"));
            let mut remote = clone.open(backend, Operation::Write).expect("opens");
            let plan = plan_push(&mut remote, &wants, &source).expect("plans");
            push(&mut remote, plan, &wants, &source, &clone.request(), &NoReport).expect("pushes")
        });
        println!("{report:?}");
    }
    timed("fetch", || {
        let backend = FolderBackend::new(&root.path().join("remote"));
        let mut remote = Clone::new(2).open(backend, Operation::Read).expect("opens");
        let report = fetch(&mut remote, &wants, &Nowhere, &NoReport).expect("fetches");
        assert!(report.is_complete());
        println!("{:?}", remote.requests());
    });
}
