//! `remote test`: what a remote keeps of what mlv relies on.

use crate::ops::{OpError, share};
pub use crate::remote::probe::Outcome;
use crate::remote::probe::{self, Probe};
use crate::remote::retry::{Patience, Retrying};
use crate::repo::Repo;

/// What was found.
#[derive(Debug, serde::Serialize)]
pub struct RemoteTestReport {
    /// The remote's name.
    pub name: String,
    /// Where it lies, to be shown.
    pub url: String,
    /// What was looked at, and how it ended.
    #[serde(flatten)]
    pub probe: Probe,
}

/// Looks at the remote `name`, or the default one. Writes one object there and removes it.
pub fn run(repo: &Repo, name: Option<&str>) -> Result<RemoteTestReport, OpError> {
    let config = repo.config().remote(name)?;
    let backend = share::spec_of(&config).open(repo.root()).map_err(Box::new)?;
    let backend = Retrying::new(backend, Patience::default());
    Ok(RemoteTestReport { url: config.shown_url(), name: config.name, probe: probe::probe(&backend) })
}
