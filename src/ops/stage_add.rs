//! `stage add`: a new stage in the pipeline file of the current folder.

use crate::fs::atomic;
use crate::model::path::RepoPath;
use crate::model::stage::{Out, Pipeline};
use crate::model::yaml::Limits;
use crate::ops::clash::{Clash, OutputClash};
use crate::ops::edit_error::EditError;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::tracked::{PIPELINE_FILE, Source, Tracked, WorkTreeValues};
use crate::ops::{OpError, pointers, surroundings};
use crate::pipeline::edit;
use crate::pipeline::graph::{Graph, GraphError, StageAddress};
use crate::repo::Repo;
use crate::report::Reporter;

pub use crate::pipeline::edit::{NewOut, NewStage};

/// What to add.
#[derive(Clone, Debug, Default)]
pub struct StageAddOptions {
    /// The stage.
    pub stage: NewStage,
    /// Whether it may take the place of one of its name.
    pub force: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What was added.
#[derive(Debug, Default, serde::Serialize)]
pub struct StageAddReport {
    /// The stage, as a target from the root.
    pub stage: String,
    /// The pipeline file, relative to the root.
    pub file: String,
    /// The lines that define it.
    pub definition: String,
    /// Whether it took the place of another.
    pub replaced: bool,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Writes the stage, if it contradicts no other, and makes git ignore what it makes. Comments and order
/// of all else in the file stay; of a stage that it takes the place of nothing does.
pub fn run(
    repo: &Repo,
    options: &StageAddOptions,
    reporter: &dyn Reporter,
) -> Result<StageAddReport, OpError> {
    let file = repo.prefix().join_str(PIPELINE_FILE).map_err(|source| {
        let path = repo.prefix().clone();
        OpError::BadName { path, source }
    })?;
    let tracked = Tracked::load(repo)?;
    let held = if options.dry_run { None } else { Some(surroundings::lock(repo, reporter)?) };
    let old = read(repo, &file)?;
    let name: Box<str> = options.stage.name.as_str().into();
    let exists = old.as_ref().is_some_and(|_| {
        let known = tracked.pipelines().iter().find(|one| one.pipeline.file == file);
        known.is_some_and(|known| made_by(&known.pipeline, &name).next().is_some())
    });
    if exists && !options.force {
        return Err(EditError::Exists { path: file, stage: name }.into());
    }
    let values = WorkTreeValues(repo);
    let edited = edit::with_stage(&file, old.as_deref(), &options.stage, options.force, &values)?;
    let Some((bytes, pipeline)) = edited else {
        return Err(EditError::Entangled { path: file, stage: name }.into());
    };
    check_pointers(&tracked, &pipeline, &name)?;
    let outs: Vec<Out> = made_by(&pipeline, &name).flat_map(|stage| stage.outs.clone()).collect();
    let outs: Vec<&Out> = outs.iter().collect();
    check_graph(&tracked, pipeline)?;
    let mut report = StageAddReport {
        stage: StageAddress { file: file.clone(), name }.to_string(),
        file: file.to_string(),
        definition: options.stage.text(2),
        replaced: exists,
        dry_run: options.dry_run,
        ..StageAddReport::default()
    };
    let Some(held) = held else { return Ok(report) };
    // The ignore lines first: a kill between the two leaves a line too much, never data in git.
    let mut changed = pointers::ignore_stage_outputs(repo, &outs, &held)?;
    atomic::write(repo.dir(), &file, &bytes, None)?;
    changed.push(file);
    drop(held);
    report.git = git_files::of_changes(repo, changed, reporter)?;
    Ok(report)
}

fn read(repo: &Repo, file: &RepoPath) -> Result<Option<Vec<u8>>, OpError> {
    match repo.dir().read_file(file, Limits::PIPELINE.bytes as u64) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The stages that the definition `name` makes.
fn made_by<'p>(
    pipeline: &'p Pipeline,
    name: &'p str,
) -> impl Iterator<Item = &'p crate::model::stage::Stage> {
    pipeline
        .stages
        .iter()
        .filter(move |stage| stage.name.split_once('@').map_or(&*stage.name, |(group, _)| group) == name)
}

/// Fails if a pointer owns what the stage makes, contains it, or lies in it.
fn check_pointers(tracked: &Tracked, pipeline: &Pipeline, name: &str) -> Result<(), OpError> {
    for stage in made_by(pipeline, name) {
        for out in &stage.outs {
            let new = Source::Stage { file: pipeline.file.clone(), stage: stage.name.clone() };
            let mut known =
                tracked.outs().iter().filter(|known| matches!(known.source, Source::Pointer { .. }));
            let clash =
                known.find(|known| known.path.starts_with(&out.path) || out.path.starts_with(&known.path));
            let Some(known) = clash else { continue };
            let (first, path) = (known.source.clone(), out.path.clone());
            let clash = if known.path == path {
                Clash::Same { path, first, second: new }
            } else if path.starts_with(&known.path) {
                Clash::Nested { outer: known.path.clone(), inner: path, first, second: new }
            } else {
                Clash::Nested { outer: path, inner: known.path.clone(), first: new, second: first }
            };
            // Nothing stands anywhere yet.
            return Err(OutputClash { clash, place: None }.into());
        }
    }
    Ok(())
}

/// Fails if the stages of all pipelines contradict each other.
fn check_graph(tracked: &Tracked, pipeline: Pipeline) -> Result<(), OpError> {
    let others = tracked.pipelines().iter().filter(|one| one.pipeline.file != pipeline.file);
    let mut pipelines: Vec<Pipeline> = others.map(|one| (*one.pipeline).clone()).collect();
    pipelines.push(pipeline);
    pipelines.sort_by(|a, b| a.file.cmp(&b.file));
    // The new stage stands on no line yet.
    Graph::build(pipelines).map_err(GraphError::of_whole_file)?;
    Ok(())
}
