//! A map by path that also finds what lies above and below one.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::model::path::RepoPath;

/// Values by path. Finding takes the depth of the path, not the size of the map.
#[derive(Clone, Debug)]
pub(super) struct PathMap<T> {
    entries: BTreeMap<RepoPath, T>,
}

impl<T> Default for PathMap<T> {
    fn default() -> PathMap<T> {
        PathMap { entries: BTreeMap::new() }
    }
}

impl<T> PathMap<T> {
    /// Puts `value` at `path`; returns what was there.
    pub(super) fn insert(&mut self, path: RepoPath, value: T) -> Option<T> {
        self.entries.insert(path, value)
    }

    /// The value at `path` itself.
    pub(super) fn get(&self, path: &RepoPath) -> Option<&T> {
        self.entries.get(path)
    }

    /// All entries in the order of their paths.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RepoPath, &T)> {
        self.entries.iter()
    }

    /// The nearest entry that contains `path` and is not `path` itself.
    pub(super) fn above(&self, path: &RepoPath) -> Option<(RepoPath, &T)> {
        let mut folder = path.parent()?;
        while !folder.is_root() {
            if let Some(value) = self.entries.get(&folder) {
                return Some((folder, value));
            }
            folder = folder.parent()?;
        }
        None
    }

    /// The entries inside `folder`, without its own.
    pub(super) fn below<'a>(&'a self, folder: &'a RepoPath) -> impl Iterator<Item = &'a T> + 'a {
        self.entries_below(folder).map(|(_, value)| value)
    }

    /// The entries inside `folder`, without its own, with their paths.
    pub(super) fn entries_below<'a>(
        &'a self,
        folder: &'a RepoPath,
    ) -> impl Iterator<Item = (&'a RepoPath, &'a T)> + 'a {
        // Between `a` and `a/` other names sort, such as `a.b`: the range starts behind the slash.
        let from = if folder.is_root() { String::new() } else { format!("{folder}/") };
        let range = (Bound::Excluded(from.as_str()), Bound::Unbounded);
        self.entries.range::<str, _>(range).take_while(move |(path, _)| path.starts_with(folder))
    }

    /// An entry that is `path`, contains it or lies inside it.
    pub(super) fn overlapping(&self, path: &RepoPath) -> Option<&T> {
        let above = || self.above(path).map(|(_, value)| value);
        // The root contains everything; `above` leaves it out, because no output can be there.
        let root = || self.entries.get("");
        self.get(path).or_else(above).or_else(|| self.first_below(path)).or_else(root)
    }

    fn first_below(&self, folder: &RepoPath) -> Option<&T> {
        let from = if folder.is_root() { String::new() } else { format!("{folder}/") };
        let range = (Bound::Excluded(from.as_str()), Bound::Unbounded);
        let (path, value) = self.entries.range::<str, _>(range).next()?;
        path.starts_with(folder).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(paths: &[&str]) -> PathMap<String> {
        let mut map = PathMap::default();
        for path in paths {
            map.insert(RepoPath::parse(path).unwrap(), (*path).to_owned());
        }
        map
    }

    #[test]
    fn neighbours_that_sort_between_are_neither_above_nor_below() {
        let map = map(&["a.b", "a/c", "a/d/e", "a0", "b"]);
        let at = |path: &str| RepoPath::parse(path).unwrap();
        assert_eq!(map.below(&at("a")).collect::<Vec<_>>(), ["a/c", "a/d/e"]);
        assert_eq!(map.below(&RepoPath::root()).count(), 5);
        assert_eq!(map.above(&at("a/c/x/y")).map(|(path, _)| path), Some(at("a/c")));
        for (path, overlaps) in [("a", true), ("a/c/x", true), ("a/d", true), ("a/x", false), ("bb", false)] {
            assert_eq!(map.overlapping(&at(path)).is_some(), overlaps, "{path}");
        }
    }
}
