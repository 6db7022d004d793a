//! Merging index segments, so that their number grows with the logarithm of the pushes.
//!
//! Sixteen segments of one tier and one range of hashes become one of the next tier, or
//! several that split the range, where one would be too long to be one object. They list
//! what they replace; only a collector deletes that. Two clients may merge the same ones
//! at once: the union of sets does not mind.

use std::collections::BTreeMap;

use crate::model::digest::PackId;
use crate::pack::segment::{Segment, SegmentBuilder, SegmentName};
use crate::remote::error::Error;
use crate::remote::open::Remote;
use crate::remote::transfer::push::put_segment;

/// So many segments of one kind are merged.
const FAN_IN: usize = 16;
/// Entries of a segment that is written: 52 bytes each, and no object is over 48 MiB.
pub(crate) const MAX_PUT_ENTRIES: usize = 524_288;
/// The last tier: more merging would not pay.
const LAST_TIER: u8 = 15;

/// Merges what has become many. To be called after a push; what it cannot do, the next push does.
pub(crate) fn merge_tiers(remote: &mut Remote) -> Result<(), Error> {
    // Merging one tier may fill the next.
    for _ in 0..=LAST_TIER {
        let Some(names) = mergeable(remote) else { break };
        let tier = names.first().map_or(0, |name| name.tier + 1);
        let merged = replace(remote, &names, tier, &|_| true)?;
        for (name, segment) in merged {
            remote.state.save_segment(&name, segment.as_bytes());
            remote.catalog.hold(name, segment);
        }
        for name in names {
            remote.catalog.forget(&name, &remote.state);
        }
    }
    Ok(())
}

/// The segments of a tier and range of which there are enough.
fn mergeable(remote: &Remote) -> Option<Vec<SegmentName>> {
    let mut groups: BTreeMap<(u8, u8, u32), Vec<SegmentName>> = BTreeMap::new();
    for (name, _) in remote.catalog.held().filter(|(name, _)| name.tier < LAST_TIER) {
        groups.entry((name.tier, name.bits, name.prefix)).or_default().push(*name);
    }
    groups.into_values().find(|names| names.len() >= FAN_IN)
}

/// Writes segments in place of `names`, which are of one range, with what stands in packs that `is_kept`.
pub(crate) fn rewrite(
    remote: &Remote,
    names: &[SegmentName],
    is_kept: &dyn Fn(&PackId) -> bool,
) -> Result<Vec<(SegmentName, Segment)>, Error> {
    let tier = names.iter().map(|name| name.tier).max().unwrap_or_default();
    replace(remote, names, tier, is_kept)
}

fn replace(
    remote: &Remote,
    names: &[SegmentName],
    tier: u8,
    is_kept: &dyn Fn(&PackId) -> bool,
) -> Result<Vec<(SegmentName, Segment)>, Error> {
    let mut builder = SegmentBuilder::new();
    for (name, segment) in remote.catalog.held().filter(|(name, _)| names.contains(name)) {
        builder.add_part(segment, is_kept);
        builder.supersede(name.id);
        // What they replaced may still be listed, and a reader of the new ones need not read the old.
        segment.superseded().for_each(|id| builder.supersede(id));
    }
    let Some(first) = names.first() else { return Ok(Vec::new()) };
    let mut pending = vec![(first.bits, first.prefix)];
    let mut merged = Vec::new();
    while let Some((bits, prefix)) = pending.pop() {
        if builder.count_in(bits, prefix) > MAX_PUT_ENTRIES && bits < 32 {
            pending.push((bits + 1, prefix));
            pending.push((bits + 1, prefix | (1 << (31 - bits))));
            continue;
        }
        // A half without an entry leaves a gap, so what it replaces goes on counting: slower, not wrong.
        merged.extend(put_segment(remote.backend(), &builder, tier, (bits, prefix))?);
    }
    Ok(merged)
}
