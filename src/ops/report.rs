//! `report`: what a change does to metrics, parameters, data and stages, as one page. Nothing of the
//! data is needed: what only a remote could tell is named.

use serde_json::{Value, json};

use crate::model::lockfile::{LockOut, StageLock};
use crate::model::path::RepoPath;
use crate::ops::commit_state::CommitState;
use crate::ops::compare::ChangeCounts;
use crate::ops::diff::{self, DiffOptions, DiffReport, Total};
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::repro::{self, Done, LastRepro};
use crate::ops::revisions::{self, At};
use crate::ops::scan::Scanner;
use crate::ops::targets::TargetOptions;
use crate::ops::tracked::Tracked;
use crate::ops::values::{self, Kind, ValuesDiff, ValuesOptions};
use crate::ops::{OpError, stage_status};
use crate::pipeline::graph::StageAddress;
use crate::pipeline::plan::Verdict;
use crate::repo::Repo;
use crate::report::{NoReport, Reporter};

/// How one output differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OutputChange {
    /// The output, relative to the repository's root.
    pub path: String,
    /// How many of its entries differ; null where its lists of files are not here.
    pub entries: Option<ChangeCounts>,
    /// All that the older side has of it.
    pub before: Option<Total>,
    /// All that the newer side has of it.
    pub after: Option<Total>,
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// `repro` would run it, or what it builds on.
    Stale,
    /// It ran.
    Run,
    /// `repro` brought its outputs back.
    Restored,
    /// It is as the older side has it.
    Skipped,
}

/// One stage of the newer side.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StageLine {
    /// Its name as a target from the root.
    pub stage: String,
    /// What became of it.
    pub state: StageState,
    /// Why it is stale, in the form of `status`.
    pub reasons: Vec<Value>,
    /// How long it ran, if it was here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// The page.
#[derive(Debug)]
pub struct ProjectReport {
    /// Metrics that differ.
    pub metrics: ValuesDiff,
    /// Parameters that differ.
    pub params: ValuesDiff,
    /// Outputs that differ, sorted by path.
    pub data: Vec<OutputChange>,
    /// The stages of the newer side, in the order in which they run.
    pub stages: Vec<StageLine>,
    /// Files that could not be read, each once, and why.
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Compares the two states that `revisions` name; see [`revisions::pair`].
pub fn run(repo: &Repo, revisions: &[String], reporter: &dyn Reporter) -> Result<ProjectReport, OpError> {
    let values = |kind| {
        let options = ValuesOptions { revisions: revisions.to_vec(), ..ValuesOptions::default() };
        values::diff(repo, kind, &options)
    };
    let options = DiffOptions { revisions: revisions.to_vec(), ..DiffOptions::default() };
    let (mut metrics, mut params) = (values(Kind::Metrics)?, values(Kind::Params)?);
    let mut diff = diff::run(repo, &options, reporter)?;
    let lists = [&mut metrics.failed, &mut params.failed, &mut diff.failed].map(std::mem::take);
    let mut failed: Vec<(RepoPath, OpError)> = Vec::new();
    for (file, error) in lists.into_iter().flatten() {
        // All three look at pointers and locks.
        if !failed.iter().any(|(known, _)| *known == file) {
            failed.push((file, error));
        }
    }
    let stages = stages(repo, revisions::pair(repo, revisions)?, reporter)?;
    Ok(ProjectReport { metrics, params, data: outputs(diff), stages, failed })
}

fn outputs(diff: DiffReport) -> Vec<OutputChange> {
    let listed = diff.outputs.into_iter().map(|output| OutputChange {
        path: output.path,
        entries: Some(output.entries),
        before: output.before,
        after: output.after,
    });
    let unlisted = diff.unlisted.into_iter().map(|output| OutputChange {
        path: output.path,
        entries: None,
        before: output.before,
        after: output.after,
    });
    let mut all: Vec<OutputChange> = listed.chain(unlisted).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn stages(repo: &Repo, (old, new): (At, At), reporter: &dyn Reporter) -> Result<Vec<StageLine>, OpError> {
    let tracked = match new {
        // What cannot be used of it is told in `failed`.
        At::WorkTree => repro::load(repo, &NoReport)?,
        _ => revisions::tracked(repo, new)?,
    };
    let before = revisions::tracked(repo, old)?;
    let everything = TargetOptions::default();
    let verdicts = match new {
        At::Commit(commit) => {
            let state = CommitState::new(repo, commit, &tracked)?;
            stage_status::verdicts(repo, &tracked, &everything, &state)?
        }
        At::WorkTree | At::Nothing => {
            let index = repo.stat_index();
            let scanner = Scanner::new(repo, &index, reporter);
            let state = WorkTreeState::new(repo, &tracked, scanner, Absent::AsRecorded);
            stage_status::verdicts(repo, &tracked, &everything, &state)?
        }
    };
    let known = Known::load(repo, new)?;
    let lines = verdicts.iter().map(|(address, verdict)| {
        let entries = [entry_of(&before, address), entry_of(&tracked, address)];
        line(address, verdict, entries, &known)
    });
    Ok(lines.collect())
}

fn entry_of<'t>(tracked: &'t Tracked, address: &StageAddress) -> Option<&'t StageLock> {
    let pipeline = tracked.pipelines().iter().find(|one| one.pipeline.file == address.file)?;
    pipeline.lock.stages.get(&address.name)
}

