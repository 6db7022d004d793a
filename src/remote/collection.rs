//! What collectors and repairers left on a remote: marks on packs, notes of damage.
//!
//! A marked pack may be deleted at any time, so it counts as absent; a mark is never
//! withdrawn, and disappears only after its packs did. A note says that a record was found
//! damaged or missing: only packs written after it count for that record.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use crate::fs::fault;
use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::{Backend, list_sorted, read};
use crate::remote::error::Error;
use crate::remote::names::{COLLECTION, CollectionName, ForgetName, MarkName, NoteName};
use crate::remote::records::{MAX_MARK, Mark};
use crate::remote::state::State;

/// Marks and notes as far as this clone has seen them.
#[derive(Default)]
pub(crate) struct Collection {
    marks: HashMap<MarkName, Vec<PackId>>,
    marked: HashSet<PackId>,
    /// When each mark that the last look listed was put, by the store's clock.
    put: HashMap<MarkName, SystemTime>,
    notes: HashMap<Digest, Vec<(NoteName, SystemTime)>>,
    /// Projects that are about to be forgotten, and since when, by the store's clock.
    forgets: Vec<(ForgetName, SystemTime)>,
}

impl Collection {
    /// The marks that were remembered; notes are not, since repairers take them away.
    pub(crate) fn load(state: &State) -> Collection {
        let mut collection = Collection::default();
        for (name, mark) in state.marks() {
            collection.marks.insert(name, mark.packs);
        }
        collection.count();
        collection
    }

    fn count(&mut self) {
        self.marked = self.marks.values().flatten().copied().collect();
    }

    /// Lists `gc/` and reads the marks that were not seen before.
    ///
    /// A mark that cannot be read as such is an error: which packs it takes away is not known (R9).
    pub(crate) fn refresh(&mut self, backend: &dyn Backend, state: &State) -> Result<(), Error> {
        match self.refresh_readable(backend, state)?.into_iter().next() {
            None => Ok(()),
            Some(unreadable) => Err(unreadable),
        }
    }

    /// The same for who only tells what is there; returns what is wrong with marks that cannot be read.
    pub(crate) fn refresh_readable(
        &mut self,
        backend: &dyn Backend,
        state: &State,
    ) -> Result<Vec<Error>, Error> {
        let mut unreadable = Vec::new();
        let mut listed = HashSet::new();
        self.notes.clear();
        self.forgets.clear();
        self.put.clear();
        for line in list_sorted(backend, COLLECTION)? {
            match CollectionName::parse(&line.key) {
                Some(CollectionName::Mark(name)) => {
                    listed.insert(name);
                    self.put.insert(name, line.modified);
                }
                Some(CollectionName::Note(name)) => {
                    self.notes.entry(name.hash).or_default().push((name, line.modified));
                }
                Some(CollectionName::Forget(name)) => self.forgets.push((name, line.modified)),
                None => {}
            }
        }
        for name in self.marks.keys().filter(|name| !listed.contains(name)) {
            state.forget_mark(*name);
        }
        self.marks.retain(|name, _| listed.contains(name));
        for name in listed {
            if self.marks.contains_key(&name) {
                continue;
            }
            match read(backend, &name.key(), MAX_MARK) {
                Ok(bytes) => match Mark::decode_named(name, &bytes) {
                    Ok(mark) => {
                        state.save_mark(name, &bytes);
                        self.marks.insert(name, mark.packs);
                    }
                    Err(source) => {
                        let key = name.key().as_str().into();
                        unreadable.push(Error::UnreadableMark {
                            place: backend.describe().into(),
                            key,
                            source,
                        });
                    }
                },
                // Purged since it was listed: its packs are gone, which the listing of packs will tell.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.count();
        Ok(unreadable)
    }

    /// The marks that the last look listed: their packs, and when they were put, by the store's clock.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (MarkName, &[PackId], SystemTime)> {
        let listed = self.marks.iter().filter_map(|(name, packs)| Some((name, packs, self.put.get(name)?)));
        listed.map(|(name, packs, put)| (*name, packs.as_slice(), *put))
    }

    /// The projects that are about to be forgotten, and since when.
    pub(crate) fn forgets(&self) -> &[(ForgetName, SystemTime)] {
        &self.forgets
    }

    /// Whether a pack is about to be deleted.
    pub(crate) fn is_marked(&self, pack: &PackId) -> bool {
        self.marked.contains(pack) && !fault::mutated("push-marked-is-absent")
    }

    /// Whether any record was noted as damaged.
    pub(crate) fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// All notes of damage.
    pub(crate) fn notes(&self) -> impl Iterator<Item = NoteName> {
        self.notes.values().flatten().map(|(name, _)| *name)
    }

    /// When the record was last found damaged or missing, by the store's clock.
    pub(crate) fn noted(&self, hash: &Digest) -> Option<SystemTime> {
        self.notes.get(hash)?.iter().map(|(_, modified)| *modified).max()
    }

    /// The notes on records that `is_repaired`.
    pub(crate) fn healed_notes(&self, is_repaired: impl Fn(RecordKey) -> bool) -> Vec<NoteName> {
        use RecordKind::{Chunk, Recipe, RunRecord, TreePage};
        let repaired = |hash: &Digest| {
            [Chunk, Recipe, TreePage, RunRecord]
                .map(|kind| is_repaired(RecordKey { hash: *hash, kind }))
                .contains(&true)
        };
        self.notes
            .iter()
            .filter(|(hash, _)| repaired(hash))
            .flat_map(|(_, notes)| notes.iter().map(|(name, _)| *name))
            .collect()
    }
}
