//! Turns records of a source into packs at a backend: workers frame, one thread assembles,
//! I/O threads send.
//!
//! Memory is bounded by one budget: a worker takes its parcel's bytes before it reads, and
//! they are given back when the pack that the parcel went into was sent. Packs are filled in
//! the order in which parcels come, so records that were neighbours in the list of wants are
//! neighbours on the remote, by the megabyte.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::writer::{Sampler, SealedPack};
use crate::par::Budget;
use crate::remote::backend::{Backend, BackendError, RoundTrip};
use crate::remote::error::{Cause, Error};
use crate::remote::names::pack_key;
use crate::remote::transfer::RecordSource;
use crate::remote::transfer::parcel::{Buffers, Building, PARCEL, PARCEL_RECORDS, Parcel, Ready, framed_len};
use crate::remote::transfer::worker::Worker;
use crate::remote::wants::{Want, WantList};
use crate::report::{Meter, Portion, interrupted};

/// Memory for packs being built and sent. A folder needs no more than one pack in each state;
/// a server gets three, so that the line is never idle.
const BUDGET_LOCAL: u64 = 48 << 20;
const BUDGET_NETWORK: u64 = 96 << 20;
/// A permit is never for more, so that a pack waiting for its last parcel cannot starve the
/// worker that makes it: 32 MiB of pack and some of these fit in the budget.
pub(super) const MAX_PERMIT: u64 = 4 << 20;
/// An index segment follows so many packs, or so much time: what a machine lost in the middle
/// of a push leaves is then of use to the next one.
const CHECKPOINT_PACKS: usize = 64;
const CHECKPOINT_TIME: Duration = Duration::from_secs(60);

/// What is to be sent: positions in the list of wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Records, pages last; each key once.
    pub(super) records: Vec<u32>,
    /// Files that are sent in chunks; each once.
    pub(super) files: Vec<u32>,
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) packs: Vec<PackId>,
    pub(super) records: u64,
    pub(super) chunks: u64,
    pub(super) pages: u64,
    pub(super) bytes: u64,
    /// Records and files that the source no longer has.
    pub(super) gone: Vec<RecordKey>,
    /// Records and files whose bytes at the source are not theirs.
    pub(super) damaged: Vec<RecordKey>,
    /// For each large file the packs that hold its chunks and recipe.
    pub(super) files: HashMap<u32, BTreeSet<PackId>>,
    /// Files of which the second one brought a chunk that the first one needs too.
    pub(super) borrowed: BTreeSet<(u32, u32)>,
}

impl Sent {
    /// Counts the packs of a file from which another one borrowed a chunk as that one's too.
    ///
    /// That may be more than it needs, and saves remembering the pack of every chunk.
    fn settle_borrowed(&mut self) {
        for (borrower, lender) in std::mem::take(&mut self.borrowed) {
            let packs = self.files.get(&lender).cloned().unwrap_or_default();
            self.files.entry(borrower).or_default().extend(packs);
        }
    }
}

/// Where the index of what has arrived is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// On the remote, where all find it.
    There,
    /// In this clone, whose next push puts it there.
    Here,
}

/// Gets packs that have arrived and stand in no segment yet.
pub(super) type Checkpoint<'a> = dyn FnMut(&[SealedPack], Remains) -> Result<(), Error> + 'a;

/// Everything that the threads share.
pub(super) struct Packing<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) source: &'a dyn RecordSource,
    pub(super) wants: &'a WantList,
    /// The pack that holds a record already, if one does that can be relied on.
    pub(super) known: &'a (dyn Fn(RecordKey) -> Option<PackId> + Sync),
    /// Counts the bytes of files that were sent, or found to be there.
    pub(super) meter: &'a dyn Meter,
    /// How many threads read and check.
    pub(super) threads: usize,
}

/// What the threads of one run share.
pub(super) struct Shared<'a> {
    pub(super) on: &'a Packing<'a>,
    pub(super) load: &'a Load,
    pub(super) batches: Vec<&'a [u32]>,
    pub(super) next: AtomicUsize,
    stop: AtomicBool,
    pub(super) buffers: Buffers,
    pub(super) sampler: Mutex<Sampler>,
    pub(super) state: Mutex<State>,
}

