//! Where user files go that mlv had to move out of the way (R2), and how they come back.
//!
//! ```text
//! .mlv/rescue/20261121T101500.250000Z-1a2b3c4d/data/train/007.png   the file, at its own path
//! .mlv/rescue/20261121T101500.250000Z-1a2b3c4d.jsonl                one line a displaced file
//! ```
//! The line is durable before the file moves. Losing the log loses hashes and the command's
//! name, never a file: the path is that below the operation's folder. Nothing but
//! [`drop_operation`] deletes.

mod leftovers;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::dir::{Dir, sync_folder};
use super::error::Error;
use super::file::OutFile;
use super::folders::{OpenFolders, Place};
use super::random::random_hex;
use super::stamp::FileKind;
use super::{copy, sys};
use crate::model::digest::Digest;
use crate::model::path::RepoPath;

use leftovers::{reap, remove_if_empty};

const FOLDER: &str = "rescue";
/// Largest log that is read, in bytes.
const MAX_LOG: u64 = 256 << 20;

/// Takes the files that one command displaces.
#[derive(Debug)]
pub struct Rescue {
    mlv: Arc<Dir>,
    command: String,
    operation: Mutex<Option<Operation>>,
}

#[derive(Debug)]
struct Operation {
    name: String,
    folder: Arc<Dir>,
    log: Option<OutFile>,
    kept: Vec<Kept>,
}

/// A file or folder that was moved to rescue.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Kept {
    /// Where it was, relative to the work tree's root.
    pub path: String,
    /// The operation's name.
    pub operation: String,
    /// Where it lies below the operation's folder; another than `path` if that was taken.
    pub stored: String,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Line {
    path: String,
    stored: String,
    hash: Option<String>,
    time: String,
    command: String,
    /// The inode of a new file that lay there, to trade places with the one that this line is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draft: Option<u64>,
}

impl Rescue {
    /// Prepares for `command` ("mlv checkout"); makes nothing yet. `mlv` is the folder `.mlv`.
    pub fn new(mlv: Arc<Dir>, command: &str) -> Rescue {
        Rescue { mlv, command: command.to_owned(), operation: Mutex::new(None) }
    }

    /// The folder `.mlv`.
    pub(super) fn mlv(&self) -> &Dir {
        &self.mlv
    }

