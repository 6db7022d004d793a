//! Putting files into the user's folders, and taking them out, without losing a byte (R2, R3).
//!
//! A new file is written to a staging folder and renamed to a name that must be free. A file
//! that replaces another swaps places with it (`RENAME_EXCHANGE`), through a slot in rescue:
//! only then is looked at what was really displaced. If it is the inode that was examined,
//! unchanged, and its bytes are known to be saved, it is removed; whatever else it turns out
//! to be stays in rescue. So an edit that races with mlv ends up in one place or the other.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::dir::{Dir, stamp_of};
use super::error::{Error, at};
use super::file::OutFile;
use super::folders::{OpenFolders, Place};
use super::hands_on::HandsOn;
use super::journal::{Beside, Journal};
use super::random::random_hex;
use super::rescue::{Kept, Rescue, names_for};
use super::staging::{self, Staging};
use super::stamp::{FileKind, FileStamp};
use super::{copy, fault, sys};
use crate::model::digest::Digest;
use crate::model::path::RepoPath;

mod new_folder;

pub use new_folder::NewFolder;

/// What the caller found at a path that is to be replaced or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The stamp when it was examined.
    pub stamp: FileStamp,
    /// Whether these very bytes are in the cache, so that the file may go without rescue.
    pub is_saved: bool,
    /// Their hash, if it is known: noted where the file goes to rescue.
    pub hash: Option<Digest>,
}

/// A file under construction, or a finished symlink, in the staging folder.
#[derive(Debug)]
pub struct Draft {
    name: String,
    made: Made,
    /// Whether it has its name already, in a folder that is to get its own.
    is_named: bool,
}

#[derive(Debug)]
enum Made {
    /// Open for writing, created with this mode.
    File(OutFile, u32),
    /// A symlink, or a file that is complete.
    Complete,
    /// Another name of a file that is not the draft's alone.
    Shared,
}

impl Draft {
    /// The file to write to; nothing if the draft is a link.
    pub fn file(&mut self) -> Option<&mut OutFile> {
        match &mut self.made {
            Made::File(file, _) => Some(file),
            Made::Complete | Made::Shared => None,
        }
    }

    /// Gives it what it would have got if it had been made in the folder that it goes to.
    fn inherit(&self, staging: &Dir, hands_on: &HandsOn) -> io::Result<()> {
        match &self.made {
            Made::File(file, mode) => hands_on.give(staging, &self.name, Some((file, *mode))),
            Made::Complete => hands_on.give(staging, &self.name, None::<(&OutFile, u32)>),
            Made::Shared => Ok(()),
        }
    }
}

/// Where a draft is made.
#[derive(Clone, Copy, Debug)]
pub enum Spot<'s> {
    /// By itself: it gets a name when it is put into place.
    Alone,
    /// In a folder that gets its name when it is complete, as what becomes this path.
    In(&'s NewFolder, &'s RepoPath),
}

/// Puts files into one work tree; one for each thread.
pub struct Placer<'a> {
    work: &'a Dir,
    staging: &'a Staging,
    rescue: &'a Rescue,
    folders: OpenFolders,
    slots: OpenFolders,
    replacing: Replacing,
}

/// Names the files that are replaced on another file system, as long as that goes on.
#[derive(Default)]
struct Replacing {
    journal: Option<(Journal, Rescue)>,
    /// Whether the next command must look for one of them.
    is_kept: bool,
}

impl Replacing {
    fn note(&mut self, record: &Beside, rescue: &Rescue) -> Result<(), Error> {
        let (journal, _) = match &mut self.journal {
            Some(journal) => journal,
            none => none.insert((Journal::begin(rescue.mlv())?, rescue.of_same_command())),
        };
        journal.note_beside(record)
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        if let Some((journal, rescue)) = self.journal.take().filter(|_| !self.is_kept) {
            // What cannot be removed now is removed by the next command.
            let _ = journal.end(&rescue);
        }
    }
}