/// What the last `repro` here says of the newer side.
struct Known {
    last: LastRepro,
    /// Whether it was at that side's commit, so that what it did is what is to be told.
    is_there: bool,
    /// Whether it was at the commit before, so that what it did was committed since.
    is_before: bool,
}

impl Known {
    fn load(repo: &Repo, new: At) -> Result<Known, OpError> {
        let git = repo.require_git()?;
        let tip = match new {
            At::Nothing => None,
            At::Commit(commit) => Some(commit),
            At::WorkTree => git.head()?,
        };
        let last = LastRepro::load(repo);
        let parent = tip.and_then(|tip| git.resolve(&format!("{tip}^")).ok());
        let is_before = parent.is_some() && last.is_at(parent);
        Ok(Known { is_there: last.is_at(tip), is_before, last })
    }
}

fn line(
    address: &StageAddress,
    verdict: &Verdict,
    [before, entry]: [Option<&StageLock>; 2],
    known: &Known,
) -> StageLine {
    let stage = address.to_string();
    let reasons = match verdict {
        Verdict::Waits { inputs } => Some(waits(inputs)),
        verdict => stage_status::changes(verdict),
    };
    if let Some(reasons) = reasons {
        return StageLine { stage, state: StageState::Stale, reasons, seconds: None };
    }
    let is_as_before = matches!((before, entry), (Some(old), Some(new)) if is_same_run(old, new));
    let counts = known.is_there || (known.is_before && !is_as_before);
    let done = entry.filter(|_| counts).and_then(|entry| known.last.of(&stage, entry));
    let (state, seconds) = match done {
        Some((Done::Run, seconds)) => (StageState::Run, seconds),
        Some((Done::Restored, _)) => (StageState::Restored, None),
        None if is_as_before => (StageState::Skipped, None),
        None => (StageState::Run, None),
    };
    StageLine { stage, state, reasons: Vec::new(), seconds }
}

/// Why a stage is stale that builds on one that is.
fn waits(inputs: &[RepoPath]) -> Vec<Value> {
    let inputs = inputs.iter().map(|path| (path.to_string(), json!("stale")));
    vec![json!({ "stale deps": inputs.collect::<serde_json::Map<_, _>>() })]
}

/// Whether two entries tell of one run: where contents go does not count.
fn is_same_run(old: &StageLock, new: &StageLock) -> bool {
    let made = |entry: &StageLock| {
        entry.outs.iter().map(|out: &LockOut| (out.path.clone(), out.content)).collect::<Vec<_>>()
    };
    (&old.command, &old.deps, &old.params, &old.settings)
        == (&new.command, &new.deps, &new.params, &new.settings)
        && made(old) == made(new)
}
