//! The files of git's that a command wrote: handed to `git add` where `core.autostage` asks for it,
//! told to the user otherwise.

use std::collections::{BTreeSet, HashSet};

use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::ops::pointers::MAX_POINTER;
use crate::ops::{OpError, surroundings};
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// What became of the files that git tracks and a command changed.
#[derive(Debug, Default, serde::Serialize)]
pub struct GitFiles {
    /// What to hand to `git add`, relative to the repository's root, sorted.
    pub git_add: Vec<String>,
    /// What git has in its index already, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<String>,
    /// Why git did not take what it should.
    #[serde(skip)]
    pub refused: Option<OpError>,
}

/// As [`of_changes`] for outputs under `pointers`: what a command before wrote and could not hand to git,
/// which held its index then, is handed over with the rest (R15).
pub fn of_pointers<'p>(
    repo: &Repo,
    mut changed: Vec<RepoPath>,
    pointers: impl Iterator<Item = (&'p RepoPath, &'p RepoPath)>,
    reporter: &dyn Reporter,
) -> Result<GitFiles, OpError> {
    if let Some(git) = repo.git()
        && repo.config().autostage()?
    {
        let written: HashSet<RepoPath> = changed.iter().cloned().collect();
        for (output, pointer) in pointers.filter(|(_, pointer)| !written.contains(*pointer)) {
            let is_staged = match repo.dir().read_file(pointer, MAX_POINTER) {
                Ok(bytes) => git.has_staged(pointer, &bytes)?,
                Err(_) => true,
            };
            if !is_staged {
                let folder = output.parent().unwrap_or_else(RepoPath::root);
                changed.extend([pointer.clone(), folder.join(&RepoPath::own(".gitignore"))]);
            }
        }
    }
    of_changes(repo, changed, reporter)
}

/// The outputs of a stage that git keeps, not mlv, and that the entry `new` has otherwise than `old`: who
/// commits the lock commits them with it. Not those that git ignores, which nobody keeps.
pub fn kept_by_git(
    repo: &Repo,
    (old, new): (Option<&StageLock>, &StageLock),
) -> Result<Vec<RepoPath>, OpError> {
    let Some(git) = repo.git() else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    for out in new.outs.iter().filter(|out| !out.cache) {
        let before = old.and_then(|old| old.out(&out.path)).map(|before| before.content.id);
        let is_tracked = git.is_tracked(&out.path)?;
        let is_news = before != Some(out.content.id) || !is_tracked;
        if is_news && (is_tracked || !git.is_ignored(&out.path, out.content.id.is_tree())?) {
            kept.push(out.path.clone());
        }
    }
    Ok(kept)
}

/// Sorts what was changed, and hands it to git if the user wants that.
///
/// Called last: a failure here leaves everything recorded, and is in the result. What is neither
/// here nor known to git is left out: `git add` would fail for it. So is what git ignores, with a warning.
pub fn of_changes(
    repo: &Repo,
    changed: impl IntoIterator<Item = RepoPath>,
    reporter: &dyn Reporter,
) -> Result<GitFiles, OpError> {
    let Some(git) = repo.git() else { return Ok(GitFiles::default()) };
    let changed: BTreeSet<RepoPath> = changed.into_iter().collect();
    let mut paths = Vec::new();
    for path in changed {
        let is_tracked = git.is_tracked(&path)?;
        if !is_tracked && git.is_ignored(&path, false)? {
            let message = format!("git ignores `{path}`: what stands there is recorded for nobody else");
            reporter.event(&Event::Warning { message });
        } else if is_tracked || repo.dir().stat(&path)?.is_some() {
            paths.push(path);
        }
    }
    let names = paths.iter().map(ToString::to_string).collect();
    if paths.is_empty() || !repo.config().autostage()? {
        return Ok(GitFiles { git_add: names, ..GitFiles::default() });
    }
    // git gives up at once where another git holds its index: mlv's processes take turns.
    let held = surroundings::lock(repo, reporter)?;
    let added = git.add(&paths);
    drop(held);
    Ok(match added {
        Ok(()) => GitFiles { staged: names, ..GitFiles::default() },
        Err(error) => GitFiles { git_add: names, refused: Some(error.into()), ..GitFiles::default() },
    })
}
