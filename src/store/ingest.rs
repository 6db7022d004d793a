//! Takes files of the work tree into the cache, each read once: hashed and stored on the way.
//!
//! Open without following a link, fstat, read to the end, fstat again: if the two differ, once
//! more from the start, then the file "changed meanwhile". Nothing is mapped: a file that
//! others shrink would be a fatal signal.

use std::cell::OnceCell;
use std::fs::File;
use std::sync::atomic::Ordering;

use crate::fs;
use crate::fs::dir::{Dir, stamp_of};
use crate::fs::file::{OutFile, append_from};
use crate::fs::stamp::{COARSE_NS, FileKind, FileStamp, granularity_ns};
use crate::model::digest::{Digest, ObjectId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::par;
use crate::report::{Meter, Portion, interrupted};
use crate::store::Error;
use crate::store::copy::{CopyError, Source, copy_hashing};
use crate::store::publish::Draft;
use crate::store::statindex::{is_settled, now_ns};
use crate::store::writer::{Batch, CacheWriter};

/// A file as it was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// The name of its bytes; of a symlink, of its target text.
    pub id: ObjectId,
    /// How many there are.
    pub size: u64,
    /// Its stamp before and after it was read.
    pub stamp: FileStamp,
    /// Whether the stamp may be remembered with the hash: it cannot hide a later change.
    pub is_settled: bool,
    /// Whether the cache did not hold the object when the operation began.
    pub is_new: bool,
}

/// So much a thread gathers before it takes the writer's lock.
const BATCH: usize = 512 << 10;
/// So many neighbouring files one thread takes at a time.
const RUN: usize = 16;

impl CacheWriter<'_> {
    /// Takes in files and symlinks below `base`, each by its path below it and its kind, on up
    /// to `jobs` threads. Bytes are counted by `meter`.
    ///
    /// The results are in the order of the files; one that fails, with `ChangedMeanwhile` if it changed
    /// while it was read, twice, does not stop the others. A
    /// failure of the cache itself, or a request to stop, ends it all.
    pub fn ingest_all(
        &self,
        dir: &Dir,
        base: &RepoPath,
        files: &[(&str, FileKind)],
        jobs: usize,
        meter: &dyn Meter,
    ) -> Result<Vec<Result<Ingested, Error>>, Error> {
        let start = || (Worker::new(self, dir, meter), Vec::new(), None);
        let parts = par::runs(jobs, files.len(), RUN, start, |(worker, done, failure), range| {
            for index in range {
                let (name, kind) = files[index];
                let outcome = worker.below(base.as_str(), name, kind);
                worker.portion.end(outcome.as_ref().map_or(0, |ingested| ingested.size));
                if interrupted() || matches!(outcome, Err(Error::Broken | Error::Interrupted)) {
                    *failure = Some(outcome.err().unwrap_or(Error::Interrupted));
                    return false;
                }
                done.push((index, outcome));
            }
            if worker.batch.bytes.len() >= BATCH
                && let Err(error) = self.flush(&mut worker.batch)
            {
                *failure = Some(error);
                return false;
            }
            true
        });
        let mut results = Vec::with_capacity(files.len());
        let mut failures = Vec::new();
        for (worker, done, failure) in parts {
            failures.extend(failure.or_else(|| worker.finish().err()));
            results.extend(done);
        }
        // Threads that came later know only that the writer is broken, one knows why.
        let cause = failures.iter().position(|failure| !matches!(failure, Error::Broken)).unwrap_or(0);
        if !failures.is_empty() {
            return Err(failures.swap_remove(cause));
        }
        results.sort_unstable_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, outcome)| outcome).collect())
    }
}

/// What one thread needs to take in files.
struct Worker<'w, 'c> {
    writer: &'w CacheWriter<'c>,
    dir: &'w Dir,
    batch: Batch,
    block: Vec<u8>,
    path: String,
    /// The file at hand.
    portion: Portion<'w>,
    /// Of the clock of the files' file system, once it was asked for.
    granularity_ns: OnceCell<i64>,
}

/// How an attempt to take in a file ended.
enum Attempt {
    Done(Ingested),
    /// Its stamp or length was another one after the reading.
    Changed,
}

impl<'w, 'c> Worker<'w, 'c> {
    fn new(writer: &'w CacheWriter<'c>, dir: &'w Dir, meter: &'w dyn Meter) -> Worker<'w, 'c> {
        Worker {
            writer,
            dir,
            batch: Batch::default(),
            block: Vec::new(),
            path: String::new(),
            portion: Portion::of(meter),
            granularity_ns: OnceCell::new(),
        }
    }

    fn finish(mut self) -> Result<(), Error> {
        if self.batch.records.is_empty() { Ok(()) } else { self.writer.flush(&mut self.batch) }
    }

    fn below(&mut self, base: &str, name: &str, kind: FileKind) -> Result<Ingested, Error> {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        path.push_str(base);
        if !base.is_empty() {
            path.push('/');
        }
        path.push_str(name);
        let outcome = if kind == FileKind::Symlink { self.symlink(&path) } else { self.file(&path) };
        self.path = path;
        outcome
    }

