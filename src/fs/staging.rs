//! Temporary files that name their owner, and the removal of those that nobody owns any more.
//!
//! Everything under construction lies in a folder `tmp` or `stage` of mlv's own, under a name
//! that starts with its owner ([`super::owner`]). So a killed process leaves nothing among the
//! user's files, and the next command can tell what it left from what another one is writing.

use std::fs::File;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::dir::{Dir, DirEntry};
use super::error::Error;
use super::folders::Place;
use super::hands_on::HandsOn;
use super::owner::{self, Life};
use super::random::random_hex;
use super::stamp::{FileKind, FileStamp};
use super::sys;
use crate::model::path::RepoPath;

/// A folder of this process's own: `<owner>-<16 hex>`, removed with all its files in the end.
#[derive(Debug)]
pub struct Staging {
    parent: Dir,
    name: String,
    dir: Dir,
    next: AtomicU64,
    /// Held while the process lives; tells those who cannot judge by pid.
    _lock: Mutex<File>,
}

/// The file in such a folder that is locked while its owner lives.
pub(super) const LOCK: &str = "lock";
/// Age from which a file of an unknown owner that holds no lock counts as left behind, in ns.
const ABANDONED_NS: i64 = 24 * 3600 * 1_000_000_000;

impl Staging {
    /// Makes a staging folder in `parent`, after removing those whose owners are gone.
    pub fn create(parent: Dir) -> Result<Staging, Error> {
        reap(&parent);
        let name = format!("{}-{}", owner::current(), random_hex::<8>());
        let failed = |error| parent.failed(&name, "create", error);
        sys::mkdir(&parent, &name, 0o700).map_err(failed)?;
        let dir = Dir::open(&parent.full_str(&name))?;
        let lock = sys::create_new(&dir, LOCK, 0o600).map_err(failed)?;
        // Where locks are not supported, age alone tells: 24 hours.
        let _ = lock.try_lock();
        Ok(Staging { parent, name, dir, next: AtomicU64::new(0), _lock: Mutex::new(lock) })
    }

