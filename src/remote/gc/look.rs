//! What a collector sees of a remote, in the order that makes it safe to act on (G1, G5): marks, then
//! what clones and commits need, then the index, then packs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use super::projects::{self, Project};
use super::{Live, Run, age, class};
use crate::fs::fault;
use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::pack::segment::SegmentName;
use crate::par;
use crate::remote::backend::{BackendError, Key, Listed, Stat, list_sorted, read, small_requests};
use crate::remote::catalog::Place;
use crate::remote::check::{RemoteCheck, closure};
use crate::remote::error::{Doubt, Error};
use crate::remote::names::{
    ClientId, MarkName, PACKS, ProjectId, ROOTS, RootRecordName, parse_pack_key, segment_key,
};
use crate::remote::open::Remote;
use crate::remote::records::{MAX_ROOT_RECORD, RecordError, Root, RootRecord};
use crate::report::interrupted;

/// How far the clocks of the store and of this machine may be apart, before neither is believed.
const CLOCKS_APART: Duration = Duration::from_secs(24 * 3600);
/// How far in the future a stamp of the store's may lie: some stores have several clocks.
const FUTURE: Duration = Duration::from_secs(3600);

/// A mark as it was listed.
pub(super) struct SeenMark {
    pub(super) name: MarkName,
    pub(super) packs: Vec<PackId>,
    /// When it was put, by the store's clock.
    pub(super) put: SystemTime,
}

/// Everything that one look found.
pub(super) struct Look {
    /// The store's time.
    pub(super) now: SystemTime,
    pub(super) marks: Vec<SeenMark>,
    /// The packs of all marks, old and new.
    pub(super) marked: HashSet<PackId>,
    /// The newest record number of each clone; in the end, of those that count.
    newest: BTreeMap<ClientId, u64>,
    /// Records that no longer count.
    pub(super) aged: Vec<Key>,
    pub(super) packs: HashMap<PackId, Stat>,
    pub(super) live: Live,
    /// Places that were read and are not what the index says.
    pub(super) bad: BTreeSet<(RecordKey, PackId)>,
    pub(super) roots: u64,
    pub(super) absent: u64,
    pub(super) projects: BTreeMap<ProjectId, Project>,
    pub(super) pins: u64,
    /// Where a project is to be forgotten: what is needed besides.
    pub(super) others: BTreeSet<Root>,
}

