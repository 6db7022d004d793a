//! `explain`: each input of a stage, what was recorded of it and what it is now, and what `repro` would
//! do. Data that was not downloaded counts as what is recorded of it, so that none is needed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::model::lockfile::StageLock;
use crate::model::stage::{ENV, ENV_DEPS, ParamKeys, SHELL, Stage};
use crate::model::value::{Entries, Value};
use crate::ops::OpError;
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::repro::{self, Action, ReproOptions};
use crate::ops::scan::Scanner;
use crate::ops::stage_status::NOT_DOWNLOADED;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::Tracked;
use crate::pipeline::graph::StageAddress;
use crate::pipeline::plan::{self, Current, CurrentParams, SkipReason, State};
use crate::repo::Repo;
use crate::report::Reporter;

/// What became of an input since the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is what it was.
    Same,
    /// It is another.
    Modified,
    /// The last run did not have it.
    New,
    /// The stage does not have it any more, or it is not there any more.
    Gone,
    /// It is not there, and the last run did not have it.
    Missing,
    /// Nobody can tell: it is not here, and neither is what would tell.
    Unknown,
}

/// One input.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Input {
    /// `command`, `shell`, `env`, `env_dep`, `dep` or `param`.
    pub kind: &'static str,
    /// Its path, its name, or file and key of a parameter.
    pub name: String,
    /// What the lock says; null if it does not.
    pub recorded: Json,
    /// What it is now; null if it is not there.
    pub current: Json,
    /// What became of it.
    pub change: Change,
}

/// One stage.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explained {
    /// Its name as a target from the root.
    pub stage: String,
    /// What `repro` would do.
    pub action: Action,
    /// Why, in the form of `status`.
    pub reasons: Vec<Json>,
    /// Its inputs: the command first, then by kind and name.
    pub inputs: Vec<Input>,
}

impl Explained {
    /// Whether some of its outputs were never here.
    pub fn is_not_downloaded(&self) -> bool {
        self.reasons.iter().any(|reason| reason.get(NOT_DOWNLOADED).is_some())
    }

    /// Whether it does not run because it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.action == Action::Skipped && self.reasons == [SkipReason::Frozen.as_str()]
    }
}

/// Explains the stages that the targets mean; all of them without targets.
pub fn run(repo: &Repo, targets: TargetOptions, reporter: &dyn Reporter) -> Result<Vec<Explained>, OpError> {
    let tracked = Tracked::load(repo)?;
    let chosen: BTreeSet<String> =
        targets::stages(repo, &tracked, &targets)?.iter().map(ToString::to_string).collect();
    // The plan itself, not one like it: what is above a stage decides too.
    let options = ReproOptions { targets, ..ReproOptions::default() };
    let plan = repro::dry_run(repo, &options, reporter)?;
    let index = repo.stat_index();
    let scanner = Scanner::new(repo, &index, reporter);
    let state = WorkTreeState::new(repo, &tracked, scanner, Absent::AsRecorded);
    let mut stages = BTreeMap::new();
    for pipeline in tracked.pipelines() {
        for (stage, lock) in pipeline.stages() {
            let file = pipeline.pipeline.file.clone();
            let address = StageAddress { file, name: stage.name.clone() };
            stages.insert(address.to_string(), (stage, lock));
        }
    }
    let mut explained = Vec::new();
    for planned in plan.stages.into_iter().filter(|planned| chosen.contains(&planned.stage)) {
        let Some((stage, lock)) = stages.get(&planned.stage) else { continue };
        let inputs = inputs(stage, *lock, &state)?;
        let (action, reasons) = (planned.action, planned.reasons);
        explained.push(Explained { stage: planned.stage, action, reasons, inputs });
    }
    Ok(explained)
}

fn inputs(stage: &Stage, lock: Option<&StageLock>, state: &WorkTreeState<'_>) -> Result<Vec<Input>, OpError> {
    let command = |command: &crate::model::stage::Command| json!(command.summary());
    let mut inputs = Vec::new();
    let is_same = lock.is_some_and(|lock| lock.command == stage.command);
    let recorded = lock.map_or(Json::Null, |lock| command(&lock.command));
    let change = if lock.is_none() {
        Change::New
    } else if is_same {
        Change::Same
    } else {
        Change::Modified
    };
    inputs.push(Input {
        kind: "command",
        name: String::new(),
        recorded,
        current: command(&stage.command),
        change,
    });
    settings(stage, lock, state, &mut inputs);
    deps(stage, lock, state, &mut inputs)?;
    params(stage, lock, state, &mut inputs)?;
    Ok(inputs)
}

fn settings(stage: &Stage, lock: Option<&StageLock>, state: &WorkTreeState<'_>, inputs: &mut Vec<Input>) {
    let now = stage.settings(|name| state.variable(name));
    let now = |key: &str| now.iter().find(|(known, _)| **known == *key).map(|(_, value)| value.clone());
    let before = |key: &str| lock.and_then(|lock| lock.setting(key)).cloned();
    let shells = [before(SHELL), now(SHELL)];
    if shells.iter().any(Option::is_some) {
        let [recorded, current] = shells;
        inputs.push(input("shell", String::new(), recorded, current));
    }
    for (kind, key) in [("env", ENV), ("env_dep", ENV_DEPS)] {
        compare(kind, "", entries(before(key)), entries(now(key)), inputs);
    }
}

