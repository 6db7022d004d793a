//! `resolve`: ends conflicts of pointers and locks, whoever merged.

use std::collections::BTreeMap;

use crate::error::{Advice, ErrorKind};
use crate::fs::atomic;
use crate::git::conflicts::Unmerged;
use crate::git::merge_driver::Driver;
use crate::git::revision::BlobId;
use crate::model::merge::{Favour, sides_of};
use crate::model::path::RepoPath;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::merge::{self, Base, FileKind, Merged, Versions};
use crate::ops::merge_error::MergeError;
use crate::ops::tracked::{POINTER_SUFFIX, Tracked, tracks};
use crate::ops::unmerged::{self, Known, marked_text, read};
use crate::ops::{OpError, surroundings, targets};
use crate::repo::Repo;
use crate::report::Reporter;

/// Which conflicts, and how to end them.
#[derive(Clone, Debug, Default)]
pub struct ResolveOptions {
    /// Pointers, locks, outputs, folders; all if none is named.
    pub targets: Vec<String>,
    /// The side that counts where both changed the same.
    pub favour: Option<Favour>,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// A file that is in conflict no more.
#[derive(Debug, serde::Serialize)]
pub struct Resolved {
    /// The file.
    pub path: String,
    /// Whether it is gone.
    pub removed: bool,
    /// Stages of a lock that both sides changed, and that are to run.
    pub stale: Vec<String>,
}

/// What was done.
#[derive(Debug, Default, serde::Serialize)]
pub struct ResolveReport {
    /// Files that are in conflict no more, sorted.
    pub resolved: Vec<Resolved>,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Whether git merges these files by itself, without mlv.
    #[serde(skip)]
    pub lacks_driver: bool,
    /// Files that stay in conflict, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Merges the files in conflict again, from git's stages or else from the markers in them, and puts the
/// result in their place. A file that cannot be merged stays as it is.
pub fn run(repo: &Repo, options: &ResolveOptions, reporter: &dyn Reporter) -> Result<ResolveReport, OpError> {
    let known = Known::load(repo);
    let mut conflicts = chosen(repo, conflicts(repo)?, &options.targets)?;
    let mut report = ResolveReport { dry_run: options.dry_run, ..ResolveReport::default() };
    report.lacks_driver = repo.git().is_some_and(|git| git.merge_driver() == Driver::None);
    let mut changed = Vec::new();
    if options.targets.is_empty() {
        changed = take_resolved(repo, &mut conflicts, &known)?;
    }
    for (file, conflict) in &conflicts {
        match resolve(repo, file, conflict, options, reporter) {
            Ok(merged) => {
                let (path, removed) = (file.to_string(), merged.bytes.is_none());
                report.resolved.push(Resolved { path, removed, stale: merged.stale });
                changed.push(file.clone());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => report.failed.push((file.clone(), error)),
        }
    }
    if !options.dry_run {
        known.keep(repo, &changed)?;
        report.git = git_files::of_changes(repo, changed, reporter)?;
    }
    Ok(report)
}

/// Where the versions of a file in conflict are.
enum Conflict {
    /// In git's index.
    Stages(Unmerged),
    /// Between the markers in it.
    Markers,
}

/// All conflicts of mlv's files.
fn conflicts(repo: &Repo) -> Result<BTreeMap<RepoPath, Conflict>, OpError> {
    let mut found = BTreeMap::new();
    for unmerged in unmerged::all(repo)? {
        found.insert(unmerged.path.clone(), Conflict::Stages(unmerged));
    }
    for problem in Tracked::load(repo)?.problems() {
        let is_ours = FileKind::of(problem.file.file_name()).is_some();
        if is_ours && !found.contains_key(&problem.file) && marked_text(repo, &problem.file)?.is_some() {
            found.insert(problem.file.clone(), Conflict::Markers);
        }
    }
    Ok(found)
}

/// Takes out what was resolved before and git was not told of yet: another side would undo it.
fn take_resolved(
    repo: &Repo,
    conflicts: &mut BTreeMap<RepoPath, Conflict>,
    known: &Known,
) -> Result<Vec<RepoPath>, OpError> {
    let mut resolved = Vec::new();
    for (file, conflict) in &*conflicts {
        if let Conflict::Stages(unmerged) = conflict
            && known.has(unmerged, read(repo, file)?.as_deref())
        {
            resolved.push(file.clone());
        }
    }
    conflicts.retain(|file, _| !resolved.contains(file));
    Ok(resolved)
}

/// Those that the targets name. Fails with `NoConflict` for one that names none.
fn chosen(
    repo: &Repo,
    mut conflicts: BTreeMap<RepoPath, Conflict>,
    named: &[String],
) -> Result<BTreeMap<RepoPath, Conflict>, OpError> {
    if named.is_empty() {
        return Ok(conflicts);
    }
    let mut wanted = Vec::new();
    for target in named {
        let path = targets::path(repo, target)?;
        let pointer = format!("{path}{POINTER_SUFFIX}");
        let is_meant = |file: &RepoPath| file.starts_with(&path) || file.as_str() == pointer;
        if !conflicts.keys().any(is_meant) {
            let around = conflicts.keys().find(|file| tracks(file, &path));
            let target = target.clone();
            return Err(match around {
                Some(file) => MergeError::Part { target, file: file.clone() },
                None => MergeError::NoConflict { target },
            }
            .into());
        }
        wanted.extend(conflicts.keys().filter(|file| is_meant(file)).cloned());
    }
    conflicts.retain(|file, _| wanted.contains(file));
    Ok(conflicts)
}

fn resolve(
    repo: &Repo,
    file: &RepoPath,
    conflict: &Conflict,
    options: &ResolveOptions,
    reporter: &dyn Reporter,
) -> Result<Merged, OpError> {
    let kind = FileKind::of(file.file_name()).ok_or_else(|| MergeError::NotMlv { file: file.clone() })?;
    let versions = match conflict {
        Conflict::Stages(unmerged) => of_stages(repo, unmerged, kind)?,
        Conflict::Markers => of_markers(repo, file)?,
    };
    // What a person made of the file is not replaced, unless they ask for a side.
    if options.favour.is_none() && is_edited(repo, file, &versions)? {
        return Err(MergeError::Edited { file: file.clone() }.into());
    }
    let open = || Ok(Repo::open_with(repo.root(), repo.sources().clone())?);
    let merged = merge::merge(&open, (file, kind), &versions, options.favour, reporter)?;
    if options.dry_run {
        return Ok(merged);
    }
    let _held = surroundings::lock(repo, reporter)?;
    match &merged.bytes {
        Some(bytes) => atomic::write(repo.dir(), file, bytes, None)?,
        None if repo.dir().stat(file)?.is_some() => repo.dir().remove_file(file)?,
        None => {}
    }
    Ok(merged)
}

fn of_stages(repo: &Repo, unmerged: &Unmerged, kind: FileKind) -> Result<Versions, OpError> {
    let git = repo.require_git()?;
    let read = |id: Option<BlobId>| id.map(|id| git.read_blob(id, &unmerged.path, kind.limit())).transpose();
    let base = read(unmerged.base)?.map_or(Base::Absent, Base::Text);
    Ok(Versions { base, ours: read(unmerged.ours)?, theirs: read(unmerged.theirs)? })
}

fn of_markers(repo: &Repo, file: &RepoPath) -> Result<Versions, OpError> {
    let text = marked_text(repo, file)?;
    let sides = text.as_deref().and_then(sides_of);
    let sides = sides.ok_or_else(|| MergeError::Edited { file: file.clone() })?;
    let base = sides.base.map_or(Base::Unknown, |base| Base::Text(base.into_bytes()));
    Ok(Versions { base, ours: Some(sides.ours.into_bytes()), theirs: Some(sides.theirs.into_bytes()) })
}

/// Whether the file in the work tree is neither of the sides, and has no markers: somebody merged by hand.
fn is_edited(repo: &Repo, file: &RepoPath, versions: &Versions) -> Result<bool, OpError> {
    let Some(bytes) = read(repo, file)? else { return Ok(false) };
    let is_side = [&versions.ours, &versions.theirs].iter().any(|side| side.as_deref() == Some(&bytes[..]));
    Ok(!is_side && std::str::from_utf8(&bytes).is_ok_and(|text| sides_of(text).is_none()))
}
