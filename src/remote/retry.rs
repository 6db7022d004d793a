//! A decorator that repeats calls that failed for a passing reason.
//!
//! Writes may be repeated blindly, because a name is used for one content (N1: a lost
//! response after success is no failure). A read goes on where it broke off, a listing
//! starts again and is handed on only when it is complete.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::remote::backend::{
    Backend, BackendError, ByteSink, Created, Key, ListSink, RoundTrip, SentSink, Situation, Stat, Trials,
    list_sorted,
};
use crate::report::interrupted;

/// How often and how patiently a call is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Calls in all, the first included.
    pub attempts: u32,
    /// Pause before the second; doubled each time.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Patience {
    /// Six calls within about ten seconds.
    fn default() -> Patience {
        Patience { attempts: 6, pause: Duration::from_millis(300), longest: Duration::from_secs(8) }
    }
}

/// Repeats the calls of `inner` that failed for a passing reason.
pub struct Retrying<B> {
    inner: B,
    patience: Patience,
}

impl<B: Backend> Retrying<B> {
    /// Wraps `inner`.
    pub fn new(inner: B, patience: Patience) -> Retrying<B> {
        Retrying { inner, patience }
    }

    /// The backend below.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn repeat<T>(&self, mut call: impl FnMut() -> Result<T, BackendError>) -> Result<T, BackendError> {
        let mut pause = self.patience.pause;
        for _ in 1..self.patience.attempts {
            match call() {
                Err(error) if error.situation.is_transient() => {
                    if interrupted() {
                        return Err(BackendError { situation: Situation::Interrupted, ..error });
                    }
                    tracing::debug!(%error, ?pause, "repeating a call to the remote");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(self.patience.longest);
                }
                other => return other,
            }
        }
        call()
    }
}

impl<B: Backend> Backend for Retrying<B> {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        let mut handed_on = 0u64;
        self.repeat(|| {
            let rest = range.as_ref().map(|range| range.start + handed_on..range.end);
            if rest.as_ref().is_some_and(|rest| rest.is_empty() && handed_on > 0) {
                return Ok(());
            }
            // A read of the whole starts at the beginning again: skip what the sink has.
            let mut skip = if rest.is_none() { handed_on } else { 0 };
            self.inner.get(key, rest, &mut |piece| {
                let known = skip.min(piece.len() as u64);
                skip -= known;
                let fresh = &piece[known as usize..];
                handed_on += fresh.len() as u64;
                if fresh.is_empty() { ControlFlow::Continue(()) } else { sink(fresh) }
            })
        })
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.repeat(|| self.inner.put(key, parts))
    }

    fn put_telling(&self, key: &Key, parts: &[Bytes], sent: &mut SentSink<'_>) -> Result<(), BackendError> {
        self.repeat(|| self.inner.put_telling(key, parts, sent))
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.repeat(|| self.inner.create(key, bytes))
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        self.repeat(|| self.inner.head(key))
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        let all = self.repeat(|| list_sorted(&self.inner, prefix))?;
        let _ = all.into_iter().try_for_each(each);
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.repeat(|| self.inner.delete(key))
    }

    fn now(&self) -> Result<SystemTime, BackendError> {
        self.repeat(|| self.inner.now())
    }

    fn round_trip(&self) -> RoundTrip {
        self.inner.round_trip()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn credentials(&self) -> Option<String> {
        self.inner.credentials()
    }

    fn trials(&self) -> Option<&dyn Trials> {
        self.inner.trials()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::backend::{read, write};
    use crate::remote::conformance::faulty::{Fault, FaultyBackend};
    use crate::remote::memory::MemoryBackend;

    const HASTE: Patience = Patience { attempts: 3, pause: Duration::ZERO, longest: Duration::ZERO };

    #[test]
    fn a_broken_read_goes_on_where_it_broke_off() {
        let store = MemoryBackend::new();
        let key = Key::parse("a").expect("a key");
        let bytes: Vec<u8> = (0..5_000_000u32).map(|number| number as u8).collect();
        write(&store, &key, &bytes).expect("memory");
        for range in [None, Some(3..4_999_999u64)] {
            let faulty = FaultyBackend::new(&store, 1, Fault::Torn);
            let retrying = Retrying::new(faulty, HASTE);
            let mut got = Vec::new();
            retrying
                .get(&key, range.clone(), &mut |piece| {
                    got.extend_from_slice(piece);
                    ControlFlow::Continue(())
                })
                .expect("the second try succeeds");
            let range = range.map_or(0..bytes.len(), |range| range.start as usize..range.end as usize);
            assert!(got == bytes[range]);
        }
    }

    #[test]
    fn lost_responses_do_not_fail_a_write_and_lasting_failures_are_told() {
        let store = MemoryBackend::new();
        let key = Key::parse("a").expect("a key");
        let retrying = Retrying::new(FaultyBackend::new(&store, 1, Fault::Lost), HASTE);
        retrying.put(&key, &[Bytes::from("x"), Bytes::from("y")]).expect("repeated");
        assert_eq!(read(&store, &key, 10).expect("there"), b"xy");
        let dead = Retrying::new(FaultyBackend::dead_from(&store, 1), HASTE);
        assert!(dead.head(&key).is_err());
        assert_eq!(dead.inner.calls(), 3);
    }
}
