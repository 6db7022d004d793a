//! Writes pointers and the ignore lines that go with them: the commit point of recordings (I1).

use std::collections::{BTreeMap, BTreeSet};

use crate::fs::atomic;
use crate::fs::lock::MetaLock;
use crate::fs::stamp::FileKind;
use crate::git::ignore::{FILE_NAME, Outcome, read_names, update as update_ignore_file};
use crate::git::repo::GitRepo;
use crate::model::object::ContentInfo;
use crate::model::path::{RepoPath, RepoPathBuf};
use crate::model::pointer::{Pointer, pointer_path};
use crate::model::stage::Out;
use crate::model::yaml::Limits;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError, held};
use crate::repo::Repo;
use crate::store::here::Here;

/// Largest pointer that is read, in bytes.
pub(super) const MAX_POINTER: u64 = Limits::POINTER.bytes as u64;

/// Processes that write one pointer at once come to an end long before.
const TRIES: u32 = 100;

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
pub fn write(
    repo: &Repo,
    updates: &[Update],
    tracked: &Tracked,
    held: &MetaLock,
) -> Result<Vec<RepoPath>, OpError> {
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
    let mut changed = tend_ignore_files(repo, &names, tracked, held)?;
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
/// that it is done again, somebody else is done. More than `TRIES` nobody needs.
pub fn undisturbed<T>(mut work: impl FnMut() -> Result<T, OpError>) -> Result<T, OpError> {
    for _ in 1..TRIES {
        match work() {
            Err(OpError::Output(error)) if matches!(*error, OutputError::MadeMeanwhile { .. }) => {}
            done => return done,
        }
    }
    work()
}

/// Makes mlv's lines in the ignore files of the folders of `outputs` what they should be: git ignores each
/// output there, also those whose line a merge or a user took away, and the line of what is tracked no more,
/// or is left to git, goes. Returns what changed for git: the ignore files, and what is left to git and was
/// ignored so far.
pub fn tend_ignore_files(
    repo: &Repo,
    outputs: &[&RepoPath],
    tracked: &Tracked,
    held: &MetaLock,
) -> Result<Vec<RepoPath>, OpError> {
    let Some(git) = repo.git() else { return Ok(Vec::new()) };
    // By name, whether a line must be there; that of a stage which never ran may.
    let mut folders: BTreeMap<RepoPath, BTreeMap<&str, bool>> = BTreeMap::new();
    let is_left_to_git = |path: &RepoPath| tracked.out(path).is_some_and(|out| !out.cache);
    for output in outputs {
        let names = folders.entry(folder_of(output)).or_default();
        if !is_left_to_git(output) {
            names.insert(output.file_name(), true);
        }
    }
    for out in tracked.outs().iter().filter(|out| out.cache) {
        if let Some(names) = folders.get_mut(&folder_of(&out.path)) {
            *names.entry(out.path.file_name()).or_default() |= out.content.is_some();
        }
    }
    let mut changed = Vec::new();
    for (folder, names) in &folders {
        // What cannot be read is told where it must be written.
        let known = read_names(repo.dir(), folder).unwrap_or_default();
        let block: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        let mut lacking = Vec::new();
        for (name, _) in names.iter().filter(|(name, is_due)| **is_due && !block.contains(**name)) {
            let output = folder.join_entry(name);
            if !git.is_ignored(&output, is_folder(repo, &output)?)? {
                lacking.push(*name);
            }
        }
        let mut stale = Vec::new();
        for name in block.iter().filter(|name| !names.contains_key(**name)) {
            let output = folder.join_entry(name);
            if is_left_to_git(&output) {
                stale.push(*name);
                changed.push(output);
            } else if tracked.problems().is_empty() && is_given_up(repo, git, &output)? {
                stale.push(*name);
            }
        }
        if !lacking.is_empty() || !stale.is_empty() {
            changed.extend(edit_ignore_file(repo, folder, (&lacking, &stale), held)?);
        }
    }
    git.forget_ignore_rules();
    Ok(changed)
}

/// Whether nothing of what was tracked is at `output`, nor its pointer, which a sparse checkout may leave
/// out. What may be the data that a pointer tracked stays ignored: `git add .` would take it.
fn is_given_up(repo: &Repo, git: &GitRepo, output: &RepoPath) -> Result<bool, OpError> {
    let Ok(pointer) = path_of(output) else { return Ok(false) };
    if repo.dir().stat(&pointer)?.is_some() || git.is_tracked(&pointer)? {
        return Ok(false);
    }
    let Some(stamp) = repo.dir().stat(output)? else { return Ok(true) };
    // Something else, as far as that can be told: no file of it has the name of one that mlv put there.
    let put = held::put_there(repo, &Here::load(repo.mlv()), output, None);
    if put.unlisted.is_some() || put.entries.is_empty() || stamp.kind != FileKind::Dir {
        return Ok(false);
    }
    for entry in &put.entries {
        if repo.dir().stat(&output.join_entry(entry.bare_path()))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What stands at names that only lines of mlv's ignore, in the folders of outputs, and that nothing tracks:
/// git does not see it, and mlv neither. Sorted.
pub fn ignored_by_nobody(repo: &Repo, tracked: &Tracked) -> Result<Vec<RepoPath>, OpError> {
    let Some(git) = repo.git().filter(|_| tracked.problems().is_empty()) else { return Ok(Vec::new()) };
    let outs: BTreeSet<&RepoPath> = tracked.outs().iter().map(|out| &out.path).collect();
    let folders: BTreeSet<RepoPath> =
        outs.iter().map(|out| folder_of(out)).chain([RepoPath::root()]).collect();
    let mut found = Vec::new();
    for folder in &folders {
        // What cannot be read is told where it must be written.
        for name in read_names(repo.dir(), folder).unwrap_or_default() {
            let path = folder.join_entry(&name);
            let Ok(pointer) = path_of(&path) else { continue };
            if !outs.contains(&path) && repo.dir().stat(&path)?.is_some() && !git.is_tracked(&pointer)? {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Those of `outputs` that a line of mlv's makes git ignore.
pub fn ignored_by_mlv<'o>(
    repo: &Repo,
    outputs: impl Iterator<Item = &'o RepoPath>,
) -> Result<Vec<&'o RepoPath>, OpError> {
    if repo.git().is_none() {
        return Ok(Vec::new());
    }
    let mut blocks: BTreeMap<RepoPath, Vec<String>> = BTreeMap::new();
    let mut ignored = Vec::new();
    for output in outputs {
        let folder = folder_of(output);
        if !blocks.contains_key(&folder) {
            blocks.insert(folder.clone(), read_names(repo.dir(), &folder)?);
        }
        if blocks[&folder].iter().any(|name| name == output.file_name()) {
            ignored.push(output);
        }
    }
    Ok(ignored)
}

fn is_folder(repo: &Repo, output: &RepoPath) -> Result<bool, OpError> {
    Ok(repo.dir().stat(output)?.is_none_or(|stamp| stamp.kind == FileKind::Dir))
}

fn folder_of(output: &RepoPath) -> RepoPath {
    output.parent().unwrap_or_else(RepoPath::root)
}

/// Makes git ignore the outputs that it does not ignore yet; returns the ignore files that changed.
pub fn ignore_outputs(repo: &Repo, outputs: &[&RepoPath], held: &MetaLock) -> Result<Vec<RepoPath>, OpError> {
    let Some(git) = repo.git() else { return Ok(Vec::new()) };
    let mut folders: BTreeMap<RepoPath, Vec<&str>> = BTreeMap::new();
    for output in outputs {
        if !git.is_ignored(output, is_folder(repo, output)?)? {
            folders.entry(folder_of(output)).or_default().push(output.file_name());
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
        folders.entry(folder_of(output)).or_default().push(output.file_name());
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
        changed.extend(edit_ignore_file(repo, folder, edits(names), held)?);
    }
    if let Some(git) = repo.git() {
        git.forget_ignore_rules();
    }
    Ok(changed)
}

/// Adds and removes the lines of names in a folder; returns its ignore file if that changed.
fn edit_ignore_file(
    repo: &Repo,
    folder: &RepoPath,
    (add, remove): (&[&str], &[&str]),
    held: &MetaLock,
) -> Result<Option<RepoPath>, OpError> {
    if !add.is_empty() {
        // A stage that has never run: its output's folder may not be there yet.
        repo.dir().create_dir_all(folder)?;
    }
    let is_changed = update_ignore_file(repo.dir(), folder, add, remove, held)? != Outcome::Unchanged;
    Ok(is_changed.then(|| folder.join(&RepoPath::own(FILE_NAME))))
}
