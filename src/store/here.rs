//! Which parts of each output this work tree holds: `.mlv/here`.
//!
//! A file that a directory's pointer names and that is not here counts as deleted only if that
//! part of the directory was complete here ("absent is not deleted"). Not a cache: it cannot be
//! made again from the files. Lost or unreadable, nothing counts as deleted.
//!
//! Whoever brings files first takes the claim away ([`Here::begin`]) and makes it again when
//! all are in place: a command that is interrupted then leaves "not all here", never "deleted".
//! Which contents it moved between stays known, so that the next one knows mlv's own files.

use std::collections::{BTreeMap, BTreeSet};

use crate::fs::dir::Dir;
use crate::fs::lock::{MetaLock, Patience};
use crate::fs::{self, atomic};
use crate::model::object::ContentId;
use crate::model::path::RepoPath;

/// Its name in mlv's folder.
pub const FILE: &str = "here";
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

impl Held {
    /// Covers what `other` covers too.
    fn absorb(&mut self, other: Held) {
        match (&mut *self, other) {
            (Held::All, _) => {}
            (_, Held::All) => *self = Held::All,
            (Held::Paths(paths), Held::Paths(others)) => {
                for path in others {
                    let below = format!("{path}/");
                    let inner = paths.range(below.clone()..).take_while(|known| known.starts_with(&below));
                    for known in inner.cloned().collect::<Vec<_>>() {
                        paths.remove(&known);
                    }
                    paths.insert(path);
                }
            }
        }
    }
}

/// What [`Here::begin`] changed of one output: for [`Here::end_part`].
#[derive(Debug, Default)]
pub struct Begun {
    /// The claim that was taken away.
    taken: Option<HeldOutput>,
    /// What was noted as underway and was not before.
    noted: Vec<HeldOutput>,
}

/// What is remembered of one output.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeldOutput {
    /// The contents that were last put or recorded here, as a pointer writes their hash.
    pub content: String,
    /// Which part of them is here.
    pub held: Held,
}

impl HeldOutput {
    /// The `paths` of `content`; without any, all of it.
    pub fn new<'a>(content: ContentId, paths: impl IntoIterator<Item = &'a str>) -> HeldOutput {
        let paths: BTreeSet<String> = paths.into_iter().map(str::to_owned).collect();
        let held = if paths.is_empty() { Held::All } else { Held::Paths(paths) };
        HeldOutput { content: content.to_string(), held }
    }
}

