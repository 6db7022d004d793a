//! A lock file in which git left conflict markers: what can be told of it all the same.

use crate::model::lockfile::{LockError, LockSum, Lockfile};
use crate::model::merge::sides_of;
use crate::model::path::RepoPath;
use crate::model::yaml::{Limits, text_of};

impl Lockfile {
    /// As [`Lockfile::parse`]. Of a file with git's conflict markers [`Lockfile::conflict`] is set, and entries
    /// that are not the same on both sides are stale: ours, or theirs where only they have one.
    ///
    /// Fails where [`Lockfile::parse`] does for another reason, and where the sides cannot be told apart or read.
    pub fn parse_marked(file: &RepoPath, bytes: &[u8]) -> Result<Lockfile, LockError> {
        let conflict = match Lockfile::parse(file, bytes) {
            Err(error) if error.problem.is_conflict() => error,
            other => return other,
        };
        let text = text_of(file.as_str(), bytes, Limits::LOCK).map_err(|error| error.map(Into::into))?;
        let Some(sides) = sides_of(text) else { return Err(conflict) };
        let [ours, theirs] = [sides.ours, sides.theirs].map(|side| Lockfile::parse(file, side.as_bytes()));
        let (Ok(mut lock), Ok(theirs)) = (ours, theirs) else { return Err(conflict) };
        for (name, entry) in &mut lock.stages {
            if theirs.stages.get(name) != Some(entry) {
                entry.sum = LockSum::Stale { written: None };
            }
        }
        for (name, mut entry) in theirs.stages {
            if !lock.refused.contains_key(&name) && !lock.stages.contains_key(&name) {
                entry.sum = LockSum::Stale { written: None };
                lock.stages.insert(name, entry);
            }
        }
        lock.conflict = Some(conflict);
        Ok(lock)
    }

    /// Whether what stands there of the stage, if anything, is one of two sides of a conflict.
    pub fn is_unmerged(&self, stage: &str) -> bool {
        self.conflict.is_some() && self.stages.get(stage).is_none_or(|entry| entry.is_stale())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> RepoPath {
        RepoPath::parse(path).unwrap()
    }

    /// An entry with its sum.
    fn entry(name: &str, command: &str) -> String {
        let bare = format!("version: 1\nstages:\n  {name}:\n    cmd: {command}\n");
        let mut lock = Lockfile::parse(&at("mlv.lock"), bare.as_bytes()).unwrap();
        lock.stages.values_mut().for_each(|entry| entry.sum = LockSum::Valid);
        lock.write(&at("mlv.lock")).strip_prefix("version: 1\nstages:\n").unwrap().to_owned()
    }

    fn marked(between: &str) -> Result<Lockfile, LockError> {
        let text = format!("version: 1\nstages:\n{}{between}{}", entry("a", "a"), entry("z", "z"));
        Lockfile::parse_marked(&at("mlv.lock"), text.as_bytes())
    }

    #[test]
    fn entries_that_are_the_same_on_both_sides_are_as_they_were() {
        let whole = |ours: &str, theirs: &str| format!("<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> side\n");
        let lock = marked(&whole(&entry("m", "1"), &(entry("m", "2") + &entry("n", "3")))).unwrap();
        let stale: Vec<(&str, bool)> =
            lock.stages.iter().map(|(name, entry)| (&**name, entry.is_stale())).collect();
        assert_eq!(stale, [("a", false), ("m", true), ("n", true), ("z", false)]);
        assert_eq!(lock.stages["m"].command.summary(), "1");
        assert_eq!(
            ["a", "m", "n", "z", "new"].map(|name| lock.is_unmerged(name)),
            [false, true, true, false, true]
        );
        assert_eq!(lock.conflict.unwrap().mark.line, 6);
        assert_eq!(marked("").unwrap().conflict, None);
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for between in ["<<<<<<< HEAD\n>>>>>>> side\n", "<<<<<<< HEAD\n  m: [\n=======\n>>>>>>> side\n"] {
            assert!(marked(between).unwrap_err().problem.is_conflict(), "{between}");
        }
    }
}
