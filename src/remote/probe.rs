//! `remote test`: proves on a place what mlv relies on, and measures it.
//!
//! Writes one object under a name of its own, `probe-…`, which nothing else looks at, and
//! removes it again where that is allowed.

use std::time::{Duration, Instant, SystemTime};

use crate::fs;
use crate::remote::backend::{
    self, Action, Backend, BackendError, Created, Key, Situation, list_sorted, read, read_range,
};
use crate::remote::names::{ROOTS, format_key};
use crate::remote::records::{MAX_FORMAT, RemoteFormat};

/// What is written and read, in bytes: enough to tell a rate.
const SIZE: usize = 1 << 20;
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
    let exists = remote(backend, &mut probe);
    probe.credentials = backend.credentials();
    let Some(exists) = exists else { return probe };
    let bytes: Vec<u8> =
        (0..SIZE as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let key = format!("probe-{:016x}", u64::from_le_bytes(fs::random_bytes()));
    let key = Key::parse(&key).expect("hex digits after a plain name");
    let wrote = write(backend, &key, &bytes, &mut probe);
    // A folder that nothing was written to yet is not there.
    if exists || wrote {
        measure(backend, &mut probe);
        clock(backend, &mut probe);
        list(backend, &mut probe);
    }
    match wrote {
        true => written(backend, &key, &bytes, &mut probe),
        false if !exists => {
            probe.advise("nothing is here yet, and nothing can be written: ask for the right to write");
        }
        false => probe.advise("`pull` and `fetch` work with what is here; `push` does not"),
    }
    probe
}

/// Whether there is a remote already; `None` where the place cannot be reached at all.
fn remote(backend: &dyn Backend, probe: &mut Probe) -> Option<bool> {
    match read(backend, &format_key(), MAX_FORMAT) {
        Ok(bytes) => match RemoteFormat::decode(&bytes) {
            Ok(_) => probe.note("read", Outcome::Ok, "there is a remote"),
            Err(error) => {
                let at = BackendError::new(
                    Situation::Invalid,
                    Action::Read,
                    format_key().as_str(),
                    backend.describe(),
                );
                probe.fail("read", at.because(error));
            }
        },
        Err(error) if error.is_not_found() => {
            probe.note("read", Outcome::Ok, "nothing yet: the first push makes it");
            return Some(false);
        }
        Err(error) => {
            probe.fail("read", error);
            return None;
        }
    }
    Some(true)
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

fn write(backend: &dyn Backend, key: &Key, bytes: &[u8], probe: &mut Probe) -> bool {
    let start = Instant::now();
    match backend::write(backend, key, bytes) {
        Ok(()) => {
            probe.write_rate = rate(start);
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
    let middle = 1_000..70_000u64;
    let range =
        read_range(backend, key, middle.clone()).and_then(|found| match found == bytes[1_000..70_000] {
            true => Ok("a part is read alone".to_owned()),
            false => Err(wrong(Action::Read)),
        });
    probe.needs("range", range);
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
    delete(backend, key, probe);
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

fn delete(backend: &dyn Backend, key: &Key, probe: &mut Probe) {
    match backend.delete(key).and_then(|()| backend.head(key)) {
        Ok(None) => {
            probe.note("delete", Outcome::Ok, "objects can be removed");
            probe.advise("whoever only pushes needs no right to delete; only the collection of garbage does");
        }
        Ok(Some(_)) => {
            probe.note("delete", Outcome::No, "what was removed is still there");
            probe.advise(format!("`{key}` is left: remove it by hand"));
        }
        Err(error) if matches!(error.situation, Situation::Denied | Situation::ReadOnly) => {
            probe.note("delete", Outcome::No, "not allowed, which a push does not need");
            probe.advise(format!("`{key}` is left: let somebody remove it who may"));
        }
        Err(error) => probe.fail("delete", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::conformance::faulty::{Fault, FaultyBackend};
    use crate::remote::folder::FolderBackend;

    fn outcomes(probe: &Probe) -> Vec<(&'static str, Outcome)> {
        probe.checks.iter().map(|finding| (finding.check, finding.result)).collect()
    }

    #[test]
    fn a_good_place_passes_and_keeps_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let backend = FolderBackend::new(&folder.path().join("new"));
        let probe = probe(&backend);
        assert!(probe.checks.iter().all(|finding| finding.result == Outcome::Ok), "{probe:?}");
        assert_eq!(probe.checks.len(), 10);
        assert_eq!(list_sorted(&backend, "").expect("lists"), []);
        assert!(probe.round_trip_us.is_some() && probe.read_rate.is_some() && probe.write_rate.is_some());
    }

    #[test]
    fn each_call_that_fails_is_a_finding_or_an_unmeasured_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = {
            let backend = FaultyBackend::new(FolderBackend::new(&folder.path().join("new")), 0, Fault::Error);
            probe(&backend);
            backend.calls()
        };
        assert!(calls > 10);
        for at in 1..=calls {
            let inner = FolderBackend::new(&folder.path().join(format!("at{at}")));
            let found = probe(&FaultyBackend::dead_from(inner, at));
            assert!(
                outcomes(&found).iter().any(|(_, outcome)| *outcome == Outcome::Failed),
                "{at}: {found:?}"
            );
        }
    }
}
