//! Carrying out a push: packs, index segment, root record, verification (I2).
//!
//! A crash anywhere leaves bytes that nobody refers to, which the next push of anyone finds
//! in the catalogue and relies on. Success means that another clone can fetch everything now:
//! the root record was written before marks were looked for (R7), and every pack that is
//! relied on was seen, whole and unmarked, after that (R8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fs::fault;
use crate::model::digest::{ObjectId, PackId};
use crate::model::object::RecordKey;
use crate::pack::segment::{Segment, SegmentBuilder, SegmentName};
use crate::pack::writer::SealedPack;
use crate::remote::backend::{Backend, list_sorted, write};
use crate::remote::catalog::SortedKeys;
use crate::remote::error::{Cause, Error};
use crate::remote::merge::{MAX_PUT_ENTRIES, merge_tiers};
use crate::remote::names::{ClientId, ProjectId, RootRecordName, segment_key};
use crate::remote::open::Remote;
use crate::remote::records::{CommitName, Root, RootRecord};
use crate::remote::transfer::RecordSource;
use crate::remote::transfer::packing::{Load, Packing, Sent};
use crate::remote::transfer::packs::Packs;
use crate::remote::transfer::plan::{Assessment, Facts, PushPlan, assess};
use crate::remote::unfinished::Unfinished;
use crate::remote::wants::WantList;
use crate::report::{Event, Reporter, Task, Unit};

/// How long a collector keeps what a record of a clone names, and no less.
pub(crate) const KEEP_WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often what was relied on may turn out to be gone.
const ROUNDS: u32 = 8;

/// Whose push it is and what it is about: the content of the root record.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The clone.
    pub client: ClientId,
    /// The project.
    pub project: ProjectId,
    /// The commits that name the roots.
    pub commits: Vec<CommitName>,
    /// The roots; their closure is what the list of wants holds.
    pub roots: Vec<Root>,
    /// Whether a record is written also where the last one seems to say the same: it may be damaged.
    pub renew: bool,
}

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PushReport {
    /// Files and symlinks that were sent, whole or in part.
    pub objects: u64,
    /// Packs that were written.
    pub packs: u64,
    /// Records of whole files, recipes and stage runs that were written.
    pub records: u64,
    /// Chunks of large files that were written.
    pub chunks: u64,
    /// Pages of directories that were written.
    pub pages: u64,
    /// Indexes that were lost there and were written again.
    pub indexes_restored: u64,
    /// Bytes of the packs that were written.
    pub bytes_sent: u64,
    /// Requests to the remote since it was opened.
    pub requests: u64,
}

/// Carries out `plan`, which was made with the same `wants` and `source`.
///
/// Fails with [`Error::Missing`] before anything is written if something is neither here nor
/// there, and with [`Error::DamagedHere`] if the bytes here are not what they are called.
pub fn push(
    remote: &mut Remote,
    plan: PushPlan,
    wants: &WantList,
    source: &dyn RecordSource,
    request: &PushRequest,
    reporter: &dyn Reporter,
) -> Result<PushReport, Error> {
    if !plan.missing().is_empty() {
        return Err(Error::Missing { place: remote.place(), missing: plan.missing().to_vec() });
    }
    remote.make()?;
    let PushPlan { assessment, keys, packs, .. } = plan;
    let report = PushReport::default();
    let mut push = Push { remote, wants, source, reporter, keys, packs, report, own: Own::default() };
    push.carry_out(assessment, request)?;
    push.report.requests = push.remote.requests().total();
    Ok(push.report)
}

struct Push<'a> {
    remote: &'a mut Remote,
    wants: &'a WantList,
    source: &'a dyn RecordSource,
    reporter: &'a dyn Reporter,
    keys: SortedKeys,
    /// What the store said last.
    packs: Packs,
    report: PushReport,
    own: Own,
}

/// What this push has written.
#[derive(Default)]
struct Own {
    packs: BTreeMap<PackId, u64>,
    segments: Vec<SegmentName>,
    /// For each large file the packs that hold it.
    files: BTreeMap<u32, BTreeSet<PackId>>,
}

