//! Finds pointers, pipelines and locks in the work tree, by one walk.
//!
//! A folder is listed, its files of mlv's are read, and only then its folders are looked at: so
//! an output is known before it would be entered, also where git ignores nothing. What a
//! directory of data holds costs nothing, however much it is.

use std::collections::HashSet;
use std::sync::Arc;

use super::Collector;
use super::reach::{Reach, is_repository};
use super::read::{self, Role};
use crate::fs;
use crate::fs::stamp::FileKind;
use crate::model::lockfile::Lockfile;
use crate::model::path::RepoPath;
use crate::model::place::Place;
use crate::model::pointer::{Pointer, PointerProblem};
use crate::model::yaml::{Limits, YamlProblem};
use crate::ops::OpError;
use crate::pipeline::parse;
use crate::repo::Repo;

/// Reads all of the work tree.
pub(super) fn work_tree(repo: &Repo) -> Result<Collector, OpError> {
    let mut walk = Walk {
        repo,
        reach: Reach::new(repo),
        outputs: HashSet::new(),
        found: Collector::default(),
        open: vec![RepoPath::root()],
    };
    while let Some(folder) = walk.open.pop() {
        walk.folder(&folder)?;
    }
    for error in walk.reach.take_errors() {
        walk.found.problem(&RepoPath::root(), error);
    }
    walk.leave_out_data()?;
    Ok(walk.found)
}

struct Walk<'a> {
    repo: &'a Repo,
    reach: Reach<'a>,
    /// Outputs declared so far, and names beside which a pointer stands.
    outputs: HashSet<RepoPath>,
    found: Collector,
    /// Folders still to be listed.
    open: Vec<RepoPath>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &RepoPath) -> Result<(), OpError> {
        let entries = match self.repo.dir().read_dir(folder) {
            Ok(entries) => entries,
            // It went away between two looks.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => {
                self.found.problem(folder, error);
                return Ok(());
            }
        };
        if !folder.is_root() && entries.iter().any(is_repository) {
            return Ok(());
        }
        for entry in entries.iter().filter(|entry| entry.kind != FileKind::Dir) {
            if let (Some(role), Ok(file)) = (Role::of(&entry.name), folder.join_str(&entry.name)) {
                self.file(&file, role);
            }
        }
        // From the last to the first onto a stack: the first in order is listed next.
        for entry in entries.iter().rev().filter(|entry| entry.kind == FileKind::Dir) {
            // A name that mlv could not store holds nothing of mlv's.
            if let Ok(path) = folder.join_str(&entry.name)
                && self.is_entered(&path)?
            {
                self.open.push(path);
            }
        }
        Ok(())
    }

    fn is_entered(&self, path: &RepoPath) -> Result<bool, OpError> {
        Ok(!self.outputs.contains(path) && self.reach.ignored(path)?.is_none())
    }

    fn file(&mut self, file: &RepoPath, role: Role) {
        let bytes = match self.repo.dir().read_file(file, role.limit()) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return,
            Err(fs::Error::TooLarge { .. }) if role == Role::Pointer => {
                let problem = YamlProblem::TooLarge { limit: Limits::POINTER.bytes };
                let error = Place::of_file(file.as_str()).with(PointerProblem::from(problem));
                return self.bad(file, role, error.into());
            }
            Err(error) => return self.bad(file, role, error.into()),
        };
        match role {
            Role::Pointer => match Pointer::parse(file, &bytes) {
                Ok(pointer) => {
                    self.outputs.insert(pointer.path.clone());
                    self.found.outs.push(read::out_of(file, pointer));
                }
                Err(error) => self.bad(file, role, error.into()),
            },
            Role::Pipeline => match parse::parse(file, &bytes, &read::WorkTreeValues(self.repo)) {
                Ok(pipeline) => {
                    let outs = pipeline.stages.iter().flat_map(|stage| &stage.outs);
                    self.outputs.extend(outs.map(|out| out.path.clone()));
                    self.found.pipelines.insert(file.clone(), Arc::new(pipeline));
                }
                Err(error) => self.bad(file, role, error.into()),
            },
            Role::Lock => match Lockfile::parse_marked(file, &bytes) {
                Ok(lock) => {
                    if let Some(conflict) = &lock.conflict {
                        self.found.problem(file, conflict.clone());
                    }
                    let outs = lock.stages.values().flat_map(|entry| &entry.outs);
                    self.outputs.extend(outs.map(|out| out.path.clone()));
                    self.found.locks.insert(file.parent().unwrap_or_else(RepoPath::root), Arc::new(lock));
                }
                Err(error) => self.bad(file, role, error.into()),
            },
        }
    }

    fn bad(&mut self, file: &RepoPath, role: Role, error: OpError) {
        match role {
            Role::Pipeline => self.found.broken.push(file.parent().unwrap_or_else(RepoPath::root)),
            Role::Pointer if self.is_foreign(file) => return,
            // The output of a pointer that cannot be read lies beside it all the same.
            Role::Pointer => {
                let output = file.as_str().strip_suffix(super::POINTER_SUFFIX);
                self.outputs.extend(output.and_then(|output| RepoPath::parse(output).ok()));
            }
            Role::Lock => {}
        }
        self.found.problem(file, error);
    }

    /// Whether a user says that a file which is called like a pointer is none: other programs have files of
    /// that name, too. What git tracks is told (R9).
    fn is_foreign(&self, file: &RepoPath) -> bool {
        let is_tracked = || self.repo.git().is_some_and(|git| git.is_tracked(file).unwrap_or(true));
        self.repo.ignore().is_ignored(file.as_str(), false) && !is_tracked()
    }

    /// Takes out files that lie in an output which became known only after they were read, as
    /// it happens where git ignores nothing: they are data. A file that git tracks is none, and
    /// the contradiction is reported instead.
    fn leave_out_data(&mut self) -> Result<(), OpError> {
        let repo = self.repo;
        let outputs = std::mem::take(&mut self.outputs);
        let is_data = |file: &RepoPath| -> Result<bool, OpError> {
            let mut above = file.parent();
            while let Some(folder) = above {
                if outputs.contains(&folder) {
                    return Ok(match repo.git() {
                        Some(git) => !git.is_tracked(file)?,
                        None => true,
                    });
                }
                above = folder.parent();
            }
            Ok(false)
        };
        let mut data = HashSet::new();
        let sources = self.found.outs.iter().map(|out| out.source.file());
        let files =
            sources.chain(self.found.pipelines.keys()).chain(self.found.problems.iter().map(|p| &p.file));
        for file in files {
            if is_data(file)? {
                data.insert(file.clone());
            }
        }
        self.found.outs.retain(|out| !data.contains(out.source.file()));
        self.found.pipelines.retain(|file, _| !data.contains(file));
        self.found.problems.retain(|problem| !data.contains(&problem.file));
        Ok(())
    }
}
