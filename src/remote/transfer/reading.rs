//! Reading many records at known places: neighbours in one request, several requests at once, every
//! record verified (R4).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::remote::backend::{Backend, RoundTrip};
use crate::remote::catalog::{Catalog, Place};
use crate::remote::error::Error;
use crate::remote::open::Remote;
use crate::remote::transfer::fetch::FetchReport;
use crate::remote::transfer::ranges::{Located, RangeRead, plan_reads};
use crate::remote::transfer::stream::read_records;
use crate::report::interrupted;

/// Reads at once from a server; a folder needs no more than there are processors.
const NETWORK_READS: usize = 8;
/// A read from a folder may be cut at so many bytes, so that all processors have work.
const LOCAL_READ: u64 = 4 << 20;

/// What is read from.
pub(super) struct Reading<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) catalog: &'a Catalog,
    /// How many threads check what comes from a folder.
    pub(super) threads: usize,
}

/// Reads records at places that are known, and hands those that are good to `each`, from several
/// threads; returns the others and the packs in which they are bad.
pub(crate) fn read_placed(
    remote: &Remote,
    records: Vec<(RecordKey, Place)>,
    each: &(dyn Fn(RecordKey, &[u8]) + Sync),
) -> Result<Vec<(RecordKey, PackId)>, Error> {
    let on = Reading { backend: remote.backend(), catalog: &remote.catalog, threads: remote.threads() };
    let located =
        (0u32..).zip(&records).map(|(index, (_, place))| Located { index, place: *place }).collect();
    let key_of = |record: &Located| records[record.index as usize].0;
    let brought = on.records(&key_of, located, &|record, raw| {
        each(key_of(record), raw);
        Ok(())
    })?;
    Ok(brought.bad)
}

impl Reading<'_> {
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
