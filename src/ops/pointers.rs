//! Writes pointers and the ignore lines that go with them: the commit point of recordings (I1).

use std::collections::BTreeMap;

use crate::fs::atomic;
use crate::fs::lock::MetaLock;
use crate::git::ignore::{Outcome, update as update_ignore_file};
use crate::model::object::ContentInfo;
use crate::model::path::{RepoPath, RepoPathBuf};
use crate::model::pointer::{Pointer, pointer_path};
use crate::model::stage::Out;
use crate::ops::{OpError, OutputError, surroundings};
use crate::repo::Repo;
use crate::report::Reporter;

/// Largest pointer that is read, in bytes.
pub(super) const MAX_POINTER: u64 = 1 << 20;

/// The pointer of the output `path`.
///
/// Fails for names that no output may have.
pub fn path_of(path: &RepoPath) -> Result<RepoPathBuf, OpError> {
    pointer_path(path).map_err(|reason| OutputError::BadOutput { path: path.clone(), reason }.into())
}

/// Writes the pointers of `outputs` (each with its pointer file) and makes git ignore the data.
///
/// The data is durable already (I1). The ignore line comes first: a kill between the two leaves data
/// that git ignores, never data that `git add .` would take. Returns the files that changed, sorted.
pub fn write(
    repo: &Repo,
    outputs: &[(RepoPath, RepoPath, ContentInfo)],
    reporter: &dyn Reporter,
) -> Result<Vec<RepoPath>, OpError> {
    let _held = surroundings::lock(repo, reporter)?;
    let mut changed = Vec::new();
    let names: Vec<&RepoPath> = outputs.iter().map(|(output, _, _)| output).collect();
    changed.extend(ignore_outputs(repo, &names, &_held)?);
    for (output, file, info) in outputs {
        let old = match repo.dir().read_file(file, MAX_POINTER) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        // Read again under the lock: a comment that somebody wrote meanwhile is kept.
        let new = match &old {
            Some(bytes) => Pointer::update(file, bytes, info)?,
            None => Pointer::new(output.clone(), *info).write().into_bytes(),
        };
        if old.as_ref() != Some(&new) {
            atomic::write(repo.dir(), file, &new, None)?;
            changed.push(file.clone());
        }
    }
    changed.sort();
    Ok(changed)
}

/// Makes git ignore the outputs that it does not ignore yet; returns the ignore files that changed.
pub fn ignore_outputs(repo: &Repo, outputs: &[&RepoPath], held: &MetaLock) -> Result<Vec<RepoPath>, OpError> {
    let Some(git) = repo.git() else { return Ok(Vec::new()) };
    let mut folders: BTreeMap<RepoPath, Vec<&str>> = BTreeMap::new();
    for output in outputs {
        let is_dir =
            repo.dir().stat(output)?.is_none_or(|stamp| stamp.kind == crate::fs::stamp::FileKind::Dir);
        if !git.is_ignored(output, is_dir)? {
            let folder = output.parent().unwrap_or_else(RepoPath::root);
            folders.entry(folder).or_default().push(output.file_name());
        }
    }
    edit_ignore_files(repo, &folders, held, |names| (names, &[]))
}

/// Makes git ignore the outputs of stages that mlv keeps, and no others; returns the ignore files that
/// changed.
///
/// Fails if git tracks something of what mlv keeps.
pub fn ignore_stage_outputs(repo: &Repo, outs: &[&Out], held: &MetaLock) -> Result<Vec<RepoPath>, OpError> {
    let Some(git) = repo.git() else { return Ok(Vec::new()) };
    let (cached, plain): (Vec<&Out>, Vec<&Out>) = outs.iter().partition(|out| out.cache);
    for out in &cached {
        if let Some(path) = git.tracked_below(&out.path, 1)?.into_iter().next() {
            return Err(OutputError::TrackedByGit { path, output: out.path.clone() }.into());
        }
    }
    let paths = |outs: Vec<&'_ Out>| -> Vec<RepoPath> { outs.iter().map(|out| out.path.clone()).collect() };
    let (cached, plain) = (paths(cached), paths(plain));
    let mut changed = unignore_outputs(repo, &plain.iter().collect::<Vec<_>>(), held)?;
    changed.extend(ignore_outputs(repo, &cached.iter().collect::<Vec<_>>(), held)?);
    Ok(changed)
}

/// Takes the ignore lines of outputs away; returns the ignore files that changed.
pub fn unignore_outputs(
    repo: &Repo,
    outputs: &[&RepoPath],
    held: &MetaLock,
) -> Result<Vec<RepoPath>, OpError> {
    if repo.git().is_none() {
        return Ok(Vec::new());
    }
    let mut folders: BTreeMap<RepoPath, Vec<&str>> = BTreeMap::new();
    for output in outputs {
        folders.entry(output.parent().unwrap_or_else(RepoPath::root)).or_default().push(output.file_name());
    }
    edit_ignore_files(repo, &folders, held, |names| (&[], names))
}

fn edit_ignore_files(
    repo: &Repo,
    folders: &BTreeMap<RepoPath, Vec<&str>>,
    held: &MetaLock,
    edits: impl for<'n> Fn(&'n [&'n str]) -> (&'n [&'n str], &'n [&'n str]),
) -> Result<Vec<RepoPath>, OpError> {
    let mut changed = Vec::new();
    for (folder, names) in folders {
        let (add, remove) = edits(names);
        if !add.is_empty() {
            // A stage that has never run: its output's folder may not be there yet.
            repo.dir().create_dir_all(folder)?;
        }
        if update_ignore_file(repo.dir(), folder, add, remove, held)? != Outcome::Unchanged
            && let Ok(file) = folder.join_str(".gitignore")
        {
            changed.push(file);
        }
    }
    if let Some(git) = repo.git() {
        git.forget_ignore_rules();
    }
    Ok(changed)
}
