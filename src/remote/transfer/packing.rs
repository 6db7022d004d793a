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

use crate::chunk::split;
use crate::model::digest::{ObjectId, PackId};
use crate::model::object::{ChunkRef, RecordKey, RecordKind};
use crate::pack::format::Codec;
use crate::pack::reader::is_named;
use crate::pack::writer::{Sampler, SealedPack, compress_if_it_pays};
use crate::par::{self, Budget};
use crate::remote::backend::{Backend, RoundTrip};
use crate::remote::error::{Cause, Error};
use crate::remote::names::pack_key;
use crate::remote::transfer::RecordSource;
use crate::remote::transfer::parcel::{Buffers, Building, PARCEL, PARCEL_RECORDS, Parcel, Ready, framed_len};
use crate::remote::wants::{Want, WantList};
use crate::report::{Meter, interrupted};

/// Memory for packs being built and sent. A folder needs no more than one pack in each state;
/// a server gets three, so that the line is never idle.
const BUDGET_LOCAL: u64 = 64 << 20;
const BUDGET_NETWORK: u64 = 96 << 20;
/// A permit is never for more, so that a pack waiting for its last parcel cannot starve the
/// worker that makes it: 32 MiB of pack and some of these fit in the budget.
const MAX_PERMIT: u64 = 4 << 20;
/// An index segment follows so many packs, or so much time: what a machine lost in the middle
/// of a push leaves is then of use to the next one.
const CHECKPOINT_PACKS: usize = 64;
const CHECKPOINT_TIME: Duration = Duration::from_secs(600);

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
    borrowed: BTreeSet<(u32, u32)>,
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

/// Everything that the threads share.
pub(super) struct Packing<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) source: &'a dyn RecordSource,
    pub(super) wants: &'a WantList,
    /// The pack that holds a record already, if one does that can be relied on.
    pub(super) known: &'a (dyn Fn(RecordKey) -> Option<PackId> + Sync),
    pub(super) meter: &'a dyn Meter,
}