    /// The folder.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Path of the folder relative to the parent that it was made in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A name in the folder that was not given out before.
    pub fn next_name(&self) -> String {
        format!("t{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next command.
        if let Ok(name) = RepoPath::parse(&self.name) {
            let _ = self.parent.remove_all(&name);
        }
    }
}

/// Removes from `parent` the files and folders whose owner is provably gone; returns how many.
///
/// Failures are left to the next time: nothing depends on it.
pub fn reap(parent: &Dir) -> u64 {
    let Ok(entries) = parent.read_dir(&RepoPath::root()) else { return 0 };
    let mut now = None;
    let mut reaped = 0;
    for entry in &entries {
        let Ok(path) = RepoPath::parse(&entry.name) else { continue };
        if is_left_behind(parent, entry, &mut now) && parent.remove_all(&path).is_ok() {
            reaped += 1;
        }
    }
    reaped
}

/// Whether the owner of an entry of `parent` is provably gone. `now` is the file system's time, as
/// soon as it was asked for.
pub(super) fn is_left_behind(parent: &Dir, entry: &DirEntry, now: &mut Option<i64>) -> bool {
    if entry.name.starts_with(owner::current()) {
        return false;
    }
    match owner::life(&entry.name) {
        Life::Alive => false,
        Life::Dead => true,
        Life::Unknown => is_abandoned(parent, &entry.name, entry.kind, now),
    }
}

/// Removes what dead owners left in the folder `tmp` of `home`, the first time that this process
/// puts something there.
fn reap_once(home: &Dir) {
    static WAS_DONE: AtomicBool = AtomicBool::new(false);
    if WAS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    if let Ok(temp) = Dir::open(&home.full_str("tmp")) {
        reap(&temp);
    }
}

/// Whether what an unknown owner left is a day old by the file system's clock and unlocked.
fn is_abandoned(parent: &Dir, name: &str, kind: FileKind, now: &mut Option<i64>) -> bool {
    let age_of = |dir: &Dir, name: &str| sys::stat(dir, name).map(|stat| FileStamp::of(&stat).mtime_ns).ok();
    let Some(mut newest) = age_of(parent, name) else { return false };
    if kind == FileKind::Dir {
        let Ok(path) = RepoPath::parse(name) else { return false };
        let Ok(folder) = parent.open_dir(&path) else { return false };
        let Ok(files) = folder.read_dir(&RepoPath::root()) else { return false };
        newest = files.iter().filter_map(|file| age_of(&folder, &file.name)).fold(newest, i64::max);
        if is_locked(&folder) {
            return false;
        }
    }
    let now = *now.get_or_insert_with(|| clock_of(parent).unwrap_or(i64::MIN));
    now.saturating_sub(newest) > ABANDONED_NS
}

fn is_locked(folder: &Dir) -> bool {
    let Ok(path) = RepoPath::parse(LOCK) else { return true };
    match folder.open_file(&path) {
        Ok(file) => file.try_lock().is_err(),
        Err(error) => !error.is_not_found(),
    }
}

/// The file system's own time, ns since the epoch (R22: not this machine's clock).
fn clock_of(parent: &Dir) -> Option<i64> {
    let name = format!("{}-{}", owner::current(), random_hex::<8>());
    let file = sys::create_new(parent, &name, 0o600).ok()?;
    let now = super::dir::stamp_of(&file).ok().map(|stamp| stamp.mtime_ns);
    let _ = sys::unlink(parent, &name);
    now
}

/// Marks a temporary file that had to be put beside its target: `.mlv-tmp-<32 hex>`.
const TEMP_PREFIX: &str = ".mlv-tmp-";

/// Whether a name is one that [`beside`] makes. Walks leave such files out.
pub(super) fn is_temp_name(name: &str) -> bool {
    name.strip_prefix(TEMP_PREFIX)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A name for a temporary file beside its target.
pub(super) fn beside() -> String {
    format!("{TEMP_PREFIX}{}", random_hex::<16>())
}

/// A temporary file that becomes another file by one rename, or goes away.
#[derive(Debug)]
pub(super) struct TempFile {
    folder: Place<'static>,
    name: String,
    pub(super) file: File,
    published: bool,
}

impl TempFile {
    /// Creates a temporary file for a target at `place`: in the folder's temporary home, or
    /// beside the target where there is none.
    pub(super) fn create(dir: &Dir, target: &Place<'_>, mode: u32) -> std::io::Result<TempFile> {
        if let Some(home) = &dir.temp_home {
            let folder = temp_folder(home)?;
            reap_once(home);
            let name = format!("{}-{}", owner::current(), random_hex::<8>());
            let file = sys::create_new(folder.fd(), &name, mode)?;
            let temp = TempFile { folder, name, file, published: false };
            HandsOn::of(target.fd()).give(temp.folder.fd(), &temp.name, Some((&temp.file, mode)))?;
            return Ok(temp);
        }
        TempFile::beside(target, mode)
    }

    /// Creates a temporary file beside the target at `place`.
    pub(super) fn beside(target: &Place<'_>, mode: u32) -> std::io::Result<TempFile> {
        let (folder, name) = (target.duplicate()?, beside());
        let file = sys::create_new(folder.fd(), &name, mode)?;
        Ok(TempFile { folder, name, file, published: false })
    }

    /// Gives the file its final name, whenever that becomes durable.
    pub(super) fn rename_to(&mut self, target: &Place<'_>) -> std::io::Result<()> {
        sys::rename((self.folder.fd(), &self.name), (target.fd(), target.name))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.published {
            let _ = sys::unlink(self.folder.fd(), &self.name);
        }
    }
}

/// The folder `tmp` of `home`, made when it is missing.
fn temp_folder(home: &Dir) -> std::io::Result<Place<'static>> {
    let open = || sys::open_dir(home, "tmp");
    let fd = match open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match sys::mkdir(home, "tmp", 0o700) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => open()?,
        },
        other => other?,
    };
    Ok(Place::owned(fd, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(path: &std::path::Path) -> Dir {
        Dir::open(path).unwrap()
    }

    #[test]
    fn staging_goes_away_and_leftovers_of_the_dead_are_reaped() {
        let home = tempfile::tempdir().unwrap();
        let staging = Staging::create(open(home.path())).unwrap();
        fs::write(staging.dir().path().join("x"), "x").unwrap();
        assert_ne!(staging.next_name(), staging.next_name());

        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (place, _) = owner::current().rsplit_once('-').unwrap();
        let left = home.path().join(format!("{place}-{}-0123", child.id()));
        child.wait().unwrap();
        fs::create_dir_all(left.join("a/b")).unwrap();
        fs::write(left.join("a/b/c"), "x").unwrap();
        let elsewhere = home.path().join("00000000-00000000-1-1-0123");
        fs::create_dir(&elsewhere).unwrap();

        assert_eq!(reap(&open(home.path())), 1, "the dead one's alone");
        assert!(!left.exists() && elsewhere.exists() && staging.dir().path().exists());
        let path = staging.dir().path().to_owned();
        drop(staging);
        assert!(!path.exists());
    }

    #[test]
    fn what_an_unknown_owner_left_goes_after_a_day_unless_it_is_locked() {
        let home = tempfile::tempdir().unwrap();
        let old = home.path().join("00000000-00000000-1-1-0123");
        fs::create_dir(&old).unwrap();
        let lock = fs::File::create(old.join("lock")).unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
        let age = |path: &std::path::Path| fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        age(&old.join("lock"));
        age(&old);
        lock.lock().unwrap();
        assert_eq!(reap(&open(home.path())), 0);
        drop(lock);
        assert_eq!(reap(&open(home.path())), 1);
        assert!(!old.exists());
    }

    #[test]
    fn only_exact_temporary_names_are_taken_for_such() {
        assert!(is_temp_name(&beside()));
        assert!(!is_temp_name(".mlv-tmp-") && !is_temp_name(".mlv-tmp-notes"));
    }
}
