//! What of a list a remote can give to another clone now.
//!
//! Existence is never inferred from a parent's: each record is looked for, of large files the
//! recipe and every chunk. Three listings answer for all records; besides, the recipes of large files
//! that were not looked at before are read, neighbours together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::model::digest::{ObjectId, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::catalog::{Place, SortedKeys};
use crate::remote::error::Error;
use crate::remote::mend::{indexed_packs, learn_unknown_packs};
use crate::remote::open::Remote;
use crate::remote::transfer::packs::Packs;
use crate::remote::transfer::plan::{Facts, known_packs, packs_of_recipe};
use crate::remote::transfer::reading::read_placed;
use crate::remote::transfer::recipes::read_record;
use crate::remote::wants::WantList;
use crate::report::Reporter;

/// Bytes of recipes that are held at once.
const RECIPES: u64 = 8 << 20;

/// For each of `wants` whether the remote has it whole, and others can find it there.
///
/// Fails where the remote does: silence is not absence (R9).
pub fn find_present(
    remote: &mut Remote,
    wants: &WantList,
    reporter: &dyn Reporter,
) -> Result<Vec<bool>, Error> {
    // Marks before segments before packs: a pack that is not listed last was deleted, not yet to come.
    remote.refresh_collection()?;
    let refreshed = remote.refresh(reporter)?;
    // What only this clone's memory names others find in the packs alone; the next push writes it again.
    remote.catalog.leave_out(&refreshed.orphaned);
    let are_answers_good = refreshed.orphaned.is_empty();
    let packs = Packs::list(remote.backend())?;
    let present = look(remote, wants, &packs, are_answers_good)?;
    // Who fetches looks into packs that no segment names, so what is there can be had.
    let indexed = indexed_packs(remote);
    if present.contains(&false) && !packs.are_among(&indexed) && learn_unknown_packs(remote)? {
        return look(remote, wants, &packs, are_answers_good);
    }
    Ok(present)
}

fn look(
    remote: &mut Remote,
    wants: &WantList,
    packs: &Packs,
    are_answers_good: bool,
) -> Result<Vec<bool>, Error> {
    let keys = SortedKeys::new(wants.wants().iter().map(|want| want.key).collect());
    let facts = Facts::new(remote, packs);
    let mut present = Vec::with_capacity(wants.len());
    let mut large = Vec::new();
    for (index, (want, place)) in
        wants.wants().iter().zip(facts.catalog.locate(&keys, &facts.usable)).enumerate()
    {
        let is_there = match place {
            Some(place) => facts.is_reliable(want.key, place) || facts.place(want.key).is_some(),
            None => false,
        };
        let is_known =
            !is_there && are_answers_good && want.is_chunked() && known_packs(&facts, want).is_some();
        if !is_there && !is_known && want.is_chunked() {
            large.push(index);
        }
        present.push(is_there || is_known);
    }
    let found = Large { remote, facts: &facts, wants }.find(&large)?;
    for index in found.keys() {
        present[*index] = true;
    }
    let mut is_new = false;
    for (index, packs) in found {
        is_new |= remote.answers.set(ObjectId(wants.wants()[index].key.hash), packs);
    }
    if is_new {
        remote.state.save_answers(&remote.answers);
    }
    Ok(present)
}

/// What is needed to look for large files.
pub(super) struct Large<'a> {
    pub(super) remote: &'a Remote,
    pub(super) facts: &'a Facts<'a>,
    pub(super) wants: &'a WantList,
}

impl Large<'_> {
    /// Those of the files at `indices` that are there, each with the packs that hold it.
    pub(super) fn find(&self, indices: &[usize]) -> Result<BTreeMap<usize, BTreeSet<PackId>>, Error> {
        let mut found = BTreeMap::new();
        let mut batch: Vec<(usize, Place)> = Vec::new();
        let mut bytes = 0;
        for index in indices {
            let Some(place) = self.facts.place(self.recipe(*index)) else { continue };
            batch.push((*index, place));
            bytes += u64::from(place.raw_len);
            if bytes > RECIPES {
                self.batch(&batch, &mut found)?;
                batch.clear();
                bytes = 0;
            }
        }
        self.batch(&batch, &mut found)?;
        Ok(found)
    }

    fn recipe(&self, index: usize) -> RecordKey {
        RecordKey { kind: RecordKind::Recipe, ..self.wants.wants()[index].key }
    }

    fn batch(
        &self,
        batch: &[(usize, Place)],
        found: &mut BTreeMap<usize, BTreeSet<PackId>>,
    ) -> Result<(), Error> {
        let came = Mutex::new(BTreeMap::new());
        let records = batch.iter().map(|(index, place)| (self.recipe(*index), *place)).collect();
        read_placed(self.remote, records, &|key, bytes| {
            came.lock().unwrap_or_else(PoisonError::into_inner).insert(key, bytes.to_vec());
        })?;
        let mut came = came.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (index, place) in batch {
            let key = self.recipe(*index);
            let read = match came.remove(&key) {
                Some(bytes) => Some((bytes, *place)),
                // Damaged there; perhaps not elsewhere.
                None => {
                    let others = self
                        .facts
                        .catalog
                        .places(key)
                        .filter(|other| other != place && self.facts.usable.has(other.pack));
                    read_record(self.facts.backend, self.facts.catalog, others, key)?
                }
            };
            let Some((bytes, place)) = read else { continue };
            let want = &self.wants.wants()[*index];
            if let Some(packs) = packs_of_recipe(self.facts, want, (&bytes, place))? {
                found.insert(*index, packs.into_keys().collect());
            }
        }
        Ok(())
    }
}
