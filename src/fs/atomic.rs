//! Replacing a small file as a whole (R1): temporary file, fsync, rename, fsync of the folder.

use std::collections::HashMap;
use std::io;

use super::dir::{Dir, sync_folder};
use super::error::Error;
use super::folders::Place;
use super::staging::TempFile;
use super::stamp::{FileKind, FileStamp, permissions};
use super::{fault, sys};
use crate::model::path::RepoPath;
use crate::par;

/// Replaces or creates the file at `path` with these bytes, durable on return.
///
/// With a `mode` the file gets exactly these permission bits; without one it keeps those of
/// the file that it replaces, or gets what the umask leaves. Missing folders are an error.
/// A symlink or a folder at `path` is refused. Whoever reads sees the old bytes or the new.
pub fn write(dir: &Dir, path: &RepoPath, bytes: &[u8], mode: Option<u32>) -> Result<(), Error> {
    let failed = |error: io::Error| dir.failed(path.as_str(), "write", error);
    let (place, mode) = target(dir, path, mode)?;
    let temp = TempFile::create(dir, &place, 0o666).and_then(|temp| synced(temp, bytes, mode));
    temp.and_then(|temp| named(temp, &place, bytes, mode)).map_err(failed)?;
    if fault::mutated("atomic-dir-fsync") { Ok(()) } else { sync_folder(place.fd()).map_err(failed) }
}

/// Replaces or creates many files, each as [`write()`] does one without a mode; all are durable on return.
///
/// After a failure some are the new ones, the others as they were. Waiting for the disk is what takes
/// time, so the files are synced side by side, and each folder once.
pub fn write_all(dir: &Dir, files: &[(&RepoPath, &[u8])]) -> Result<(), Error> {
    files.chunks(AT_ONCE).try_for_each(|batch| write_batch(dir, batch))
}

/// Files that are open at once, each with its folder and that of its temporary name.
const AT_ONCE: usize = 48;
/// Files that are synced side by side: a file system writes its journal once for all of them.
const SYNCS: usize = 16;

fn write_batch(dir: &Dir, batch: &[(&RepoPath, &[u8])]) -> Result<(), Error> {
    let (mut places, mut temps) = (Vec::new(), Vec::new());
    for (path, bytes) in batch {
        let failed = |error: io::Error| dir.failed(path.as_str(), "write", error);
        let (place, mode) = target(dir, path, None)?;
        let temp = TempFile::create(dir, &place, 0o666).and_then(|temp| fill(temp, bytes, mode));
        temps.push(temp.map_err(failed)?);
        places.push((place, mode));
    }
    let outcomes = par::map(SYNCS.min(batch.len()), &temps, sync);
    let mut folders = HashMap::new();
    for (((path, bytes), temp), (outcome, (place, mode))) in
        batch.iter().zip(temps).zip(outcomes.into_iter().zip(&places))
    {
        let failed = |error: io::Error| dir.failed(path.as_str(), "write", error);
        outcome.map_err(failed)?;
        named(temp, place, bytes, *mode).map_err(failed)?;
        folders.insert(path.parent(), (path, place));
    }
    for (path, place) in folders.into_values().filter(|_| !fault::mutated("atomic-dir-fsync")) {
        sync_folder(place.fd()).map_err(|error| dir.failed(path.as_str(), "write", error))?;
    }
    Ok(())
}

