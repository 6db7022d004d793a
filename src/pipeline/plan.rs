//! What to do with each stage, and why: a pure function of definition, lock and present state.
//!
//! [`decide`] answers for one stage whose inputs are in place. A scheduler asks it stage by
//! stage, after those above have run: so an output that came out the same stops the changes
//! there. [`plan`] asks it for all stages before anything runs, and says what depends on the
//! outcome of another stage. The rule is DVC's, but a removed dependency, parameter or output
//! makes a stage changed too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::model::lockfile::{LockOut, StageLock};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::stage::{ENV, ENV_DEPS, Out, ParamDep, ParamKeys, SHELL, Stage};
use crate::model::value::Value;
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::paths::PathMap;
use crate::pipeline::plan::ahead::Ahead;

mod ahead;
mod inputs;
mod lacking;
mod reuse;
mod verdict;

pub use crate::pipeline::plan::inputs::{MissingInput, missing_inputs, param_values, present_deps};
pub use crate::pipeline::plan::lacking::lacking;
pub use crate::pipeline::plan::reuse::present_inputs;
pub use crate::pipeline::plan::verdict::{
    InputChange, OutChange, Reason, Repair, SkipReason, StageAction, Verdict,
};

/// What is at a path now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Current {
    /// Nothing.
    Missing,
    /// These contents.
    Present(ContentInfo),
    /// What a stage that has not run yet will make.
    Unknown,
    /// Some or all of it is not here, and the list of what is recorded neither: nobody can tell what it is.
    Unlisted,
}

/// What a pattern matches now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// These paths, sorted.
    Paths(Arc<[RepoPath]>),
    /// What a stage makes that has not run yet may be among it.
    Unknown,
    /// The list of what is recorded is not here: those that the lock names may be it.
    Unlisted,
}

/// What a parameter file holds now.
#[derive(Clone, Debug)]
pub enum CurrentParams {
    /// It is not there.
    Missing,
    /// These values.
    Values(Arc<Value>),
    /// What a stage that has not run yet will make.
    Unknown,
    /// It is recorded and not here: nobody can tell its values.
    NotHere,
}

/// The present, as far as a decision needs it.
pub trait State {
    /// Why the present could not be found out.
    type Error;
    /// The contents of a file or directory of the work tree; of one that is only partly here,
    /// those that its pointer names.
    fn content(&self, path: &RepoPath) -> Result<Current, Self::Error>;
    /// Whether [`State::content`] tells of anything: often known without looking into it.
    fn is_there(&self, path: &RepoPath) -> Result<bool, Self::Error> {
        Ok(self.content(path)? != Current::Missing)
    }
    /// Whether `path` is an input that need not be there: an optional output that its stage left out.
    fn is_left_out(&self, path: &RepoPath) -> bool;
    /// What a pattern of dependencies matches.
    fn matched(&self, pattern: &PathPattern) -> Result<Matched, Self::Error>;
    /// What a pointer or a lock records at a path; `Missing` if nothing does.
    fn recorded(&self, path: &RepoPath) -> Result<Current, Self::Error>;
    /// What is at `inside` of a directory with these contents; `out` names it in errors.
    fn part(&self, out: &RepoPath, content: &ContentInfo, inside: &str) -> Result<Current, Self::Error>;
    /// The values of a parameter file.
    fn params(&self, file: &RepoPath) -> Result<CurrentParams, Self::Error>;
    /// Whether the cache holds all of these contents.
    fn is_cached(&self, content: &ContentInfo) -> Result<bool, Self::Error>;
    /// The lock entry of a past run of the stage with the inputs of this one, if one is known and all
    /// its outputs can be had.
    fn past_run(&self, stage: &Stage, inputs: &StageLock) -> Result<Option<StageLock>, Self::Error>;
    /// The value of a variable of mlv's own environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// How a decision is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Run whether anything changed or not.
    pub force: bool,
    /// Take what is neither here nor changed in any pointer as it was.
    pub allow_missing: bool,
    /// Take for granted that what the cache lacks comes from a remote. Only [`plan`] is asked so: who
    /// decides stage by stage has fetched it, or knows that it does not come.
    pub pull: bool,
    /// Take what a past run with the same inputs made instead of a run.
    pub run_cache: bool,
    /// Run also what builds on a stage that runs. Only [`plan`] looks at it: who decides stage by
    /// stage knows what ran.
    pub force_downstream: bool,
}

