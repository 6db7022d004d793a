//! Outputs that contradict each other: one path twice, one in another, twins by case or accent.
//!
//! Of outputs that contradict each other none is used, for which is meant cannot be known; the
//! problem names both, and all others stay usable.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Problem, TrackedOut};
use crate::model::path::fold;
use crate::ops::OpError;

/// The outputs that stand in no contradiction, sorted by path, and the contradictions.
pub(super) fn settle(mut outs: Vec<TrackedOut>) -> (Vec<TrackedOut>, Vec<Problem>) {
    outs.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.source.cmp(&b.source)));
    let (problems, is_bad) = contradictions(&outs);
    let mut bad = is_bad.into_iter();
    outs.retain(|_| !bad.next().unwrap_or_default());
    (outs, problems)
}

/// All contradictions, and for each output whether it stands in one.
fn contradictions(outs: &[TrackedOut]) -> (Vec<Problem>, Vec<bool>) {
    let folded: Vec<Cow<'_, str>> = outs.iter().map(|out| fold(out.path.as_str())).collect();
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(outs.len());
    let mut is_bad = vec![false; outs.len()];
    let mut problems = Vec::new();
    let mut clash = |one: usize, other: usize, error: OpError| {
        is_bad[one] = true;
        is_bad[other] = true;
        problems.push(Problem { file: outs[other].source.file().clone(), error });
    };
    for (at, name) in folded.iter().enumerate() {
        match first.get(&**name) {
            Some(known) => clash(*known, at, same(&outs[*known], &outs[at])),
            None => {
                first.insert(name, at);
            }
        }
    }
    for (at, name) in folded.iter().enumerate() {
        for (end, _) in name.match_indices('/') {
            if let Some(outer) = first.get(&name[..end]) {
                clash(*outer, at, nested(&outs[*outer], &outs[at]));
            }
        }
    }
    (problems, is_bad)
}

fn same(one: &TrackedOut, other: &TrackedOut) -> OpError {
    if one.path != other.path {
        let (path, twin) = (one.path.clone(), other.path.clone());
        let (first, second) = (one.source.clone(), other.source.clone());
        return OpError::TwinOutputs { one: path, other: twin, first, second };
    }
    OpError::SameOutput { path: one.path.clone(), first: one.source.clone(), second: other.source.clone() }
}

fn nested(outer: &TrackedOut, inner: &TrackedOut) -> OpError {
    OpError::NestedOutputs {
        outer: outer.path.clone(),
        inner: inner.path.clone(),
        first: outer.source.clone(),
        second: inner.source.clone(),
    }
}
