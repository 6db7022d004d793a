//! Stores records: many small ones in packs, large or few ones in files of their own.
//!
//! Nothing counts before [`CacheWriter::finish`], which makes all of it durable in the order
//! packs, segment, and returns only then (I1, R8). A crash leaves packs that no segment names
//! and files in `stage/`: invisible, and removed later.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::fs::dir::Dir;
use crate::fs::file::OutFile;
use crate::fs::staging::Staging;
use crate::fs::{self, random_bytes};
use crate::model::digest::Digest;
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::pack::format::{Codec, MAX_RAW, TARGET_PACK};
use crate::pack::reader::is_named;
use crate::pack::writer::{PackWriter, SealedPack};
use crate::store::Error;
use crate::store::cache::{Cache, Opened};
use crate::store::layout;
use crate::store::presence::Presence;
use crate::store::publish::{self, Draft};

/// What an operation stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// Packs written.
    pub packs: u64,
    /// Records written as files of their own.
    pub loose: u64,
    /// Records written, packed or loose.
    pub records: u64,
    /// Bytes of these records.
    pub bytes: u64,
}

/// Stores into one cache; used by any number of threads. Peak memory is 10 MiB and what the
/// threads hold.
pub struct CacheWriter<'c> {
    pub(super) cache: &'c Cache,
    presence: Presence,
    staging: OnceLock<Staging>,
    state: Mutex<State>,
    /// Set when the file system turned out to share no blocks between work tree and cache.
    pub(super) lacks_reflinks: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Everything that this writer has taken.
    seen: HashSet<RecordKey>,
    /// Small records, as long as there are too few for a pack.
    small: Vec<(RecordKey, Box<[u8]>)>,
    is_packing: bool,
    pack: Option<Pack>,
    sealed: Vec<SealedPack>,
    drafts: Vec<Draft>,
    draft_bytes: u64,
    is_broken: bool,
    stats: WriteStats,
}

/// A pack under construction.
struct Pack {
    name: String,
    writer: PackWriter<BufWriter<OutFile>>,
}

/// Records that one thread gathered, so that the lock is taken once for many.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<(RecordKey, std::ops::Range<usize>)>,
}

/// Packs go out in writes of this size.
pub(super) const WRITE: usize = 1 << 20;
/// After so many packs what is there is made visible: a crash then loses at most 2 GiB of work.
const PACKS_A_SEGMENT: usize = 64;
/// So many loose files, or bytes of them, are published together.
const MAX_DRAFTS: usize = 256;
const MAX_DRAFT_BYTES: u64 = 1 << 30;

