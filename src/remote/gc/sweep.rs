//! Deleting marked packs after another look (G4, G5), and what is left over then (G6).

use std::collections::{BTreeSet, HashMap};

use super::{Reason, Run, age, class};
use crate::fs::fault;
use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::segment::SegmentName;
use crate::remote::catalog::Place;
use crate::remote::error::Error;
use crate::remote::gc::look::Look;
use crate::remote::names::{NoteName, pack_key, segment_key};
use crate::remote::transfer::reading::read_placed;
use crate::report::interrupted;

impl Run<'_> {
    /// Deletes the packs of marks that are old enough, unless they are needed after all: then what is
    /// needed of them is copied, and they stay until a later run finds the copies.
    pub(super) fn sweep(&mut self, look: &mut Look) -> Result<(), Error> {
        let ripe = self.ripe(look);
        let needed = look.needed(self.remote, &|id| ripe.contains(id));
        let mut copies = Vec::new();
        for id in ripe {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let records = needed.get(&id).map(Vec::as_slice).unwrap_or_default();
            let lacking = self.lacking(look, id, records)?;
            if lacking.is_empty() || fault::mutated("gc-look-again") {
                self.delete(look, id, records.is_empty())?;
            } else {
                self.report.kept.push(id.to_string());
                copies.extend(lacking);
            }
        }
        if fault::mutated("gc-marks-stay") {
            return self.withdraw(look);
        }
        self.copy(look, copies)
    }

    /// The packs that may be looked at for deletion: in a mark that is old enough, and there.
    fn ripe(&self, look: &Look) -> BTreeSet<PackId> {
        let is_old = |put| age(look.now, put) >= self.options.rules.grace;
        let packs = look.marks.iter().filter(|mark| is_old(mark.put)).flat_map(|mark| &mark.packs);
        packs.filter(|id| look.packs.contains_key(id)).copied().collect()
    }

    /// Those of the needed `records` of a pack that no other pack outside of all marks holds.
    ///
    /// The other place is read: a copy that is damaged saves nothing (R4).
    pub(super) fn lacking(
        &self,
        look: &mut Look,
        pack: PackId,
        records: &[(RecordKey, Place)],
    ) -> Result<Vec<(RecordKey, Place)>, Error> {
        let mut lacking = Vec::new();
        let mut open = records.to_vec();
        while !open.is_empty() {
            let mut others = Vec::new();
            let mut asked = HashMap::new();
            for (key, place) in std::mem::take(&mut open) {
                match look.other_place(self.remote, key, pack, &look.marked) {
                    Some(other) => {
                        others.push((key, other));
                        asked.insert(key, place);
                    }
                    None => lacking.push((key, place)),
                }
            }
            if fault::mutated("gc-copies-are-read") {
                break;
            }
            let failed = read_placed(self.remote, others, &|_, _| {})?;
            open.extend(failed.iter().filter_map(|(key, _)| Some((*key, *asked.get(key)?))));
            look.bad.extend(failed);
        }
        Ok(lacking)
    }

    fn delete(&mut self, look: &mut Look, id: PackId, is_dead: bool) -> Result<(), Error> {
        let why = Reason::of(self.remote.catalog.number_of(id).is_some(), is_dead);
        self.report.deleted.push(Self::fate(look, id, why));
        if !self.options.dry_run {
            self.remote.backend().delete(&pack_key(id))?;
        }
        look.packs.remove(&id);
        Ok(())
    }

    /// What a test has it do instead of copying, to show that it loses data.
    fn withdraw(&mut self, look: &Look) -> Result<(), Error> {
        let is_kept = |id: &PackId| self.report.kept.contains(&id.to_string());
        for mark in look.marks.iter().filter(|mark| mark.packs.iter().any(is_kept)) {
            self.remote.backend().delete(&mark.name.key())?;
        }
        Ok(())
    }

    /// Deletes the records that no longer count.
    pub(super) fn delete_aged_records(&mut self, look: &Look) -> Result<(), Error> {
        for key in &look.aged {
            self.report.root_records += 1;
            if !self.options.dry_run {
                self.remote.backend().delete(key)?;
            }
        }
        Ok(())
    }

    /// Counts what was marked and not deleted.
    pub(super) fn count_waiting(&mut self, look: &Look) {
        let grace = self.options.rules.grace;
        let mut waiting = HashMap::new();
        for mark in &look.marks {
            let left = grace.saturating_sub(age(look.now, mark.put));
            for id in mark.packs.iter().filter(|id| look.packs.contains_key(id)) {
                let first = waiting.entry(*id).or_insert(left);
                *first = left.min(*first);
            }
        }
        self.report.waiting = waiting.len() as u64;
        let bytes = |id: &PackId| look.packs.get(id).map_or(0, |stat| stat.size);
        self.report.waiting_bytes = waiting.keys().map(bytes).sum();
        self.report.waiting_seconds = waiting.values().min().map_or(0, |left| left.as_secs());
    }

    /// G6: marks whose packs are gone, notes about records that are gone, what is to be forgotten and was,
    /// and segments that others have replaced for long enough.
    pub(super) fn purge(&mut self, look: &Look) -> Result<(), Error> {
        let is_gone = |packs: &[PackId]| packs.iter().all(|id| !look.packs.contains_key(id));
        for mark in look.marks.iter().filter(|mark| is_gone(&mark.packs)) {
            self.report.marks += 1;
            if !self.options.dry_run {
                self.remote.backend().delete(&mark.name.key())?;
            }
        }
        let notes: Vec<NoteName> =
            self.remote.collection.notes().filter(|note| self.is_over(look, note.hash)).collect();
        for note in notes {
            self.report.notes += 1;
            if !self.options.dry_run {
                self.remote.backend().delete(&note.key())?;
            }
        }
        for name in look.idle_forgets(self.remote.collection.forgets(), self.options.project) {
            if !self.options.dry_run {
                self.remote.backend().delete(&name.key())?;
            }
        }
        for name in self.replaced(look) {
            self.report.segments += 1;
            if !self.options.dry_run {
                self.remote.backend().delete(&segment_key(&name))?;
            }
        }
        Ok(())
    }

    /// Whether a record is neither needed nor anywhere: who needs it next sends it anyway.
    fn is_over(&self, look: &Look, hash: Digest) -> bool {
        use RecordKind::{File, Recipe, RunRecord, TreePage};
        let catalog = &self.remote.catalog;
        let mut keys = [File, Recipe, TreePage, RunRecord].into_iter().map(|kind| RecordKey { hash, kind });
        keys.all(|key| {
            let mut places = catalog.places(key).map(|place| catalog.pack(place.pack).0);
            !look.live.contains(&class(key)) && !places.any(|id| look.packs.contains_key(&id))
        })
    }

    /// Listed segments of which others, that are readable and old enough, hold everything.
    fn replaced(&self, look: &Look) -> Vec<SegmentName> {
        let catalog = &self.remote.catalog;
        let min = self.options.rules.replaced_age;
        let is_old = |name: &SegmentName| {
            catalog.listed().get(name).is_some_and(|written| age(look.now, *written) >= min)
        };
        let is_held = |name: &&SegmentName| catalog.held().any(|(held, _)| held == *name);
        let listed = catalog.listed().keys().filter(|name| !is_held(name));
        listed.filter(|name| catalog.covers_within(name, &is_old)).copied().collect()
    }
}