/// What to do with `stage`, whose lock entry is `lock`, in the present `state`.
pub fn decide<S: State>(
    stage: &Stage,
    lock: Option<&StageLock>,
    state: &S,
    options: PlanOptions,
) -> Result<Verdict, S::Error> {
    match compare(stage, lock, state, options)?.verdict(stage) {
        Verdict::Run { reasons } if options.run_cache => reuse::run_or_reuse(stage, reasons, state),
        verdict => Ok(verdict),
    }
}

fn compare<S: State>(
    stage: &Stage,
    lock: Option<&StageLock>,
    state: &S,
    options: PlanOptions,
) -> Result<Findings, S::Error> {
    let mut findings = Findings::default();
    if options.force {
        findings.reasons.push(Reason::Forced);
    }
    let Some(lock) = lock else {
        findings.reasons.push(Reason::NeverRun);
        return Ok(findings);
    };
    if lock.is_stale() {
        findings.reasons.push(Reason::StaleEntry);
    }
    if lock.command != stage.command {
        findings.reasons.push(Reason::Command);
    }
    settings(stage, lock, state, &mut findings);
    if !stage.frozen {
        inputs(stage, lock, state, options, &mut findings)?;
    }
    outputs(stage, lock, state, options, &mut findings)?;
    Ok(findings)
}

#[derive(Default)]
struct Findings {
    reasons: Vec<Reason>,
    repairs: Vec<Repair>,
    unknown: Vec<RepoPath>,
}

impl Findings {
    fn verdict(self, stage: &Stage) -> Verdict {
        if !self.reasons.is_empty() {
            Verdict::Run { reasons: self.reasons }
        } else if !self.unknown.is_empty() {
            Verdict::Waits { inputs: self.unknown }
        } else if !self.repairs.is_empty() {
            Verdict::Restore { repairs: self.repairs }
        } else if stage.frozen {
            Verdict::Skip { why: SkipReason::Frozen }
        } else {
            Verdict::Skip { why: SkipReason::Unchanged }
        }
    }
}

fn inputs<S: State>(
    stage: &Stage,
    lock: &StageLock,
    state: &S,
    options: PlanOptions,
    findings: &mut Findings,
) -> Result<(), S::Error> {
    if stage.always_changed {
        findings.reasons.push(Reason::AlwaysChanged);
    }
    if stage.is_bare() {
        findings.reasons.push(Reason::NothingDeclared);
    }
    let deps = inputs::present_deps(stage, Some(lock), state)?;
    findings.unknown.extend(deps.unknown.iter().map(|pattern| pattern.as_path().clone()));
    for path in &deps.paths {
        let change = match (lock.dep(path), state.content(path)?) {
            (_, Current::Unknown) => {
                findings.unknown.push(path.clone());
                continue;
            }
            (None, Current::Missing) if state.is_left_out(path) => continue,
            (None, _) => InputChange::Added,
            (Some(_), Current::Unlisted) => InputChange::Unknown,
            (Some(_), Current::Missing) if state.is_left_out(path) => InputChange::Deleted,
            (Some(dep), Current::Missing) if options.allow_missing => match state.recorded(path)? {
                Current::Missing => continue,
                Current::Present(now) if now.id == dep.content.id => continue,
                Current::Present(_) => InputChange::Modified,
                Current::Unlisted | Current::Unknown => InputChange::Unknown,
            },
            (Some(_), Current::Missing) => InputChange::Deleted,
            (Some(dep), Current::Present(now)) if dep.content.id == now.id => continue,
            (Some(_), Current::Present(_)) => InputChange::Modified,
        };
        findings.reasons.push(Reason::Dep { path: path.clone(), change });
    }
    for dep in lock.deps.iter().filter(|dep| deps.paths.binary_search(&dep.path).is_err()) {
        let is_of = |pattern: &PathPattern| pattern.may_be(&dep.path);
        let change = match stage.patterns.iter().any(is_of) {
            true if options.allow_missing || deps.unknown.iter().any(|pattern| is_of(pattern)) => continue,
            true => InputChange::Deleted,
            false => InputChange::Removed,
        };
        findings.reasons.push(Reason::Dep { path: dep.path.clone(), change });
    }
    params(stage, lock, state, findings)
}