struct Shared<'a> {
    on: &'a Packing<'a>,
    load: &'a Load,
    batches: Vec<&'a [u32]>,
    next: AtomicUsize,
    stop: AtomicBool,
    buffers: Buffers,
    sampler: Mutex<Sampler>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    error: Option<Error>,
    sent: Sent,
    /// Packs that arrived and stand in no segment yet.
    arrived: Vec<SealedPack>,
    /// Chunks and recipes of this push, with the file that brought them.
    own: HashMap<RecordKey, u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packing<'_> {
    /// Sends `load`; calls `checkpoint` with the packs that arrived since the last time.
    ///
    /// Every pack that is named to `checkpoint` is durable (I2).
    pub(super) fn run(
        &self,
        load: &Load,
        checkpoint: &mut dyn FnMut(&[SealedPack]) -> Result<(), Error>,
    ) -> Result<Sent, Error> {
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
            for _ in 0..par::processors().min(8) {
                let parcels = parcels.clone();
                let (shared, budget, tail) = (&shared, &budget, &tail);
                scope.spawn(move || {
                    Worker { shared, budget, tail, parcels, parcel: None, of_file: None }.run()
                });
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
        if let Some(error) = state.error {
            return Err(error);
        }
        if !state.arrived.is_empty() {
            checkpoint(&state.arrived)?;
        }
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
    fn fail(&self, error: Error) {
        self.stop.store(true, Ordering::Relaxed);
        lock(&self.state).error.get_or_insert(error);
    }

    fn stopped(&self) -> bool {
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
        checkpoint: &mut dyn FnMut(&[SealedPack]) -> Result<(), Error>,
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

    fn checkpoint_if_due(
        &self,
        last: &mut Instant,
        checkpoint: &mut dyn FnMut(&[SealedPack]) -> Result<(), Error>,
    ) -> Result<(), Error> {
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
        checkpoint(&due)
    }

    fn send(&self, ready: &Receiver<Ready<'_>>) {
        for pack in ready {
            if self.stopped() {
                continue;
            }
            if let Err(error) = self.on.backend.put(&pack_key(pack.sealed.id), &pack.parts()) {
                self.fail(error.into());
                continue;
            }
            self.on.meter.inc(pack.sealed.len);
            let files = pack.files();
            let sealed = pack.into_sealed(&self.buffers);
            lock(&self.state).note(sealed, &files);
        }
    }
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

struct Worker<'s, 'a, 'b> {
    shared: &'s Shared<'a>,
    budget: &'b Budget,
    /// Recipes: together, because who fetches many files asks for all recipes first.
    tail: &'s Mutex<Option<Parcel<'b>>>,
    parcels: Sender<Parcel<'b>>,
    parcel: Option<Parcel<'b>>,
    /// The large file whose chunks are being added.
    of_file: Option<u32>,
}

impl<'b> Worker<'_, '_, 'b> {
    fn run(mut self) {
        let files = &self.shared.load.files;
        while !self.shared.stopped() {
            // Files first: each keeps one worker busy, and the records fill the gap at the end.
            let job = self.shared.next.fetch_add(1, Ordering::Relaxed);
            let done = match files.get(job) {
                Some(index) => self.file(*index),
                None => match self.shared.batches.get(job - files.len()) {
                    Some(batch) => self.batch(batch),
                    None => break,
                },
            };
            if let Err(error) = done {
                self.shared.fail(error);
            }
        }
        self.flush();
    }

    /// The open parcel, or a new one with room for `expected` bytes.
    fn open(&mut self, expected: u64) -> &mut Parcel<'b> {
        let (budget, buffers) = (self.budget, &self.shared.buffers);
        self.parcel.get_or_insert_with(|| {
            let permit = budget.take(expected.clamp(PARCEL as u64, MAX_PERMIT));
            Parcel::new(buffers.take(), permit)
        })
    }

    fn flush(&mut self) {
        if let Some(parcel) = self.parcel.take()
            && !parcel.is_empty()
        {
            // Fails only when the assembler has given up.
            drop(self.parcels.send(parcel));
        }
    }

    fn add(&mut self, key: RecordKey, raw: &[u8], extension: &str) {
        let worth_it = lock(&self.shared.sampler).is_worth_it(extension, raw);
        let frame = worth_it.then(|| compress_if_it_pays(raw)).flatten();
        let (codec, stored) = frame.as_deref().map_or((Codec::Raw, raw), |frame| (Codec::Zstd, frame));
        if self.parcel.as_ref().is_some_and(|parcel| parcel.is_overfull_with(stored.len())) {
            self.flush();
        }
        let file = self.of_file;
        let parcel = self.open(framed_len(stored.len() as u64));
        parcel.push(key, codec, raw.len() as u32, stored);
        if let Some(file) = file {
            parcel.belongs_to(file);
        }
        if parcel.is_full() {
            self.flush();
        }
    }

    fn batch(&mut self, batch: &[u32]) -> Result<(), Error> {
        let shared = self.shared;
        let (source, wants) = (shared.on.source, shared.on.wants);
        let keys: Vec<RecordKey> = batch.iter().map(|index| wants.wants()[*index as usize].key).collect();
        let mut delivered = vec![false; keys.len()];
        let mut next = 0;
        let mut receive = |key: RecordKey, raw: &[u8]| {
            // They come in order as a rule.
            if keys.get(next) != Some(&key) {
                match keys.iter().position(|other| *other == key) {
                    Some(position) => next = position,
                    None => return,
                }
            }
            let want = &wants.wants()[batch[next] as usize];
            delivered[next] = true;
            next += 1;
            if is_named(key, raw) {
                self.add(key, raw, wants.extension(want));
            } else {
                source.found_damaged(key);
                lock(&shared.state).sent.damaged.push(key);
            }
        };
        source.load(&keys, &mut receive).map_err(Error::Source)?;
        let gone = keys.iter().zip(&delivered).filter(|(_, delivered)| !**delivered).map(|(key, _)| *key);
        lock(&shared.state).sent.gone.extend(gone);
        Ok(())
    }

    fn file(&mut self, index: u32) -> Result<(), Error> {
        let shared = self.shared;
        let want = shared.on.wants.wants()[index as usize];
        let Some(mut reader) = shared.on.source.open(ObjectId(want.key.hash)).map_err(Error::Source)? else {
            lock(&shared.state).sent.gone.push(want.key);
            return Ok(());
        };
        let extension = shared.on.wants.extension(&want);
        let mut relied = BTreeSet::new();
        let recipe = split::split(&mut *reader, want.size, &mut |chunk: ChunkRef, bytes: &[u8]| {
            if shared.stopped() {
                return Err(Error::Interrupted);
            }
            self.chunk(index, chunk, bytes, extension, &mut relied);
            Ok(())
        });
        let recipe = match recipe {
            Ok(recipe) if recipe.file.digest() == want.key.hash => recipe,
            Ok(_) | Err(split::Error::Length { .. }) => {
                shared.on.source.found_damaged(want.key);
                lock(&shared.state).sent.damaged.push(want.key);
                return Ok(());
            }
            Err(split::Error::Sink(error)) => return Err(error),
            Err(error) => return Err(Error::Source(Cause::new(error))),
        };
        for (key, bytes) in recipe.encode() {
            self.recipe(index, key, &bytes, &mut relied);
        }
        lock(&shared.state).sent.files.entry(index).or_default().extend(relied);
        Ok(())
    }

    /// Whether the record has to be sent; if not, notes where it is.
    fn is_new(&self, index: u32, key: RecordKey, relied: &mut BTreeSet<PackId>) -> bool {
        if let Some(pack) = (self.shared.on.known)(key) {
            relied.insert(pack);
            return false;
        }
        let mut state = lock(&self.shared.state);
        match state.own.get(&key).copied() {
            None => state.own.insert(key, index).is_none(),
            Some(lender) => {
                if lender != index {
                    state.sent.borrowed.insert((index, lender));
                }
                false
            }
        }
    }

    fn chunk(
        &mut self,
        index: u32,
        chunk: ChunkRef,
        bytes: &[u8],
        extension: &str,
        relied: &mut BTreeSet<PackId>,
    ) {
        let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
        if !self.is_new(index, key, relied) {
            return;
        }
        self.of_file = Some(index);
        self.add(key, bytes, extension);
        self.of_file = None;
    }

    fn recipe(&mut self, index: u32, key: RecordKey, bytes: &[u8], relied: &mut BTreeSet<PackId>) {
        if !self.is_new(index, key, relied) {
            return;
        }
        let mut tail = lock(self.tail);
        let parcel = tail.get_or_insert_with(|| {
            let permit = self.budget.take(framed_len(bytes.len() as u64).clamp(PARCEL as u64, MAX_PERMIT));
            Parcel::new(self.shared.buffers.take(), permit)
        });
        parcel.push(key, Codec::Raw, bytes.len() as u32, bytes);
        parcel.belongs_to(index);
        if parcel.is_full()
            && let Some(parcel) = tail.take()
        {
            drop(self.parcels.send(parcel));
        }
    }
}