impl<'a> Placer<'a> {
    /// Places into `work`; drafts are made in `staging`, displaced files go to `rescue`.
    pub fn new(work: &'a Dir, staging: &'a Staging, rescue: &'a Rescue) -> Placer<'a> {
        let (folders, slots) = (OpenFolders::default(), OpenFolders::default());
        Placer { work, staging, rescue, folders, slots, replacing: Replacing::default() }
    }

    /// A new empty file. Its mode is what the umask leaves of rw for all, and x if asked for.
    pub fn draft(&mut self, at: Spot<'_>, executable: bool) -> Result<Draft, Error> {
        let (name, is_named) = self.name(at);
        let mode = if executable { 0o777 } else { 0o666 };
        let file = sys::create_new(self.staging.dir(), &name, mode);
        let file = file.map_err(|error| self.staging.dir().failed(&name, "create", error))?;
        Ok(Draft { name, made: Made::File(OutFile::new(file), mode), is_named })
    }

    /// A symlink with this target text.
    pub fn draft_symlink(&mut self, at: Spot<'_>, target: &str) -> Result<Draft, Error> {
        let (name, is_named) = self.name(at);
        sys::symlink(target, self.staging.dir(), &name)
            .map_err(|error| self.staging.dir().failed(&name, "create", error))?;
        Ok(Draft { name, made: Made::Complete, is_named })
    }

    /// A second name of the file `path` of `cache`.
    pub fn draft_hardlink(&mut self, at: Spot<'_>, cache: &Dir, path: &RepoPath) -> Result<Draft, Error> {
        let failed = |error| cache.failed(path.as_str(), "link", error);
        let (name, is_named) = self.name(at);
        let from = cache.place(path).map_err(failed)?;
        sys::hard_link((from.fd(), from.name), (self.staging.dir(), &name)).map_err(failed)?;
        Ok(Draft { name, made: Made::Shared, is_named })
    }

    /// The name of a draft in the staging folder, and whether it keeps its last part.
    fn name(&self, at: Spot<'_>) -> (String, bool) {
        match at {
            Spot::Alone => (self.staging.next_name(), false),
            Spot::In(folder, path) => (folder.file(path), true),
        }
    }

    /// Takes the file `path` out of a new folder, and puts it into place by itself.
    pub fn put_from(&mut self, folder: &NewFolder, path: &RepoPath) -> Result<FileStamp, Error> {
        self.put_new(Draft { name: folder.file(path), made: Made::Complete, is_named: false }, path)
    }

    /// Throws a draft away.
    pub fn discard(&mut self, draft: Draft) {
        let _ = sys::unlink(self.staging.dir(), &draft.name);
    }

    /// Gives the draft the name `path`, which must be free, making folders where they are
    /// missing; returns the new file's stamp. Fails with `Exists` if the name is taken. Of a draft in a
    /// [`NewFolder`] it tells the stamp: the folder gets the name.
    pub fn put_new(&mut self, draft: Draft, path: &RepoPath) -> Result<FileStamp, Error> {
        let failed = |error| self.work.failed(path.as_str(), "write", error);
        let staging = self.staging.dir();
        if draft.is_named {
            return stamp(&draft, &Place::named(staging.as_fd(), &draft.name)).map_err(failed);
        }
        let place = self.folders.place_of_new(self.work, path.as_str());
        let to = match place.and_then(|(to, on)| draft.inherit(staging, on).map(|()| to).map_err(failed)) {
            Ok(to) => to,
            Err(error) => {
                let _ = sys::unlink(staging, &draft.name);
                return Err(error);
            }
        };
        match sys::rename_new((staging, &draft.name), (to.fd(), to.name)) {
            Ok(()) => stamp(&draft, &to).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let from = Place::named(staging.as_fd(), &draft.name);
                put_across(&from, &to).map_err(failed)
            }
            Err(error) => {
                let _ = sys::unlink(staging, &draft.name);
                Err(failed(error))
            }
        }
    }

