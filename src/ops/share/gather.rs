//! What a transfer is about: the outputs of the work tree and, where asked for, those of commits.

use std::collections::{BTreeSet, HashSet};

use crate::error::{Advice, ErrorKind};
pub use crate::git::revision::Scope;
use crate::model::digest::RunKey;
use crate::model::lockfile::StageLock;
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::run::RunInputs;
use crate::model::stage::Stage;
use crate::ops::share::bring::Wish;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{History, Source, Tracked};
use crate::ops::{OpError, OutputError, unrecorded};
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// Which outputs, and of which commits besides the work tree.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Which outputs; all if none is named.
    pub targets: TargetOptions,
    /// The commits.
    pub scope: Scope,
}

/// Something that was recorded, and the remote that its output names.
#[derive(Debug)]
pub struct Item {
    /// The contents, or a part of them.
    pub wish: Wish,
    /// The remote that they belong to.
    pub remote: Option<Box<str>>,
    /// Whether they come only by name.
    pub pull_manual: bool,
}

/// A run of a stage whose outputs are among the items, and which may be known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownRun {
    /// The name of its record.
    pub key: RunKey,
    /// The remote that all its outputs belong to, but for those that git has.
    pub remote: Option<Box<str>>,
}

/// What was found, each content of an output once, those of the work tree first.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What is to be transferred.
    pub items: Vec<Item>,
    /// The runs that made them, each once.
    pub runs: BTreeSet<KnownRun>,
    /// What users track, if a lock names something else of it that is nowhere but in the work tree.
    pub unrecorded: BTreeSet<RepoPath>,
    /// Files of the work tree that could not be used, and why.
    pub failed: Vec<(RepoPath, OpError)>,
    /// Outputs that were meant and are not shared, with their contents.
    pub private: Vec<(RepoPath, ContentInfo)>,
    /// What was named, as far as it is a path.
    named: Vec<RepoPath>,
    seen: HashSet<(RepoPath, ContentId, Option<Box<str>>)>,
    warned: HashSet<String>,
}

/// Finds what `selection` means, as far as mlv keeps and shares it.
///
/// What cannot be read at a commit is a warning, said once: it may be decades old. Fails with
/// `NoSuchTarget` for a target that is nowhere, and with `NeedsGit` for commits in a project without git.
pub fn gather(repo: &Repo, selection: &Selection, reporter: &dyn Reporter) -> Result<Gathered, OpError> {
    let named = selection.targets.targets.iter().filter_map(|target| targets::path(repo, target).ok());
    let mut gathered = Gathered { named: named.collect(), ..Gathered::default() };
    let mut tracked = Tracked::load(repo)?;
    let here = gathered.add(repo, &tracked, &selection.targets);
    // What cannot be looked at is told by who needs it.
    gathered.unrecorded = unrecorded::named_by_locks(repo, &tracked, reporter).unwrap_or_default();
    let mut is_anywhere = here.is_ok();
    if here.is_ok() {
        gathered.failed = targets::problems(repo, &mut tracked, &selection.targets);
    }
    if !selection.scope.is_empty() {
        let mut history = History::new(repo)?;
        let mut commits = repo.require_git()?.commits(selection.scope)?;
        if let Err(error) = history.foresee(&commits) {
            // What the work tree names goes all the same.
            gathered.failed.push((RepoPath::root(), error));
            commits.clear();
        }
        for commit in commits {
            let mut tracked = history.at(commit)?;
            is_anywhere |= match gathered.add(repo, &tracked, &selection.targets) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::NoSuchTarget => false,
                Err(error) => return Err(error),
            };
            for (path, error) in targets::problems(repo, &mut tracked, &selection.targets) {
                gathered.warn(&path, &error, reporter);
            }
        }
    }
    if is_anywhere { Ok(gathered) } else { here.map(|()| gathered) }
}

