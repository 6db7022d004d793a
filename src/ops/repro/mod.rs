//! `repro`: runs the stages whose inputs changed, in dependency order, and skips the rest.
//!
//! [`crate::pipeline::plan`] decides what and [`crate::pipeline::schedule`] when, `session` goes
//! through the stages, `run` runs one of them transactionally, `workers` has the threads, `aside`
//! keeps the outputs of before, `locks` knows what was recorded, `resources` hands out what is counted. A
//! stage either succeeds as a whole, or is as if it had not been run (R21).

mod aside;
mod decide;
mod dry;
mod error;
mod frozen;
mod lacking;
mod last;
mod leftovers;
mod locks;
mod persistent;
mod pull;
mod resources;
mod run;
mod session;
mod tend;
mod times;
mod workers;

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::fs::rescue::Kept;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::git_files::GitFiles;
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::scan::Scanner;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Problem, Source, Tracked};
use crate::par;
use crate::pipeline::critical_path::critical_path;
use crate::pipeline::graph::{Graph, Selection, StageIndex};
use crate::pipeline::plan::PlanOptions;
use crate::repo::Repo;
use crate::report::{Event, Reporter};

pub use crate::pipeline::schedule::OnFailure;
pub use dry::dry_run;
pub use error::{Bring, StageError};
pub(in crate::ops) use lacking::{add_reason, lacking};
pub use last::{Done, LastRepro};
pub(in crate::ops) use resources::grant_alone;
pub use resources::{Provided, Provision};

pub(in crate::ops) use run::{check_end, failed_folder};

use locks::Locks;
use session::Session;

/// Which stages, and how.
#[derive(Clone, Debug, Default)]
pub struct ReproOptions {
    /// Stages, or outputs of stages; all stages if none is named.
    pub targets: TargetOptions,
    /// Run whether anything changed or not.
    pub force: bool,
    /// The targets alone, without what they build on.
    pub single: bool,
    /// The targets and all that builds on them.
    pub downstream: bool,
    /// All that is linked with the targets.
    pub pipeline: bool,
    /// Run also what builds on a stage that runs.
    pub force_downstream: bool,
    /// Fetch what is not here instead of making it.
    pub pull: bool,
    /// What becomes of the others when a stage fails.
    pub on_failure: OnFailure,
    /// How many stages run at once; one for each processor if it is not said.
    pub jobs: Option<NonZeroUsize>,
    /// Take what is neither here nor changed in any pointer as it was.
    pub allow_missing: bool,
    /// Leave storing the outputs in the cache to `mlv commit`.
    pub no_commit: bool,
    /// Run also what has run with the same inputs before.
    pub no_run_cache: bool,
    /// Keep what failed commands made, in a folder of mlv's.
    pub keep_failed: bool,
    /// What there is of things that are counted.
    pub resources: Provided,
}

impl ReproOptions {
    fn plan(&self) -> PlanOptions {
        let ReproOptions { force, allow_missing, force_downstream, .. } = *self;
        let run_cache = !self.no_run_cache;
        PlanOptions { force, allow_missing, pull: false, run_cache, force_downstream }
    }

    fn jobs(&self) -> usize {
        self.jobs.map_or_else(par::processors, NonZeroUsize::get)
    }
}

/// What was done with a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It ran and succeeded.
    Run,
    /// Nothing changed, or it is frozen.
    Skipped,
    /// Its outputs were brought back without running it.
    Restored,
    /// It ran and failed, or could not be run.
    Failed,
    /// It ran until the user asked to stop.
    Interrupted,
    /// It was not looked at, because of a failure before it.
    NotRun,
    /// It would run.
    WouldRun,
    /// Its outputs would be brought back.
    WouldRestore,
    /// It is as recorded, but for outputs that were never here: `--pull` brings them, a run makes them again.
    NotDownloaded,
    /// It would run if what is above it makes something else than before.
    MayRun,
}

