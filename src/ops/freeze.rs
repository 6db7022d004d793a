//! `freeze` and `unfreeze`: whether changed inputs make a stage run.

use std::collections::{BTreeMap, BTreeSet};

use crate::fs::atomic;
use crate::model::path::RepoPath;
use crate::model::yaml::Limits;
use crate::ops::edit_error::EditError;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Tracked, WorkTreeValues};
use crate::ops::{OpError, surroundings};
use crate::pipeline::edit;
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;
use crate::report::Reporter;

/// Which stages, and what they are to be.
#[derive(Clone, Debug, Default)]
pub struct FreezeOptions {
    /// Stages and groups of stages.
    pub targets: TargetOptions,
    /// Whether they are to be frozen, or not.
    pub frozen: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Default, serde::Serialize)]
pub struct FreezeReport {
    /// Whether stages were frozen, or the reverse.
    pub frozen: bool,
    /// Stages that were changed, sorted; of a group each.
    pub changed: Vec<String>,
    /// Stages that were so already, sorted.
    pub unchanged: Vec<String>,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Edits the pipeline files, whose comments and order stay.
pub fn run(repo: &Repo, options: &FreezeOptions, reporter: &dyn Reporter) -> Result<FreezeReport, OpError> {
    let tracked = Tracked::load(repo)?;
    let stages = targets::stages(repo, &tracked, &options.targets)?;
    let mut report =
        FreezeReport { frozen: options.frozen, dry_run: options.dry_run, ..FreezeReport::default() };
    for (address, frozen) in states(&tracked, &stages) {
        let list = if frozen == options.frozen { &mut report.unchanged } else { &mut report.changed };
        list.push(address.to_string());
    }
    let files = definitions(&tracked, &stages, options.frozen)?;
    // All or none: each edit is tried before the first is written.
    for (file, names) in &files {
        edited(repo, file, names, options.frozen)?;
    }
    if options.dry_run || report.changed.is_empty() {
        return Ok(report);
    }
    let held = surroundings::lock(repo, reporter)?;
    for (file, names) in &files {
        // Read again under the lock: what somebody wrote meanwhile is kept.
        let bytes = edited(repo, file, names, options.frozen)?;
        atomic::write(repo.dir(), file, &bytes, None)?;
    }
    drop(held);
    report.git = git_files::of_changes(repo, files.into_keys(), reporter)?;
    Ok(report)
}

/// Each of the stages, and whether it is frozen.
fn states<'a>(
    tracked: &'a Tracked,
    stages: &'a [StageAddress],
) -> impl Iterator<Item = (&'a StageAddress, bool)> {
    stages.iter().filter_map(|address| {
        let known = tracked.pipelines().iter().find(|one| one.pipeline.file == address.file)?;
        let stage = known.pipeline.stages.iter().find(|stage| stage.name == address.name)?;
        Some((address, stage.frozen))
    })
}

/// The definitions that make the stages, by file. Fails with `OneOfGroup` where one makes others too.
fn definitions(
    tracked: &Tracked,
    stages: &[StageAddress],
    frozen: bool,
) -> Result<BTreeMap<RepoPath, BTreeSet<Box<str>>>, OpError> {
    let named: BTreeSet<&StageAddress> = stages.iter().collect();
    let mut files: BTreeMap<RepoPath, BTreeSet<Box<str>>> = BTreeMap::new();
    for address in stages {
        let definition = group_of(&address.name);
        let known = tracked.pipelines().iter().find(|one| one.pipeline.file == address.file);
        let mut made = known
            .into_iter()
            .flat_map(|one| &one.pipeline.stages)
            .map(|stage| StageAddress { file: address.file.clone(), name: stage.name.clone() });
        if made.any(|other| group_of(&other.name) == definition && !named.contains(&other)) {
            let group = StageAddress { file: address.file.clone(), name: definition.into() };
            let verb = if frozen { "freeze" } else { "unfreeze" };
            return Err(EditError::OneOfGroup {
                path: address.file.clone(),
                stage: address.to_string(),
                group: definition.into(),
                remedy: format!("for all of them: mlv {verb} {group}"),
            }
            .into());
        }
        files.entry(address.file.clone()).or_default().insert(definition.into());
    }
    Ok(files)
}

/// `build` of `build@us`.
fn group_of(name: &str) -> &str {
    name.split_once('@').map_or(name, |(group, _)| group)
}

fn edited(
    repo: &Repo,
    file: &RepoPath,
    names: &BTreeSet<Box<str>>,
    frozen: bool,
) -> Result<Vec<u8>, OpError> {
    let bytes = repo.dir().read_file(file, Limits::PIPELINE.bytes as u64)?;
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let edited = edit::with_frozen(file, &bytes, &names, frozen, &WorkTreeValues(repo))?;
    let stage = names.first().copied().unwrap_or_default().into();
    Ok(edited.ok_or_else(|| EditError::Entangled { path: file.clone(), stage })?)
}