/// How the command is run: shell and variables.
fn settings<S: State>(stage: &Stage, lock: &StageLock, state: &S, findings: &mut Findings) {
    let now = stage.settings(|name| state.variable(name));
    let now = |key: &str| now.iter().find(|(known, _)| **known == *key).map(|(_, value)| value);
    if now(SHELL) != lock.setting(SHELL) {
        findings.reasons.push(Reason::Shell);
    }
    variables(now(ENV), lock.setting(ENV), findings);
    if !stage.frozen {
        variables(now(ENV_DEPS), lock.setting(ENV_DEPS), findings);
    }
}

fn variables(now: Option<&Value>, before: Option<&Value>, findings: &mut Findings) {
    let entries = |value: Option<&Value>| match value {
        Some(Value::Map(entries)) => entries.iter().cloned().collect::<BTreeMap<_, _>>(),
        _ => BTreeMap::new(),
    };
    let (now, before) = (entries(now), entries(before));
    let names: BTreeSet<&Box<str>> = now.keys().chain(before.keys()).collect();
    for name in names {
        let change = match (before.get(name), now.get(name)) {
            (None, _) => InputChange::Added,
            (_, None) => InputChange::Removed,
            (Some(before), Some(now)) if before == now => continue,
            _ => InputChange::Modified,
        };
        findings.reasons.push(Reason::Variable { name: name.clone(), change });
    }
}

fn params<S: State>(
    stage: &Stage,
    lock: &StageLock,
    state: &S,
    findings: &mut Findings,
) -> Result<(), S::Error> {
    let recorded = |file: &RepoPath| lock.params.iter().find(|(locked, _)| locked == file);
    for wanted in &stage.params {
        let root = match state.params(&wanted.file)? {
            CurrentParams::Unknown => {
                findings.unknown.push(wanted.file.clone());
                continue;
            }
            CurrentParams::NotHere => {
                let old = recorded(&wanted.file).map_or(&[][..], |(_, values)| values);
                let unknown = |(key, old): &(Box<str>, Value)| {
                    param(&wanted.file, key, Some(old), None, InputChange::Unknown)
                };
                findings.reasons.extend(old.iter().map(unknown));
                continue;
            }
            CurrentParams::Missing => None,
            CurrentParams::Values(root) => Some(root),
        };
        let old = recorded(&wanted.file).map_or(&[][..], |(_, values)| values);
        compare_params(wanted, root.as_deref(), old, findings);
    }
    for (file, values) in &lock.params {
        if !stage.params.iter().any(|wanted| wanted.file == *file) {
            for (key, old) in values {
                findings.reasons.push(param(file, key, Some(old), None, InputChange::Removed));
            }
        }
    }
    Ok(())
}

fn compare_params(
    wanted: &ParamDep,
    root: Option<&Value>,
    old: &[(Box<str>, Value)],
    findings: &mut Findings,
) {
    let new = inputs::find_params(wanted, root);
    let mut old: HashMap<&str, &Value> = old.iter().map(|(key, value)| (&**key, value)).collect();
    for (key, value) in new {
        let before = old.remove(&*key);
        let change = match (before, value) {
            (Some(before), Some(value)) if before.same(value) => continue,
            (Some(_), Some(_)) => InputChange::Modified,
            (_, None) => InputChange::Deleted,
            (None, Some(_)) => InputChange::Added,
        };
        findings.reasons.push(param(&wanted.file, &key, before, value, change));
    }
    // With all of a file, a key that is gone was deleted there; otherwise the stage gave it up.
    let change = match wanted.keys {
        ParamKeys::All => InputChange::Deleted,
        ParamKeys::Named(_) => InputChange::Removed,
    };
    let mut gone: Vec<(&str, &Value)> = old.into_iter().collect();
    gone.sort_by_key(|(key, _)| *key);
    let gone = gone.into_iter().map(|(key, value)| param(&wanted.file, key, Some(value), None, change));
    findings.reasons.extend(gone);
}

