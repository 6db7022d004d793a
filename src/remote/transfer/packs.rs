//! Which packs are there: what the verification of a push asks the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use crate::model::digest::PackId;
use crate::remote::backend::{Backend, BackendError, Stat, list_sorted};
use crate::remote::counting::LIST_PAGE;
use crate::remote::names::{PACKS, pack_key, parse_pack_key};

/// The packs that the store says it has.
pub(super) enum Packs {
    /// All of them.
    Listed(HashMap<PackId, Stat>),
    /// The answers for those that were asked for.
    Asked(HashMap<PackId, Stat>),
    /// Nothing was asked yet: all that a catalogue names count as there.
    Unknown,
}

impl Packs {
    /// Lists all packs.
    pub(super) fn list(backend: &dyn Backend) -> Result<Packs, BackendError> {
        let mut all = HashMap::new();
        for line in list_sorted(backend, PACKS)? {
            if let Some(id) = parse_pack_key(&line.key) {
                all.insert(id, Stat { size: line.size, modified: line.modified });
            }
        }
        Ok(Packs::Listed(all))
    }

    /// Asks for `relied`, or lists all where that takes fewer requests; `total` is about how many there are.
    pub(super) fn ask(
        backend: &dyn Backend,
        relied: &BTreeMap<PackId, u64>,
        total: usize,
    ) -> Result<Packs, BackendError> {
        let pages = total.div_ceil(LIST_PAGE as usize).max(1);
        if relied.len() > pages {
            return Packs::list(backend);
        }
        let mut asked = HashMap::new();
        for id in relied.keys() {
            if let Some(stat) = backend.head(&pack_key(*id))? {
                asked.insert(*id, stat);
            }
        }
        Ok(Packs::Asked(asked))
    }

    /// Whether the pack is there as a whole, as far as the store was asked.
    pub(super) fn has(&self, id: &PackId, len: u64) -> bool {
        match self {
            // A length that differs is a torn write.
            Packs::Listed(packs) | Packs::Asked(packs) => packs.get(id).is_some_and(|stat| stat.size == len),
            Packs::Unknown => true,
        }
    }

    /// When the pack was written, by the store's clock, if that is known.
    pub(super) fn modified(&self, id: &PackId) -> Option<SystemTime> {
        match self {
            Packs::Listed(packs) | Packs::Asked(packs) => packs.get(id).map(|stat| stat.modified),
            Packs::Unknown => None,
        }
    }

    /// Whether `known` has all that the store named.
    pub(super) fn are_among(&self, known: &HashSet<PackId>) -> bool {
        match self {
            Packs::Listed(packs) | Packs::Asked(packs) => packs.keys().all(|id| known.contains(id)),
            Packs::Unknown => true,
        }
    }

    /// Whether this is the list of all packs.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Packs::Listed(_))
    }
}
