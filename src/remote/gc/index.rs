//! Segments that name mostly what was deleted: others without that take their place.

use std::collections::{BTreeMap, HashSet};

use super::Run;
use crate::model::digest::PackId;
use crate::pack::segment::{Segment, SegmentName};
use crate::remote::error::Error;
use crate::remote::gc::look::Look;
use crate::remote::merge::rewrite;

impl Run<'_> {
    /// Replaces the segments of which more than half of the entries are in packs that are gone. A later run
    /// deletes them like others that were replaced.
    ///
    /// A pack is listed after the segments that name it, and was written before them: one that is not
    /// there was deleted, and its name never stands for anything again.
    pub(super) fn rewrite_index(&mut self, look: &Look) -> Result<(), Error> {
        let mut ranges: BTreeMap<(u8, u32), Vec<Held>> = BTreeMap::new();
        for (name, segment) in self.remote.catalog.held() {
            if self.remote.catalog.listed().contains_key(name) {
                let held = Held { name: *name, entries: segment.len(), gone: gone(segment, look) };
                ranges.entry((name.bits, name.prefix)).or_default().push(held);
            }
        }
        for names in ranges.into_values().filter_map(stale) {
            self.report.rewritten_segments += names.len() as u64;
            if self.options.dry_run {
                continue;
            }
            for (name, segment) in rewrite(self.remote, &names, &|id| look.packs.contains_key(id))? {
                self.remote.catalog.hold(name, segment);
            }
        }
        Ok(())
    }
}

/// A segment, and how much of it serves nobody.
struct Held {
    name: SegmentName,
    entries: usize,
    gone: usize,
}

/// The segments of one range that are to be replaced; nothing if there are none, or nothing would be left.
fn stale(held: Vec<Held>) -> Option<Vec<SegmentName>> {
    let (mut stale, mut rest): (Vec<Held>, Vec<Held>) =
        held.into_iter().partition(|one| one.gone * 2 > one.entries);
    if stale.iter().all(|one| one.gone == one.entries) {
        // Only a segment can take the place of others, and only one with an entry.
        rest.sort_by_key(|one| one.entries);
        stale.extend((!stale.is_empty() && !rest.is_empty()).then(|| rest.remove(0)));
    }
    let is_anything_left = stale.iter().any(|one| one.gone < one.entries);
    is_anything_left.then(|| stale.iter().map(|one| one.name).collect())
}

/// How many entries of a segment are in packs that are gone.
fn gone(segment: &Segment, look: &Look) -> usize {
    let packs = segment.packs().map(|(id, _)| id);
    let gone: HashSet<PackId> = packs.filter(|id| !look.packs.contains_key(id)).collect();
    if gone.is_empty() { 0 } else { segment.iter().filter(|(_, at)| gone.contains(&at.pack)).count() }
}
