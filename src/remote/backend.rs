//! What mlv asks of a place that keeps bytes under names.
//!
//! A backend is dumb on purpose: it moves bytes and knows nothing of packs. Every name is
//! used for one content, once (docs/formats.md, "Remote layout and protocol"), so a write can be repeated
//! blindly and no conditional write is needed on the data path. The trait is synchronous;
//! a backend that needs an async runtime hides it (concurrency comes from threads).

use std::borrow::Borrow;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::time::SystemTime;

use bytes::Bytes;

mod error;
mod trials;

pub use error::{Action, BackendError, ELSEWHERE, Situation};
pub use trials::Trials;

/// The longest key in bytes.
pub const MAX_KEY: usize = 200;

/// The most keys that a listing may have; a longer one is refused, never cut.
pub const MAX_LISTING: usize = 10_000_000;

/// The most bytes that an object on a remote may have.
pub const MAX_OBJECT: u64 = 48 << 20;

/// The name of one object below a remote's root: lower-case, `/`-separated, at most 200 bytes.
///
/// Parts consist of `a-z 0-9 . _ -` and do not start with a dot, so that a key is a safe
/// relative path on every platform, and a backend may keep files of its own beside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No text at all, or more than [`MAX_KEY`] bytes.
    #[error("a key has 1 to {MAX_KEY} bytes, this one {0}")]
    Length(usize),
    /// A part is empty or starts with a dot.
    #[error("a part of a key is neither empty nor starts with a dot")]
    Part,
    /// A character outside `a-z 0-9 . _ - /`.
    #[error("a key consists of `a-z`, `0-9`, `.`, `_`, `-` and `/`")]
    Character,
}

impl Key {
    /// Checks that `text` is a key.
    pub fn parse(text: &str) -> Result<Key, KeyError> {
        if text.is_empty() || text.len() > MAX_KEY {
            return Err(KeyError::Length(text.len()));
        }
        check_characters(text)?;
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(KeyError::Part);
        }
        Ok(Key(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's parts, from the root down.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// The start of keys in a listing: empty, or any beginning of a key.
pub fn check_prefix(prefix: &str) -> Result<(), KeyError> {
    if prefix.len() > MAX_KEY {
        return Err(KeyError::Length(prefix.len()));
    }
    check_characters(prefix)?;
    if prefix.starts_with('/') || prefix.split('/').any(|part| part.starts_with('.')) || prefix.contains("//")
    {
        return Err(KeyError::Part);
    }
    Ok(())
}

fn check_characters(text: &str) -> Result<(), KeyError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/');
    if text.bytes().all(allowed) { Ok(()) } else { Err(KeyError::Character) }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a store says about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object's name.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// What a creation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The name was free (as far as the store can tell) and holds the bytes now.
    New,
    /// The name was taken and is unchanged.
    Existed,
}

/// How dear a request is, which decides how many small reads become one large read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundTrip {
    /// A file system of this machine or network: microseconds.
    Local,
    /// A server: milliseconds, and perhaps money.
    Network,
}

/// What a listing and a read hand their pieces to.
pub type ByteSink<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'a;

/// What a write tells how many bytes of its parts have gone so far; after a failure it begins anew.
pub type SentSink<'a> = dyn FnMut(u64) + 'a;

/// What a listing hands its lines to.
pub type ListSink<'a> = dyn FnMut(Listed) -> ControlFlow<()> + 'a;

/// A place that keeps bytes under names. All methods may be called from any thread.
///
/// Silence is not absence (R9): a method either knows the answer or returns an error.
pub trait Backend: Send + Sync {
    /// Hands the bytes of `key`, or of `range` in it, to `sink` in order and in pieces.
    ///
    /// Succeeds only if the sink got exactly the asked bytes, or stopped by itself; a range
    /// that reaches past the end is [`Situation::Invalid`], an absent key
    /// [`Situation::NotFound`]. After an error the sink may have got a beginning.
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError>;

    /// Writes the concatenation of `parts` as `key`, durably and at once.
    ///
    /// The parts are shared, not borrowed: a client that sends from another thread needs no copy of them.
    /// A name is used for one content, so the call may be repeated: an object of the same
    /// length under this name may be left as it is, one of another length is replaced.
    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError>;