impl<'c> CacheWriter<'c> {
    /// A writer that leaves out what `presence` has.
    pub(super) fn new(cache: &'c Cache, presence: Presence) -> CacheWriter<'c> {
        CacheWriter {
            cache,
            presence,
            staging: OnceLock::new(),
            state: Mutex::default(),
            lacks_reflinks: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&self) -> Result<&'c Opened, Error> {
        self.cache.created()
    }

    /// This writer's folder in `stage/`, made at the first use.
    pub(super) fn staging(&self) -> Result<&Staging, Error> {
        if let Some(staging) = self.staging.get() {
            return Ok(staging);
        }
        let staging = self.cache.staging()?;
        // Another thread may have been faster: then this one's folder goes away again.
        Ok(self.staging.get_or_init(|| staging))
    }

    /// Whether the cache held the record when the writer was made, or the writer has taken it.
    pub fn has(&self, key: RecordKey) -> bool {
        self.presence.has(key) || self.lock().seen.contains(&key)
    }

    /// What the cache held when the writer was made.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Stores a record of up to 16 MiB after checking its name; false if it was there already.
    pub fn put_record(&self, key: RecordKey, bytes: &[u8]) -> Result<bool, Error> {
        if !is_named(key, bytes) {
            return Err(Error::WrongBytes { expected: key.hash, found: Digest::of(bytes) });
        }
        self.put_verified(key, bytes)
    }

    /// Stores a record of up to 16 MiB whose bytes the caller has just hashed to its name.
    pub fn put_verified(&self, key: RecordKey, bytes: &[u8]) -> Result<bool, Error> {
        if self.presence.has_whole(key, bytes.len() as u64) {
            return Ok(false);
        }
        if self.is_loose(key.kind, bytes.len() as u64) {
            return self.put_loose(key, bytes);
        }
        self.put_batch(&[(key, bytes)])
    }

    /// Whether a record of this size gets a file of its own, however many there are.
    pub(super) fn is_loose(&self, kind: RecordKind, len: u64) -> bool {
        let limit = match kind {
            RecordKind::File => self.cache.options().pack_below.min(u64::from(MAX_RAW)),
            _ => u64::from(MAX_RAW),
        };
        len >= limit
    }

    /// Stores what a thread gathered and empties the batch.
    pub(super) fn flush(&self, batch: &mut Batch) -> Result<(), Error> {
        let records: Vec<_> =
            batch.records.iter().map(|(key, range)| (*key, &batch.bytes[range.clone()])).collect();
        self.put_batch(&records)?;
        batch.records.clear();
        batch.bytes.clear();
        Ok(())
    }

    /// True if one of them was not seen before.
    fn put_batch(&self, records: &[(RecordKey, &[u8])]) -> Result<bool, Error> {
        let mut full = Vec::new();
        let outcome = {
            let mut state = self.lock();
            let outcome = self.take(&mut state, records, &mut full);
            state.is_broken |= outcome.is_err();
            outcome
        };
        // Outside the lock: other threads fill the next pack while this one becomes durable.
        for pack in full {
            self.seal(pack)?;
        }
        outcome
    }

    fn take(
        &self,
        state: &mut State,
        records: &[(RecordKey, &[u8])],
        full: &mut Vec<Pack>,
    ) -> Result<bool, Error> {
        if state.is_broken {
            return Err(Error::Broken);
        }
        let mut is_new = false;
        for (key, bytes) in records {
            if !state.seen.insert(*key) {
                continue;
            }
            is_new = true;
            state.stats.records += 1;
            state.stats.bytes += bytes.len() as u64;
            if state.is_packing {
                self.append(state, *key, bytes, full)?;
                continue;
            }
            state.small.push((*key, (*bytes).into()));
            if state.small.len() >= self.cache.options().pack_from {
                state.is_packing = true;
                for (key, bytes) in std::mem::take(&mut state.small) {
                    self.append(state, key, &bytes, full)?;
                }
            }
        }
        Ok(is_new)
    }

    fn append(
        &self,
        state: &mut State,
        key: RecordKey,
        bytes: &[u8],
        full: &mut Vec<Pack>,
    ) -> Result<(), Error> {
        let is_full = |pack: &Pack| pack.writer.sealed_len() >= TARGET_PACK || !pack.writer.fits(bytes.len());
        if state.pack.as_ref().is_some_and(is_full) {
            full.extend(state.pack.take());
        }
        let pack = match &mut state.pack {
            Some(pack) => pack,
            none => none.insert(self.start_pack()?),
        };
        let pushed = pack.writer.push(key, Codec::Raw, bytes.len() as u32, bytes);
        pushed.map_err(|source| self.pack_failed(&pack.name, source))
    }

    fn start_pack(&self) -> Result<Pack, Error> {
        let staging = self.staging()?;
        let name = staging.next_name();
        let file = BufWriter::with_capacity(WRITE, staging.dir().create_file(&RepoPath::own(&name), 0o600)?);
        let writer =
            PackWriter::new(file, random_bytes()).map_err(|source| self.pack_failed(&name, source))?;
        Ok(Pack { name, writer })
    }

    fn pack_failed(&self, name: &str, source: crate::pack::Error) -> Error {
        let path = self
            .staging
            .get()
            .map_or_else(|| self.cache.root().to_path_buf(), |at| at.dir().path().join(name));
        match source {
            // Said as a failure of the file, so that a full disk is called that.
            crate::pack::Error::Write(source) => fs::at(&path, "write")(source).into(),
            source => Error::Pack { path, source },
        }
    }

    /// Ends a pack, makes it durable and gives it its name. No segment names it yet.
    fn seal(&self, pack: Pack) -> Result<(), Error> {
        let sealed = self.try_seal(pack);
        let mut state = self.lock();
        match sealed {
            Ok(sealed) => {
                state.stats.packs += 1;
                state.sealed.push(sealed);
            }
            Err(error) => {
                state.is_broken = true;
                return Err(error);
            }
        }
        if state.sealed.len() < PACKS_A_SEGMENT {
            return Ok(());
        }
        let sealed = std::mem::take(&mut state.sealed);
        drop(state);
        self.or_broken(publish::segment(self, &sealed))
    }

    fn or_broken<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.is_err() {
            self.lock().is_broken = true;
        }
        outcome
    }

