//! Frozen stages: what they made is not made again because it is not here.

use crate::model::stage::Stage;
use crate::ops::repro::error::StageError;
use crate::pipeline::plan::{OutChange, Reason};

/// Why a frozen stage is not run that has to run for nothing but what it made, which is not here and cannot be
/// brought back: its inputs may be others by now, and their result would take the place of the frozen one.
pub(super) fn lost_result((target, stage): (&str, &Stage), reasons: &[Reason]) -> Option<StageError> {
    let lost = |reason: &Reason| match reason {
        Reason::Out { path, change: change @ (OutChange::Deleted | OutChange::Modified) } => {
            Some((path.clone(), *change))
        }
        _ => None,
    };
    let is_for_that_alone = stage.frozen && reasons.iter().all(|reason| lost(reason).is_some());
    let (path, change) = reasons.first().filter(|_| is_for_that_alone).and_then(lost)?;
    let is_kept = stage.outs.iter().any(|out| out.path == path && out.cache);
    let is_edited = change == OutChange::Modified;
    Some(StageError::FrozenResult { stage: target.into(), path, is_kept, is_edited })
}