impl Run<'_> {
    /// Looks at the remote; `before` is what this run saw last.
    pub(super) fn look(&mut self, before: Option<&Look>) -> Result<Look, Error> {
        let early_records = early("gc-marks-before-records", || read_records(self.remote))?;
        self.remote.refresh_collection()?;
        let records = early_records.map_or_else(|| read_records(self.remote), Ok)?;
        let commits = (self.commits)().map_err(Error::Source)?;
        self.refresh_index()?;
        let packs = list_packs(self.remote)?;
        let marks: Vec<SeenMark> = self.remote.collection.marks().map(SeenMark::of).collect();
        let now = self.remote.backend().now()?;
        let place = self.remote.place();
        let aged = records.replaced(&place, self.options.project, now, self.options.rules.keep)?;
        let records = records.good;
        let mut look = Look {
            now,
            marked: marks.iter().flat_map(|mark| mark.packs.iter().copied()).collect(),
            marks,
            newest: BTreeMap::new(),
            aged,
            packs,
            live: Live::new(),
            bad: BTreeSet::new(),
            roots: 0,
            absent: 0,
            projects: BTreeMap::new(),
            pins: 0,
            others: BTreeSet::new(),
        };
        look.projects =
            projects::of_records(&records, self.remote.collection.forgets(), self.options.project);
        for (name, ..) in &records {
            let newest = look.newest.entry(name.client).or_default();
            *newest = name.seq.max(*newest);
        }
        self.doubt(&look, &records, before)?;
        let roots = self.roots(&mut look, records, commits);
        self.close(&mut look, &roots)?;
        Ok(look)
    }

    /// Brings the index up to date; only what is listed and readable counts.
    fn refresh_index(&mut self) -> Result<(), Error> {
        let refreshed = self.remote.refresh(self.reporter)?;
        let is_replaced = |name: &SegmentName| self.remote.catalog.covers_within(name, &|_| true);
        if let Some(name) = refreshed.unreadable.iter().find(|name| !is_replaced(name)) {
            let key = segment_key(name).as_str().into();
            return Err(Error::DamagedIndex { place: self.remote.place(), key });
        }
        for name in &refreshed.orphaned {
            self.remote.catalog.forget(name, &self.remote.state);
        }
        Ok(())
    }

    /// Refuses what cannot be right (R9, R22).
    fn doubt(&self, look: &Look, records: &[Record], before: Option<&Look>) -> Result<(), Error> {
        let doubt = |what| Err(Error::Implausible { place: self.remote.place(), what });
        let (now, here) = (look.now, self.options.now);
        let apart = age(now, here).max(age(here, now));
        if apart > CLOCKS_APART {
            return doubt(Doubt::Clocks { hours: apart.as_secs() / 3600 });
        }
        let stamps = look.packs.values().map(|stat| stat.modified);
        let stamps = stamps.chain(look.marks.iter().map(|mark| mark.put));
        let mut stamps = stamps.chain(records.iter().map(|(_, modified, _)| *modified));
        if stamps.any(|stamp| age(stamp, now) > FUTURE) {
            return doubt(Doubt::Future);
        }
        if records.is_empty() && !look.packs.is_empty() {
            return doubt(Doubt::NoRecords);
        }
        let Some(before) = before else { return Ok(()) };
        let has_newest = |client: &ClientId, seq: &u64| look.newest.get(client).is_some_and(|now| now >= seq);
        if !before.newest.iter().all(|(client, seq)| has_newest(client, seq)) {
            return doubt(Doubt::VanishedRecord);
        }
        // What was just put is listed, unless another collector deleted its packs and then it.
        let is_gone = |name: &MarkName| !look.marks.iter().any(|mark| mark.name == *name);
        let hidden = self.own_marks.iter().any(|name| {
            let packs = before.marks.iter().find(|mark| mark.name == *name).map(|mark| &mark.packs);
            is_gone(name) && packs.is_some_and(|packs| packs.iter().any(|id| look.packs.contains_key(id)))
        });
        if hidden { doubt(Doubt::HiddenMark) } else { Ok(()) }
    }

    /// What counts as needed (G2): records that are young, or of other projects, pins, and commits.
    fn roots(&self, look: &mut Look, records: Vec<Record>, commits: BTreeSet<Root>) -> BTreeSet<Root> {
        let mut roots = BTreeSet::new();
        let mut counted: BTreeMap<ClientId, u64> = BTreeMap::new();
        for (name, modified, record) in records {
            let age = age(look.now, modified);
            let is_last = look.newest.get(&name.client) == Some(&name.seq);
            let is_young = age < self.options.rules.keep || is_last && age < super::LAST_RECORD;
            // R7: what another project needs is known by its records alone.
            let counts = match look.projects.get(&record.project) {
                Some(project) => project.counts(look.now),
                None => is_young || record.project == ProjectId::PINS,
            };
            look.pins += u64::from(record.project == ProjectId::PINS);
            if counts {
                if self.options.forget.as_ref().is_some_and(|id| **id != *record.project.to_string()) {
                    look.others.extend(record.roots.iter().copied());
                }
                roots.extend(record.roots);
                let newest = counted.entry(name.client).or_default();
                *newest = name.seq.max(*newest);
            } else {
                look.aged.push(name.key());
            }
        }
        for root in commits {
            if !roots.contains(&root) && !self.is_there(look, root) {
                look.absent += 1;
            } else {
                roots.insert(root);
                look.others.insert(root);
            }
        }
        look.newest = counted;
        look.roots = roots.len() as u64;
        roots
    }

    /// Whether anything of what a commit names was ever pushed here.
    fn is_there(&self, look: &Look, root: Root) -> bool {
        let (hash, kinds): (_, &[RecordKind]) = match root {
            Root::File { id, .. } => (id.digest(), &[RecordKind::File, RecordKind::Recipe]),
            Root::Tree { id, .. } => (id.digest(), &[RecordKind::TreePage]),
            Root::Run(key) => (key.digest(), &[RecordKind::RunRecord]),
        };
        let catalog = &self.remote.catalog;
        let mut places = kinds.iter().flat_map(|kind| catalog.places(RecordKey { hash, kind: *kind }));
        places.any(|place| look.packs.contains_key(&catalog.pack(place.pack).0))
    }

    /// Finds every record that the roots need. One that is nowhere stops the run: what is left of it, or
    /// of what it leads to, is not known.
    fn close(&self, look: &mut Look, roots: &BTreeSet<Root>) -> Result<(), Error> {
        let mut found = RemoteCheck::default();
        let live = closure::check(self.remote, &look.packs, roots, &mut found)?;
        if let Some((root, lost)) = found.lost.first_key_value() {
            let path = lost.first().map_or("", |lost| &lost.path);
            let first = if path.is_empty() { root.to_string() } else { format!("{root}, `{path}`") };
            let place = self.remote.place();
            return Err(Error::Incomplete { place, count: found.lost.len(), first: first.into() });
        }
        look.live = live.into_iter().map(class).collect();
        look.bad = found.bad;
        Ok(())
    }
}

/// What is looked at too early where a test leaves out the rule `name`.
fn early<T>(name: &str, look: impl FnOnce() -> Result<T, Error>) -> Result<Option<T>, Error> {
    if fault::mutated(name) { look().map(Some) } else { Ok(None) }
}

