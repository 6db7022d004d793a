//! A backend that fails, once or for good, in the ways that networks do.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;

use crate::remote::backend::{
    Action, Backend, BackendError, ByteSink, Created, Key, ListSink, RoundTrip, Situation, Stat, write,
};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens, an error is told.
    Error,
    /// Half of it happens, an error is told.
    Torn,
    /// All of it happens, an error is told.
    Lost,
}

/// Fails the `at`-th call (from 1), and all later ones if it is dead from there.
pub(crate) struct FaultyBackend<B> {
    inner: B,
    at: u64,
    fault: Fault,
    dead: bool,
    calls: AtomicU64,
}

impl<B: Backend> FaultyBackend<B> {
    pub(crate) fn new(inner: B, at: u64, fault: Fault) -> FaultyBackend<B> {
        FaultyBackend { inner, at, fault, dead: false, calls: AtomicU64::new(0) }
    }

    pub(crate) fn dead_from(inner: B, at: u64) -> FaultyBackend<B> {
        FaultyBackend { dead: true, ..FaultyBackend::new(inner, at, Fault::Error) }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn fault(&self) -> Option<Fault> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        (call == self.at || (self.dead && call > self.at)).then_some(self.fault)
    }

    fn told(&self, action: Action, key: &str) -> BackendError {
        BackendError::new(Situation::Unreachable, action, key, self.describe())
    }
}

impl<B: Backend> Backend for FaultyBackend<B> {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        match self.fault() {
            None => self.inner.get(key, range, sink),
            Some(Fault::Torn) => {
                let mut first = true;
                // Whether there is such an object at all, the caller does not learn.
                let _ = self.inner.get(key, range, &mut |piece| {
                    if std::mem::take(&mut first) {
                        let _ = sink(&piece[..piece.len() / 2]);
                    }
                    ControlFlow::Break(())
                });
                Err(self.told(Action::Read, key.as_str()))
            }
            Some(_) => Err(self.told(Action::Read, key.as_str())),
        }
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        let Some(fault) = self.fault() else { return self.inner.put(key, parts) };
        match fault {
            Fault::Error => {}
            Fault::Torn => {
                let whole = parts.concat();
                write(&self.inner, key, &whole[..whole.len() / 2])?;
            }
            Fault::Lost => self.inner.put(key, parts)?,
        }
        Err(self.told(Action::Write, key.as_str()))
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        match self.fault() {
            None => return self.inner.create(key, bytes),
            Some(Fault::Lost) => drop(self.inner.create(key, bytes)?),
            Some(_) => {}
        }
        Err(self.told(Action::Write, key.as_str()))
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        match self.fault() {
            None => self.inner.head(key),
            Some(_) => Err(self.told(Action::Read, key.as_str())),
        }
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        let Some(fault) = self.fault() else { return self.inner.list(prefix, each) };
        if fault == Fault::Torn {
            let mut odd = false;
            self.inner.list(prefix, &mut |listed| {
                odd = !odd;
                if odd { each(listed) } else { ControlFlow::Continue(()) }
            })?;
        }
        Err(self.told(Action::List, prefix))
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        match self.fault() {
            None => return self.inner.delete(key),
            Some(Fault::Lost) => self.inner.delete(key)?,
            Some(_) => {}
        }
        Err(self.told(Action::Delete, key.as_str()))
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

/// Does something of its own before each call: what other clients may do at that moment.
pub(crate) struct Interposed<B, F> {
    inner: B,
    before: F,
    calls: AtomicU64,
}

impl<B: Backend, F: Fn(&B, u64) + Send + Sync> Interposed<B, F> {
    /// `before` gets the backend below and the number of the call, from 1.
    pub(crate) fn new(inner: B, before: F) -> Interposed<B, F> {
        Interposed { inner, before, calls: AtomicU64::new(0) }
    }

    fn inner(&self) -> &B {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        (self.before)(&self.inner, call);
        &self.inner
    }
}

impl<B: Backend, F: Fn(&B, u64) + Send + Sync> Backend for Interposed<B, F> {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        self.inner().get(key, range, sink)
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.inner().put(key, parts)
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.inner().create(key, bytes)
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        self.inner().head(key)
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        self.inner().list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.inner().delete(key)
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