    fn try_seal(&self, pack: Pack) -> Result<SealedPack, Error> {
        let Pack { name, writer } = pack;
        let (sealed, mut file) = writer.finish().map_err(|source| self.pack_failed(&name, source))?;
        let opened = self.opened()?;
        file.flush()
            .and_then(|()| file.get_ref().set_mode(opened.trust.file_mode()))
            .and_then(|()| file.get_ref().sync_data())
            .map_err(self.stage_failed(&name, "write"))?;
        let path = layout::pack_path(sealed.id);
        publish::rename(self, &name, &path)?;
        if let Some(stamp) = opened.dir.stat(&path)? {
            self.cache.own_packs.note(sealed.id, stamp);
        }
        Ok(sealed)
    }

    /// A file in the staging folder for something that becomes a loose record.
    pub(super) fn draft(&self) -> Result<(String, OutFile), Error> {
        let staging = self.staging()?;
        let name = staging.next_name();
        let file = staging.dir().create_file(&RepoPath::own(&name), 0o600)?;
        Ok((name, file))
    }

    /// Throws such a file away.
    pub(super) fn discard(&self, name: &str) {
        if let Some(staging) = self.staging.get() {
            let _ = staging.dir().remove_file(&RepoPath::own(name));
        }
    }

    pub(super) fn stage_failed(
        &self,
        name: &str,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Error + '_ {
        let path = self
            .staging
            .get()
            .map_or_else(|| self.cache.root().to_path_buf(), |at| at.dir().path().join(name));
        move |source| fs::at(&path, action)(source).into()
    }

    fn put_loose(&self, key: RecordKey, bytes: &[u8]) -> Result<bool, Error> {
        let (name, mut file) = self.draft()?;
        if let Err(error) = file.write_all(bytes) {
            self.discard(&name);
            return Err(self.stage_failed(&name, "write")(error));
        }
        self.put_draft(Draft { name, key, len: bytes.len() as u64, file: Some(file) })
    }

    /// Takes a written file as the record it was hashed to; false if that is there already.
    pub(super) fn put_draft(&self, draft: Draft) -> Result<bool, Error> {
        if self.presence.has_whole(draft.key, draft.len) {
            self.discard(&draft.name);
            return Ok(false);
        }
        let mut state = self.lock();
        if state.is_broken {
            return Err(Error::Broken);
        }
        if !state.seen.insert(draft.key) {
            drop(state);
            self.discard(&draft.name);
            return Ok(false);
        }
        state.stats.records += 1;
        state.stats.loose += 1;
        state.stats.bytes += draft.len;
        state.draft_bytes += draft.len;
        state.drafts.push(draft);
        if state.drafts.len() < MAX_DRAFTS && state.draft_bytes < MAX_DRAFT_BYTES {
            // Of many, the whole file system is synced: no need to hold them open.
            if state.drafts.len() > publish::FEW && cfg!(target_os = "linux") {
                state.drafts.iter_mut().for_each(|draft| draft.file = None);
            }
            return Ok(true);
        }
        let drafts = std::mem::take(&mut state.drafts);
        state.draft_bytes = 0;
        drop(state);
        self.or_broken(publish::loose(self, drafts)).map(|()| true)
    }

    /// Makes everything durable and visible. After a failure what was visible before still is,
    /// and what this writer took is not to be relied on.
    pub fn finish(self) -> Result<WriteStats, Error> {
        let (small, pack) = {
            let mut state = self.lock();
            if state.is_broken {
                return Err(Error::Broken);
            }
            (std::mem::take(&mut state.small), state.pack.take())
        };
        for (key, bytes) in small {
            // Too few for a pack. They were counted when they were taken.
            let (name, mut file) = self.draft()?;
            file.write_all(&bytes).map_err(self.stage_failed(&name, "write"))?;
            let mut state = self.lock();
            state.stats.loose += 1;
            state.drafts.push(Draft { name, key, len: bytes.len() as u64, file: Some(file) });
        }
        if let Some(pack) = pack {
            self.seal(pack)?;
        }
        let (drafts, sealed, stats) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.drafts), std::mem::take(&mut state.sealed), state.stats)
        };
        publish::loose(&self, drafts)?;
        publish::segment(&self, &sealed)?;
        if stats.records > 0 {
            self.cache.forget_packed();
            publish::merge_tiers(&self);
        }
        Ok(stats)
    }
}

/// A path below the cache's root of a file in a writer's staging folder.
pub(super) fn staged(staging: &Staging, name: &str) -> RepoPath {
    RepoPath::own(&format!("{}/{}/{name}", layout::STAGE, staging.name()))
}

/// The cache's folder of a writer.
pub(super) fn dir<'c>(writer: &CacheWriter<'c>) -> Result<&'c Dir, Error> {
    Ok(&writer.opened()?.dir)
}