/// One stage.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StageReport {
    /// Its name as a target from the root.
    pub stage: String,
    /// What was done with it.
    pub action: Action,
    /// Why, in the form of `status`.
    pub reasons: Vec<serde_json::Value>,
    /// Run time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How long its last run on this machine took, where it may run now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seconds: Option<f64>,
    /// The folder with what a command that failed had made, relative to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_outputs: Option<String>,
    /// The exit code of a command that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The file with all that a command printed that failed, relative to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl StageReport {
    fn new(stage: String, action: Action) -> StageReport {
        StageReport {
            stage,
            action,
            reasons: Vec::new(),
            seconds: None,
            last_seconds: None,
            exit_code: None,
            log: None,
            partial_outputs: None,
        }
    }
}

/// How long a run may take, by the last runs of its stages on this machine.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Estimate {
    /// All stages one after the other, as far as their times are known.
    pub seconds: f64,
    /// The longest chain: no number of jobs is faster.
    pub critical_seconds: f64,
    /// Its stages, from the first to the last.
    pub critical_path: Vec<String>,
}

impl Estimate {
    /// Nothing, if nothing is known.
    fn of(graph: &Graph, known: &[(StageIndex, Duration)]) -> Option<Estimate> {
        let path = critical_path(graph, known);
        let total: Duration = known.iter().map(|(_, time)| *time).sum();
        (!path.stages.is_empty()).then(|| Estimate {
            seconds: total.as_secs_f64(),
            critical_seconds: path.time.as_secs_f64(),
            critical_path: path.stages.iter().map(|stage| graph.address(*stage).to_string()).collect(),
        })
    }
}

/// What `repro` did.
#[derive(Debug, Default, serde::Serialize)]
pub struct ReproReport {
    /// The stages in the order in which they were looked at.
    pub stages: Vec<StageReport>,
    /// What went to rescue: edits of outputs, and what failed stages left.
    pub rescued: Vec<Kept>,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was run.
    pub dry_run: bool,
    /// How long what would run may take; only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// What failed, by stage.
    #[serde(skip)]
    pub failed: Vec<(String, OpError)>,
}

impl ReproReport {
    /// How many stages had this done with them.
    pub fn count(&self, action: Action) -> u64 {
        self.stages.iter().filter(|stage| stage.action == action).count() as u64
    }
}

/// Runs what has to be run.
///
/// A stage that fails is in the report; an error is what keeps all of it from being done.
pub fn run(repo: &Repo, options: &ReproOptions, reporter: &dyn Reporter) -> Result<ReproReport, OpError> {
    prepared(repo, options, options.allow_missing, reporter, |all| {
        let Prepared { tracked, graph, order, state, locks } = all;
        // Here, and not in a dry run: that may be of what another machine is to do.
        resources::check_all(graph, order, &locks, &state, options)?;
        Session::new((repo, reporter), options, (graph, order), (tracked, state, locks)).all()
    })
}

/// What a run goes by, and a dry run as well.
struct Prepared<'a> {
    tracked: &'a Tracked,
    graph: &'a Graph,
    /// The stages that are meant, in the graph's order.
    order: &'a [StageIndex],
    state: WorkTreeState<'a>,
    locks: Locks<'a>,
}

