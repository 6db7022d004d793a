//! What of an output was here: the rule "absent is not deleted".
//!
//! A path that a directory's pointer names and that is not in the work tree counts as deleted
//! only if it was here before. `.mlv/here` remembers, per output, which contents were last put
//! or recorded here and which part of them; where it says nothing, nothing counts as deleted.

use std::collections::{BTreeSet, HashSet};

use crate::model::digest::Digest;
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::{OpError, trees};
use crate::repo::Repo;
use crate::store::here::{Held, HeldOutput, Here};

/// Whether exactly `content` was here at `output` as a whole.
pub fn is_all_here(here: &Here, output: &RepoPath, content: ContentId) -> bool {
    here.get(output).is_some_and(|known| known.held == Held::All && known.content == content.to_string())
}

/// What was put or recorded at `output` last, as far as it was here; sorted by path.
///
/// Where the remembered tree can no longer be read, nothing counts as having been here: what is deleted
/// on the strength of this list is known to have been here.
pub fn placed(repo: &Repo, here: &Here, output: &RepoPath) -> Vec<TreeEntry> {
    // Nothing is the careful answer.
    here.get(output).and_then(|known| entries(repo, output, known).ok()).unwrap_or_default()
}

/// What mlv put at an output, as far as it can be told.
#[derive(Debug, Default)]
pub struct PutThere {
    /// The entries that are known, in no order.
    pub entries: Vec<TreeEntry>,
    /// Why there may be more: a list that cannot be read.
    pub unlisted: Option<OpError>,
}

/// [`placed`], and what else mlv put there that may lie there still; without what it put of `except`.
pub fn put_there(repo: &Repo, here: &Here, output: &RepoPath, except: Option<ContentId>) -> PutThere {
    let mut put = PutThere::default();
    for known in claims(here, output, except) {
        match entries(repo, output, known) {
            Ok(entries) => put.entries.extend(entries),
            Err(error) => put.unlisted = Some(error),
        }
    }
    put
}

/// The contents that were put or recorded at `output`, without `except`; each as far as it was here.
pub fn claims<'h>(
    here: &'h Here,
    output: &RepoPath,
    except: Option<ContentId>,
) -> impl Iterator<Item = &'h HeldOutput> {
    let except = except.map(|id| id.to_string());
    let claims = here.get(output).into_iter().chain(here.underway(output));
    claims.filter(move |known| Some(&known.content) != except.as_ref())
}

/// What a claim is about; nothing where another mlv wrote it in a form that this one does not know.
pub fn claimed(known: &HeldOutput) -> Option<ContentInfo> {
    let id = known.content.parse::<ContentId>().ok()?;
    Some(ContentInfo { id, size: 0, nfiles: None, executable: false })
}

fn entries(repo: &Repo, output: &RepoPath, known: &HeldOutput) -> Result<Vec<TreeEntry>, OpError> {
    let Some(info) = claimed(known) else { return Ok(Vec::new()) };
    let mut entries = trees::read_content(repo, &info, output)?;
    entries.retain(|entry| known.held.covers(entry.bare_path()));
    Ok(entries)
}

/// Something in the work tree at the place of recorded entries that were never here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// What stands there: a file where a folder is recorded, or the reverse.
    pub path: Box<str>,
    /// How many entries are recorded there.
    pub entries: u64,
}

/// The entries of `old` that `present` lacks and that were never here, so that they are kept.
///
/// An empty folder stands in nobody's way. Fails where a file stands at the place of a folder, or a folder
/// at that of a file, and what is recorded there was never here: nobody saw that it would go.
pub fn kept_entries(
    old: &[TreeEntry],
    present: &[TreeEntry],
    placed: &[TreeEntry],
) -> Result<Vec<TreeEntry>, InTheWay> {
    let was_here: HashSet<&str> = placed.iter().map(TreeEntry::bare_path).collect();
    let here: HashSet<&str> = present.iter().map(TreeEntry::bare_path).collect();
    let filled = present.iter().filter(|entry| entry.kind != EntryKind::EmptyDir);
    let files: HashSet<&str> = filled.clone().map(TreeEntry::bare_path).collect();
    let folders = folders_above(filled.map(TreeEntry::bare_path));
    let mut kept = Vec::new();
    let mut blocked: Option<InTheWay> = None;
    for entry in old.iter().filter(|entry| !was_here.contains(entry.bare_path())) {
        let path = entry.bare_path();
        let way = ancestors(path).find(|above| files.contains(above));
        let way =
            way.or_else(|| (folders.contains(path) && entry.kind != EntryKind::EmptyDir).then_some(path));
        match (way, &mut blocked) {
            (Some(way), Some(known)) if *known.path == *way => known.entries += 1,
            (Some(_), Some(_)) => {}
            (Some(way), none) => *none = Some(InTheWay { path: way.into(), entries: 1 }),
            (None, _) if here.contains(path) || folders.contains(path) => {}
            (None, _) => kept.push(entry.clone()),
        }
    }
    blocked.map_or(Ok(kept), Err)
}