/// The run that a lock entry tells of, if its record may be shared as a whole.
fn known_run(stage: &Stage, lock: &StageLock) -> Option<KnownRun> {
    let mut remotes = stage.outs.iter().filter(|out| out.cache).map(|out| &out.remote);
    // Where git has all that the stage makes, its record goes where outputs go that name no remote.
    let remote = remotes.next().cloned().flatten();
    let is_shared = !lock.is_stale() && stage.outs.iter().all(|out| out.push);
    if !is_shared || remotes.any(|other| *other != remote) {
        return None;
    }
    RunInputs::of(stage, lock).map(|inputs| KnownRun { key: inputs.key(), remote })
}

/// Tells what was named in vain beside something else.
pub fn warn_of(in_vain: &[(RepoPath, OpError)], reporter: &dyn Reporter) {
    for (_, error) in in_vain {
        reporter.event(&Event::Warning { message: error.to_string() });
    }
}

/// Whether its output names another remote than the one that was `named`.
fn is_elsewhere(item: &Item, named: Option<&str>) -> bool {
    item.remote.as_deref().zip(named).is_some_and(|(own, named)| own != named)
}

impl Gathered {
    /// What was named in vain: outputs that are not shared, or not by the remote that was `named` (R14).
    ///
    /// A folder or a stage is named in vain only where nothing of it is shared.
    pub fn in_vain(&self, named: Option<&str>) -> Vec<(RepoPath, OpError)> {
        let mut all = self.not_shared(named);
        let is_met = self.items.iter().any(|item| !is_elsewhere(item, named));
        all.retain(|(path, _)| !is_met || self.named.iter().any(|target| target.starts_with(path)));
        all
    }

    fn not_shared(&self, named: Option<&str>) -> Vec<(RepoPath, OpError)> {
        let private = self.private.iter().map(|(path, _)| {
            let path = path.clone();
            (path.clone(), OutputError::NotShared { path }.into())
        });
        let elsewhere = self.items.iter().filter(|item| is_elsewhere(item, named)).filter_map(|item| {
            let (own, named) = (item.remote.as_deref()?.to_owned(), named?.to_owned());
            let path = item.wish.output.clone();
            Some((path.clone(), OutputError::OtherRemote { path, own, named }.into()))
        });
        private.chain(elsewhere).collect()
    }

    fn add(&mut self, repo: &Repo, tracked: &Tracked, options: &TargetOptions) -> Result<(), OpError> {
        let mut stages = BTreeSet::new();
        for one in targets::outputs(repo, tracked, options)? {
            if let Source::Stage { file, stage } = &one.out.source {
                stages.insert((file.clone(), stage.clone()));
            }
            let Some(info) = one.out.content.filter(|_| one.out.cache) else { continue };
            if !one.out.push {
                self.private.push((one.out.path.clone(), info));
                continue;
            }
            let key = (one.out.path.clone(), info.id, one.out.remote.clone());
            // A part of what comes as a whole, or another part of it, is not looked for twice.
            if one.inside.is_empty() && !self.seen.insert(key) {
                continue;
            }
            self.items.push(Item {
                wish: Wish { output: one.out.path.clone(), info, inside: one.inside },
                remote: one.out.remote.clone(),
                pull_manual: one.out.pull_manual,
            });
        }
        for pipeline in tracked.pipelines() {
            let file = &pipeline.pipeline.file;
            let named = pipeline.stages().filter(|(stage, _)| {
                !stages.is_empty() && stages.contains(&(file.clone(), stage.name.clone()))
            });
            let runs = named.filter_map(|(stage, lock)| known_run(stage, lock?));
            self.runs.extend(runs);
        }
        Ok(())
    }

    fn warn(&mut self, path: &RepoPath, error: &OpError, reporter: &dyn Reporter) {
        let message = format!("left out of history: `{path}`: {error}");
        if self.warned.insert(message.clone()) {
            reporter.event(&Event::Warning { message });
        }
    }
}
