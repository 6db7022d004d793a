//! Saving what is still good in a damaged pack, without the data: the good records go into new packs.
//!
//! The pack itself stays as it is: its name was used for one content, and stores that look at lengths
//! would not replace it. A collection takes it when all that is needed of it stands elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::{MAX_PACK, RECORD_LEN, TableEntry, decode_record_header};
use crate::pack::reader::{decode_record, walk_records};
use crate::pack::writer::PackWriter;
use crate::remote::backend::{list_sorted, read};
use crate::remote::check::RemoteCheck;
use crate::remote::error::{Cause, Error};
use crate::remote::names::{PACKS, pack_key, parse_pack_key};
use crate::remote::open::Remote;
use crate::remote::transfer::push::put_segments;
use crate::report::interrupted;

/// Copies the good records of the packs that `found` names as damaged into new ones, with the segment
/// over them (I2), unless another sound pack has them; returns how many that were.
///
/// Fails where the remote cannot be read or written. Memory: two packs.
pub(crate) fn salvage(remote: &mut Remote, found: &RemoteCheck) -> Result<u64, Error> {
    let damaged: BTreeSet<PackId> = found.damaged.iter().filter_map(|(key, _)| parse_pack_key(key)).collect();
    if damaged.is_empty() {
        return Ok(0);
    }
    let lens: BTreeMap<PackId, u64> = list_sorted(remote.backend(), PACKS)?
        .iter()
        .filter_map(|line| Some((parse_pack_key(&line.key)?, line.size)))
        .collect();
    let is_sound = |id: PackId, len: u64| {
        !damaged.contains(&id) && lens.get(&id) == Some(&len) && !remote.collection.is_marked(&id)
    };
    let mut named = named_offsets(remote, &damaged);
    let (mut sealed, mut copied, mut done) = (Vec::new(), 0, HashSet::new());
    for id in damaged.iter().filter(|id| lens.contains_key(id)) {
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let bytes = match read(remote.backend(), &pack_key(*id), MAX_PACK) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absence() => continue,
            Err(error) => return Err(error.into()),
        };
        let mut offsets = named.remove(id).unwrap_or_default();
        offsets.extend(walk_records(&bytes).iter().map(|entry| entry.offset));
        let stands_elsewhere = |key: RecordKey| {
            let mut packs = remote.catalog.places(key).map(|place| remote.catalog.pack(place.pack));
            packs.any(|(pack, len)| is_sound(pack, len) && !found.bad.contains(&(key, pack)))
        };
        let good = offsets.iter().filter_map(|offset| record_at(&bytes, *offset));
        let good: Vec<_> =
            good.filter(|(entry, _)| !stands_elsewhere(entry.key) && done.insert(entry.key)).collect();
        if good.is_empty() {
            continue;
        }
        let own_fault = |error| Error::Source(Cause::new(error));
        let mut writer = PackWriter::new(Vec::new(), crate::fs::random_bytes()).map_err(own_fault)?;
        for (entry, stored) in &good {
            writer.push(entry.key, entry.codec, entry.raw_len, stored).map_err(own_fault)?;
        }
        let (pack, bytes) = writer.finish().map_err(own_fault)?;
        remote.backend().put(&pack_key(pack.id), &[bytes.into()])?;
        copied += good.len() as u64;
        sealed.push(pack);
    }
    let mut segments = Vec::new();
    put_segments(remote.backend(), &sealed, &mut segments)?;
    segments.into_iter().for_each(|(name, segment)| remote.catalog.hold(name, segment));
    Ok(copied)
}

/// The record at `offset` of a pack, if it is what its name says.
fn record_at(bytes: &[u8], offset: u32) -> Option<(TableEntry, &[u8])> {
    let bytes = bytes.get(offset as usize..)?;
    let entry = decode_record_header(bytes, offset).ok()?;
    decode_record(bytes, entry.key).ok()?;
    Some((entry, bytes.get(RECORD_LEN..RECORD_LEN + entry.stored_len as usize)?))
}

/// Where records start in these packs by the index, which serves where what stands before one is damaged.
fn named_offsets(remote: &Remote, packs: &BTreeSet<PackId>) -> BTreeMap<PackId, BTreeSet<u32>> {
    let mut named: BTreeMap<PackId, BTreeSet<u32>> = BTreeMap::new();
    for (_, place) in remote.catalog.entries() {
        let (pack, _) = remote.catalog.pack(place.pack);
        if packs.contains(&pack) {
            named.entry(pack).or_default().insert(place.offset);
        }
    }
    named
}
