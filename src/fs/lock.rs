//! Locks between processes, each in a file whose text names its holder (R5).
//!
//! Advisory `flock` locks: the system releases them when the process ends, however it ends.
//! The file is never removed. A file system without locks (some NFS, some FUSE) grants all:
//! everything that is locked here is also correct without, only slower or less orderly.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use super::dir::Dir;
use super::error::Error;
use super::{fault, owner, sys};
use crate::model::path::RepoPath;

/// What to do while another process holds a lock.
pub struct Patience<'a> {
    /// Whether to wait at all; otherwise a held lock is `Busy` at once.
    pub wait: bool,
    /// Told once, after one second, who is waited for: `pid 4242 (mlv repro)`.
    pub notify: &'a dyn Fn(&str),
    /// Asked between two tries; when it says yes, waiting ends with `Interrupted`.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Patience<'_> {
    /// Does not wait.
    pub const NONE: Patience<'static> = Patience { wait: false, notify: &|_| {}, cancelled: &|| false };
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
struct Held {
    file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Held for the moment in which one small file is read again, merged and replaced.
#[derive(Debug)]
pub struct MetaLock(#[expect(dead_code, reason = "held for its drop")] Held);

impl MetaLock {
    /// Locks the file `path`, made if it is missing.
    pub fn acquire(dir: &Dir, path: &RepoPath, patience: &Patience<'_>) -> Result<MetaLock, Error> {
        acquire(dir, path, Mode::Exclusive, patience).map(MetaLock)
    }
}

/// Held by whoever runs one stage, or reads what it made.
#[derive(Debug)]
pub struct StageLease(#[expect(dead_code, reason = "held for its drop")] Held);

impl StageLease {
    /// Locks the file `path`, made if it is missing: nobody else has it then.
    pub fn acquire(dir: &Dir, path: &RepoPath, patience: &Patience<'_>) -> Result<StageLease, Error> {
        acquire(dir, path, Mode::Exclusive, patience).map(StageLease)
    }

    /// Locks the file `path`, made if it is missing: whoever else has it only shares it, too.
    pub fn share(dir: &Dir, path: &RepoPath, patience: &Patience<'_>) -> Result<StageLease, Error> {
        acquire(dir, path, Mode::Shared, patience).map(StageLease)
    }
}

/// Whether others may have a lock at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exclusive,
    Shared,
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const NOTIFY_AFTER: Duration = Duration::from_secs(1);

fn acquire(dir: &Dir, path: &RepoPath, mode: Mode, patience: &Patience<'_>) -> Result<Held, Error> {
    let failed = |error| dir.failed(path.as_str(), "lock", error);
    let file = open(dir, path)?;
    let (start, mut pause, mut told) = (Instant::now(), FIRST_PAUSE, false);
    while !try_lock(&file, mode).map_err(failed)? {
        let waited = start.elapsed();
        if !patience.wait {
            return Err(Error::Busy { path: dir.full(path), holder: read_holder(&file) });
        }
        if (patience.cancelled)() {
            return Err(Error::Interrupted);
        }
        if !told && waited >= NOTIFY_AFTER {
            (patience.notify)(&read_holder(&file));
            told = true;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    write_holder(&file);
    Ok(Held { file })
}

/// Opens the lock file. Where it may only be read, that is enough to lock it (R18): another user
/// of a shared cache made it, or the file system is mounted read-only.
fn open(dir: &Dir, path: &RepoPath) -> Result<File, Error> {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let opened = dir.place(path).and_then(|place| sys::open_or_create(place.fd(), place.name, 0o666));
    match opened {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            let read_only = dir.open_file(path);
            read_only.map_err(|_| dir.failed(path.as_str(), "lock", error))
        }
        other => other.map_err(|error| dir.failed(path.as_str(), "lock", error)),
    }
}

fn try_lock(file: &File, mode: Mode) -> std::io::Result<bool> {
    if fault::mutated("locks-always-succeed") {
        return Ok(true);
    }
    if fault::mutated("locks-always-fail") {
        return Ok(false);
    }
    let locked = match mode {
        Mode::Exclusive => file.try_lock(),
        Mode::Shared => file.try_lock_shared(),
    };
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // ENOLCK, ENOSYS, EOPNOTSUPP: a file system that knows no locks.
        Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_unsupported(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP))
}

/// Names this process in the lock file. Failure costs others a name in a message.
fn write_holder(mut file: &File) {
    let text = format!("{}\n", owner::holder());
    if file.seek(SeekFrom::Start(0)).is_ok() && sys::write_all(file, text.as_bytes()).is_ok() {
        let _ = sys::truncate(file, text.len() as u64);
    }
}

fn read_holder(mut file: &File) -> String {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(200).read_to_string(&mut text));
    let holder = text.lines().next().unwrap_or_default().trim();
    if read.is_err() || holder.is_empty() { "another process".to_owned() } else { holder.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Advice, ErrorKind};
    use std::sync::Mutex;

    fn path() -> RepoPath {
        "lock".parse().unwrap()
    }

    #[test]
    fn held_lock_is_busy_and_names_its_holder() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let first = MetaLock::acquire(&dir, &path(), &Patience::NONE).unwrap();
        let busy = MetaLock::acquire(&dir, &path(), &Patience::NONE).unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(busy.to_string().contains(&format!("pid {}", std::process::id())), "{busy}");
        drop(first);
        assert!(MetaLock::acquire(&dir, &path(), &Patience::NONE).is_ok());
    }

    #[test]
    fn readers_share_a_lease_and_keep_the_maker_out() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let share = || StageLease::share(&dir, &path(), &Patience::NONE);
        let acquire = || StageLease::acquire(&dir, &path(), &Patience::NONE);
        let readers = [share().unwrap(), share().unwrap()];
        assert_eq!(acquire().unwrap_err().kind(), ErrorKind::Busy);
        drop(readers);
        let _maker = acquire().unwrap();
        assert_eq!(share().unwrap_err().kind(), ErrorKind::Busy);
    }

    #[test]
    fn waiting_says_so_after_a_second_and_ends_when_the_lock_is_free() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let held = MetaLock::acquire(&dir, &path(), &Patience::NONE).unwrap();
        let told = Mutex::new(Vec::new());
        let notify = |holder: &str| told.lock().unwrap().push(holder.to_owned());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let patience = Patience { wait: true, notify: &notify, cancelled: &|| false };
                MetaLock::acquire(&dir, &path(), &patience).is_ok()
            });
            std::thread::sleep(Duration::from_millis(1300));
            drop(held);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(told.lock().unwrap().len(), 1);
    }

    #[test]
    fn waiting_ends_when_the_user_asks_to_stop() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let _held = StageLease::acquire(&dir, &path(), &Patience::NONE).unwrap();
        let patience = Patience { wait: true, notify: &|_| {}, cancelled: &|| true };
        let stopped = StageLease::acquire(&dir, &path(), &patience).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    }
}
