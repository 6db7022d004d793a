//! The end of a push: its root record, and the look at all that it relies on.
//!
//! A push that finds all there needs nothing else. Where one ended well before, the next one of the same
//! roots comes straight here ([`push_again`]): what is in a pack never changes, so while these packs
//! are there the closure of the roots is, however many files that are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fs::fault;
use crate::model::digest::PackId;
use crate::pack::segment::SegmentName;
use crate::remote::backend::{list_sorted, write};
use crate::remote::error::Error;
use crate::remote::names::{RootRecordName, segment_key};
use crate::remote::open::Remote;
use crate::remote::pushed::Pushed;
use crate::remote::records::RootRecord;
use crate::remote::transfer::packs::Packs;
use crate::remote::transfer::push::{PushReport, PushRequest};
use crate::remote::unfinished::Unfinished;
use crate::report::Reporter;

/// How long a collector keeps what a record of a clone names, and no less.
pub(crate) const KEEP_WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

/// Answers tell the time in whole seconds, listings in fractions of them (RFC 9110 §5.6.7).
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// Does what is left of a push of which all was there when one ended before; `None` where that does not
/// settle it, and a plan has to be made.
pub fn push_again(
    remote: &mut Remote,
    request: &PushRequest,
    reporter: &dyn Reporter,
) -> Result<Option<PushReport>, Error> {
    if Unfinished::load(&remote.state).is_some() {
        return Ok(None);
    }
    let pushed = Pushed::load(&remote.state).filter(|pushed| pushed.holds(&request.roots));
    // Others find what is in a pack through a segment that names it.
    let is_named = |(id, len): (&PackId, &u64)| {
        remote.catalog.number_of(*id).is_some_and(|number| remote.catalog.pack(number).1 == *len)
    };
    let Some(pushed) = pushed.filter(|pushed| pushed.packs.iter().all(is_named)) else { return Ok(None) };
    put_root_record(remote, request)?;
    if fault::mutated("push-again-look") {
        return Ok(Some(PushReport::default()));
    }
    let mut look = look_at(remote, &pushed.packs, reporter)?;
    let indexes_restored = look.restored;
    if indexes_restored > 0 {
        look = look_at(remote, &pushed.packs, reporter)?;
    }
    let requests = remote.requests().total();
    Ok(look.is_settled.then(|| PushReport { indexes_restored, requests, ..PushReport::default() }))
}

/// Writes what this clone needs, unless its last record says the same and is young (P4).
pub(super) fn put_root_record(remote: &Remote, request: &PushRequest) -> Result<(), Error> {
    let backend = remote.backend();
    let mut listed = list_sorted(backend, &RootRecordName::prefix(request.client))?;
    listed.retain(|line| RootRecordName::parse(&line.key).is_some());
    let record = |seq| {
        let bytes = RootRecord {
            client: request.client,
            seq,
            project: request.project,
            commits: request.commits.clone(),
            roots: request.roots.clone(),
        }
        .encode();
        (RootRecord::name(request.client, seq, &bytes), bytes)
    };
    let last = listed
        .iter()
        .filter_map(|line| Some((RootRecordName::parse(&line.key)?.seq, line)))
        .max_by_key(|(seq, _)| *seq);
    if let Some((seq, line)) = last {
        let (name, bytes) = record(seq);
        let is_same = name.key() == line.key && bytes.len() as u64 == line.size;
        // R22: both times are the store's. A record from the future is not young.
        let is_young = || {
            let now = backend.now()? + CLOCK_STEP;
            Ok::<_, Error>(now.duration_since(line.modified).is_ok_and(|age| age < KEEP_WINDOW / 2))
        };
        if is_same && !request.renew && is_young()? {
            return Ok(());
        }
    }
    let (name, bytes) = record(last.map_or(1, |(seq, _)| seq.saturating_add(1)));
    Ok(write(backend, &name.key(), &bytes)?)
}

/// What a look at a remote found.
pub(super) struct Look {
    /// What the store said of its packs.
    pub(super) packs: Packs,
    /// Segments that were gone there and are written again.
    pub(super) restored: u64,
    /// Whether all that is relied on is there and found by others.
    pub(super) is_settled: bool,
}

/// Looks whether the packs `relied` are there now (P5), with what names them.
///
/// The order matters (R7): marks, then segments, then packs.
pub(super) fn look_at(
    remote: &mut Remote,
    relied: &BTreeMap<PackId, u64>,
    reporter: &dyn Reporter,
) -> Result<Look, Error> {
    let ask = |remote: &Remote| Packs::ask(remote.backend(), relied, remote.catalog.pack_count());
    let early = fault::mutated("push-marks-before-packs").then(|| ask(remote)).transpose()?;
    remote.refresh_collection()?;
    let refreshed = remote.refresh(reporter)?;
    let restored = restore_segments(remote, &refreshed.orphaned)?;
    let packs = early.map_or_else(|| ask(remote), Ok)?;
    let collection = &remote.collection;
    let all_there = relied.iter().all(|(id, len)| packs.has(id, *len) && !collection.is_marked(id));
    // A note tells of a record that is damaged within a pack that is there.
    let is_settled = all_there && refreshed.orphaned.is_empty() && !collection.has_notes();
    Ok(Look { packs, restored, is_settled })
}

/// Writes segments again that are held here and gone there; tells how many.
///
/// Others could not find what only these name. The name is theirs, so is the content.
fn restore_segments(remote: &Remote, orphaned: &[SegmentName]) -> Result<u64, Error> {
    let mut restored = 0;
    for name in orphaned {
        let held = remote.catalog.held().find(|(held, _)| *held == name);
        if let Some((_, segment)) = held {
            write(remote.backend(), &segment_key(name), segment.as_bytes())?;
            restored += 1;
        }
    }
    Ok(restored)
}