impl Push<'_> {
    fn carry_out(&mut self, mut assessment: Assessment, request: &PushRequest) -> Result<(), Error> {
        for round in 0..ROUNDS {
            self.send(&assessment.load)?;
            // I2: the record after all that it needs, and before the look for marks.
            if round == 0 && !fault::mutated("push-record-before-marks") {
                self.put_root_record(request)?;
            }
            self.own.files.extend(assessment.files.drain());
            match self.verify(assessment.relied)? {
                None => {
                    if fault::mutated("push-record-before-marks") {
                        self.put_root_record(request)?;
                    }
                    self.finish();
                    return Ok(());
                }
                Some(next) if !next.missing.is_empty() => {
                    return Err(Error::Missing { place: self.remote.place(), missing: next.missing });
                }
                Some(next) => assessment = next,
            }
        }
        Err(Error::NotSettling { place: self.remote.place(), rounds: ROUNDS })
    }

    /// Sends what is missing: packs, then the segments over them (P2, P3).
    fn send(&mut self, load: &Load) -> Result<(), Error> {
        if load.records.is_empty() && load.files.is_empty() {
            return Ok(());
        }
        let mut segments = Vec::new();
        let facts = Facts::new(self.remote, &self.packs);
        let known = |key| facts.pack(key);
        let total = load
            .records
            .iter()
            .chain(&load.files)
            .map(|index| self.wants.wants()[*index as usize].size)
            .sum();
        let mut unfinished = self.begin(total);
        let mut noted = 0;
        let meter = self.reporter.meter(Task { verb: "Uploading", unit: Unit::Bytes, total: Some(total) });
        let packing = Packing {
            backend: self.remote.backend(),
            source: self.source,
            wants: self.wants,
            known: &known,
            meter: &*meter,
            threads: self.remote.threads(),
        };
        let sent = packing.run(load, &mut |packs| {
            let outcome = put_segments(self.remote.backend(), packs, &mut segments);
            for (name, segment) in &segments[noted..] {
                self.remote.state.save_segment(name, segment.as_bytes());
                unfinished.segments.insert(*name);
            }
            noted = segments.len();
            unfinished.save(&self.remote.state);
            outcome
        })?;
        meter.finish();
        self.note(load, sent, segments)
    }

    /// Notes what is begun, and tells how far an earlier push came that was interrupted.
    fn begin(&self, total: u64) -> Unfinished {
        let state = &self.remote.state;
        let unfinished = match Unfinished::load(state) {
            Some(earlier) => {
                let already = earlier.arrived(&self.remote.catalog);
                // In a later round it is this push that is noted.
                if already > 0 && self.own.packs.is_empty() {
                    self.reporter.event(&Event::Resuming { already, total: earlier.total });
                }
                earlier
            }
            None => Unfinished { total, ..Unfinished::default() },
        };
        unfinished.save(state);
        unfinished
    }

    fn note(&mut self, load: &Load, sent: Sent, segments: Vec<(SegmentName, Segment)>) -> Result<(), Error> {
        for (name, segment) in segments {
            self.own.packs.extend(segment.packs());
            self.own.segments.push(name);
            self.remote.state.save_segment(&name, segment.as_bytes());
            self.remote.catalog.hold(name, segment);
        }
        let place = self.remote.place();
        if !sent.damaged.is_empty() {
            return Err(Error::DamagedHere { place, damaged: sent.damaged });
        }
        if !sent.gone.is_empty() {
            return Err(Error::Missing { place, missing: sent.gone });
        }
        let is_file = |index: &&u32| {
            self.wants.wants()[**index as usize].key.kind == crate::model::object::RecordKind::File
        };
        self.report.objects += load.records.iter().chain(&load.files).filter(is_file).count() as u64;
        self.report.packs += sent.packs.len() as u64;
        self.report.records += sent.records;
        self.report.chunks += sent.chunks;
        self.report.pages += sent.pages;
        self.report.bytes_sent += sent.bytes;
        self.own.files.extend(sent.files);
        Ok(())
    }

    /// Writes what this clone needs, unless its last record says the same and is young (P4).
    fn put_root_record(&self, request: &PushRequest) -> Result<(), Error> {
        let backend = self.remote.backend();
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
                Ok::<_, Error>(
                    backend.now()?.duration_since(line.modified).is_ok_and(|age| age < KEEP_WINDOW / 2),
                )
            };
            if is_same && !request.renew && is_young()? {
                return Ok(());
            }
        }
        let (name, bytes) = record(last.map_or(1, |(seq, _)| seq.saturating_add(1)));
        Ok(write(backend, &name.key(), &bytes)?)
    }

    /// Looks whether all that is relied on is there now (P5); if not, what to do about it.
    ///
    /// The order matters (R7): marks, then segments, then packs.
    fn verify(&mut self, mut relied: BTreeMap<PackId, u64>) -> Result<Option<Assessment>, Error> {
        if fault::mutated("push-verification") {
            return Ok(None);
        }
        relied.extend(self.own_packs());
        let ask =
            |push: &Push<'_>| Packs::ask(push.remote.backend(), &relied, push.remote.catalog.pack_count());
        if fault::mutated("push-marks-before-packs") {
            self.packs = ask(self)?;
        }
        self.remote.refresh_collection()?;
        let refreshed = self.remote.refresh(self.reporter)?;
        let indexed = self.restore_segments(&refreshed.orphaned)?;
        if !fault::mutated("push-marks-before-packs") {
            self.packs = ask(self)?;
        }
        let collection = &self.remote.collection;
        let all_there = relied.iter().all(|(id, len)| self.packs.has(id, *len) && !collection.is_marked(id));
        if all_there && indexed && !collection.has_notes() {
            return Ok(None);
        }
        if !self.packs.is_complete() {
            self.packs = Packs::list(self.remote.backend())?;
        }
        let next = assess(&Facts::new(self.remote, &self.packs), &self.keys, self.wants, self.source)?;
        let is_done = next.load == Load::default() && next.missing.is_empty() && indexed;
        Ok(if is_done { None } else { Some(next) })
    }

    /// The packs that this push wrote, and those in which it found chunks of files that it sent.
    fn own_packs(&self) -> Vec<(PackId, u64)> {
        let catalog = &self.remote.catalog;
        let of_files = self.own.files.values().flatten();
        let of_files = of_files.filter_map(|id| catalog.number_of(*id)).map(|number| catalog.pack(number));
        of_files.chain(self.own.packs.iter().map(|(id, len)| (*id, *len))).collect()
    }

    /// Writes segments again that are held here and gone there; true if there was none.
    ///
    /// Others could not find what only these name. The name is theirs, so is the content.
    fn restore_segments(&mut self, orphaned: &[SegmentName]) -> Result<bool, Error> {
        for name in orphaned {
            let held = self.remote.catalog.held().find(|(held, _)| *held == name);
            if let Some((_, segment)) = held {
                write(self.remote.backend(), &segment_key(name), segment.as_bytes())?;
                self.report.indexes_restored += 1;
            }
        }
        Ok(orphaned.is_empty())
    }

    /// Remembers what was learnt, and tidies up (P6). Nothing of it decides about success.
    fn finish(&mut self) {
        Unfinished::forget(&self.remote.state);
        self.heal_notes();
        let catalog = &self.remote.catalog;
        let collection = &self.remote.collection;
        let is_good = |id: &PackId| catalog.number_of(*id).is_some() && !collection.is_marked(id);
        let mut is_changed = self.remote.answers.retain(is_good);
        for (index, packs) in std::mem::take(&mut self.own.files) {
            let file = ObjectId(self.wants.wants()[index as usize].key.hash);
            is_changed |= self.remote.answers.set(file, packs);
        }
        if is_changed {
            self.remote.state.save_answers(&self.remote.answers);
        }
        if !self.own.segments.is_empty()
            && let Err(error) = merge_tiers(self.remote)
        {
            tracing::debug!(%error, "cannot merge index segments");
        }
    }

    /// Removes notes about records that this push wrote again, where it may delete.
    fn heal_notes(&self) {
        let own = |key: RecordKey| {
            self.remote
                .catalog
                .places(key)
                .any(|place| self.own.packs.contains_key(&self.remote.catalog.pack(place.pack).0))
        };
        for name in self.remote.collection.healed_notes(own) {
            if let Err(error) = self.remote.backend().delete(&name.key()) {
                tracing::debug!(%error, "cannot remove a note of damage that was repaired");
            }
        }
    }
}

