//! `commit`: records all changes to what is tracked already.

mod stages;

use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::ops::add::{self, AddedOutput, StoredCounts};
use crate::ops::git_files::{self, GitFiles};
use crate::ops::pointers::Update;
use crate::ops::record::{Recording, Request};
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Source, Tracked};
use crate::ops::{OpError, pointers, surroundings};
use crate::repo::Repo;
use crate::report::Reporter;

use stages::Accepted;

/// How to record.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommitOptions {
    /// Whether changes that came with git may be taken back, and stages that would run are accepted.
    pub force: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What `commit` did.
#[derive(Debug, Default, serde::Serialize)]
pub struct CommitReport {
    /// The outputs whose recording changed, sorted by path.
    pub outputs: Vec<AddedOutput>,
    /// Stages whose inputs and outputs were accepted as they are, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
    /// Stages that would run, because their inputs or outputs changed; left as they are recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// What was new to the cache.
    pub stored: StoredCounts,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Outputs that are not here, and stay recorded as they are.
    pub not_here: u64,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What could not be used, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// One output under a pointer.
struct Item {
    output: RepoPath,
    pointer: RepoPath,
    known: ContentInfo,
    inside: Vec<Box<str>>,
}

/// Records the work tree's state of outputs under pointers, and of stages with their inputs, and stores
/// the bytes. Never runs anything.
///
/// A stage that would run again is left alone unless a target names it, or it is forced: nobody but the
/// user can say that its outputs are those of the inputs as they are now (R21).
///
/// An output that is not here stays recorded as it is: absent is not deleted. In a dry run everything
/// is looked at and nothing written.
pub fn run(
    repo: &Repo,
    targets: &TargetOptions,
    options: CommitOptions,
    reporter: &dyn Reporter,
) -> Result<CommitReport, OpError> {
    pointers::undisturbed(|| once(repo, targets, options, reporter))
}

fn once(
    repo: &Repo,
    targets: &TargetOptions,
    options: CommitOptions,
    reporter: &dyn Reporter,
) -> Result<CommitReport, OpError> {
    let dry_run = options.dry_run;
    let mut tracked = Tracked::load(repo)?;
    if !dry_run && stages::await_runs(repo, &tracked, (targets, options), reporter)? {
        tracked = Tracked::load(repo)?;
    }
    let mut report = CommitReport { dry_run, ..CommitReport::default() };
    let (mut items, mut kept) = (Vec::new(), Vec::new());
    for one in targets::outputs(repo, &tracked, targets)? {
        if !one.out.cache || one.out.content.is_some() {
            kept.push(one.out.path.clone());
        }
        let (Source::Pointer { file }, Some(known)) = (&one.out.source, one.out.content) else { continue };
        if repo.dir().stat(&one.out.path)?.is_none() {
            report.not_here += 1;
            continue;
        }
        items.push(Item { output: one.out.path.clone(), pointer: file.clone(), known, inside: one.inside });
    }
    report.failed = targets::problems(repo, &mut tracked, targets);
    let mut recording =
        if dry_run { Recording::rehearse(repo, reporter)? } else { Recording::begin(repo, reporter)? };
    let written = record(repo, &items, options, &mut recording, &mut report);
    let index = repo.stat_index();
    let mut accepted = Accepted::new(repo, &tracked, &index, options, reporter);
    for chosen in stages::chosen(repo, &tracked, targets)? {
        accepted.stage(&chosen, &mut recording, &mut report);
    }
    let mut published = recording.publish()?;
    report.stored = published.stats.into();
    if dry_run {
        return Ok(report);
    }
    published.learn(accepted.take_learned());
    let held = surroundings::lock(repo, reporter)?;
    let mut changed = pointers::write(repo, &written, &tracked, &held)?;
    changed.extend(pointers::tend_ignore_files(repo, &kept.iter().collect::<Vec<_>>(), &tracked, &held)?);
    drop(held);
    changed.extend(accepted.write()?);
    published.settle()?;
    let pointers = items.iter().map(|item| (&item.output, &item.pointer));
    report.git = git_files::of_pointers(repo, changed, pointers, reporter)?;
    Ok(report)
}

/// Records the items, and says which pointers are to change. One failure stops no other.
fn record(
    repo: &Repo,
    items: &[Item],
    options: CommitOptions,
    recording: &mut Recording<'_>,
    report: &mut CommitReport,
) -> Vec<Update> {
    let mut written = Vec::new();
    for item in items {
        let request = Request {
            output: &item.output,
            known: Some(&item.known),
            inside: &item.inside,
            store: true,
            take_back: options.force,
        };
        match add::check_not_in_git(repo, &item.output).and_then(|()| recording.output(request)) {
            Ok(recorded) if recorded.info != item.known => {
                report.outputs.push(AddedOutput::updated(&item.output, &item.pointer, &recorded));
                let (output, pointer) = (item.output.clone(), item.pointer.clone());
                written.push(Update { output, pointer, base: Some(item.known), info: recorded.info });
            }
            Ok(_) => {}
            Err(error) => report.failed.push((item.output.clone(), error)),
        }
    }
    written
}
