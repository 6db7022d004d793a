//! `gc --cloud`: deletes from a remote what nobody needs.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::error::{Advice, ErrorKind};
use crate::git::repo::{CommitId, GitRepo};
pub use crate::git::revision::Scope;
use crate::ops::OpError;
use crate::ops::push::{client, project, root};
use crate::ops::share::{self, Access};
use crate::ops::tracked::{History, Tracked};
use crate::remote::error::Cause;
use crate::remote::gc::{self, Rules};
pub use crate::remote::gc::{Fate, OtherProject};
use crate::remote::names::ClientId;
use crate::remote::records::Root;
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// Of which commits everything is kept. What the work tree names is kept in any case, and so is what
/// clones said they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Whatever can be reached: references, reflogs, stash, work trees, git's remotes.
    #[default]
    Everything,
    /// Only these.
    Only {
        /// Branches, tags, all commits.
        scope: Scope,
        /// Revisions.
        revisions: Vec<String>,
        /// So many commits of each revision, along first parents; 1 or more.
        number: u32,
        /// All commits that were made since then, in seconds since 1970.
        since: Option<i64>,
    },
}

/// What to collect, and how.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    /// The remote; the default one if none is named.
    pub remote: Option<String>,
    /// Of which commits everything is kept.
    pub kept: Kept,
    /// Whether commits of which something cannot be read are left out: nothing is kept for that.
    pub skip_failed: bool,
    /// How long what clones pushed is kept, if not the usual time.
    pub keep: Option<Duration>,
    /// Whether marked packs are deleted at once.
    pub now: bool,
    /// The id of another project: what it pushed is to count no longer.
    pub forget_project: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What `gc --cloud` did.
#[derive(Debug, serde::Serialize)]
pub struct GcReport {
    /// The remote's name.
    pub remote: String,
    /// What was done there.
    #[serde(flatten)]
    pub collected: gc::GcReport,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// Marks what nobody needs on a remote, and deletes what was marked long enough ago.
///
/// Fails, and deletes nothing, where it cannot know all that is needed.
pub fn run(repo: &Repo, options: &GcOptions, reporter: &dyn Reporter) -> Result<GcReport, OpError> {
    let mut from = share::open(repo, options.remote.as_deref(), Access::Collect, reporter)?;
    // A dry run writes nothing, so it needs no name.
    let client = if options.dry_run { ClientId(0) } else { client(repo, reporter)? };
    let project = project(repo)?;
    let mut rules = Rules::default();
    rules.keep = options.keep.unwrap_or(rules.keep);
    if options.now {
        rules = rules.without_grace();
    }
    let forget = options.forget_project.as_deref().map(Into::into);
    let how =
        gc::GcOptions { client, project, rules, forget, now: SystemTime::now(), dry_run: options.dry_run };
    let mut commits = || wanted(repo, options, reporter).map_err(Cause::new);
    let collected = gc::collect(&mut from.remote, &how, &mut commits, reporter)?;
    Ok(GcReport { remote: from.name, collected, dry_run: options.dry_run })
}

/// What the work tree and the commits in scope name.
///
/// Fails where one of them cannot be read: what it names is not known (R9).
fn wanted(repo: &Repo, options: &GcOptions, reporter: &dyn Reporter) -> Result<BTreeSet<Root>, OpError> {
    let mut roots = BTreeSet::new();
    add(&Tracked::load(repo)?.complete()?, &mut roots);
    let commits = commits(repo, &options.kept)?;
    if commits.is_empty() {
        return Ok(roots);
    }
    let mut history = History::without_ignoring(repo)?;
    history.foresee(&commits)?;
    for commit in commits {
        let mut tracked = history.at(commit)?;
        if let Some(problem) = tracked.take_problems().into_iter().next() {
            let failed = OpError::UnreadableCommit {
                commit: commit.short(),
                path: problem.file,
                source: Box::new(problem.error),
            };
            if !options.skip_failed {
                return Err(failed);
            }
            reporter.event(&Event::Warning { message: format!("left out: {failed}") });
        }
        add(&tracked, &mut roots);
    }
    Ok(roots)
}

fn commits(repo: &Repo, kept: &Kept) -> Result<Vec<CommitId>, OpError> {
    let Kept::Only { scope, revisions, number, since } = kept else {
        return Ok(repo.git().map_or(Ok(Vec::new()), GitRepo::reachable)?);
    };
    if scope.is_empty() && revisions.is_empty() && since.is_none() {
        return Ok(Vec::new());
    }
    let git = repo.require_git()?;
    let mut commits = if scope.is_empty() { Vec::new() } else { git.commits(*scope)? };
    if let Some(since) = since {
        commits.extend(git.commits_since(*since)?);
    }
    for revision in revisions {
        commits.push(git.resolve(revision)?);
        for back in 1..*number {
            match git.resolve(&format!("{revision}~{back}")) {
                Ok(commit) => commits.push(commit),
                Err(error) if error.kind() == ErrorKind::NoSuchRevision => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(commits)
}

fn add(tracked: &Tracked, roots: &mut BTreeSet<Root>) {
    roots.extend(tracked.outs().iter().filter_map(|out| out.content.as_ref()).map(root));
}
