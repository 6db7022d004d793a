//! Carrying out a push: packs, index segment, root record, verification (I2).
//!
//! A crash anywhere leaves bytes that nobody refers to, which the next push of anyone finds
//! in the catalogue and relies on. Success means that another clone can fetch everything now:
//! the root record was written before marks were looked for (R7), and every pack that is
//! relied on was seen, whole and unmarked, after that (R8).

use crate::fs::fault;
use crate::model::digest::{ObjectId, PackId};
use crate::model::object::RecordKey;
use crate::pack::segment::{Segment, SegmentBuilder, SegmentName};
use crate::pack::writer::SealedPack;
use crate::par;
use crate::remote::backend::{Backend, small_requests, write};
use crate::remote::catalog::SortedKeys;
use crate::remote::error::{Cause, Error};
use crate::remote::merge::{MAX_PUT_ENTRIES, merge_tiers};
use crate::remote::names::{ClientId, ProjectId, segment_key};
use crate::remote::open::Remote;
use crate::remote::pushed::Pushed;
use crate::remote::records::{CommitName, Root};
use crate::remote::transfer::RecordSource;
use crate::remote::transfer::packing::{Load, Packing, Remains, Sent};
use crate::remote::transfer::packs::Packs;
use crate::remote::transfer::plan::{Assessment, Facts, PushPlan, assess};
use crate::remote::transfer::settle::{look_at, put_root_record};
use crate::remote::unfinished::Unfinished;
use crate::remote::wants::WantList;
use crate::report::{Event, Reporter, Task, Unit};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The roots.
    pub roots: Vec<Root>,
    /// Whether the wants are all that the roots need, so that these are known to be there afterwards.
    pub is_whole: bool,
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
    let own = Own::default();
    let mut push = Push { remote, wants, source, reporter, keys, packs, report, own, relied: None };
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
    /// The packs that hold all that is wanted, once they were seen to.
    relied: Option<BTreeMap<PackId, u64>>,
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
        self.put_pending()?;
        for round in 0..ROUNDS {
            self.send(&assessment.load)?;
            // I2: the record after all that it needs, and before the look for marks.
            if round == 0 && !fault::mutated("push-record-before-marks") {
                put_root_record(self.remote, request)?;
            }
            self.own.files.extend(assessment.files.drain());
            match self.verify(assessment.relied)? {
                None => {
                    if fault::mutated("push-record-before-marks") {
                        put_root_record(self.remote, request)?;
                    }
                    self.finish(request);
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

    /// Puts the segments that an interrupted push left here over packs that had arrived (R15).
    fn put_pending(&self) -> Result<(), Error> {
        let Some(unfinished) = Unfinished::load(&self.remote.state) else { return Ok(()) };
        let catalog = &self.remote.catalog;
        let pending = catalog
            .held()
            .filter(|(name, _)| unfinished.segments.contains(name) && !catalog.listed().contains_key(name));
        for (name, segment) in pending {
            write(self.remote.backend(), &segment_key(name), segment.as_bytes())?;
        }
        Ok(())
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
        let meter = self.reporter.meter(Task { verb: "Uploading", unit: Unit::Bytes, total: Some(total) });
        let packing = Packing {
            backend: self.remote.backend(),
            source: self.source,
            wants: self.wants,
            known: &known,
            meter: &*meter,
            threads: self.remote.threads(),
        };
        let sent = packing.run(load, &mut |packs, remains| {
            for (name, segment) in build_segments(packs)? {
                // Here first: if the remote fails, the next push puts it there.
                self.remote.state.save_segment(&name, segment.as_bytes());
                unfinished.segments.insert(name);
                unfinished.save(&self.remote.state);
                if remains == Remains::There {
                    write(self.remote.backend(), &segment_key(&name), segment.as_bytes())?;
                }
                segments.push((name, segment));
            }
            Ok(())
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

    /// Looks whether all that is relied on is there now (P5); if not, what to do about it.
    fn verify(&mut self, mut relied: BTreeMap<PackId, u64>) -> Result<Option<Assessment>, Error> {
        if fault::mutated("push-verification") {
            return Ok(None);
        }
        relied.extend(self.own_packs());
        let look = look_at(self.remote, &relied, self.reporter)?;
        self.packs = look.packs;
        self.report.indexes_restored += look.restored;
        if look.is_settled {
            self.relied = Some(relied);
            return Ok(None);
        }
        if !self.packs.is_complete() {
            self.packs = Packs::list(self.remote.backend())?;
        }
        let next = assess(&Facts::new(self.remote, &self.packs), &self.keys, self.wants, self.source)?;
        let is_done = next.load == Load::default() && next.missing.is_empty() && look.restored == 0;
        Ok(if is_done { None } else { Some(next) })
    }

    /// The packs that this push wrote, and those in which it found chunks of files that it sent.
    fn own_packs(&self) -> Vec<(PackId, u64)> {
        let catalog = &self.remote.catalog;
        let of_files = self.own.files.values().flatten();
        let of_files = of_files.filter_map(|id| catalog.number_of(*id)).map(|number| catalog.pack(number));
        of_files.chain(self.own.packs.iter().map(|(id, len)| (*id, *len))).collect()
    }

    /// Remembers what was learnt, and tidies up (P6). Nothing of it decides about success.
    fn finish(&mut self, request: &PushRequest) {
        Unfinished::forget(&self.remote.state);
        if let Some(packs) = self.relied.take().filter(|_| request.is_whole) {
            Pushed::new(&request.roots, packs).save(&self.remote.state);
        }
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
        let healed = self.remote.collection.healed_notes(own);
        par::map(small_requests(self.remote.backend()), &healed, |name| {
            if let Err(error) = self.remote.backend().delete(&name.key()) {
                tracing::debug!(%error, "cannot remove a note of damage that was repaired");
            }
        });
    }
}

/// Writes the segments over packs that arrived.
pub(crate) fn put_segments(
    backend: &dyn Backend,
    packs: &[SealedPack],
    put: &mut Vec<(SegmentName, Segment)>,
) -> Result<(), Error> {
    for (name, segment) in build_segments(packs)? {
        write(backend, &segment_key(&name), segment.as_bytes())?;
        put.push((name, segment));
    }
    Ok(())
}

/// The segments over packs: one, or more where one would be too long.
fn build_segments(packs: &[SealedPack]) -> Result<Vec<(SegmentName, Segment)>, Error> {
    let mut segments = Vec::new();
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
        segments.extend(build_segment(&builder, 0, (0, 0))?);
        rest = after;
    }
    Ok(segments)
}

/// Builds and writes one segment; nothing if it would have no entry.
pub(crate) fn put_segment(
    backend: &dyn Backend,
    builder: &SegmentBuilder,
    tier: u8,
    range: (u8, u32),
) -> Result<Option<(SegmentName, Segment)>, Error> {
    let built = build_segment(builder, tier, range)?;
    if let Some((name, segment)) = &built {
        write(backend, &segment_key(name), segment.as_bytes())?;
    }
    Ok(built)
}

fn build_segment(
    builder: &SegmentBuilder,
    tier: u8,
    range: (u8, u32),
) -> Result<Option<(SegmentName, Segment)>, Error> {
    let own_fault = |error| Error::Source(Cause::new(error));
    let built = builder.build(tier, range, crate::fs::random_bytes()).map_err(own_fault)?;
    let Some((name, bytes)) = built else { return Ok(None) };
    Ok(Some((name, Segment::parse(bytes).map_err(own_fault)?)))
}