    /// Does as [`Backend::put`] and tells `sent` on the way, where it takes its time, how far it came.
    fn put_telling(&self, key: &Key, parts: &[Bytes], _sent: &mut SentSink<'_>) -> Result<(), BackendError> {
        self.put(key, parts)
    }

    /// Writes `bytes` as `key` if the name is free.
    ///
    /// Where the store has no conditional write two callers may both be told
    /// [`Created::New`]: read back what stands there.
    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError>;

    /// What stands under `key`, `None` if nothing does.
    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError>;

    /// Hands every object whose key starts with `prefix` to `each`, in any order; complete or an error.
    ///
    /// Names that are no keys are left out: they are not mlv's. Succeeds too if `each` stopped it.
    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError>;

    /// Removes `key`; that it is absent already is no error.
    fn delete(&self, key: &Key) -> Result<(), BackendError>;

    /// The time by the store's clock, comparable with [`Stat::modified`].
    fn now(&self) -> Result<SystemTime, BackendError>;

    /// How dear a request is.
    fn round_trip(&self) -> RoundTrip;

    /// The place in words, without credentials: `/mnt/share/remote`.
    fn describe(&self) -> String;

    /// Where the credentials come from, never what they are: `profile ml, SSO`. Nothing where
    /// there are none to have, or none were needed yet.
    fn credentials(&self) -> Option<String> {
        None
    }

    /// What else can be tried out there; `None` where no requests travel, as in a folder.
    fn trials(&self) -> Option<&dyn Trials> {
        None
    }
}

/// Passes every call on: a shared or borrowed backend is a backend.
macro_rules! pass_on {
    ($($holder:ty),*) => {$(
        impl<B: Backend + ?Sized> Backend for $holder {
            fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
                (**self).get(key, range, sink)
            }
            fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
                (**self).put(key, parts)
            }
            fn put_telling(
                &self,
                key: &Key,
                parts: &[Bytes],
                sent: &mut SentSink<'_>,
            ) -> Result<(), BackendError> {
                (**self).put_telling(key, parts, sent)
            }
            fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
                (**self).create(key, bytes)
            }
            fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
                (**self).head(key)
            }
            fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
                (**self).list(prefix, each)
            }
            fn delete(&self, key: &Key) -> Result<(), BackendError> {
                (**self).delete(key)
            }
            fn now(&self) -> Result<SystemTime, BackendError> {
                (**self).now()
            }
            fn round_trip(&self) -> RoundTrip {
                (**self).round_trip()
            }
            fn describe(&self) -> String {
                (**self).describe()
            }
            fn credentials(&self) -> Option<String> {
                (**self).credentials()
            }
            fn trials(&self) -> Option<&dyn Trials> {
                (**self).trials()
            }
        }
    )*};
}

pass_on!(&B, Box<B>, std::sync::Arc<B>);

/// Writes `bytes`, which are few, as `key`.
pub fn write(backend: &dyn Backend, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
    backend.put(key, &[Bytes::copy_from_slice(bytes)])
}

/// How many requests of few bytes are sent at once.
pub fn small_requests(backend: &dyn Backend) -> usize {
    if backend.round_trip() == RoundTrip::Network { 16 } else { 1 }
}

/// Reads `key` whole, at most `limit` bytes: a longer object is refused when it passes the limit.
pub fn read(backend: &dyn Backend, key: &Key, limit: u64) -> Result<Vec<u8>, BackendError> {
    let mut bytes = Vec::new();
    let mut too_large = false;
    backend.get(key, None, &mut |piece| {
        too_large = (bytes.len() + piece.len()) as u64 > limit;
        if too_large {
            return ControlFlow::Break(());
        }
        bytes.extend_from_slice(piece);
        ControlFlow::Continue(())
    })?;
    if too_large {
        return Err(BackendError::new(
            Situation::TooLarge { limit },
            Action::Read,
            key.as_str(),
            backend.describe(),
        ));
    }
    Ok(bytes)
}

