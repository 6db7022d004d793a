//! Merges two states of a directory that started from one, path by path.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::merge::{Favour, three_way};
use crate::model::tree::{EntryKind, TreeEntry};

/// A merged directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedTree {
    /// Its entries, sorted by path; those in conflict are left out.
    pub entries: Vec<TreeEntry>,
    /// Paths that both sides changed differently, sorted; empty with a side to favour.
    pub conflicts: Vec<Box<str>>,
}

/// Merges `ours` and `theirs`, which both come from `base`; all sorted by path.
///
/// A path that only one side changed is as there. What both changed alike is no conflict. A file where the
/// other side has a folder is one. An empty folder in which the other side put something is gone.
pub fn merge(
    base: &[TreeEntry],
    ours: &[TreeEntry],
    theirs: &[TreeEntry],
    favour: Option<Favour>,
) -> MergedTree {
    let (base, ours, theirs) = (by_path(base), by_path(ours), by_path(theirs));
    let mut merged = ByPath::new();
    let mut conflicts: BTreeSet<Box<str>> = BTreeSet::new();
    let paths: BTreeSet<&str> = base.keys().chain(ours.keys()).chain(theirs.keys()).copied().collect();
    for path in paths {
        let [base, ours, theirs] = [&base, &ours, &theirs].map(|side| side.get(path).copied());
        let entry = three_way(base, ours, theirs).or_else(|| Some(favour?.of(ours, theirs)));
        match entry {
            Some(entry) => merged.extend(entry.map(|entry| (path, entry))),
            None => drop(conflicts.insert(path.into())),
        }
    }
    for (file, below) in collisions(&merged) {
        let favoured = favour.map(|favour| favour.of(&ours, &theirs));
        match favoured.map(|side| side.contains_key(file)) {
            // One of the two is not of that side, or there would be no collision.
            Some(true) => drop(merged.remove(below)),
            Some(false) => drop(merged.remove(file)),
            None => {
                merged.remove(file);
                conflicts.insert(file.into());
            }
        }
    }
    for path in filled_folders(&merged) {
        merged.remove(path);
    }
    MergedTree {
        entries: merged.into_values().cloned().collect(),
        conflicts: conflicts.into_iter().collect(),
    }
}

/// Entries that lie elsewhere: a directory may have a million.
type ByPath<'a> = BTreeMap<&'a str, &'a TreeEntry>;

fn by_path(entries: &[TreeEntry]) -> ByPath<'_> {
    entries.iter().map(|entry| (&*entry.path, entry)).collect()
}

/// Pairs of a file, or link, and of what lies below it.
fn collisions<'a>(entries: &ByPath<'a>) -> Vec<(&'a str, &'a str)> {
    let files: HashSet<&str> = entries
        .iter()
        .filter(|(_, entry)| entry.kind != EntryKind::EmptyDir)
        .map(|(path, _)| *path)
        .collect();
    let mut found = Vec::new();
    for path in entries.keys().copied() {
        let above = path.match_indices('/').map(|(end, _)| &path[..end]);
        found.extend(above.filter(|above| files.contains(above)).map(|above| (above, path)));
    }
    found
}

