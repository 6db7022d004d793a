//! The journal of a running operation, and the user's files that it has moved aside (R1, R21).
//!
//! ```text
//! .mlv/ops/<owner>-<16 hex>/lock           held while the owner lives
//! .mlv/ops/<owner>-<16 hex>/journal        one record a line
//! .mlv/ops/<owner>-<16 hex>/aside/<path>   what stood at this path of the work tree
//! .mlv/ops/<owner>-<16 hex>/scratch/        what is nobody's, and goes with the folder
//! ```
//! The folder goes away when the operation ends well. What a killed process left is found by the
//! next command, which reads the records and puts back what lies aside. What the records say is
//! the caller's. Whatever they say: what still lies aside in the end goes to rescue (R2).

use std::fs::{File, TryLockError};
use std::io::{self, Write};

use super::dir::{Dir, DirEntry, is_absent, sync_folder};
use super::error::Error;
use super::file::OutFile;
use super::random::random_hex;
use super::rescue::Rescue;
use super::staging::{self, LOCK};
use super::stamp::FileKind;
use super::{copy, owner, sys, walk};
use crate::model::path::RepoPath;

const FOLDER: &str = "ops";
const JOURNAL: &str = "journal";
const ASIDE: &str = "aside";
const SCRATCH: &str = "scratch";
/// Largest journal that is read, in bytes.
const MAX_JOURNAL: u64 = 256 << 20;

/// An operation of this process.
#[derive(Debug)]
pub struct Journal {
    parent: Dir,
    name: String,
    dir: Dir,
    log: OutFile,
    is_synced: bool,
    is_cut: bool,
    _lock: File,
}

impl Journal {
    /// Begins an operation. `mlv` is the folder `.mlv`.
    pub fn begin(mlv: &Dir) -> Result<Journal, Error> {
        mlv.create_dir_all(&RepoPath::own(FOLDER))?;
        let parent = mlv.open_dir(&RepoPath::own(FOLDER))?;
        let name = format!("{}-{}", owner::current(), random_hex::<8>());
        let failed = |error: io::Error| parent.failed(&name, "create", error);
        sys::mkdir(&parent, &name, 0o700).map_err(failed)?;
        let dir = parent.open_dir(&RepoPath::root().join_entry(&name))?;
        let lock = sys::create_new(&dir, LOCK, 0o600).map_err(failed)?;
        // Where locks are not supported, age alone tells: 24 hours.
        let _ = lock.try_lock();
        let log = OutFile::new(sys::create_new(&dir, JOURNAL, 0o600).map_err(failed)?);
        sys::mkdir(&dir, ASIDE, 0o700).map_err(failed)?;
        sync_folder(&dir).and_then(|()| sync_folder(&parent)).map_err(failed)?;
        Ok(Journal { parent, name, dir, log, is_synced: true, is_cut: false, _lock: lock })
    }

    /// Appends a record, one line without its end. Not durable before [`Journal::sync`].
    pub fn note(&mut self, record: &str) -> Result<(), Error> {
        self.is_synced = false;
        // A write that failed may have left part of its line.
        let start = if self.is_cut { "\n" } else { "" };
        let written = self.log.write_all(format!("{start}{record}\n").as_bytes());
        self.is_cut = written.is_err();
        written.map_err(|error| self.dir.failed(JOURNAL, "write", error))
    }

    /// Makes the records durable.
    pub fn sync(&mut self) -> Result<(), Error> {
        if !self.is_synced {
            self.log.sync_data().map_err(|error| self.dir.failed(JOURNAL, "write", error))?;
            self.is_synced = true;
        }
        Ok(())
    }

    /// A name that no other operation has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder in which things lie aside under their paths.
    pub fn aside(&self) -> Result<Dir, Error> {
        self.dir.open_dir(&RepoPath::own(ASIDE))
    }

    /// A new, empty folder of the operation's own, which goes away with it: nothing in it is the user's.
    pub fn scratch(&self) -> Result<Dir, Error> {
        let folder = RepoPath::own(SCRATCH);
        self.dir.remove_all(&folder)?;
        self.dir.create_dir_all(&folder)?;
        self.dir.open_dir(&folder)
    }

