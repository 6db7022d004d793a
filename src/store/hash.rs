//! Hashes files of the work tree without storing them: what `status` and `diff` need.

use std::fs::File;
use std::io::Read;

use crate::fs;
use crate::fs::dir::{Dir, stamp_of};
use crate::fs::stamp::{COARSE_NS, FileKind, FileStamp, granularity_ns};
use crate::model::digest::{Digest, Hasher, ObjectId};
use crate::model::path::RepoPath;
use crate::par;
use crate::report::{Meter, Portion, interrupted};
use crate::store::statindex::{is_settled, now_ns};
use crate::store::{Error, Ingested};

/// One read.
const BLOCK: usize = 256 << 10;
/// So many neighbouring files one thread takes at a time.
const RUN: usize = 16;

/// Hashes files and symlinks below `base`, each by its path below it and its kind, on up to `jobs`
/// threads. Bytes are counted by `meter`; the results are in the order of the files.
///
/// A file that fails, or that changes while it is read twice in a row, does not stop the others;
/// a request to stop does. Nothing is stored: `is_new` is false throughout.
pub fn hash_all(
    dir: &Dir,
    base: &RepoPath,
    files: &[(&str, FileKind)],
    jobs: usize,
    meter: &dyn Meter,
) -> Result<Vec<Result<Ingested, Error>>, Error> {
    let start = || (Vec::new(), Vec::new(), Portion::of(meter));
    let parts = par::runs(jobs, files.len(), RUN, start, |(block, done, portion), range| {
        for index in range {
            if interrupted() {
                return false;
            }
            let (name, kind) = files[index];
            let outcome = hash_one(dir, &base.join_entry(name), kind, (block, portion));
            if outcome.is_err() && interrupted() {
                return false;
            }
            portion.end(outcome.as_ref().map_or(0, |hashed| hashed.size));
            done.push((index, outcome));
        }
        true
    });
    let mut results: Vec<(usize, Result<Ingested, Error>)> =
        parts.into_iter().flat_map(|(_, done, _)| done).collect();
    if results.len() < files.len() {
        return Err(Error::Interrupted);
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, outcome)| outcome).collect())
}

fn hash_one(
    dir: &Dir,
    path: &RepoPath,
    kind: FileKind,
    (block, meter): (&mut Vec<u8>, &dyn Meter),
) -> Result<Ingested, Error> {
    if kind == FileKind::Symlink {
        let before_ns = now_ns();
        let (target, stamp) = dir.read_link_stamped(path.as_str())?;
        let stamp = FileStamp { size: target.len() as u64, ..stamp };
        return Ok(hashed(dir, Digest::of(target.as_bytes()), stamp, before_ns));
    }
    let failed = |source| fs::Error::Io { action: "read", path: dir.full(path), source };
    for _ in 0..2 {
        let before_ns = now_ns();
        let (file, stamp) = dir.open_file_stamped(path)?;
        let (hash, len) = hash_file(&file, block, &|read| count(meter, read)).map_err(failed)?;
        let after = stamp_of(&file).map_err(failed)?;
        if len == stamp.size && stamp.has_same_bytes(&after) && stamp.ctime_ns == after.ctime_ns {
            return Ok(hashed(dir, hash, stamp, before_ns));
        }
    }
    Err(fs::Error::ChangedMeanwhile { path: dir.full(path) }.into())
}

/// Counts what was read, and stops the reading if the user asked to stop.
pub(super) fn count(meter: &dyn Meter, read: u64) -> std::io::Result<()> {
    meter.inc(read);
    if interrupted() { Err(std::io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// The hash of what a file holds from its position on, and how many bytes that is. `each` is told of
/// every piece that was read, and its error ends the reading.
pub(super) fn hash_file(
    mut file: &File,
    block: &mut Vec<u8>,
    each: &dyn Fn(u64) -> std::io::Result<()>,
) -> std::io::Result<(Digest, u64)> {
    block.resize(BLOCK, 0);
    let mut hasher = Hasher::new();
    let mut len = 0;
    loop {
        match file.read(block) {
            Ok(0) => return Ok((hasher.finish(), len)),
            Ok(count) => {
                hasher.update(&block[..count]);
                len += count as u64;
                each(count as u64)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hashed(dir: &Dir, hash: Digest, stamp: FileStamp, before_ns: i64) -> Ingested {
    let is_settled =
        is_settled(&stamp, before_ns, COARSE_NS) || is_settled(&stamp, before_ns, granularity_ns(dir));
    Ingested { id: ObjectId(hash), size: stamp.size, stamp, is_settled, is_new: false }
}
