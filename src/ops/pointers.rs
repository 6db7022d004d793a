//! Writes pointers and the ignore lines that go with them: the commit point of recordings (I1).

use std::collections::BTreeMap;

use crate::fs::atomic;
use crate::fs::lock::MetaLock;
use crate::git::ignore::{Outcome, update as update_ignore_file};
use crate::model::object::ContentInfo;
use crate::model::path::{RepoPath, RepoPathBuf};
use crate::model::pointer::{Pointer, pointer_path};
use crate::model::stage::Out;
use crate::ops::{OpError, OutputError};
use crate::repo::Repo;

/// Largest pointer that is read, in bytes.
pub(super) const MAX_POINTER: u64 = 1 << 20;

/// The pointer of the output `path`.
///
/// Fails for names that no output may have.
pub fn path_of(path: &RepoPath) -> Result<RepoPathBuf, OpError> {
    pointer_path(path).map_err(|reason| OutputError::BadOutput { path: path.clone(), reason }.into())
}

/// What a pointer is to say.
#[derive(Clone, Debug)]
pub struct Update {
    /// The output.
    pub output: RepoPath,
    /// Its pointer.
    pub pointer: RepoPath,
    /// What the pointer said when this was worked out.
    pub base: Option<ContentInfo>,
    /// What it says then.
    pub info: ContentInfo,
}

/// Writes pointers and makes git ignore the data.
///
/// The data is durable already (I1). The ignore line comes first: a kill between the two leaves data
/// that git ignores, never data that `git add .` would take. Returns the files that changed, sorted.
///
/// Fails with `MadeMeanwhile`, with nothing written, where a pointer says by now what the new content
/// was not made of (R5): see [`undisturbed`].
pub fn write(repo: &Repo, updates: &[Update], held: &MetaLock) -> Result<Vec<RepoPath>, OpError> {
    let mut olds = Vec::new();
    for Update { output, pointer, base, info } in updates {
        let old = match repo.dir().read_file(pointer, MAX_POINTER) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let now = old.as_ref().and_then(|bytes| Some(Pointer::parse(pointer, bytes).ok()?.content));
        let is_base = now == *base || now == Some(*info) || crate::fs::fault::mutated("pointer-base");
        if !is_base {
            return Err(OutputError::MadeMeanwhile { path: output.clone() }.into());
        }
        olds.push(old);
    }
    let names: Vec<&RepoPath> = updates.iter().map(|update| &update.output).collect();
    let mut changed = ignore_outputs(repo, &names, held)?;
    let mut news = Vec::new();
    for (Update { output, pointer, info, .. }, old) in updates.iter().zip(olds) {
        // Read again under the lock: a comment that somebody wrote meanwhile is kept.
        let new = match &old {
            Some(bytes) => Pointer::update(pointer, bytes, info)?,
            None => Pointer::new(output.clone(), *info).write().into_bytes(),
        };
        if old.as_ref() != Some(&new) {
            news.push((pointer, new));
        }
    }
    atomic::write_all(repo.dir(), &news.iter().map(|(path, bytes)| (*path, &**bytes)).collect::<Vec<_>>())?;
    changed.extend(news.into_iter().map(|(pointer, _)| pointer.clone()));
    changed.sort();
    Ok(changed)
}

/// Does it again until nobody changed a pointer between its being read and being written: each time
/// that it is done again, somebody else is done.
pub fn undisturbed<T>(mut work: impl FnMut() -> Result<T, OpError>) -> Result<T, OpError> {
    loop {
        match work() {
            Err(OpError::Output(error)) if matches!(*error, OutputError::MadeMeanwhile { .. }) => {}
            done => return done,
        }
    }
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
