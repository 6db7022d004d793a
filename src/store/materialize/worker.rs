//! One thread's part of putting items into place.

use std::fs::File;
use std::io::Write;

use crate::error::{Advice, ErrorKind};
use crate::fs;
use crate::fs::dir::stamp_of;
use crate::fs::link::LinkMode;
use crate::fs::place::{Draft, Placer, Spot};
use crate::fs::stamp::FileStamp;
use crate::model::object::{RecordKey, RecordKind};
use crate::model::tree::EntryKind;
use crate::pack::reader::{decode_record, open_record};
use crate::report::{Portion, interrupted};
use crate::store::Error;
use crate::store::copy::{CopyError, Source, copy_hashing};
use crate::store::hash::{count, hash_file};
use crate::store::layout::loose_path;
use crate::store::materialize::folders::NewFolders;
use crate::store::materialize::plan::Packing;
use crate::store::materialize::target::stays_inside;
use crate::store::materialize::{Item, Materializer, Outcome};
use crate::store::packed::{Packed, ReadError};

/// One thread's part.
pub(super) struct Worker<'m, 'a> {
    owner: &'m Materializer<'a>,
    folders: &'m NewFolders,
    placer: Placer<'a>,
    /// What was read of a pack, or working memory for a large file.
    window: Vec<u8>,
    /// Working memory for the objects of what is displaced.
    verify: Vec<u8>,
    /// The item at hand.
    portion: Portion<'m>,
    pub(super) outcome: Outcome,
}

impl<'m, 'a> Worker<'m, 'a> {
    /// A worker of `owner` that counts bytes with `portion`.
    pub(super) fn new(
        owner: &'m Materializer<'a>,
        folders: &'m NewFolders,
        portion: Portion<'m>,
    ) -> Worker<'m, 'a> {
        let placer = Placer::new(owner.work, owner.staging, owner.rescue);
        let (window, verify, outcome) = (Vec::new(), Vec::new(), Outcome::default());
        Worker { owner, folders, placer, window, verify, portion, outcome }
    }

    /// Puts items whose records lie close to each other.
    pub(super) fn window(&mut self, items: &[Item], packings: &[Packing], packed: &Packed) {
        let (Some(first), Some(end)) = (packings.first(), packings.iter().map(|one| one.end).max()) else {
            return;
        };
        let mut window = std::mem::take(&mut self.window);
        window.resize((end - first.start) as usize, 0);
        let read = packed.read_range_into(first.pack, first.start, &mut window);
        for packing in packings {
            if self.stops() {
                break;
            }
            let (index, item) = (packing.item, &items[packing.item]);
            let key = RecordKey { hash: item.hash, kind: RecordKind::File };
            let record =
                &window[(packing.start - first.start) as usize..(packing.end - first.start) as usize];
            let record = match read {
                Ok(true) => open_record(record, key),
                _ => decode_record(record, key),
            };
            let outcome = match (&read, record) {
                (Ok(_), Ok(bytes)) => self.put_bytes(index, item, &bytes),
                // By itself, from wherever else it lies; and what is wrong is put aside.
                (Ok(_) | Err(ReadError::Damaged | ReadError::Vanished | ReadError::Io(_)), _) => {
                    self.put_single(index, item)
                }
            };
            self.count(index, item, outcome);
        }
        self.window = window;
    }

    pub(super) fn single(&mut self, index: usize, item: &Item) {
        if !self.stops() {
            let outcome = self.put_single(index, item);
            self.count(index, item, outcome);
        }
    }

    fn stops(&mut self) -> bool {
        if interrupted() {
            self.outcome.stopped = Some(Error::Interrupted);
        }
        self.outcome.stopped.is_some()
    }

    fn count(&mut self, index: usize, item: &Item, outcome: Result<FileStamp, Error>) {
        self.portion.end(item.size);
        match outcome {
            Ok(stamp) => self.outcome.done.push((index, stamp)),
            Err(error @ Error::Interrupted) => self.outcome.stopped = Some(error),
            Err(error) if error.kind() == ErrorKind::NoSpace => self.outcome.stopped = Some(error),
            Err(error) => self.outcome.failed.push((index, error)),
        }
        self.folders.count(self.owner, index);
    }

    fn put_single(&mut self, index: usize, item: &Item) -> Result<FileStamp, Error> {
        let cache = self.owner.cache;
        let key = RecordKey { hash: item.hash, kind: RecordKind::File };
        match item.kind {
            EntryKind::EmptyDir => Ok(self.placer.make_folder(&item.path)?),
            EntryKind::Symlink => {
                let target = cache.read_record(key)?;
                let target = String::from_utf8(target).ok().filter(|target| stays_inside(&item.path, target));
                let target =
                    target.ok_or_else(|| Error::UnsafeLink { path: self.owner.work.full(&item.path) })?;
                let draft = self.placer.draft_symlink(Spot::Alone, &target)?;
                self.place(draft, item)
            }
            EntryKind::File | EntryKind::Executable => match cache.open_loose(key)? {
                Some(file) => self.put_loose((index, item), key, &file),
                None => {
                    let bytes = cache.read_record(key)?;
                    self.put_bytes(index, item, &bytes)
                }
            },
        }
    }

