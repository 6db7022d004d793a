//! Stages that cannot run, whatever the others do: what they read is not there, and none of the others
//! makes it. Known before anything runs.

use std::collections::HashSet;

use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::paths::PathMap;
use crate::pipeline::plan::ahead::Ahead;
use crate::pipeline::plan::{MissingInput, PlanOptions, State, Verdict, decide, missing_inputs};

/// What the stages of `selected`, which are in the graph's order, lack that have to run: at least one
/// input each.
///
/// What a stage of `selected` makes or may make is not missing, nor is anything to a stage that waits by name
/// for one of them: that one may make it without saying so. Nothing is read for this but parameter files.
/// What cannot be looked at now is not in the answer: it is told when it is that stage's turn.
pub fn lacking<'a, S: State>(
    graph: &Graph,
    selected: &[StageIndex],
    lock_of: impl Fn(StageIndex) -> Option<&'a StageLock>,
    state: &S,
    options: PlanOptions,
) -> Vec<(StageIndex, Vec<MissingInput>)> {
    let mut ahead = Ahead { state, open: PathMap::default(), restored: PathMap::default() };
    for out in selected.iter().flat_map(|index| &graph.stage(*index).outs) {
        ahead.open.insert(out.path.clone(), ());
    }
    let among: HashSet<StageIndex> = selected.iter().copied().collect();
    let mut lacking = Vec::new();
    for &index in selected {
        let stage = graph.stage(index);
        let missing = missing_inputs(stage, &ahead).unwrap_or_default();
        let waits = || {
            let mut above = graph.upstream(index).filter(|above| among.contains(above));
            above.any(|above| is_needed_alone(stage, graph.stage(above)))
        };
        if missing.is_empty() || waits() {
            continue;
        }
        // A frozen stage, say, has not to run for that.
        if let Ok(Verdict::Run { .. }) = decide(stage, lock_of(index), state, options) {
            lacking.push((index, missing));
        }
    }
    lacking
}

/// Whether `stage` waits for `needed` without reading all that it makes.
fn is_needed_alone(stage: &Stage, needed: &Stage) -> bool {
    let reads = |path: &RepoPath| stage.deps.binary_search(path).is_ok();
    let outs = || needed.outs.iter().filter(|out| !out.optional);
    stage.needs.binary_search(&needed.name).is_ok()
        && (outs().next().is_none() || !outs().all(|out| reads(&out.path)))
}