    /// Ends the operation: what still lies aside goes to rescue.
    pub fn end(self, rescue: &Rescue) -> Result<(), Error> {
        end(&self.parent, &self.name, rescue)
    }

    /// The journals of the other operations that run now: their records, as far as they can be read.
    pub fn of_others(&self) -> Vec<String> {
        logs(&self.parent, |name| name != self.name)
    }
}

/// The journals of all operations that run now. `mlv` is the folder `.mlv`.
pub fn of_all(mlv: &Dir) -> Vec<String> {
    mlv.open_dir(&RepoPath::own(FOLDER)).map_or_else(|_| Vec::new(), |parent| logs(&parent, |_| true))
}

fn logs(parent: &Dir, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = parent.read_dir(&RepoPath::root()) else { return Vec::new() };
    let meant = entries.iter().filter(|entry| is_meant(&entry.name));
    meant.filter_map(|entry| read_log(parent, &entry.name).ok()).collect()
}

/// The record of a file that is replaced on another file system than `.mlv`: it trades places with
/// a copy of the new one beside it, so that for a moment the old one has a name that walks leave out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Beside {
    /// The name beside it, relative to the work tree's root.
    pub path: String,
    /// The name of the file that is replaced.
    pub original: String,
    /// The inode of the copy; nothing as long as it is not whole.
    pub copy: Option<u64>,
    /// The command, for rescue.
    pub command: String,
}

impl Journal {
    /// Appends the record `{"beside":…}`, durably.
    pub(super) fn note_beside(&mut self, record: &Beside) -> Result<(), Error> {
        self.note(&serde_json::json!({ "beside": record }).to_string())?;
        self.sync()
    }
}

/// An operation whose process is gone.
#[derive(Debug)]
pub struct LeftBehind {
    parent: Dir,
    name: String,
}

impl LeftBehind {
    /// A name that no other operation has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its records; the last one may be cut off.
    pub fn records(&self) -> Result<String, Error> {
        read_log(&self.parent, &self.name)
    }

    /// The folder in which things lie aside; nothing if the process did not get so far.
    pub fn aside(&self) -> Result<Option<Dir>, Error> {
        aside_of(&self.parent, &self.name)
    }

    /// Ends the operation: what still lies aside goes to rescue.
    pub fn end(self, rescue: &Rescue) -> Result<(), Error> {
        end(&self.parent, &self.name, rescue)
    }
}

