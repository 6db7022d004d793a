//! `pull`: fetch, then checkout.

use crate::error::{Advice, ErrorKind};
use crate::model::path::RepoPath;
use crate::ops::checkout::{self, CheckoutOptions, CheckoutReport};
use crate::ops::fetch::{self, FetchOptions, FetchReport};
use crate::ops::share::elsewhere::Elsewhere;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError};
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
    let elsewhere = Elsewhere::new(repo, reporter);
    let mut report = once(repo, fetching, checking, (&elsewhere, reporter))?;
    for _ in 0..PASSES {
        if fetching.dry_run || !(has_put_aside(&report) || is_readable_now(repo, &report)?) {
            break;
        }
        let mut next = once(repo, fetching, checking, (&elsewhere, reporter))?;
        next.fetched.add_earlier(report.fetched);
        next.checked_out.add_earlier(report.checked_out);
        report = next;
    }
    Ok(report)
}

/// More often it is not done again: what turns up damaged each time is not mended by that.
const PASSES: usize = 3;

/// Whether something in the cache turned out to be damaged, and is out of use now: it comes with the next
/// fetch (R4). A list of files hides what it lists, and one that is damaged is one that is not here.
fn has_put_aside(report: &PullReport) -> bool {
    let is_there = |error: &OpError| matches!(error, OpError::Output(error) if matches!(**error, OutputError::DamagedThere { .. }));
    let PullReport { fetched, checked_out } = report;
    let is_put_aside = |error: &OpError| error.kind() == ErrorKind::Damaged && !is_there(error);
    // What the remote lacks is told as that.
    let is_lost_here = |error: &OpError| is_put_aside(error) || error.is_not_downloaded();
    fetched.failed.iter().any(|(_, error)| is_lost_here(error))
        || checked_out.failed.iter().any(|(_, error)| is_put_aside(error))
        || fetched.failed.is_empty() && checked_out.failed.iter().any(|(_, error)| is_lost_here(error))
}

/// Whether a pipeline can be read by now that could not be before: a file of values came with the data.
fn is_readable_now(repo: &Repo, report: &PullReport) -> Result<bool, OpError> {
    let is_unreadable =
        |error: &OpError| matches!(error.kind(), ErrorKind::InvalidFile | ErrorKind::InvalidPipeline);
    let failed = report.fetched.failed.iter().filter(|(_, error)| is_unreadable(error));
    let mut unreadable = failed.map(|(file, _)| file).peekable();
    if unreadable.peek().is_none() {
        return Ok(false);
    }
    let tracked = Tracked::load(repo)?;
    Ok(!unreadable.all(|file| tracked.problems().iter().any(|problem| problem.file == *file)))
}

fn once(
    repo: &Repo,
    fetching: &FetchOptions,
    checking: &CheckoutOptions,
    (elsewhere, reporter): (&Elsewhere<'_>, &dyn Reporter),
) -> Result<PullReport, OpError> {
    let fetched = fetch::run_with(repo, fetching, elsewhere, reporter)?;
    let plan = checkout::plan(repo, checking, reporter)?;
    let mut checked_out =
        if fetching.dry_run { plan.into_report() } else { checkout::apply(plan, checking)? };
    // Who did not make it cannot have what is not shared, and did not ask for it.
    if fetching.selection.targets.targets.is_empty() {
        checked_out.failed.retain(|(path, error)| {
            !(error.kind() == ErrorKind::NotDownloaded && fetched.private.contains(path))
        });
    }
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
