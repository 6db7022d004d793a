//! The workers of a push: they read records at the source, check them, compress what shrinks, and
//! frame them into parcels.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;

use crate::chunk::split;
use crate::model::digest::{ObjectId, PackId};
use crate::model::object::{ChunkRef, RecordKey, RecordKind};
use crate::pack::format::Codec;
use crate::pack::reader::is_named;
use crate::pack::writer::compress_if_it_pays;
use crate::par::Budget;
use crate::remote::error::{Cause, Error};
use crate::remote::transfer::packing::{MAX_PERMIT, Shared, lock};
use crate::remote::transfer::parcel::{PARCEL, Parcel, framed_len};

/// One worker and the parcel that it fills.
pub(super) struct Worker<'s, 'a, 'b> {
    shared: &'s Shared<'a>,
    budget: &'b Budget,
    /// Recipes: together, because who fetches many files asks for all recipes first.
    tail: &'s Mutex<Option<Parcel<'b>>>,
    parcels: Sender<Parcel<'b>>,
    parcel: Option<Parcel<'b>>,
    /// The large file whose chunks are being added.
    of_file: Option<u32>,
}

impl<'s, 'a, 'b> Worker<'s, 'a, 'b> {
    pub(super) fn new(
        shared: &'s Shared<'a>,
        budget: &'b Budget,
        tail: &'s Mutex<Option<Parcel<'b>>>,
        parcels: Sender<Parcel<'b>>,
    ) -> Worker<'s, 'a, 'b> {
        Worker { shared, budget, tail, parcels, parcel: None, of_file: None }
    }

    /// Takes files, then runs of records, until nothing is left to take.
    pub(super) fn run(mut self) {
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
        let wants = self.shared.on.wants.wants();
        let keys: Vec<RecordKey> = batch.iter().map(|index| wants[*index as usize].key).collect();
        let mut came = vec![false; keys.len()];
        let damaged = self.load(batch, &keys, &mut came)?;
        for at in damaged {
            self.shared.on.source.found_damaged(keys[at]);
            came[at] = false;
            if !self.load(&batch[at..=at], &keys[at..=at], &mut came[at..=at])?.is_empty() || !came[at] {
                lock(&self.shared.state).sent.damaged.push(keys[at]);
                came[at] = true;
            }
        }
        let gone = keys.iter().zip(&came).filter(|(_, came)| !**came).map(|(key, _)| *key);
        lock(&self.shared.state).sent.gone.extend(gone);
        Ok(())
    }

    /// Adds those of `keys` that come as they should; returns the positions of those that are damaged.
    fn load(&mut self, batch: &[u32], keys: &[RecordKey], came: &mut [bool]) -> Result<Vec<usize>, Error> {
        let (source, wants) = (self.shared.on.source, self.shared.on.wants);
        let mut damaged = Vec::new();
        let mut receive = |at: usize, raw: &[u8]| {
            // Twice would be twice in the pack.
            if std::mem::replace(&mut came[at], true) {
                return;
            }
            if is_named(keys[at], raw) {
                self.add(keys[at], raw, wants.extension(&wants.wants()[batch[at] as usize]));
            } else {
                damaged.push(at);
            }
        };
        source.load(keys, &mut receive).map_err(Error::Source)?;
        Ok(damaged)
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
            self.shared.on.meter.inc(bytes.len() as u64);
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
