//! The clean work tree of one stage, and how files of the user's get there: as copies, so that nothing
//! that a command does reaches the originals.

use std::path::Path;

use crate::fs::dir::Dir;
use crate::fs::ignore::IGNORE_FILE;
use crate::fs::place::{Placer, Spot};
use crate::fs::rescue::Rescue;
use crate::fs::staging::Staging;
use crate::fs::stamp::FileKind;
use crate::fs::{self, atomic};
use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::ops::tracked::{Source, Tracked};
use crate::ops::{OpError, copy_in};
use crate::repo::Repo;
use crate::report::{NoReport, Reporter, Task, Unit, interrupted};

/// The project's settings, below mlv's own folder.
const SETTINGS: &str = "config.toml";
/// Largest file of settings.
const MAX_SETTINGS: u64 = 1 << 20;

/// A work tree without anything in it but mlv's own folder.
pub(super) struct CleanTree {
    pub(super) repo: Repo,
}

impl CleanTree {
    /// Makes the empty folder `folder` one.
    pub(super) fn new(project: &Repo, folder: &Path) -> Result<CleanTree, OpError> {
        let repo = project.in_tree(folder)?;
        // For commands that look for the project.
        match project.mlv().read_file(&RepoPath::own(SETTINGS), MAX_SETTINGS) {
            Ok(bytes) => atomic::write_hint(repo.mlv(), &RepoPath::own(SETTINGS), &[&bytes])?,
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(CleanTree { repo })
    }

    /// Copies the files that git tracks, as they stand in the work tree, but for outputs of stages: these
    /// are there only if the stage reads them.
    pub(super) fn copy_tracked(&self, project: &Repo, tracked: &Tracked) -> Result<(), OpError> {
        let Some(git) = project.git() else { return Ok(()) };
        let is_made = |path: &RepoPath| {
            tracked.containing(path).is_some_and(|(out, _)| matches!(out.source, Source::Stage { .. }))
        };
        let paths = git.tracked_below(&RepoPath::root(), usize::MAX)?;
        self.copying(project, |copying| {
            paths.iter().filter(|path| !is_made(path)).try_for_each(|path| copying.copy(path))
        })
    }

    /// Copies the rules that say what of its inputs is left out, tracked or not.
    pub(super) fn copy_ignore_files(&self, project: &Repo, inputs: &[&RepoPath]) -> Result<(), OpError> {
        let name = RepoPath::own(IGNORE_FILE);
        self.copying(project, |copying| {
            copying.copy(&name)?;
            for input in inputs {
                let mut above = input.parent();
                while let Some(folder) = above {
                    copying.copy(&folder.join(&name))?;
                    above = folder.parent();
                }
            }
            Ok(())
        })
    }

    /// Makes the folders that a stage relies on: that in which it runs, and those of its outputs.
    pub(super) fn make_folders(&self, stage: &Stage) -> Result<(), OpError> {
        let parents = stage.outs.iter().filter_map(|out| out.path.parent());
        for folder in parents.chain([stage.wdir.clone()]).filter(|folder| !folder.is_root()) {
            self.repo.dir().create_dir_all(&folder)?;
        }
        Ok(())
    }

    /// Copies what `body` says from the work tree of `project`.
    pub(super) fn copying(
        &self,
        project: &Repo,
        body: impl FnOnce(&mut Copying<'_>) -> Result<(), OpError>,
    ) -> Result<(), OpError> {
        let staging = Staging::create(self.repo.temporary()?)?;
        // Nothing is in the way in a tree of this process's own.
        let rescue = Rescue::new(self.repo.mlv().clone(), "mlv verify");
        let (from, to) = (project.dir(), self.repo.dir());
        body(&mut Copying { from, to, placer: Placer::new(to, &staging, &rescue), can_clone: true })
    }
}

/// Copies files under their paths.
pub(super) struct Copying<'a> {
    from: &'a Dir,
    to: &'a Dir,
    placer: Placer<'a>,
    /// Whether files of this file system can share their blocks, as far as is known.
    can_clone: bool,
}

impl Copying<'_> {
    /// Copies a file or symlink, unless it is gone or has a copy already.
    pub(super) fn copy(&mut self, path: &RepoPath) -> Result<(), OpError> {
        if interrupted() {
            return Err(OpError::Interrupted);
        }
        let stamp = match self.from.stat(path) {
            Ok(Some(stamp)) => stamp,
            // A symlink or a file has taken the place of a folder above it: git calls that deleted.
            Ok(None) | Err(fs::Error::SymlinkInPath { .. } | fs::Error::NotAFolder { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if self.to.stat(path)?.is_some() {
            return Ok(());
        }
        match stamp.kind {
            FileKind::File => self.copy_file(path),
            FileKind::Symlink => {
                let draft = self.placer.draft_symlink(Spot::Alone, &self.from.read_link(path)?)?;
                self.placer.put_new(draft, path)?;
                Ok(())
            }
            // A repository inside, of which git knows the commit alone; pipes and devices hold nothing.
            _ => Ok(()),
        }
    }

    /// Makes a folder, with those above it.
    pub(super) fn make_folder(&mut self, path: &RepoPath) -> Result<(), OpError> {
        self.placer.make_folder(path)?;
        Ok(())
    }

    fn copy_file(&mut self, path: &RepoPath) -> Result<(), OpError> {
        let (mut source, stamp) = self.from.open_file_stamped(path)?;
        let mut draft = self.placer.draft(Spot::Alone, stamp.mode_x)?;
        if let Some(target) = draft.file() {
            self.can_clone = self.can_clone && (stamp.size == 0 || target.clone_from(&source).is_ok());
            if !self.can_clone {
                let meter = NoReport.meter(Task { verb: "Copying", unit: Unit::Bytes, total: None });
                let copied = copy_in::copy_bytes(&mut source, target, &self.from.full(path), &*meter);
                if let Err(error) = copied {
                    self.placer.discard(draft);
                    return Err(error);
                }
            }
        }
        self.placer.put_new(draft, path)?;
        Ok(())
    }
}
