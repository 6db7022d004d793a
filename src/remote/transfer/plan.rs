//! Deciding what a push has to send. Reads, but changes nothing.
//!
//! Existence is never inferred from a parent's: a record is present when a pack that is
//! there and unmarked holds it; a large file when its recipe and every chunk are. The
//! decision is a function of the catalogue and of what the store said last, so the
//! verification of a push is the same function with fresher facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::digest::{ObjectId, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::format::TARGET_PACK;
use crate::remote::backend::Backend;
use crate::remote::catalog::{Catalog, Place, SortedKeys, Usable};
use crate::remote::collection::Collection;
use crate::remote::error::Error;
use crate::remote::open::Remote;
use crate::remote::state::Answers;
use crate::remote::transfer::RecordSource;
use crate::remote::transfer::packing::Load;
use crate::remote::transfer::packs::Packs;
use crate::remote::transfer::parcel::framed_len;
use crate::remote::transfer::recipes::{ALL, expand, read_record};
use crate::remote::unfinished::Unfinished;
use crate::remote::wants::{Want, WantList};
use crate::report::NoReport;

/// What is known of a remote at one moment.
pub(super) struct Facts<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) catalog: &'a Catalog,
    pub(super) collection: &'a Collection,
    pub(super) answers: &'a Answers,
    pub(super) packs: &'a Packs,
    pub(super) usable: Usable,
}

impl<'a> Facts<'a> {
    pub(super) fn new(remote: &'a Remote, packs: &'a Packs) -> Facts<'a> {
        let collection = &remote.collection;
        let usable = remote.catalog.usable(|id, len| !collection.is_marked(&id) && packs.has(&id, len));
        Facts {
            backend: remote.backend(),
            catalog: &remote.catalog,
            collection,
            answers: &remote.answers,
            packs,
            usable,
        }
    }

    /// A place of `key` that can be relied on.
    pub(super) fn place(&self, key: RecordKey) -> Option<Place> {
        self.catalog.places(key).find(|place| self.is_reliable(key, *place))
    }

    pub(super) fn is_reliable(&self, key: RecordKey, place: Place) -> bool {
        if !self.usable.has(place.pack) {
            return false;
        }
        match self.collection.noted(&key.hash) {
            None => true,
            // A pack that is younger than the note is not the one that the note is about.
            Some(noted) => {
                self.packs.modified(&self.catalog.pack(place.pack).0).is_some_and(|written| written > noted)
            }
        }
    }

    /// Id and length of a pack, if it can be relied on.
    fn usable_pack(&self, id: PackId) -> Option<(PackId, u64)> {
        let number = self.catalog.number_of(id).filter(|number| self.usable.has(*number))?;
        Some(self.catalog.pack(number))
    }

    /// The pack that can be relied on for `key`.
    pub(super) fn pack(&self, key: RecordKey) -> Option<PackId> {
        self.place(key).map(|place| self.catalog.pack(place.pack).0)
    }
}

/// What has to be sent, and what is relied on instead of being sent.
#[derive(Debug, Default)]
pub(super) struct Assessment {
    pub(super) load: Load,
    /// Packs that hold something wanted, with their lengths in bytes.
    pub(super) relied: BTreeMap<PackId, u64>,
    /// Neither here nor there.
    pub(super) missing: Vec<RecordKey>,
    /// For each large file that is present, by its position in the wants, the packs that it needs.
    pub(super) files: HashMap<u32, BTreeSet<PackId>>,
}

/// Compares wants with facts; `keys` are the keys of `wants`.
pub(super) fn assess(
    facts: &Facts<'_>,
    keys: &SortedKeys,
    wants: &WantList,
    source: &dyn RecordSource,
) -> Result<Assessment, Error> {
    let places = facts.catalog.locate(keys, &facts.usable);
    let repeated = keys.repeated();
    let mut assessment = Assessment::default();
    let mut relied = BTreeSet::new();
    let mut pages = Vec::new();
    for ((index, want), (place, repeated)) in (0u32..).zip(wants.wants()).zip(places.iter().zip(repeated)) {
        if repeated {
            continue;
        }
        let place = match place {
            Some(place) if facts.is_reliable(want.key, *place) => Some(*place),
            Some(_) => facts.place(want.key),
            None => None,
        };
        if let Some(place) = place {
            relied.insert(place.pack);
        } else if want.is_chunked() {
            assessment.file(facts, index, want, source)?;
        } else if source.holds(want.key) {
            let is_page = want.key.kind != RecordKind::File;
            if is_page { &mut pages } else { &mut assessment.load.records }.push(index);
        } else if reads_well(facts, want.key)? {
            relied.extend(facts.catalog.place(want.key, &facts.usable).map(|place| place.pack));
        } else {
            assessment.missing.push(want.key);
        }
    }
    assessment.load.records.append(&mut pages);
    assessment.relied.extend(relied.into_iter().map(|number| facts.catalog.pack(number)));
    Ok(assessment)
}

/// Whether a record that was noted as damaged, and cannot be sent again, is well all the same.
fn reads_well(facts: &Facts<'_>, key: RecordKey) -> Result<bool, Error> {
    if facts.collection.noted(&key.hash).is_none() {
        return Ok(false);
    }
    let place = facts.catalog.place(key, &facts.usable);
    Ok(read_record(facts.backend, facts.catalog, place, key)?.is_some())
}

