//! What a clone remembers of a remote: index segments, marks, answers about large files.
//!
//! All of it is disposable (R10): lost, old or damaged it costs requests, never data. It
//! lies in a folder of its own per remote, named by the remote's id and URL, so a remote
//! that was emptied and made anew at the same URL starts with nothing remembered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::fs::dir::Dir;
use crate::fs::{self, atomic};
use crate::model::digest::{Digest, ObjectId, PackId};
use crate::model::path::RepoPath;
use crate::pack::segment::{MAX_SEGMENT, Segment, SegmentName};
use crate::remote::folder::make_all;
use crate::remote::names::{MarkName, RepoId};
use crate::remote::records::{MAX_MARK, Mark};

/// The longest file of answers that is read, in bytes.
const MAX_ANSWERS: u64 = 256 << 20;
const ANSWERS_VERSION: &str = "mlv answers 1";

/// The folder in which a clone remembers one remote; nothing is made before something is saved.
pub(crate) struct State {
    path: Option<PathBuf>,
    dir: OnceLock<Dir>,
}

/// The file that says that a remote was seen at `url`.
fn seen_name(url: &str) -> String {
    format!("seen-{}", &Digest::of(url.as_bytes()).to_string()[..16])
}

impl State {
    /// The folder for the remote `id` at `url`, below the cache's folder `cache`.
    pub(crate) fn below(cache: &Path, id: RepoId, url: &str) -> State {
        let name = Digest::of(format!("{id} {url}").as_bytes()).to_string();
        State { path: Some(cache.join("remote").join(&name[..16])), dir: OnceLock::new() }
    }

    /// Whether a remote was ever seen at `url`, whatever its id.
    pub(crate) fn was_seen(cache: &Path, url: &str) -> bool {
        cache.join("remote").join(seen_name(url)).is_file()
    }

    /// Remembers that there is a remote at `url`.
    pub(crate) fn note_seen(&self, url: &str) {
        let Some(parent) = self.path.as_deref().and_then(Path::parent) else { return };
        let name = seen_name(url);
        if parent.join(&name).is_file() {
            return;
        }
        let note = || {
            make_all(parent)
                .and_then(|()| atomic::write_hint(&Dir::open(parent)?, &RepoPath::own(&name), &[]))
        };
        // Without it a remote that vanishes is made anew instead of being missed.
        if let Err(error) = note() {
            tracing::debug!(%error, "cannot remember a remote");
        }
    }

    /// A state that remembers nothing.
    pub(crate) fn none() -> State {
        State { path: None, dir: OnceLock::new() }
    }

    fn existing(&self) -> Option<&Dir> {
        if self.dir.get().is_none() {
            let dir = Dir::open(self.path.as_deref()?).ok()?;
            let _ = self.dir.set(dir);
        }
        self.dir.get()
    }

    fn made(&self) -> Result<Option<&Dir>, fs::Error> {
        let Some(path) = &self.path else { return Ok(None) };
        if self.existing().is_none() {
            make_all(path)?;
        }
        Ok(self.existing())
    }

    /// The names in the folder `folder`; nothing if it cannot be read.
    fn names(&self, folder: &str) -> Vec<String> {
        let listed = self.existing().and_then(|dir| dir.read_dir(&RepoPath::own(folder)).ok());
        listed.unwrap_or_default().into_iter().map(|entry| entry.name).collect()
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        self.existing()?.read_file(&RepoPath::own(path), limit).ok()
    }

    /// Saves a file; that it cannot is no failure of anything.
    pub(super) fn save(&self, folder: &str, name: &str, parts: &[&[u8]]) {
        let save = || -> Result<(), fs::Error> {
            let Some(dir) = self.made()? else { return Ok(()) };
            let folder = if folder.is_empty() { RepoPath::root() } else { RepoPath::own(folder) };
            dir.create_dir_all(&folder)?;
            atomic::write_hint(dir, &folder.join(&RepoPath::own(name)), parts)
        };
        if let Err(error) = save() {
            tracing::debug!(%error, "cannot remember something of a remote");
        }
    }

    pub(super) fn forget(&self, folder: &str, name: &str) {
        let folder = if folder.is_empty() { RepoPath::root() } else { RepoPath::own(folder) };
        if let (Some(dir), Ok(path)) = (self.existing(), folder.join_str(name)) {
            let _ = dir.remove_file(&path);
        }
    }

    /// The segments that were saved; damaged ones are removed.
    pub(crate) fn segments(&self) -> Vec<(SegmentName, Segment)> {
        let mut all = Vec::new();
        for text in self.names("ix") {
            let name = SegmentName::parse(&text);
            let bytes = name.and_then(|_| self.read(&format!("ix/{text}"), MAX_SEGMENT));
            match (name, bytes.and_then(|bytes| Segment::parse(bytes).ok())) {
                (Some(name), Some(segment)) if segment.has_name(&name) => all.push((name, segment)),
                _ => self.forget("ix", &text),
            }
        }
        all
    }

    /// Saves a segment.
    pub(crate) fn save_segment(&self, name: &SegmentName, bytes: &[u8]) {
        self.save("ix", &name.to_string(), &[bytes]);
    }

    /// Removes a segment.
    pub(crate) fn forget_segment(&self, name: &SegmentName) {
        self.forget("ix", &name.to_string());
    }

