//! Decides what `checkout` does to one directory: a pure function of three sorted lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::digest::Digest;
use crate::model::tree::{EntryKind, TreeEntry};

/// What is done to one path of the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing is there; the entry is written.
    Create(TreeEntry),
    /// Something else is there; it gives way to the entry.
    Replace {
        /// What is there.
        old: TreeEntry,
        /// What comes.
        new: TreeEntry,
    },
    /// What is there is right, but may be linked in another way than it would be now.
    Relink(TreeEntry),
    /// An entry that the wanted state does not have goes.
    Remove(TreeEntry),
}

/// The decision about one directory (or, with one entry of empty path, one file).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryPlan {
    /// What to do, sorted by path; removals of what stands in the way come first.
    pub actions: Vec<Action>,
    /// What has to go to rescue before the actions, or stops the command without `--force`.
    pub unsaved: Vec<TreeEntry>,
    /// Entries that stay although the wanted state does not have them.
    pub extra: Vec<Box<str>>,
    /// How many entries are right already.
    pub unchanged: u64,
}

/// What `plan_directory` is asked to decide about.
pub struct Question<'a> {
    /// What the work tree should hold, sorted by path.
    pub wanted: &'a [TreeEntry],
    /// What it holds, sorted by path, every hash known.
    pub present: &'a [TreeEntry],
    /// What mlv put or recorded here, in any order, a path several times where that is not known for
    /// sure: unchanged entries of it may go.
    pub placed: &'a [TreeEntry],
    /// Whether the contents are saved in the cache.
    pub is_saved: &'a dyn Fn(&TreeEntry) -> bool,
    /// Whether git keeps the entry at a path: unless it stands in the way, it stays.
    pub is_gits: &'a dyn Fn(&str) -> bool,
    /// Whether extra entries go to rescue instead of staying.
    pub clean: bool,
}

/// Decides what leads from the present state to the wanted one without losing a byte.
pub fn plan_directory(question: &Question<'_>) -> DirectoryPlan {
    let wanted: BTreeMap<&str, &TreeEntry> =
        question.wanted.iter().map(|entry| (bare(&entry.path), entry)).collect();
    let present: BTreeMap<&str, &TreeEntry> =
        question.present.iter().map(|entry| (bare(&entry.path), entry)).collect();
    let mut placed: Vec<&TreeEntry> = question.placed.iter().collect();
    placed.sort_by_key(|entry| bare(&entry.path));
    let folders = parents(wanted.keys().copied());
    let mut plan = DirectoryPlan::default();
    let mut creations = Vec::new();
    for (path, old) in &present {
        let old = *old;
        match wanted.get(path) {
            Some(new) if *new == old => plan.unchanged += 1,
            Some(new) => {
                if !(question.is_saved)(old) {
                    plan.unsaved.push(old.clone());
                }
                plan.actions.push(Action::Replace { old: old.clone(), new: (*new).clone() });
            }
            None => {
                let is_made = old.kind == EntryKind::EmptyDir && has_some_at(&placed, path);
                let placed = (of_path(&placed, path), is_made);
                plan_unwanted(question, old, placed, &wanted, &folders, &mut plan);
            }
        }
    }
    for (path, new) in &wanted {
        // A folder with something in it that stays is there already; one that is emptied goes with its
        // last entry, and is made again.
        let stays = new.kind == EntryKind::EmptyDir && holds_entries(path, &plan.extra);
        if !present.contains_key(path) && !stays {
            creations.push(Action::Create((*new).clone()));
        }
    }
    plan.actions.append(&mut creations);
    plan
}

/// An entry that is there and not wanted: it goes if it stands in the way, or if mlv put it there
/// and it did not change since; otherwise it stays as an extra entry.
fn plan_unwanted(
    question: &Question<'_>,
    old: &TreeEntry,
    (placed, is_made): (&[&TreeEntry], bool),
    wanted: &BTreeMap<&str, &TreeEntry>,
    folders: &BTreeSet<&str>,
    plan: &mut DirectoryPlan,
) {
    let path = bare(&old.path);
    let saved = (question.is_saved)(old);
    if old.kind == EntryKind::EmptyDir {
        // An empty folder holds no bytes: it goes where mlv made it, also as a parent, and becomes a parent
        // where one is needed.
        let goes = question.clean || is_made || under_wanted_file(path, wanted);
        if !folders.contains(path) && goes {
            plan.actions.push(Action::Remove(old.clone()));
        }
    } else if folders.contains(path) || under_wanted_file(path, wanted) {
        if !saved {
            plan.unsaved.push(old.clone());
        }
        plan.actions.push(Action::Remove(old.clone()));
    } else if (question.clean || (saved && placed.iter().any(|placed| has_same_bytes(placed, old))))
        && !(question.is_gits)(path)
    {
        // What was asked to be cleaned goes to rescue where it is not saved.
        plan.actions.push(Action::Remove(old.clone()));
    } else {
        plan.extra.push(old.path.clone());
    }
}