/// What each output holds here, by its path from the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Here {
    version: u64,
    outs: BTreeMap<String, HeldOutput>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    underway: BTreeMap<String, Vec<HeldOutput>>,
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
        let empty = Here { version: VERSION, ..Here::default() };
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

    /// What else was put at the output `out`, by commands that were interrupted or that changed a part of
    /// it: files of each may lie there.
    pub fn underway(&self, out: &RepoPath) -> &[HeldOutput] {
        self.underway.get(out.as_str()).map_or(&[], Vec::as_slice)
    }

    /// The outputs that something is known of, sorted by path.
    pub fn outputs(&self) -> BTreeSet<&str> {
        self.outs.keys().chain(self.underway.keys()).map(String::as_str).collect()
    }

    /// Takes the claim on `out` away, before a command puts files of `next` there (`None`: only takes away).
    pub fn begin(&mut self, out: &RepoPath, next: Option<HeldOutput>) -> Begun {
        let taken = self.outs.remove(out.as_str());
        let underway = self.underway.entry(out.as_str().to_owned()).or_default();
        let mut noted = Vec::new();
        for claim in taken.clone().into_iter().chain(next) {
            if !underway.contains(&claim) {
                underway.push(claim.clone());
                noted.push(claim);
            }
        }
        Begun { taken, noted }
    }

    /// Claims that the `paths` of `content` are here below `out`, and again what `begun` took away.
    ///
    /// What other commands claimed since, or are still moving, stays.
    pub fn end_part(&mut self, out: &RepoPath, begun: Begun, content: ContentId, paths: &[Box<str>]) {
        if let Some(underway) = self.underway.get_mut(out.as_str()) {
            underway.retain(|claim| !begun.noted.contains(claim));
            if underway.is_empty() {
                self.underway.remove(out.as_str());
            }
        }
        if let Some(taken) = begun.taken {
            match self.outs.get_mut(out.as_str()) {
                Some(known) if known.content == taken.content => known.held.absorb(taken.held),
                Some(_) => {}
                None => drop(self.outs.insert(out.as_str().to_owned(), taken)),
            }
        }
        for path in paths {
            self.add_path(out, content, path);
        }
    }

    /// Claims that the whole of `content` is here at `out`.
    pub fn set_complete(&mut self, out: &RepoPath, content: ContentId) {
        self.forget(out);
        self.outs.insert(out.as_str().to_owned(), HeldOutput::new(content, []));
    }

    /// Claims that the file or folder `path` of `content` is here below `out`.
    ///
    /// What was claimed of other contents is no claim any more, a folder of theirs may hold more now; but
    /// their files may lie there still.
    pub fn add_path(&mut self, out: &RepoPath, content: ContentId, path: &str) {
        let content = content.to_string();
        let nothing = HeldOutput { content: content.clone(), held: Held::Paths(BTreeSet::new()) };
        let output = self.outs.entry(out.as_str().to_owned()).or_insert_with(|| nothing.clone());
        if output.content != content {
            let before = std::mem::replace(output, nothing);
            let underway = self.underway.entry(out.as_str().to_owned()).or_default();
            if !underway.contains(&before) {
                underway.push(before);
            }
        }
        output.held.absorb(Held::Paths([path.to_owned()].into()));
    }

    /// Claims nothing of `out` any more.
    pub fn forget(&mut self, out: &RepoPath) {
        self.outs.remove(out.as_str());
        self.underway.remove(out.as_str());
    }

    /// Moves what is known of an output to its new path.
    pub fn rename(&mut self, from: &RepoPath, to: &RepoPath) {
        let before = self.clone();
        self.forget(from);
        copy(&before.outs, &mut self.outs, from, to);
        copy(&before.underway, &mut self.underway, from, to);
    }
}

fn copy<T: Clone>(
    source: &BTreeMap<String, T>,
    target: &mut BTreeMap<String, T>,
    from: &RepoPath,
    to: &RepoPath,
) {
    if let Some(known) = source.get(from.as_str()) {
        target.insert(to.as_str().to_owned(), known.clone());
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
        assert_eq!(here.underway(&path("d")), [HeldOutput::new(content("1"), [])], "its files may lie there");
    }

    #[test]
    fn what_is_underway_claims_nothing_and_is_remembered_until_it_ends() {
        let (d, e) = (path("d"), path("e"));
        let mut here = Here::default();
        here.set_complete(&d, content("1"));
        let before = here.clone();
        let next = HeldOutput::new(content("1"), ["x"]);
        let mut begun = Vec::new();
        for _ in 0..2 {
            begun.push(here.begin(&d, Some(next.clone())));
            assert_eq!(here.get(&d), None);
            assert_eq!(here.underway(&d), [HeldOutput::new(content("1"), []), next.clone()]);
        }
        assert_eq!(here.outputs(), ["d"].into());
        here.rename(&d, &e);
        assert_eq!((here.underway(&d).len(), here.underway(&e).len()), (0, 2));
        here.rename(&e, &d);
        for begun in begun {
            here.end_part(&d, begun, content("1"), &["x".into()]);
        }
        assert_eq!(here, before);
        here.begin(&d, None);
        here.set_complete(&d, content("3"));
        assert!(here.underway(&d).is_empty());
    }

    /// Two commands that bring parts of one output at once, each from before the other's end.
    #[test]
    fn parts_that_are_brought_at_once_are_all_claimed() {
        let d = path("d");
        let part = |name: &str| HeldOutput::new(content("1"), [name]);
        let mut here = Here::default();
        let first = here.begin(&d, Some(part("a")));
        let second = here.begin(&d, Some(part("b")));
        here.end_part(&d, second, content("1"), &["b".into()]);
        assert_eq!(here.underway(&d), [part("a")]);
        here.end_part(&d, first, content("1"), &["a".into()]);
        assert_eq!(here.get(&d), Some(&HeldOutput::new(content("1"), ["a", "b"])));
        assert!(here.underway(&d).is_empty());
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
