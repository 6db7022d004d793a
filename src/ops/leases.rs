//! The right to change what belongs to one stage: held by who runs it, and by who accepts it. It is shared
//! by the stages that run and read what the stage made: as long as one does, nobody changes that.
//!
//! Who waits for one holds no other, or takes them in the order of the stages: two commands never
//! wait for each other.

use std::collections::BTreeMap;

use crate::fs;
use crate::fs::lock::{Patience, StageLease};
use crate::model::digest::Digest;
use crate::model::path::RepoPath;
use crate::ops::{OpError, OutputError, surroundings};
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;
use crate::report::Reporter;

/// The locks of stages, below mlv's own folder.
const FOLDER: &str = "leases";

/// The lease of the stage, if nobody has it. Fails with `Busy` if somebody has.
pub fn try_acquire(repo: &Repo, target: &str) -> Result<StageLease, fs::Error> {
    repo.mlv().create_dir_all(&RepoPath::own(FOLDER))?;
    StageLease::acquire(repo.mlv(), &path(target), &Patience::NONE)
}

/// The lease of the stage. Waits for who has it, unless the user does not want to wait.
pub fn acquire(repo: &Repo, target: &str, reporter: &dyn Reporter) -> Result<StageLease, fs::Error> {
    match try_acquire(repo, target) {
        Err(fs::Error::Busy { .. }) if repo.waits() => {}
        done => return done,
    }
    surroundings::patiently(true, reporter, |patience| {
        StageLease::acquire(repo.mlv(), &path(target), patience)
    })
}

/// A share in the lease of the stage, unless somebody changes what belongs to it: `Busy`, then.
pub fn try_share(repo: &Repo, target: &str) -> Result<StageLease, fs::Error> {
    repo.mlv().create_dir_all(&RepoPath::own(FOLDER))?;
    StageLease::share(repo.mlv(), &path(target), &Patience::NONE)
}

/// Who changes what belongs to the stage right now, if anybody does. Writes nothing.
pub fn holder(repo: &Repo, target: &str) -> Option<String> {
    // Without the file nobody ever had it.
    repo.mlv().stat(&path(target)).ok()??;
    match try_share(repo, target) {
        Err(fs::Error::Busy { holder, .. }) => Some(holder),
        _ => None,
    }
}

/// Waits until nobody changes what belongs to the stage, unless the user does not want to wait; tells
/// whether anybody did.
pub fn await_idle(repo: &Repo, target: &str, reporter: &dyn Reporter) -> Result<bool, fs::Error> {
    match try_share(repo, target) {
        Err(fs::Error::Busy { .. }) if repo.waits() => {}
        done => return done.map(|_| false),
    }
    surroundings::patiently(true, reporter, |patience| StageLease::share(repo.mlv(), &path(target), patience))
        .map(|_| true)
}

/// Leases of stages whose outputs somebody changes who does not run them.
#[derive(Default)]
pub struct Idle(BTreeMap<String, StageLease>);

impl Idle {
    /// Takes the lease of the stage whose output `path` is to be changed; fails with `StageRuns` where
    /// another process runs it, or one that reads what it made. Nobody waits: a run may take days, and nothing else depends on it.
    pub fn take(&mut self, repo: &Repo, stage: &StageAddress, path: &RepoPath) -> Result<(), OpError> {
        let target = stage.to_string();
        if self.0.contains_key(&target) {
            return Ok(());
        }
        match try_acquire(repo, &target) {
            Ok(lease) => drop(self.0.insert(target, lease)),
            Err(fs::Error::Busy { holder, .. }) => {
                let (path, stage) = (path.clone(), target.into());
                return Err(OutputError::StageRuns { path, stage, holder: holder.into() }.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether any is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn path(target: &str) -> RepoPath {
    RepoPath::own(FOLDER).join(&RepoPath::own(&file_name(target)))
}

/// A stage's name as the name of a file.
pub fn file_name(target: &str) -> String {
    const MOST: usize = 120;
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@');
    if target.len() <= MOST && target.chars().all(|c| is_plain(&c)) {
        return target.to_owned();
    }
    let plain: String = target.chars().filter(is_plain).take(MOST).collect();
    let hash = Digest::of(target.as_bytes()).to_string();
    format!("{plain}.{}", &hash[..16])
}
