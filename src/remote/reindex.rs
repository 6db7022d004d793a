//! The index of packs that no segment names any more, from the tables in the packs themselves.

use std::collections::HashSet;

use crate::model::digest::PackId;
use crate::pack::segment::{Segment, SegmentBuilder};
use crate::remote::backend::list_sorted;
use crate::remote::census;
use crate::remote::error::{Cause, Error};
use crate::remote::merge::MAX_PUT_ENTRIES;
use crate::remote::names::{PACKS, parse_pack_key, segment_key};
use crate::remote::open::Remote;

/// Adds what stands in packs that the catalogue does not know, and writes it to the remote in place of
/// the segments that cannot be read, if this user may; false if there is no such segment or pack.
///
/// A pack whose table is damaged too is left out. Fails where the remote cannot be read.
pub(crate) fn replace_damaged(remote: &mut Remote) -> Result<bool, Error> {
    if remote.unreadable.is_empty() {
        return Ok(false);
    }
    let own_fault = |error| Error::Source(Cause::new(error));
    let mut builders = read_tables(remote)?;
    if let Some(last) = builders.last_mut() {
        // A reader that has the last has the ones before.
        remote.unreadable.iter().for_each(|name| last.supersede(name.id));
    }
    for builder in &builders {
        let built = builder.build(0, (0, 0), crate::fs::random_bytes()).map_err(own_fault)?;
        let Some((name, bytes)) = built else { continue };
        if let Err(error) = remote.backend().put(&segment_key(&name), &[&bytes]) {
            tracing::debug!(%error, "cannot write the index that was made again");
        }
        remote.catalog.hold(name, Segment::parse(bytes).map_err(own_fault)?);
    }
    Ok(!builders.is_empty())
}

/// The tables of the packs that the catalogue does not know, in as many parts as become segments.
fn read_tables(remote: &Remote) -> Result<Vec<SegmentBuilder>, Error> {
    // A segment of a part of all hashes does not name all that is in its packs.
    let whole = remote.catalog.held().filter(|(name, _)| name.bits == 0);
    let known: HashSet<PackId> = whole.flat_map(|(_, segment)| segment.packs().map(|(id, _)| id)).collect();
    let mut builders: Vec<SegmentBuilder> = Vec::new();
    for pack in list_sorted(remote.backend(), PACKS)? {
        let Some(id) = parse_pack_key(&pack.key) else { continue };
        if known.contains(&id) {
            continue;
        }
        let entries = match census::table(remote.backend(), &pack) {
            Ok(entries) => entries,
            Err(error) if error.is_absence() => continue,
            Err(error) => return Err(error.into()),
        };
        let is_full = |builder: &SegmentBuilder| builder.count() + entries.len() > MAX_PUT_ENTRIES;
        if builders.last().is_none_or(is_full) {
            builders.push(SegmentBuilder::new());
        }
        if let Some(builder) = builders.last_mut() {
            builder.add_pack(id, pack.size, &entries);
        }
    }
    Ok(builders)
}
