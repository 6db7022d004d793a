//! What is recorded at a path, now or at a revision, seen without a checkout: for `ls`, `cat`, `get`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::model::object::ContentInfo;
use crate::model::tree::TreeEntry;
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::{self, Access, NamedRemote};
use crate::ops::targets::Selected;
use crate::ops::tracked::{History, Tracked, TrackedOut};
use crate::ops::{OpError, OutputError, trees};
use crate::repo::Repo;
use crate::report::Reporter;

/// All that mlv owns at the revision `rev`; without one, as pointers and locks of the work tree have it.
pub fn tracked(repo: &Repo, rev: Option<&str>) -> Result<Tracked, OpError> {
    match rev {
        None => Tracked::load(repo),
        Some(rev) => {
            let commit = repo.require_git()?.resolve(rev)?;
            History::new(repo)?.at(commit)
        }
    }
}

/// What is recorded of an output.
///
/// Fails with `NeverMade` for what a stage has not made yet, and with `KeptByGit` for what mlv has
/// the hash of and not the bytes.
pub fn content(out: &TrackedOut) -> Result<ContentInfo, OpError> {
    let path = out.path.clone();
    match out.content {
        None => Err(OutputError::NeverMade { path }.into()),
        Some(_) if !out.cache => Err(OutputError::KeptByGit { path }.into()),
        Some(info) => Ok(info),
    }
}

/// What it means that a remote lacks `out`: what is not shared was never to be there.
pub fn lacking(out: &TrackedOut, error: OpError) -> OpError {
    match &error {
        OpError::Output(reason) if !out.push && matches!(**reason, OutputError::MissingThere { .. }) => {
            OutputError::NotShared { path: out.path.clone() }.into()
        }
        _ => error,
    }
}

/// The remotes that are asked for what the cache lacks, each opened when it is first needed.
pub struct Sources<'r> {
    repo: &'r Repo,
    /// The remote that is asked instead of each output's own.
    named: Option<String>,
    reporter: &'r dyn Reporter,
    open: BTreeMap<Option<String>, NamedRemote>,
}

impl<'r> Sources<'r> {
    /// The remotes of `repo`, or only the one that is `named`.
    pub fn new(repo: &'r Repo, named: Option<String>, reporter: &'r dyn Reporter) -> Sources<'r> {
        Sources { repo, named, reporter, open: BTreeMap::new() }
    }

    /// The remote of an output.
    pub fn of(&mut self, out: &TrackedOut) -> Result<&mut NamedRemote, OpError> {
        let name = self.named.clone().or_else(|| out.remote.as_deref().map(str::to_owned));
        Ok(match self.open.entry(name) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(free) => {
                let remote = share::open(self.repo, free.key().as_deref(), Access::Read, self.reporter)?;
                free.insert(remote)
            }
        })
    }

    /// Requests that were made.
    pub fn requests(&self) -> u64 {
        self.open.values().map(|from| from.remote.requests().total()).sum()
    }

    /// What is recorded in the chosen part of an output, sorted by path; of a file one entry with an
    /// empty path. The pages that tell are fetched, as far as they are needed and not in the cache.
    ///
    /// Fails with `NotRecorded` if nothing is at a path that was chosen.
    pub fn entries(&mut self, chosen: &Selected<'_>) -> Result<Vec<TreeEntry>, OpError> {
        let (output, inside) = (&chosen.out.path, &chosen.inside);
        let info = content(chosen.out)?;
        let read = || {
            trees::check_recorded(self.repo, &info, output, inside)?;
            trees::read_part(self.repo, &info, output, inside)
        };
        match read() {
            Err(error) if error.is_not_downloaded() => {}
            other => return other,
        }
        let wish = Wish { output: output.clone(), info, inside: inside.clone() };
        let (repo, reporter) = (self.repo, self.reporter);
        let brought = bring::bring_part_of_tree(repo, self.of(chosen.out)?, &wish, reporter);
        brought.map_err(|error| lacking(chosen.out, error))?;
        trees::check_recorded(repo, &info, output, inside)?;
        trees::read_part(repo, &info, output, inside)
    }
}
