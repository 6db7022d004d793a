//! Which parts of each output this work tree holds: `.mlv/here`.
//!
//! A file that a directory's pointer names and that is not here counts as deleted only if that
//! part of the directory was complete here ("absent is not deleted"). Not a cache: it cannot be
//! made again from the files. Lost or unreadable, nothing counts as deleted.
//!
//! Whoever brings files first takes the claim away ([`Here::forget`]) and makes it again when
//! all are in place: a command that is interrupted then leaves "not all here", never "deleted".

use std::collections::{BTreeMap, BTreeSet};

use crate::fs::dir::Dir;
use crate::fs::lock::{MetaLock, Patience};
use crate::fs::{self, atomic};
use crate::model::path::RepoPath;

const FILE: &str = "here";
const LOCK: &str = "here.lock";
const VERSION: u64 = 1;
/// Largest file that is read, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// What of one output was complete here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Held {
    /// Some files and folders, by their paths below the output; a folder with all in it.
    Paths(BTreeSet<String>),
    /// The whole output.
    #[serde(with = "all")]
    All,
}

/// What each output holds here, by its path from the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Here {
    version: u64,
    outs: BTreeMap<String, Held>,
}

/// The word `all`.
mod all {
    pub(super) fn serialize<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("all")
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match <&str as serde::Deserialize>::deserialize(deserializer)? {
            "all" => Ok(()),
            other => Err(serde::de::Error::unknown_variant(other, &["all"])),
        }
    }
}

impl Here {
    /// Reads what is known. `mlv` is the folder `.mlv`. Unreadable is empty.
    pub fn load(mlv: &Dir) -> Here {
        let empty = Here { version: VERSION, outs: BTreeMap::new() };
        let Ok(path) = RepoPath::parse(FILE) else { return empty };
        let Ok(bytes) = mlv.read_file(&path, MAX_SIZE) else { return empty };
        let here: Option<Here> = serde_json::from_slice(&bytes).ok();
        here.filter(|here| here.version == VERSION).unwrap_or(empty)
    }

    /// Re-reads under a lock, changes and replaces the file, durable on return.
    pub fn update(
        mlv: &Dir,
        patience: &Patience<'_>,
        change: impl FnOnce(&mut Here),
    ) -> Result<Here, fs::Error> {
        let (Ok(path), Ok(lock)) = (RepoPath::parse(FILE), RepoPath::parse(LOCK)) else {
            return Ok(Here::load(mlv));
        };
        let _lock = MetaLock::acquire(mlv, &lock, patience)?;
        let before = Here::load(mlv);
        let mut here = before.clone();
        change(&mut here);
        if here != before {
            let mut text = serde_json::to_vec_pretty(&here).unwrap_or_default();
            text.push(b'\n');
            atomic::write(mlv, &path, &text, None)?;
        }
        Ok(here)
    }

    /// What is known of the output `out`.
    pub fn held(&self, out: &RepoPath) -> Option<&Held> {
        self.outs.get(out.as_str())
    }

    /// Whether the whole of `out` was complete here.
    pub fn is_complete(&self, out: &RepoPath) -> bool {
        self.held(out) == Some(&Held::All)
    }

    /// Whether `path` below the output `out` was complete here, so that its absence means that
    /// it was deleted.
    pub fn covers(&self, out: &RepoPath, path: &str) -> bool {
        match self.held(out) {
            None => false,
            Some(Held::All) => true,
            Some(Held::Paths(paths)) => {
                let path = path.trim_end_matches('/');
                let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
                paths.contains(path) || folders.any(|folder| paths.contains(folder))
            }
        }
    }

    /// Claims that the whole of `out` is here.
    pub fn set_complete(&mut self, out: &RepoPath) {
        self.outs.insert(out.as_str().to_owned(), Held::All);
    }

    /// Claims that the file or folder `path` below `out` is here.
    pub fn add_path(&mut self, out: &RepoPath, path: &str) {
        let held = self.outs.entry(out.as_str().to_owned()).or_insert_with(|| Held::Paths(BTreeSet::new()));
        if let Held::Paths(paths) = held {
            let below = format!("{path}/");
            paths.retain(|known| !known.starts_with(&below));
            paths.insert(path.to_owned());
        }
    }

    /// Claims nothing of `out` any more.
    pub fn forget(&mut self, out: &RepoPath) {
        self.outs.remove(out.as_str());
    }

    /// Moves what is known of an output to its new path.
    pub fn rename(&mut self, from: &RepoPath, to: &RepoPath) {
        if let Some(held) = self.outs.remove(from.as_str()) {
            self.outs.insert(to.as_str().to_owned(), held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    #[test]
    fn claims_survive_and_cover_what_lies_below() {
        let home = tempfile::tempdir().unwrap();
        let mlv = Dir::open(home.path()).unwrap();
        Here::update(&mlv, &Patience::NONE, |here| {
            here.set_complete(&path("all"));
            here.add_path(&path("part"), "a/x");
            here.add_path(&path("part"), "a/y");
            here.add_path(&path("part"), "b/c");
            here.add_path(&path("part"), "a");
        })
        .unwrap();
        let here = Here::load(&mlv);
        assert!(here.is_complete(&path("all")) && here.covers(&path("all"), "anything"));
        assert_eq!(here.held(&path("part")), Some(&Held::Paths(["a".into(), "b/c".into()].into())));
        let covered =
            ["a", "a/z", "a/z/", "b/c", "b", "b/d", "ab"].map(|name| here.covers(&path("part"), name));
        assert_eq!(covered, [true, true, true, true, false, false, false]);
        assert!(!here.covers(&path("other"), "a"));
        Here::update(&mlv, &Patience::NONE, |here| here.forget(&path("all"))).unwrap();
        assert!(!Here::load(&mlv).covers(&path("all"), "x"));
    }

    #[test]
    fn unreadable_means_nothing_is_claimed() {
        let home = tempfile::tempdir().unwrap();
        let mlv = Dir::open(home.path()).unwrap();
        for text in
            ["", "{", "{\"version\":2,\"outs\":{\"a\":\"all\"}}", "{\"version\":1,\"outs\":{\"a\":\"most\"}}"]
        {
            std::fs::write(home.path().join("here"), text).unwrap();
            assert!(!Here::load(&mlv).covers(&path("a"), "x"), "{text}");
        }
    }
}
