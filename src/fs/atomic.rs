//! Replacing a small file as a whole (R1): temporary file, fsync, rename, fsync of the folder.

use std::io;

use super::dir::Dir;
use super::error::Error;
use super::folders::Place;
use super::staging::TempFile;
use super::stamp::{FileKind, FileStamp, permissions};
use super::{fault, sys};
use crate::model::path::RepoPath;

/// Replaces or creates the file at `path` with these bytes, durable on return.
///
/// With a `mode` the file gets exactly these permission bits; without one it keeps those of
/// the file that it replaces, or gets what the umask leaves. Missing folders are an error.
/// A symlink or a folder at `path` is refused. Whoever reads sees the old bytes or the new.
pub fn write(dir: &Dir, path: &RepoPath, bytes: &[u8], mode: Option<u32>) -> Result<(), Error> {
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
    replace(dir, &place, bytes, mode).map_err(failed)
}

fn check_replaceable(dir: &Dir, path: &RepoPath, stamp: &FileStamp) -> Result<(), Error> {
    match stamp.kind {
        FileKind::File => Ok(()),
        FileKind::Symlink => Err(Error::SymlinkInPath { path: dir.full(path) }),
        other => Err(Error::NotAFile { path: dir.full(path), found: other.noun() }),
    }
}

fn replace(dir: &Dir, place: &Place<'_>, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    let temp = fill(TempFile::create(dir, place, 0o666)?, bytes, mode)?;
    match temp.publish(place) {
        // The target lies on another file system than the temporary home.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fill(TempFile::beside(place, 0o666)?, bytes, mode)?.publish(place)
        }
        other => other,
    }
}

fn fill(temp: TempFile, bytes: &[u8], mode: Option<u32>) -> io::Result<TempFile> {
    sys::write_all(&temp.file, bytes)?;
    if let Some(mode) = mode {
        sys::chmod(&temp.file, mode)?;
    }
    if !fault::mutated("atomic-fsync") {
        sys::fsync(&temp.file)?;
    }
    Ok(temp)
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
