//! Choosing the packs that can go, and marking them (G2, G3).

use std::collections::HashMap;

use super::{Fate, Reason, Run, age};
use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::{ENTRY_LEN, HEADER_LEN, RECORD_LEN, TRAILER_LEN};
use crate::remote::backend::write;
use crate::remote::catalog::Place;
use crate::remote::error::Error;
use crate::remote::gc::look::{Look, SeenMark};
use crate::remote::names::Nonce;
use crate::remote::records::Mark;

/// A pack is written anew when so many percent of its bytes are not needed.
const SPARSE: u64 = 20;

type Needed = HashMap<PackId, Vec<(RecordKey, Place)>>;

impl Run<'_> {
    /// Marks the packs that can go, after copying what is needed of those that are sparse.
    pub(super) fn mark(&mut self, look: &mut Look) -> Result<(), Error> {
        let old = self.old_packs(look);
        let unmarked = look.packs.keys().filter(|id| !look.marked.contains(*id)).count();
        self.report.young = unmarked.saturating_sub(old.len()) as u64;
        let needed = look.needed(self.remote, &|id| old.binary_search(id).is_ok());
        let mut doomed = look.marked.clone();
        let mut fates: Vec<(PackId, Reason)> = Vec::new();
        let mut choose = |run: &Run<'_>, look: &mut Look, packs: &[PackId], as_sparse: bool| {
            for id in packs {
                let records = needed.get(id).map(Vec::as_slice).unwrap_or_default();
                let is_safe = |key| look.other_place(run.remote, key, *id, &doomed).is_some();
                if doomed.contains(id) || !records.iter().all(|(key, _)| is_safe(*key)) {
                    continue;
                }
                // The sweep would find out that the other copy is damaged, and write a third one: each time.
                if !as_sparse && !records.is_empty() && !run.lacking(look, *id, records)?.is_empty() {
                    continue;
                }
                doomed.insert(*id);
                let is_indexed = run.remote.catalog.number_of(*id).is_some();
                let why = if as_sparse { Reason::Sparse } else { Reason::of(is_indexed, records.is_empty()) };
                fates.push((*id, why));
            }
            Ok::<(), Error>(())
        };
        choose(self, look, &old, false)?;
        let sparse: Vec<PackId> = old.iter().copied().filter(|id| is_sparse(look, &needed, id)).collect();
        self.copy_from(look, &sparse, &needed)?;
        if self.options.dry_run {
            // Nothing was copied, so what would be then is said.
            let taken: Vec<PackId> = fates.iter().map(|(id, _)| *id).collect();
            let rest = sparse.into_iter().filter(|id| !taken.contains(id));
            fates.extend(rest.map(|id| (id, Reason::Sparse)));
        } else {
            choose(self, look, &sparse, true)?;
        }
        let mut packs: Vec<PackId> = fates.iter().map(|(id, _)| *id).collect();
        packs.sort_unstable();
        self.report.marked = fates.into_iter().map(|(id, why)| Self::fate(look, id, why)).collect();
        self.report.marked.sort_by(|a: &Fate, b| a.pack.cmp(&b.pack));
        if packs.is_empty() || self.options.dry_run { Ok(()) } else { self.put_mark(look, packs) }
    }

    /// Unmarked packs that are old enough, sorted.
    fn old_packs(&self, look: &Look) -> Vec<PackId> {
        let rules = &self.options.rules;
        let is_old = |id: &PackId, modified| {
            let is_indexed = self.remote.catalog.number_of(*id).is_some();
            age(look.now, modified) >= if is_indexed { rules.min_age } else { rules.unindexed_age }
        };
        let old = look.packs.iter().filter(|(id, stat)| is_old(id, stat.modified));
        let mut old: Vec<PackId> = old.map(|(id, _)| *id).filter(|id| !look.marked.contains(id)).collect();
        old.sort_unstable();
        old
    }

    /// Copies what is needed of `packs` and stands nowhere else.
    fn copy_from(&mut self, look: &mut Look, packs: &[PackId], needed: &Needed) -> Result<(), Error> {
        let mut records = Vec::new();
        for id in packs {
            let lacks = |key| look.other_place(self.remote, key, *id, &look.marked).is_none();
            records.extend(needed.get(id).into_iter().flatten().filter(|(key, _)| lacks(*key)));
        }
        self.copy(look, records)
    }

    /// G3. The mark is never withdrawn.
    fn put_mark(&mut self, look: &mut Look, packs: Vec<PackId>) -> Result<(), Error> {
        let mark = Mark { client: self.options.client, packs };
        let bytes = mark.encode();
        let name = Mark::name(&bytes, Nonce(u64::from_le_bytes(crate::fs::random_bytes())));
        write(self.remote.backend(), &name.key(), &bytes)?;
        self.own_marks.push(name);
        look.marks.push(SeenMark { name, packs: mark.packs, put: look.now });
        Ok(())
    }
}

/// Whether enough of a pack is not needed to write the rest anew.
fn is_sparse(look: &Look, needed: &Needed, id: &PackId) -> bool {
    let (Some(records), Some(stat)) = (needed.get(id), look.packs.get(id)) else { return false };
    let around = (RECORD_LEN + ENTRY_LEN) as u64;
    let live: u64 = records.iter().map(|(_, place)| u64::from(place.stored_len) + around).sum();
    let all = stat.size.saturating_sub((HEADER_LEN + TRAILER_LEN) as u64);
    all.saturating_sub(live) * 100 > all * SPARSE
}
