//! Files of mlv's that git has not merged, and which of them `resolve` has dealt with.
//!
//! git keeps the sides of such a file until `git add`, whatever was made of it meanwhile. What `resolve`
//! made of which sides stands in `.mlv/resolved`: a hint, without which a file counts as not resolved.

use std::collections::BTreeSet;

use crate::fs::atomic;
use crate::git::conflicts::Unmerged;
use crate::git::repo::GitRepo;
use crate::model::digest::{Digest, Hasher};
use crate::model::merge::sides_of;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::merge::FileKind;
use crate::repo::Repo;

const FILE: &str = "resolved";
/// Largest file that is read, in bytes: a million files.
const MAX_SIZE: u64 = 65 << 20;

/// The pointers and locks that are in conflict for git, sorted by path.
pub fn all(repo: &Repo) -> Result<Vec<Unmerged>, OpError> {
    Ok(repo.git().map_or_else(|| Ok(Vec::new()), |git| git.unmerged(|name| FileKind::of(name).is_some()))?)
}

/// Those that nobody has dealt with although they have no conflict markers: git could not start its merge
/// driver, or one side deleted the file.
pub fn left_as_a_side(repo: &Repo) -> Result<Vec<RepoPath>, OpError> {
    if !repo.git().is_some_and(GitRepo::may_have_conflicts) {
        return Ok(Vec::new());
    }
    let unmerged = all(repo)?;
    let resolved = if unmerged.is_empty() { Known::default() } else { Known::load(repo) };
    let mut left = Vec::new();
    for file in unmerged {
        // What cannot be read is told with what it tracks.
        let Ok(bytes) = read(repo, &file.path) else { continue };
        if !resolved.has(&file, bytes.as_deref()) && is_a_side(repo, &file, bytes.as_deref())? {
            left.push(file.path);
        }
    }
    Ok(left)
}

fn is_a_side(repo: &Repo, file: &Unmerged, bytes: Option<&[u8]>) -> Result<bool, OpError> {
    let git = repo.require_git()?;
    let Some(kind) = FileKind::of(file.path.file_name()) else { return Ok(false) };
    for side in [file.ours, file.theirs] {
        let side = side.map(|id| git.read_blob(id, &file.path, kind.limit())).transpose()?;
        if side.as_deref() == bytes {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a file holds; nothing if it is not there.
pub fn read(repo: &Repo, file: &RepoPath) -> Result<Option<Vec<u8>>, OpError> {
    let limit = FileKind::of(file.file_name()).map_or(0, FileKind::limit);
    match repo.dir().read_file(file, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The text of a file, if it has conflict markers.
pub fn marked_text(repo: &Repo, file: &RepoPath) -> Result<Option<String>, OpError> {
    let text = read(repo, file)?.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.filter(|text| sides_of(text).is_some()))
}

/// What `resolve` made of which sides.
#[derive(Debug, Default)]
pub struct Known(BTreeSet<String>);

impl Known {
    /// Reads what is known. Unreadable is nothing.
    pub fn load(repo: &Repo) -> Known {
        let bytes = repo.mlv().read_file(&RepoPath::own(FILE), MAX_SIZE).unwrap_or_default();
        Known(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// Whether `resolve` left the file so.
    pub fn has(&self, file: &Unmerged, bytes: Option<&[u8]>) -> bool {
        !self.0.is_empty() && self.0.contains(&name(file, bytes))
    }

    /// Remembers how the files that git has not merged are now: of those that were known before, and of
    /// `news`. What git was told of is forgotten.
    pub fn keep(self, repo: &Repo, news: &[RepoPath]) -> Result<(), OpError> {
        let mut names = String::new();
        for file in all(repo)? {
            let bytes = read(repo, &file.path)?;
            if news.contains(&file.path) || self.has(&file, bytes.as_deref()) {
                names += &name(&file, bytes.as_deref());
                names.push('\n');
            }
        }
        let path = RepoPath::own(FILE);
        if names.is_empty() && repo.mlv().stat(&path)?.is_none() {
            return Ok(());
        }
        Ok(atomic::write_hint(repo.mlv(), &path, &[names.as_bytes()])?)
    }
}

/// Stands for a file with these sides and these contents.
fn name(file: &Unmerged, bytes: Option<&[u8]>) -> String {
    let side = |id: Option<_>| id.map_or_else(String::new, |id| format!("{id}"));
    let mut hasher = Hasher::new();
    let sides = [side(file.base), side(file.ours), side(file.theirs)];
    hasher.update(format!("{}\0{}\0{}\0", file.path, sides.join(","), bytes.is_some()).as_bytes());
    hasher.update(bytes.unwrap_or_default());
    let digest: Digest = hasher.finish();
    digest.to_string()
}
