//! `remote test`: proves on a place what mlv relies on, and measures it.
//!
//! Writes one object under a name of its own, `probe-…`, which nothing else looks at, and at a
//! bucket a few bytes beside it; removes them again where that is allowed. About 20 requests.

use std::time::{Duration, Instant, SystemTime};

use crate::error::Advice;
use crate::fs;
use crate::remote::backend::{
    self, Action, Backend, BackendError, Created, Key, Situation, Trials, list_sorted, read, read_range,
};
use crate::remote::names::{PACKS, ROOTS, format_key};
use crate::remote::records::{MAX_FORMAT, RemoteFormat};

mod trials;

/// What is written and read, in bytes: enough to tell a rate.
const SIZE: usize = 1 << 20;
/// What is written beside it: to be changed on the way, and to be the second line of a listing.
const SECOND: &[u8] = b"written by `mlv remote test`; may be deleted";
/// Clocks that differ by more are told; Amazon refuses requests at 15 minutes.
const SKEW: Duration = Duration::from_secs(300);

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Ok,
    /// It does not, and mlv can do without.
    No,
    /// What is there does not show it.
    Unknown,
    /// It does not, and the place cannot serve for what it was asked.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
pub struct Finding {
    /// Its stable name.
    pub check: &'static str,
    /// How it ended.
    pub result: Outcome,
    /// What was seen, in words.
    pub detail: String,
    /// The failure below.
    #[serde(skip)]
    pub error: Option<BackendError>,
}

/// All that was found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Probe {
    /// Where the credentials come from; none where there are none to have.
    pub credentials: Option<String>,
    /// The checks, in the order in which they were made; those that make no sense any more are left out.
    pub checks: Vec<Finding>,
    /// What follows for the user.
    pub advice: Vec<String>,
    /// One question and its answer, in microseconds; the shortest of three.
    pub round_trip_us: Option<u64>,
    /// Bytes a second of one upload.
    pub write_rate: Option<u64>,
    /// Bytes a second of one download.
    pub read_rate: Option<u64>,
}

impl Probe {
    fn note(&mut self, check: &'static str, result: Outcome, detail: impl Into<String>) {
        self.checks.push(Finding { check, result, detail: detail.into(), error: None });
    }

    fn fail(&mut self, check: &'static str, error: BackendError) {
        let detail = error.situation.to_string();
        self.checks.push(Finding { check, result: Outcome::Failed, detail, error: Some(error) });
    }

    /// Notes a check that must hold; tells whether it did.
    fn needs(&mut self, check: &'static str, found: Result<String, BackendError>) -> bool {
        match found {
            Ok(detail) => self.note(check, Outcome::Ok, detail),
            Err(error) => {
                self.fail(check, error);
                return false;
            }
        }
        true
    }

    fn advise(&mut self, text: impl Into<String>) {
        self.advice.push(text.into());
    }
}

/// Looks at the place behind `backend`.
pub fn probe(backend: &dyn Backend) -> Probe {
    let mut probe = Probe::default();
    let found = remote(backend);
    probe.credentials = backend.credentials();
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            probe.fail("read", error);
            return probe;
        }
    };
    let bytes: Vec<u8> =
        (0..SIZE as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let key = format!("probe-{:016x}", u64::from_le_bytes(fs::random_bytes()));
    let key = Key::parse(&key).expect("hex digits after a plain name");
    let start = Instant::now();
    let put = backend::write(backend, &key, &bytes);
    probe.write_rate = put.is_ok().then(|| rate(start)).flatten();
    match &found {
        Some(format) => something(backend, format, &mut probe),
        None => nothing_yet(backend, &put, &mut probe),
    }
    let wrote = write(put, &mut probe);
    // A folder that nothing was written to yet is not there.
    if found.is_some() || wrote {
        measure(backend, &mut probe);
        clock(backend, &mut probe);
        list(backend, &mut probe);
    }
    match found {
        _ if wrote => written(backend, &key, &bytes, &mut probe),
        Some(format) => only_read(backend, &format, &mut probe),
        None => {}
    }
    probe
}

