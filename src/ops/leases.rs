//! The right to change what belongs to one stage: held by who runs it, and by who accepts it.
//!
//! Who waits for one holds no other, or takes them in the order of the stages: two commands never
//! wait for each other.

use crate::fs;
use crate::fs::lock::{Patience, StageLease};
use crate::model::digest::Digest;
use crate::model::path::RepoPath;
use crate::ops::surroundings;
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
