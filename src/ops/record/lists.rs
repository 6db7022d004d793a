//! The lists of files that a recording is compared with: from the cache, else from a remote.

use crate::model::digest::TreeId;
use crate::model::object::ContentId;
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::compare::{self, ChangeCounts};
use crate::ops::{OpError, OutputError, share, trees};
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::here::Here;

/// The recorded entries; where the tree was never downloaded its pages come from the remote.
pub(super) fn recorded_tree(
    repo: &Repo,
    id: TreeId,
    output: &RepoPath,
    reporter: &dyn Reporter,
) -> Result<Vec<TreeEntry>, OpError> {
    match trees::read(repo, id, output) {
        Err(error) if error.is_not_downloaded() => {
            let lost = |source: OpError| OutputError::lost_tree(output, source);
            share::bring::bring_tree(repo, id, output, reporter).map_err(lost)?;
            trees::read(repo, id, output)
        }
        other => other,
    }
}

/// Makes sure that the lists of what was put at `output` for other contents than `recorded` are here:
/// only they tell what came with git from what was changed here.
///
/// Fails with `UnknownBefore` where one cannot be had (R9: an unreadable list is no empty one).
pub(super) fn bring_placed(
    repo: &Repo,
    here: &Here,
    (output, recorded): (&RepoPath, TreeId),
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    for claim in here.get(output).into_iter().chain(here.underway(output)) {
        let Ok(ContentId::Tree(id)) = claim.content.parse() else { continue };
        if id != recorded {
            recorded_tree(repo, id, output, reporter).map_err(|source| OutputError::UnknownBefore {
                path: output.clone(),
                source: Box::new(source),
            })?;
        }
    }
    Ok(())
}

/// How the entries differ.
pub(super) fn count_changes(old: &[TreeEntry], new: &[TreeEntry]) -> ChangeCounts {
    let mut changes = compare::compare(old, new);
    let renames = compare::take_renames(&mut changes);
    ChangeCounts::of(&changes, &renames)
}
