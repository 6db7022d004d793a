//! The cache: every object, page and recipe of this machine, wherever it lies.
//!
//! Readers take no lock and trust nothing: whatever is read is hashed, what does not match goes
//! to `bad/`, and the next source is tried (R4). Content-addressed files are created whole
//! under their final name and never changed (I4).

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::fs::dir::Dir;
use crate::fs::link::LinkMode;
use crate::fs::staging::Staging;
use crate::fs::{self, at, atomic};
use crate::model::digest::{Digest, ObjectId, RunKey};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::pack::format::MAX_RAW;
use crate::pack::reader::is_named;
use crate::pack::segment::Location;
use crate::store::hash::hash_file;
use crate::store::layout::{self, loose_path};
use crate::store::own_packs::OwnPacks;
use crate::store::packed::{Packed, ReadError, names};
use crate::store::presence::Presence;
use crate::store::writer::CacheWriter;
use crate::store::{Error, Trust};

/// How a cache stores and hands out objects.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Files of fewer bytes go to packs, when an operation brings many; 0 packs none.
    pub pack_below: u64,
    /// From how many small records on an operation packs them.
    pub pack_from: usize,
    /// How checkout links loose objects: the first that works, copying if none does.
    pub links: Vec<LinkMode>,
    /// Whom a new cache is made for; an existing one says so itself.
    pub trust: Trust,
    /// The file that says that this folder held a cache before, so that none is made again where a disk is
    /// not mounted; nothing where a cache may go and be made again at any time.
    pub seen: Option<PathBuf>,
}

impl Default for CacheOptions {
    fn default() -> CacheOptions {
        CacheOptions {
            pack_below: 128 << 10,
            pack_from: 64,
            links: vec![LinkMode::Reflink, LinkMode::Copy],
            trust: Trust::Own,
            seen: None,
        }
    }
}

/// The local store of objects, tree pages, recipes and run records.
pub struct Cache {
    root: PathBuf,
    options: CacheOptions,
    opened: OnceLock<Opened>,
    noted: OnceLock<()>,
    packed: RwLock<Option<Arc<Packed>>>,
    pub(super) own_packs: Arc<OwnPacks>,
}

pub(super) struct Opened {
    pub(super) dir: Arc<Dir>,
    pub(super) trust: Trust,
}

impl Cache {
    /// A cache at `root`, which is made by the first write.
    ///
    /// Fails with `UnknownCache` if another version of the format lies there.
    pub fn open(root: &Path, options: CacheOptions) -> Result<Cache, Error> {
        let cache = Cache {
            root: root.to_path_buf(),
            options,
            opened: OnceLock::new(),
            noted: OnceLock::new(),
            packed: RwLock::new(None),
            own_packs: Arc::default(),
        };
        cache.look()?;
        Ok(cache)
    }