/// What the threads of one run change.
#[derive(Default)]
pub(super) struct State {
    error: Option<Error>,
    pub(super) sent: Sent,
    /// Packs that arrived and stand in no segment yet.
    arrived: Vec<SealedPack>,
    /// Chunks and recipes of this push, with the file that brought them.
    pub(super) own: HashMap<RecordKey, u32>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packing<'_> {
    /// Sends `load`; calls `checkpoint` with the packs that arrived since the last time.
    ///
    /// Every pack that is named to `checkpoint` is durable (I2).
    pub(super) fn run(&self, load: &Load, checkpoint: &mut Checkpoint<'_>) -> Result<Sent, Error> {
        let local = self.backend.round_trip() == RoundTrip::Local;
        let budget = Budget::new(if local { BUDGET_LOCAL } else { BUDGET_NETWORK });
        let shared = Shared {
            on: self,
            load,
            batches: batches(self.wants.wants(), &load.records),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            buffers: Buffers::default(),
            sampler: Mutex::new(Sampler::default()),
            state: Mutex::new(State::default()),
        };
        let tail = Mutex::new(None);
        std::thread::scope(|scope| {
            let (parcels, filled) = bounded(4);
            let (packs, ready) = bounded(0);
            for _ in 0..self.threads {
                let parcels = parcels.clone();
                let (shared, budget, tail) = (&shared, &budget, &tail);
                scope.spawn(move || Worker::new(shared, budget, tail, parcels).run());
            }
            drop(parcels);
            for _ in 0..if local { 1 } else { 4 } {
                let (shared, ready) = (&shared, ready.clone());
                scope.spawn(move || shared.send(&ready));
            }
            drop(ready);
            shared.assemble(&filled, &packs, &tail, checkpoint);
        });
        let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        // R15: what arrived is of use to the next push. A remote that fails is not asked for more, nor is a
        // user kept who wants to stop.
        let remains = match &state.error {
            Some(Error::Backend(_) | Error::Interrupted) => Remains::Here,
            _ => Remains::There,
        };
        let noted = if state.arrived.is_empty() { Ok(()) } else { checkpoint(&state.arrived, remains) };
        if let Some(error) = state.error {
            return Err(error);
        }
        noted?;
        let mut sent = state.sent;
        sent.settle_borrowed();
        Ok(sent)
    }
}

/// Cuts the records into runs that fill about one parcel each.
fn batches<'a>(wants: &[Want], records: &'a [u32]) -> Vec<&'a [u32]> {
    /// What a page has on average: the wants do not tell.
    const PAGE: u64 = 56 << 10;
    let size = |index: u32| match wants[index as usize].size {
        0 if wants[index as usize].key.kind != RecordKind::File => PAGE,
        size => size,
    };
    let mut all = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let mut bytes = 0;
        let within = rest.iter().take(PARCEL_RECORDS).take_while(|index| {
            let fits = bytes < PARCEL as u64;
            bytes += framed_len(size(**index));
            fits
        });
        let (batch, after) = rest.split_at(within.count());
        all.push(batch);
        rest = after;
    }
    all
}

impl<'a> Shared<'a> {
    pub(super) fn fail(&self, error: Error) {
        self.stop.store(true, Ordering::Relaxed);
        lock(&self.state).error.get_or_insert(error);
    }

    pub(super) fn stopped(&self) -> bool {
        if interrupted() {
            self.fail(Error::Interrupted);
        }
        self.stop.load(Ordering::Relaxed)
    }

