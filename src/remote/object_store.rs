//! Buckets: S3, Google Cloud Storage and Azure through the crate `object_store`.
//!
//! The async boundary: nothing outside of this module knows of tokio. A call runs on the
//! thread that makes it, with two threads of the runtime to move bytes; concurrency comes from
//! the callers' threads. Nothing is repeated here but after renewing credentials: `retry` is
//! the one way. No object is larger than [`MAX_OBJECT`](super::backend::MAX_OBJECT), so there
//! are no uploads in parts.

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path as Location;
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use tokio::runtime::{Builder, Runtime};

use crate::remote::backend::{
    Action, Backend, BackendError, ByteSink, Created, Key, ListSink, Listed, RoundTrip, SentSink, Situation,
    Stat, Trials, check_prefix,
};
use crate::remote::names::format_key;
use crate::remote::registry::{RemoteSpec, SpecError};
use crate::report::interrupted;
use line::{Bundle, ChangedOnTheWay, Gone, Line, LineOptions};

mod access;
mod azure;
mod container;
mod failure;
mod gcs;
mod line;
mod refusal;
mod s3;
mod web;

pub(crate) use azure::open_azure;
pub(crate) use gcs::open_gcs;
pub(crate) use s3::open_s3;
pub(crate) use web::open_web;

/// How much of a body is handed to the connection at once: what is taken shows that it moves.
const PIECE: usize = 64 << 10;
/// How often a waiting call looks whether the user asked to stop.
const TICK: Duration = Duration::from_millis(100);

/// How long an endpoint of the same machine or network may take.
const NEAR: Duration = Duration::from_secs(1);

/// What every vendor's client can do.
trait Store: ObjectStore + PaginatedListStore {}
impl<S: ObjectStore + PaginatedListStore> Store for S {}

/// A bucket, or what lies below a prefix of it.
pub struct BucketBackend {
    store: Box<dyn Store>,
    line: Line,
    access: Box<dyn access::Access>,
    /// Empty, or ends with a `/`.
    prefix: String,
    place: String,
    /// The remote's name, for hints.
    remote: String,
}

/// Runs `work` on this thread until it is done or the user asks to stop.
fn wait<T>(work: impl Future<Output = T>) -> Result<T, Situation> {
    wait_telling(work, &mut || ())
}

/// The same; calls `tick` meanwhile, some times a second.
fn wait_telling<T>(work: impl Future<Output = T>, tick: &mut dyn FnMut()) -> Result<T, Situation> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || Builder::new_multi_thread().worker_threads(2).enable_io().enable_time().build().ok();
    let runtime = RUNTIME.get_or_init(start).as_ref().ok_or(Situation::Failed)?;
    runtime.block_on(async {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(TICK, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) if interrupted() => return Err(Situation::Interrupted),
                Err(_) => tick(),
            }
        }
    })
}

impl BucketBackend {
    fn new(
        store: Box<dyn Store>,
        line: Line,
        access: Box<dyn access::Access>,
        prefix: String,
        spec: &RemoteSpec,
    ) -> BucketBackend {
        BucketBackend { store, line, access, prefix, place: spec.display_url(), remote: spec.name.clone() }
    }

    fn location(&self, key: &str) -> Location {
        let location = Location::parse(format!("{}{key}", self.prefix));
        location.expect("the prefix was checked, and keys are plain")
    }

    fn error(&self, situation: Situation, action: Action, key: &str) -> BackendError {
        BackendError::new(situation, action, key, self.describe())
    }

