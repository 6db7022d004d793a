//! What of an output was here: the rule "absent is not deleted".
//!
//! A path that a directory's pointer names and that is not in the work tree counts as deleted
//! only if it was here before. `.mlv/here` remembers, per output, which contents were last put
//! or recorded here and which part of them; where it says nothing, nothing counts as deleted.

use std::collections::{BTreeSet, HashSet};

use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::trees;
use crate::repo::Repo;
use crate::store::here::{Held, HeldOutput, Here};

/// Whether exactly `content` was here at `output` as a whole.
pub fn is_all_here(here: &Here, output: &RepoPath, content: ContentId) -> bool {
    here.get(output).is_some_and(|known| known.held == Held::All && known.content == content.to_string())
}

/// What was put or recorded at `output` last, as far as it was here; sorted by path.
///
/// Where the remembered tree can no longer be read, nothing counts as having been here.
pub fn placed(repo: &Repo, here: &Here, output: &RepoPath) -> Vec<TreeEntry> {
    here.get(output).map(|known| entries(repo, output, known)).unwrap_or_default()
}

/// [`placed`], and what commands that were interrupted may have put there; in no order.
pub fn maybe_placed(repo: &Repo, here: &Here, output: &RepoPath) -> Vec<TreeEntry> {
    let claims = here.get(output).into_iter().chain(here.underway(output));
    claims.flat_map(|known| entries(repo, output, known)).collect()
}

fn entries(repo: &Repo, output: &RepoPath, known: &HeldOutput) -> Vec<TreeEntry> {
    let Ok(id) = known.content.parse::<ContentId>() else { return Vec::new() };
    let info = ContentInfo { id, size: 0, nfiles: None, executable: false };
    let mut entries = trees::read_content(repo, &info, output).unwrap_or_default();
    entries.retain(|entry| known.held.covers(entry.bare_path()));
    entries
}

/// The entries of `old` that `present` lacks and that were never here, so that they are kept.
///
/// An entry that something present stands in the way of is replaced, not kept.
pub fn kept_entries(old: &[TreeEntry], present: &[TreeEntry], placed: &[TreeEntry]) -> Vec<TreeEntry> {
    let was_here: HashSet<&str> = placed.iter().map(TreeEntry::bare_path).collect();
    let here: HashSet<&str> = present.iter().map(TreeEntry::bare_path).collect();
    let folders = folders_above(present.iter().map(TreeEntry::bare_path));
    let is_free = |path: &str| {
        !here.contains(path) && !folders.contains(path) && !ancestors(path).any(|above| here.contains(above))
    };
    old.iter()
        .filter(|entry| is_free(entry.bare_path()) && !was_here.contains(entry.bare_path()))
        .cloned()
        .collect()
}

/// The fewest paths that cover all of `present` and none of `absent`.
pub fn covering_paths(present: &[TreeEntry], absent: &[TreeEntry]) -> Vec<String> {
    let incomplete = folders_above(absent.iter().map(TreeEntry::bare_path));
    let paths: BTreeSet<&str> = present
        .iter()
        .map(|entry| {
            let path = entry.bare_path();
            let complete = ancestors(path).take_while(|folder| !incomplete.contains(folder)).last();
            complete.unwrap_or(path)
        })
        .collect();
    paths.into_iter().map(str::to_owned).collect()
}

/// The folders above `path`, nearest first.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(end, _)| &path[..end])
}

/// Every folder above one of `paths`.
pub fn folders_above<'p>(paths: impl Iterator<Item = &'p str>) -> HashSet<&'p str> {
    let mut folders = HashSet::new();
    for path in paths {
        for folder in ancestors(path) {
            if !folders.insert(folder) {
                break;
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::EntryKind;

    fn files(paths: &[&str]) -> Vec<TreeEntry> {
        let file = |path: &&str| TreeEntry {
            path: (*path).into(),
            kind: EntryKind::File,
            size: 1,
            hash: Digest::of(path.as_bytes()),
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn what_never_was_here_is_kept_and_what_was_is_deleted() {
        let old = files(&["a", "b/x", "b/y", "c"]);
        let kept = kept_entries(&old, &files(&["a"]), &files(&["a", "b/x"]));
        assert_eq!(kept, files(&["b/y", "c"]));
    }

    #[test]
    fn what_stands_in_the_way_replaces() {
        let old = files(&["a/x", "b", "c/d/e"]);
        let kept = kept_entries(&old, &files(&["a", "b/new", "c/d"]), &[]);
        assert_eq!(kept, []);
    }

    #[test]
    fn covering_paths_are_the_topmost_complete_folders() {
        let present = files(&["a/1", "a/2", "b/c/1", "b/c/2", "d"]);
        let paths = covering_paths(&present, &files(&["b/x"]));
        assert_eq!(paths, ["a", "b/c", "d"]);
    }
}