    /// Opens the folder if a cache lies there.
    fn look(&self) -> Result<(), Error> {
        let dir = match Dir::open(&self.root) {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        if let Some(trust) = layout::read_marker(&dir)? {
            // Of two threads that look at once the first one's handle stays.
            let _ = self.opened.set(Opened { dir: Arc::new(dir), trust });
        }
        Ok(())
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How it stores and hands out.
    pub fn options(&self) -> &CacheOptions {
        &self.options
    }

    /// The cache's folder, if it was made, perhaps by another process and just now.
    pub fn dir(&self) -> Option<&Arc<Dir>> {
        if self.opened.get().is_none() {
            self.look().ok()?;
        }
        self.opened.get().map(|opened| &opened.dir)
    }

    /// The cache's folder, made if it is missing. Fails with `Vanished` if it was here before.
    pub(super) fn created(&self) -> Result<&Opened, Error> {
        if let Some(opened) = self.opened.get() {
            self.noted.get_or_init(|| self.note_seen());
            return Ok(opened);
        }
        if self.options.seen.as_ref().is_some_and(|seen| seen.is_file()) {
            self.look()?;
            return self.opened.get().ok_or_else(|| Error::Vanished { path: self.root.clone() });
        }
        let trust = self.options.trust;
        let dir = Dir::create(&self.root, Some(trust.dir_mode()))?;
        let trust = match layout::read_marker(&dir)? {
            Some(trust) => trust,
            None => {
                layout::write_marker(&dir, trust)?;
                trust
            }
        };
        self.noted.get_or_init(|| self.note_seen());
        Ok(self.opened.get_or_init(|| Opened { dir: Arc::new(dir), trust }))
    }

    /// Remembers that the cache is here.
    fn note_seen(&self) {
        let Some(seen) = self.options.seen.as_ref().filter(|seen| !seen.is_file()) else { return };
        let (Some(folder), Some(name)) = (seen.parent(), seen.file_name().and_then(|name| name.to_str()))
        else {
            return;
        };
        let noted =
            Dir::open(folder).and_then(|dir| atomic::write_hint(&dir, &RepoPath::own(name), &[b"\n"]));
        // Without it a cache that vanishes is made anew instead of being missed.
        if let Err(error) = noted {
            tracing::debug!(%error, "cannot remember the cache");
        }
    }

    /// The packed records, read at the first question.
    pub(super) fn packed(&self) -> Option<Arc<Packed>> {
        let dir = self.dir()?;
        let known = self.packed.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return known;
        }
        let mut slot = self.packed.write().unwrap_or_else(PoisonError::into_inner);
        Some(slot.get_or_insert_with(|| Arc::new(self.load_packed(dir))).clone())
    }

    fn load_packed(&self, dir: &Arc<Dir>) -> Packed {
        Packed::load(dir.clone(), Arc::clone(&self.own_packs))
    }

    /// Forgets what was read of packs, so that the next question reads it again.
    pub(super) fn forget_packed(&self) {
        *self.packed.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the record, or one that serves, is there. Sees what others wrote meanwhile.
    pub fn has(&self, key: RecordKey) -> bool {
        let is_here = || {
            let is_packed = self.packed().is_some_and(|packed| packed.contains(key));
            is_packed || self.loose_len(key).is_some()
        };
        is_here() || (self.has_news() && is_here())
    }

    /// True if packs came or went since they were read, which are then read again.
    fn has_news(&self) -> bool {
        let stale = self.packed().is_some_and(|packed| !packed.is_current());
        if stale {
            self.forget_packed();
        }
        stale
    }

    /// Answers many questions about what is there, as of now.
    pub fn snapshot(&self) -> Presence {
        if self.packed().is_some_and(|packed| !packed.is_current()) {
            self.forget_packed();
        }
        Presence::new(self.dir().cloned(), self.packed())
    }

    fn loose_len(&self, key: RecordKey) -> Option<u64> {
        let stamp = self.dir()?.stat(&loose_path(key)).ok()??;
        (stamp.kind == fs::stamp::FileKind::File).then_some(stamp.size)
    }

    /// Size of an object in bytes, if it is there.
    pub fn object_len(&self, id: ObjectId) -> Option<u64> {
        let key = RecordKey { hash: id.digest(), kind: RecordKind::File };
        let packed = || self.packed()?.find(key).next().map(|at| u64::from(at.raw_len));
        packed().or_else(|| self.loose_len(key)).or_else(|| if self.has_news() { packed() } else { None })
    }

    /// Whether an object is there, according to `presence` and with `len` bytes, as far as its length
    /// tells: one of another length is read, and put aside where it is damaged. A crash of the machine
    /// or a full disk cuts files short; then it is somebody else's to give, and not this one's for ever.
    pub fn has_sound(&self, presence: &Presence, id: ObjectId, len: u64) -> bool {
        let key = RecordKey { hash: id.digest(), kind: RecordKind::File };
        presence.has_whole(key, len) || (presence.has(key) && self.is_sound(id, &mut Vec::new()))
    }

    /// Whether an object is there and its bytes are right: all of them are read and hashed.
    ///
    /// For whoever is about to delete another copy (R2, R8); `buffer` is working memory. What turns
    /// out to be damaged is put aside, and what cannot be read does not count as there.
    pub fn is_sound(&self, id: ObjectId, buffer: &mut Vec<u8>) -> bool {
        let key = RecordKey { hash: id.digest(), kind: RecordKind::File };
        if fs::fault::mutated("saved-check") {
            return self.has(key);
        }
        let is_packed = self.packed().is_some_and(|packed| packed.find(key).next().is_some());
        if !is_packed && let Ok(Some(file)) = self.open_loose(key) {
            match hash_file(&file, buffer, &|_| Ok(())) {
                Ok((found, _)) if found == key.hash => return true,
                Ok(_) => self.quarantine(key),
                Err(_) => {}
            }
        }
        self.read_record(key).is_ok()
    }

    /// The verified bytes of a record of up to 16 MiB.
    ///
    /// Fails with `Missing`, or with `Damaged` when all that is there does not match its hash.
    pub fn read_record(&self, key: RecordKey) -> Result<Vec<u8>, Error> {
        let mut found = Found::default();
        for attempt in 0..2 {
            if let Some(bytes) = self.read_packed(key, &mut found)? {
                return Ok(bytes);
            }
            if let Some(bytes) = self.read_loose(key, &mut found)? {
                return Ok(bytes);
            }
            // A pack that went away was merged into another one, which its new segment names.
            if attempt == 0 && !found.vanished && !self.has_news() {
                break;
            }
        }
        Err(if found.damaged { Error::Damaged { key } } else { Error::Missing { key } })
    }

    /// What is here of the records of a run, the newest first: they are found by its inputs, and with the
    /// same inputs it may have made something else. What cannot be read is left out.
    pub fn run_records(&self, key: RunKey) -> Vec<Vec<u8>> {
        let key = RecordKey { hash: key.digest(), kind: RecordKind::RunRecord };
        self.has_news();
        let mut found = Found::default();
        let loose = self.read_loose(key, &mut found);
        let packed = self.read_packed(key, &mut found);
        [loose, packed].into_iter().filter_map(|read| read.ok().flatten()).collect()
    }

    /// Stores a record of a run, durably, of which there is another one already: it is found first.
    pub fn replace_run_record(&self, key: RunKey, bytes: &[u8]) -> Result<(), Error> {
        let Opened { dir, trust } = self.created()?;
        let path = loose_path(RecordKey { hash: key.digest(), kind: RecordKind::RunRecord });
        if let Some(folder) = path.parent() {
            dir.create_dir_all_with(&folder, trust.dir_mode())?;
        }
        Ok(atomic::write(dir, &path, bytes, Some(trust.file_mode()))?)
    }

    fn read_packed(&self, key: RecordKey, found: &mut Found) -> Result<Option<Vec<u8>>, Error> {
        let Some(packed) = self.packed() else { return Ok(None) };
        for place in packed.find(key) {
            match packed.read(key, &place) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(ReadError::Vanished) => {
                    found.vanished = true;
                    self.forget_packed();
                }
                Err(ReadError::Damaged) => {
                    found.damaged = true;
                    self.note_damage(&place);
                }
                Err(ReadError::Io(source)) => {
                    let path = self.root.join(layout::pack_path(place.pack).as_str());
                    return Err(at(&path, "read")(source).into());
                }
            }
        }
        Ok(None)
    }

    fn read_loose(&self, key: RecordKey, found: &mut Found) -> Result<Option<Vec<u8>>, Error> {
        let Some(dir) = self.dir() else { return Ok(None) };
        match dir.read_file(&loose_path(key), u64::from(MAX_RAW)) {
            Ok(bytes) if is_named(key, &bytes) => Ok(Some(bytes)),
            Ok(_) => {
                found.damaged = true;
                self.quarantine(key);
                Ok(None)
            }
            Err(fs::Error::TooLarge { size, .. }) => Err(Error::TooLarge { key, size }),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Fills `bytes` with what an object holds from `offset`; returns how many there were.
    ///
    /// For slices of large objects: what comes back is not verified, the caller knows the
    /// slice's own hash.
    pub fn read_object_at(&self, id: ObjectId, offset: u64, bytes: &mut [u8]) -> Result<usize, Error> {
        let key = RecordKey { hash: id.digest(), kind: RecordKind::File };
        let Some(file) = self.open_loose(key)? else {
            let whole = self.read_record(key)?;
            let from = whole.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
            let count = from.len().min(bytes.len());
            bytes[..count].copy_from_slice(&from[..count]);
            return Ok(count);
        };
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at(&self.root.join(loose_path(key).as_str()), "read")(error).into()),
            }
        }
        Ok(filled)
    }