fn param(
    file: &RepoPath,
    key: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    change: InputChange,
) -> Reason {
    Reason::Param { file: file.clone(), key: key.into(), change, old: old.cloned(), new: new.cloned() }
}

fn outputs<S: State>(
    stage: &Stage,
    lock: &StageLock,
    state: &S,
    options: PlanOptions,
    findings: &mut Findings,
) -> Result<(), S::Error> {
    for out in &stage.outs {
        let Some(made) = lock.out(&out.path) else {
            if !out.optional || state.content(&out.path)? != Current::Missing {
                let change = OutChange::Added;
                findings.reasons.push(Reason::Out { path: out.path.clone(), change });
            }
            continue;
        };
        output(out, made, state, options, findings)?;
    }
    for made in &lock.outs {
        if stage.outs.binary_search_by(|out| out.path.cmp(&made.path)).is_err() {
            findings.reasons.push(Reason::Out { path: made.path.clone(), change: OutChange::Removed });
        }
    }
    Ok(())
}

fn output<S: State>(
    out: &Out,
    made: &LockOut,
    state: &S,
    options: PlanOptions,
    findings: &mut Findings,
) -> Result<(), S::Error> {
    let change = match state.content(&out.path)? {
        Current::Missing if options.allow_missing => return Ok(()),
        Current::Unlisted => return Ok(()),
        Current::Missing | Current::Unknown => OutChange::Deleted,
        Current::Present(now) if is_other(out, &made.content, &now) => OutChange::Modified,
        Current::Present(_) if !out.cache || state.is_cached(&made.content)? => return Ok(()),
        Current::Present(_) => OutChange::NotCached,
    };
    // What the lock names can be had without a run from the cache, or (not cached) from here.
    if change == OutChange::NotCached || (out.cache && (options.pull || state.is_cached(&made.content)?)) {
        findings.repairs.push(Repair { path: out.path.clone(), content: made.content, change });
    } else {
        findings.reasons.push(Reason::Out { path: out.path.clone(), change });
    }
    Ok(())
}

/// Whether an output is not what was made. That a file can be executed counts where mlv keeps it: elsewhere
/// it is git that tells, and brings it back.
fn is_other(out: &Out, made: &ContentInfo, now: &ContentInfo) -> bool {
    now.id != made.id || out.cache && now.executable != made.executable
}

/// What to do with each of `selected`, which are in the graph's order, before anything ran.
///
/// A stage whose inputs another stage of the selection will make, and that has no reason of its
/// own to run, [waits](Verdict::Waits).
pub fn plan<'a, S: State>(
    graph: &Graph,
    selected: &[StageIndex],
    lock_of: impl Fn(StageIndex) -> Option<&'a StageLock>,
    state: &S,
    options: PlanOptions,
) -> Result<Vec<StageAction>, S::Error> {
    let mut ahead = Ahead { state, open: PathMap::default(), restored: PathMap::default() };
    let mut actions = Vec::with_capacity(selected.len());
    let mut forced = HashSet::new();
    for &index in selected {
        let stage = graph.stage(index);
        let options = PlanOptions { force: options.force || forced.contains(&index), ..options };
        let verdict = decide(stage, lock_of(index), &ahead, options)?;
        if options.force_downstream && matches!(verdict, Verdict::Run { .. }) {
            forced.extend(graph.downstream(index));
        }
        match &verdict {
            Verdict::Run { .. } | Verdict::Waits { .. } => {
                for out in &stage.outs {
                    ahead.open.insert(out.path.clone(), ());
                }
            }
            Verdict::Restore { repairs } | Verdict::Reuse { repairs, .. } => {
                for repair in repairs {
                    ahead.restored.insert(repair.path.clone(), repair.content);
                }
            }
            Verdict::Skip { .. } => {}
        }
        actions.push(StageAction { stage: index, verdict });
    }
    Ok(actions)
}

#[cfg(test)]
mod tests;