/// Has the plan take away everything present in `scope` (empty: everywhere) that neither anything recorded nor
/// git accounts for, also outside of the part that the plan is confined to.
pub fn clean(
    plan: &mut DirectoryPlan,
    recorded: &[TreeEntry],
    present: &[TreeEntry],
    scope: &[Box<str>],
    is_gits: &dyn Fn(&str) -> bool,
) {
    let known: BTreeSet<&str> = recorded.iter().map(|entry| bare(&entry.path)).collect();
    let removed: BTreeSet<&str> = plan
        .actions
        .iter()
        .filter_map(|action| if let Action::Remove(entry) = action { Some(bare(&entry.path)) } else { None })
        .collect();
    let is_meant = |path: &str| {
        let is_within =
            |part: &str| path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        scope.is_empty() || scope.iter().any(|part| is_within(part))
    };
    let is_extra = |entry: &&TreeEntry| {
        let path = bare(&entry.path);
        entry.kind != EntryKind::EmptyDir
            && is_meant(path)
            && !known.contains(path)
            && !removed.contains(path)
            && !is_gits(path)
    };
    let mut removals: Vec<Action> =
        present.iter().filter(is_extra).map(|entry| Action::Remove(entry.clone())).collect();
    removals.append(&mut plan.actions);
    plan.actions = removals;
}

/// Has the files that are right, and for which `can` is true, put in place again.
pub fn relink(
    plan: &mut DirectoryPlan,
    wanted: &[TreeEntry],
    present: &[TreeEntry],
    can: &dyn Fn(&TreeEntry) -> bool,
) {
    let right: HashMap<&str, &TreeEntry> = present.iter().map(|entry| (&*entry.path, entry)).collect();
    let is_right =
        |entry: &&TreeEntry| entry.kind.is_file() && right.get(&*entry.path) == Some(entry) && can(entry);
    for entry in wanted.iter().filter(is_right) {
        plan.unchanged = plan.unchanged.saturating_sub(1);
        plan.actions.push(Action::Relink(entry.clone()));
    }
}

/// Stands for a directory in which nothing is.
pub fn own_folder() -> TreeEntry {
    TreeEntry { path: "".into(), kind: EntryKind::EmptyDir, size: 0, hash: Digest::ZERO }
}

/// Everything present goes, everything wanted comes: a file where a directory was, or the reverse.
pub fn replace_whole(
    wanted: &[TreeEntry],
    present: &[TreeEntry],
    is_saved: &dyn Fn(&TreeEntry) -> bool,
) -> DirectoryPlan {
    let mut plan = DirectoryPlan::default();
    for entry in present {
        if !is_saved(entry) {
            plan.unsaved.push(entry.clone());
        }
        plan.actions.push(Action::Remove(entry.clone()));
    }
    plan.actions.extend(wanted.iter().cloned().map(Action::Create));
    plan
}

/// Those of the sorted `entries` that have this path.
fn of_path<'a, 'e>(entries: &'a [&'e TreeEntry], path: &str) -> &'a [&'e TreeEntry] {
    let start = entries.partition_point(|entry| bare(&entry.path) < path);
    let end = start + entries[start..].partition_point(|entry| bare(&entry.path) == path);
    &entries[start..end]
}

/// Whether one of the sorted `entries` has this path or lies below it.
fn has_some_at(entries: &[&TreeEntry], path: &str) -> bool {
    let below = format!("{path}/");
    let start = entries.partition_point(|entry| bare(&entry.path) < &*below);
    !of_path(entries, path).is_empty()
        || entries.get(start).is_some_and(|entry| bare(&entry.path).starts_with(&below))
}

/// Whether both are the same contents; of a file by itself neither size nor mode is remembered.
fn has_same_bytes(placed: &TreeEntry, found: &TreeEntry) -> bool {
    placed.kind.is_file() == found.kind.is_file() && placed.hash == found.hash
}

/// The path without the slash that marks an empty folder.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Every folder above one of `paths`.
fn parents<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let mut rest = path;
        while let Some((folder, _)) = rest.rsplit_once('/') {
            if !folders.insert(folder) {
                break;
            }
            rest = folder;
        }
    }
    folders
}

fn under_wanted_file(path: &str, wanted: &BTreeMap<&str, &TreeEntry>) -> bool {
    let mut rest = path;
    while let Some((folder, _)) = rest.rsplit_once('/') {
        if wanted.get(folder).is_some_and(|entry| entry.kind != EntryKind::EmptyDir) {
            return true;
        }
        rest = folder;
    }
    false
}

/// Whether one of the sorted `paths` lies in `folder`.
fn holds_entries(folder: &str, paths: &[Box<str>]) -> bool {
    let start = format!("{folder}/");
    let at = paths.partition_point(|path| **path < *start);
    paths.get(at).is_some_and(|path| path.starts_with(&start))
}