impl SeenMark {
    fn of((name, packs, put): (MarkName, &[PackId], SystemTime)) -> SeenMark {
        SeenMark { name, packs: packs.to_vec(), put }
    }
}

/// A root record, and when it was written, by the store's clock.
pub(crate) type Record = (RootRecordName, SystemTime, RootRecord);

/// The root records of a remote.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) good: Vec<Record>,
    /// Those that cannot be read: what they need is not known (R9).
    pub(crate) damaged: Vec<(RootRecordName, SystemTime, RecordError)>,
}

impl Records {
    /// Of which project the clone is that wrote the damaged record `name`, if it has said since what it needs.
    pub(crate) fn followed(&self, name: &RootRecordName) -> Option<ProjectId> {
        let is_newer = |(other, _, record): &&Record| {
            other.client == name.client && other.seq > name.seq && record.project != ProjectId::PINS
        };
        self.good.iter().find(is_newer).map(|(_, _, record)| record.project)
    }

    /// The keys of damaged ones, if all are such as would not count any more: the clone has said since what
    /// it needs, and what it needed before counted for `keep`.
    fn replaced(
        &self,
        place: &str,
        own: ProjectId,
        now: SystemTime,
        keep: Duration,
    ) -> Result<Vec<Key>, Error> {
        let mut keys = Vec::new();
        for (name, modified, source) in &self.damaged {
            let project = self.followed(name);
            if project != Some(own) || age(now, *modified) < keep {
                return Err(Error::UnreadableRecord {
                    place: place.into(),
                    key: name.key().as_str().into(),
                    // R7: what another project needs its own collections know.
                    until: project.map(|project| (*modified + keep, project == own)),
                    source: source.clone(),
                });
            }
            keys.push(name.key());
        }
        Ok(keys)
    }
}

pub(crate) fn read_records(remote: &Remote) -> Result<Records, Error> {
    let backend = remote.backend();
    let listed = list_sorted(backend, ROOTS)?;
    let named: Vec<(RootRecordName, Listed)> =
        listed.into_iter().filter_map(|line| Some((RootRecordName::parse(&line.key)?, line))).collect();
    let one = |(name, line): &(RootRecordName, Listed)| {
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let bytes = match read(backend, &line.key, MAX_ROOT_RECORD) {
            Ok(bytes) => bytes,
            // Another collector deleted it since it was listed, as one that no longer counts.
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some((*name, line.modified, RootRecord::decode_named(*name, &bytes))))
    };
    let mut records = Records::default();
    for found in par::map(small_requests(backend), &named, one) {
        match found? {
            Some((name, modified, Ok(record))) => records.good.push((name, modified, record)),
            Some((name, modified, Err(source))) => records.damaged.push((name, modified, source)),
            None => {}
        }
    }
    Ok(records)
}

fn list_packs(remote: &Remote) -> Result<HashMap<PackId, Stat>, Error> {
    let listed: Result<Vec<Listed>, BackendError> = list_sorted(remote.backend(), PACKS);
    let stat =
        |line: Listed| Some((parse_pack_key(&line.key)?, Stat { size: line.size, modified: line.modified }));
    Ok(listed?.into_iter().filter_map(stat).collect())
}

impl Look {
    /// For each pack that `wanted` picks, the needed records that the index has in it.
    pub(super) fn needed(
        &self,
        remote: &Remote,
        wanted: &dyn Fn(&PackId) -> bool,
    ) -> HashMap<PackId, Vec<(RecordKey, Place)>> {
        let mut needed: HashMap<PackId, Vec<(RecordKey, Place)>> = HashMap::new();
        for (key, place) in remote.catalog.entries() {
            let (id, _) = remote.catalog.pack(place.pack);
            if self.live.contains(&class(key)) && wanted(&id) {
                needed.entry(id).or_default().push((key, place));
            }
        }
        for records in needed.values_mut() {
            records.sort_unstable();
            records.dedup();
        }
        needed
    }

    /// A place of `key` outside of `doomed` and of `pack`, in a pack that is there, not known to be bad.
    pub(super) fn other_place(
        &self,
        remote: &Remote,
        key: RecordKey,
        pack: PackId,
        doomed: &HashSet<PackId>,
    ) -> Option<Place> {
        let noted = remote.collection.noted(&key.hash);
        remote.catalog.places(key).find(|place| {
            let (id, len) = remote.catalog.pack(place.pack);
            let Some(stat) = self.packs.get(&id).filter(|stat| stat.size == len) else { return false };
            let is_doomed = doomed.contains(&id) && !fault::mutated("gc-marked-is-no-copy");
            let is_bad = [RecordKind::File, RecordKind::Chunk, key.kind]
                .iter()
                .any(|kind| self.bad.contains(&(RecordKey { kind: *kind, ..key }, id)));
            // A note is about the packs that were there when it was left.
            id != pack && !is_doomed && !is_bad && noted.is_none_or(|noted| stat.modified > noted)
        })
    }
}
