//! What a run would do, without doing it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::frozen::lost_result;
use super::lacking::not_here;
use super::times::Times;
use super::{
    Action, Estimate, Prepared, ReproOptions, ReproReport, StageReport, add_reason, lacking, prepared,
};
use crate::ops::present::WorkTreeState;
use crate::ops::stage_status::{NOT_DOWNLOADED, form_here};
use crate::ops::{OpError, leases};
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::plan::{self, PlanOptions, SkipReason, StageAction, Verdict};
use crate::repo::Repo;
use crate::report::Reporter;

/// Says what [`run`](super::run) would do, and does nothing.
pub fn dry_run(repo: &Repo, options: &ReproOptions, reporter: &dyn Reporter) -> Result<ReproReport, OpError> {
    prepared(repo, options, true, reporter, |all| {
        let report = planned(repo, options, &all)?;
        all.state.warn_of_other_commits(reporter);
        Ok(report)
    })
}

fn planned(repo: &Repo, options: &ReproOptions, all: &Prepared<'_>) -> Result<ReproReport, OpError> {
    let Prepared { graph, order, state, locks, .. } = all;
    let entry = |index: StageIndex| locks.entry(graph.address(index));
    let plan_options = PlanOptions { pull: options.pull, ..options.plan() };
    let actions = plan::plan(graph, order, entry, state, plan_options)?;
    let mut lacks: BTreeMap<_, _> = lacking(graph, order, entry, state, options).into_iter().collect();
    let mut absent: BTreeMap<_, _> = not_here(all, options).into_iter().collect();
    let times = Times::load(repo);
    let mut report = ReproReport { dry_run: true, ..ReproReport::default() };
    let (mut known, mut blocked, mut done) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for action in actions {
        let (index, address) = (action.stage, graph.address(action.stage));
        let gets_entry = matches!(action.verdict, Verdict::Run { .. } | Verdict::Reuse { .. });
        let lost = match &action.verdict {
            Verdict::Run { reasons } => lost_result((&address.to_string(), graph.stage(index)), reasons),
            _ => None,
        };
        let mut line = line(graph, action, state)?;
        as_recorded(&mut line, graph.upstream(index).filter_map(|above| done.get(&above).copied()));
        let unwritable = || locks.check_writable(address).err().filter(|_| gets_entry);
        let is_making = |above: StageIndex| leases::holder(repo, &graph.address(above).to_string()).is_some();
        // What another process is making has been set aside by it.
        if let Some(error) = lacks.remove(&index).filter(|_| !graph.upstream(index).any(is_making)) {
            line.action = Action::Failed;
            add_reason(&error, &mut line.reasons);
            report.failed.push((line.stage.clone(), error.into()));
        } else if let Some(error) = unwritable() {
            line.action = Action::Failed;
            report.failed.push((line.stage.clone(), error));
        } else if let Some(error) = lost {
            line.action = Action::Failed;
            report.failed.push((line.stage.clone(), error.into()));
        } else if let Some(error) = absent.remove(&index).filter(|_| line.action == Action::WouldRun) {
            line.action = Action::Failed;
            report.failed.push((line.stage.clone(), error.into()));
        } else if !matches!(line.action, Action::Skipped | Action::NotDownloaded) {
            leave_blocked(graph, index, &blocked, &mut line);
        }
        if matches!(line.action, Action::Failed | Action::NotRun) {
            blocked.insert(index);
        }
        done.insert(index, line.action);
        if matches!(line.action, Action::WouldRun | Action::MayRun) {
            let time = times.of(&line.stage);
            line.last_seconds = time.map(|time| time.as_secs_f64());
            known.extend(time.map(|time| (index, time)));
        }
        report.stages.push(line);
    }
    report.estimate = Estimate::of(graph, &known);
    Ok(report)
}

/// What the plan says of a stage.
fn line(graph: &Graph, action: StageAction, state: &WorkTreeState<'_>) -> Result<StageReport, OpError> {
    let (what, reasons) = match action.verdict {
        Verdict::Run { reasons } => (Action::WouldRun, form_here(&reasons, state)?),
        Verdict::Restore { .. } => (Action::WouldRestore, Vec::new()),
        Verdict::Reuse { reasons, .. } => (Action::WouldRestore, form_here(&reasons, state)?),
        Verdict::Skip { why } => (Action::Skipped, vec![why.as_str().into()]),
        Verdict::Waits { inputs } => {
            (Action::MayRun, inputs.iter().map(|path| path.as_str().into()).collect())
        }
    };
    let mut line = StageReport::new(graph.address(action.stage).to_string(), what);
    line.reasons = reasons;
    Ok(line)
}

/// Says of a stage that it is as recorded if nothing but outputs that were never here speak against it, its own
/// or those of stages `above` it.
fn as_recorded(line: &mut StageReport, mut above: impl Iterator<Item = Action>) {
    let is_own = |reason: &Value| reason.get(NOT_DOWNLOADED).is_some();
    if line.action == Action::WouldRun && line.reasons.iter().all(is_own) {
        let settled = [Action::Skipped, Action::NotDownloaded, Action::WouldRestore];
        if above.all(|action| settled.contains(&action)) {
            line.action = Action::NotDownloaded;
        }
    } else if line.action == Action::MayRun
        && above.all(|action| matches!(action, Action::Skipped | Action::NotDownloaded))
    {
        line.action = Action::Skipped;
        line.reasons = vec![SkipReason::Unchanged.as_str().into()];
    }
}

/// Notes a stage that will not be looked at, because it builds on `blocked` ones that cannot run.
fn leave_blocked(graph: &Graph, index: StageIndex, blocked: &BTreeSet<StageIndex>, line: &mut StageReport) {
    let above = graph.upstream(index).filter(|above| blocked.contains(above));
    let names: serde_json::Map<_, _> =
        above.map(|above| (graph.address(above).to_string(), json!("cannot run"))).collect();
    if !names.is_empty() {
        line.action = Action::NotRun;
        line.reasons = vec![json!({ "builds on": names })];
    }
}