fn entries(value: Option<Value>) -> Entries {
    match value {
        Some(Value::Map(entries)) => entries,
        _ => Entries::new(),
    }
}

fn deps(
    stage: &Stage,
    lock: Option<&StageLock>,
    state: &WorkTreeState<'_>,
    inputs: &mut Vec<Input>,
) -> Result<(), OpError> {
    let text = |id: &dyn std::fmt::Display| Value::Text(id.to_string().into());
    let (mut now, mut absent, mut unknown) = (Entries::new(), Vec::new(), Vec::new());
    let deps = plan::present_deps(stage, lock, state)?;
    absent.extend(deps.empty.iter().chain(&deps.unknown).map(|pattern| pattern.as_path()));
    for path in &deps.paths {
        let recorded = lock.and_then(|lock| lock.dep(path));
        match (state.content(path)?, recorded) {
            (Current::Present(info), _) => now.push((path.as_str().into(), text(&info.id))),
            (Current::Unlisted, Some(_)) => unknown.push(path.as_str()),
            (_, Some(_)) => {}
            (_, None) => absent.push(path),
        }
    }
    let recorded = lock.map_or(&[][..], |lock| &lock.deps);
    let before = recorded.iter().map(|dep| (dep.path.as_str().into(), text(&dep.content.id)));
    let begin = inputs.len();
    compare("dep", "", before.collect(), now, inputs);
    for input in inputs[begin..].iter_mut().filter(|input| unknown.contains(&&*input.name)) {
        input.change = Change::Unknown;
    }
    // What is neither here nor recorded is an input all the same.
    inputs.extend(absent.into_iter().map(|path| input("dep", path.to_string(), None, None)));
    Ok(())
}

fn params(
    stage: &Stage,
    lock: Option<&StageLock>,
    state: &WorkTreeState<'_>,
    inputs: &mut Vec<Input>,
) -> Result<(), OpError> {
    let mut before: BTreeMap<_, Entries> = lock.iter().flat_map(|lock| lock.params.iter().cloned()).collect();
    for wanted in &stage.params {
        let root = match state.params(&wanted.file)? {
            CurrentParams::Values(root) => root,
            CurrentParams::NotHere => {
                let begin = inputs.len();
                let recorded = before.remove(&wanted.file).unwrap_or_default();
                compare("param", &format!("{}:", wanted.file), recorded, Entries::new(), inputs);
                inputs[begin..].iter_mut().for_each(|input| input.change = Change::Unknown);
                continue;
            }
            CurrentParams::Missing | CurrentParams::Unknown => Value::Null.into(),
        };
        let prefix = format!("{}:", wanted.file);
        let begin = inputs.len();
        let now = match &wanted.keys {
            ParamKeys::All => plan::param_values(wanted, &root).unwrap_or_default(),
            ParamKeys::Named(keys) => {
                let find = |key: &crate::model::value::KeyPath| {
                    Some((key.as_str().into(), key.find(&root)?.clone()))
                };
                keys.iter().filter_map(find).collect()
            }
        };
        compare("param", &prefix, before.remove(&wanted.file).unwrap_or_default(), now, inputs);
        // What is neither there nor recorded is an input all the same.
        let named = match &wanted.keys {
            ParamKeys::All => Vec::new(),
            ParamKeys::Named(keys) => keys.iter().map(|key| format!("{prefix}{}", key.as_str())).collect(),
        };
        let is_told = |name: &String| inputs[begin..].iter().any(|input| input.name == *name);
        let lacking: Vec<String> = named.into_iter().filter(|name| !is_told(name)).collect();
        inputs.extend(lacking.into_iter().map(|name| input("param", name, None, None)));
    }
    for (file, values) in before {
        compare("param", &format!("{file}:"), values, Entries::new(), inputs);
    }
    Ok(())
}

/// Adds an input for each name of either side, sorted.
fn compare(kind: &'static str, prefix: &str, before: Entries, now: Entries, inputs: &mut Vec<Input>) {
    let mut names: BTreeMap<Box<str>, [Option<Value>; 2]> = BTreeMap::new();
    for (at, side) in [before, now].into_iter().enumerate() {
        for (name, value) in side {
            names.entry(name).or_default()[at] = Some(value);
        }
    }
    for (name, [recorded, current]) in names {
        inputs.push(input(kind, format!("{prefix}{name}"), recorded, current));
    }
}

fn input(kind: &'static str, name: String, recorded: Option<Value>, current: Option<Value>) -> Input {
    let change = match (&recorded, &current) {
        (Some(old), Some(new)) if old.same(new) => Change::Same,
        (Some(_), Some(_)) => Change::Modified,
        (None, Some(_)) => Change::New,
        (Some(_), None) => Change::Gone,
        (None, None) => Change::Missing,
    };
    Input { kind, name, recorded: json!(recorded), current: json!(current), change }
}
