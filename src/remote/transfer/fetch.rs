//! Bringing records and files from a remote: from places to reads, every record verified on the
//! way in (R4), large files put together in the order of their bytes.
//!
//! What is damaged at one place is looked for at others, then in a fresh catalogue; what is
//! nowhere is told, and the rest still comes (R14). Memory does not grow with the data: reads
//! are streamed, and a large file has a bounded read-ahead.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::{Backend, RoundTrip};
use crate::remote::catalog::{Catalog, Place, SortedKeys};
use crate::remote::error::Error;
use crate::remote::names::{Nonce, NoteName, ShortId};
use crate::remote::open::Remote;
use crate::remote::records::NOTE;
use crate::remote::reindex::replace_damaged;
use crate::remote::transfer::RecordSink;
use crate::remote::transfer::large::fetch_files;
use crate::remote::transfer::ranges::{Located, RangeRead, plan_reads};
use crate::remote::transfer::stream::read_records;
use crate::remote::wants::WantList;
use crate::report::{Meter, Reporter, Task, Unit, interrupted};

/// Reads at once from a server; a folder needs no more than there are processors.
const NETWORK_READS: usize = 8;
/// A read from a folder may be cut at so many bytes, so that all processors have work.
const LOCAL_READ: u64 = 4 << 20;
/// So many notes of damage are left by one fetch; where more is wrong, the rest is found by the next.
const MAX_NOTES: usize = 256;

/// What a fetch brought, and what it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Records that were brought, the parts of large files not counted.
    pub records: u64,
    /// Large files that were put together.
    pub files: u64,
    /// Chunks of large files that were read.
    pub chunks: u64,
    /// Bytes of what was brought, decompressed.
    pub bytes: u64,
    /// What no segment of the remote names; in the order of the wants.
    pub missing: Vec<RecordKey>,
    /// What is named, but damaged or gone wherever it should be; in the order of the wants.
    pub damaged: Vec<RecordKey>,
}

impl FetchReport {
    /// Whether everything that was wanted came.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty()
    }

    fn add(&mut self, other: FetchReport) {
        self.records += other.records;
        self.files += other.files;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        self.missing.extend(other.missing);
        self.damaged.extend(other.damaged);
    }
}

/// Places at which something was found not to be.
pub(super) type Bad = HashSet<(RecordKey, PackId)>;

/// What a fetch works with.
pub(super) struct Fetching<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) catalog: &'a Catalog,
    pub(super) sink: &'a dyn RecordSink,
    pub(super) meter: &'a dyn Meter,
    /// How many threads check what comes from a folder.
    pub(super) threads: usize,
}

/// Fetches what `wants` names into `sink`.
///
/// Looks in the catalogue at hand, and lists the remote only if something is not in it or not
/// where it says. Fails where the remote or the sink does; what is missing or damaged is in the
/// report. What was handed to the sink before a failure is good.
pub fn fetch(
    remote: &mut Remote,
    wants: &WantList,
    sink: &dyn RecordSink,
    reporter: &dyn Reporter,
) -> Result<FetchReport, Error> {
    let keys = SortedKeys::new(wants.wants().iter().map(|want| want.key).collect());
    let repeated = keys.repeated();
    let sizes: Vec<u64> = wants.wants().iter().map(|want| want.size).collect();
    let total = sizes.iter().zip(&repeated).filter(|(_, repeated)| !**repeated).map(|(size, _)| size).sum();
    let meter = reporter.meter(Task { verb: "Downloading", unit: Unit::Bytes, total: Some(total) });
    let mut open: Vec<u32> =
        (0u32..).zip(&repeated).filter(|(_, repeated)| !**repeated).map(|(index, _)| index).collect();
    let mut report = FetchReport::default();
    let mut bad = Bad::new();
    if !remote.catalog.is_known() {
        remote.refresh(reporter)?;
    }
    for round in 0.. {
        let on = Fetching {
            backend: remote.backend(),
            catalog: &remote.catalog,
            sink,
            meter: &*meter,
            threads: remote.threads(),
        };
        let (brought, left) = on.round((&keys, &sizes), open, &mut bad)?;
        report.add(brought);
        open = left;
        if open.is_empty() {
            break;
        }
        let knows_more = match round {
            // Nothing more at the known places: what others wrote or merged meanwhile may tell,
            0 => remote.refresh(reporter).map(|_| true)?,
            // or, where an index is damaged, the packs themselves.
            1 => replace_damaged(remote)?,
            _ => false,
        };
        if !knows_more {
            break;
        }
    }
    meter.finish();
    note_damage(remote, &bad);
    for index in open {
        let key = keys.keys()[index as usize];
        let is_named = remote.catalog.places(key).next().is_some()
            || remote.catalog.places(recipe_key(key)).next().is_some();
        if is_named { &mut report.damaged } else { &mut report.missing }.push(key);
    }
    Ok(report)
}

/// Leaves a note about each record that is good nowhere, so that whoever still has the bytes sends
/// them again: a push sees packs that are gone or cut, but not what is wrong inside of one.
///
/// The note carries the start of the pack's id, so that one finding is noted once. Best effort:
/// a reader may have no right to write.
fn note_damage(remote: &Remote, bad: &Bad) {
    let is_good = |key| {
        let mut places = remote.catalog.places(key);
        places.any(|place| !bad.contains(&(key, remote.catalog.pack(place.pack).0)))
    };
    let mut found: Vec<_> = bad.iter().filter(|(key, _)| !is_good(*key)).collect();
    found.sort_unstable();
    for (key, pack) in found.into_iter().take(MAX_NOTES) {
        let ShortId(start) = ShortId::of(pack.digest());
        let note = NoteName { hash: key.hash, nonce: Nonce((start >> 64) as u64) };
        if let Err(error) = remote.backend().put(&note.key(), &[NOTE.as_bytes()]) {
            tracing::debug!(%error, "cannot leave a note of damage");
            return;
        }
    }
}

