//! Outputs that contradict each other: one path twice, one in another, twins by case or accent.
//!
//! Of outputs that contradict each other none is used, for which is meant cannot be known; the
//! problem names both, and all others stay usable.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Problem, TrackedOut, TrackedPipeline};
use crate::model::path::fold;
use crate::ops::clash::Clash;

/// Outputs by whether they contradict others.
pub(super) struct Settled {
    /// Those that do not, sorted by path.
    pub(super) outs: Vec<TrackedOut>,
    /// Those that do, sorted by path.
    pub(super) disputed: Vec<TrackedOut>,
    /// The contradictions.
    pub(super) problems: Vec<Problem>,
}

/// Checks the outputs against each other; `pipelines` tell where contradictions stand.
pub(super) fn settle(mut outs: Vec<TrackedOut>, pipelines: &[TrackedPipeline]) -> Settled {
    outs.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.source.cmp(&b.source)));
    let (clashes, is_bad) = contradictions(&outs);
    let located = |clash: Clash| {
        let [(one, _), (other, source)] = clash.outputs();
        let (file, outputs) = (source.file().clone(), vec![one.clone(), other.clone()]);
        let place = |path: &_, source: &_| pipelines.iter().find_map(|one| one.place_of(path, source));
        Problem { file, error: clash.located(place).into(), outputs }
    };
    let problems = clashes.into_iter().map(located).collect();
    let (mut fine, mut disputed) = (Vec::with_capacity(outs.len()), Vec::new());
    for (out, is_bad) in outs.into_iter().zip(is_bad) {
        if is_bad { disputed.push(out) } else { fine.push(out) }
    }
    Settled { outs: fine, disputed, problems }
}

/// All contradictions, and for each output whether it stands in one.
fn contradictions(outs: &[TrackedOut]) -> (Vec<Clash>, Vec<bool>) {
    let folded: Vec<Cow<'_, str>> = outs.iter().map(|out| fold(out.path.as_str())).collect();
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(outs.len());
    let mut is_bad = vec![false; outs.len()];
    let mut clashes = Vec::new();
    let mut add = |one: usize, other: usize, clash: Clash| {
        is_bad[one] = true;
        is_bad[other] = true;
        clashes.push(clash);
    };
    for (at, name) in folded.iter().enumerate() {
        match first.get(&**name) {
            Some(known) => add(*known, at, same(&outs[*known], &outs[at])),
            None => {
                first.insert(name, at);
            }
        }
    }
    for (at, name) in folded.iter().enumerate() {
        for (end, _) in name.match_indices('/') {
            if let Some(outer) = first.get(&name[..end]) {
                add(*outer, at, nested(&outs[*outer], &outs[at]));
            }
        }
    }
    (clashes, is_bad)
}

fn same(one: &TrackedOut, other: &TrackedOut) -> Clash {
    let (first, second) = (one.source.clone(), other.source.clone());
    if one.path != other.path {
        return Clash::Twins { one: one.path.clone(), other: other.path.clone(), first, second };
    }
    Clash::Same { path: one.path.clone(), first, second }
}

fn nested(outer: &TrackedOut, inner: &TrackedOut) -> Clash {
    let (first, second) = (outer.source.clone(), inner.source.clone());
    Clash::Nested { outer: outer.path.clone(), inner: inner.path.clone(), first, second }
}
