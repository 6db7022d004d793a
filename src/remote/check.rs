//! Checks a remote: that every object is what its name says, and that all that the clones need can
//! be fetched.
//!
//! Lists are believed (an object that is listed with the right length is there); contents only where
//! they are read: indexes, root records and pages always, the data of packs where it is asked for.

pub(crate) mod closure;
mod data;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::remote::backend::{Key, Stat, list_sorted};
use crate::remote::error::Error;
use crate::remote::gc::read_records;
use crate::remote::mend::learn_unknown_packs;
use crate::remote::names::{PACKS, parse_pack_key, segment_key};
use crate::remote::open::Remote;
use crate::remote::records::Root;
use crate::remote::transfer::settle::KEEP_WINDOW;
use crate::report::Reporter;

/// What a check found.
#[derive(Debug, Default)]
pub struct RemoteCheck {
    /// Packs that are listed.
    pub packs: u64,
    /// Packs of which every record was read.
    pub packs_read: u64,
    /// Bytes of those.
    pub bytes_read: u64,
    /// Records of what clones need.
    pub root_records: u64,
    /// Records of what clones need that cannot be read, and that no newer one of the same clone replaces.
    pub unknown_needs: u64,
    /// Such that are replaced, and until when a collector has to wait: what they needed is not known.
    pub unknown_before: Vec<(Key, SystemTime)>,
    /// What these name: outputs and runs, each once.
    pub roots: u64,
    /// Records that these need, each once.
    pub records: u64,
    /// Objects that are not what their names say, and why; sorted.
    pub damaged: Vec<(Key, String)>,
    /// Records that are damaged in a pack, sorted; a good copy may stand elsewhere.
    pub bad: BTreeSet<(RecordKey, PackId)>,
    /// Packs that no segment names.
    pub unindexed: Vec<PackId>,
    /// Whether something that is needed stands in these alone.
    pub needs_index: bool,
    /// What is wrong with marks that cannot be read: which packs they take away is not known.
    pub unreadable_marks: Vec<Error>,
    /// What is needed and good nowhere, by the root that needs it.
    pub lost: BTreeMap<Root, Vec<Lost>>,
}

/// A record that is needed and good nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The record; a file of any size by its whole hash.
    pub key: RecordKey,
    /// The file's length in bytes; 0 of other records.
    pub size: u64,
    /// Where it stands in a directory; empty for the root itself and for pages.
    pub path: Box<str>,
    /// What of it is missing or damaged: the record itself, or the recipe or chunks of a large file.
    pub parts: Vec<RecordKey>,
}

impl RemoteCheck {
    /// Whether there is data, and nothing says what of it is needed.
    pub fn is_without_needs(&self) -> bool {
        self.packs > 0 && self.root_records == 0
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        !self.is_without_needs()
            && self.damaged.is_empty()
            && self.unreadable_marks.is_empty()
            && self.bad.is_empty()
            && self.unindexed.is_empty()
            && self.lost.is_empty()
    }
}

/// Checks `remote`, which remembers nothing of before. Reads the data of `share` percent of the packs.
///
/// Fails where the remote cannot be asked; what is wrong with it is in the report.
pub fn check(remote: &mut Remote, share: u8, reporter: &dyn Reporter) -> Result<RemoteCheck, Error> {
    let unreadable_marks = remote.refresh_readable_collection()?;
    let mut found = RemoteCheck { unreadable_marks, ..RemoteCheck::default() };
    remote.refresh(reporter)?;
    let unreadable = remote.unreadable.iter().map(|name| (segment_key(name), "it is no index".to_owned()));
    found.damaged.extend(unreadable);
    let packs = listed_packs(remote, &mut found)?;
    data::read_packs(remote, &packs, share, reporter, &mut found)?;
    let records = read_records(remote)?;
    let now = remote.backend().now()?;
    found.root_records = (records.good.len() + records.damaged.len()) as u64;
    for (name, modified, error) in &records.damaged {
        found.damaged.push((name.key(), error.to_string()));
        match *modified + KEEP_WINDOW {
            _ if records.followed(name).is_none() => found.unknown_needs += 1,
            until if until > now => found.unknown_before.push((name.key(), until)),
            _ => {}
        }
    }
    let roots: BTreeSet<Root> = records.good.into_iter().flat_map(|(_, _, record)| record.roots).collect();
    found.roots = roots.len() as u64;
    found.records = closure::check(remote, &packs, &roots, &mut found)?.len() as u64;
    if !found.lost.is_empty() && !found.unindexed.is_empty() && learn_unknown_packs(remote)? {
        let lost = std::mem::take(&mut found.lost);
        closure::check(remote, &packs, &roots, &mut found)?;
        found.needs_index = lost != found.lost;
    }
    found.damaged.sort();
    Ok(found)
}

/// The packs that are there, with their lengths. One that an index has with another length is damaged.
fn listed_packs(remote: &Remote, found: &mut RemoteCheck) -> Result<HashMap<PackId, Stat>, Error> {
    let mut packs = HashMap::new();
    for line in list_sorted(remote.backend(), PACKS)? {
        let Some(id) = parse_pack_key(&line.key) else { continue };
        found.packs += 1;
        match remote.catalog.number_of(id).map(|number| remote.catalog.pack(number).1) {
            None => found.unindexed.push(id),
            Some(len) if len != line.size => {
                let why = format!("it has {} bytes instead of {len}", line.size);
                found.damaged.push((line.key, why));
                continue;
            }
            Some(_) => {}
        }
        packs.insert(id, Stat { size: line.size, modified: line.modified });
    }
    Ok(packs)
}
