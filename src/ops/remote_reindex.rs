//! `remote reindex`: a remote's index, made again from its packs alone.

use crate::ops::OpError;
use crate::ops::share::{self, Access};
use crate::remote::mend::{self, Reindexed};
use crate::repo::Repo;
use crate::report::Reporter;

/// What was done.
#[derive(Debug, serde::Serialize)]
pub struct RemoteReindexReport {
    /// The remote's name.
    pub name: String,
    /// What the index holds.
    #[serde(flatten)]
    pub index: Reindexed,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Reads the tables of all packs of the remote `name`, or the default one, and writes an index over them.
pub fn run(
    repo: &Repo,
    name: Option<&str>,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<RemoteReindexReport, OpError> {
    let mut to = share::open(repo, name, if dry_run { Access::Inspect } else { Access::Rehearse }, reporter)?;
    let index = mend::reindex(&mut to.remote, dry_run, reporter)?;
    Ok(RemoteReindexReport { name: to.name, index, dry_run })
}