/// Where the file at `path` lies, and the mode that it gets.
fn target<'a>(
    dir: &'a Dir,
    path: &'a RepoPath,
    mode: Option<u32>,
) -> Result<(Place<'a>, Option<u32>), Error> {
    let failed = |error: io::Error| dir.failed(path.as_str(), "write", error);
    let place = dir.place(path).map_err(failed)?;
    let mode = match sys::stat(place.fd(), place.name) {
        Ok(stat) => {
            check_replaceable(dir, path, &FileStamp::of(&stat))?;
            Some(mode.unwrap_or(permissions(&stat)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => mode,
        Err(error) => return Err(failed(error)),
    };
    Ok((place, mode))
}

fn check_replaceable(dir: &Dir, path: &RepoPath, stamp: &FileStamp) -> Result<(), Error> {
    match stamp.kind {
        FileKind::File => Ok(()),
        FileKind::Symlink => Err(Error::SymlinkInPath { path: dir.full(path) }),
        other => Err(Error::NotAFile { path: dir.full(path), found: other.noun() }),
    }
}

/// Gives a file that is whole its name, whenever that becomes durable.
fn named(mut temp: TempFile, place: &Place<'_>, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    match temp.rename_to(place) {
        // The target lies on another file system than the temporary home.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            synced(TempFile::beside(place, 0o666)?, bytes, mode)?.rename_to(place)
        }
        other => other,
    }
}

fn synced(temp: TempFile, bytes: &[u8], mode: Option<u32>) -> io::Result<TempFile> {
    let temp = fill(temp, bytes, mode)?;
    sync(&temp).map(|()| temp)
}

fn fill(temp: TempFile, bytes: &[u8], mode: Option<u32>) -> io::Result<TempFile> {
    sys::write_all(&temp.file, bytes)?;
    if let Some(mode) = mode {
        sys::chmod(&temp.file, mode)?;
    }
    Ok(temp)
}

fn sync(temp: &TempFile) -> io::Result<()> {
    if fault::mutated("atomic-fsync") { Ok(()) } else { sys::fsync(&temp.file) }
}

/// Replaces a file that nothing depends on: an index, a hint. Not durable, never torn for
/// readers while the machine stays up; its checksum tells after a power loss.
pub fn write_hint(dir: &Dir, path: &RepoPath, parts: &[&[u8]]) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        let place = dir.place(path)?;
        let mut temp = TempFile::create(dir, &place, 0o666)?;
        for part in parts {
            sys::write_all(&temp.file, part)?;
        }
        temp.rename_to(&place)
    };
    attempt().map_err(|error| dir.failed(path.as_str(), "write", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Advice, ErrorKind};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    #[test]
    fn replaces_whole_files_and_keeps_their_mode() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        write(&dir, &path("a"), b"one", None).unwrap();
        fs::set_permissions(root.path().join("a"), fs::Permissions::from_mode(0o640)).unwrap();
        write(&dir, &path("a"), b"two", None).unwrap();
        assert_eq!(fs::read(root.path().join("a")).unwrap(), b"two");
        assert_eq!(fs::metadata(root.path().join("a")).unwrap().permissions().mode() & 0o777, 0o640);
        write(&dir, &path("a"), b"", Some(0o444)).unwrap();
        assert_eq!(fs::metadata(root.path().join("a")).unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn refuses_symlinks_and_folders() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        fs::create_dir(root.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("elsewhere", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("folder", root.path().join("way")).unwrap();
        for refused in ["link", "folder", "way/a"] {
            assert_eq!(write(&dir, &path(refused), b"x", None).unwrap_err().kind(), ErrorKind::UnsafePath);
        }
        assert_eq!(write(&dir, &path("none/a"), b"x", None).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// R1, R8: durable before it has its name, and the name before the call returns.
    #[test]
    fn bytes_are_synced_before_the_rename_and_the_folder_after() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let steps = || fault::trace(|| write(&dir, &path("a"), b"x", Some(0o644)).unwrap()).1;
        let right = ["create", "write", "chmod", "fsync", "rename", "fsync"];
        assert_eq!(steps(), right);
        // The mutations that this test is there to notice.
        assert_ne!(fault::with_mutation("atomic-fsync", steps), right);
        assert_ne!(fault::with_mutation("atomic-dir-fsync", steps), right);
    }

    /// R1, R8: the same of many, of which each folder is synced once.
    #[test]
    fn many_are_synced_before_their_renames_and_their_folders_after() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let (a, b, c) = (path("a"), path("b"), path("d/c"));
        let files: [(&RepoPath, &[u8]); 3] = [(&a, b"1"), (&b, b"2"), (&c, b"3")];
        let steps = || fault::trace(|| write_all(&dir, &files).unwrap()).1;
        // What other threads sync is not traced.
        let last_rename = |steps: &[&str]| steps.iter().rposition(|step| *step == "rename").unwrap();
        let (whole, unsynced) = (steps(), fault::with_mutation("atomic-dir-fsync", steps));
        assert_eq!(whole[last_rename(&whole) + 1..], ["fsync"; 2]);
        assert_eq!(unsynced[last_rename(&unsynced) + 1..], [""; 0]);
        let others: Vec<_> = whole.into_iter().filter(|step| !["fsync", "chmod"].contains(step)).collect();
        assert_eq!(others.concat(), "createwrite".repeat(3) + &"rename".repeat(3));
        // One file is all this thread's.
        let steps = || fault::trace(|| write_all(&dir, &files[..1]).unwrap()).1;
        let right = ["create", "write", "chmod", "fsync", "rename", "fsync"];
        assert_eq!(steps(), right);
        assert_ne!(fault::with_mutation("atomic-fsync", steps), right);
        for (path, bytes) in files {
            assert_eq!(fs::read(root.path().join(path.as_str())).unwrap(), bytes);
        }
        let numbers: Vec<RepoPath> = (0..300).map(|number| path(&format!("n{number}"))).collect();
        let many: Vec<(&RepoPath, &[u8])> = numbers.iter().map(|path| (path, &b"x"[..])).collect();
        write_all(&dir, &many).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 303);
    }

    /// R1: after a failure at any step the file is the old or the new one, and nothing is left.
    #[test]
    fn failing_at_any_step_leaves_the_old_or_the_new_file() {
        let mut steps = 1;
        for at in 1.. {
            let root = tempfile::tempdir().unwrap();
            let home = root.path().join(".home");
            fs::create_dir(&home).unwrap();
            fs::write(root.path().join("a"), "old").unwrap();
            let dir = Dir::open(root.path()).unwrap().with_temp_home(Arc::new(Dir::open(&home).unwrap()));
            let plan = fault::Plan::Fail(at, 5, false);
            let (outcome, taken) = fault::with_plan(plan, || write(&dir, &path("a"), b"new", None));
            let now = fs::read(root.path().join("a")).unwrap();
            assert!(now == b"old" || now == b"new");
            assert!(outcome.is_err() || now == b"new");
            if home.join("tmp").exists() {
                assert_eq!(fs::read_dir(home.join("tmp")).unwrap().count(), 0);
            }
            steps = taken.max(steps);
            if at > taken {
                assert!(outcome.is_ok());
                break;
            }
        }
        assert!(steps >= 6, "mkdir, create, write, chmod, fsync, rename, fsync: {steps}");
    }
}
