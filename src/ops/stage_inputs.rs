//! What a stage reads, as its lock entry has it: for `repro`, which looks before and after a run,
//! and for `commit`, which takes it as it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::lockfile::{LockDep, StageLock};
use crate::model::object::ContentId;
use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::model::value::Value;
use crate::ops::OpError;
use crate::ops::present::WorkTreeState;
use crate::ops::repro::StageError;
use crate::pipeline::plan::{self, CurrentParams, State};

fn by_path(deps: &[LockDep]) -> BTreeMap<&RepoPath, ContentId> {
    deps.iter().map(|dep| (&dep.path, dep.content.id)).collect()
}

/// Parameters by key, sorted.
pub type ParamValues = Vec<(Box<str>, Value)>;

/// The inputs of a stage at one time.
#[derive(Debug)]
pub struct Inputs {
    /// Files and directories.
    pub deps: Vec<LockDep>,
    /// Parameter values by file.
    pub params: Vec<(RepoPath, ParamValues)>,
    /// The traces of those that no stage makes: what one makes stays while another reads it.
    traces: Vec<(RepoPath, u64)>,
}

impl Inputs {
    /// What a lock entry records.
    pub fn recorded(lock: &StageLock) -> Inputs {
        Inputs { deps: lock.deps.clone(), params: lock.params.clone(), traces: Vec::new() }
    }

    /// What `stage`, the target `target`, reads now. Fails if some of it is not there.
    pub fn read(stage: &Stage, target: &str, state: &WorkTreeState<'_>) -> Result<Inputs, OpError> {
        let missing = plan::missing_inputs(stage, state)?;
        if !missing.is_empty() {
            return Err(StageError::lacks((target, stage), missing, |path| state.bring(path)).into());
        }
        let mut inputs = Inputs { deps: Vec::new(), params: Vec::new(), traces: Vec::new() };
        for path in &state.deps_of(stage)? {
            let Some(found) = state.found(path)? else { continue };
            if found.is_link {
                let (stage, path) = (target.into(), path.clone());
                let link = state.link_out(&path)?.unwrap_or_else(|| path.clone());
                return Err(StageError::SymlinkInput { stage, path, link }.into());
            }
            if found.is_partial {
                return Err(StageError::PartialInput { stage: target.into(), path: path.clone() }.into());
            }
            inputs.deps.push(LockDep { path: path.clone(), content: found.info });
            if !state.is_made(path) {
                inputs.traces.extend(found.trace.map(|trace| (path.clone(), trace)));
            }
        }
        for wanted in &stage.params {
            if let CurrentParams::Values(root) = state.params(&wanted.file)?
                && let Ok(values) = plan::param_values(wanted, &root)
            {
                inputs.params.push((wanted.file.clone(), values));
            }
        }
        Ok(inputs)
    }

    /// The first input that was written, or took the place of another one, whatever it holds now.
    ///
    /// Not of parameters: their file is read at the start, as a rule, and edited for the next run.
    pub fn written(&self, after: &Inputs) -> Option<RepoPath> {
        let mut traces = self.traces.iter();
        traces.find(|one| !after.traces.contains(one)).map(|(path, _)| path.clone())
    }

    /// The first input that differs, or that only one side has.
    pub fn changed(&self, after: &Inputs) -> Option<RepoPath> {
        let (old, new) = (by_path(&self.deps), by_path(&after.deps));
        let paths: BTreeSet<&RepoPath> = old.keys().chain(new.keys()).copied().collect();
        let dep = paths.into_iter().filter(|path| old.get(path) != new.get(path));
        let params = self.params.iter().zip(&after.params);
        let same = |old: &[(Box<str>, Value)], new: &[(Box<str>, Value)]| {
            old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.0 == b.0 && a.1.same(&b.1))
        };
        let param = params.filter(|(old, new)| !same(&old.1, &new.1)).map(|(old, _)| &old.0);
        dep.chain(param).next().cloned()
    }
}
