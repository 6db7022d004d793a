//! `status`: one answer to what changed, what is stale and what is missing.

mod data;
mod in_git;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::git::repo::GitRepo;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::ops::clash::{Clash, OutputClash};
use crate::ops::pointers::MAX_POINTER;
use crate::ops::remote_status::{Unequal, Whereabouts};
use crate::ops::scan::Scanner;
use crate::ops::state::{self, OutputState, Verdict};
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{History, POINTER_SUFFIX, Source, Tracked, TrackedOut};
use crate::ops::{
    OpError, leases, merge_error::MergeError, pointers, remote_status, stage_status, trees, unmerged,
};
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::Presence;
use crate::store::here::{Held, Here};
use crate::store::statindex::StatIndexUpdate;

pub use data::{DataStatus, Differences, Makers, Renamed};

/// A part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Stages against the lock.
    Pipeline,
    /// Data against pointers, pointers against HEAD.
    Data,
    /// What is not here.
    Cache,
    /// The cache against the remote.
    Remote,
}

/// What is asked of remotes: without it, `status` contacts none.
#[derive(Clone, Debug, Default)]
pub struct RemoteQuestion {
    /// The remote; each output's own if none is named.
    pub name: Option<String>,
    /// Whether the part that compares cache and remote is wanted.
    pub section: bool,
    /// Whether the data part is to list what is not on the remote.
    pub not_in_remote: bool,
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct StatusOptions {
    /// Which outputs and stages; all if none is named.
    pub targets: TargetOptions,
    /// Only this part.
    pub only: Option<Section>,
    /// Every entry of a directory instead of the directory.
    pub granular: bool,
    /// Also what is unchanged.
    pub unchanged: bool,
    /// What is asked of remotes.
    pub remote: Option<RemoteQuestion>,
}

/// An output of which only a part is here, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Partial {
    /// The output.
    pub path: String,
    /// Files here.
    pub here: u64,
    /// Files in all.
    pub total: u64,
    /// Whether the cache has the rest, so that `mlv checkout` brings it.
    pub cached: bool,
    /// Whether it stays with who made it (`push: false`), so that `mlv pull` brings nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

/// The answer. Empty parts are left out of the JSON form.
#[derive(Debug, Default, serde::Serialize)]
pub struct StatusReport {
    /// Stages by name, and what makes them run again, in DVC's form.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, Vec<serde_json::Value>>,
    /// Data and pointers.
    #[serde(skip_serializing_if = "DataStatus::is_empty")]
    pub data: DataStatus,
    /// Outputs that are not, or only partly, here. No difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<Partial>,
    /// What is not both in the cache and on the remote, in DVC's words; only where asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remote: BTreeMap<String, Whereabouts>,
    /// Outputs that come by name only, and that are not as recorded before they were named.
    #[serde(skip)]
    pub by_hand: BTreeSet<String>,
    /// How much of what is not both in the cache and on the remote.
    #[serde(skip)]
    pub unequal: BTreeMap<String, Unequal>,
    /// Files that cannot be used, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
    /// Whether the project has any output or stage.
    #[serde(skip)]
    pub has_outputs: bool,
}

impl StatusReport {
    /// Whether there is nothing to say but what is unchanged.
    pub fn is_empty(&self) -> bool {
        !self.has_differences() && self.cache.is_empty() && self.remote.is_empty()
    }