impl Assessment {
    /// Decides about a file that is sent in chunks.
    fn file(
        &mut self,
        facts: &Facts<'_>,
        index: u32,
        want: &Want,
        source: &dyn RecordSource,
    ) -> Result<(), Error> {
        if let Some(packs) = present_packs(facts, want)? {
            self.relied.extend(packs.iter().map(|(id, len)| (*id, *len)));
            self.files.insert(index, packs.into_keys().collect());
        } else if source.holds(want.key) {
            self.load.files.push(index);
        } else {
            self.missing.push(want.key);
        }
        Ok(())
    }
}

/// The packs that hold the recipe and every chunk of a file; `None` if something is not there.
fn present_packs(facts: &Facts<'_>, want: &Want) -> Result<Option<BTreeMap<PackId, u64>>, Error> {
    if let Some(known) = known_packs(facts, want) {
        return Ok(Some(known));
    }
    let key = RecordKey { kind: RecordKind::Recipe, ..want.key };
    match read_record(facts.backend, facts.catalog, facts.place(key), key)? {
        Some((bytes, place)) => packs_of_recipe(facts, want, (&bytes, place)),
        None => Ok(None),
    }
}

/// The packs of a file that was found present before, if all of them still are.
pub(super) fn known_packs(facts: &Facts<'_>, want: &Want) -> Option<BTreeMap<PackId, u64>> {
    // A note may be about a chunk, which an answer does not know.
    let packs = facts.answers.get(ObjectId(want.key.hash)).filter(|_| !facts.collection.has_notes())?;
    packs.iter().map(|id| facts.usable_pack(*id)).collect()
}

/// The packs of a file whose recipe was read; `None` if one of its chunks is not there.
pub(super) fn packs_of_recipe(
    facts: &Facts<'_>,
    want: &Want,
    (recipe, place): (&[u8], Place),
) -> Result<Option<BTreeMap<PackId, u64>>, Error> {
    let on = (facts.backend, facts.catalog);
    let places = |key| facts.place(key);
    let of = (ObjectId(want.key.hash), want.size);
    let Some(recipe) = expand(on, &places, of, recipe, ALL)? else { return Ok(None) };
    let mut packs: BTreeSet<_> = recipe.pages.iter().map(|(_, page)| page.pack).collect();
    packs.insert(place.pack);
    for chunk in &recipe.chunks {
        match facts.place(RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk }) {
            Some(place) => drop(packs.insert(place.pack)),
            None => return Ok(None),
        }
    }
    Ok(Some(packs.into_iter().map(|number| facts.catalog.pack(number)).collect()))
}

/// What a push will do. It is only good for the remote that it was made with.
pub struct PushPlan {
    pub(super) assessment: Assessment,
    pub(super) keys: SortedKeys,
    /// What the store said when it was made.
    pub(super) packs: Packs,
    counts: PlanCounts,
}

/// What a push will send, for a report. Bytes and requests are upper bounds: compression, and
/// chunks of large files that are there already, make them less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PlanCounts {
    /// Files and symlinks.
    pub objects: u64,
    /// Pages of directories, and run records.
    pub pages: u64,
    /// Bytes.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
}

impl PushPlan {
    /// What will be sent.
    pub fn counts(&self) -> PlanCounts {
        self.counts
    }

    /// Whether all that is wanted is there already, as far as this clone knows.
    pub fn is_empty(&self) -> bool {
        self.counts.objects + self.counts.pages == 0
    }

    /// What is neither here nor on the remote, in the order in which it was asked for.
    pub fn missing(&self) -> &[RecordKey] {
        &self.assessment.missing
    }
}

/// Plans a push of `wants` from `source` (P1).
///
/// Plans from the catalogue at hand, which may be old: the push verifies. Only where there is
/// none, or the last push did not finish, is the remote listed. Reads the recipes of large files that were not seen before.
pub fn plan_push(
    remote: &mut Remote,
    wants: &WantList,
    source: &dyn RecordSource,
) -> Result<PushPlan, Error> {
    let mut packs = Packs::Unknown;
    if !remote.catalog.is_known() || Unfinished::load(&remote.state).is_some() {
        // Marks before segments before packs: a pack that is not listed last was deleted, not yet to come.
        remote.refresh_collection()?;
        remote.refresh(&NoReport)?;
        packs = Packs::list(remote.backend())?;
    }
    let keys = SortedKeys::new(wants.wants().iter().map(|want| want.key).collect());
    let assessment = assess(&Facts::new(remote, &packs), &keys, wants, source)?;
    let counts = count(remote, wants, &assessment);
    Ok(PushPlan { assessment, keys, packs, counts })
}

fn count(remote: &Remote, wants: &WantList, assessment: &Assessment) -> PlanCounts {
    let mut counts = PlanCounts::default();
    for index in &assessment.load.records {
        let want = &wants.wants()[*index as usize];
        *if want.key.kind == RecordKind::File { &mut counts.objects } else { &mut counts.pages } += 1;
        counts.bytes += framed_len(want.size);
    }
    for index in &assessment.load.files {
        counts.objects += 1;
        counts.bytes += wants.wants()[*index as usize].size;
    }
    let sends = counts.objects + counts.pages > 0;
    let packs = counts.bytes.div_ceil(TARGET_PACK).max(u64::from(sends));
    let making = if remote.exists() { 1 } else { 3 };
    // Packs and their segment; root record with its listing; three listings to verify.
    counts.requests = making + packs + u64::from(sends) + 2 + 3;
    counts
}