fn aside_of(parent: &Dir, name: &str) -> Result<Option<Dir>, Error> {
    match parent.open_dir(&RepoPath::root().join_entry(name).join(&RepoPath::own(ASIDE))) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes an operation's folder, once nothing of the user's is in it any more.
fn end(parent: &Dir, name: &str, rescue: &Rescue) -> Result<(), Error> {
    if let Some(aside) = aside_of(parent, name)? {
        for entry in aside.read_dir(&RepoPath::root())? {
            let path = RepoPath::root().join_entry(&entry.name);
            if holds_file(&aside, &entry, &path)? {
                rescue.displace(&aside, &path, None)?;
            }
        }
    }
    parent.remove_all(&RepoPath::root().join_entry(name))
}

/// Whether it is anything but folders, which were made for what lay in them.
fn holds_file(aside: &Dir, entry: &DirEntry, path: &RepoPath) -> Result<bool, Error> {
    if entry.kind != FileKind::Dir {
        return Ok(true);
    }
    let found = walk::walk(aside, path, &|_, _| false, 1)?;
    Ok(!found.unreadable.is_empty()
        || !found.left_out.is_empty()
        || found.entries.iter().any(|entry| entry.stamp.kind != FileKind::Dir))
}

/// The operations whose processes are gone. `mlv` is the folder `.mlv`.
pub fn left_behind(mlv: &Dir) -> Result<Vec<LeftBehind>, Error> {
    let parent = match mlv.open_dir(&RepoPath::own(FOLDER)) {
        Ok(parent) => parent,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut now = None;
    let mut found = Vec::new();
    for entry in parent.read_dir(&RepoPath::root())? {
        if entry.kind == FileKind::Dir
            && is_unlocked(&parent, &entry.name)
                .unwrap_or_else(|| staging::is_left_behind(&parent, &entry, &mut now))
        {
            found.push(LeftBehind { parent: mlv.open_dir(&RepoPath::own(FOLDER))?, name: entry.name });
        }
    }
    Ok(found)
}

/// Whether the owner let go of its lock, as the system does for one that is gone: after a power cut
/// and in another container no pid tells. Nothing where there is no lock to ask, or none yet: a
/// journal is begun under its lock.
fn is_unlocked(parent: &Dir, name: &str) -> Option<bool> {
    let folder = parent.open_dir(&RepoPath::root().join_entry(name)).ok()?;
    folder.stat(&RepoPath::own(JOURNAL)).ok()??;
    match folder.open_file(&RepoPath::own(LOCK)).ok()?.try_lock() {
        Ok(()) => Some(true),
        Err(TryLockError::WouldBlock) => Some(false),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Moves what stands at `path` of `from` to the same path of `to`, which must be free, making
/// folders there; false if nothing is at `path`.
///
/// Across file systems the bytes are copied, made durable and compared before the original goes.
pub fn move_between(from: &Dir, to: &Dir, path: &RepoPath) -> Result<bool, Error> {
    let failed = |error: io::Error| to.failed(path.as_str(), "move to", error);
    let source = match from.place(path) {
        Ok(place) if sys::exists(place.fd(), place.name).map_err(failed)? => place,
        Ok(_) => return Ok(false),
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(from.failed(path.as_str(), "move", error)),
    };
    if let Some(parent) = path.parent() {
        to.create_dir_all(&parent)?;
    }
    let target = to.place(path).map_err(failed)?;
    match sys::rename_new((source.fd(), source.name), (target.fd(), target.name)) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy::move_across(&source, &target),
        other => other,
    }
    .map_err(failed)?;
    Ok(true)
}

/// Nothing if the process did not get so far; what cannot be read is an error (R9).
fn read_log(parent: &Dir, name: &str) -> Result<String, Error> {
    match parent.read_file(&RepoPath::root().join_entry(name).join(&RepoPath::own(JOURNAL)), MAX_JOURNAL) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.is_not_found() => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_lies_aside_comes_back_and_running_operations_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let work = Dir::open(root.path()).unwrap();
        let mlv = work.create_own().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/c"), "x").unwrap();
        let path: RepoPath = "a/b".parse().unwrap();
        let mut journal = Journal::begin(&mlv).unwrap();
        journal.note("one").unwrap();
        journal.sync().unwrap();
        assert!(move_between(&work, &journal.aside().unwrap(), &path).unwrap());
        assert!(!move_between(&work, &journal.aside().unwrap(), &path).unwrap());
        assert!(!root.path().join("a/b").exists());
        assert!(left_behind(&mlv).unwrap().is_empty());
        fs::remove_dir(root.path().join("a")).unwrap();
        assert!(move_between(&journal.aside().unwrap(), &work, &path).unwrap());
        assert_eq!(fs::read(root.path().join("a/b/c")).unwrap(), b"x");
        let other = Journal::begin(&mlv).unwrap();
        assert_eq!(other.of_others(), ["one\n"]);
        let rescue = rescue(&work);
        other.end(&rescue).unwrap();
        journal.end(&rescue).unwrap();
        assert_eq!(fs::read_dir(root.path().join(".mlv/ops")).unwrap().count(), 0);
        assert_eq!(rescue.finish(), []);
    }

    fn rescue(work: &Dir) -> Rescue {
        Rescue::new(std::sync::Arc::new(work.open_own().unwrap()), "mlv test")
    }

    // R2
    #[test]
    fn what_lies_aside_in_the_end_goes_to_rescue() {
        let root = tempfile::tempdir().unwrap();
        let work = Dir::open(root.path()).unwrap();
        let mlv = work.create_own().unwrap();
        fs::create_dir_all(root.path().join("a/b/empty")).unwrap();
        fs::write(root.path().join("a/b/c"), "x").unwrap();
        fs::write(root.path().join("d"), "y").unwrap();
        let journal = Journal::begin(&mlv).unwrap();
        for path in ["a/b", "d"] {
            move_between(&work, &journal.aside().unwrap(), &path.parse().unwrap()).unwrap();
        }
        fs::create_dir(root.path().join(".mlv/ops").join(journal.name()).join("aside/gone")).unwrap();
        let rescue = rescue(&work);
        journal.end(&rescue).unwrap();
        let kept: Vec<_> = rescue.finish().into_iter().map(|kept| kept.path).collect();
        assert_eq!(kept, ["a", "d"]);
        let operations = crate::fs::rescue::list(&mlv).unwrap();
        let paths: Vec<_> = operations[0].files.iter().map(|file| file.path.as_str()).collect();
        assert!(paths.contains(&"a/b/c") && paths.contains(&"d"), "{paths:?}");
    }

    // R9
    #[test]
    fn a_journal_that_cannot_be_read_is_not_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let work = Dir::open(root.path()).unwrap();
        let mlv = work.create_own().unwrap();
        let name = "00000000-00000000-1-1-00ff";
        let parent = root.path().join(".mlv/ops");
        fs::create_dir_all(parent.join(name).join("journal")).unwrap();
        fs::write(parent.join(name).join("lock"), "").unwrap();
        let found = left_behind(&mlv).unwrap();
        assert!(found[0].records().is_err());
        assert_eq!(found.len(), 1);
    }

    // R1: neither a day nor this machine's pids are needed where locks tell.
    #[test]
    fn the_lock_tells_whether_the_owner_lives() {
        let root = tempfile::tempdir().unwrap();
        let work = Dir::open(root.path()).unwrap();
        let mlv = work.create_own().unwrap();
        let journal = Journal::begin(&mlv).unwrap();
        let folder = root.path().join(".mlv/ops").join(journal.name());
        // Of another boot; of a container whose pid this process was given again.
        for name in ["00000000-00000000-1-1-00ff".to_owned(), format!("{}-00ff", owner::current())] {
            let renamed = root.path().join(".mlv/ops").join(&name);
            fs::rename(&folder, &renamed).unwrap();
            assert!(left_behind(&mlv).unwrap().is_empty(), "{name}: it is locked");
            fs::rename(&renamed, &folder).unwrap();
        }
        let name = "00000000-00000000-1-1-00ff";
        fs::rename(&folder, root.path().join(".mlv/ops").join(name)).unwrap();
        drop(journal);
        assert_eq!(left_behind(&mlv).unwrap().len(), 1);
        fs::remove_file(root.path().join(".mlv/ops").join(name).join("journal")).unwrap();
        assert!(left_behind(&mlv).unwrap().is_empty(), "it may be begun just now");
    }

    #[test]
    fn journals_of_the_dead_are_found() {
        let root = tempfile::tempdir().unwrap();
        let mlv = Dir::open(root.path()).unwrap();
        let journal = Journal::begin(&mlv).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (place, _) = owner::current().rsplit_once('-').unwrap();
        let name = format!("{place}-{}-00ff", child.id());
        fs::create_dir_all(root.path().join(format!("ops/{name}/aside"))).unwrap();
        fs::write(root.path().join(format!("ops/{name}/journal")), "record\ncut").unwrap();
        let mut found = left_behind(&mlv).unwrap();
        assert_eq!(found.len(), 1);
        let left = found.remove(0);
        assert_eq!(left.records().unwrap(), "record\ncut");
        assert!(left.aside().unwrap().is_some());
        let rescue = Rescue::new(std::sync::Arc::new(Dir::open(root.path()).unwrap()), "mlv test");
        left.end(&rescue).unwrap();
        assert!(left_behind(&mlv).unwrap().is_empty());
        journal.end(&rescue).unwrap();
    }
}
