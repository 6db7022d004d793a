//! `remove`: stops tracking outputs. The data stays unless it is asked for.

use std::collections::BTreeSet;

use crate::fs::rescue::Kept;
use crate::model::path::RepoPath;
use crate::ops::place::{Manner, Planner, Wanted};
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Source, Tracked};
use crate::ops::{OpError, OutputError, pointers, surroundings};
use crate::repo::Repo;
use crate::report::Reporter;

/// What to stop tracking.
#[derive(Clone, Debug, Default)]
pub struct RemoveOptions {
    /// Outputs or their pointers.
    pub targets: TargetOptions,
    /// Whether the data goes, too.
    pub outs: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Default, serde::Serialize)]
pub struct RemoveReport {
    /// Outputs that are tracked no more, sorted.
    pub outputs: Vec<String>,
    /// Files of data that were taken away.
    pub deleted: u64,
    /// Data that was not saved and went to rescue.
    pub rescued: Vec<Kept>,
    /// What to hand to `git add`, relative to the repository's root.
    pub git_add: Vec<String>,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// Removes pointers and their ignore lines; with `outs` the data as well, which goes to rescue where the
/// cache does not have it.
///
/// Fails for outputs of stages, which the pipeline declares.
pub fn run(repo: &Repo, options: &RemoveOptions, reporter: &dyn Reporter) -> Result<RemoveReport, OpError> {
    let tracked = Tracked::load(repo)?;
    let mut outputs: Vec<(RepoPath, RepoPath)> = Vec::new();
    for one in targets::outputs(repo, &tracked, &options.targets)? {
        if !one.inside.is_empty() {
            let path = one.out.path.join_entry(&one.inside[0]);
            return Err(OutputError::InsideOutput { path, output: one.out.path.clone() }.into());
        }
        match &one.out.source {
            Source::Pointer { file } => outputs.push((one.out.path.clone(), file.clone())),
            Source::Stage { stage, .. } => {
                let (path, stage) = (one.out.path.clone(), stage.clone());
                return Err(OutputError::StageOutput { path, stage }.into());
            }
        }
    }
    let mut report = RemoveReport {
        outputs: outputs.iter().map(|(output, _)| output.to_string()).collect(),
        dry_run: options.dry_run,
        ..RemoveReport::default()
    };
    if options.dry_run {
        return Ok(report);
    }
    let changed = untrack(repo, &outputs, reporter)?;
    if repo.git().is_some() {
        report.git_add = changed.iter().map(ToString::to_string).collect();
    }
    if options.outs {
        take_away(repo, &outputs, reporter, &mut report)?;
    }
    surroundings::update_here(repo, reporter, |here| {
        outputs.iter().for_each(|(output, _)| here.forget(output));
    })?;
    Ok(report)
}

/// Removes the pointers, then the ignore lines: a kill between the two leaves data that git ignores.
fn untrack(
    repo: &Repo,
    outputs: &[(RepoPath, RepoPath)],
    reporter: &dyn Reporter,
) -> Result<BTreeSet<RepoPath>, OpError> {
    let held = surroundings::lock(repo, reporter)?;
    let mut changed = BTreeSet::new();
    for (_, pointer) in outputs {
        repo.dir().remove_file(pointer)?;
        repo.dir().sync_dir(&pointer.parent().unwrap_or_else(RepoPath::root))?;
        changed.insert(pointer.clone());
    }
    let names: Vec<&RepoPath> = outputs.iter().map(|(output, _)| output).collect();
    changed.extend(pointers::unignore_outputs(repo, &names, &held)?);
    Ok(changed)
}

fn take_away(
    repo: &Repo,
    outputs: &[(RepoPath, RepoPath)],
    reporter: &dyn Reporter,
    report: &mut RemoveReport,
) -> Result<(), OpError> {
    let planner = Planner::new(repo, reporter)?;
    let manner = Manner { force: true, clean: true };
    let mut plans = Vec::new();
    for (output, _) in outputs {
        plans.push(planner.plan(Wanted { output: output.clone(), info: None, inside: Vec::new() }, manner)?);
    }
    for placed in planner.apply(plans, "mlv remove")? {
        report.deleted += placed.deleted.len() as u64;
        report.rescued.extend(placed.kept);
        if let Some((_, error)) = placed.failed.into_iter().next() {
            return Err(error);
        }
    }
    Ok(())
}
