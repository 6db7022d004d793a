//! `remove`: stops tracking outputs, entries of directories, and stages. Data stays unless it is asked for.

mod entries;
mod stages;

use std::collections::BTreeSet;

use crate::fs::rescue::Kept;
use crate::model::path::RepoPath;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::leases::Idle;
use crate::ops::place::{Manner, Planner, Wanted};
use crate::ops::remove_error::RemoveError;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Source, Tracked};
use crate::ops::{OpError, OutputError, pointers, surroundings};
use crate::repo::Repo;
use crate::report::Reporter;

/// What to stop tracking.
#[derive(Clone, Debug, Default)]
pub struct RemoveOptions {
    /// Outputs or their pointers, paths inside tracked directories, stages.
    pub targets: TargetOptions,
    /// Whether the data of outputs goes, too.
    pub outs: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Default, serde::Serialize)]
pub struct RemoveReport {
    /// Outputs that are tracked no more, sorted.
    pub outputs: Vec<String>,
    /// Paths inside directories that are recorded no more, sorted.
    pub entries: Vec<String>,
    /// Stages that are defined no more, sorted.
    pub stages: Vec<String>,
    /// Files of data that were taken away.
    pub deleted: u64,
    /// Data that was not saved and went to rescue.
    pub rescued: Vec<Kept>,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// Removes pointers and their ignore lines, entries from pointers of directories, and stages from
/// pipeline and lock.
///
/// With `outs` the data of outputs goes as well; that of entries always does. It goes to rescue where
/// the cache does not have it. Fails for outputs of stages, which the pipeline declares.
pub fn run(repo: &Repo, options: &RemoveOptions, reporter: &dyn Reporter) -> Result<RemoveReport, OpError> {
    pointers::undisturbed(|| once(repo, options, reporter))
}

fn once(repo: &Repo, options: &RemoveOptions, reporter: &dyn Reporter) -> Result<RemoveReport, OpError> {
    let tracked = Tracked::load(repo)?;
    stages::refuse_pipelines(repo, &tracked, &options.targets)?;
    let (targets, disputed) = without_disputed(repo, &tracked, &options.targets);
    let (selected, named) = targets::outputs_and_stages(repo, &tracked, &targets)?;
    let mut outputs: Vec<(RepoPath, RepoPath)> = Vec::new();
    let mut parts = Vec::new();
    for one in selected {
        match (&one.out.source, one.out.content) {
            (Source::Pointer { file }, _) if one.inside.is_empty() => {
                outputs.push((one.out.path.clone(), file.clone()));
            }
            (Source::Pointer { file }, Some(known)) => {
                let (output, pointer) = (one.out.path.clone(), file.clone());
                parts.push(entries::Part { output, pointer, known, inside: one.inside });
            }
            (Source::Pointer { .. }, None) => {
                return Err(OutputError::NotADirectory { path: one.out.path.clone() }.into());
            }
            (Source::Stage { stage, .. }, _) => {
                let (path, stage) = (one.out.path.clone(), stage.clone());
                return Err(RemoveError::MadeByStage { path, stage }.into());
            }
        }
    }
    let mut report = RemoveReport {
        outputs: outputs.iter().chain(&disputed).map(|(output, _)| output.to_string()).collect(),
        entries: parts.iter().flat_map(entries::Part::paths).map(|path| path.to_string()).collect(),
        stages: named.iter().map(ToString::to_string).collect(),
        dry_run: options.dry_run,
        ..RemoveReport::default()
    };
    // Whatever can be refused is refused before anything is changed.
    let edits = stages::plan(repo, &tracked, &named)?;
    if options.dry_run {
        entries::check(repo, &parts, reporter)?;
        return Ok(report);
    }
    let mut idle = Idle::default();
    for stage in &named {
        let path = tracked.of_stage(&stage.file, &stage.name).next().map_or(&stage.file, |out| &out.path);
        idle.take(repo, stage, path)?;
    }
    let mut gone: Vec<RepoPath> = outputs.iter().map(|(output, _)| output.clone()).collect();
    gone.extend(stages::outputs(&tracked, &named));
    if !options.outs {
        // The claim goes before the pointer: files that mlv put here and that nothing tracks are taken
        // away by the next checkout, and these are to stay.
        surroundings::update_here(repo, reporter, |here| gone.iter().for_each(|output| here.forget(output)))?;
    }
    let mut changed = entries::remove(repo, (&parts, &tracked), reporter, &mut report)?;
    changed.extend(untrack(repo, &outputs, &disputed, reporter)?);
    changed.extend(stages::remove(repo, &tracked, &edits, reporter)?);
    if options.outs {
        take_away(repo, &gone, reporter, &mut report)?;
        surroundings::update_here(repo, reporter, |here| gone.iter().for_each(|output| here.forget(output)))?;
    }
    report.git = git_files::of_changes(repo, changed, reporter)?;
    Ok(report)
}

/// Takes the pointers out of the targets whose outputs others declare as well: output and pointer. What
/// settles that cannot ask for it to be settled; the data and its ignore line stay for the others.
fn without_disputed(
    repo: &Repo,
    tracked: &Tracked,
    options: &TargetOptions,
) -> (TargetOptions, Vec<(RepoPath, RepoPath)>) {
    let mut found = Vec::new();
    let mut rest = options.clone();
    rest.targets.retain(|target| {
        let Ok(file) = targets::path(repo, target) else { return true };
        let out = tracked.disputed().iter().find(|out| out.source.pointer() == Some(&file));
        found.extend(out.map(|out| (out.path.clone(), file)));
        out.is_none()
    });
    (rest, found)
}

/// Removes the pointers, then the ignore lines: a kill between the two leaves data that git ignores. Those of
/// disputed outputs stay.
fn untrack(
    repo: &Repo,
    outputs: &[(RepoPath, RepoPath)],
    disputed: &[(RepoPath, RepoPath)],
    reporter: &dyn Reporter,
) -> Result<BTreeSet<RepoPath>, OpError> {
    let held = surroundings::lock(repo, reporter)?;
    let mut changed = BTreeSet::new();
    for (_, pointer) in outputs.iter().chain(disputed) {
        repo.dir().remove_file(pointer)?;
        changed.insert(pointer.clone());
    }
    let folders: BTreeSet<RepoPath> =
        changed.iter().map(|pointer| pointer.parent().unwrap_or_else(RepoPath::root)).collect();
    folders.iter().try_for_each(|folder| repo.dir().sync_dir(folder))?;
    let names: Vec<&RepoPath> = outputs.iter().map(|(output, _)| output).collect();
    changed.extend(pointers::unignore_outputs(repo, &names, &held)?);
    Ok(changed)
}

/// Takes outputs out of the work tree.
fn take_away(
    repo: &Repo,
    outputs: &[RepoPath],
    reporter: &dyn Reporter,
    report: &mut RemoveReport,
) -> Result<(), OpError> {
    let wanted = |output: &RepoPath| Wanted { output: output.clone(), info: None, inside: Vec::new() };
    place(repo, outputs.iter().map(wanted).collect(), reporter, report)
}

/// Makes the work tree what is wanted; what is not saved goes to rescue.
fn place(
    repo: &Repo,
    wanted: Vec<Wanted>,
    reporter: &dyn Reporter,
    report: &mut RemoveReport,
) -> Result<(), OpError> {
    let planner = Planner::new(repo, reporter)?;
    let manner = Manner { force: true, clean: true, ..Manner::default() };
    let plans = wanted.into_iter().map(|wanted| planner.plan(wanted, manner));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    for placed in planner.apply(plans, "mlv remove")? {
        report.deleted += placed.deleted.len() as u64;
        report.rescued.extend(placed.kept);
        if let Some((_, error)) = placed.failed.into_iter().next() {
            return Err(error);
        }
    }
    Ok(())
}
