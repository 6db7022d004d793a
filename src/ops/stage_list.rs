//! `stage list`: the stages and what they are for.

use crate::model::path::RepoPath;
use crate::model::stage::{Out, Role, Stage};
use crate::ops::OpError;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::Tracked;
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;

/// A stage.
#[derive(Debug, serde::Serialize)]
pub struct ListedStage {
    /// Its name as a target from the root.
    pub name: String,
    /// The pipeline file, relative to the root, as all paths are.
    pub file: String,
    /// The scripts that it runs, one after the other.
    pub cmd: Vec<Box<str>>,
    /// What people wrote about it.
    pub desc: Option<Box<str>>,
    /// Where it is run.
    pub wdir: String,
    /// Whether changed inputs are no reason to run.
    pub frozen: bool,
    /// What it reads.
    pub deps: Vec<String>,
    /// Parameter files that it reads.
    pub params: Vec<String>,
    /// What it makes that is neither of the following.
    pub outs: Vec<String>,
    /// Metrics that it makes.
    pub metrics: Vec<String>,
    /// Plots that it makes.
    pub plots: Vec<String>,
}

/// The stages.
#[derive(Debug, Default, serde::Serialize)]
pub struct StageListReport {
    /// In the order of the files.
    pub stages: Vec<ListedStage>,
    /// Files that could not be used.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// The stages that the targets mean; with `complete` it fails if a pipeline cannot be read.
pub fn run(repo: &Repo, options: &TargetOptions, complete: bool) -> Result<StageListReport, OpError> {
    let mut tracked = Tracked::load(repo)?;
    if complete {
        tracked = tracked.complete()?;
    }
    let chosen = targets::stages(repo, &tracked, options)?;
    let mut report = StageListReport::default();
    for one in tracked.pipelines() {
        for stage in &one.pipeline.stages {
            let address = StageAddress { file: one.pipeline.file.clone(), name: stage.name.clone() };
            if chosen.binary_search(&address).is_ok() {
                report.stages.push(listed(&address, stage));
            }
        }
    }
    report.failed = targets::problems(repo, &mut tracked, options);
    Ok(report)
}

fn listed(address: &StageAddress, stage: &Stage) -> ListedStage {
    let outs = |is_wanted: fn(&Role) -> bool| {
        let outs = stage.outs.iter().filter(|out: &&Out| is_wanted(&out.role));
        outs.map(|out| out.path.to_string()).collect()
    };
    ListedStage {
        name: address.to_string(),
        file: address.file.to_string(),
        cmd: stage.command.scripts().to_vec(),
        desc: stage.desc.clone(),
        wdir: if stage.wdir.is_root() { ".".into() } else { stage.wdir.to_string() },
        frozen: stage.frozen,
        deps: stage.dep_names().map(ToString::to_string).collect(),
        params: stage.params.iter().map(|params| params.file.to_string()).collect(),
        outs: outs(|role| *role == Role::Data),
        metrics: outs(|role| *role == Role::Metric),
        plots: outs(|role| matches!(role, Role::Plot(_))),
    }
}
