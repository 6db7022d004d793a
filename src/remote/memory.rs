//! A backend in memory: for tests, and for examples in the documentation.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::remote::backend::{
    Action, Backend, BackendError, ByteSink, Created, Key, ListSink, Listed, RoundTrip, Situation, Stat,
    check_prefix,
};

/// Objects in a map, with a clock that only tests move.
#[derive(Default)]
pub struct MemoryBackend {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Object>,
    clock: Duration,
}

struct Object {
    bytes: Vec<u8>,
    modified: Duration,
}

impl MemoryBackend {
    /// An empty store whose clock stands at the epoch.
    pub fn new() -> MemoryBackend {
        MemoryBackend::default()
    }

    /// Moves the store's clock forward.
    pub fn advance(&self, by: Duration) {
        self.state().clock += by;
    }

    /// Puts `bytes` under `key` whatever stands there, as damage or another program would.
    pub fn replace(&self, key: &Key, bytes: Vec<u8>) {
        let mut state = self.state();
        let modified = state.clock;
        state.objects.insert(key.clone(), Object { bytes, modified });
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<Key> {
        self.state().objects.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panicking test thread leaves the map as it was between two calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, situation: Situation, action: Action, key: &str) -> BackendError {
        BackendError::new(situation, action, key, self.describe())
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        let bytes = {
            let state = self.state();
            let Some(object) = state.objects.get(key) else {
                return Err(self.error(Situation::NotFound, Action::Read, key.as_str()));
            };
            let wanted = match range {
                None => Some(object.bytes.as_slice()),
                Some(range) => object.bytes.get(range.start as usize..range.end as usize),
            };
            let Some(bytes) = wanted else {
                return Err(self.error(Situation::Invalid, Action::Read, key.as_str()));
            };
            bytes.to_vec()
        };
        for piece in bytes.chunks(1 << 20) {
            if let ControlFlow::Break(()) = sink(piece) {
                break;
            }
        }
        Ok(())
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        let bytes: Vec<u8> = parts.concat();
        let mut state = self.state();
        let modified = state.clock;
        let object = state.objects.entry(key.clone()).or_insert(Object { bytes: Vec::new(), modified });
        if object.bytes.len() != bytes.len() {
            *object = Object { bytes, modified };
        }
        Ok(())
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        let mut state = self.state();
        if state.objects.contains_key(key) {
            return Ok(Created::Existed);
        }
        let modified = state.clock;
        state.objects.insert(key.clone(), Object { bytes: bytes.to_vec(), modified });
        Ok(Created::New)
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        let state = self.state();
        Ok(state.objects.get(key).map(|object| Stat {
            size: object.bytes.len() as u64,
            modified: SystemTime::UNIX_EPOCH + object.modified,
        }))
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        check_prefix(prefix)
            .map_err(|error| self.error(Situation::Invalid, Action::List, prefix).because(error))?;
        let listed: Vec<Listed> = {
            let state = self.state();
            let below = state.objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
            let line = |(key, object): (&Key, &Object)| Listed {
                key: key.clone(),
                size: object.bytes.len() as u64,
                modified: SystemTime::UNIX_EPOCH + object.modified,
            };
            below.map(line).collect()
        };
        let _ = listed.into_iter().try_for_each(each);
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.state().objects.remove(key);
        Ok(())
    }

    fn now(&self) -> Result<SystemTime, BackendError> {
        Ok(SystemTime::UNIX_EPOCH + self.state().clock)
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