    /// Gives the draft the name `path` in place of what was examined there.
    ///
    /// Returns the new file's stamp, and what had to be kept in rescue: the old file, if it is
    /// not saved, or whatever else was found at the name.
    pub fn put_over(
        &mut self,
        draft: Draft,
        path: &RepoPath,
        old: &Examined,
    ) -> Result<(FileStamp, Option<Kept>), Error> {
        let failed = |error| self.work.failed(path.as_str(), "replace", error);
        let (to, hands_on) = self.folders.place_of_new(self.work, path.as_str())?;
        draft.inherit(self.staging.dir(), hands_on).map_err(failed)?;
        let rescue = self.rescue.folder()?;
        let from = Place::named(self.staging.dir().as_fd(), &draft.name);
        let stored = into_slot(&from, path.as_str(), &rescue, &mut self.slots)?;
        let slot = self.slots.place(&rescue, &stored, false)?;
        let noted = if old.is_saved {
            Ok(())
        } else {
            let draft = sys::stat(slot.fd(), slot.name).map(|stat| FileStamp::of(&stat).inode);
            self.rescue.note(path.as_str(), &stored, old.hash, draft.ok())
        };
        if let Err(error) = noted {
            let _ = sys::unlink(slot.fd(), slot.name);
            return Err(error);
        }
        match swap(&slot, &to) {
            Ok(Swap::Done) => {
                let new = stamp(&draft, &to).map_err(failed)?;
                Ok((new, settle(self.rescue, &slot, path.as_str(), &stored, old)?))
            }
            Ok(Swap::WasFree) => Ok((stamp(&draft, &to).map_err(failed)?, None)),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.put_over_across(path, &stored, old)
            }
            Err(error) => {
                let _ = sys::unlink(slot.fd(), slot.name);
                Err(failed(error))
            }
        }
    }

    /// As `put_over`, with the new file in a slot on another file system than its target.
    fn put_over_across(
        &mut self,
        path: &RepoPath,
        stored: &str,
        old: &Examined,
    ) -> Result<(FileStamp, Option<Kept>), Error> {
        let name = staging::beside();
        let replaced = self.put_over_beside(&name, path, stored, old);
        self.replacing.is_kept |= replaced.is_err();
        replaced
    }

    fn put_over_beside(
        &mut self,
        name: &str,
        path: &RepoPath,
        stored: &str,
        old: &Examined,
    ) -> Result<(FileStamp, Option<Kept>), Error> {
        let failed = |error| self.work.failed(path.as_str(), "replace", error);
        let mut record = Beside {
            path: path.parent().unwrap_or_else(RepoPath::root).join_entry(name).to_string(),
            original: path.to_string(),
            copy: None,
            command: self.rescue.command().to_owned(),
        };
        self.replacing.note(&record, self.rescue)?;
        let rescue = self.rescue.folder()?;
        let to = self.folders.place(self.work, path.as_str(), false)?;
        let between = Place::named(to.fd(), name);
        copy::move_across(&self.slots.place(&rescue, stored, false)?, &between).map_err(failed)?;
        // From here on the name may be the old file's; the inode tells.
        record.copy = Some(FileStamp::of(&sys::stat(between.fd(), between.name).map_err(failed)?).inode);
        self.replacing.note(&record, self.rescue)?;
        let swapped = swap(&between, &to).map_err(failed)?;
        let new = sys::stat(to.fd(), to.name).map(|stat| FileStamp::of(&stat)).map_err(failed)?;
        if matches!(swapped, Swap::WasFree) {
            return Ok((new, None));
        }
        if old.is_saved && is_as_examined(&between, old).map_err(failed)? {
            sys::unlink(between.fd(), between.name).map_err(failed)?;
            return Ok((new, None));
        }
        Ok((new, self.rescue.keep(&between, path.as_str(), &mut self.slots, old.hash)?))
    }

    /// Takes away what was examined at `path`; nothing if it is gone already.
    ///
    /// Returns what had to be kept in rescue. A folder goes only if it is empty, and fails with
    /// `ChangedMeanwhile` if it is not.
    pub fn remove(&mut self, path: &RepoPath, old: &Examined) -> Result<Option<Kept>, Error> {
        if old.stamp.kind == FileKind::Dir {
            return match self.remove_folder(path) {
                Ok(true) => Ok(None),
                Ok(false) | Err(Error::NotAFolder { .. }) => {
                    Err(Error::ChangedMeanwhile { path: self.work.full(path) })
                }
                Err(error) => Err(error),
            };
        }
        let from = match self.folders.place(self.work, path.as_str(), false) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        if !old.is_saved {
            return self.rescue.keep(&from, path.as_str(), &mut self.slots, old.hash);
        }
        let rescue = self.rescue.folder()?;
        match into_slot(&from, path.as_str(), &rescue, &mut self.slots) {
            Ok(stored) => {
                let slot = self.slots.place(&rescue, &stored, false)?;
                settle(self.rescue, &slot, path.as_str(), &stored, old)
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {
                self.rescue.keep(&from, path.as_str(), &mut self.slots, old.hash)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the folder `path` if it is empty; whether it is gone.
    pub fn remove_folder(&mut self, path: &RepoPath) -> Result<bool, Error> {
        self.folders.forget();
        self.work.remove_dir(path)
    }

    /// Makes the folder `path`, where it is missing, and tells its stamp.
    pub fn make_folder(&mut self, path: &RepoPath) -> Result<FileStamp, Error> {
        let folder = self.work.ensure_dir(path.as_str(), None)?;
        stamp_of(folder).map_err(|error| self.work.failed(path.as_str(), "read the attributes of", error))
    }
}

/// The stamp of a draft at its place. After the rename: on many file systems that is one of
/// the things that change the ctime.
fn stamp(draft: &Draft, at: &Place<'_>) -> io::Result<FileStamp> {
    match &draft.made {
        Made::File(file, _) => file.stamp(),
        Made::Complete | Made::Shared => sys::stat(at.fd(), at.name).map(|stat| FileStamp::of(&stat)),
    }
}

/// Looks at what was displaced into `slot`: gone if it is what was examined and is saved.
fn settle(
    rescue: &Rescue,
    slot: &Place<'_>,
    original: &str,
    stored: &str,
    old: &Examined,
) -> Result<Option<Kept>, Error> {
    if old.is_saved {
        let failed = |error: io::Error| at(Path::new(original), "replace")(error);
        if is_as_examined(slot, old).map_err(failed)? {
            sys::unlink(slot.fd(), slot.name).map_err(failed)?;
            return Ok(None);
        }
        rescue.note(original, stored, None, None)?;
    }
    Ok(Some(rescue.record(original, stored.to_owned())))
}

fn is_as_examined(displaced: &Place<'_>, old: &Examined) -> io::Result<bool> {
    let found = FileStamp::of(&sys::stat(displaced.fd(), displaced.name)?);
    let is_expected = found.has_same_bytes(&old.stamp) || fault::mutated("displaced-check");
    Ok(is_expected && found.kind != FileKind::Dir)
}

/// Moves something into a free slot in rescue; returns the slot's path.
fn into_slot(
    from: &Place<'_>,
    original: &str,
    rescue: &Dir,
    slots: &mut OpenFolders,
) -> Result<String, Error> {
    for stored in names_for(original) {
        let slot = match slots.place(rescue, &stored, true) {
            Err(Error::NotAFolder { .. }) => continue,
            other => other?,
        };
        match sys::rename_new((from.fd(), from.name), (slot.fd(), slot.name)) {
            Ok(()) => return Ok(stored),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(rescue.failed(&stored, "move to", error)),
        }
    }
    unreachable!("names_for is endless")
}

/// Copies a draft to another file system, under a name beside its target, and on to the target.
fn put_across(draft: &Place<'_>, to: &Place<'_>) -> io::Result<FileStamp> {
    let beside = staging::beside();
    let between = Place::named(to.fd(), &beside);
    copy::move_across(draft, &between)?;
    if let Err(error) = sys::rename_new((between.fd(), between.name), (to.fd(), to.name)) {
        let _ = sys::unlink(between.fd(), between.name);
        return Err(error);
    }
    sys::stat(to.fd(), to.name).map(|stat| FileStamp::of(&stat))
}

enum Swap {
    Done,
    /// Nothing stood at the target: it was simply given its name.
    WasFree,
}

/// Swaps what is in a slot with what stands at the target.
fn swap(slot: &Place<'_>, to: &Place<'_>) -> io::Result<Swap> {
    let (from, to) = ((slot.fd(), slot.name), (to.fd(), to.name));
    match sys::exchange(from, to) {
        Ok(true) => Ok(Swap::Done),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sys::rename_new(from, to).map(|()| Swap::WasFree)
        }
        Err(error) => Err(error),
        // No such call on this file system: renames, with a moment in which the name is free.
        Ok(false) => {
            // Under a name that is listed: after a crash here it is found in rescue.
            let aside = format!("{}.~{}", slot.name, random_hex::<4>());
            match sys::rename_new(to, (from.0, &aside)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    sys::rename_new(from, to).map(|()| Swap::WasFree)
                }
                Err(error) => Err(error),
                Ok(()) => {
                    sys::rename_new(from, to)?;
                    sys::rename_new((from.0, &aside), from).map(|()| Swap::Done)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
