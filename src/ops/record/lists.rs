//! What was there before a recording: the lists of what is recorded, and of what mlv put here for other
//! commits. A list that the cache has lost comes from the remote; one that cannot be had is not taken for
//! an empty one, but told.

use std::collections::HashSet;

use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::compare::ChangeCounts;
use crate::ops::record::Request;
use crate::ops::{OpError, OutputError, held, hints, share, trees};
use crate::repo::Repo;
use crate::report::{Event, Reporter};
use crate::store::here::Here;

/// The entries of `info`; where the tree was never downloaded its pages come from the remote.
pub(super) fn recorded(
    repo: &Repo,
    info: &ContentInfo,
    output: &RepoPath,
    reporter: &dyn Reporter,
) -> Result<Vec<TreeEntry>, OpError> {
    match (info.id, trees::read_content(repo, info, output)) {
        (ContentId::Tree(id), Err(error)) if error.is_not_downloaded() => {
            let lost = |source: OpError| OutputError::lost_tree(output, source);
            share::bring::bring_tree(repo, id, output, reporter).map_err(lost)?;
            trees::read_content(repo, info, output)
        }
        (_, entries) => entries,
    }
}

/// Whether what is `present` is all that `info` names, whose list of files is not in the cache: its name tells
/// it without the list.
pub(super) fn is_unlisted_and_whole(
    repo: &Repo,
    info: &ContentInfo,
    output: &RepoPath,
    present: &[TreeEntry],
) -> Result<bool, OpError> {
    let ContentId::Tree(id) = info.id else { return Ok(false) };
    Ok(trees::read_if_here(repo, info, output)?.is_none() && trees::build(output, present, None)?.id == id)
}

/// The recorded entries of a directory that has files which `.mlvignore` leaves out: those of them that are
/// tracked stay so.
///
/// Fails if the list cannot be had, unless changes may be taken back.
pub(super) fn tracked(
    repo: &Repo,
    request: Request<'_>,
    reporter: &dyn Reporter,
) -> Result<Vec<TreeEntry>, OpError> {
    let Some(info) = request.known.filter(|info| info.id.is_tree()) else { return Ok(Vec::new()) };
    let output = request.output;
    recorded(repo, info, output, reporter).or_else(|error| {
        if request.take_back {
            let message = format!("`{output}`: all that `.mlvignore` leaves out is left out: {error}");
            reporter.event(&Event::Warning { message });
            return Ok(Vec::new());
        }
        let (list, loss) = ("what is tracked", "drop files that `.mlvignore` leaves out");
        Err(OutputError::UnknownBefore { path: output.clone(), list, loss, source: Box::new(error) }.into())
    })
}

/// Fails if recording `present` over `old`, the list of `known`, would take back a change that was never
/// checked out, or if that cannot be known, of which `lost` says why; unless changes may be taken back.
pub(super) fn check(
    repo: &Repo,
    here: &Here,
    (request, known): (Request<'_>, ContentId),
    (old, present): (&[TreeEntry], &[TreeEntry]),
    lost: &mut Option<OpError>,
) -> Result<(), OpError> {
    let output = request.output;
    if request.take_back {
        return Ok(());
    }
    let left = held::left_behind(repo, here, (output, known), (old, present)).map_err(|error| {
        let (list, loss) = ("what was here before", "take back changes that came with git");
        let source = Box::new(lost.take().unwrap_or(error));
        OutputError::UnknownBefore { path: output.clone(), list, loss, source }
    })?;
    let Some(first) = left.first() else { return Ok(()) };
    let others: HashSet<_> = old.iter().chain(left.iter().copied()).map(held::identity).collect();
    // In what is recorded as a file nothing can be recorded by itself.
    let own = present.iter().filter(|entry| known.is_tree() && !others.contains(&held::identity(entry)));
    let own: Vec<RepoPath> = own.map(|entry| output.join_entry(&entry.path)).collect();
    let shown = repo.shown_all(std::slice::from_ref(output));
    let (keep, checkout) = if hints::are_many(&own) {
        (None, hints::keep_by_rescue(&format!("mlv checkout --force {shown}")))
    } else {
        let keep = (!own.is_empty()).then(|| format!("mlv add {}", repo.shown_all(&own)));
        (keep, format!("mlv checkout {shown}"))
    };
    let error = OutputError::WouldTakeBack {
        path: output.clone(),
        first: output.join_entry(&first.path),
        count: left.len() as u64,
        keep,
        checkout,
        force: format!("mlv add --force {shown}"),
    };
    Err(error.into())
}

/// Brings the lists of what was put at `output` for contents other than `known`, as far as they lack: they
/// tell what came with git, and what was deleted here. Returns why one cannot be had.
pub(super) fn bring_put(
    repo: &Repo,
    here: &Here,
    (output, known): (&RepoPath, ContentId),
    reporter: &dyn Reporter,
) -> Option<OpError> {
    let mut others = held::claims(here, output, Some(known)).filter_map(held::claimed);
    others.find_map(|info| recorded(repo, &info, output, reporter).err())
}

/// What leads from what was recorded, whose list is `old` if it was read, to the `entries` of `info`. Nothing
/// where the list cannot be had: counting is all that it is for.
pub(super) fn count(
    repo: &Repo,
    request: Request<'_>,
    old: Option<Vec<TreeEntry>>,
    (info, entries): (&ContentInfo, &[TreeEntry]),
    reporter: &dyn Reporter,
) -> Option<ChangeCounts> {
    match request.known {
        None => Some(ChangeCounts::between(&[], entries)),
        Some(known) if known == info => Some(ChangeCounts::default()),
        Some(known) => {
            let old = old.or_else(|| recorded(repo, known, request.output, reporter).ok())?;
            Some(ChangeCounts::between(&old, entries))
        }
    }
}