    /// Writes verified bytes.
    fn put_bytes(&mut self, index: usize, item: &Item, bytes: &[u8]) -> Result<FileStamp, Error> {
        let mut draft =
            self.placer.draft(self.folders.spot(index, item), item.kind == EntryKind::Executable)?;
        let written = draft.file().map_or(Ok(()), |file| file.write_all(bytes));
        if let Err(error) = written {
            self.placer.discard(draft);
            return Err(fs::at(&self.owner.work.full(&item.path), "write")(error).into());
        }
        self.place(draft, item)
    }

    fn place(&mut self, draft: Draft, item: &Item) -> Result<FileStamp, Error> {
        match &item.old {
            None => match self.placer.put_new(draft, &item.path) {
                Err(error) => self.owner.found(item, &mut self.verify).ok_or_else(|| error.into()),
                done => Ok(done?),
            },
            Some(old) => {
                // What comes has the bytes of what goes where only the link or the mode differs.
                let is_same = old.hash == Some(item.hash);
                let old = if is_same { **old } else { self.owner.verified(old, &mut self.verify) };
                let (stamp, kept) = self.placer.put_over(draft, &item.path, &old)?;
                self.outcome.kept.extend(kept);
                Ok(stamp)
            }
        }
    }

    /// A loose object: linked where that works, else copied; hashed in any case.
    ///
    /// Of a symlink the stamp is the object's: it tells whether somebody writes through the link.
    fn put_loose(
        &mut self,
        (index, item): (usize, &Item),
        key: RecordKey,
        source: &File,
    ) -> Result<FileStamp, Error> {
        let (link, spot) = (self.owner.link_of(item.kind, source), self.folders.spot(index, item));
        let is_symlink = link == LinkMode::Symlink;
        // Before it is hashed: what is written after that changes it.
        let of_object = if is_symlink { stamp_of(source).ok() } else { None };
        let draft = match link {
            LinkMode::Reflink | LinkMode::Copy => {
                self.copy((spot, item), key, source, link == LinkMode::Reflink)?
            }
            LinkMode::Hardlink | LinkMode::Symlink => self.link(spot, key, source, link)?,
        };
        let placed = self.place(draft, item)?;
        Ok(of_object.unwrap_or(placed))
    }

    fn copy(
        &mut self,
        (spot, item): (Spot<'_>, &Item),
        key: RecordKey,
        source: &File,
        mut share: bool,
    ) -> Result<Draft, Error> {
        let full = self.owner.work.full(&item.path);
        let size = source.metadata().map_err(fs::at(&full, "copy to"))?.len();
        let mut draft = self.placer.draft(spot, item.kind == EntryKind::Executable)?;
        let from = Source { file: source, size, meter: &self.portion };
        let copied = match draft.file() {
            Some(file) => copy_hashing(&from, file, &mut share, &mut self.window),
            None => Err(CopyError::Short),
        };
        let failure = match copied {
            Ok(hash) if hash == key.hash || fs::fault::mutated("materialize-verify") => return Ok(draft),
            Ok(_) | Err(CopyError::Short) => {
                self.owner.cache.quarantine(key);
                Error::Damaged { key }
            }
            Err(CopyError::Read(error) | CopyError::Write(error)) => fs::at(&full, "copy to")(error).into(),
            Err(CopyError::Interrupted) => Error::Interrupted,
        };
        self.placer.discard(draft);
        Err(failure)
    }

    fn link(
        &mut self,
        spot: Spot<'_>,
        key: RecordKey,
        source: &File,
        link: LinkMode,
    ) -> Result<Draft, Error> {
        let cache = self.owner.cache;
        let path = loose_path(key);
        let hashed = hash_file(source, &mut self.window, &|read| count(&self.portion, read));
        let (hash, _) = match hashed {
            Err(_) if interrupted() => return Err(Error::Interrupted),
            hashed => hashed.map_err(fs::at(&cache.root().join(path.as_str()), "read"))?,
        };
        if hash != key.hash {
            cache.quarantine(key);
            return Err(Error::Damaged { key });
        }
        let Some(dir) = cache.dir() else { return Err(Error::Missing { key }) };
        match link {
            LinkMode::Hardlink => Ok(self.placer.draft_hardlink(spot, dir, &path)?),
            _ => {
                let target = std::path::absolute(dir.full(&path)).unwrap_or_else(|_| dir.full(&path));
                let target = target.to_str().ok_or_else(|| fs::Error::NotUtf8 { path: dir.full(&path) })?;
                Ok(self.placer.draft_symlink(spot, target)?)
            }
        }
    }
}