/// Reads the bytes of `range` in `key`.
pub fn read_range(backend: &dyn Backend, key: &Key, range: Range<u64>) -> Result<Vec<u8>, BackendError> {
    let mut bytes = Vec::new();
    backend.get(key, Some(range), &mut |piece| {
        bytes.extend_from_slice(piece);
        ControlFlow::Continue(())
    })?;
    Ok(bytes)
}

/// Lists all keys that start with `prefix`, sorted, each once.
///
/// More than [`MAX_LISTING`] lines are refused: a listing that loops has no end.
pub fn list_sorted(backend: &dyn Backend, prefix: &str) -> Result<Vec<Listed>, BackendError> {
    list_within(backend, prefix, MAX_LISTING)
}

fn list_within(backend: &dyn Backend, prefix: &str, limit: usize) -> Result<Vec<Listed>, BackendError> {
    let mut all = Vec::new();
    let mut lines = 0;
    backend.list(prefix, &mut |listed| {
        lines += 1;
        all.push(listed);
        if lines % FOLD == 0 {
            sort_once(&mut all);
        }
        if lines > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if lines > limit {
        let situation = Situation::ListingTooLong { limit };
        return Err(BackendError::new(situation, Action::List, prefix, backend.describe()));
    }
    sort_once(&mut all);
    Ok(all)
}

/// After so many lines repeated ones are folded, so that a loop does not fill the memory.
const FOLD: usize = 1 << 20;

fn sort_once(lines: &mut Vec<Listed>) {
    lines.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    lines.dedup_by(|a, b| a.key == b.key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::memory::MemoryBackend;

    #[test]
    fn keys_are_safe_relative_paths_in_lower_case() {
        for good in ["mlv-remote", "pk/00/ab", "gc/m-00ff", "a", "a.b/c_d"] {
            assert_eq!(Key::parse(good).map(|key| key.to_string()), Ok(good.to_owned()));
        }
        let long = "a".repeat(201);
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", ".", ".tmp/a", "a/.b", "A", "a b", "a\\b", "ä", &long]
        {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
        for good in ["", "pk/", "rt/0011-", "mlv"] {
            assert_eq!(check_prefix(good), Ok(()));
        }
        for bad in ["/", "a//", "../", "a/.", "A"] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }

    /// O2: unsorted, twice, without an end.
    #[test]
    fn listings_are_sorted_once_and_end() {
        struct Loop(MemoryBackend, usize);
        impl Backend for Loop {
            fn get(
                &self,
                key: &Key,
                range: Option<Range<u64>>,
                sink: &mut ByteSink<'_>,
            ) -> Result<(), BackendError> {
                self.0.get(key, range, sink)
            }
            fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
                self.0.put(key, parts)
            }
            fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
                self.0.create(key, bytes)
            }
            fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
                self.0.head(key)
            }
            fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
                for _ in 0..self.1 {
                    let mut stopped = false;
                    self.0.list(prefix, &mut |line| {
                        stopped = each(line).is_break();
                        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    })?;
                    if stopped {
                        break;
                    }
                }
                Ok(())
            }
            fn delete(&self, key: &Key) -> Result<(), BackendError> {
                self.0.delete(key)
            }
            fn now(&self) -> Result<SystemTime, BackendError> {
                self.0.now()
            }
            fn round_trip(&self) -> RoundTrip {
                self.0.round_trip()
            }
            fn describe(&self) -> String {
                self.0.describe()
            }
        }
        let store = MemoryBackend::new();
        for name in ["gc/b", "gc/a"] {
            store.put(&Key::parse(name).expect("a key"), &[]).expect("memory");
        }
        let twice = Loop(store, 2);
        let names: Vec<_> =
            list_sorted(&twice, "gc/").expect("lists").iter().map(|l| l.key.to_string()).collect();
        assert_eq!(names, ["gc/a", "gc/b"]);
        let endless = Loop(twice.0, usize::MAX);
        let error = list_within(&endless, "gc/", 1_000).expect_err("refused");
        assert_eq!(error.situation, Situation::ListingTooLong { limit: 1_000 });
    }
}