    /// The command that displaces.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// For more of the same command, in an operation of its own.
    pub(super) fn of_same_command(&self) -> Rescue {
        Rescue::new(Arc::clone(&self.mlv), &self.command)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Operation>> {
        self.operation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operation's folder, made on first use.
    pub(super) fn folder(&self) -> Result<Arc<Dir>, Error> {
        let mut guard = self.lock();
        if let Some(operation) = &*guard {
            return Ok(operation.folder.clone());
        }
        reap(&self.mlv);
        let name = format!("{}-{}", compact_time(SystemTime::now()), random_hex::<4>());
        let path = format!("{FOLDER}/{name}");
        drop(self.mlv.ensure_dir(&path, None)?);
        let folder = Arc::new(Dir::open(&self.mlv.full_str(&path))?);
        *guard = Some(Operation { name, folder: folder.clone(), log: None, kept: Vec::new() });
        Ok(folder)
    }

    /// Moves whatever stands at `path` of `work` away; nothing if nothing is there.
    ///
    /// `hash` is that of its bytes, where it is known. Across file systems the bytes are
    /// copied, made durable and compared before the original is removed.
    pub fn displace(&self, work: &Dir, path: &RepoPath, hash: Option<Digest>) -> Result<Option<Kept>, Error> {
        self.displace_as(work, path, path.as_str(), hash)
    }

    /// As [`Rescue::displace`], of something that is known under the path `original`.
    pub fn displace_as(
        &self,
        work: &Dir,
        path: &RepoPath,
        original: &str,
        hash: Option<Digest>,
    ) -> Result<Option<Kept>, Error> {
        let failed = |error| work.failed(path.as_str(), "move to rescue", error);
        let place = match work.place(path) {
            Ok(place) => place,
            Err(error) if super::dir::is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !sys::exists(place.fd(), place.name).map_err(failed)? {
            return Ok(None);
        }
        self.keep(&place, original, &mut OpenFolders::default(), hash)
    }

    /// Moves the thing at `from` into the operation's folder, under the path `original`.
    pub(super) fn keep(
        &self,
        from: &Place<'_>,
        original: &str,
        slots: &mut OpenFolders,
        hash: Option<Digest>,
    ) -> Result<Option<Kept>, Error> {
        let folder = self.folder()?;
        for stored in names_for(original) {
            let to = match slots.place(&folder, &stored, true) {
                Err(Error::NotAFolder { .. }) => continue,
                other => other?,
            };
            if sys::exists(to.fd(), to.name).map_err(|error| folder.failed(&stored, "examine", error))? {
                continue;
            }
            self.note(original, &stored, hash, None)?;
            match sys::rename_new((from.fd(), from.name), (to.fd(), to.name)) {
                Ok(()) => return Ok(Some(self.record(original, stored))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    copy::move_across(from, &to).map_err(|error| folder.failed(&stored, "copy to", error))?;
                    return Ok(Some(self.record(original, stored)));
                }
                Err(error) => return Err(folder.failed(&stored, "move to", error)),
            }
        }
        unreachable!("names_for is endless")
    }

    /// Counts something as kept that lies in the operation's folder already.
    pub(super) fn record(&self, original: &str, stored: String) -> Kept {
        let mut guard = self.lock();
        let operation = guard.as_ref().map(|operation| operation.name.clone()).unwrap_or_default();
        let kept = Kept { path: original.to_owned(), operation, stored };
        if let Some(operation) = &mut *guard {
            operation.kept.push(kept.clone());
        }
        kept
    }

    /// Writes a log line and makes it durable. `draft` is the inode of a new file that lies there now.
    pub(super) fn note(
        &self,
        original: &str,
        stored: &str,
        hash: Option<Digest>,
        draft: Option<u64>,
    ) -> Result<(), Error> {
        self.folder()?;
        let line = Line {
            path: original.to_owned(),
            stored: stored.to_owned(),
            hash: hash.map(|hash| hash.to_string()),
            time: time(SystemTime::now()),
            command: self.command.clone(),
            draft,
        };
        let mut guard = self.lock();
        let Some(operation) = &mut *guard else { return Ok(()) };
        let path = format!("{FOLDER}/{}.jsonl", operation.name);
        let mut write = || -> io::Result<()> {
            if operation.log.is_none() {
                let place = self.mlv.place_str(&path)?;
                operation.log = Some(OutFile::new(sys::create_new(place.fd(), place.name, 0o666)?));
                sync_folder(place.fd())?;
            }
            let Some(log) = &mut operation.log else { return Ok(()) };
            let mut text = serde_json::to_string(&line).map_err(io::Error::other)?;
            text.push('\n');
            log.write_all(text.as_bytes())?;
            log.sync_data()
        };
        write().map_err(|error| self.mlv.failed(&path, "write", error))
    }

    /// Ends the operation: what was kept, sorted by path. A folder that kept nothing goes away.
    pub fn finish(self) -> Vec<Kept> {
        self.end()
    }

    fn end(&self) -> Vec<Kept> {
        let Some(Operation { name, folder, log, mut kept }) = self.lock().take() else { return Vec::new() };
        drop((folder, log));
        if kept.is_empty() {
            remove_if_empty(&self.mlv, &name);
        }
        kept.sort_by(|a, b| (&a.path, &a.stored).cmp(&(&b.path, &b.stored)));
        kept
    }
}

impl Drop for Rescue {
    fn drop(&mut self) {
        self.end();
    }
}

/// The path itself, and when that is taken the same with a number on its first part: so that
/// a file and the contents of a folder that stood there later do not get into each other's way.
pub(super) fn names_for(original: &str) -> impl Iterator<Item = String> + '_ {
    let (first, rest) = original.split_at(original.find('/').unwrap_or(original.len()));
    (0..)
        .map(move |number| if number == 0 { original.to_owned() } else { format!("{first}.~{number}{rest}") })
}

/// What one command displaced.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RescueOperation {
    /// Its name, which starts with its time: sorting by name is sorting by time.
    pub name: String,
    /// The command, if the log tells.
    pub command: Option<String>,
    /// The files that are still there, sorted by where they are stored.
    pub files: Vec<RescuedFile>,
}

/// One displaced file or symlink.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RescuedFile {
    /// Where it was, relative to the work tree's root.
    pub path: String,
    /// Where it lies below the operation's folder.
    pub stored: String,
    /// Its size in bytes.
    pub size: u64,
    /// BLAKE3 of its bytes when it was displaced, if that was known.
    pub hash: Option<String>,
    /// When it was displaced, RFC 3339 UTC, if the log tells.
    pub time: Option<String>,
}

