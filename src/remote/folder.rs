//! A folder as a remote, in the same layout as a bucket, so that copying one makes the other.
//!
//! An object is written to a staging folder of this process (`.stage/…`, no key), made
//! durable, and renamed to its name, which must be free. So no reader sees half of one,
//! leftovers of killed writers are never listed, and the next writer removes them. No
//! symlink is followed below the root, and one among the keys is an error: were it left
//! out, data behind it would seem to be absent (R9).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::fs::dir::{Dir, DirEntry};
use crate::fs::file::OutFile;
use crate::fs::staging::Staging;
use crate::fs::stamp::{FileKind, FileStamp};
use crate::fs::{self, owner};
use crate::model::path::RepoPath;
use crate::remote::backend::{
    Action, Backend, BackendError, ByteSink, Created, Key, ListSink, Listed, RoundTrip, Situation, Stat,
    check_prefix,
};

/// Where objects under construction lie, below the remote's root.
const STAGE: &str = ".stage";
/// How much is read at once: a few records, so that they stay in the processor's cache.
const PIECE: u64 = 256 << 10;
/// Permission bits of objects before the umask.
const MODE: u32 = 0o666;

/// A folder that holds a remote. Reading never creates anything; the first write makes the folder.
pub struct FolderBackend {
    path: PathBuf,
    root: OnceLock<Dir>,
    staging: OnceLock<Staging>,
    /// Folders that this process made, or found and made durable.
    durable: Mutex<BTreeSet<Box<str>>>,
}

