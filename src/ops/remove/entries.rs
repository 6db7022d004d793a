//! Entries of a tracked directory that are recorded no more, whether they are here or not.

use std::collections::BTreeSet;

use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::ops::place::Wanted;
use crate::ops::pointers::Update;
use crate::ops::record::Recording;
use crate::ops::remove::{RemoveReport, place};
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, pointers, surroundings};
use crate::repo::Repo;
use crate::report::Reporter;

/// Paths inside one directory.
pub(super) struct Part {
    pub(super) output: RepoPath,
    pub(super) pointer: RepoPath,
    pub(super) known: ContentInfo,
    pub(super) inside: Vec<Box<str>>,
}

impl Part {
    /// The paths from the root.
    pub(super) fn paths(&self) -> impl Iterator<Item = RepoPath> {
        self.inside.iter().map(|inside| self.output.join_entry(inside))
    }
}

/// Fails with `NotRecorded` where a directory has nothing at one of the paths.
pub(super) fn check(repo: &Repo, parts: &[Part], reporter: &dyn Reporter) -> Result<(), OpError> {
    let mut rehearsal = Recording::rehearse(repo, reporter)?;
    for part in parts {
        rehearsal.without(&part.output, &part.known, &part.inside)?;
    }
    Ok(())
}

/// Writes the pointers without the entries, then takes away what of them is here. Returns the files that
/// changed.
pub(super) fn remove(
    repo: &Repo,
    (parts, tracked): (&[Part], &Tracked),
    reporter: &dyn Reporter,
    report: &mut RemoveReport,
) -> Result<BTreeSet<RepoPath>, OpError> {
    if parts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut recording = Recording::begin(repo, reporter)?;
    let (mut written, mut wanted) = (Vec::new(), Vec::new());
    for part in parts {
        let info = recording.without(&part.output, &part.known, &part.inside)?.info;
        let (output, pointer) = (part.output.clone(), part.pointer.clone());
        written.push(Update { output, pointer, base: Some(part.known), info });
        let mut inside = Vec::new();
        for path in &part.inside {
            if repo.dir().stat(&part.output.join_entry(path))?.is_some() {
                inside.push(path.clone());
            }
        }
        if !inside.is_empty() {
            wanted.push(Wanted { output: part.output.clone(), info: Some(info), inside });
        }
    }
    let published = recording.publish()?;
    let held = surroundings::lock(repo, reporter)?;
    let changed = pointers::write(repo, &written, tracked, &held)?;
    drop(held);
    place(repo, wanted, reporter, report)?;
    published.settle()?;
    Ok(changed.into_iter().collect())
}
