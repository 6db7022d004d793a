//! The present state of the work tree, as decisions about stages need it: contents and parameters,
//! each looked at once.

mod absent;
mod answers;
mod found;
mod matches;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::error::{Advice, ErrorKind};
use crate::fs::stamp::FileStamp;
use crate::model::digest::Digest;
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::repro::Bring;
use crate::ops::scan::{Present, Scanned, Scanner};
use crate::ops::state::{self, Verdict};
use crate::ops::tracked::{Source, Tracked, TrackedOut};
use crate::ops::{OpError, OutputError, held, links, trees};
use crate::pipeline::plan::CurrentParams;
use crate::repo::Repo;
use crate::report::{Event, Reporter};
use crate::store::Presence;
use crate::store::here::Here;
use crate::store::statindex::StatIndexUpdate;

pub use absent::Lag;
pub use found::Found;

/// Largest parameter file that is read, in bytes.
const MAX_PARAMS: u64 = 8 << 20;

/// What stands for data that a clone never downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// What is recorded of it, as far as mlv keeps it: `status` needs no data.
    AsRecorded,
    /// Data under pointers as recorded, outputs of stages as missing: `repro` brings those back.
    OutputsMissing,
}

/// The work tree, looked at as decisions ask for it; every answer is remembered.
pub struct WorkTreeState<'a> {
    repo: &'a Repo,
    tracked: &'a Tracked,
    /// The outputs that tell which empty folders count, and what a stage left out: those of the work tree that
    /// this one was made of.
    origin: &'a Tracked,
    scanner: Scanner<'a>,
    here: Here,
    absent: Absent,
    /// Whether what cannot be known without data is said to be unknown, instead of failing.
    allows_missing: bool,
    contents: RefCell<HashMap<RepoPath, Option<Found>>>,
    params: RefCell<HashMap<RepoPath, CurrentParams>>,
    /// What patterns match, by what is written.
    matches: RefCell<HashMap<RepoPath, Arc<[RepoPath]>>>,
    presence: RefCell<Option<Arc<Presence>>>,
    learned: RefCell<Learned>,
    left_behind: RefCell<BTreeSet<RepoPath>>,
    left_out: RefCell<BTreeSet<RepoPath>>,
    warned: RefCell<BTreeSet<RepoPath>>,
}

/// Hashes of files that were read, with stamps that prove them, and for the stat index.
#[derive(Default)]
struct Learned {
    hashes: HashMap<RepoPath, (FileStamp, Digest)>,
    update: StatIndexUpdate,
}

