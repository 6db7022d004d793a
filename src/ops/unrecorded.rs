//! Inputs of stages that mlv tracks and of which something else is recorded than the stages read: then
//! their bytes are nowhere but in one work tree, while a lock that everybody gets names them.

use std::collections::BTreeSet;

use crate::model::lockfile::StageLock;
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::scan::Scanner;
use crate::ops::tracked::{Source, Tracked, TrackedOut};
use crate::ops::{OpError, trees};
use crate::pipeline::plan::Current;
use crate::repo::Repo;
use crate::report::Reporter;

/// Whether what stands at `inside` of an output is all here, and not what is recorded.
pub fn is_edited(
    repo: &Repo,
    state: &WorkTreeState<'_>,
    (out, inside): (&TrackedOut, &str),
) -> Result<bool, OpError> {
    let Some(recorded) = &out.content else { return Ok(false) };
    match state.found(&out.path.join_entry(inside)) {
        Ok(Some(found)) if !found.is_partial => Ok(is_other(repo, (out, recorded), inside, &found.info)?),
        Err(error) if !error.is_not_downloaded() => Err(error),
        _ => Ok(false),
    }
}

fn is_other(
    repo: &Repo,
    (out, recorded): (&TrackedOut, &ContentInfo),
    inside: &str,
    now: &ContentInfo,
) -> Result<bool, OpError> {
    if inside.is_empty() {
        return Ok(recorded.id != now.id);
    }
    Ok(match trees::part_of(repo, &out.path, recorded, inside)? {
        Current::Present(recorded) => recorded.id != now.id,
        Current::Missing => true,
        Current::Unknown | Current::Unlisted => false,
    })
}

/// What users track of the inputs in `lock`, as it stands in the work tree, without having recorded it.
pub fn read_by(
    repo: &Repo,
    tracked: &Tracked,
    state: &WorkTreeState<'_>,
    lock: &StageLock,
) -> Result<BTreeSet<RepoPath>, OpError> {
    let mut edited = BTreeSet::new();
    for path in lock.deps.iter().map(|dep| &dep.path).chain(lock.params.iter().map(|(file, _)| file)) {
        for (out, inside) in tracked.at(path).into_iter().filter(|(out, _)| is_users(out)) {
            if is_edited(repo, state, (out, inside))? {
                edited.insert(out.path.clone());
            }
        }
    }
    Ok(edited)
}

/// What users track and some lock names as it stands in the work tree, without its being recorded or in the
/// cache. The work tree is looked at only where a lock names something else than is recorded.
pub fn named_by_locks(
    repo: &Repo,
    tracked: &Tracked,
    reporter: &dyn Reporter,
) -> Result<BTreeSet<RepoPath>, OpError> {
    let presence = repo.cache()?.snapshot();
    let is_stored = |content: &ContentInfo| match content.id {
        ContentId::File(id) => presence.has_object(id.digest()),
        ContentId::Tree(id) => trees::is_here(&presence, id.digest()),
    };
    let mut suspects = Vec::new();
    let locks =
        tracked.pipelines().iter().flat_map(|pipeline| pipeline.stages()).filter_map(|(_, lock)| lock);
    for dep in locks.flat_map(|lock| &lock.deps) {
        if let Some((out, inside)) = tracked.containing(&dep.path).filter(|(out, _)| is_users(out))
            && let Some(recorded) = &out.content
            && is_other(repo, (out, recorded), inside, &dep.content)?
            && !is_stored(&dep.content)
        {
            suspects.push((out, dep));
        }
    }
    if suspects.is_empty() {
        return Ok(BTreeSet::new());
    }
    let index = repo.stat_index();
    let state = WorkTreeState::new(repo, tracked, Scanner::new(repo, &index, reporter), Absent::AsRecorded);
    let mut edited = BTreeSet::new();
    for (out, dep) in suspects {
        if state.found(&dep.path)?.is_some_and(|found| found.info.id == dep.content.id) {
            edited.insert(out.path.clone());
        }
    }
    Ok(edited)
}

fn is_users(out: &TrackedOut) -> bool {
    matches!(out.source, Source::Pointer { .. }) && out.cache
}