impl FolderBackend {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: &Path) -> FolderBackend {
        FolderBackend {
            path: path.to_path_buf(),
            root: OnceLock::new(),
            staging: OnceLock::new(),
            durable: Mutex::new(BTreeSet::new()),
        }
    }

    fn failed(&self, action: Action, key: &str) -> impl FnOnce(fs::Error) -> BackendError {
        let place = self.describe();
        let key = key.to_owned();
        move |error| BackendError::new(situation_of(&error), action, &key, place).because(error)
    }

    fn failed_io(&self, action: Action, key: &Key) -> impl FnOnce(std::io::Error) -> BackendError {
        let path = self.path.join(key.as_str());
        let failed = self.failed(action, key.as_str());
        let verb = if action == Action::Write { "write" } else { "read" };
        move |source| failed(fs::Error::Io { action: verb, path, source })
    }

    fn root(&self) -> Result<&Dir, fs::Error> {
        match self.root.get() {
            Some(dir) => Ok(dir),
            None => {
                let dir = Dir::open(&self.path)?;
                Ok(self.root.get_or_init(|| dir))
            }
        }
    }

    fn open_root(&self) -> Result<&Dir, BackendError> {
        self.root().map_err(self.failed(Action::Open, ""))
    }

    fn make_root(&self) -> Result<(), BackendError> {
        let made = match self.root() {
            Err(error) if error.is_not_found() => make_all(&self.path),
            other => other.map(drop),
        };
        made.map_err(self.failed(Action::Open, ""))
    }

    /// This process's staging folder, made on the first write, when leftovers of others are reaped.
    fn staging(&self) -> Result<&Staging, fs::Error> {
        if let Some(staging) = self.staging.get() {
            return Ok(staging);
        }
        let root = self.root()?;
        let stage = RepoPath::own(STAGE);
        root.create_dir_all(&stage)?;
        let staging = Staging::create(root.open_dir(&stage)?)?;
        // Two threads may both get here; the loser's folder is removed when it is dropped.
        Ok(self.staging.get_or_init(|| staging))
    }

    /// Makes the folder of `path` with its name durable in the folder above it, and so on up.
    fn make_folder(&self, root: &Dir, path: &RepoPath) -> Result<(), fs::Error> {
        let Some(folder) = path.parent().filter(|folder| !folder.is_root()) else { return Ok(()) };
        if self.durable().contains(folder.as_str()) {
            return Ok(());
        }
        root.create_dir_all(&folder)?;
        let mut below = folder.clone();
        while let Some(above) = below.parent() {
            root.sync_dir(&above)?;
            self.durable().insert(below.as_str().into());
            below = above;
        }
        Ok(())
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, BTreeSet<Box<str>>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `parts` to a new durable file in the staging folder; returns its path.
    fn stage(&self, parts: &[impl AsRef<[u8]>]) -> Result<RepoPath, fs::Error> {
        let staging = self.staging()?;
        let name = staging.next_name();
        let path = RepoPath::own(&format!("{STAGE}/{}/{name}", staging.name()));
        let mut file = staging.dir().create_file(&RepoPath::own(&name), MODE)?;
        let written = write_all(&mut file, parts);
        // A failed fsync is never repeated on the same file: the caller starts anew.
        if let Err(source) = written.and_then(|()| file.sync_data()) {
            let _ = staging.dir().remove_file(&RepoPath::own(&name));
            return Err(fs::Error::Io { action: "write", path: self.path.join(path.as_str()), source });
        }
        Ok(path)
    }

    /// Gives the staged file its name; `replace` says whether it may replace the file there.
    fn publish(
        &self,
        staged: &RepoPath,
        path: &RepoPath,
        replace: impl FnOnce(&FileStamp) -> bool,
    ) -> Result<Created, fs::Error> {
        let root = self.root()?;
        self.make_folder(root, path)?;
        let created = match root.rename_new(staged, path) {
            Ok(()) => Created::New,
            Err(fs::Error::Exists { .. }) => match root.stat(path)? {
                Some(stamp) if !replace(&stamp) => {
                    root.remove_file(staged)?;
                    Created::Existed
                }
                _ => {
                    root.rename(staged, path)?;
                    Created::New
                }
            },
            Err(error) => {
                let _ = root.remove_file(staged);
                return Err(error);
            }
        };
        // Also when it existed: its writer may not have got so far.
        root.sync_dir(&path.parent().unwrap_or_else(RepoPath::root))?;
        Ok(created)
    }

    fn list_folder(
        &self,
        root: &Dir,
        folder: &RepoPath,
        prefix: &str,
        found: &mut dyn FnMut(Key, FileStamp) -> ControlFlow<()>,
    ) -> Result<(), fs::Error> {
        let mut pending = vec![folder.clone()];
        while let Some(folder) = pending.pop() {
            let entries = match root.read_dir(&folder) {
                Ok(entries) => entries,
                // A folder that a collector emptied meanwhile; or there never was one.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            for entry in entries.iter().rev() {
                let Some((key, path)) = entry_key(&folder, entry) else { continue };
                let is_wanted = key.as_str().starts_with(prefix);
                match entry.kind {
                    FileKind::Dir if is_wanted || prefix.starts_with(&format!("{key}/")) => {
                        pending.push(path)
                    }
                    FileKind::File if is_wanted => match root.stat(&path)? {
                        Some(stamp) => {
                            if found(key, stamp).is_break() {
                                return Ok(());
                            }
                        }
                        None => continue,
                    },
                    FileKind::Symlink if is_wanted || prefix.starts_with(key.as_str()) => {
                        return Err(fs::Error::SymlinkInPath { path: root.full(&path) });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Makes the folder at `path` and those above it that are missing, durable.
pub(crate) fn make_all(path: &Path) -> Result<(), fs::Error> {
    let refused = || fs::Error::NotAFolder { path: path.to_path_buf() };
    for above in path.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let dir = match Dir::open(above) {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        let rest = path.strip_prefix(above).unwrap_or(path).to_str().ok_or_else(refused)?;
        let mut below = RepoPath::parse(rest).map_err(|_| refused())?;
        dir.create_dir_all(&below)?;
        while let Some(parent) = below.parent() {
            dir.sync_dir(&parent)?;
            below = parent;
        }
        return Ok(());
    }
    Err(refused())
}

fn entry_key(folder: &RepoPath, entry: &DirEntry) -> Option<(Key, RepoPath)> {
    let path = folder.join_str(&entry.name).ok()?;
    Some((Key::parse(path.as_str()).ok()?, path))
}

fn write_all(file: &mut OutFile, parts: &[impl AsRef<[u8]>]) -> std::io::Result<()> {
    parts.iter().try_for_each(|part| file.write_all(part.as_ref()))
}

fn situation_of(error: &fs::Error) -> Situation {
    use std::io::ErrorKind as Os;
    match error {
        fs::Error::Io { source, .. } => match source.kind() {
            Os::NotFound => Situation::NotFound,
            Os::PermissionDenied => Situation::Denied,
            Os::ReadOnlyFilesystem => Situation::ReadOnly,
            Os::StorageFull | Os::QuotaExceeded => Situation::NoSpace,
            Os::TimedOut => Situation::TimedOut,
            _ => Situation::Failed,
        },
        fs::Error::Interrupted => Situation::Interrupted,
        _ => Situation::Invalid,
    }
}

fn time_of(stamp: &FileStamp) -> SystemTime {
    let age = Duration::from_nanos(stamp.mtime_ns.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    if stamp.mtime_ns < 0 { epoch.checked_sub(age).unwrap_or(epoch) } else { epoch + age }
}

/// Hands `len` bytes of `file` from where it stands to `sink`; false if there are fewer.
fn stream(file: &mut File, len: u64, sink: &mut ByteSink<'_>) -> std::io::Result<bool> {
    let mut buffer = vec![0; len.min(PIECE) as usize];
    let mut left = len;
    while left > 0 {
        let wanted = left.min(PIECE) as usize;
        let count = fs::file::read_full(file, &mut buffer[..wanted])?;
        if count < wanted {
            return Ok(false);
        }
        left -= count as u64;
        if let ControlFlow::Break(()) = sink(&buffer[..count]) {
            return Ok(true);
        }
    }
    Ok(true)
}

impl Backend for FolderBackend {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        let root = self.open_root()?;
        let opened = root.open_file_stamped(&RepoPath::own(key.as_str()));
        let (mut file, stamp) = opened.map_err(self.failed(Action::Read, key.as_str()))?;
        let range = range.unwrap_or(0..stamp.size);
        let invalid = || BackendError::new(Situation::Invalid, Action::Read, key.as_str(), self.describe());
        if range.end > stamp.size || range.start > range.end {
            return Err(invalid());
        }
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start)).map_err(self.failed_io(Action::Read, key))?;
        }
        match stream(&mut file, range.end - range.start, sink).map_err(self.failed_io(Action::Read, key))? {
            true => Ok(()),
            false => Err(invalid()),
        }
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.make_root()?;
        let size: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let put = || {
            let staged = self.stage(parts)?;
            self.publish(&staged, &RepoPath::own(key.as_str()), |there| there.size != size)
        };
        put().map(drop).map_err(self.failed(Action::Write, key.as_str()))
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.make_root()?;
        let create = || {
            let staged = self.stage(&[bytes])?;
            self.publish(&staged, &RepoPath::own(key.as_str()), |_| false)
        };
        create().map_err(self.failed(Action::Write, key.as_str()))
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        let stamp = self.open_root()?.stat(&RepoPath::own(key.as_str()));
        match stamp.map_err(self.failed(Action::Read, key.as_str()))? {
            Some(stamp) if stamp.kind == FileKind::File => {
                Ok(Some(Stat { size: stamp.size, modified: time_of(&stamp) }))
            }
            Some(_) => {
                Err(BackendError::new(Situation::Invalid, Action::Read, key.as_str(), self.describe()))
            }
            None => Ok(None),
        }
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        let invalid = || BackendError::new(Situation::Invalid, Action::List, prefix, self.describe());
        check_prefix(prefix).map_err(|error| invalid().because(error))?;
        let root = self.open_root()?;
        let folder = match prefix.rsplit_once('/') {
            Some((folder, _)) => RepoPath::own(folder),
            None => RepoPath::root(),
        };
        let mut found =
            |key, stamp: FileStamp| each(Listed { key, size: stamp.size, modified: time_of(&stamp) });
        self.list_folder(root, &folder, prefix, &mut found).map_err(self.failed(Action::List, prefix))
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let path = RepoPath::own(key.as_str());
        let root = self.open_root()?;
        let deleted = root.remove_file(&path).and_then(|()| match path.parent() {
            Some(folder) if root.stat(&folder)?.is_some() => root.sync_dir(&folder),
            _ => Ok(()),
        });
        deleted.map_err(self.failed(Action::Delete, key.as_str()))
    }

    /// The file system's clock (R22): the time that it gives to a new file.
    fn now(&self) -> Result<SystemTime, BackendError> {
        let root = self.open_root()?;
        let stage = RepoPath::own(STAGE);
        let touch = || {
            root.create_dir_all(&stage)?;
            let random = u64::from_le_bytes(fs::random_bytes());
            let path = stage.join(&RepoPath::own(&format!("{}-{random:016x}", owner::current())));
            let stamp = root.create_file(&path, MODE)?.stamp();
            root.remove_file(&path)?;
            stamp.map_err(|source| fs::Error::Io {
                action: "read the clock of",
                path: root.full(&path),
                source,
            })
        };
        let stamp = touch().map_err(self.failed(Action::Read, ""))?;
        Ok(time_of(&stamp))
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Local
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests;