impl<'a> WorkTreeState<'a> {
    /// The state of `repo`'s work tree.
    pub fn new(
        repo: &'a Repo,
        tracked: &'a Tracked,
        scanner: Scanner<'a>,
        absent: Absent,
    ) -> WorkTreeState<'a> {
        WorkTreeState {
            repo,
            tracked,
            origin: tracked,
            scanner,
            here: Here::load(repo.mlv()),
            absent,
            allows_missing: absent == Absent::AsRecorded,
            contents: RefCell::default(),
            params: RefCell::default(),
            matches: RefCell::default(),
            presence: RefCell::default(),
            learned: RefCell::default(),
            left_behind: RefCell::default(),
            left_out: RefCell::default(),
            warned: RefCell::default(),
        }
    }

    /// The same, which says of what cannot be known without data that it is unknown, instead of failing;
    /// outputs inside a folder that is read count as recorded.
    pub fn allowing_missing(self, allows_missing: bool) -> WorkTreeState<'a> {
        WorkTreeState { allows_missing: self.allows_missing || allows_missing, ..self }
    }

    /// The same of a work tree in which nothing is tracked, and that was made of one with these outputs.
    pub fn made_from(self, tracked: &'a Tracked) -> WorkTreeState<'a> {
        WorkTreeState { origin: tracked, ..self }
    }

    /// Records what is at `path` now: a stage has made it, or it is about to be brought back.
    pub fn set(&self, path: &RepoPath, info: ContentInfo) {
        self.contents.borrow_mut().insert(path.clone(), Some(Found::recorded(info)));
        // It may be new there.
        self.matches.borrow_mut().clear();
    }

    /// Notes that a stage left its optional output `path` out, whatever was recorded of it before.
    pub fn leave_out(&self, path: &RepoPath) {
        self.left_out.borrow_mut().insert(path.clone());
    }

    /// Forgets what stands in the work tree: look again. Hashes that stamps prove are kept.
    pub fn forget_work_tree(&self) {
        self.contents.borrow_mut().clear();
        self.matches.borrow_mut().clear();
        self.params.borrow_mut().clear();
    }

    /// Forgets what the cache holds: look again.
    pub fn forget_cache(&self) {
        *self.presence.borrow_mut() = None;
    }

    /// Forgets everything: other processes may have changed the cache too.
    pub fn forget_all(&self) {
        self.forget_work_tree();
        self.forget_cache();
    }

    /// Warns once of each output that was looked at and is still that of another commit.
    pub fn warn_of_other_commits(&self, reporter: &dyn Reporter) {
        for output in std::mem::take(&mut *self.left_behind.borrow_mut()) {
            if self.warned.borrow_mut().insert(output.clone()) {
                let checkout = self.repo.shown_all(std::slice::from_ref(&output));
                let message =
                    format!("`{output}` is still the data of another commit (mlv checkout {checkout})");
                reporter.event(&Event::Warning { message });
            }
        }
    }

    /// Takes what was learned for the stat index.
    pub fn take_update(&self) -> StatIndexUpdate {
        std::mem::take(&mut self.learned.borrow_mut().update)
    }

    /// What is at `path`, as a lock records it; nothing if nothing counts as being there.
    pub fn found(&self, path: &RepoPath) -> Result<Option<Found>, OpError> {
        if let Some(found) = self.contents.borrow().get(path) {
            return Ok(*found);
        }
        let found = self.find(path)?;
        self.contents.borrow_mut().insert(path.clone(), found);
        Ok(found)
    }

    fn find(&self, path: &RepoPath) -> Result<Option<Found>, OpError> {
        if let Some((out, inside)) = self.tracked.containing(path)
            && let Some(info) = &out.content
            && !self.counts_as_missing(out)
        {
            return if inside.is_empty() {
                self.whole(out, info)
            } else {
                let present = self.read(path)?;
                let entries = present.tree_entries();
                let not_here = self.not_here((out, info), inside, &entries)?;
                self.note_left_behind((out, info), inside, entries);
                self.with(path, &present, not_here)
            };
        }
        let present = self.read(path)?.without_empty_folders(|entry| self.is_kept_folder(path, entry));
        let entries = present.tree_entries();
        let mut not_here = Vec::new();
        for out in self.tracked.below(path) {
            let (Some(info), Some(inside)) = (&out.content, out.path.strip_prefix(path)) else { continue };
            let present = trees::relative_to(&entries, inside);
            let missing = match self.counts_as_missing(out) {
                false => self.not_here((out, info), "", &present)?,
                // Nobody will bring it back before a stage reads what lies around it.
                true if self.allows_missing && present.is_empty() && out.path != *path => {
                    trees::read_content(self.repo, info, &out.path)?
                }
                true => continue,
            };
            not_here.extend(missing.into_iter().map(|entry| trees::placed_in(inside, entry)));
        }
        self.with(path, &present, not_here)
    }

    /// Whether the empty folder `entry` of `path` is one that mlv keeps. git keeps none: in a clone it is not
    /// there, and to the author it may be what git left of a folder, or one with what nobody tracks.
    fn is_kept_folder(&self, path: &RepoPath, entry: &str) -> bool {
        self.origin.containing(&path.join_entry(entry)).is_some_and(|(out, _)| out.cache)
    }

    /// What stands at `path`, every hash known.
    pub fn read(&self, path: &RepoPath) -> Result<Present, OpError> {
        let tracked = || {
            let Some((out, inside)) = self.tracked.containing(path) else { return Ok(Vec::new()) };
            let Some(info) = &out.content else { return Ok(Vec::new()) };
            let entries = trees::read_if_here(self.repo, info, &out.path)?.unwrap_or_default();
            Ok(trees::relative_to(&entries, inside))
        };
        let mut present = self.scanner.look(path, &tracked)?;
        if let Some(entry) = present.paths_of(Scanned::is_dangling).next() {
            return Err(OutputError::BrokenLink { path: path.join_entry(entry) }.into());
        }
        let mut learned = self.learned.borrow_mut();
        for entry in present.entries_mut().iter_mut().filter(|entry| entry.hash.is_none()) {
            let known = learned.hashes.get(&path.join_entry(&entry.path));
            entry.hash = known.filter(|(stamp, _)| *stamp == entry.contents_stamp()).map(|(_, hash)| *hash);
        }
        self.scanner.hash(path, &mut present, None)?;
        present.note_fresh_stamps(path, &mut learned.update);
        for (entry, stamp, hash) in present.fresh() {
            learned.hashes.insert(path.join_entry(entry), (stamp, hash));
        }
        Ok(present)
    }

    /// What is present, with what was recorded and never was here: absent is not deleted.
    fn with(
        &self,
        path: &RepoPath,
        present: &Present,
        not_here: Vec<TreeEntry>,
    ) -> Result<Option<Found>, OpError> {
        if not_here.is_empty() {
            return self.name(path, present);
        }
        let all = trees::without_filled_folders(trees::merge(not_here, present.tree_entries()));
        let info = match &all[..] {
            [file] if file.path.is_empty() && file.kind.has_object() => trees::file_info(file),
            _ => {
                let inside: Vec<TreeEntry> = all.into_iter().filter(|entry| !entry.path.is_empty()).collect();
                trees::content_info(&trees::build(path, &inside, None)?)
            }
        };
        Ok(Some(Found { is_partial: true, trace: Some(present.trace()), ..Found::recorded(info) }))
    }

    /// The entries at `inside` of an output that are recorded, absent, and never were here; they and
    /// `present` are relative to `inside`.
    fn not_here(
        &self,
        (out, info): (&TrackedOut, &ContentInfo),
        inside: &str,
        present: &[TreeEntry],
    ) -> Result<Vec<TreeEntry>, OpError> {
        let part = if inside.is_empty() { Vec::new() } else { vec![inside.into()] };
        let recorded = match trees::read_part(self.repo, info, &out.path, &part) {
            // Without the list nothing is known to lack: `status` takes what is here.
            Err(error)
                if error.is_not_downloaded() && !present.is_empty() && self.absent == Absent::AsRecorded =>
            {
                return Ok(Vec::new());
            }
            other => trees::relative_to(&other?, inside),
        };
        let placed = trees::relative_to(&held::placed(self.repo, &self.here, &out.path), inside);
        // A file in the place of a folder, or the reverse, is the user's own.
        Ok(held::kept_entries(&recorded, present, &placed).unwrap_or_default())
    }

    /// The first symlink at or below `path` that leads out of it.
    pub fn link_out(&self, path: &RepoPath) -> Result<Option<RepoPath>, OpError> {
        links::leading_out(self.repo, path, &self.read(path)?)
    }

    /// Notes an output of which the entries at `inside`, relative to it, stand as another commit has them.
    fn note_left_behind(
        &self,
        (out, info): (&TrackedOut, &ContentInfo),
        inside: &str,
        entries: Vec<TreeEntry>,
    ) {
        if held::is_current(&self.here, &out.path, info.id) {
            return;
        }
        let entries: Vec<TreeEntry> =
            entries.into_iter().map(|entry| trees::placed_in(inside, entry)).collect();
        let recorded = trees::read_part(self.repo, info, &out.path, &[inside.into()]).unwrap_or_default();
        let left = held::left_behind(self.repo, &self.here, (&out.path, info.id), (&recorded, &entries));
        if left.is_ok_and(|left| !left.is_empty()) {
            self.left_behind.borrow_mut().insert(out.path.clone());
        }
    }

    /// The name of what is present.
    fn name(&self, path: &RepoPath, present: &Present) -> Result<Option<Found>, OpError> {
        let entries = present.tree_entries();
        let info = match present {
            Present::Absent => None,
            Present::File(_) => entries.first().map(trees::file_info),
            Present::Directory(_) => Some(trees::content_info(&trees::build(path, &entries, None)?)),
        };
        let is_link = links::leading_out(self.repo, path, present)?.is_some();
        let trace = Some(present.trace());
        Ok(info.map(|info| Found { is_link, trace, ..Found::recorded(info) }))
    }

    fn whole(&self, out: &TrackedOut, info: &ContentInfo) -> Result<Option<Found>, OpError> {
        let found = state::examine(self.repo, &self.scanner, &self.here, (&out.path, info))?;
        found.present.note_fresh_stamps(&out.path, &mut self.learned.borrow_mut().update);
        if !found.left_behind(self.repo, &self.here, (&out.path, info)).is_empty() {
            self.left_behind.borrow_mut().insert(out.path.clone());
        }
        let trace = Some(found.present.trace());
        let recorded = |is_partial| Ok(Some(Found { is_partial, trace, ..Found::recorded(*info) }));
        match &found.verdict {
            Verdict::Same => recorded(false),
            Verdict::NotHere => recorded(true),
            // Only partly here, and what is here did not change.
            verdict @ Verdict::Directory(_) if !verdict.is_difference() => recorded(true),
            verdict => {
                let is_partial = matches!(verdict, Verdict::Directory(state) if !state.not_here.is_empty());
                let named = self.name(&out.path, &found.present)?;
                Ok(named.map(|found| Found { is_partial, ..found }))
            }
        }
    }

    /// Whether a stage makes what is at `path`, or some of it.
    pub fn is_made(&self, path: &RepoPath) -> bool {
        let of_stage = |out: &TrackedOut| matches!(out.source, Source::Stage { .. });
        self.tracked.containing(path).is_some_and(|(out, _)| of_stage(out))
            || self.tracked.below(path).any(of_stage)
    }

    /// Whether the output is what stands there, and no more. What git keeps is here wherever the lock is, or
    /// nobody has it: nothing brings it but a run.
    fn counts_as_missing(&self, out: &TrackedOut) -> bool {
        matches!(out.source, Source::Stage { .. }) && (self.absent == Absent::OutputsMissing || !out.cache)
    }

    /// Whether the file, which is not there, is recorded and was never here.
    fn may_be_missing(&self, file: &RepoPath) -> Result<bool, OpError> {
        if !self.allows_missing {
            return Ok(false);
        }
        let Some((out, _)) = self.tracked.containing(file) else { return Ok(false) };
        if self.counts_as_missing(out) {
            return Ok(out.content.is_some());
        }
        match self.found(file) {
            Ok(found) => Ok(found.is_some_and(|found| found.is_partial)),
            Err(error) if error.is_not_downloaded() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// How what is recorded at `path` comes here, if anything is.
    pub fn bring(&self, path: &RepoPath) -> Option<Bring> {
        let at = self.tracked.at(path).into_iter().map(|(out, _)| out);
        let outs: Vec<&TrackedOut> = at.filter(|out| out.content.is_some()).collect();
        if outs.is_empty() {
            return None;
        }
        let is_in_cache = outs
            .iter()
            .filter_map(|out| out.content.as_ref())
            .all(|info| self.has_all(info).unwrap_or(false));
        Some(Bring { path: path.clone(), is_in_cache })
    }

    /// Whether the cache has all of it.
    fn has_all(&self, content: &ContentInfo) -> Result<bool, OpError> {
        let presence = self.presence()?;
        match content.id {
            ContentId::File(id) => Ok(presence.has_object(id.digest())),
            ContentId::Tree(id) => match trees::read(self.repo, id, &RepoPath::root()) {
                Ok(entries) => Ok(entries
                    .iter()
                    .all(|entry| !entry.kind.has_object() || presence.has_object(entry.hash))),
                Err(error) if matches!(error.kind(), ErrorKind::NotDownloaded | ErrorKind::Damaged) => {
                    Ok(false)
                }
                Err(error) => Err(error),
            },
        }
    }

    fn presence(&self) -> Result<Arc<Presence>, OpError> {
        if let Some(presence) = &*self.presence.borrow() {
            return Ok(presence.clone());
        }
        let presence = Arc::new(self.repo.cache()?.snapshot());
        *self.presence.borrow_mut() = Some(presence.clone());
        Ok(presence)
    }
}
