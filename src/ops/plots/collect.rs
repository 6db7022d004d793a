//! The files of plots in one state of the project.

use crate::fs::stamp::FileKind as Found;
use crate::model::object::ContentId;
use crate::model::path::RepoPath;
use crate::ops::revisions::At;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, contents, trees};
use crate::plots::{self, FileKind, MAX_FILE, PlotError, Source};
use crate::repo::Repo;

/// A state, and what mlv owned in it.
pub(super) struct State<'a> {
    pub(super) repo: &'a Repo,
    /// What it is called.
    pub(super) name: String,
    pub(super) at: At,
    pub(super) tracked: Tracked,
}

impl State<'_> {
    /// The bytes of a file; nothing if it is not there.
    pub(super) fn bytes(&self, file: &RepoPath) -> Result<Option<Vec<u8>>, OpError> {
        contents::read(self.repo, (&self.tracked, self.at), file, MAX_FILE)
    }

    /// The points of those of the files that are there.
    pub(super) fn source(&self, files: &[RepoPath], has_header: bool) -> Result<Source, OpError> {
        let mut source = Source { revision: self.name.clone(), ..Source::default() };
        for file in files {
            let Some(FileKind::Table(table)) = FileKind::of(file) else {
                return Err(PlotError::Kind { file: file.clone() }.into());
            };
            if let Some(bytes) = self.bytes(file)? {
                source.files.insert(file.clone(), plots::read(file, table, has_header, &bytes)?);
            }
        }
        Ok(source)
    }

    /// The file at `path`, or those of a folder, sorted.
    pub(super) fn files_at(&self, path: &RepoPath) -> Result<Vec<RepoPath>, OpError> {
        if let At::WorkTree = self.at {
            let mut found = Vec::new();
            self.walk(path, &mut found)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if let Some((out, inside)) = self.tracked.containing(path).filter(|(out, _)| out.cache)
            && let Some(info) = &out.content
        {
            if let ContentId::File(_) = info.id {
                return Ok(vec![path.clone()]);
            }
            let entries = trees::read_part(self.repo, info, &out.path, &[inside.into()])?;
            let files = entries.iter().filter(|entry| entry.kind.is_file());
            return Ok(files.map(|entry| out.path.join_entry(&entry.path)).collect());
        }
        match self.at {
            At::Commit(commit) => {
                let entries = self.repo.require_git()?.entries_at(commit, path)?;
                let files = entries.iter().filter(|entry| entry.kind.is_file());
                Ok(files.map(|entry| path.join_entry(&entry.path)).collect())
            }
            At::WorkTree | At::Nothing => Ok(Vec::new()),
        }
    }

    fn walk(&self, path: &RepoPath, found: &mut Vec<RepoPath>) -> Result<(), OpError> {
        match self.repo.dir().stat(path)?.map(|stamp| stamp.kind) {
            Some(Found::File) => found.push(path.clone()),
            Some(Found::Dir) => {
                for entry in self.repo.dir().read_dir(path)? {
                    self.walk(&path.join_entry(&entry.name), found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
