//! What a partial clone (`git clone --filter=…`) left with the remote that it was cloned from: git brings an
//! object when it is read, and so does this, by the command that git itself runs then.

use std::collections::BTreeSet;

use super::Error;
use super::add::{feed, says};
use super::repo::GitRepo;

/// What became of the question who has the objects that are not here.
#[derive(Debug, Default)]
pub(super) enum Promisor {
    /// Nobody asked yet.
    #[default]
    Unknown,
    /// The clone is whole.
    None,
    /// This remote of git's.
    Remote(String),
    /// This one, which did not give what it was asked for.
    Failed(String, String),
}

/// By which a user keeps git from bringing anything by itself.
const NEVER: &str = "GIT_NO_LAZY_FETCH";

impl GitRepo {
    /// Whether objects may be missing here that a remote of git's has.
    pub(super) fn is_partial(&self, repo: &gix::Repository) -> bool {
        let mut promisor = self.promisor.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if matches!(*promisor, Promisor::Unknown) {
            *promisor = find_promisor(repo).map_or(Promisor::None, Promisor::Remote);
        }
        !matches!(*promisor, Promisor::None)
    }

    /// Has git bring those of the objects that are not here, in one go; of a folder all below it but the
    /// files. Nothing in a clone that is whole.
    ///
    /// A remote that failed is not asked again.
    pub(super) fn bring(
        &self,
        repo: &gix::Repository,
        ids: impl IntoIterator<Item = gix::ObjectId>,
    ) -> Result<(), Error> {
        if !self.is_partial(repo) {
            return Ok(());
        }
        let missing: BTreeSet<gix::ObjectId> = ids.into_iter().filter(|id| !repo.has_object(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut promisor = self.promisor.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*promisor {
            Promisor::Unknown | Promisor::None => Ok(()),
            Promisor::Failed(remote, says) => {
                Err(Error::NotBrought { remote: remote.clone(), says: says.clone() })
            }
            Promisor::Remote(remote) => {
                let remote = remote.clone();
                self.fetch_objects(&remote, &missing).inspect_err(|error| {
                    if let Error::NotBrought { remote, says } = error {
                        *promisor = Promisor::Failed(remote.clone(), says.clone());
                    }
                })
            }
        }
    }

    fn fetch_objects(&self, remote: &str, ids: &BTreeSet<gix::ObjectId>) -> Result<(), Error> {
        let failed = |says: String| Error::NotBrought { remote: remote.to_owned(), says };
        if std::env::var_os(NEVER).is_some_and(|value| value != "0" && value != "false" && !value.is_empty())
        {
            return Err(failed(format!("`{NEVER}` is set")));
        }
        let (program, mut command) = self.asking_remotes()?;
        // As git does it (promisor-remote.c), but without its tidying up.
        command.args([
            "-c",
            "fetch.negotiationAlgorithm=noop",
            "-c",
            "maintenance.auto=false",
            "-c",
            "gc.auto=0",
        ]);
        command.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no"]);
        command.args(["--filter=blob:none", "--stdin", "--", remote]);
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let output =
            feed(&mut command, input.as_bytes()).map_err(|error| crate::fs::at(&program, "run")(error))?;
        if output.status.success() { Ok(()) } else { Err(failed(says(&output))) }
    }
}

/// The remote that git's configuration names as the one that has the rest.
fn find_promisor(repo: &gix::Repository) -> Option<String> {
    let config = repo.config_snapshot();
    let is_promisor =
        |name: &str| config.boolean(&format!("remote.{name}.promisor")).is_some_and(|promised| promised);
    let names = repo.remote_names();
    let mut names = names.iter().map(ToString::to_string);
    // What older versions of git wrote.
    let old = || config.string("extensions.partialClone").map(|name| name.to_string());
    names.find(|name| is_promisor(name)).or_else(old)
}