/// Does `act` with what `options` mean.
fn prepared(
    repo: &Repo,
    options: &ReproOptions,
    allows_missing: bool,
    reporter: &dyn Reporter,
    act: impl FnOnce(Prepared<'_>) -> Result<ReproReport, OpError>,
) -> Result<ReproReport, OpError> {
    let (tracked, graph, order) = chosen(repo, options, reporter)?;
    let index = repo.stat_index();
    let scanner = Scanner::new(repo, &index, reporter);
    let state =
        WorkTreeState::new(repo, &tracked, scanner, Absent::OutputsMissing).allowing_missing(allows_missing);
    let locks = Locks::new(repo, &tracked)?;
    act(Prepared { tracked: &tracked, graph: &graph, order: &order, state, locks })
}

/// What is tracked. A pointer or a part of a lock that cannot be used is told; pipelines and the rest of locks
/// must be usable.
pub(in crate::ops) fn load(repo: &Repo, reporter: &dyn Reporter) -> Result<Tracked, OpError> {
    let (tracked, problems) = load_usable(repo, reporter)?;
    problems.into_iter().next().map_or(Ok(tracked), |problem| Err(problem.error))
}

/// What can be used of what is tracked, and the pipelines and locks that cannot. All else that cannot is told.
fn load_usable(repo: &Repo, reporter: &dyn Reporter) -> Result<(Tracked, Vec<Problem>), OpError> {
    let mut tracked = Tracked::load(repo)?;
    let (mut told, mut unusable) = (Vec::new(), Vec::new());
    for problem in tracked.take_problems() {
        let kind = if tracked.is_spared_by(&problem) { &mut told } else { &mut unusable };
        kind.push(problem);
    }
    told.iter().for_each(|problem| tell(problem, reporter));
    Ok((tracked, unusable))
}

fn tell(problem: &Problem, reporter: &dyn Reporter) {
    let remedy = if problem.error.is_conflict() { " (mlv resolve)" } else { "" };
    let message = format!("{}{remedy}", problem.error);
    reporter.event(&Event::Warning { message });
}

/// What is tracked, the graph of all stages that can be read, and those that are meant.
///
/// A pipeline or lock that cannot be used is told where stages are named that have nothing to do with it.
fn chosen(
    repo: &Repo,
    options: &ReproOptions,
    reporter: &dyn Reporter,
) -> Result<(Tracked, Graph, Vec<StageIndex>), OpError> {
    let (tracked, mut problems) = load_usable(repo, reporter)?;
    if options.targets.targets.is_empty() && !problems.is_empty() {
        return Err(problems.swap_remove(0).error);
    }
    let graph = graph(&tracked)?;
    let order = match select(repo, &tracked, &graph, options) {
        // What is named may be what cannot be read.
        Err(_) if !problems.is_empty() => return Err(problems.swap_remove(0).error),
        order => order?,
    };
    let concerns =
        |problem: &Problem| order.iter().any(|index| concerns(problem, (&graph, *index), &tracked));
    if let Some(at) = problems.iter().position(concerns) {
        return Err(problems.swap_remove(at).error);
    }
    problems.iter().for_each(|problem| tell(problem, reporter));
    Ok((tracked, graph, order))
}

/// Whether a stage is of a pipeline, or recorded in a lock, that cannot be used, or reads what that makes.
fn concerns(problem: &Problem, (graph, index): (&Graph, StageIndex), tracked: &Tracked) -> bool {
    if !matches!(problem.error, OpError::Lock(_) | OpError::Pipeline(_)) {
        return true;
    }
    let folder = problem.file.parent();
    if graph.address(index).file.parent() == folder {
        return true;
    }
    let stage = graph.stage(index);
    let reads = |path: &RepoPath| {
        let is_within = |input: &RepoPath| input.starts_with(path) || path.starts_with(input);
        stage.deps.iter().chain(stage.params.iter().map(|wanted| &wanted.file)).any(is_within)
            || stage.patterns.iter().any(|pattern| pattern.touches(path))
    };
    // What a pipeline makes that cannot be read is known from its lock.
    let mut makes = tracked.outs().iter().filter(|out| out.source.file().parent() == folder);
    makes.any(|out| matches!(out.source, Source::Stage { .. }) && reads(&out.path))
}

/// The graph of all stages.
pub(in crate::ops) fn graph(tracked: &Tracked) -> Result<Graph, OpError> {
    let pipelines = tracked.pipelines().iter().map(|one| (*one.pipeline).clone());
    Ok(Graph::build(pipelines.collect())?)
}

fn select(
    repo: &Repo,
    tracked: &Tracked,
    graph: &Graph,
    options: &ReproOptions,
) -> Result<Vec<StageIndex>, OpError> {
    let chosen = targets::stages(repo, tracked, &options.targets)?;
    let chosen: Vec<StageIndex> =
        chosen.iter().filter_map(|address| graph.find(&address.file, &address.name)).collect();
    let selection = match options {
        ReproOptions { single: true, .. } => Selection::Single,
        ReproOptions { downstream: true, .. } => Selection::WithDownstream,
        ReproOptions { pipeline: true, .. } => Selection::Pipeline,
        _ => Selection::WithUpstream,
    };
    Ok(graph.select(&chosen, selection))
}
