//! What a past run made of the present inputs: taken instead of a run.

use crate::model::lockfile::{LockDep, StageLock};
use crate::model::stage::Stage;
use crate::pipeline::plan::{
    Current, CurrentParams, OutChange, Reason, Repair, State, Verdict, is_other, param_values, present_deps,
};

/// The verdict on a stage that is to run for `reasons`: whether that has been done before.
pub(super) fn run_or_reuse<S: State>(
    stage: &Stage,
    reasons: Vec<Reason>,
    state: &S,
) -> Result<Verdict, S::Error> {
    let is_meant =
        |reason: &Reason| matches!(reason, Reason::Forced | Reason::AlwaysChanged | Reason::NothingDeclared);
    if reasons.iter().any(is_meant) {
        return Ok(Verdict::Run { reasons });
    }
    let Some(inputs) = present_inputs(stage, state)? else { return Ok(Verdict::Run { reasons }) };
    let Some(entry) = state.past_run(stage, &inputs)? else { return Ok(Verdict::Run { reasons }) };
    let mut repairs = Vec::new();
    for out in &stage.outs {
        let current = state.content(&out.path)?;
        let Some(made) = entry.out(&out.path) else {
            if current != Current::Missing {
                // An optional output that the past run did not make: only a run takes it away.
                return Ok(Verdict::Run { reasons });
            }
            continue;
        };
        let change = match current {
            Current::Present(now) if !is_other(out, &made.content, &now) => continue,
            Current::Present(_) | Current::Unknown | Current::Unlisted => OutChange::Modified,
            Current::Missing => OutChange::Deleted,
        };
        repairs.push(Repair { path: out.path.clone(), content: made.content, change });
    }
    Ok(Verdict::Reuse { reasons, entry: Box::new(entry), repairs })
}

/// The inputs of a stage as its lock entry would have them, without outputs; nothing if some are not
/// there or not known yet.
pub fn present_inputs<S: State>(stage: &Stage, state: &S) -> Result<Option<StageLock>, S::Error> {
    let (mut deps, mut params) = (Vec::new(), Vec::new());
    let present = present_deps(stage, None, state)?;
    if !present.unknown.is_empty() || !present.empty.is_empty() {
        return Ok(None);
    }
    for path in present.paths {
        match state.content(&path)? {
            Current::Present(content) => deps.push(LockDep { path, content }),
            Current::Missing if state.is_left_out(&path) => {}
            _ => return Ok(None),
        }
    }
    for wanted in &stage.params {
        let CurrentParams::Values(root) = state.params(&wanted.file)? else { return Ok(None) };
        let Ok(values) = param_values(wanted, &root) else { return Ok(None) };
        params.push((wanted.file.clone(), values));
    }
    let inputs = StageLock::new(stage.command.clone(), deps, params, Vec::new());
    Ok(Some(inputs.with_settings(stage.settings(|name| state.variable(name)))))
}
