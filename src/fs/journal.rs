//! The journal of a running operation, and the user's files that it has moved aside (R1, R21).
//!
//! ```text
//! .mlv/ops/<owner>-<16 hex>/lock           held while the owner lives
//! .mlv/ops/<owner>-<16 hex>/journal        one record a line
//! .mlv/ops/<owner>-<16 hex>/aside/<path>   what stood at this path of the work tree
//! ```
//! The folder goes away when the operation ends well. What a killed process left is found by the
//! next command, which reads the records and puts back what lies aside. What the records say is
//! the caller's.

use std::fs::File;
use std::io::{self, Write};

use super::dir::{Dir, is_absent, sync_folder};
use super::error::Error;
use super::file::OutFile;
use super::random::random_hex;
use super::staging::{LOCK, is_left_behind};
use super::stamp::FileKind;
use super::{copy, owner, sys};
use crate::model::path::RepoPath;

const FOLDER: &str = "ops";
const JOURNAL: &str = "journal";
const ASIDE: &str = "aside";
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
    _lock: File,
}

impl Journal {
    /// Begins an operation. `mlv` is the folder `.mlv`.
    pub fn begin(mlv: &Dir) -> Result<Journal, Error> {
        mlv.create_dir_all(&own(FOLDER))?;
        let parent = mlv.open_dir(&own(FOLDER))?;
        let name = format!("{}-{}", owner::current(), random_hex::<8>());
        let failed = |error: io::Error| parent.failed(&name, "create", error);
        sys::mkdir(&parent, &name, 0o700).map_err(failed)?;
        let dir = parent.open_dir(&own(&name))?;
        let lock = sys::create_new(&dir, LOCK, 0o600).map_err(failed)?;
        // Where locks are not supported, age alone tells: 24 hours.
        let _ = lock.try_lock();
        let log = OutFile::new(sys::create_new(&dir, JOURNAL, 0o600).map_err(failed)?);
        sys::mkdir(&dir, ASIDE, 0o700).map_err(failed)?;
        sync_folder(&dir).and_then(|()| sync_folder(&parent)).map_err(failed)?;
        Ok(Journal { parent, name, dir, log, is_synced: true, _lock: lock })
    }

    /// Appends a record, one line without its end. Not durable before [`Journal::sync`].
    pub fn note(&mut self, record: &str) -> Result<(), Error> {
        self.is_synced = false;
        let written = self.log.write_all(format!("{record}\n").as_bytes());
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
        self.dir.open_dir(&own(ASIDE))
    }

    /// Ends the operation: nothing that still lies aside is of use.
    pub fn end(self) -> Result<(), Error> {
        self.parent.remove_all(&own(&self.name))
    }

    /// The journals of the other operations that run now: their records.
    pub fn of_others(&self) -> Vec<String> {
        let Ok(entries) = self.parent.read_dir(&RepoPath::root()) else { return Vec::new() };
        let others = entries.iter().filter(|entry| entry.name != self.name);
        others.map(|entry| read_log(&self.parent, &entry.name)).collect()
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
    pub fn records(&self) -> String {
        read_log(&self.parent, &self.name)
    }

    /// The folder in which things lie aside; nothing if the process did not get so far.
    pub fn aside(&self) -> Result<Option<Dir>, Error> {
        match self.parent.open_dir(&own(&self.name).join(&own(ASIDE))) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the operation: nothing that still lies aside is of use.
    pub fn end(self) -> Result<(), Error> {
        self.parent.remove_all(&own(&self.name))
    }
}

/// The operations whose processes are gone. `mlv` is the folder `.mlv`.
pub fn left_behind(mlv: &Dir) -> Result<Vec<LeftBehind>, Error> {
    let parent = match mlv.open_dir(&own(FOLDER)) {
        Ok(parent) => parent,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut now = None;
    let mut found = Vec::new();
    for entry in parent.read_dir(&RepoPath::root())? {
        if entry.kind == FileKind::Dir && is_left_behind(&parent, &entry, &mut now) {
            found.push(LeftBehind { parent: mlv.open_dir(&own(FOLDER))?, name: entry.name });
        }
    }
    Ok(found)
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

fn read_log(parent: &Dir, name: &str) -> String {
    let bytes = parent.read_file(&own(name).join(&own(JOURNAL)), MAX_JOURNAL).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path that this module itself makes of plain names.
fn own(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap_or_else(|_| RepoPath::root())
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
        other.end().unwrap();
        journal.end().unwrap();
        assert_eq!(fs::read_dir(root.path().join(".mlv/ops")).unwrap().count(), 0);
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
        assert_eq!(left.records(), "record\ncut");
        assert!(left.aside().unwrap().is_some());
        left.end().unwrap();
        assert!(left_behind(&mlv).unwrap().is_empty());
        journal.end().unwrap();
    }
}
