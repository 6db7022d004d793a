//! What differs between two sorted lists of directory entries, and what moved.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::model::digest::Digest;
use crate::model::tree::{EntryKind, TreeEntry};

/// One path on which two states of a directory differ; at least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// Path relative to the directory, as stored.
    pub path: Box<str>,
    /// The entry before, if there was one.
    pub old: Option<TreeEntry>,
    /// The entry after, if there is one.
    pub new: Option<TreeEntry>,
}

/// How two states differ on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Only the new state has it.
    Added,
    /// Both have it, with other contents, kind or mode.
    Modified,
    /// Only the old state has it.
    Deleted,
}

impl EntryChange {
    /// Which of the three it is.
    pub fn kind(&self) -> ChangeKind {
        match (&self.old, &self.new) {
            (None, _) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Deleted,
            (Some(_), Some(_)) => ChangeKind::Modified,
        }
    }
}

/// The changes that lead from `old` to `new`; both, and the result, sorted by path.
pub fn compare(old: &[TreeEntry], new: &[TreeEntry]) -> Vec<EntryChange> {
    let mut changes = Vec::new();
    let (mut left, mut right) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
        };
        let before = if order == Ordering::Greater { None } else { left.next() };
        let after = if order == Ordering::Less { None } else { right.next() };
        if before != after {
            let path = before.or(after).map(|entry| entry.path.clone()).unwrap_or_default();
            changes.push(EntryChange { path, old: before.cloned(), new: after.cloned() });
        }
    }
}

/// A file that stands under another name with the same contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Path before, relative to the directory.
    pub from: Box<str>,
    /// Path after, relative to the directory.
    pub to: Box<str>,
}

/// Takes the deleted and added pairs of equal, non-empty contents out of `changes`.
///
/// Pairs are made in path order, so the answer does not depend on anything else. Empty
/// files are left as they are: equal emptiness says nothing about a move.
pub fn take_renames(changes: &mut Vec<EntryChange>) -> Vec<Rename> {
    let mut gone: BTreeMap<(Digest, EntryKind), Vec<usize>> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate().rev() {
        if let (Some(old), None) = (&change.old, &change.new)
            && old.size > 0
        {
            gone.entry((old.hash, old.kind)).or_default().push(at);
        }
    }
    let mut renames = Vec::new();
    let mut taken = vec![false; changes.len()];
    for (at, change) in changes.iter().enumerate() {
        let (None, Some(new)) = (&change.old, &change.new) else { continue };
        let Some(from) = gone.get_mut(&(new.hash, new.kind)).and_then(Vec::pop) else { continue };
        taken[at] = true;
        taken[from] = true;
        renames.push(Rename { from: changes[from].path.clone(), to: change.path.clone() });
    }
    let mut index = 0;
    changes.retain(|_| {
        index += 1;
        !taken[index - 1]
    });
    renames.sort_by(|a, b| a.from.cmp(&b.from));
    renames
}

/// Counts of changes, and of the bytes they brought and took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChangeCounts {
    /// Entries that only the new state has.
    pub added: u64,
    /// Entries that differ.
    pub modified: u64,
    /// Entries that only the old state has.
    pub deleted: u64,
    /// Entries under another name with the same contents.
    pub renamed: u64,
}

impl ChangeCounts {
    /// Counts `changes` and `renames`.
    pub fn of(changes: &[EntryChange], renames: &[Rename]) -> ChangeCounts {
        let count = |kind| changes.iter().filter(|change| change.kind() == kind).count() as u64;
        ChangeCounts {
            added: count(ChangeKind::Added),
            modified: count(ChangeKind::Modified),
            deleted: count(ChangeKind::Deleted),
            renamed: renames.len() as u64,
        }
    }

    /// Counts what leads from `old` to `new`.
    pub fn between(old: &[TreeEntry], new: &[TreeEntry]) -> ChangeCounts {
        let mut changes = compare(old, new);
        let renames = take_renames(&mut changes);
        ChangeCounts::of(&changes, &renames)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == ChangeCounts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TreeEntry {
        TreeEntry {
            path: path.into(),
            kind: EntryKind::File,
            size: text.len() as u64,
            hash: Digest::of(text.as_bytes()),
        }
    }

    #[test]
    fn compare_finds_each_kind_of_change_once() {
        let old = [file("a", "1"), file("b", "2"), file("c", "3")];
        let new = [file("b", "2"), file("c", "other"), file("d", "4")];
        let changes = compare(&old, &new);
        let kinds: Vec<_> = changes.iter().map(|change| (&*change.path, change.kind())).collect();
        assert_eq!(
            kinds,
            [("a", ChangeKind::Deleted), ("c", ChangeKind::Modified), ("d", ChangeKind::Added)]
        );
    }

    #[test]
    fn renames_pair_equal_contents_in_path_order_and_leave_empty_files() {
        let old = [file("a", "same"), file("b", "same"), file("empty", "")];
        let new = [file("x", "same"), file("y", "same"), file("z", "")];
        let mut changes = compare(&old, &new);
        let renames = take_renames(&mut changes);
        assert_eq!(renames[0], Rename { from: "a".into(), to: "x".into() });
        assert_eq!(renames[1], Rename { from: "b".into(), to: "y".into() });
        assert_eq!(ChangeCounts::of(&changes, &renames).added, 1);
        assert_eq!(ChangeCounts::of(&changes, &renames).deleted, 1);
    }
}
