//! Names inside tracked directories that other platforms cannot hold.

use std::collections::HashMap;

use crate::model::path::{self, RepoPath, fold};
use crate::model::tree::TreeEntry;
use crate::ops::{OpError, OutputError};
use crate::report::{Event, Reporter};

/// Fails if `path` has a part that Windows cannot hold.
pub fn check_portable(path: &RepoPath) -> Result<(), OpError> {
    path::check_portable(path.as_str())
        .map_err(|reason| OutputError::BadOutput { path: path.clone(), reason }.into())
}

/// Counts the names in `output` that cannot be checked out on Windows or macOS, and warns of them once;
/// with `portable` the first is refused.
pub fn check(
    output: &RepoPath,
    entries: &[TreeEntry],
    portable: bool,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let mut bad: Vec<&str> =
        entries.iter().map(TreeEntry::bare_path).filter(|path| path::check_portable(path).is_err()).collect();
    bad.extend(twins(entries));
    let Some(first) = bad.first() else { return Ok(()) };
    if portable {
        let path = output.join_entry(first);
        return Err(OutputError::BadOutput { path, reason: path::PathError::NotPortable }.into());
    }
    let count = bad.len();
    let names = if count == 1 { "name" } else { "names" };
    let message =
        format!("{count} {names} cannot be checked out on Windows or macOS, first: `{output}/{first}`");
    reporter.event(&Event::Warning { message });
    Ok(())
}

/// The paths that equal an earlier one where case or accents do not count.
fn twins(entries: &[TreeEntry]) -> Vec<&str> {
    // A fold that equals the text has no twin unless another text folds to it: only those are kept.
    let folded: Vec<(String, &str)> = entries
        .iter()
        .map(TreeEntry::bare_path)
        .filter_map(|path| match fold(path) {
            std::borrow::Cow::Owned(folded) if folded != path => Some((folded, path)),
            _ => None,
        })
        .collect();
    if folded.is_empty() {
        return Vec::new();
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for entry in entries {
        seen.insert(entry.bare_path(), entry.bare_path());
    }
    let mut twins = Vec::new();
    for (fold, path) in &folded {
        if seen.insert(fold, path).is_some_and(|other| other != *path) {
            twins.push(*path);
        }
    }
    twins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::EntryKind;

    fn entries(paths: &[&str]) -> Vec<TreeEntry> {
        let entry = |path: &&str| TreeEntry {
            path: (*path).into(),
            kind: EntryKind::File,
            size: 0,
            hash: Digest::of(b""),
        };
        paths.iter().map(entry).collect()
    }

    #[test]
    fn twins_differ_in_case_or_composition_only() {
        assert_eq!(twins(&entries(&["A", "B", "a", "caf\u{e9}", "cafe\u{301}"])).len(), 2);
        assert!(twins(&entries(&["A", "B", "c/D"])).is_empty());
    }
}
