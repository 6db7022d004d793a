//! The bytes of one small file in a state of the project, whoever keeps them: git, or mlv's cache.

use crate::model::object::{ContentId, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::ops::revisions::At;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError, trees};
use crate::repo::Repo;
use crate::store::here::Here;

/// The bytes of `file` in the state `at`, in which `tracked` is what mlv owned; nothing if it is not there.
/// What is recorded and was never here counts as recorded.
///
/// Fails with `NotDownloaded` where only a remote has them, and beyond `limit` bytes
/// (of what mlv keeps, those of a record).
pub fn read(
    repo: &Repo,
    (tracked, at): (&Tracked, At),
    file: &RepoPath,
    limit: u64,
) -> Result<Option<Vec<u8>>, OpError> {
    match at {
        At::Nothing => Ok(None),
        At::WorkTree => match repo.dir().read_file(file, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => never_here(repo, tracked, file),
            Err(error) => Err(error.into()),
        },
        At::Commit(commit) => match recorded(repo, tracked, file)? {
            Some(id) => cached(repo, file, id).map(Some),
            None => Ok(repo.require_git()?.read_at(commit, file, limit)?),
        },
    }
}

/// A file of the work tree that is not there: deleted, or never downloaded.
fn never_here(repo: &Repo, tracked: &Tracked, file: &RepoPath) -> Result<Option<Vec<u8>>, OpError> {
    let was_here = |out: &RepoPath, inside: &str| {
        Here::load(repo.mlv()).get(out).is_some_and(|known| known.held.covers(inside))
    };
    match tracked.containing(file) {
        Some((out, inside)) if !was_here(&out.path, inside) => match recorded(repo, tracked, file)? {
            Some(id) => cached(repo, file, id).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The contents of a file that mlv keeps, not git.
fn recorded(repo: &Repo, tracked: &Tracked, file: &RepoPath) -> Result<Option<ContentId>, OpError> {
    let Some((out, inside)) = tracked.containing(file).filter(|(out, _)| out.cache) else {
        return Ok(None);
    };
    match out.content.map(|info| info.id) {
        Some(ContentId::Tree(tree)) if !inside.is_empty() => {
            let entries = trees::read(repo, tree, &out.path)?;
            let entry = entries.iter().find(|entry| *entry.path == *inside && entry.kind.is_file());
            Ok(entry.map(|entry| ContentId::File(entry.hash.into())))
        }
        id => Ok(id),
    }
}

fn cached(repo: &Repo, file: &RepoPath, id: ContentId) -> Result<Vec<u8>, OpError> {
    let key = RecordKey { hash: id.digest(), kind: RecordKind::File };
    let cache = repo.cache()?;
    if !cache.has(key) {
        return Err(OutputError::NotDownloaded { path: file.clone() }.into());
    }
    Ok(cache.read_record(key)?)
}