    /// Makes `work` with credentials that are good; once more with new ones if the store says
    /// that they have expired.
    fn call<T, F>(&self, action: Action, key: &str, work: impl FnMut() -> F) -> Result<T, BackendError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        self.call_telling((action, key), work, &mut || ())
    }

    /// The same; calls `tick` while it waits.
    fn call_telling<T, F>(
        &self,
        (action, key): (Action, &str),
        mut work: impl FnMut() -> F,
        tick: &mut dyn FnMut(),
    ) -> Result<T, BackendError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let without = |failure: access::AccessError| {
            let mut error = self.error(failure.situation, action, key);
            error.remedy = failure.remedy.clone().map(String::into_boxed_str);
            error.because(failure)
        };
        let mut renewed = false;
        let mut turn = self.access.prepare().map_err(&without)?;
        loop {
            let failed = match wait_telling(work(), tick) {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failed)) => failed,
                Err(situation) => return Err(self.error(situation, action, key)),
            };
            let since = Instant::now();
            let error = failure::backend_error(self, failed, (action, key), renewed);
            if renewed || error.situation != Situation::CredentialsExpired {
                return Err(error);
            }
            tracing::debug!(source = %self.access.source(), "the credentials have expired: renewing them");
            renewed = true;
            turn = self.access.renew(turn, since).map_err(&without)?;
        }
    }

    fn stat_of(meta: &ObjectMeta) -> Stat {
        Stat { size: meta.size, modified: SystemTime::from(meta.last_modified) }
    }

    /// Opens a read of `key`; the answer's range is the one that was asked for.
    fn open(&self, key: &Key, range: Option<&Range<u64>>) -> Result<GetResult, BackendError> {
        let location = self.location(key.as_str());
        let asked = range.map(|range| GetRange::Bounded(range.clone()));
        let result = self.call(Action::Read, key.as_str(), || {
            self.store.get_opts(&location, GetOptions { range: asked.clone(), ..GetOptions::default() })
        })?;
        match range {
            Some(range) if result.range != *range => {
                Err(self.error(Situation::Invalid, Action::Read, key.as_str()))
            }
            _ => Ok(result),
        }
    }

    /// A range without bytes is asked of no store: they answer with all of it, or refuse.
    fn check_empty(&self, key: &Key, at: u64) -> Result<(), BackendError> {
        match self.head(key)? {
            Some(stat) if at <= stat.size => Ok(()),
            Some(_) => Err(self.error(Situation::Invalid, Action::Read, key.as_str())),
            None => Err(self.error(Situation::NotFound, Action::Read, key.as_str())),
        }
    }

    fn put_as(&self, key: &Key, payload: &PutPayload, mode: &PutMode) -> Result<(), BackendError> {
        let location = self.location(key.as_str());
        self.call(Action::Write, key.as_str(), || {
            self.store.put_opts(&location, payload.clone(), PutOptions::from(mode.clone()))
        })
        .map(drop)
    }

    fn listed(&self, meta: &ObjectMeta) -> Option<Listed> {
        let key = Key::parse(meta.location.as_ref().strip_prefix(&self.prefix)?).ok()?;
        let Stat { size, modified } = Self::stat_of(meta);
        Some(Listed { key, size, modified })
    }

    /// Lists in pages of at most `size` keys, or as many as the store gives; tells how many came.
    fn pages(
        &self,
        prefix: &str,
        size: Option<usize>,
        each: &mut ListSink<'_>,
    ) -> Result<usize, BackendError> {
        let invalid = || self.error(Situation::Invalid, Action::List, prefix);
        check_prefix(prefix).map_err(|error| invalid().because(error))?;
        let below = format!("{}{prefix}", self.prefix);
        let below = Some(below.as_str()).filter(|below| !below.is_empty());
        let mut token: Option<String> = None;
        for count in 1.. {
            let page = self.call(Action::List, prefix, || {
                let options =
                    PaginatedListOptions { max_keys: size, page_token: token.clone(), ..Default::default() };
                self.store.list_paginated(below, options)
            })?;
            for meta in &page.result.objects {
                if let Some(listed) = self.listed(meta)
                    && let ControlFlow::Break(()) = each(listed)
                {
                    return Ok(count);
                }
            }
            match page.page_token {
                None => return Ok(count),
                // O2: a listing that goes in a circle.
                Some(next) if token.as_ref() == Some(&next) => return Err(invalid()),
                next => token = next,
            }
        }
        Err(invalid())
    }
}

/// The bucket of `scheme://bucket/prefix`, and the prefix with a `/` at its end.
fn bucket_and_prefix(spec: &RemoteSpec) -> Result<(String, String), SpecError> {
    let rest = spec.url.split_once("://").map_or("", |(_, rest)| rest);
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err(spec.unusable("url", "it has no bucket: `s3://bucket/folder`"));
    }
    match Location::parse(prefix) {
        Ok(_) if prefix.is_empty() => Ok((bucket.to_owned(), String::new())),
        Ok(_) => Ok((bucket.to_owned(), format!("{prefix}/"))),
        Err(_) => Err(spec.unusable("url", "its path cannot be the start of a key")),
    }
}

/// What the remote's options say of connections; `bundle` is what else is trusted.
fn line_options(spec: &RemoteSpec, bundle: Option<Bundle>) -> LineOptions {
    let mut options = LineOptions::default();
    let seconds = |name: &str| spec.option(name).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    options.connect = seconds("connect_timeout").unwrap_or(options.connect);
    options.stall = seconds("read_timeout").unwrap_or(options.stall);
    options.bundle = match spec.option("ssl_verify") {
        Some("false") => {
            options.verify = false;
            None
        }
        Some("true") | None => bundle,
        Some(file) => Some(Bundle { named_by: "`ssl_verify`", file: file.to_owned() }),
    };
    options
}

/// Refuses an address that the vendor's client, which expects a good one, could not be given.
///
/// It is not repeated: a password may stand in it.
fn check_endpoint(spec: &RemoteSpec, endpoint: &str) -> Result<(), SpecError> {
    let unusable = |reason: &str| {
        spec.unusable("endpointurl", format!("it is no `http://HOST:PORT` or `https://…`: {reason}"))
    };
    let url = reqwest::Url::parse(endpoint).map_err(|error| unusable(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable("another scheme"));
    }
    endpoint.parse::<http::Uri>().map(drop).map_err(|error| unusable(&error.to_string()))
}

