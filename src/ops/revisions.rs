//! Which two states a comparison is about: `A`, `A..B`, `A...B`, two revisions, or none.

use crate::git::repo::CommitId;
use crate::git::{self, NoCommit};
use crate::ops::OpError;
use crate::ops::tracked::{History, Tracked};
use crate::repo::Repo;

/// A state of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before the first commit.
    Nothing,
    /// A commit.
    Commit(CommitId),
    /// The work tree.
    WorkTree,
}

/// The older and the newer state. None: HEAD and the work tree. One: that and the work tree.
/// `A...B`: what B changed since it left A.
///
/// Fails with `NeedsGit` in a project without git, and where a shallow clone cannot tell where A and B parted.
pub fn pair(repo: &Repo, revisions: &[String]) -> Result<(At, At), OpError> {
    let git = repo.require_git()?;
    let resolve = |text: &str| git.resolve(if text.is_empty() { "HEAD" } else { text });
    let commit = |found: Option<CommitId>| found.map_or(At::Nothing, At::Commit);
    Ok(match revisions {
        [] => (commit(git.head()?), At::WorkTree),
        [one] => match (one.split_once("..."), one.split_once("..")) {
            (Some((a, b)), _) => {
                let (a, b) = (resolve(a)?, resolve(b)?);
                let base = git.merge_base(a, b)?;
                // Else all would seem new that both have.
                if base.is_none() && git.is_shallow() {
                    let why = NoCommit::NoCommonAncestor;
                    return Err(git::Error::NoSuchRevision { revision: one.clone(), why }.into());
                }
                (commit(base), At::Commit(b))
            }
            (None, Some((a, b))) => (At::Commit(resolve(a)?), At::Commit(resolve(b)?)),
            (None, None) => (At::Commit(resolve(one)?), At::WorkTree),
        },
        [a, b, ..] => (At::Commit(resolve(a)?), At::Commit(resolve(b)?)),
    })
}

/// All that mlv owned in a state.
pub fn tracked(repo: &Repo, at: At) -> Result<Tracked, OpError> {
    match at {
        At::Nothing => Ok(Tracked::default()),
        At::Commit(commit) => History::new(repo)?.at(commit)?.complete(),
        At::WorkTree => Tracked::load(repo)?.complete(),
    }
}