/// All operations of which something is left, oldest first. `mlv` is the folder `.mlv`.
pub fn list(mlv: &Dir) -> Result<Vec<RescueOperation>, Error> {
    let root = RepoPath::own(FOLDER);
    let rescue = match mlv.open_dir(&root) {
        Ok(rescue) => rescue,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut operations = Vec::new();
    for entry in rescue.read_dir(&RepoPath::root())?.iter().filter(|entry| entry.kind == FileKind::Dir) {
        let operation = read_operation(&rescue, &entry.name)?;
        if !operation.files.is_empty() {
            operations.push(operation);
        }
    }
    Ok(operations)
}

fn read_operation(rescue: &Dir, name: &str) -> Result<RescueOperation, Error> {
    let lines = read_log(rescue, name);
    let by_stored: HashMap<&str, &Line> = lines.iter().map(|line| (line.stored.as_str(), line)).collect();
    let walk = super::walk::walk(rescue, &RepoPath::root().join_entry(name), &|_, _| false, 1)?;
    let files = walk.entries.iter().filter_map(|entry| {
        let stored = entry.path.trim_end_matches('/');
        let line = line_of(&by_stored, stored);
        // Folders are made for the files in them; one that no line names was left by those.
        if entry.stamp.kind == FileKind::Dir && line.is_none() {
            return None;
        }
        // A crash before the two traded places: the user's file is where it was.
        if line.is_some_and(|(line, rest)| rest.is_empty() && line.draft == Some(entry.stamp.inode)) {
            return None;
        }
        Some(RescuedFile {
            path: line.map_or_else(|| stored.to_owned(), |(line, rest)| format!("{}{rest}", line.path)),
            stored: stored.to_owned(),
            size: entry.stamp.size,
            hash: line.filter(|(_, rest)| rest.is_empty()).and_then(|(line, _)| line.hash.clone()),
            time: line.map(|(line, _)| line.time.clone()),
        })
    });
    let files: Vec<_> = files.collect();
    Ok(RescueOperation {
        name: name.to_owned(),
        command: lines.first().map(|line| line.command.clone()),
        files,
    })
}

/// The line of what is stored at a path, and the rest of the path below it: a line names a
/// folder where a folder was displaced as a whole.
fn line_of<'a>(lines: &HashMap<&str, &'a Line>, stored: &'a str) -> Option<(&'a Line, &'a str)> {
    let mut at = stored;
    loop {
        if let Some(line) = lines.get(at) {
            return Some((line, &stored[at.len()..]));
        }
        at = at.rsplit_once('/')?.0;
    }
}

/// The lines that can be read; the last one may have been cut off by a crash.
fn read_log(rescue: &Dir, name: &str) -> Vec<Line> {
    let bytes =
        rescue.read_file(&RepoPath::root().join_entry(&format!("{name}.jsonl")), MAX_LOG).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Puts what is stored at `stored` of an operation back to `to`, which must be free.
///
/// Fails with `Exists` if it is not, and with `NotInRescue` if there is no such file.
pub fn restore(
    mlv: &Dir,
    work: &Dir,
    operation: &str,
    stored: &RepoPath,
    to: &RepoPath,
) -> Result<(), Error> {
    let missing = || Error::NotInRescue { name: format!("{operation}/{}", stored.as_str()) };
    let from = RepoPath::own(FOLDER).join(&RepoPath::parse(operation).map_err(|_| missing())?).join(stored);
    let failed = |error| work.failed(to.as_str(), "restore", error);
    if mlv.stat(&from)?.is_none() {
        return Err(missing());
    }
    if let Some(parent) = to.parent() {
        work.create_dir_all(&parent)?;
    }
    let (from, to) = (mlv.place(&from).map_err(failed)?, work.place(to).map_err(failed)?);
    let moved = match sys::rename_new((from.fd(), from.name), (to.fd(), to.name)) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy::move_across(&from, &to),
        other => other,
    };
    moved.map_err(failed)
}

/// Takes away what is left of an operation of which nothing is left; after [`restore`].
pub fn tidy(mlv: &Dir, operation: &str) {
    remove_if_empty(mlv, operation);
}

/// Deletes an operation and all that is left in it. The only way in which rescued bytes go.
pub fn drop_operation(mlv: &Dir, operation: &str) -> Result<(), Error> {
    let missing = || Error::NotInRescue { name: operation.to_owned() };
    let name = RepoPath::parse(operation).map_err(|_| missing())?;
    let folder = RepoPath::own(FOLDER).join(&name);
    if name.parent().is_some_and(|parent| !parent.is_root()) || mlv.stat(&folder)?.is_none() {
        return Err(missing());
    }
    mlv.remove_all(&folder)?;
    mlv.remove_file(&RepoPath::root().join_entry(&format!("{FOLDER}/{operation}.jsonl")))
}

/// `20261121T101500.250000Z`: with microseconds, so that names sort by time where a script runs
/// several commands in a second.
pub fn compact_time(now: SystemTime) -> String {
    let micros = now.duration_since(UNIX_EPOCH).map_or(0, |age| age.subsec_micros());
    time(now).replace(['-', ':'], "").replace('Z', &format!(".{micros:06}Z"))
}

/// RFC 3339 UTC with seconds: `2026-11-21T10:15:00Z`.
pub fn time(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a number of days since 1970 (Hinnant, "chrono-compatible low-level
/// date algorithms", civil_from_days).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests;