    fn file(&mut self, path: &str) -> Result<Ingested, Error> {
        for _ in 0..2 {
            if let Attempt::Done(ingested) = self.attempt(path)? {
                return Ok(ingested);
            }
        }
        Err(fs::Error::ChangedMeanwhile { path: self.dir.path().join(path) }.into())
    }

    fn attempt(&mut self, path: &str) -> Result<Attempt, Error> {
        let before_ns = now_ns();
        let (file, stamp) = self.dir.open_for_reading(path)?;
        if self.writer.is_loose(RecordKind::File, stamp.size) {
            return self.large(path, &file, &stamp, before_ns);
        }
        let failed =
            |error| fs::Error::Io { action: "read", path: self.dir.path().join(path), source: error };
        let start = self.batch.bytes.len();
        let mut len = 0;
        // One more than the size says: the read that comes up short has seen the end.
        while len <= stamp.size as usize {
            let room = stamp.size as usize + 1 - len;
            let count = append_from(&file, &mut self.batch.bytes, room).map_err(failed)?;
            len += count;
            if count < room {
                break;
            }
        }
        let after = stamp_of(&file).map_err(failed)?;
        if len as u64 != stamp.size || !is_unchanged(&stamp, &after) {
            self.batch.bytes.truncate(start);
            return Ok(Attempt::Changed);
        }
        let key = RecordKey { hash: Digest::of(&self.batch.bytes[start..]), kind: RecordKind::File };
        let is_new = !self.writer.presence().has_whole(key, stamp.size);
        if is_new {
            self.batch.records.push((key, start..start + len));
        } else {
            self.batch.bytes.truncate(start);
        }
        Ok(Attempt::Done(self.ingested(key, stamp, before_ns, is_new)))
    }

    fn ingested(&self, key: RecordKey, stamp: FileStamp, before_ns: i64, is_new: bool) -> Ingested {
        // Asking the file system for its granularity is only worth it for recent changes.
        let is_settled = is_settled(&stamp, before_ns, COARSE_NS)
            || is_settled(&stamp, before_ns, *self.granularity_ns.get_or_init(|| granularity_ns(self.dir)));
        Ingested { id: ObjectId(key.hash), size: stamp.size, stamp, is_settled, is_new }
    }

    fn symlink(&mut self, path: &str) -> Result<Ingested, Error> {
        let before_ns = now_ns();
        let (target, stamp) = self.dir.read_link_stamped(path)?;
        let key = RecordKey { hash: Digest::of(target.as_bytes()), kind: RecordKind::File };
        let is_new = self.writer.put_verified(key, target.as_bytes())?;
        let stamp = FileStamp { size: target.len() as u64, ..stamp };
        Ok(self.ingested(key, stamp, before_ns, is_new))
    }

    /// A file that gets one of its own in the cache.
    fn large(
        &mut self,
        path: &str,
        file: &File,
        stamp: &FileStamp,
        before_ns: i64,
    ) -> Result<Attempt, Error> {
        let (name, mut out) = self.writer.draft()?;
        let outcome = self.copy(path, file, stamp, &name, &mut out);
        let hash = match outcome {
            Ok(Some(hash)) => hash,
            other => {
                self.writer.discard(&name);
                return other.map(|_| Attempt::Changed);
            }
        };
        let key = RecordKey { hash, kind: RecordKind::File };
        let is_new = !self.writer.presence().has_whole(key, stamp.size);
        self.writer.put_draft(Draft { name, key, len: stamp.size, file: Some(out) })?;
        Ok(Attempt::Done(self.ingested(key, *stamp, before_ns, is_new)))
    }

    /// Copies or clones, and hashes; nothing if the file changed meanwhile.
    fn copy(
        &mut self,
        path: &str,
        file: &File,
        stamp: &FileStamp,
        name: &str,
        out: &mut OutFile,
    ) -> Result<Option<Digest>, Error> {
        let failed = |source| fs::Error::Io { action: "read", path: self.dir.path().join(path), source };
        let lacks_reflinks = &self.writer.lacks_reflinks;
        let mut share = !lacks_reflinks.load(Ordering::Relaxed);
        let source = Source { file, size: stamp.size, meter: &self.portion };
        let copied = copy_hashing(&source, out, &mut share, &mut self.block);
        lacks_reflinks.store(!share, Ordering::Relaxed);
        match copied {
            Ok(hash) => {
                let after = stamp_of(file).map_err(failed)?;
                Ok(is_unchanged(stamp, &after).then_some(hash))
            }
            Err(CopyError::Short) => Ok(None),
            Err(CopyError::Read(error)) => Err(failed(error).into()),
            Err(CopyError::Write(error)) => Err(self.writer.stage_failed(name, "write")(error)),
            Err(CopyError::Interrupted) => Err(Error::Interrupted),
        }
    }
}

/// Nothing says that the file changed: also not its ctime, which no one can put back.
fn is_unchanged(before: &FileStamp, after: &FileStamp) -> bool {
    (before.has_same_bytes(after) && before.ctime_ns == after.ctime_ns)
        || fs::fault::mutated("ingest-recheck")
}
