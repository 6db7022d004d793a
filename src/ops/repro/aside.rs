//! The outputs of a stage while its command runs: moved aside before, so that it starts without
//! them, and afterwards either gone for good or back (R21).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::fs::dir::Dir;
use crate::fs::journal::{Journal, move_between};
use crate::fs::rescue::{Kept, Rescue};
use crate::fs::walk::WalkEntry;
use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::model::stage::{Out, Stage};
use crate::model::tree::TreeEntry;
use crate::ops::copy_in::CopyIn;
use crate::ops::lock_entries::{AsideOut, EntryBefore, Record};
use crate::ops::present::WorkTreeState;
use crate::ops::scan::{Present, Scanned};
use crate::ops::{OpError, recover, trees};
use crate::repo::Repo;
use crate::report::Reporter;

/// What stood at the outputs of one stage.
pub(super) struct Aside {
    folder: Dir,
    outs: Vec<Previous>,
    rescue: Rescue,
}

struct Previous {
    path: RepoPath,
    present: Present,
    /// Its entries of which a byte would be lost if they went.
    unsaved: BTreeSet<Box<str>>,
}

impl Aside {
    /// Looks at the outputs and notes them in the journal, durably. [`Aside::take`] must follow.
    pub(super) fn note(
        repo: &Repo,
        state: &WorkTreeState<'_>,
        journal: &mut Journal,
        (target, stage): (&str, &Stage),
        (before, lock): (Option<EntryBefore>, Option<&StageLock>),
    ) -> Result<Aside, OpError> {
        let mut outs = Vec::new();
        for out in &stage.outs {
            let present = state.read(&out.path)?;
            let unsaved = unsaved(repo, out, &present, lock)?;
            outs.push(Previous { path: out.path.clone(), present, unsaved });
        }
        let noted = outs.iter().map(|out| AsideOut {
            path: out.path.to_string(),
            was_there: !out.present.is_absent(),
            // Of what comes there before it is moved, nobody knows anything.
            is_saved: !out.present.is_absent() && out.unsaved.is_empty(),
        });
        let record = Record::Aside { stage: target.to_owned(), before, outs: noted.collect() };
        journal.note(&record.line())?;
        // With it the stages that finished before become durable.
        journal.sync()?;
        let rescue = Rescue::new(Arc::clone(repo.mlv()), "mlv repro");
        Ok(Aside { folder: journal.aside()?, outs, rescue })
    }

    /// Moves the outputs aside, also those that came since the look: what stands there later, the command
    /// has made. After an error some may be there: [`Aside::put_back`].
    pub(super) fn take(&self, repo: &Repo) -> Result<(), OpError> {
        for out in &self.outs {
            move_between(repo.dir(), &self.folder, &out.path)?;
        }
        Ok(())
    }

    /// Gives the command copies of what it wants to find: outputs with `persist`. What lies aside stays
    /// there, for a run that fails must not have changed it.
    pub(super) fn copy_persistent(
        &self,
        repo: &Repo,
        stage: &Stage,
        reporter: &dyn Reporter,
    ) -> Result<(), OpError> {
        let outs = stage.outs.iter().zip(&self.outs);
        for (_, previous) in outs.filter(|(out, previous)| out.persist && !previous.present.is_absent()) {
            CopyIn::from_folder(&self.folder, &previous.path)?.copy(repo, reporter)?;
        }
        Ok(())
    }

    /// Moves what the command made to the folder `to`; returns whether there was anything.
    pub(super) fn keep_made(&self, repo: &Repo, to: &Dir) -> Result<bool, OpError> {
        let mut is_anything = false;
        for out in &self.outs {
            is_anything |= move_between(repo.dir(), to, &out.path)?;
        }
        Ok(is_anything)
    }

    /// Puts everything back, and what the command made instead to rescue; returns that.
    pub(super) fn put_back(self, repo: &Repo) -> Result<Vec<Kept>, OpError> {
        for out in &self.outs {
            let was_there = !out.present.is_absent();
            recover::restore(repo.dir(), &self.folder, &out.path, was_there, &self.rescue)?;
        }
        Ok(self.rescue.finish())
    }

    /// Lets everything go: what is not saved, to rescue; returns that.
    pub(super) fn let_go(self) -> Result<Vec<Kept>, OpError> {
        for out in &self.outs {
            let known: HashMap<&str, &Scanned> =
                out.present.entries().iter().map(|entry| (&*entry.path, entry)).collect();
            let is_saved = |found: &WalkEntry| {
                // An edit between the look and the move is not what was looked at.
                let is_untouched =
                    |known: &&Scanned| !known.kind.has_object() || known.stamp.has_same_bytes(&found.stamp);
                known.get(&*found.path).is_some_and(is_untouched) && !out.unsaved.contains(&found.path)
            };
            recover::remove_saved(&self.folder, &out.path, &is_saved, &self.rescue)?;
        }
        Ok(self.rescue.finish())
    }
}

/// The entries that the cache has not, or has wrong (R2); none of what the stage made and nobody keeps.
fn unsaved(
    repo: &Repo,
    out: &Out,
    present: &Present,
    lock: Option<&StageLock>,
) -> Result<BTreeSet<Box<str>>, OpError> {
    let entries = present.tree_entries();
    let info = match present {
        Present::Absent => return Ok(BTreeSet::new()),
        Present::File(_) => entries.first().map(trees::file_info),
        Present::Directory(_) => Some(trees::content_info(&trees::build(&out.path, &entries, None)?)),
    };
    let recorded = lock.and_then(|lock| lock.out(&out.path)).map(|made| made.content.id);
    if !out.cache && info.map(|info| info.id) == recorded {
        return Ok(BTreeSet::new());
    }
    let (cache, mut buffer) = (repo.cache()?, Vec::new());
    let mut is_lost =
        |entry: &TreeEntry| entry.kind.has_object() && !cache.is_sound(entry.hash.into(), &mut buffer);
    Ok(entries.iter().filter(|entry| is_lost(entry)).map(|entry| entry.path.clone()).collect())
}
