//! What a fetch will take, without fetching.
//!
//! The remote is asked what it has now: a catalogue goes on to name packs that a collector has deleted.
//! Two listings answer for all records; besides, the recipes of large files that were not looked at
//! before are read. Whether what is there is sound shows only when it comes.

use std::collections::BTreeSet;

use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::RoundTrip;
use crate::remote::catalog::SortedKeys;
use crate::remote::collection::Collection;
use crate::remote::error::Error;
use crate::remote::mend::{indexed_packs, learn_unknown_packs};
use crate::remote::open::Remote;
use crate::remote::transfer::large::window_bytes;
use crate::remote::transfer::packs::Packs;
use crate::remote::transfer::plan::Facts;
use crate::remote::transfer::presence::Large;
use crate::remote::transfer::ranges::{Located, plan_reads};
use crate::remote::wants::WantList;
use crate::report::Reporter;

/// What a fetch will bring, for a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FetchCounts {
    /// Files and symlinks.
    pub objects: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Requests; of large files about: their chunks are one stream, whatever packs they lie in.
    pub requests: u64,
}

impl FetchCounts {
    /// Adds what another remote will give.
    pub fn add(&mut self, other: FetchCounts) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.requests += other.requests;
    }
}

/// What a fetch will bring, and what it will not.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// What will come.
    pub counts: FetchCounts,
    /// What no segment of the remote names, in the order of the wants.
    pub missing: Vec<RecordKey>,
    /// What segments name in packs that are not there any more, in the order of the wants.
    pub gone: Vec<RecordKey>,
}

/// Counts what a fetch of `wants` would bring from what the remote has now.
///
/// Fails where the remote does: silence is not absence (R9).
pub fn foresee_fetch(
    remote: &mut Remote,
    wants: &WantList,
    reporter: &dyn Reporter,
) -> Result<Foreseen, Error> {
    if wants.is_empty() {
        return Ok(Foreseen::default());
    }
    // Segments before packs: a pack that is not listed last was deleted, not yet to come.
    remote.refresh(reporter)?;
    let packs = Packs::list(remote.backend())?;
    let foreseen = look(remote, wants, &packs)?;
    let is_whole = foreseen.missing.is_empty() && foreseen.gone.is_empty();
    if !is_whole && !packs.are_among(&indexed_packs(remote)) && learn_unknown_packs(remote)? {
        return look(remote, wants, &packs);
    }
    Ok(foreseen)
}

fn look(remote: &Remote, wants: &WantList, packs: &Packs) -> Result<Foreseen, Error> {
    let mut foreseen = Foreseen::default();
    let keys = SortedKeys::new(wants.wants().iter().map(|want| want.key).collect());
    // What is marked can be read as long as it is there.
    let unmarked = Collection::default();
    let facts = Facts {
        backend: remote.backend(),
        catalog: &remote.catalog,
        collection: &unmarked,
        answers: &remote.answers,
        packs,
        usable: remote.catalog.usable(|id, len| packs.has(&id, len)),
    };
    let places = facts.catalog.locate(&keys, &facts.usable);
    let (mut records, mut large) = (Vec::new(), Vec::new());
    let mut absent: BTreeSet<usize> = BTreeSet::new();
    for (index, ((want, place), repeated)) in
        wants.wants().iter().zip(places).zip(keys.repeated()).enumerate()
    {
        match place {
            _ if repeated => continue,
            Some(place) => records.push(Located { index: index as u32, place }),
            None if facts.place(recipe_of(want.key)).is_some() => large.push(index),
            None => drop(absent.insert(index)),
        }
    }
    let found = Large { remote, facts: &facts, wants }.find(&large)?;
    absent.extend(large.iter().filter(|index| !found.contains_key(index)));
    let there = records.iter().map(|record| record.index as usize).chain(found.keys().copied());
    for index in there {
        foreseen.counts.objects += 1;
        foreseen.counts.bytes += wants.wants()[index].size;
    }
    let in_chunks: u64 = found.keys().map(|index| wants.wants()[*index].size).sum();
    foreseen.counts.requests = requests(remote, records, in_chunks);
    for index in absent {
        let key = wants.wants()[index].key;
        let mut places = facts.catalog.places(key).chain(facts.catalog.places(recipe_of(key)));
        if places.next().is_none() { &mut foreseen.missing } else { &mut foreseen.gone }.push(key);
    }
    Ok(foreseen)
}

fn recipe_of(key: RecordKey) -> RecordKey {
    RecordKey { kind: RecordKind::Recipe, ..key }
}

/// The reads of `records`, and of large files of `in_chunks` bytes together.
fn requests(remote: &Remote, records: Vec<Located>, in_chunks: u64) -> u64 {
    let round_trip = remote.backend().round_trip();
    let limit = if round_trip == RoundTrip::Local { 4 << 20 } else { u64::MAX };
    let windows = in_chunks.div_ceil(window_bytes(round_trip));
    windows + plan_reads(records, round_trip, limit).len() as u64
}
