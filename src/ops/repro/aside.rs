//! The outputs of a stage while its command runs: moved aside before, so that it starts without
//! them, and afterwards either gone for good or back (R21).

use std::sync::Arc;

use crate::fs::dir::Dir;
use crate::fs::journal::{Journal, move_between};
use crate::fs::rescue::{Kept, Rescue};
use crate::fs::stamp::FileStamp;
use crate::fs::walk;
use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::model::stage::{Out, Stage};
use crate::ops::copy_in::CopyIn;
use crate::ops::lock_entries::{AsideOut, EntryBefore, Record};
use crate::ops::present::WorkTreeState;
use crate::ops::scan::Present;
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
    /// Whether nothing is lost if it goes.
    is_saved: bool,
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
            let is_saved = is_saved(repo, out, &present, lock)?;
            outs.push(Previous { path: out.path.clone(), present, is_saved });
        }
        let noted = outs.iter().map(|out| AsideOut {
            path: out.path.to_string(),
            was_there: !out.present.is_absent(),
            is_saved: out.is_saved,
        });
        let record = Record::Aside { stage: target.to_owned(), before, outs: noted.collect() };
        journal.note(&record.line())?;
        // With it the stages that finished before become durable.
        journal.sync()?;
        let rescue = Rescue::new(Arc::clone(repo.mlv()), "mlv repro");
        Ok(Aside { folder: journal.aside()?, outs, rescue })
    }

    /// Moves the outputs aside. After an error some may be there: [`Aside::put_back`].
    pub(super) fn take(&self, repo: &Repo) -> Result<(), OpError> {
        for out in self.outs.iter().filter(|out| !out.present.is_absent()) {
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
        for out in self.outs.iter().filter(|out| !out.present.is_absent()) {
            // An edit between the look and the move is not what was looked at.
            if out.is_saved && is_untouched(&self.folder, out)? {
                self.folder.remove_all(&out.path)?;
            } else {
                self.rescue.displace(&self.folder, &out.path, hash_of(&out.present))?;
            }
        }
        Ok(self.rescue.finish())
    }
}

fn hash_of(present: &Present) -> Option<crate::model::digest::Digest> {
    match present {
        Present::File(file) => file.hash,
        _ => None,
    }
}

/// Whether the cache has every byte, and has it right (R2), or the stage made it and nobody keeps it.
fn is_saved(repo: &Repo, out: &Out, present: &Present, lock: Option<&StageLock>) -> Result<bool, OpError> {
    let entries = present.tree_entries();
    let info = match present {
        Present::Absent => return Ok(true),
        Present::File(_) => entries.first().map(trees::file_info),
        Present::Directory(_) => Some(trees::content_info(&trees::build(&out.path, &entries, None)?)),
    };
    let recorded = lock.and_then(|lock| lock.out(&out.path)).map(|made| made.content.id);
    if !out.cache && info.map(|info| info.id) == recorded {
        return Ok(true);
    }
    let (cache, mut buffer) = (repo.cache()?, Vec::new());
    let mut objects = entries.iter().filter(|entry| entry.kind.has_object());
    Ok(objects.all(|entry| cache.is_sound(entry.hash.into(), &mut buffer)))
}

/// Whether what lies aside has the stamps that it had in its place.
fn is_untouched(aside: &Dir, out: &Previous) -> Result<bool, OpError> {
    let same = |old: &FileStamp, new: &FileStamp| old.has_same_bytes(new);
    match &out.present {
        Present::Absent => Ok(true),
        Present::File(file) => Ok(aside.stat(&out.path)?.is_some_and(|now| same(&file.stamp, &now))),
        Present::Directory(entries) => {
            let found = walk::walk(aside, &out.path, &|_, _| false, 1)?;
            let is_equal = |(old, new): (&crate::ops::scan::Scanned, &walk::WalkEntry)| {
                old.path == new.path && (!old.kind.has_object() || same(&old.stamp, &new.stamp))
            };
            Ok(found.unreadable.is_empty()
                && found.left_out.is_empty()
                && found.entries.len() == entries.len()
                && entries.iter().zip(&found.entries).all(is_equal))
        }
    }
}
