//! What can be mended on a remote without the data: an index of packs that no segment names, from the
//! tables in the packs themselves, and notes of damage for those who have the data.

use std::collections::{BTreeSet, HashSet};

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::{MAX_PACK, TableEntry};
use crate::pack::reader::recover_table;
use crate::pack::segment::{Segment, SegmentBuilder, SegmentName};
use crate::par;
use crate::remote::backend::{Listed, list_sorted, read, small_requests, write};
use crate::remote::census;
use crate::remote::error::{Cause, Error};
use crate::remote::merge::MAX_PUT_ENTRIES;
use crate::remote::names::{Nonce, NoteName, PACKS, ShortId, parse_pack_key, segment_key};
use crate::remote::open::Remote;
use crate::remote::records::NOTE;
use crate::remote::transfer::push::put_segment;
use crate::report::Reporter;

/// So many notes of damage are left at once, more than a pack has chunks; where more is wrong, the rest is
/// found the next time.
const MAX_NOTES: usize = 4096;

/// Adds what stands in packs that the catalogue does not know, and writes it to the remote in place of
/// the segments that cannot be read, if this user may; false if there is no such pack.
///
/// A pack whose table is damaged too is read whole, and left out if its records do not tell either. Fails where the remote cannot be read.
pub(crate) fn index_unknown_packs(remote: &mut Remote) -> Result<bool, Error> {
    let may_write = remote.may_be_written();
    adopt(remote, may_write)
}

/// The same where only something is to be known: nothing is written.
pub(crate) fn learn_unknown_packs(remote: &mut Remote) -> Result<bool, Error> {
    adopt(remote, false)
}

/// The packs of which the catalogue has all.
pub(crate) fn indexed_packs(remote: &Remote) -> HashSet<PackId> {
    // A segment of a part of all hashes does not name all that is in its packs.
    let whole = remote.catalog.held().filter(|(name, _)| name.bits == 0);
    whole.flat_map(|(_, segment)| segment.packs().map(|(id, _)| id)).collect()
}

fn adopt(remote: &mut Remote, writes: bool) -> Result<bool, Error> {
    let own_fault = |error| Error::Source(Cause::new(error));
    let mut builders = read_tables(remote, &indexed_packs(remote))?.builders;
    if let Some(last) = builders.last_mut() {
        // A reader that has the last has the ones before.
        remote.unreadable.iter().for_each(|name| last.supersede(name.id));
    }
    for builder in &builders {
        let built = builder.build(0, (0, 0), crate::fs::random_bytes()).map_err(own_fault)?;
        let Some((name, bytes)) = built else { continue };
        if writes && let Err(error) = write(remote.backend(), &segment_key(&name), &bytes) {
            tracing::debug!(%error, "cannot write the index that was made again");
        }
        remote.catalog.hold(name, Segment::parse(bytes).map_err(own_fault)?);
    }
    Ok(!builders.is_empty())
}

/// What an index was made again from.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reindexed {
    /// Packs whose tables were read.
    pub packs: u64,
    /// Records that they have.
    pub records: u64,
    /// Segments that were written, or would be.
    pub segments: u64,
    /// Segments that these replace.
    pub replaced: u64,
    /// Packs whose tables cannot be read; what the old index says of them goes on to count.
    pub unreadable: Vec<String>,
}

