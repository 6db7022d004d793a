//! Names in open folders: what the system calls that change something work on.

use std::cell::OnceCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::dir::{Dir, FOLDER};
use super::error::Error;
use super::hands_on::HandsOn;

#[derive(Debug)]
enum Held<'a> {
    Borrowed(BorrowedFd<'a>),
    Owned(OwnedFd),
}

/// A name in an open folder: what the system calls that change something work on.
#[derive(Debug)]
pub(super) struct Place<'a> {
    fd: Held<'a>,
    /// The name, one component.
    pub(super) name: &'a str,
}

impl<'a> Place<'a> {
    /// The name in this folder.
    pub(super) fn named(folder: BorrowedFd<'a>, name: &'a str) -> Place<'a> {
        Place { fd: Held::Borrowed(folder), name }
    }

    /// The name in this folder, which the place keeps open.
    pub(super) fn owned(folder: OwnedFd, name: &'a str) -> Place<'a> {
        Place { fd: Held::Owned(folder), name }
    }

    /// The same folder, held by another handle, without a name.
    pub(super) fn duplicate(&self) -> io::Result<Place<'static>> {
        Ok(Place::owned(self.fd().try_clone_to_owned()?, ""))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Held::Borrowed(fd) => *fd,
            Held::Owned(fd) => fd.as_fd(),
        }
    }
}

/// Keeps the folders open that were used last, so that the files of one folder cost one open.
///
/// Others may rename a folder that is held here: it lives as long as one operation, and
/// [`OpenFolders::forget`] is called when that operation itself moves a folder.
#[derive(Debug, Default)]
pub(super) struct OpenFolders {
    held: Vec<Folder>,
    /// What the folder itself hands on whose paths these are.
    top: OnceCell<HandsOn>,
}

#[derive(Debug)]
struct Folder {
    path: Box<str>,
    fd: OwnedFd,
    hands_on: OnceCell<HandsOn>,
}

/// Two workers on a tree whose files arrive in pack order seldom alternate between more.
const HELD_FOLDERS: usize = 8;

impl OpenFolders {
    /// Closes all folders.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// Where `path` of `dir` lies; with `create`, folders are made where they are missing.
    /// Always called with the same `dir`.
    pub(super) fn place<'a>(
        &'a mut self,
        dir: &'a Dir,
        path: &'a str,
        create: bool,
    ) -> Result<Place<'a>, Error> {
        let Some((parent, name)) = path.rsplit_once('/') else {
            return Ok(Place { fd: Held::Borrowed(dir.as_fd()), name: path });
        };
        match self.held.iter().position(|held| &*held.path == parent) {
            Some(0) => {}
            Some(index) => self.held[..=index].rotate_right(1),
            None => {
                let fd = if create {
                    dir.ensure_dir(parent, None)?
                } else {
                    dir.open_at(parent, FOLDER).map_err(|error| dir.failed(path, "open", error))?
                };
                self.held.truncate(HELD_FOLDERS - 1);
                self.held.insert(0, Folder { path: parent.into(), fd, hands_on: OnceCell::new() });
            }
        }
        Ok(Place { fd: Held::Borrowed(self.held[0].fd.as_fd()), name })
    }

    /// As [`OpenFolders::place`] with `create`, with what the folder hands on to a new file.
    pub(super) fn place_of_new<'a>(
        &'a mut self,
        dir: &'a Dir,
        path: &'a str,
    ) -> Result<(Place<'a>, &'a HandsOn), Error> {
        self.place(dir, path, true)?;
        let (name, fd, known) = match (path.rsplit_once('/'), self.held.first()) {
            (Some((_, name)), Some(folder)) => (name, folder.fd.as_fd(), &folder.hands_on),
            _ => (path, dir.as_fd(), &self.top),
        };
        Ok((Place { fd: Held::Borrowed(fd), name }, known.get_or_init(|| HandsOn::of(fd))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_folders_are_reused_and_bounded() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        let mut folders = OpenFolders::default();
        for number in 0..20 {
            let name = format!("many/{number}/file");
            let place = folders.place(&dir, &name, true).unwrap();
            assert_eq!(place.name, "file");
        }
        assert_eq!(folders.held.len(), HELD_FOLDERS);
        assert_eq!(&*folders.held[0].path, "many/19");
        folders.place(&dir, "many/15/other", false).unwrap();
        assert_eq!(&*folders.held[0].path, "many/15");
        assert!(folders.place(&dir, "absent/x", false).unwrap_err().is_not_found());
    }
}
