//! `pull`: fetch, then checkout.

use crate::error::{Advice, ErrorKind};
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::checkout::{self, CheckoutOptions, CheckoutReport};
use crate::ops::fetch::{self, FetchOptions, FetchReport};
use crate::ops::tracked::Tracked;
use crate::repo::Repo;
use crate::report::Reporter;

/// What `pull` did.
#[derive(Debug, serde::Serialize)]
pub struct PullReport {
    /// What came into the cache.
    pub fetched: FetchReport,
    /// What was put into the work tree.
    pub checked_out: CheckoutReport,
}

/// Brings data into the cache and makes the work tree what is recorded.
///
/// Changes that are not recorded stop it before the work tree is touched, unless `force` is given; what
/// came stays in the cache. What the remote lacks does not keep the rest from being checked out.
pub fn run(
    repo: &Repo,
    fetching: &FetchOptions,
    checking: &CheckoutOptions,
    reporter: &dyn Reporter,
) -> Result<PullReport, OpError> {
    let first = once(repo, fetching, checking, reporter)?;
    let is_unreadable =
        |error: &OpError| matches!(error.kind(), ErrorKind::InvalidFile | ErrorKind::InvalidPipeline);
    let mut unreadable = first
        .fetched
        .failed
        .iter()
        .filter(|(_, error)| is_unreadable(error))
        .map(|(file, _)| file)
        .peekable();
    if unreadable.peek().is_none() {
        return Ok(first);
    }
    let tracked = Tracked::load(repo)?;
    if unreadable.all(|file| tracked.problems().iter().any(|problem| problem.file == *file)) {
        return Ok(first);
    }
    // A file of values came with the data, and with it a pipeline can be read that could not be before.
    let mut second = once(repo, fetching, checking, reporter)?;
    second.fetched.add_earlier(first.fetched);
    second.checked_out.add_earlier(first.checked_out);
    Ok(second)
}

fn once(
    repo: &Repo,
    fetching: &FetchOptions,
    checking: &CheckoutOptions,
    reporter: &dyn Reporter,
) -> Result<PullReport, OpError> {
    let fetched = fetch::run(repo, fetching, reporter)?;
    let plan = checkout::plan(repo, checking, reporter)?;
    let mut checked_out =
        if fetching.dry_run { plan.into_report() } else { checkout::apply(plan, checking)? };
    // Said once: what did not come cannot be checked out either.
    let lacking = !fetched.failed.is_empty();
    checked_out.failed.retain(|(path, error)| {
        let said = fetched.failed.iter().any(|(known, _)| known == path || path.starts_with(known));
        !(lacking && said && error.kind() == ErrorKind::NotDownloaded)
    });
    // Nor is a file that cannot be read told by both.
    checked_out.failed.retain(|(path, error)| {
        let same = |(known, earlier): &(RepoPath, OpError)| {
            known == path && earlier.kind() == error.kind() && earlier.to_string() == error.to_string()
        };
        !fetched.failed.iter().any(same)
    });
    Ok(PullReport { fetched, checked_out })
}
