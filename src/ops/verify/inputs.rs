//! What a stage reads, put into its clean work tree: from the cache what mlv tracks, else from the work
//! tree. Wherever it comes from, in the end it must be what the lock says.

use std::collections::BTreeMap;

use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::model::tree::EntryKind;
use crate::ops::fetch::by_remote;
use crate::ops::place::{Manner, Planner, Wanted};
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::repro::StageError;
use crate::ops::scan::{Present, Scanner};
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::{self, Access};
use crate::ops::stage_inputs::Inputs;
use crate::ops::tracked::{Tracked, TrackedOut};
use crate::ops::verify::VerifyError;
use crate::ops::verify::tree::CleanTree;
use crate::ops::{OpError, trees, unrecorded};
use crate::pipeline::plan::MissingInput;
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::Presence;

/// Something that is wanted, and the remote that its output names.
type OfRemote = (Option<Box<str>>, Wanted);

/// Where inputs come from.
pub(super) struct Sources<'a> {
    pub(super) repo: &'a Repo,
    pub(super) tracked: &'a Tracked,
    /// What stands in the work tree, which is what the lock says as far as it is there.
    pub(super) state: &'a WorkTreeState<'a>,
    pub(super) reporter: &'a dyn Reporter,
}

impl Sources<'_> {
    /// Puts what `stage` reads into `tree`, and checks that it is what its lock entry says.
    pub(super) fn place(
        &self,
        tree: &CleanTree,
        (target, stage): (&str, &Stage),
        lock: &StageLock,
        pull: bool,
    ) -> Result<(), OpError> {
        let deps = lock.deps.iter().map(|dep| &dep.path);
        let paths: Vec<&RepoPath> = deps.chain(stage.params.iter().map(|params| &params.file)).collect();
        tree.copy_ignore_files(self.repo, &paths)?;
        let wanted = self.wanted(&paths)?;
        if pull {
            self.pull(&wanted)?;
        }
        self.place_cached(tree, wanted)?;
        for path in &paths {
            self.copy(tree, path)?;
        }
        self.check(tree, (target, stage), lock)
    }

    /// The recorded outputs, or parts of them, of which the inputs consist.
    fn wanted(&self, paths: &[&RepoPath]) -> Result<Vec<OfRemote>, OpError> {
        let mut parts: BTreeMap<&RepoPath, (&TrackedOut, Vec<Box<str>>)> = BTreeMap::new();
        for &path in paths {
            for (out, inside) in self.tracked.at(path).into_iter().filter(|(out, _)| out.cache) {
                // The lock names what was read in the work tree, recorded or not.
                if unrecorded::is_edited(self.repo, self.state, (out, inside))? {
                    continue;
                }
                parts.entry(&out.path).or_insert((out, Vec::new())).1.push(inside.into());
            }
        }
        let wanted = parts.into_values().filter_map(|(out, mut inside)| {
            if inside.iter().any(|path| path.is_empty()) {
                inside.clear();
            }
            Some((out.remote.clone(), Wanted { output: out.path.clone(), info: Some(out.content?), inside }))
        });
        Ok(wanted.collect())
    }

    /// Fetches what the cache lacks.
    fn pull(&self, wanted: &[OfRemote]) -> Result<(), OpError> {
        let presence = self.repo.cache()?.snapshot();
        let mut wishes = Vec::new();
        for (remote, Wanted { output, info, inside }) in wanted {
            let Some(info) = *info else { continue };
            let wish = Wish { output: output.clone(), info, inside: inside.clone() };
            if !is_cached(self.repo, &presence, &wish)? {
                wishes.push((remote.clone(), wish));
            }
        }
        for (name, wishes) in by_remote(wishes, None) {
            if wishes.is_empty() {
                continue;
            }
            let mut from = share::open(self.repo, name.as_deref(), Access::Read, self.reporter)?;
            let brought = bring::bring(self.repo, &mut from, &wishes, self.reporter)?;
            if let Some((_, error)) = brought.failed.into_iter().next() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn place_cached(&self, tree: &CleanTree, wanted: Vec<OfRemote>) -> Result<(), OpError> {
        let planner = Planner::new(&tree.repo, self.reporter)?;
        let mut plans = Vec::new();
        for (_, wanted) in wanted {
            let Some(info) = wanted.info else { continue };
            let wish = Wish { output: wanted.output.clone(), info, inside: wanted.inside.clone() };
            if is_cached(self.repo, planner.presence(), &wish)? {
                plans.push(planner.plan(wanted, Manner::default())?);
            }
        }
        for placed in planner.apply(plans, "mlv verify")? {
            if let Some((_, error)) = placed.failed.into_iter().next() {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Copies from the work tree what is not there yet.
    fn copy(&self, tree: &CleanTree, path: &RepoPath) -> Result<(), OpError> {
        let index = self.repo.stat_index();
        let scanner = Scanner::new(self.repo, &index, self.reporter);
        let tracked = || {
            let Some((out, inside)) = self.tracked.containing(path) else { return Ok(Vec::new()) };
            let Some(info) = &out.content else { return Ok(Vec::new()) };
            let entries = trees::read_if_here(self.repo, info, &out.path)?.unwrap_or_default();
            Ok(trees::relative_to(&entries, inside))
        };
        let present = scanner.look(path, &tracked)?;
        tree.copying(self.repo, |copying| {
            if matches!(present, Present::Directory(_)) {
                copying.make_folder(path)?;
            }
            for entry in present.entries() {
                let full = path.join_entry(entry.path.trim_end_matches('/'));
                match entry.kind {
                    EntryKind::EmptyDir => copying.make_folder(&full)?,
                    _ => copying.copy(&full)?,
                }
            }
            Ok(())
        })
    }

    /// Whether `tree` has what the lock entry says: what was copied may have changed meanwhile.
    fn check(
        &self,
        tree: &CleanTree,
        (target, stage): (&str, &Stage),
        lock: &StageLock,
    ) -> Result<(), OpError> {
        let index = tree.repo.stat_index();
        let scanner = Scanner::new(&tree.repo, &index, self.reporter);
        let nothing = Tracked::default();
        let state = WorkTreeState::new(&tree.repo, &nothing, scanner, Absent::OutputsMissing);
        let state = state.made_from(self.tracked);
        let after = match Inputs::read(stage, target, &state) {
            Err(OpError::Stage(error)) => return Err(self.not_here(target, *error)),
            after => after?,
        };
        let before = Inputs::recorded(lock);
        match before.changed(&after) {
            // A part of it was neither in the cache nor in the work tree.
            Some(path) if self.is_tracked(&path) && !self.is_whole(&path)? => {
                Err(VerifyError::InputNotHere { stage: target.into(), path, is_tracked: true }.into())
            }
            Some(path) if self.is_recorded(&path)? => {
                Err(VerifyError::InputNotRecorded { stage: target.into(), path }.into())
            }
            Some(path) => Err(VerifyError::InputChanged { stage: target.into(), path }.into()),
            None => Ok(()),
        }
    }

    fn not_here(&self, target: &str, error: StageError) -> OpError {
        let StageError::MissingInputs { missing, .. } = &error else { return error.into() };
        let Some(MissingInput::File { path }) = missing.first() else { return error.into() };
        let (path, is_tracked) = (path.clone(), self.is_tracked(path));
        VerifyError::InputNotHere { stage: target.into(), path, is_tracked }.into()
    }

    /// Whether some of what is at `path` is mlv's.
    fn is_tracked(&self, path: &RepoPath) -> bool {
        self.tracked.containing(path).is_some() || self.tracked.below(path).next().is_some()
    }

    /// Whether all of what is at `path` was placed as it is recorded, and none as it stands in the work tree.
    fn is_recorded(&self, path: &RepoPath) -> Result<bool, OpError> {
        let outs = self.tracked.at(path);
        for one in &outs {
            if unrecorded::is_edited(self.repo, self.state, *one)? {
                return Ok(false);
            }
        }
        Ok(!outs.is_empty())
    }

    /// Whether the cache has all of what mlv tracks at `path`.
    fn is_whole(&self, path: &RepoPath) -> Result<bool, OpError> {
        let presence = self.repo.cache()?.snapshot();
        for (_, Wanted { output, info, inside }) in self.wanted(&[path])? {
            let Some(info) = info else { continue };
            if !is_cached(self.repo, &presence, &Wish { output, info, inside })? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether the cache has all of what is wished for.
fn is_cached(repo: &Repo, presence: &Presence, wish: &Wish) -> Result<bool, OpError> {
    match trees::read_part(repo, &wish.info, &wish.output, &wish.inside) {
        Ok(entries) => {
            Ok(entries.iter().all(|entry| !entry.kind.has_object() || presence.has_object(entry.hash)))
        }
        Err(error) if error.is_not_downloaded() => Ok(false),
        Err(error) => Err(error),
    }
}