/// Makes the whole index anew from the packs alone, and puts it in place of what is listed.
///
/// Beside pushes: what they write meanwhile is not replaced. Fails where the remote cannot be read.
pub fn reindex(remote: &mut Remote, dry_run: bool, reporter: &dyn Reporter) -> Result<Reindexed, Error> {
    // Segments before packs: the packs of all that are replaced are listed then.
    remote.refresh(reporter)?;
    let mut read = read_tables(remote, &HashSet::new())?;
    let listed = remote.catalog.listed().keys().copied();
    let is_replaced = |name: &SegmentName| read.unreadable.is_empty() || remote.unreadable.contains(name);
    let replaced: Vec<SegmentName> = listed.filter(is_replaced).collect();
    if let Some(last) = read.builders.last_mut() {
        replaced.iter().for_each(|name| last.supersede(name.id));
    }
    for builder in read.builders.iter().filter(|_| !dry_run) {
        put_segment(remote.backend(), builder, 0, (0, 0))?;
    }
    Ok(Reindexed {
        packs: read.packs,
        records: read.builders.iter().map(|builder| builder.count() as u64).sum(),
        segments: read.builders.len() as u64,
        replaced: if read.builders.is_empty() { 0 } else { replaced.len() as u64 },
        unreadable: read.unreadable.iter().map(PackId::to_string).collect(),
    })
}

/// What the tables of packs say.
#[derive(Default)]
struct Tables {
    /// As many parts as become segments.
    builders: Vec<SegmentBuilder>,
    packs: u64,
    /// Packs whose tables are damaged, and cannot be told from the records.
    unreadable: Vec<PackId>,
}

/// The tables of all packs but the `known` ones.
fn read_tables(remote: &Remote, known: &HashSet<PackId>) -> Result<Tables, Error> {
    let mut tables = Tables::default();
    for pack in list_sorted(remote.backend(), PACKS)? {
        let Some(id) = parse_pack_key(&pack.key) else { continue };
        if known.contains(&id) {
            continue;
        }
        let entries = match census::table(remote.backend(), &pack) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => continue,
            Err(error) if error.is_absence() => match recover(remote, &pack, id)? {
                Some(entries) => entries,
                None => {
                    tables.unreadable.push(id);
                    continue;
                }
            },
            Err(error) => return Err(error.into()),
        };
        tables.packs += 1;
        let builders = &mut tables.builders;
        let is_full = |builder: &SegmentBuilder| builder.count() + entries.len() > MAX_PUT_ENTRIES;
        if builders.last().is_none_or(is_full) {
            builders.push(SegmentBuilder::new());
        }
        if let Some(builder) = builders.last_mut() {
            builder.add_pack(id, pack.size, &entries);
        }
    }
    Ok(tables)
}

/// What a damaged table said, from the records themselves: the whole pack is read.
fn recover(remote: &Remote, pack: &Listed, id: PackId) -> Result<Option<Vec<TableEntry>>, Error> {
    match read(remote.backend(), &pack.key, MAX_PACK) {
        Ok(bytes) => Ok(recover_table(&bytes, id)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Leaves a note about each record that is good nowhere, so that whoever still has the bytes sends
/// them again: a push sees packs that are gone or cut, but not what is wrong inside of one.
///
/// The note carries the start of the pack's id, so that one finding is noted once. Best effort:
/// a reader may have no right to write.
pub(crate) fn note_damage(remote: &Remote, bad: &BTreeSet<(RecordKey, PackId)>) {
    if !remote.may_be_written() {
        return;
    }
    let is_good = |key| {
        let mut places = remote.catalog.places(key);
        places.any(|place| !bad.contains(&(key, remote.catalog.pack(place.pack).0)))
    };
    let lost: Vec<_> = bad.iter().filter(|(key, _)| !is_good(*key)).take(MAX_NOTES).collect();
    // Whoever may not write learns it once.
    let Some((first, rest)) = lost.split_first() else { return };
    if note(remote, first) {
        par::map(small_requests(remote.backend()), rest, |one| note(remote, one));
    }
}

/// Leaves one note; false if it could not be written.
fn note(remote: &Remote, (key, pack): &(RecordKey, PackId)) -> bool {
    let ShortId(start) = ShortId::of(pack.digest());
    let note = NoteName { hash: key.hash, nonce: Nonce((start >> 64) as u64) };
    let written = write(remote.backend(), &note.key(), NOTE.as_bytes());
    if let Err(error) = &written {
        tracing::debug!(%error, "cannot leave a note of damage");
    }
    written.is_ok()
}