    /// Whether anything differs: what is not downloaded does not count.
    pub fn has_differences(&self) -> bool {
        let (unchanged, only_ignored) = (self.data.unchanged.clone(), self.data.only_ignored.clone());
        let unchanged = DataStatus { unchanged, only_ignored, ..DataStatus::default() };
        let is_lacking = self.remote.values().any(|whereabouts| *whereabouts != Whereabouts::Deleted);
        !self.stages.is_empty() || self.data != unchanged || is_lacking
    }
}

/// Looks; writes nothing but the stat index.
pub fn run(repo: &Repo, options: &StatusOptions, reporter: &dyn Reporter) -> Result<StatusReport, OpError> {
    let mut tracked = Tracked::load(repo)?;
    let mut report = StatusReport {
        has_outputs: !tracked.outs().is_empty()
            || tracked.pipelines().iter().any(|one| one.stages().next().is_some()),
        ..StatusReport::default()
    };
    let wants = |section| options.only.is_none_or(|only| only == section);
    let index = repo.stat_index();
    let scanner = Scanner::new(repo, &index, reporter);
    if wants(Section::Pipeline) {
        let stages = Scanner::new(repo, &index, reporter);
        match stage_status::run(repo, &tracked, &options.targets, stages) {
            Ok(changed) => report.stages = changed,
            // Stages that contradict each other do not keep the data from being judged.
            Err(error @ OpError::Graph(_)) => {
                let file = tracked.pipelines().first().map(|one| one.pipeline.file.clone());
                report.failed.push((file.unwrap_or_else(RepoPath::root), error));
            }
            Err(error) => return Err(error),
        }
    }
    if wants(Section::Data) || wants(Section::Cache) {
        let mut look = Look {
            repo,
            scanner,
            here: Here::load(repo.mlv()),
            presence: repo.cache()?.snapshot(),
            options,
            update: StatIndexUpdate::new(),
        };
        for selected in targets::outputs(repo, &tracked, &options.targets)? {
            if let Err(error) = look.output(selected.out, &mut report) {
                report.failed.push((selected.out.path.clone(), error));
            }
        }
        // Only saves time, and a work tree that cannot be written has a status too.
        let _ = repo.save_stat_index(&index, look.update);
    }
    report.failed.extend(targets::problems(repo, &mut tracked, &options.targets));
    tell_once(&mut report.failed);
    if wants(Section::Data) {
        against_head(repo, &tracked, options, &mut report)?;
    } else {
        report.data = DataStatus::default();
    }
    if options.targets.targets.is_empty() {
        name_unmerged(repo, options.only, &mut report)?;
        if wants(Section::Data) {
            let only_ignored = pointers::ignored_by_nobody(repo, &tracked)?;
            report.data.only_ignored = only_ignored.iter().map(ToString::to_string).collect();
        }
    }
    if !wants(Section::Cache) {
        report.cache.clear();
    }
    if let Some(question) = &options.remote {
        ask_remotes(repo, options, question, &mut report, reporter)?;
    }
    report.data.uncommitted.finish();
    report.data.edited.finish();
    Ok(report)
}

/// Takes out what the stages say of outputs that contradict each other, if the outputs say it, too.
fn tell_once(failed: &mut Vec<(RepoPath, OpError)>) {
    if failed.iter().any(|(_, error)| matches!(error, OpError::Clash(_))) {
        failed.retain(|(_, error)| !matches!(error, OpError::Graph(error) if error.problem.is_of_outputs()));
    }
}

/// The files that git has not merged and that look as if it had.
fn name_unmerged(repo: &Repo, only: Option<Section>, report: &mut StatusReport) -> Result<(), OpError> {
    for file in unmerged::left_as_a_side(repo)? {
        let section = if file.as_str().ends_with(POINTER_SUFFIX) { Section::Data } else { Section::Pipeline };
        let is_told = report.failed.iter().any(|(known, _)| *known == file);
        if only.is_none_or(|only| only == section) && !is_told {
            report.failed.push((file.clone(), MergeError::Left { file }.into()));
        }
    }
    Ok(())
}

/// What the remotes lack, and what only they have.
fn ask_remotes(
    repo: &Repo,
    options: &StatusOptions,
    question: &RemoteQuestion,
    report: &mut StatusReport,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let how = (question.name.as_deref(), options.granular);
    let status = remote_status::run(repo, &options.targets, how, reporter)?;
    // What the work tree's files are to blame for was told with the other parts.
    let told: HashSet<&RepoPath> = report.failed.iter().map(|(path, _)| path).collect();
    let news: Vec<_> = status.failed.into_iter().filter(|(path, _)| !told.contains(path)).collect();
    report.failed.extend(news);
    if question.not_in_remote {
        let lacking = status.unequal.iter().filter(|(_, one)| one.whereabouts != Whereabouts::Deleted);
        report.data.not_in_remote = lacking.map(|(path, _)| path.clone()).collect();
    }
    if question.section {
        report.remote = status.unequal.iter().map(|(path, one)| (path.clone(), one.whereabouts)).collect();
        report.unequal = status.unequal;
    }
    Ok(())
}

/// What is needed to look at outputs.
struct Look<'a> {
    repo: &'a Repo,
    scanner: Scanner<'a>,
    here: Here,
    presence: Presence,
    options: &'a StatusOptions,
    update: StatIndexUpdate,
}

