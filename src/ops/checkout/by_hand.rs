//! Outputs with `pull: manual`, where none was named: they are not missed where they are not, and what was
//! not brought for them is no failure.

use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::OpError;
use crate::ops::checkout::CheckoutOptions;
use crate::ops::checkout_plan::Action;
use crate::ops::place::{OutputPlan, Planner};
use crate::ops::tracked::{Tracked, TrackedOut};

/// Whether the output is one that nobody asked for.
pub(super) fn is_unasked(out: &TrackedOut, options: &CheckoutOptions) -> bool {
    out.pull_manual && options.targets.targets.is_empty()
}

/// Whether something stands at the output's place, or what is recorded of it did and was deleted.
pub(super) fn was_here(planner: &Planner<'_>, out: &TrackedOut) -> bool {
    let stands = matches!(planner.repo().dir().stat(&out.path), Ok(Some(_)));
    let recorded = out.content.map(|info| info.id.to_string());
    stands || planner.here().get(&out.path).is_some_and(|known| Some(&known.content) == recorded.as_ref())
}

/// Whether the output stays as it is: nobody asked for it, and the cache lacks something that it needs.
///
/// As a whole: files of two commits side by side would be neither.
pub(super) fn stays(
    planner: &Planner<'_>,
    (tracked, options): (&Tracked, &CheckoutOptions),
    (path, planned): (&RepoPath, &Result<OutputPlan, OpError>),
) -> bool {
    let lacks = |entry: &TreeEntry| entry.kind.has_object() && !planner.presence().has_object(entry.hash);
    let is_lacking = match planned {
        Err(error) => error.is_not_downloaded(),
        Ok(plan) => plan.plan.actions.iter().any(|action| match action {
            Action::Create(entry) | Action::Replace { new: entry, .. } | Action::Relink(entry) => {
                lacks(entry)
            }
            Action::Remove(_) => false,
        }),
    };
    is_lacking && tracked.out(path).is_some_and(|out| is_unasked(out, options))
}
