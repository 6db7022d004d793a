use std::ops::{ControlFlow, Range};
use std::time::SystemTime;

use bytes::Bytes;

use super::*;
use crate::remote::backend::{ByteSink, ListSink, RoundTrip, Stat};
use crate::remote::conformance::faulty::{Fault, FaultyBackend};
use crate::remote::folder::FolderBackend;
use crate::remote::memory::MemoryBackend;

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
        assert!(outcomes(&found).iter().any(|(_, outcome)| *outcome == Outcome::Failed), "{at}: {found:?}");
    }
}

/// What a store may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Nothing,
    /// It ends a listing after its first page.
    CutsListings,
    /// It gives pages of its own size.
    IgnoresPageSize,
    /// It compares no checksum.
    TakesAnything,
    /// Nothing can be written.
    Denies,
    /// Nothing can be written, ever.
    IsRead,
}

/// A store with pages.
struct Shop {
    objects: MemoryBackend,
    flaw: Flaw,
}

impl Shop {
    fn write(&self) -> Result<(), BackendError> {
        let situation = match self.flaw {
            Flaw::Denies => Situation::Denied,
            Flaw::IsRead => Situation::ReadOnly,
            _ => return Ok(()),
        };
        Err(BackendError::new(situation, Action::Write, "x", self.describe()))
    }
}

impl Backend for Shop {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        self.objects.get(key, range, sink)
    }
    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.write()?;
        self.objects.put(key, parts)
    }
    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.write()?;
        self.objects.create(key, bytes)
    }
    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        self.objects.head(key)
    }
    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        self.objects.list(prefix, each)
    }
    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.write()?;
        self.objects.delete(key)
    }
    fn now(&self) -> Result<SystemTime, BackendError> {
        Ok(SystemTime::now())
    }
    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }
    fn describe(&self) -> String {
        "the shop".to_owned()
    }
    fn trials(&self) -> Option<&dyn Trials> {
        Some(self)
    }
}

impl Trials for Shop {
    fn list_in_pages(
        &self,
        prefix: &str,
        size: usize,
        each: &mut ListSink<'_>,
    ) -> Result<usize, BackendError> {
        let size = if self.flaw == Flaw::IgnoresPageSize { 1_000 } else { size };
        let lines = list_sorted(&self.objects, prefix)?;
        let mut pages = 1;
        for (at, line) in lines.into_iter().enumerate() {
            if at > 0 && at % size == 0 {
                if self.flaw == Flaw::CutsListings {
                    return Ok(pages);
                }
                pages += 1;
            }
            if let ControlFlow::Break(()) = each(line) {
                break;
            }
        }
        Ok(pages)
    }

    fn put_changed(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        match self.flaw {
            Flaw::TakesAnything => backend::write(&self.objects, key, bytes),
            // As s3s does.
            _ => Err(BackendError::new(Situation::Unreachable, Action::Write, "x", self.describe())),
        }
    }
}

/// What is found out there, and what is left there.
fn found(flaw: Flaw, before: &[&str]) -> (Probe, Vec<String>) {
    let shop = Shop { objects: MemoryBackend::new(), flaw };
    for name in before {
        let format = RemoteFormat::new(crate::remote::names::RepoId(7)).encode();
        backend::write(&shop.objects, &Key::parse(name).expect("a key"), &format).expect("memory");
    }
    let probe = probe(&shop);
    let left = list_sorted(&shop.objects, "").expect("lists");
    (probe, left.into_iter().map(|line| line.key.to_string()).collect())
}

fn outcome(probe: &Probe, check: &str) -> Option<Outcome> {
    outcomes(probe).into_iter().find(|(name, _)| *name == check).map(|(_, outcome)| outcome)
}

#[test]
fn listings_that_come_in_pages_and_checksums_are_proved() {
    for (flaw, pages, checksum) in [
        (Flaw::Nothing, Outcome::Ok, Outcome::Ok),
        (Flaw::CutsListings, Outcome::Failed, Outcome::Ok),
        (Flaw::IgnoresPageSize, Outcome::Unknown, Outcome::Ok),
        (Flaw::TakesAnything, Outcome::Ok, Outcome::No),
    ] {
        let (probe, left) = found(flaw, &[]);
        assert_eq!(outcome(&probe, "list_pages"), Some(pages), "{flaw:?}: {probe:?}");
        assert_eq!(outcome(&probe, "checksum"), Some(checksum), "{flaw:?}: {probe:?}");
        assert_eq!(left, Vec::<String>::new(), "{flaw:?}");
    }
}

#[test]
fn who_may_only_read_sees_ranges_and_pages_of_what_is_there() {
    let (probe, left) = found(Flaw::Denies, &["mlv-remote", "pk/00/a", "pk/00/b"]);
    assert_eq!(outcome(&probe, "write"), Some(Outcome::No));
    assert_eq!(outcome(&probe, "range"), Some(Outcome::Ok), "{probe:?}");
    assert_eq!(outcome(&probe, "list_pages"), Some(Outcome::Ok), "{probe:?}");
    assert_eq!(left.len(), 3);
    let (probe, _) = found(Flaw::Denies, &["mlv-remote", "pk/00/a"]);
    assert_eq!(outcome(&probe, "list_pages"), Some(Outcome::Unknown), "{probe:?}");
}

#[test]
fn place_that_can_only_be_read_and_holds_nothing_fails() {
    let (probe, _) = found(Flaw::IsRead, &[]);
    assert_eq!(outcomes(&probe), [("read", Outcome::Failed), ("write", Outcome::No)]);
    let error = probe.checks[0].error.as_ref().expect("it failed");
    assert!(error.is_not_found() && error.hints()[0].text.contains("correct the URL"), "{error}");
    // A bucket may be filled by somebody else.
    let (probe, _) = found(Flaw::Denies, &[]);
    assert_eq!(outcomes(&probe), [("read", Outcome::Ok), ("write", Outcome::No)]);
    assert_eq!(probe.advice.len(), 1);
}