impl Look<'_> {
    fn output(&mut self, out: &TrackedOut, report: &mut StatusReport) -> Result<(), OpError> {
        let Some(info) = &out.content else { return Ok(()) };
        let info = &self.as_kept(out, info)?;
        let state = state::examine(self.repo, &self.scanner, &self.here, (&out.path, info))?;
        state.present.note_fresh_stamps(&out.path, &mut self.update);
        if state.verdict.is_difference() && is_being_made(self.repo, &out.source) {
            report.data.being_made.push(data::shown(&out.path, info.id));
            return Ok(());
        }
        report.failed.extend(nested_pointers(self.repo, out, &state));
        let data = &mut report.data;
        let granular = self.options.granular;
        data.uncommitted.add_verdict(&out.path, info, &state.verdict, granular);
        let left = state.left_behind(self.repo, &self.here, (&out.path, info));
        if left.is_empty() {
            data.edited.add_edit(&out.path, (info, &out.source), &state.verdict, granular);
        } else {
            let path = data::shown(&out.path, info.id);
            if out.cache && !self.can_be_placed(out, info, &state) {
                data.to_pull.insert(path.clone());
            }
            data.not_checked_out.push(path);
            let own = Verdict::Directory(state.own_changes(&left));
            // Each by its own path: `add` of the whole directory is refused.
            data.edited.add_edit(&out.path, (info, &out.source), &own, true);
        }
        if !out.cache {
            return self.left_to_git((out, info), &state.present, data);
        }
        let path = data::shown(&out.path, info.id);
        self.beside_git((out, info), &state.present, data)?;
        let (complete, is_saved) = self.is_cached(info, &state);
        if out.pull_manual && !(complete && state.verdict != Verdict::NotHere) {
            report.by_hand.insert(path.clone());
        }
        let here = files_here(info, &state);
        if here > 0 && !is_saved && !state.verdict.is_difference() {
            data.not_in_cache.push(path.clone());
        }
        if state.verdict == Verdict::Same && complete && self.options.unchanged {
            data.unchanged.push(path.clone());
        }
        if let Some(total) = missing_here(info, &state) {
            let here = total.saturating_sub(recorded_and_absent(&state));
            report.cache.push(Partial { path, here, total, cached: complete, private: !out.push });
        }
        Ok(())
    }

    /// Whether the cache has what `checkout` would put in the place of another commit's files.
    fn can_be_placed(&self, out: &TrackedOut, info: &ContentInfo, state: &OutputState) -> bool {
        let (complete, is_saved) = self.is_cached(info, state);
        // Of what was here in part no more is wanted.
        let is_part = self.here.get(&out.path).is_none_or(|known| known.held != Held::All);
        complete || (state.recorded.is_some() && is_part && is_saved)
    }

    /// What is recorded of an output, but where git keeps it: that tells itself that a file can be executed,
    /// and neither `repro` nor `commit` have a say in it.
    fn as_kept(&self, out: &TrackedOut, info: &ContentInfo) -> Result<ContentInfo, OpError> {
        let stamp = if out.cache || info.id.is_tree() { None } else { self.repo.dir().stat(&out.path)? };
        let executable = stamp.map_or(info.executable, |stamp| stamp.mode_x);
        Ok(ContentInfo { executable, ..*info })
    }

    /// Whether the cache has everything that is recorded, and whether it has all of that which is
    /// here. Every leaf is asked for.
    fn is_cached(&self, info: &ContentInfo, state: &OutputState) -> (bool, bool) {
        // Without its tree nobody can say what a directory needs; what is here as recorded needs it.
        let Some(lacking) = state.uncached(&self.presence) else {
            return (false, state.verdict != Verdict::Same);
        };
        let has_root = !info.id.is_tree() || trees::is_here(&self.presence, info.id.digest());
        let absent: HashSet<&str> = match &state.verdict {
            Verdict::Directory(directory) => directory.not_here.iter().map(|entry| &*entry.path).collect(),
            _ => HashSet::new(),
        };
        let here = has_root && lacking.iter().all(|entry| absent.contains(&*entry.path));
        (has_root && lacking.is_empty(), here)
    }
}

/// Whether another process runs the stage that makes it.
fn is_being_made(repo: &Repo, source: &Source) -> bool {
    let Source::Stage { file, stage } = source else { return false };
    let address = StageAddress { file: file.clone(), name: stage.clone() };
    leases::holder(repo, &address.to_string()).is_some()
}