/// The bytes of the remote's format; `None` where there is none.
fn remote(backend: &dyn Backend) -> Result<Option<Vec<u8>>, BackendError> {
    match read(backend, &format_key(), MAX_FORMAT) {
        Err(error) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

fn something(backend: &dyn Backend, format: &[u8], probe: &mut Probe) {
    match RemoteFormat::decode(format) {
        Ok(_) => probe.note("read", Outcome::Ok, "there is a remote"),
        Err(error) => {
            let remedy = error.hints().first().map(|hint| hint.text.as_str().into());
            let told = BackendError { remedy, ..about_format(backend, Situation::Invalid) };
            probe.fail("read", told.because(error));
        }
    }
}

fn about_format(backend: &dyn Backend, situation: Situation) -> BackendError {
    BackendError::new(situation, Action::Read, format_key().as_str(), backend.describe())
}

/// There is no remote; `put` is how a write went, and no push makes one where nothing can ever be written.
fn nothing_yet(backend: &dyn Backend, put: &Result<(), BackendError>, probe: &mut Probe) {
    match put.as_ref().map_err(|error| error.situation) {
        Err(Situation::ReadOnly) => {
            let mut error = about_format(backend, Situation::NotFound);
            let remedy = "correct the URL: `mlv remote list`; a copy of a remote has that file";
            error.remedy = Some(remedy.into());
            probe.fail("read", error);
        }
        put => {
            probe.note("read", Outcome::Ok, "nothing yet: the first push makes it");
            if put == Err(Situation::Denied) {
                probe.advise("nothing is here yet, and nothing can be written: ask for the right to write");
            }
        }
    }
}

fn list(backend: &dyn Backend, probe: &mut Probe) {
    let listed = list_sorted(backend, ROOTS).map(|lines| match lines.len() {
        1 => "1 push was recorded".to_owned(),
        count => format!("{count} pushes were recorded"),
    });
    if !probe.needs("list", listed) {
        probe.advise("a listing needs a right of its own: `s3:ListBucket` at Amazon's, on the bucket");
    }
}

fn measure(backend: &dyn Backend, probe: &mut Probe) {
    let key = format_key();
    let asked = (0..3).filter_map(|_| {
        let start = Instant::now();
        backend.head(&key).ok().map(|_| start.elapsed())
    });
    probe.round_trip_us = asked.min().map(|took| took.as_micros() as u64);
}

/// R22: a wrong clock here costs time, never data; a server that checks signatures refuses it.
fn clock(backend: &dyn Backend, probe: &mut Probe) {
    let found = match backend.now() {
        Ok(time) => time,
        // A folder that can only be read has no file to take the time from.
        Err(error) if matches!(error.situation, Situation::Denied | Situation::ReadOnly) => return,
        Err(error) => return probe.fail("clock", error),
    };
    let here = SystemTime::now();
    let (apart, word) = match found.duration_since(here) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let detail = format!("the store is {} s {word} this machine", apart.as_secs());
    if apart > SKEW {
        probe.note("clock", Outcome::No, detail);
        probe.advise("set this machine's clock: stores refuse signatures of another time");
    } else {
        probe.note("clock", Outcome::Ok, detail);
    }
}

fn rate(start: Instant) -> Option<u64> {
    let took = start.elapsed().as_micros().max(1);
    u64::try_from(SIZE as u128 * 1_000_000 / took).ok()
}

/// Notes how a write went; tells whether it succeeded.
fn write(put: Result<(), BackendError>, probe: &mut Probe) -> bool {
    match put {
        Ok(()) => {
            probe.note("write", Outcome::Ok, "an object was written");
            true
        }
        Err(error) if matches!(error.situation, Situation::Denied | Situation::ReadOnly) => {
            probe.note("write", Outcome::No, error.situation.to_string());
            false
        }
        Err(error) => {
            probe.fail("write", error);
            false
        }
    }
}

/// What can be tried out by who may not write, with what is there.
fn only_read(backend: &dyn Backend, format: &[u8], probe: &mut Probe) {
    range(backend, &format_key(), format, probe);
    if let Some(trials) = backend.trials() {
        trials::check_pages(backend, trials, PACKS, probe);
    }
    probe.advise("`pull` and `fetch` work with what is here; `push` does not");
}

/// Whether a part of `key`, of which all are `bytes`, can be read alone.
fn range(backend: &dyn Backend, key: &Key, bytes: &[u8], probe: &mut Probe) {
    let part = bytes.len().min(20_000) / 4..bytes.len().min(100_000);
    let found = read_range(backend, key, part.start as u64..part.end as u64);
    let found = found.and_then(|found| match found == bytes[part] {
        true => Ok("a part is read alone".to_owned()),
        false => Err(BackendError::new(Situation::Invalid, Action::Read, key.as_str(), backend.describe())),
    });
    probe.needs("range", found);
}

fn written(backend: &dyn Backend, key: &Key, bytes: &[u8], probe: &mut Probe) {
    let wrong = |action| BackendError::new(Situation::Invalid, action, key.as_str(), backend.describe());
    let start = Instant::now();
    let back = read(backend, key, SIZE as u64).and_then(|found| match found == bytes {
        true => Ok("what was written is read at once".to_owned()),
        false => Err(wrong(Action::Read)),
    });
    if probe.needs("read_after_write", back) {
        probe.read_rate = rate(start);
    }
    range(backend, key, bytes, probe);
    let listed = list_sorted(backend, "probe-").and_then(|lines| {
        match lines.iter().any(|line| line.key == *key && line.size == SIZE as u64) {
            true => Ok("what was written is listed at once".to_owned()),
            false => Err(wrong(Action::List)),
        }
    });
    if !probe.needs("list_after_write", listed) {
        probe.advise("pushes may have to look again for what they wrote; two pushes may miss each other");
    }
    repeat(backend, key, bytes, probe);
    let mut keys = vec![key.clone()];
    if let Some(trials) = backend.trials() {
        keys.push(beside(backend, trials, key, probe));
    }
    delete(backend, &keys, probe);
}

/// Tries checksums and pages out with a second object, which is returned.
fn beside(backend: &dyn Backend, trials: &dyn Trials, key: &Key, probe: &mut Probe) -> Key {
    let second = Key::parse(&format!("{key}-2")).expect("a plain name");
    match backend::write(backend, &second, SECOND) {
        Ok(()) => {
            trials::check_pages(backend, trials, key.as_str(), probe);
            trials::check_checksums(backend, trials, (&second, SECOND), probe);
        }
        Err(error) => probe.fail("list_pages", error),
    }
    second
}

fn repeat(backend: &dyn Backend, key: &Key, bytes: &[u8], probe: &mut Probe) {
    let again = backend::write(backend, key, bytes).map(|()| "a write can be repeated".to_owned());
    if !probe.needs("write_again", again) {
        probe.advise("a write whose answer was lost cannot be repeated: take the lock off the objects");
    }
    match backend.create(key, b"other") {
        Ok(Created::Existed) => {
            probe.note("create_if_absent", Outcome::Ok, "a name that is taken stays as it is")
        }
        Ok(Created::New) => {
            probe.note("create_if_absent", Outcome::No, "the store ignores the condition");
            probe
                .advise("let one person make the first push alone; after that nothing depends on conditions");
        }
        Err(error) => probe.fail("create_if_absent", error),
    }
}

fn delete(backend: &dyn Backend, keys: &[Key], probe: &mut Probe) {
    let left = || {
        let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        format!("{} {verb} left", names.join(" and "))
    };
    let removed = keys.iter().try_for_each(|key| backend.delete(key));
    match removed.and_then(|()| backend.head(&keys[0])) {
        Ok(None) => {
            probe.note("delete", Outcome::Ok, "objects can be removed");
            probe.advise("whoever only pushes needs no right to delete; only the collection of garbage does");
        }
        Ok(Some(_)) => {
            probe.note("delete", Outcome::No, "what was removed is still there");
            probe.advise(format!("{}: to be removed by hand", left()));
        }
        Err(error) if matches!(error.situation, Situation::Denied | Situation::ReadOnly) => {
            probe.note("delete", Outcome::No, "not allowed, which a push does not need");
            probe.advise(format!("{}: to be removed by somebody who may", left()));
        }
        Err(error) => probe.fail("delete", error),
    }
}

#[cfg(test)]
mod tests;