    /// The marks that were saved; damaged ones are removed.
    pub(crate) fn marks(&self) -> Vec<(MarkName, Mark)> {
        let mut all = Vec::new();
        for text in self.names("gc") {
            let name = MarkName::parse(&text);
            let bytes = name.and_then(|_| self.read(&format!("gc/{text}"), MAX_MARK));
            match name
                .zip(bytes)
                .and_then(|(name, bytes)| Some((name, Mark::decode_named(name, &bytes).ok()?)))
            {
                Some(mark) => all.push(mark),
                None => self.forget("gc", &text),
            }
        }
        all
    }

    /// Saves a mark.
    pub(crate) fn save_mark(&self, name: MarkName, bytes: &[u8]) {
        self.save("gc", &name.to_string(), &[bytes]);
    }

    /// Removes a mark.
    pub(crate) fn forget_mark(&self, name: MarkName) {
        self.forget("gc", &name.to_string());
    }

    /// The answers that were saved; none if they are damaged.
    pub(crate) fn answers(&self) -> Answers {
        let bytes = self.read("answers", MAX_ANSWERS);
        bytes.and_then(|bytes| Answers::decode(&bytes)).unwrap_or_default()
    }

    /// Saves the answers.
    pub(crate) fn save_answers(&self, answers: &Answers) {
        self.save("", "answers", &[&answers.encode()]);
    }
}

/// For large files known to be on the remote: the packs that hold their recipe and chunks.
///
/// So a file of a million chunks is found present by a look at a few packs. An answer holds
/// as long as all its packs are there and unmarked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers(std::collections::BTreeMap<ObjectId, BTreeSet<PackId>>);

impl Answers {
    /// The packs of `file`, if it was found present.
    pub(crate) fn get(&self, file: ObjectId) -> Option<&BTreeSet<PackId>> {
        self.0.get(&file)
    }

    /// Remembers the packs of `file`; true if that is new.
    pub(crate) fn set(&mut self, file: ObjectId, packs: BTreeSet<PackId>) -> bool {
        self.0.insert(file, packs.clone()) != Some(packs)
    }

    /// Forgets all answers that need a pack that is not `usable`; true if there was one.
    pub(crate) fn retain(&mut self, usable: impl Fn(&PackId) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|_, packs| packs.iter().all(&usable));
        self.0.len() != before
    }

    /// A line of the version, one a pack, an empty one, one a file (`<hash> <pack's line> …`), and the checksum.
    fn encode(&self) -> Vec<u8> {
        let packs: BTreeSet<PackId> = self.0.values().flatten().copied().collect();
        let numbers: std::collections::BTreeMap<PackId, usize> = packs.iter().copied().zip(0..).collect();
        let mut text = format!("{ANSWERS_VERSION}\n");
        for pack in &packs {
            text.push_str(&format!("{pack}\n"));
        }
        text.push('\n');
        for (file, packs) in &self.0 {
            text.push_str(&file.to_string());
            for number in packs.iter().filter_map(|pack| numbers.get(pack)) {
                text.push_str(&format!(" {number}"));
            }
            text.push('\n');
        }
        let sum = Digest::of(text.as_bytes());
        text.push_str(&format!("{sum}\n"));
        text.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Answers> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (body, sum) = text.rsplit_once('\n')?;
        if Digest::of(&bytes[..body.len() + 1]).to_string() != sum {
            return None;
        }
        let mut lines = body.lines();
        if lines.next() != Some(ANSWERS_VERSION) {
            return None;
        }
        let packs: Option<Vec<PackId>> =
            lines.by_ref().take_while(|line| !line.is_empty()).map(|line| line.parse().ok()).collect();
        let packs = packs?;
        let mut answers = Answers::default();
        for line in lines {
            let mut words = line.split(' ');
            let file = words.next()?.parse().ok()?;
            let of_file: Option<BTreeSet<PackId>> =
                words.map(|word| packs.get(word.parse::<usize>().ok()?).copied()).collect();
            answers.0.insert(file, of_file?);
        }
        Some(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(number: u8) -> PackId {
        PackId(Digest::of(&[number]))
    }

    #[test]
    fn answers_round_trip_and_damage_forgets_them() {
        let mut answers = Answers::default();
        assert_eq!(Answers::decode(&answers.encode()), Some(Answers::default()));
        let file = |text: &[u8]| ObjectId(Digest::of(text));
        assert!(answers.set(file(b"a"), [pack(1), pack(2)].into()));
        assert!(answers.set(file(b"b"), [pack(2), pack(3)].into()));
        assert!(!answers.set(file(b"b"), [pack(2), pack(3)].into()));
        let bytes = answers.encode();
        assert_eq!(Answers::decode(&bytes).as_ref(), Some(&answers));
        for at in 0..bytes.len() {
            assert_eq!(Answers::decode(&bytes[..at]), None);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Answers::decode(&flipped), None, "byte {at}");
        }
        assert!(answers.retain(|id| *id != pack(1)));
        assert_eq!(answers.get(file(b"a")), None);
        assert!(answers.get(file(b"b")).is_some());
    }

    #[test]
    fn what_cannot_be_saved_or_read_is_not_remembered() {
        let none = State::none();
        none.save_answers(&Answers::default());
        assert!(none.segments().is_empty() && none.marks().is_empty());
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("remote"), "a file in the way").expect("writes");
        let state = State::below(root.path(), RepoId(1), "/mnt");
        state.save_answers(&Answers::default());
        assert_eq!(state.answers(), Answers::default());
    }
}
