//! What the progress of a push counts: what has gone, never what was only read.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;

use super::*;
use crate::remote::backend::{BackendError, ByteSink, Created, Key, ListSink, RoundTrip, SentSink, Stat};
use crate::remote::names::PACKS;
use crate::report::{Event, Meter, Reporter, Task};

/// How many bytes have gone, and how many were counted of how many.
#[derive(Default)]
struct Amounts {
    gone: AtomicU64,
    counted: AtomicU64,
    total: AtomicU64,
}

struct Watched(Arc<Amounts>);

impl Reporter for Watched {
    fn meter(&self, task: Task) -> Box<dyn Meter> {
        self.0.total.store(task.total.unwrap_or(0), Ordering::SeqCst);
        Box::new(Watched(Arc::clone(&self.0)))
    }
    fn event(&self, _: &Event) {}
}

impl Meter for Watched {
    fn inc(&self, amount: u64) {
        let counted = self.0.counted.fetch_add(amount, Ordering::SeqCst) + amount;
        let gone = self.0.gone.load(Ordering::SeqCst);
        assert!(counted <= gone, "{counted} are counted, {gone} have gone");
    }
    fn set_total(&self, _: u64) {}
    fn finish(&self) {}
}

/// A store to which half of each pack goes twice: the first time the line breaks.
struct Slow(MemoryBackend, Arc<Amounts>);

impl Backend for Slow {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        self.0.get(key, range, sink)
    }
    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.0.put(key, parts)
    }
    fn put_telling(&self, key: &Key, parts: &[Bytes], sent: &mut SentSink<'_>) -> Result<(), BackendError> {
        assert!(key.as_str().starts_with(PACKS));
        let len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let half = len / 2;
        self.1.gone.fetch_add(half, Ordering::SeqCst);
        let before = self.1.counted.load(Ordering::SeqCst);
        sent(half);
        assert!(self.1.counted.load(Ordering::SeqCst) >= before + half / 2, "half of it has gone");
        for again in [10, half] {
            sent(again);
        }
        self.1.gone.fetch_add(len - half, Ordering::SeqCst);
        self.0.put(key, parts)
    }
    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.0.create(key, bytes)
    }
    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        self.0.head(key)
    }
    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        self.0.list(prefix, each)
    }
    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.0.delete(key)
    }
    fn now(&self) -> Result<SystemTime, BackendError> {
        self.0.now()
    }
    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[test]
fn what_has_gone_is_counted_once_and_no_more_than_all() {
    let amounts = Arc::new(Amounts::default());
    let backend = Arc::new(Slow(MemoryBackend::new(), Arc::clone(&amounts)));
    let mut clone = Clone::new(1);
    // Pages and recipes, of which nobody knows beforehand how long they are, do not count.
    clone.add_files(1, 1_300, 30_000);
    clone.add_file("model.bin", noise(7, 40_000_000));
    let mut remote = clone.open(Arc::clone(&backend), Operation::Write).expect("opens");
    let plan = plan_push(&mut remote, &clone.wants, &clone.store).expect("plans");
    let watched = Watched(Arc::clone(&amounts));
    let report =
        push(&mut remote, plan, &clone.wants, &clone.store, &clone.request(), &watched).expect("pushes");
    assert!(report.packs > 1, "{report:?}");
    assert_eq!(amounts.total.load(Ordering::SeqCst), 1_300 * 30_000 + 40_000_000);
    assert_eq!(amounts.counted.load(Ordering::SeqCst), amounts.total.load(Ordering::SeqCst));
    assert_fetchable(&backend, &clone);
}