fn recipe_key(key: RecordKey) -> RecordKey {
    RecordKey { kind: RecordKind::Recipe, ..key }
}

impl Fetching<'_> {
    /// Tries all known places of what is `open`; returns what came, and what is still open, in order.
    fn round(
        &self,
        (keys, sizes): (&SortedKeys, &[u64]),
        mut open: Vec<u32>,
        bad: &mut Bad,
    ) -> Result<(FetchReport, Vec<u32>), Error> {
        let mut report = FetchReport::default();
        let mut nowhere = Vec::new();
        let all = self.catalog.usable(|_, _| true);
        let mut first = Some(self.catalog.locate(keys, &all));
        while !open.is_empty() {
            let located = first.take();
            let mut records = Vec::new();
            let mut files = Vec::new();
            for index in open {
                let key = keys.keys()[index as usize];
                let known = located.as_ref().and_then(|places| places[index as usize]);
                match known
                    .filter(|place| !self.is_bad(bad, key, *place))
                    .or_else(|| self.good_place(bad, key))
                {
                    Some(place) => records.push(Located { index, place }),
                    None if key.kind == RecordKind::File => files.push(index),
                    None => nowhere.push(index),
                }
            }
            let key_of = |record: &Located| keys.keys()[record.index as usize];
            let brought = self.records(&key_of, records, &|record, raw| {
                self.meter.inc(raw.len() as u64);
                self.sink.put(key_of(record), raw).map_err(Error::Sink)
            })?;
            report.add(brought.report);
            bad.extend(brought.bad);
            let of_files = fetch_files(self, (keys, sizes), &files, bad)?;
            report.add(of_files.report);
            nowhere.extend(of_files.nowhere);
            open = brought.failed;
            open.extend(of_files.again);
        }
        nowhere.sort_unstable();
        Ok((report, nowhere))
    }

    fn is_bad(&self, bad: &Bad, key: RecordKey, place: Place) -> bool {
        bad.contains(&(key, self.catalog.pack(place.pack).0))
    }

    /// A place of `key` that did not fail yet.
    pub(super) fn good_place(&self, bad: &Bad, key: RecordKey) -> Option<Place> {
        self.catalog.places(key).find(|place| !self.is_bad(bad, key, *place))
    }

    /// Reads `records` with several threads, and hands each to `put`, verified.
    pub(super) fn records(
        &self,
        key_of: &(dyn Fn(&Located) -> RecordKey + Sync),
        records: Vec<Located>,
        put: &Put<'_>,
    ) -> Result<Brought, Error> {
        let round_trip = self.backend.round_trip();
        let (limit, threads) = match round_trip {
            RoundTrip::Local => {
                let total: u64 = records.iter().map(|record| u64::from(record.place.stored_len)).sum();
                (LOCAL_READ.max(total / self.threads as u64), self.threads)
            }
            RoundTrip::Network => (u64::MAX, NETWORK_READS),
        };
        let reads = plan_reads(records, round_trip, limit);
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let outcome = Mutex::new((Brought::default(), None));
        let work = || {
            let mut mine = Brought::default();
            while !stop.load(Ordering::Relaxed) {
                let Some(read) = reads.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let interrupted = interrupted().then_some(Error::Interrupted);
                let done = interrupted.map_or_else(|| self.read(key_of, read, put, &mut mine), Err);
                if let Err(error) = done {
                    stop.store(true, Ordering::Relaxed);
                    lock(&outcome).1.get_or_insert(error);
                }
            }
            lock(&outcome).0.add(mine);
        };
        match threads.min(reads.len()) {
            0 => {}
            1 => work(),
            threads => std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work)))),
        }
        let (mut brought, error) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        brought.failed.sort_unstable();
        error.map_or(Ok(brought), Err)
    }

    fn read(
        &self,
        key_of: &(dyn Fn(&Located) -> RecordKey + Sync),
        read: &RangeRead,
        put: &Put<'_>,
        brought: &mut Brought,
    ) -> Result<(), Error> {
        let (pack, _) = self.catalog.pack(read.pack);
        let mut failure = None;
        let mut done = 0;
        let ended = read_records(self.backend, pack, read, key_of, &mut |record, raw| {
            done += 1;
            let Some(raw) = raw else {
                brought.fail(key_of(record), record.index, pack);
                return true;
            };
            brought.report.records += 1;
            brought.report.bytes += raw.len() as u64;
            failure = put(record, raw).err();
            failure.is_none()
        });
        if let Some(error) = failure {
            return Err(error);
        }
        match ended {
            // Gone, or shorter than the catalogue says: what was still to come is not there.
            Err(error) if !error.is_absence() => return Err(error.into()),
            _ => read.records[done..]
                .iter()
                .for_each(|record| brought.fail(key_of(record), record.index, pack)),
        }
        Ok(())
    }
}

/// Gets a record that was read and verified. Called from several threads.
pub(super) type Put<'a> = dyn Fn(&Located, &[u8]) -> Result<(), Error> + Sync + 'a;

/// What reading brought.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) report: FetchReport,
    /// Positions of what did not come, sorted.
    pub(super) failed: Vec<u32>,
    /// Where it was not.
    pub(super) bad: Vec<(RecordKey, PackId)>,
}

impl Brought {
    fn fail(&mut self, key: RecordKey, index: u32, pack: PackId) {
        self.failed.push(index);
        self.bad.push((key, pack));
    }

    fn add(&mut self, other: Brought) {
        self.report.add(other.report);
        self.failed.extend(other.failed);
        self.bad.extend(other.bad);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
