//! `verify`: runs stages again in clean temporary work trees and compares what they make with what the
//! lock says.
//!
//! It is the proof that the lock tells the whole truth: that the outputs follow from what the stage
//! declares and what git tracks, and from nothing else that happens to lie here. Work tree, lock and run
//! cache stay as they are; the tree is removed when the stage has been compared, and by the next command
//! if this one is killed.

mod compare;
mod error;
mod inputs;
mod stage;
mod tree;

use std::sync::Arc;

use crate::error::{Advice, ErrorKind};
use crate::fs::journal::Journal;
use crate::fs::rescue::Rescue;
use crate::ops::OpError;
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::repro::{self, Provided};
use crate::ops::scan::Scanner;
use crate::ops::stage_status::form;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::Tracked;
use crate::pipeline::graph::{Graph, StageIndex};
use crate::repo::Repo;
use crate::report::{Reporter, interrupted};

pub use compare::{Content, FileChange, OutputReport};
pub use error::VerifyError;

use stage::Verifier;

/// Which stages, and how.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Stages, or outputs of stages; all stages if none is named.
    pub targets: TargetOptions,
    /// Fetch inputs, and lists of what was made, that are not here.
    pub pull: bool,
    /// Keep what differs, in a folder of mlv's.
    pub keep_failed: bool,
    /// What there is of things that are counted.
    pub resources: Provided,
}

/// What came of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It made what is recorded.
    Same,
    /// It made something else.
    Differs,
    /// It could not be run, or its command failed.
    Failed,
    /// It is frozen, and its inputs are others by now.
    Frozen,
    /// It was not looked at, because the user asked to stop.
    NotRun,
}

/// One stage.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StageReport {
    /// Its name as a target from the root.
    pub stage: String,
    /// What came of it.
    pub result: Outcome,
    /// Run time of its command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Its outputs, sorted by path; none if it did not run to its end.
    pub outputs: Vec<OutputReport>,
    /// The folder with what it made of the outputs that differ, relative to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The file with all that its command printed, relative to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What changed since it ran, in the form of `status`: why it could not be verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<serde_json::Value>,
}

impl StageReport {
    fn new(stage: String, result: Outcome) -> StageReport {
        let (outputs, reasons) = Default::default();
        StageReport { stage, result, seconds: None, outputs, kept: None, log: None, reasons }
    }
}

/// What `verify` found.
#[derive(Debug, Default, serde::Serialize)]
pub struct VerifyReport {
    /// The stages in the order of the graph.
    pub stages: Vec<StageReport>,
    /// What differs or could not be verified, by stage.
    #[serde(skip)]
    pub failed: Vec<(String, OpError)>,
}

impl VerifyReport {
    /// How many stages ended so.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.stages.iter().filter(|stage| stage.result == outcome).count() as u64
    }

    fn fail(&mut self, mut report: StageReport, error: OpError) {
        if let OpError::Verify(error) = &error {
            report.log = error.log().map(str::to_owned);
            report.reasons = error.reasons().map(form).unwrap_or_default();
        }
        self.failed.push((report.stage.clone(), error));
        self.stages.push(report);
    }
}

/// Verifies stage after stage; what keeps one from being verified stops no other.
pub fn run(repo: &Repo, options: &VerifyOptions, reporter: &dyn Reporter) -> Result<VerifyReport, OpError> {
    let tracked = repro::load(repo, reporter)?;
    let graph = repro::graph(&tracked)?;
    let chosen = targets::stages(repo, &tracked, &options.targets)?;
    let order: Vec<StageIndex> = graph.order().filter(|at| chosen.contains(graph.address(*at))).collect();
    if order.is_empty() {
        return Ok(VerifyReport::default());
    }
    for &index in &order {
        options.resources.check(&graph.address(index).to_string(), &graph.stage(index).resources)?;
    }
    let journal = Journal::begin(repo.mlv())?;
    let outcome = all((repo, reporter), options, (&graph, &tracked), (&order, &journal));
    // Nothing of the user's lies aside.
    journal.end(&Rescue::new(Arc::clone(repo.mlv()), "mlv verify"))?;
    outcome
}

fn all(
    (repo, reporter): (&Repo, &dyn Reporter),
    options: &VerifyOptions,
    (graph, tracked): (&Graph, &Tracked),
    (order, journal): (&[StageIndex], &Journal),
) -> Result<VerifyReport, OpError> {
    let index = repo.stat_index();
    let scanner = Scanner::new(repo, &index, reporter);
    let state = &WorkTreeState::new(repo, tracked, scanner, Absent::AsRecorded);
    let verifier = Verifier { repo, reporter, options, graph, tracked, state, journal };
    let mut report = VerifyReport::default();
    for &index in order {
        let target = graph.address(index).to_string();
        if interrupted() {
            let line = StageReport::new(target.clone(), Outcome::NotRun);
            report.stages.push(line);
            if report.failed.is_empty() {
                report.failed.push((target, OpError::Interrupted));
            }
            continue;
        }
        match verifier.stage(index) {
            Ok(line) if line.result == Outcome::Differs => {
                let outs = line.outputs.iter().filter(|out| !out.is_same()).map(|out| out.path.clone());
                let error = VerifyError::Differs { stage: target.into(), outs: outs.collect() };
                report.fail(line, error.into());
            }
            Ok(line) => report.stages.push(line),
            Err(error)
                if options.targets.targets.is_empty() && is_frozen(&error, graph.stage(index).frozen) =>
            {
                report.stages.push(StageReport::new(target, Outcome::Frozen));
            }
            Err(error) => {
                let is_cut = error.kind() == ErrorKind::Interrupted;
                let outcome = if is_cut { Outcome::NotRun } else { Outcome::Failed };
                report.fail(StageReport::new(target, outcome), error);
            }
        }
    }
    Ok(report)
}

/// Whether a stage is left out of all of them: nobody expects a frozen one to follow its inputs.
fn is_frozen(error: &OpError, frozen: bool) -> bool {
    frozen && matches!(error, OpError::Verify(error) if error.reasons().is_some())
}