fn open_line(spec: &RemoteSpec, options: &LineOptions) -> Result<Line, SpecError> {
    Line::new(options).map_err(|bad| SpecError::Certificates {
        name: spec.name.clone(),
        named_by: bad.bundle.named_by,
        file: bad.bundle.file,
        reason: bad.reason,
    })
}

/// The parts, cut into pieces that share their memory.
fn payload(parts: &[Bytes]) -> PutPayload {
    let pieces = |part: &Bytes| {
        let part = part.clone();
        (0..part.len()).step_by(PIECE).map(move |at| part.slice(at..part.len().min(at + PIECE)))
    };
    parts.iter().flat_map(pieces).collect()
}

impl Backend for BucketBackend {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        if let Some(range) = range.as_ref().filter(|range| range.is_empty()) {
            return self.check_empty(key, range.start);
        }
        let result = self.open(key, range.as_ref())?;
        let mut left = result.range.end - result.range.start;
        let mut pieces = result.into_stream();
        loop {
            let piece = match wait(pieces.next()) {
                Ok(None) => break,
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => {
                    return Err(failure::backend_error(self, error, (Action::Read, key.as_str()), false));
                }
                Err(situation) => return Err(self.error(situation, Action::Read, key.as_str())),
            };
            let Some(rest) = left.checked_sub(piece.len() as u64) else {
                return Err(self.error(Situation::Invalid, Action::Read, key.as_str()));
            };
            left = rest;
            if sink(&piece).is_break() {
                return Ok(());
            }
        }
        // N1: a connection that ends early is repeated from here.
        if left == 0 { Ok(()) } else { Err(self.error(Situation::Unreachable, Action::Read, key.as_str())) }
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.put_as(key, &payload(parts), &PutMode::Overwrite)
    }

    fn put_telling(&self, key: &Key, parts: &[Bytes], sent: &mut SentSink<'_>) -> Result<(), BackendError> {
        let location = self.location(key.as_str());
        let (payload, gone) = (payload(parts), Gone::default());
        let put = || {
            gone.restart();
            let mut options = PutOptions::default();
            options.extensions.insert(gone.clone());
            self.store.put_opts(&location, payload.clone(), options)
        };
        self.call_telling((Action::Write, key.as_str()), put, &mut || sent(gone.bytes())).map(drop)
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        let payload = payload(&[Bytes::copy_from_slice(bytes)]);
        match self.put_as(key, &payload, &PutMode::Create) {
            Ok(()) => Ok(Created::New),
            Err(error) if error.situation == Situation::Taken => Ok(Created::Existed),
            // A store without conditional writes: look, then write.
            Err(error) if error.situation == Situation::NotSupported => match self.head(key)? {
                Some(_) => Ok(Created::Existed),
                None => self.put_as(key, &payload, &PutMode::Overwrite).map(|()| Created::New),
            },
            Err(error) => Err(error),
        }
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        let location = self.location(key.as_str());
        match self.call(Action::Read, key.as_str(), || self.store.head(&location)) {
            Ok(meta) => Ok(Some(Self::stat_of(&meta))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        self.pages(prefix, None, each).map(drop)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let location = self.location(key.as_str());
        match self.call(Action::Delete, key.as_str(), || self.store.delete(&location)) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Every answer carries the store's time: a request is made only if there was none yet.
    fn now(&self) -> Result<SystemTime, BackendError> {
        if let Some(time) = self.line.store_time() {
            return Ok(time);
        }
        let key = format_key();
        self.head(&key)?;
        let silent = || self.error(Situation::Invalid, Action::Read, key.as_str());
        self.line.store_time().ok_or_else(silent)
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }

    fn describe(&self) -> String {
        self.place.clone()
    }

    fn credentials(&self) -> Option<String> {
        Some(self.access.source())
    }

    fn trials(&self) -> Option<&dyn Trials> {
        Some(self)
    }
}

impl Trials for BucketBackend {
    fn list_in_pages(
        &self,
        prefix: &str,
        size: usize,
        each: &mut ListSink<'_>,
    ) -> Result<usize, BackendError> {
        self.pages(prefix, Some(size), each)
    }

    fn put_changed(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        let location = self.location(key.as_str());
        let payload = payload(&[Bytes::copy_from_slice(bytes)]);
        let put = || {
            let mut options = PutOptions::default();
            options.extensions.insert(ChangedOnTheWay);
            self.store.put_opts(&location, payload.clone(), options)
        };
        self.call(Action::Write, key.as_str(), put).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R13: a pack that is being sent is in memory once.
    #[test]
    fn what_is_sent_shares_the_memory_of_what_was_given() {
        let part = Bytes::from(vec![7; 3 * PIECE + 5]);
        let sent = payload(&[Bytes::new(), part.clone()]);
        assert_eq!(sent.content_length(), part.len());
        let mut at = 0;
        for piece in &sent {
            assert!(piece.len() <= PIECE);
            assert_eq!(piece.as_ptr(), part[at..].as_ptr());
            at += piece.len();
        }
    }
}
