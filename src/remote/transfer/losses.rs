//! Why something did not come: it never was there, it was deleted, or it is damaged.
//!
//! Segments go on to name what a collector deleted. That a pack is gone is said only after a listing:
//! otherwise it counts as damaged (R9).

use std::collections::HashSet;

use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::list_sorted;
use crate::remote::catalog::Place;
use crate::remote::mend::note_damage;
use crate::remote::names::{PACKS, parse_pack_key};
use crate::remote::open::Remote;
use crate::remote::transfer::fetch::Bad;
use crate::remote::transfer::recipes::{ALL, expand, read_record};

/// Why a record did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// No segment names it.
    Missing,
    /// It is named in packs that are not there any more.
    Gone,
    /// It is damaged wherever it should be.
    Damaged,
}

/// What was looked for in vain.
pub(super) struct Losses<'a> {
    remote: &'a Remote,
    bad: Bad,
    /// The packs that are there; listed when it is first asked for, nothing if that cannot be.
    packs: Option<Option<HashSet<PackId>>>,
}

impl<'a> Losses<'a> {
    /// Those of a transfer that found these places to be `bad`.
    pub(super) fn of(remote: &'a Remote, bad: Bad) -> Losses<'a> {
        Losses { remote, bad, packs: None }
    }

    /// Why `key`, which came from nowhere, did not; a file of `size` bytes, if that is known.
    pub(super) fn of_record(&mut self, key: RecordKey, size: u64) -> Loss {
        let catalog = &self.remote.catalog;
        let recipe = RecordKey { kind: RecordKind::Recipe, ..key };
        if catalog.places(key).chain(catalog.places(recipe)).next().is_none() {
            return Loss::Missing;
        }
        let Some(packs) = self.packs.get_or_insert_with(|| list(self.remote)) else { return Loss::Damaged };
        let is_there = |place: &Place| packs.contains(&catalog.pack(place.pack).0);
        if catalog.places(key).any(|place| is_there(&place)) {
            return Loss::Damaged;
        }
        // The list of a large file may be there still, and its chunks gone.
        let Some(place) = catalog.places(recipe).find(is_there) else { return Loss::Gone };
        if has_chunks(self.remote, (key, size), place, &is_there) { Loss::Damaged } else { Loss::Gone }
    }

    /// Leaves notes of what is damaged. Of what is gone every push learns by itself.
    pub(super) fn note(mut self) {
        if let Some(Some(packs)) = &self.packs {
            self.bad.retain(|(_, pack)| packs.contains(pack));
        }
        note_damage(self.remote, &self.bad);
    }
}

/// The packs that are there.
fn list(remote: &Remote) -> Option<HashSet<PackId>> {
    let listed = list_sorted(remote.backend(), PACKS).ok()?;
    Some(listed.iter().filter_map(|line| parse_pack_key(&line.key)).collect())
}

/// Whether each chunk of a file has a place; true where its recipe at `place` is none.
fn has_chunks(
    remote: &Remote,
    (key, size): (RecordKey, u64),
    place: Place,
    is_there: &dyn Fn(&Place) -> bool,
) -> bool {
    let (backend, catalog) = (remote.backend(), &remote.catalog);
    let recipe = RecordKey { kind: RecordKind::Recipe, ..key };
    let Ok(Some((bytes, _))) = read_record(backend, catalog, [place], recipe) else { return true };
    let places = |key| catalog.places(key);
    match expand((backend, catalog), &places, (key.hash.into(), size), &bytes, ALL) {
        Ok(Some(found)) => found.chunks.iter().all(|chunk| {
            let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
            catalog.places(key).any(|place| is_there(&place))
        }),
        _ => true,
    }
}