/// Of the entries that are `present` those that stand as mlv put them here for other contents, and that
/// `recorded`, the list of `known`, has otherwise or not at all: a change came with git (a checkout of a
/// branch, a pull) and was never checked out.
///
/// Fails where the list of those other contents cannot be read and something here may be theirs.
pub fn left_behind<'p>(
    repo: &Repo,
    here: &Here,
    (output, known): (&RepoPath, ContentId),
    (recorded, present): (&[TreeEntry], &'p [TreeEntry]),
) -> Result<Vec<&'p TreeEntry>, OpError> {
    let recorded: HashSet<Identity<'_>> = recorded.iter().map(identity).collect();
    let others: Vec<&TreeEntry> =
        present.iter().filter(|entry| !recorded.contains(&identity(entry))).collect();
    if others.is_empty() {
        return Ok(others);
    }
    let put = put_there(repo, here, output, Some(known));
    if let Some(error) = put.unlisted {
        return Err(error);
    }
    let put: HashSet<Identity<'_>> = put.entries.iter().map(identity).collect();
    Ok(others.into_iter().filter(|entry| put.contains(&identity(entry))).collect())
}

/// Whether what was last put or recorded at `output` is `content`, and nothing else may lie there.
pub fn is_current(here: &Here, output: &RepoPath, content: ContentId) -> bool {
    let known = here.get(output).is_none_or(|known| known.content == content.to_string());
    known && here.underway(output).is_empty()
}

/// What makes two entries the same.
pub type Identity<'e> = (&'e str, EntryKind, Digest);

/// The identity of an entry.
pub fn identity(entry: &TreeEntry) -> Identity<'_> {
    (entry.bare_path(), entry.kind, entry.hash)
}

/// The fewest paths that cover all of `present` and none of `absent`.
pub fn covering_paths<'p>(
    present: impl IntoIterator<Item = &'p str>,
    absent: impl IntoIterator<Item = &'p str>,
) -> Vec<String> {
    let incomplete = folders_above(absent.into_iter());
    let paths: BTreeSet<&str> = present
        .into_iter()
        // An empty folder of which something is absent covers nothing.
        .filter(|path| !incomplete.contains(path))
        .map(|path| {
            let complete = ancestors(path).take_while(|folder| !incomplete.contains(folder)).last();
            complete.unwrap_or(path)
        })
        .collect();
    paths.into_iter().map(str::to_owned).collect()
}

/// The paths of entries.
pub fn bare_paths(entries: &[TreeEntry]) -> impl Iterator<Item = &str> {
    entries.iter().map(TreeEntry::bare_path)
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
        assert_eq!(kept, Ok(files(&["b/y", "c"])));
    }

    #[test]
    fn what_stands_in_the_way_of_something_unseen_is_told() {
        let old = files(&["a/x", "a/y", "b", "c/d/e"]);
        let way = |path: &str, entries| Err(InTheWay { path: path.into(), entries });
        assert_eq!(kept_entries(&old, &files(&["a"]), &[]), way("a", 2));
        assert_eq!(kept_entries(&old, &files(&["b/new"]), &[]), way("b", 1));
        assert_eq!(kept_entries(&old, &files(&["c/d"]), &[]), way("c/d", 1));
        let kept = kept_entries(&old, &files(&["a", "b/new", "c/d"]), &old);
        assert_eq!(kept, Ok(Vec::new()), "what was here was replaced by hand");
    }

    #[test]
    fn empty_folder_stands_in_nobodys_way() {
        let old = files(&["a/x", "a/y", "b/z"]);
        let empty = |path: &str| TreeEntry {
            path: format!("{path}/").into(),
            kind: EntryKind::EmptyDir,
            size: 0,
            hash: Digest::ZERO,
        };
        assert_eq!(kept_entries(&old, &[empty("a")], &[]), Ok(old.clone()));
        assert_eq!(kept_entries(&old, &[empty("a")], &files(&["a/x"])), Ok(files(&["a/y", "b/z"])));
    }

    #[test]
    fn covering_paths_are_the_topmost_complete_folders() {
        let present = ["a/1", "a/2", "b/c/1", "b/c/2", "d"];
        assert_eq!(covering_paths(present, ["b/x"]), ["a", "b/c", "d"]);
        assert_eq!(covering_paths(["a", "b"], ["b/x"]), ["a"], "`b` is an empty folder");
    }
}
