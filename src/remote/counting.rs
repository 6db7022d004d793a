//! A decorator that counts what a backend is asked, for reports and request budgets.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;

use crate::remote::backend::{
    Backend, BackendError, ByteSink, Created, Key, ListSink, RoundTrip, SentSink, Stat,
};

/// How many keys one LIST request brings at S3, GCS and Azure (5,000 there).
pub const LIST_PAGE: u64 = 1_000;

/// What was asked of a backend so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// Reads, whole or of a range.
    pub get: u64,
    /// Writes, creations included.
    pub put: u64,
    /// Questions for one object.
    pub head: u64,
    /// Pages of listings.
    pub list: u64,
    /// Removals.
    pub delete: u64,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that went.
    pub bytes_out: u64,
}

impl Requests {
    /// The number of requests of all kinds.
    pub fn total(self) -> u64 {
        self.get + self.put + self.head + self.list + self.delete
    }

    /// What was asked since `earlier`.
    pub fn since(self, earlier: Requests) -> Requests {
        Requests {
            get: self.get - earlier.get,
            put: self.put - earlier.put,
            head: self.head - earlier.head,
            list: self.list - earlier.list,
            delete: self.delete - earlier.delete,
            bytes_in: self.bytes_in - earlier.bytes_in,
            bytes_out: self.bytes_out - earlier.bytes_out,
        }
    }
}

/// Counts the calls that reach `inner`, failed ones included.
pub struct CountingBackend<B> {
    inner: B,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    get: AtomicU64,
    put: AtomicU64,
    head: AtomicU64,
    list: AtomicU64,
    delete: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

impl<B> CountingBackend<B> {
    /// Counts from zero.
    pub fn new(inner: B) -> CountingBackend<B> {
        CountingBackend { inner, counters: Counters::default() }
    }

    /// The backend below.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// The counts so far.
    pub fn requests(&self) -> Requests {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            get: read(&self.counters.get),
            put: read(&self.counters.put),
            head: read(&self.counters.head),
            list: read(&self.counters.list),
            delete: read(&self.counters.delete),
            bytes_in: read(&self.counters.bytes_in),
            bytes_out: read(&self.counters.bytes_out),
        }
    }
}

impl<B: Backend> Backend for CountingBackend<B> {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        add(&self.counters.get, 1);
        self.inner.get(key, range, &mut |piece| {
            add(&self.counters.bytes_in, piece.len() as u64);
            sink(piece)
        })
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        add(&self.counters.put, 1);
        add(&self.counters.bytes_out, parts.iter().map(|part| part.len() as u64).sum());
        self.inner.put(key, parts)
    }

    fn put_telling(&self, key: &Key, parts: &[Bytes], sent: &mut SentSink<'_>) -> Result<(), BackendError> {
        add(&self.counters.put, 1);
        add(&self.counters.bytes_out, parts.iter().map(|part| part.len() as u64).sum());
        self.inner.put_telling(key, parts, sent)
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        add(&self.counters.put, 1);
        add(&self.counters.bytes_out, bytes.len() as u64);
        self.inner.create(key, bytes)
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        add(&self.counters.head, 1);
        self.inner.head(key)
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        let mut lines = 0u64;
        let result = self.inner.list(prefix, &mut |listed| {
            lines += 1;
            each(listed)
        });
        add(&self.counters.list, lines.div_ceil(LIST_PAGE).max(1));
        result
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        add(&self.counters.delete, 1);
        self.inner.delete(key)
    }

    fn now(&self) -> Result<SystemTime, BackendError> {
        self.inner.now()
    }

    fn round_trip(&self) -> RoundTrip {
        self.inner.round_trip()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