    fn assemble<'b>(
        &self,
        filled: &Receiver<Parcel<'b>>,
        packs: &Sender<Ready<'b>>,
        tail: &Mutex<Option<Parcel<'b>>>,
        checkpoint: &mut Checkpoint<'_>,
    ) {
        let mut building = Building::new();
        let mut last_checkpoint = Instant::now();
        for parcel in filled {
            if self.stopped() {
                continue;
            }
            building = self.add(building, parcel, packs);
            if let Err(error) = self.checkpoint_if_due(&mut last_checkpoint, checkpoint) {
                self.fail(error);
            }
        }
        if let Some(parcel) = lock(tail).take() {
            building = self.add(building, parcel, packs);
        }
        if !building.is_empty() && !self.stopped() {
            self.seal(building, packs);
        }
    }

    fn add<'b>(
        &self,
        mut building: Building<'b>,
        parcel: Parcel<'b>,
        packs: &Sender<Ready<'b>>,
    ) -> Building<'b> {
        if !building.fits(&parcel) {
            self.seal(building, packs);
            building = Building::new();
        }
        building.add(parcel);
        if building.is_full() {
            self.seal(building, packs);
            building = Building::new();
        }
        building
    }

    fn seal<'b>(&self, building: Building<'b>, packs: &Sender<Ready<'b>>) {
        match building.seal(crate::fs::random_bytes()) {
            // The receivers live as long as this sender; a failed one drops what it gets.
            Ok(ready) => drop(packs.send(ready)),
            Err(error) => self.fail(Error::Source(Cause::new(error))),
        }
    }

    fn checkpoint_if_due(&self, last: &mut Instant, checkpoint: &mut Checkpoint<'_>) -> Result<(), Error> {
        let due = {
            let mut state = lock(&self.state);
            let many = state.arrived.len() >= CHECKPOINT_PACKS;
            let late = last.elapsed() >= CHECKPOINT_TIME && !state.arrived.is_empty();
            if many || late { std::mem::take(&mut state.arrived) } else { Vec::new() }
        };
        if due.is_empty() {
            return Ok(());
        }
        *last = Instant::now();
        checkpoint(&due, Remains::There)
    }

    fn send(&self, ready: &Receiver<Ready<'_>>) {
        for mut pack in ready {
            if self.stopped() {
                continue;
            }
            if let Err(error) = self.put(&pack) {
                self.fail(error.into());
                continue;
            }
            let files = std::mem::take(&mut pack.files);
            let sealed = pack.into_sealed(&self.buffers);
            lock(&self.state).note(sealed, &files);
        }
    }
}

impl Shared<'_> {
    /// Sends one pack. The share of it that has gone stands for that share of its records.
    fn put(&self, pack: &Ready<'_>) -> Result<(), BackendError> {
        let (amount, len) = (counted(&pack.sealed), pack.sealed.len.max(1));
        let portion = Portion::of(self.on.meter);
        let mut farthest = 0;
        let mut sent = |bytes: u64| {
            let now = (u128::from(amount) * u128::from(bytes.min(len)) / u128::from(len)) as u64;
            portion.inc(now.saturating_sub(farthest));
            farthest = farthest.max(now);
        };
        self.on.backend.put_telling(&pack_key(pack.sealed.id), &pack.parts, &mut sent)?;
        portion.end(amount);
        Ok(())
    }
}

/// The bytes of files in a pack: of pages and recipes nobody knows beforehand how many there will be.
fn counted(pack: &SealedPack) -> u64 {
    let is_counted = |kind| matches!(kind, RecordKind::File | RecordKind::Chunk);
    let entries = pack.entries.iter().filter(|entry| is_counted(entry.key.kind));
    entries.map(|entry| u64::from(entry.raw_len)).sum()
}

impl State {
    fn note(&mut self, pack: SealedPack, files: &[u32]) {
        self.sent.packs.push(pack.id);
        self.sent.bytes += pack.len;
        for entry in &pack.entries {
            match entry.key.kind {
                RecordKind::Chunk => self.sent.chunks += 1,
                RecordKind::TreePage => self.sent.pages += 1,
                _ => self.sent.records += 1,
            }
        }
        for file in files {
            self.sent.files.entry(*file).or_default().insert(pack.id);
        }
        self.arrived.push(pack);
    }
}