/// Writes the segments over packs that arrived: one, or more where one would be too long.
pub(crate) fn put_segments(
    backend: &dyn Backend,
    packs: &[SealedPack],
    put: &mut Vec<(SegmentName, Segment)>,
) -> Result<(), Error> {
    let mut rest = packs;
    while !rest.is_empty() {
        let mut entries = 0;
        let within = rest.iter().take_while(|pack| {
            let fits = entries == 0 || entries + pack.entries.len() <= MAX_PUT_ENTRIES;
            entries += pack.entries.len();
            fits
        });
        let (these, after) = rest.split_at(within.count());
        let mut builder = SegmentBuilder::new();
        these.iter().for_each(|pack| builder.add_pack(pack.id, pack.len, &pack.entries));
        put.extend(put_segment(backend, &builder, 0, (0, 0))?);
        rest = after;
    }
    Ok(())
}

/// Builds and writes one segment; nothing if it would have no entry.
pub(crate) fn put_segment(
    backend: &dyn Backend,
    builder: &SegmentBuilder,
    tier: u8,
    range: (u8, u32),
) -> Result<Option<(SegmentName, Segment)>, Error> {
    let own_fault = |error| Error::Source(Cause::new(error));
    let built = builder.build(tier, range, crate::fs::random_bytes()).map_err(own_fault)?;
    let Some((name, bytes)) = built else { return Ok(None) };
    write(backend, &segment_key(&name), &bytes)?;
    Ok(Some((name, Segment::parse(bytes).map_err(own_fault)?)))
}
