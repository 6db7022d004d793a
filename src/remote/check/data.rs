//! Reads packs as a whole and compares every record with its name.

use std::collections::HashMap;

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::reader::{decode_record, read_pack};
use crate::par;
use crate::remote::backend::{Stat, read};
use crate::remote::check::RemoteCheck;
use crate::remote::error::Error;
use crate::remote::names::pack_key;
use crate::remote::open::Remote;
use crate::report::{Reporter, Task, Unit, interrupted};

/// Reads the data of `share` percent of `packs`, chosen anew each time.
pub(super) fn read_packs(
    remote: &Remote,
    packs: &HashMap<PackId, Stat>,
    share: u8,
    reporter: &dyn Reporter,
    found: &mut RemoteCheck,
) -> Result<(), Error> {
    let chosen = choose(packs, share);
    let total = chosen.iter().map(|(_, len)| len).sum();
    let meter = reporter.meter(Task { verb: "Reading", unit: Unit::Bytes, total: Some(total) });
    let named = named_records(remote, &chosen);
    let start = || (RemoteCheck::default(), None);
    let states = par::runs(remote.threads(), chosen.len(), 1, start, |(mine, failure), range| {
        for (id, len) in &chosen[range] {
            let done = if interrupted() {
                Err(Error::Interrupted)
            } else {
                read_one(remote, (*id, *len), &named, mine)
            };
            if let Err(error) = done {
                *failure = Some(error);
                return false;
            }
            meter.inc(*len);
        }
        true
    });
    for (mine, failure) in states {
        if let Some(error) = failure {
            return Err(error);
        }
        found.packs_read += mine.packs_read;
        found.bytes_read += mine.bytes_read;
        found.damaged.extend(mine.damaged);
        found.bad.extend(mine.bad);
    }
    Ok(())
}

/// Sorted by id.
fn choose(packs: &HashMap<PackId, Stat>, share: u8) -> Vec<(PackId, u64)> {
    let mut all: Vec<(u64, PackId, u64)> = packs
        .iter()
        .map(|(id, stat)| (u64::from_le_bytes(crate::fs::random_bytes()), *id, stat.size))
        .collect();
    all.sort_unstable();
    all.truncate((packs.len() * usize::from(share.min(100))).div_ceil(100));
    let mut chosen: Vec<_> = all.into_iter().map(|(_, id, len)| (id, len)).collect();
    chosen.sort_unstable();
    chosen
}

type Named = HashMap<PackId, Vec<(RecordKey, u32)>>;

/// Keys and offsets of the records that the index has in these packs.
fn named_records(remote: &Remote, chosen: &[(PackId, u64)]) -> Named {
    let mut named: Named = chosen.iter().map(|(id, _)| (*id, Vec::new())).collect();
    for (_, segment) in remote.catalog.held() {
        for (key, location) in segment.iter() {
            if let Some(records) = named.get_mut(&location.pack) {
                records.push((key, location.offset));
            }
        }
    }
    named
}

fn read_one(
    remote: &Remote,
    (id, len): (PackId, u64),
    named: &Named,
    found: &mut RemoteCheck,
) -> Result<(), Error> {
    let bytes = match read(remote.backend(), &pack_key(id), len) {
        Ok(bytes) => bytes,
        Err(error) if error.is_absence() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    found.packs_read += 1;
    found.bytes_read += bytes.len() as u64;
    let mut records = named.get(&id).cloned().unwrap_or_default();
    match read_pack(&bytes) {
        Ok((own, entries)) if own == id => {
            records.extend(entries.iter().map(|entry| (entry.key, entry.offset)));
        }
        Ok(_) => found.damaged.push((pack_key(id), "it is another pack".to_owned())),
        Err(error) => found.damaged.push((pack_key(id), error.to_string())),
    }
    records.sort_unstable();
    records.dedup();
    let is_good = |(key, offset): &(RecordKey, u32)| {
        bytes.get(*offset as usize..).is_some_and(|bytes| decode_record(bytes, *key).is_ok())
    };
    found.bad.extend(records.iter().filter(|record| !is_good(record)).map(|(key, _)| (*key, id)));
    Ok(())
}