/// Pointers that were put into a tracked directory: what they track lies in two outputs then. Those
/// that are recorded are data like any other.
fn nested_pointers(repo: &Repo, out: &TrackedOut, state: &OutputState) -> Vec<(RepoPath, OpError)> {
    let Verdict::Directory(directory) = &state.verdict else { return Vec::new() };
    let added = directory.changes.iter().filter(|change| change.old.is_none());
    let files = added.filter(|change| change.path.ends_with(POINTER_SUFFIX));
    let nested = files.filter_map(|change| {
        let file = out.path.join_entry(&change.path);
        let bytes = repo.dir().read_file(&file, MAX_POINTER).ok()?;
        let inner = Pointer::parse(&file, &bytes).ok()?.path;
        let (outer, first) = (out.path.clone(), out.source.clone());
        let second = Source::Pointer { file: file.clone() };
        let is_nested = inner.starts_with(&outer);
        let clash = Clash::Nested { outer, inner, first, second };
        is_nested.then(|| (file, OutputClash { clash, place: None }.into()))
    });
    nested.collect()
}

fn files_here(info: &ContentInfo, state: &OutputState) -> u64 {
    match &state.verdict {
        Verdict::Same => info.nfiles.unwrap_or(1).max(1),
        Verdict::Directory(directory) => directory.files_here,
        _ => 0,
    }
}

/// The number of recorded files that are not here, never brought or deleted. What is here beside
/// them makes an output no more complete.
fn recorded_and_absent(state: &OutputState) -> u64 {
    let Verdict::Directory(directory) = &state.verdict else { return u64::MAX };
    let deleted = directory.changes.iter().filter(|change| change.new.is_none());
    let deleted = deleted.filter_map(|change| change.old.as_ref());
    directory.not_here.iter().chain(deleted).filter(|entry| entry.kind.is_file()).count() as u64
}

/// The number of files in all, if some were never here.
fn missing_here(info: &ContentInfo, state: &OutputState) -> Option<u64> {
    let total = info.nfiles.unwrap_or(1);
    match &state.verdict {
        Verdict::NotHere => Some(total),
        Verdict::Directory(directory) if !directory.not_here.is_empty() => Some(total),
        _ => None,
    }
}

/// Whether git's sparse checkout leaves out the file that records the output.
fn is_left_out(git: &GitRepo, old: &Tracked, path: &RepoPath) -> Result<bool, OpError> {
    let file = old.out(path).map(|out| old.recorded_in(&out.source));
    Ok(file.map_or(Ok(false), |file| git.is_left_out(file))?)
}

/// The recordings of HEAD beside those of the work tree.
fn against_head(
    repo: &Repo,
    tracked: &Tracked,
    options: &StatusOptions,
    report: &mut StatusReport,
) -> Result<(), OpError> {
    let Some(git) = repo.git() else { return Ok(()) };
    let old = match git.head()? {
        Some(head) => History::new(repo)?.at(head)?,
        None => Tracked::default(),
    };
    let everything = options.targets.targets.is_empty();
    let chosen: BTreeSet<RepoPath> = if everything {
        tracked.outs().iter().chain(old.outs()).map(|out| out.path.clone()).collect()
    } else {
        targets::outputs(repo, tracked, &options.targets)?.iter().map(|one| one.out.path.clone()).collect()
    };
    let content =
        |all: &Tracked, path| all.out(path).filter(|out| out.path == *path).and_then(|out| out.content);
    let is_unreadable = |file: &RepoPath| report.failed.iter().any(|(failed, _)| failed == file);
    let unreadable: BTreeSet<&RepoPath> = old
        .outs()
        .iter()
        .filter(|out| is_unreadable(tracked.recorded_in(&out.source)))
        .map(|out| &out.path)
        .collect();
    let disputed: BTreeSet<&RepoPath> = tracked.disputed().iter().map(|out| &out.path).collect();
    for path in &chosen {
        let (before, after) = (content(&old, path), content(tracked, path));
        // R9: a file that cannot be read says nothing, also not that anything went.
        if after.is_none()
            && (unreadable.contains(path) || disputed.contains(path) || is_left_out(git, &old, path)?)
        {
            continue;
        }
        let committed = &mut report.data.committed;
        committed.add_recorded(repo, path, (before.as_ref(), after.as_ref()), options.granular)?;
    }
    report.data.committed.finish();
    Ok(())
}
