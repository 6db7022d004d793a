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
use crate::model::object::ContentId;
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

impl Held {
    /// Whether `path` below the output was complete here.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Held::All => true,
            Held::Paths(paths) => {
                let path = path.trim_end_matches('/');
                let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
                paths.contains(path) || folders.any(|folder| paths.contains(folder))
            }
        }
    }
}

/// What is remembered of one output.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeldOutput {
    /// The contents that were last put or recorded here, as a pointer writes their hash.
    pub content: String,
    /// Which part of them is here.
    pub held: Held,
}

/// What each output holds here, by its path from the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Here {
    version: u64,
    outs: BTreeMap<String, HeldOutput>,
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
    pub fn get(&self, out: &RepoPath) -> Option<&HeldOutput> {
        self.outs.get(out.as_str())
    }

    /// The outputs that something is known of, sorted by path.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &HeldOutput)> {
        self.outs.iter().map(|(path, output)| (&**path, output))
    }

    /// Claims that the whole of `content` is here at `out`.
    pub fn set_complete(&mut self, out: &RepoPath, content: ContentId) {
        let output = HeldOutput { content: content.to_string(), held: Held::All };
        self.outs.insert(out.as_str().to_owned(), output);
    }

    /// Claims that the file or folder `path` of `content` is here below `out`.
    ///
    /// What was claimed of other contents is dropped: a folder of theirs may hold more now.
    pub fn add_path(&mut self, out: &RepoPath, content: ContentId, path: &str) {
        let content = content.to_string();
        let nothing = HeldOutput { content: content.clone(), held: Held::Paths(BTreeSet::new()) };
        let output = self.outs.entry(out.as_str().to_owned()).or_insert_with(|| nothing.clone());
        if output.content != content {
            *output = nothing;
        }
        if let Held::Paths(paths) = &mut output.held {
            let below = format!("{path}/");
            paths.retain(|known| !known.starts_with(&below));
            paths.insert(path.to_owned());
        }
    }

    /// Claims again what was known of `out` before it was forgotten.
    pub fn restore(&mut self, out: &RepoPath, known: HeldOutput) {
        self.outs.insert(out.as_str().to_owned(), known);
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
    use crate::model::digest::Digest;

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    fn content(text: &str) -> ContentId {
        ContentId::Tree(Digest::of(text.as_bytes()).into())
    }

    #[test]
    fn claims_survive_and_cover_what_lies_below() {
        let home = tempfile::tempdir().unwrap();
        let mlv = Dir::open(home.path()).unwrap();
        let (all, part) = (path("all"), path("part"));
        Here::update(&mlv, &Patience::NONE, |here| {
            here.set_complete(&all, content("1"));
            for claim in ["a/x", "a/y", "b/c", "a"] {
                here.add_path(&part, content("1"), claim);
            }
        })
        .unwrap();
        let here = Here::load(&mlv);
        assert_eq!(here.get(&all).unwrap().content, content("1").to_string());
        let held = &here.get(&part).unwrap().held;
        assert_eq!(*held, Held::Paths(["a".into(), "b/c".into()].into()));
        let covered = ["a", "a/z", "a/z/", "b/c", "b", "b/d", "ab"].map(|name| held.covers(name));
        assert_eq!(covered, [true, true, true, true, false, false, false]);
        Here::update(&mlv, &Patience::NONE, |here| here.forget(&all)).unwrap();
        assert!(Here::load(&mlv).get(&all).is_none());
    }

    #[test]
    fn a_path_of_other_contents_drops_the_claim_on_the_whole() {
        let mut here = Here::default();
        here.set_complete(&path("d"), content("1"));
        here.add_path(&path("d"), content("1"), "x");
        assert_eq!(here.get(&path("d")).unwrap().held, Held::All);
        here.add_path(&path("d"), content("2"), "x");
        assert_eq!(here.get(&path("d")).unwrap().held, Held::Paths(["x".into()].into()));
    }

    #[test]
    fn unreadable_means_nothing_is_claimed() {
        let home = tempfile::tempdir().unwrap();
        let mlv = Dir::open(home.path()).unwrap();
        for text in ["", "{", "{\"version\":2,\"outs\":{}}", "{\"version\":1,\"outs\":{\"a\":\"most\"}}"] {
            std::fs::write(home.path().join("here"), text).unwrap();
            assert!(Here::load(&mlv).get(&path("a")).is_none(), "{text}");
        }
    }
}
