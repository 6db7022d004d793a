//! Stages that are taken out of their pipeline file and its lock.

use std::collections::{BTreeMap, BTreeSet};

use crate::fs::atomic;
use crate::model::path::RepoPath;
use crate::model::stage::{Pipeline, Stage};
use crate::model::yaml::Limits;
use crate::ops::lock_entries::Updates;
use crate::ops::remove_error::RemoveError;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Tracked, TrackedPipeline, WorkTreeValues};
use crate::ops::{OpError, pointers, surroundings};
use crate::pipeline::edit;
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;
use crate::report::Reporter;

/// Names of stages by their pipeline file.
pub(super) type Edits = BTreeMap<RepoPath, Vec<Box<str>>>;

/// Fails with `PipelineFile` if a target is a pipeline file: elsewhere that means all its stages, and
/// whoever asks to remove a file means it seldom.
pub(super) fn refuse_pipelines(
    repo: &Repo,
    tracked: &Tracked,
    options: &TargetOptions,
) -> Result<(), OpError> {
    for target in options.targets.iter().filter(|_| !options.glob) {
        let Ok(path) = targets::path(repo, target) else { continue };
        if let Some(known) = tracked.pipelines().iter().find(|known| known.pipeline.file == path) {
            let stages = known.pipeline.stages.iter().map(|stage| stage.name.clone()).collect();
            return Err(RemoveError::PipelineFile { path, stages }.into());
        }
    }
    Ok(())
}

/// Checks that the stages can be taken out.
pub(super) fn plan(repo: &Repo, tracked: &Tracked, stages: &[StageAddress]) -> Result<Edits, OpError> {
    let mut edits = Edits::new();
    for stage in stages {
        edits.entry(stage.file.clone()).or_default().push(stage.name.clone());
    }
    for pipeline in edited(tracked, &edits) {
        refuse_parts(&pipeline.pipeline, &edits[&pipeline.pipeline.file])?;
        refuse_needed(&pipeline.pipeline, &edits[&pipeline.pipeline.file])?;
        without(repo, &pipeline.pipeline.file, &edits)?;
    }
    Ok(edits)
}

/// Fails with `GeneratedStage` for a stage of a group that is to stay in part.
fn refuse_parts(pipeline: &Pipeline, names: &[Box<str>]) -> Result<(), OpError> {
    for name in names {
        let group = edit::definition_of(name);
        let is_left =
            |stage: &Stage| edit::definition_of(&stage.name) == group && !names.contains(&stage.name);
        if pipeline.stages.iter().any(is_left) {
            let (path, stage, group) = (pipeline.file.clone(), name.clone(), group.into());
            return Err(RemoveError::GeneratedStage { path, stage, group }.into());
        }
    }
    Ok(())
}

/// Fails with `NeededStage` for a stage that one which is to stay waits for.
fn refuse_needed(pipeline: &Pipeline, names: &[Box<str>]) -> Result<(), OpError> {
    for by in pipeline.stages.iter().filter(|stage| !names.contains(&stage.name)) {
        if let Some(stage) = by.needs.iter().find(|needed| names.contains(needed)) {
            let line = by.places.of_need(stage).mark.line;
            let (path, stage) = (pipeline.file.clone(), stage.clone());
            return Err(RemoveError::NeededStage { path, stage, by: by.name.clone(), line }.into());
        }
    }
    Ok(())
}

/// The outputs of the stages.
pub(super) fn outputs(tracked: &Tracked, stages: &[StageAddress]) -> Vec<RepoPath> {
    let outs = stages.iter().flat_map(|stage| tracked.of_stage(&stage.file, &stage.name));
    outs.map(|out| out.path.clone()).collect()
}

/// Edits the pipelines, then the locks, then the ignore lines of the outputs: a kill in between leaves
/// entries that the next writer drops, and data that git ignores. Returns the files that changed.
pub(super) fn remove(
    repo: &Repo,
    tracked: &Tracked,
    edits: &Edits,
    reporter: &dyn Reporter,
) -> Result<BTreeSet<RepoPath>, OpError> {
    let mut changed = BTreeSet::new();
    if edits.is_empty() {
        return Ok(changed);
    }
    let held = surroundings::lock(repo, reporter)?;
    let mut updates = Updates::default();
    let (mut outs, mut removed) = (Vec::new(), BTreeMap::new());
    for pipeline in edited(tracked, edits) {
        let file = &pipeline.pipeline.file;
        // Read again under the lock: what somebody wrote meanwhile is kept.
        let bytes = without(repo, file, edits)?;
        atomic::write(repo.dir(), file, &bytes, None)?;
        changed.insert(file.clone());
        let gone = pipeline.pipeline.stages.iter().filter(|stage| edits[file].contains(&stage.name));
        outs.extend(gone.flat_map(|stage| &stage.outs).map(|out| &out.path));
        removed.insert(&pipeline.lock_file, &edits[file]);
        if repo.dir().stat(&pipeline.lock_file)?.is_some() {
            updates.visit(&pipeline.lock_file);
        }
    }
    // No others: a stage that came meanwhile has its entry from whoever ran it.
    let exists = |file: &RepoPath, name: &str| {
        removed.get(file).is_none_or(|names| names.iter().all(|removed| **removed != *name))
    };
    changed.extend(updates.write(repo, exists, &held)?);
    changed.extend(pointers::unignore_outputs(repo, &outs, &held)?);
    Ok(changed)
}

fn edited<'t>(tracked: &'t Tracked, edits: &Edits) -> impl Iterator<Item = &'t TrackedPipeline> {
    tracked.pipelines().iter().filter(|one| edits.contains_key(&one.pipeline.file))
}

/// The text of a pipeline file without its stages.
fn without(repo: &Repo, file: &RepoPath, edits: &Edits) -> Result<Vec<u8>, OpError> {
    let names: Vec<&str> = edits[file].iter().map(|name| &**name).collect();
    let bytes = repo.dir().read_file(file, Limits::PIPELINE.bytes as u64)?;
    let entangled = || {
        let stage = names.first().map_or("", |name| edit::definition_of(name)).into();
        RemoveError::EntangledStage { path: file.clone(), stage }
    };
    Ok(edit::without_stages(file, &bytes, &names, &WorkTreeValues(repo))?.ok_or_else(entangled)?)
}