/// Empty folders that are not.
fn filled_folders<'a>(entries: &ByPath<'a>) -> Vec<&'a str> {
    let next = entries.keys().skip(1).copied().map(Some).chain([None]);
    let is_filled = |(entry, next): &(&&'a TreeEntry, Option<&str>)| {
        // What lies in a folder comes right behind it in the order.
        entry.kind == EntryKind::EmptyDir && next.is_some_and(|next| next.starts_with(&*entry.path))
    };
    entries.values().zip(next).filter(is_filled).map(|(entry, _)| &*entry.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use proptest::prelude::*;

    fn file(path: &str, content: u8) -> TreeEntry {
        let hash = Digest::of(&[content]);
        TreeEntry { path: path.into(), kind: EntryKind::File, size: u64::from(content), hash }
    }

    fn folder(path: &str) -> TreeEntry {
        TreeEntry { path: path.into(), kind: EntryKind::EmptyDir, size: 0, hash: Digest::ZERO }
    }

    fn tree(entries: &[(&str, u8)]) -> Vec<TreeEntry> {
        let entry = |(path, content): &(&str, u8)| {
            if path.ends_with('/') { folder(path) } else { file(path, *content) }
        };
        let mut entries: Vec<TreeEntry> = entries.iter().map(entry).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    #[test]
    fn each_side_has_its_changes() {
        let base = tree(&[("a", 1), ("b", 1), ("c", 1), ("d/x", 1), ("same", 1)]);
        let ours = tree(&[("a", 2), ("c", 1), ("d/x", 1), ("new", 1), ("same", 2)]);
        let theirs = tree(&[("a", 1), ("b", 1), ("c", 3), ("d/", 0), ("same", 2)]);
        let merged = merge(&base, &ours, &theirs, None);
        assert_eq!(merged.entries, tree(&[("a", 2), ("c", 3), ("d/", 0), ("new", 1), ("same", 2)]));
        assert!(merged.conflicts.is_empty());
    }

    #[test]
    fn what_both_changed_is_named_or_taken_from_one() {
        let base = tree(&[("a", 1), ("b", 1), ("c", 1)]);
        let ours = tree(&[("a", 2), ("c", 2), ("f", 1)]);
        let theirs = tree(&[("a", 3), ("b", 2), ("c", 1), ("f/x", 1)]);
        let merged = merge(&base, &ours, &theirs, None);
        let conflicts: Vec<&str> = merged.conflicts.iter().map(|path| &**path).collect();
        assert_eq!(conflicts, ["a", "b", "f"]);
        let of = |favour| merge(&base, &ours, &theirs, Some(favour)).entries;
        assert_eq!(of(Favour::Ours), tree(&[("a", 2), ("c", 2), ("f", 1)]));
        assert_eq!(of(Favour::Theirs), tree(&[("a", 3), ("b", 2), ("c", 2), ("f/x", 1)]));
    }

    #[test]
    fn folder_that_one_side_filled_is_not_empty() {
        let base = tree(&[("d/x", 1)]);
        let merged = merge(&base, &tree(&[("d/", 0)]), &tree(&[("d/x", 1), ("d/y", 1)]), None);
        assert_eq!(merged.entries, tree(&[("d/y", 1)]));
        let merged = merge(&[], &tree(&[("d", 1)]), &tree(&[("d/", 0)]), None);
        assert_eq!(merged.conflicts, ["d".into()]);
    }

    /// Trees in which nothing lies below a file, made of few names so that they meet.
    fn any_tree() -> impl Strategy<Value = Vec<TreeEntry>> {
        let names = ["a", "a/", "a/b", "a/b/", "a/c", "b", "b-", "b/c/d", "c/"];
        proptest::collection::vec((0..names.len(), 0..3_u8), 0..7).prop_map(move |picks| {
            let mut chosen: Vec<(&str, u8)> = Vec::new();
            for (name, content) in picks {
                let known = chosen.iter().position(|(path, _)| *path == names[name]);
                if known.is_none() {
                    chosen.push((names[name], content));
                    let entries = tree(&chosen);
                    let entries = by_path(&entries);
                    if !collisions(&entries).is_empty() || !filled_folders(&entries).is_empty() {
                        chosen.pop();
                    }
                }
            }
            tree(&chosen)
        })
    }

    proptest::proptest! {
        #[test]
        fn merges_are_commutative_and_idempotent(base in any_tree(), a in any_tree(), b in any_tree()) {
            prop_assert_eq!(merge(&base, &a, &b, None), merge(&base, &b, &a, None));
            prop_assert_eq!(
                merge(&base, &a, &b, Some(Favour::Ours)),
                merge(&base, &b, &a, Some(Favour::Theirs))
            );
            for same in [merge(&base, &a, &a, None), merge(&base, &a, &base, None)] {
                prop_assert_eq!(same, MergedTree { entries: a.clone(), conflicts: Vec::new() });
            }
        }

        #[test]
        fn merges_without_conflicts_are_associative(
            base in any_tree(), a in any_tree(), b in any_tree(), c in any_tree()
        ) {
            let [left, right] = [merge(&base, &a, &b, None), merge(&base, &b, &c, None)];
            if left.conflicts.is_empty() && right.conflicts.is_empty() {
                let one = merge(&base, &left.entries, &c, None);
                let other = merge(&base, &a, &right.entries, None);
                if one.conflicts.is_empty() && other.conflicts.is_empty() {
                    prop_assert_eq!(one, other);
                }
            }
        }

        /// What comes out is a directory, and with a side to favour there is always something.
        #[test]
        fn merged_entries_make_a_tree(base in any_tree(), a in any_tree(), b in any_tree(), ours: bool) {
            let favour = if ours { Favour::Ours } else { Favour::Theirs };
            let merged = merge(&base, &a, &b, Some(favour));
            prop_assert!(merged.conflicts.is_empty());
            let mut sink = |_, _: &[u8]| Ok::<(), std::convert::Infallible>(());
            let mut builder = crate::model::tree::TreeBuilder::new(&mut sink);
            for entry in &merged.entries {
                prop_assert!(builder.push(entry).is_ok(), "{:?}", merged.entries);
            }
        }
    }
}