    /// A loose object's file; nothing if it is not there.
    pub(super) fn open_loose(&self, key: RecordKey) -> Result<Option<File>, Error> {
        let Some(dir) = self.dir() else { return Ok(None) };
        match dir.open_file(&loose_path(key)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts to store; nothing of it counts before [`CacheWriter::finish`].
    pub fn writer(&self) -> Result<CacheWriter<'_>, Error> {
        Ok(CacheWriter::new(self, self.snapshot()))
    }

    /// A folder of this process's own in `stage/`.
    pub(super) fn staging(&self) -> Result<Staging, Error> {
        let Opened { dir, trust } = self.created()?;
        dir.create_dir_all_with(&RepoPath::own(layout::STAGE), trust.dir_mode())?;
        Ok(Staging::create(dir.open_dir(&RepoPath::own(layout::STAGE))?)?)
    }

    /// Hashes of records that were damaged and taken out of use, now or before; some may be here again.
    pub fn taken_out_of_use(&self) -> HashSet<Digest> {
        let Some(dir) = self.dir() else { return HashSet::new() };
        let names = names(dir, &RepoPath::own(layout::BAD));
        let loose = names.iter().filter_map(|name| name.split_once('-')?.0.parse().ok());
        let packed = self.packed();
        let packed = packed.iter().flat_map(|packed| packed.damaged_records()).map(|key| key.hash);
        loose.chain(packed).collect()
    }

    /// Moves a damaged loose record to `bad/`, where nothing reads it.
    ///
    /// Best effort: in a cache that cannot be written, it stays and is refused again.
    pub fn quarantine(&self, key: RecordKey) {
        let Some(dir) = self.dir() else { return };
        let random = fs::random_bytes::<4>();
        let name = format!("{}/{}-{:08x}", layout::BAD, key.hash, u32::from_le_bytes(random));
        if dir.create_dir_all(&RepoPath::own(layout::BAD)).is_ok() {
            let _ = dir.rename_new(&loose_path(key), &RepoPath::own(&name));
        }
    }

    /// Notes that one record of a pack is damaged: it is not read any more, and may be stored anew.
    pub(super) fn note_damage(&self, place: &Location) {
        let Some(dir) = self.dir() else { return };
        if dir.create_dir_all(&RepoPath::own(layout::BAD)).is_ok() {
            let _ = dir.create_file(&layout::bad_note(place.pack, place.offset), 0o444);
        }
        self.forget_packed();
    }
}

/// What came in the way of a record.
#[derive(Default)]
struct Found {
    /// Bytes that do not match.
    damaged: bool,
    /// A pack that is gone.
    vanished: bool,
}
