//! The pipeline part of `status`: which stages would run again, and why, without running or needing
//! the data of anything. The JSON form is DVC's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::lockfile::StageLock;
use crate::ops::OpError;
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::repro::{self, ReproOptions, add_reason, lacking};
use crate::ops::scan::Scanner;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::Tracked;
use crate::pipeline::graph::{Graph, StageAddress, StageIndex};
use crate::pipeline::plan::{self, InputChange, OutChange, PlanOptions, Reason, State, Verdict};
use crate::repo::Repo;

/// What tells of outputs that were never here.
pub const NOT_DOWNLOADED: &str = "not downloaded";

/// The stages that would not be skipped, by name, and what makes them run.
///
/// A stage that only waits for others is no change by itself.
pub fn run(
    repo: &Repo,
    tracked: &Tracked,
    targets: &TargetOptions,
    scanner: Scanner<'_>,
) -> Result<BTreeMap<String, Vec<Value>>, OpError> {
    let state = WorkTreeState::new(repo, tracked, scanner, Absent::AsRecorded);
    let Some(graph) = graph(tracked)? else { return Ok(BTreeMap::new()) };
    let mut report = BTreeMap::new();
    for (address, verdict) in verdicts_in(&graph, repo, tracked, targets, &state)? {
        if let Some(changes) = changes(&verdict) {
            report.insert(address.to_string(), changes);
        }
    }
    // What is recorded and not here is no difference.
    let options = ReproOptions { pull: true, ..ReproOptions::default() };
    let all: Vec<StageIndex> = graph.order().collect();
    for (index, error) in lacking(&graph, &all, lock_of(&graph, tracked), &state, &options) {
        if let Some(reasons) = report.get_mut(&graph.address(index).to_string()) {
            add_reason(&error, reasons);
        }
    }
    Ok(report)
}

/// The graph of all stages, if there are any.
fn graph(tracked: &Tracked) -> Result<Option<Graph>, OpError> {
    let has_stages = tracked.pipelines().iter().any(|one| !one.pipeline.stages.is_empty());
    has_stages.then(|| repro::graph(tracked)).transpose()
}

/// The lock entries of the stages of `graph`.
fn lock_of<'t>(graph: &Graph, tracked: &'t Tracked) -> impl Fn(StageIndex) -> Option<&'t StageLock> {
    |index: StageIndex| {
        let address = graph.address(index);
        let pipeline = tracked.pipelines().iter().find(|one| one.pipeline.file == address.file)?;
        pipeline.lock.stages.get(&address.name)
    }
}

/// What `repro` would do, in the state `state`, with the stages that the targets mean: in the order of
/// the graph.
pub fn verdicts<S: State<Error = OpError>>(
    repo: &Repo,
    tracked: &Tracked,
    targets: &TargetOptions,
    state: &S,
) -> Result<Vec<(StageAddress, Verdict)>, OpError> {
    let Some(graph) = graph(tracked)? else { return Ok(Vec::new()) };
    verdicts_in(&graph, repo, tracked, targets, state)
}

fn verdicts_in<S: State<Error = OpError>>(
    graph: &Graph,
    repo: &Repo,
    tracked: &Tracked,
    targets: &TargetOptions,
    state: &S,
) -> Result<Vec<(StageAddress, Verdict)>, OpError> {
    let chosen = targets::stages_among(repo, tracked, targets)?;
    let order: Vec<StageIndex> = graph
        .order()
        .filter(|index| targets.targets.is_empty() || chosen.contains(graph.address(*index)))
        .collect();
    let actions = plan::plan(graph, &order, lock_of(graph, tracked), state, PlanOptions::default())?;
    Ok(actions.into_iter().map(|action| (graph.address(action.stage).clone(), action.verdict)).collect())
}

/// Why a stage with this verdict is not up to date by itself; nothing if it is, or only waits for others.
pub fn changes(verdict: &Verdict) -> Option<Vec<Value>> {
    match verdict {
        Verdict::Run { reasons } | Verdict::Reuse { reasons, .. } => Some(form(reasons)),
        Verdict::Restore { repairs } => {
            let outs = repairs.iter().map(|repair| (repair.path.to_string(), json!(out_word(repair.change))));
            Some(vec![json!({ "changed outs": outs.collect::<serde_json::Map<_, _>>() })])
        }
        Verdict::Skip { .. } | Verdict::Waits { .. } => None,
    }
}

/// Reasons as DVC's list: objects for dependencies, parameters and outputs, words for the rest.
pub fn form(reasons: &[Reason]) -> Vec<Value> {
    let (mut deps, mut params, mut outs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut words = Vec::new();
    let mut variables = BTreeMap::new();
    for reason in reasons {
        match reason {
            Reason::Dep { path, change } => drop(deps.insert(path.to_string(), json!(input_word(*change)))),
            Reason::Param { file, key, change, .. } => {
                let keys = params.entry(file.to_string()).or_insert_with(serde_json::Map::new);
                keys.insert(key.to_string(), json!(input_word(*change)));
            }
            Reason::Out { path, change } => drop(outs.insert(path.to_string(), json!(out_word(*change)))),
            Reason::Forced => words.push(json!("forced")),
            Reason::NeverRun => words.push(json!("never run")),
            Reason::StaleEntry => words.push(json!("lock entry was merged or edited, never run")),
            Reason::AlwaysChanged => words.push(json!("always changed")),
            Reason::NothingDeclared => words.push(json!("no inputs or outputs")),
            Reason::Command => words.push(json!("changed command")),
            Reason::Shell => words.push(json!("changed shell")),
            Reason::Variable { name, change } => {
                drop(variables.insert(name.to_string(), json!(input_word(*change))));
            }
        }
    }
    let mut form = Vec::new();
    deps.extend(params.into_iter().map(|(file, keys)| (file, Value::Object(keys))));
    if !deps.is_empty() {
        form.push(json!({ "changed deps": deps }));
    }
    if !variables.is_empty() {
        form.push(json!({ "changed env": variables }));
    }
    if !outs.is_empty() {
        form.push(json!({ "changed outs": outs }));
    }
    form.extend(words);
    form
}

/// The same, but an output that was never here is none that changed.
pub fn form_here(reasons: &[Reason], state: &WorkTreeState<'_>) -> Result<Vec<Value>, OpError> {
    let (mut changed, mut absent) = (Vec::new(), serde_json::Map::new());
    for reason in reasons {
        match reason {
            Reason::Out { path, change: OutChange::Deleted } if state.is_not_downloaded(path)? => {
                absent.insert(path.to_string(), json!(NOT_DOWNLOADED));
            }
            other => changed.push(other.clone()),
        }
    }
    let mut form = form(&changed);
    if !absent.is_empty() {
        form.push(json!({ NOT_DOWNLOADED: absent }));
    }
    Ok(form)
}

fn input_word(change: InputChange) -> &'static str {
    match change {
        InputChange::Added => "new",
        InputChange::Removed => "removed",
        InputChange::Modified => "modified",
        InputChange::Deleted => "deleted",
        InputChange::Unknown => "unknown",
    }
}

fn out_word(change: OutChange) -> &'static str {
    match change {
        OutChange::Added => "new",
        OutChange::Removed => "removed",
        OutChange::Modified => "modified",
        OutChange::Deleted => "deleted",
        OutChange::NotCached => "not in cache",
    }
}
