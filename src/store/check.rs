//! Verifies everything a cache holds: what `fsck` does to it.
//!
//! Every loose record and every record of every pack is read and hashed. What does not match is
//! put aside as any reader would do it; a pack that no readable segment names gets one.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fs::dir::{Dir, DirEntry};
use crate::fs::stamp::FileKind;
use crate::fs::{self, at};
use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::pack::format::{MAX_PACK, MAX_RAW};
use crate::pack::reader::{decode_record, is_named, read_pack, walk_records};
use crate::pack::segment::Location;
use crate::pack::writer::SealedPack;
use crate::par;
use crate::report::{Meter, Portion, interrupted};
use crate::store::cache::Cache;
use crate::store::hash::hash_file;
use crate::store::layout;
use crate::store::packed::Packed;
use crate::store::presence::Presence;
use crate::store::writer::CacheWriter;
use crate::store::{Error, publish};

/// What a check of a cache found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheReport {
    /// Loose records that are right.
    pub loose: u64,
    /// Packs that could be read.
    pub packs: u64,
    /// Records in these packs that are right.
    pub packed: u64,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Records that were damaged, sorted; they were put aside.
    pub damaged: Vec<RecordKey>,
    /// Packs that no segment named, and that one names again.
    pub adopted: u64,
    /// Packs whose own table is damaged, and files that cannot be read: from the cache's root, sorted.
    /// What could be read of the packs lies in others now, and they lie in `bad/`.
    pub broken: Vec<RepoPath>,
    /// Files that are nothing a cache holds, from the cache's root, sorted.
    pub unknown: Vec<RepoPath>,
}

/// One file to be verified.
enum Job {
    Loose { path: RepoPath, hash: Digest, kind: RecordKind },
    Pack { path: RepoPath, id: PackId },
}

impl Cache {
    /// Verifies all that is there on up to `jobs` threads; `meter` counts bytes.
    ///
    /// Peak memory is one pack (48 MiB) a thread. Fails if the user asks to stop.
    pub fn check(&self, jobs: usize, meter: &dyn Meter) -> Result<CacheReport, Error> {
        let Some(dir) = self.dir() else { return Ok(CacheReport::default()) };
        self.forget_packed();
        let (todo, unknown) = list_jobs(dir)?;
        let start = || (Part::default(), Vec::new(), Portion::of(meter));
        let parts = par::runs(jobs, todo.len(), 1, start, |(part, buffer, portion), range| {
            for job in &todo[range] {
                let before = part.report.bytes;
                match job {
                    Job::Loose { path, hash, kind } => {
                        self.check_loose(dir, path, (*hash, *kind), (buffer, portion), part)
                    }
                    Job::Pack { path, id } => self.check_pack(dir, path, *id, part),
                }
                portion.end(part.report.bytes - before);
            }
            !interrupted()
        });
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let mut report = CacheReport { unknown, ..CacheReport::default() };
        let (mut orphans, mut ruins) = (Vec::new(), Vec::new());
        for (part, ..) in parts {
            report.absorb(part.report);
            orphans.extend(part.orphans);
            ruins.extend(part.ruins);
        }
        report.adopted = orphans.len() as u64;
        if !orphans.is_empty() {
            let writer = self.writer()?;
            publish::segment(&writer, &orphans)?;
        }
        for (path, id) in ruins {
            report.damaged.extend(self.salvage(dir, &path, id)?);
            report.broken.push(path);
        }
        self.forget_packed();
        report.damaged.sort_unstable();
        report.damaged.dedup();
        report.broken.sort_unstable();
        report.unknown.sort_unstable();
        Ok(report)
    }

    fn check_loose(
        &self,
        dir: &Dir,
        path: &RepoPath,
        (hash, kind): (Digest, RecordKind),
        (buffer, meter): (&mut Vec<u8>, &dyn Meter),
        part: &mut Part,
    ) {
        let key = RecordKey { hash, kind };
        let each = |read| {
            meter.inc(read);
            Ok(())
        };
        // Pages and recipes share a folder: what is one of them is right.
        let recipe = RecordKey { hash, kind: RecordKind::Recipe };
        let outcome = match kind {
            RecordKind::File | RecordKind::Chunk => dir.open_file(path).and_then(|file| {
                let (found, len) = hash_file(&file, buffer, &each).map_err(at(&dir.full(path), "read"))?;
                Ok((len, found == hash))
            }),
            RecordKind::TreePage => dir
                .read_file(path, u64::from(MAX_RAW))
                .map(|bytes| (bytes.len() as u64, is_named(key, &bytes) || is_named(recipe, &bytes))),
            RecordKind::Recipe | RecordKind::RunRecord => dir
                .read_file(path, u64::from(MAX_RAW))
                .map(|bytes| (bytes.len() as u64, is_named(key, &bytes))),
        };
        part.report.bytes += outcome.as_ref().map_or(0, |(len, _)| *len);
        match outcome {
            Ok((_, true)) => part.report.loose += 1,
            Ok((_, false)) => {
                self.quarantine(key);
                part.report.damaged.push(key);
            }
            // A collection took it away meanwhile.
            Err(error) if error.is_not_found() => {}
            Err(_) => part.report.broken.push(path.clone()),
        }
    }

    fn check_pack(&self, dir: &Dir, path: &RepoPath, id: PackId, part: &mut Part) {
        let bytes = match dir.read_file(path, MAX_PACK) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return,
            Err(_) => {
                part.report.broken.push(path.clone());
                return;
            }
        };
        part.report.bytes += bytes.len() as u64;
        let table = read_pack(&bytes).ok().filter(|(found, _)| *found == id);
        let is_named = self.packed().is_some_and(|packed| packed.names_pack(id));
        let Some((_, entries)) = table else {
            part.ruins.push((path.clone(), id));
            return;
        };
        part.report.packs += 1;
        for entry in &entries {
            let record = bytes.get(entry.offset as usize..).unwrap_or_default();
            if decode_record(record, entry.key).is_ok() {
                part.report.packed += 1;
                continue;
            }
            part.report.damaged.push(entry.key);
            self.note_damage(&Location {
                pack: id,
                pack_len: bytes.len() as u64,
                offset: entry.offset,
                stored_len: entry.stored_len,
                raw_len: entry.raw_len,
                codec: entry.codec,
            });
        }
        if !is_named {
            part.orphans.push(SealedPack { id, len: bytes.len() as u64, entries });
        }
    }

    /// Stores what can be read of a pack without a table anew, and then moves the pack to `bad/`.
    /// Returns the records that segments name in it and that nothing holds any more.
    fn salvage(&self, dir: &Arc<Dir>, path: &RepoPath, id: PackId) -> Result<Vec<RecordKey>, Error> {
        let bytes = dir.read_file(path, MAX_PACK)?;
        let named: Vec<(RecordKey, Location)> = self.packed().map_or_else(Vec::new, |packed| {
            let segments = packed.segments().iter().flat_map(|(_, segment)| segment.iter());
            segments.filter(|(_, at)| at.pack == id).collect()
        });
        // Headers say where records are as long as none is damaged; segments know the rest.
        let walked = walk_records(&bytes).into_iter().map(|entry| (entry.key, entry.offset));
        let places: BTreeSet<_> = walked.chain(named.iter().map(|(key, at)| (*key, at.offset))).collect();
        let others = Packed::load(dir.clone(), Arc::default()).without(id);
        let writer = CacheWriter::new(self, Presence::new(Some(dir.clone()), Some(Arc::new(others))));
        for (key, offset) in places {
            let record = bytes.get(offset as usize..).unwrap_or_default();
            if let Ok(raw) = decode_record(record, key) {
                writer.put_verified(key, &raw)?;
            }
        }
        writer.finish()?;
        // Only now: until its records lie elsewhere they are read from here.
        let random = u32::from_le_bytes(fs::random_bytes());
        dir.create_dir_all(&RepoPath::own(layout::BAD))?;
        dir.rename_new(path, &RepoPath::own(&format!("{}/{id}-pack-{random:08x}", layout::BAD)))?;
        self.forget_packed();
        Ok(named.into_iter().map(|(key, _)| key).filter(|key| !self.has(*key)).collect())
    }
}

#[derive(Default)]
struct Part {
    report: CacheReport,
    orphans: Vec<SealedPack>,
    ruins: Vec<(RepoPath, PackId)>,
}

impl CacheReport {
    /// Whether nothing was found that should not be so.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.broken.is_empty() && self.unknown.is_empty()
    }

    fn absorb(&mut self, mut other: CacheReport) {
        self.loose += other.loose;
        self.packs += other.packs;
        self.packed += other.packed;
        self.bytes += other.bytes;
        self.damaged.append(&mut other.damaged);
        self.broken.append(&mut other.broken);
        self.unknown.append(&mut other.unknown);
    }
}

/// Everything to be verified, and the paths of what has no name of the layout.
fn list_jobs(dir: &Dir) -> Result<(Vec<Job>, Vec<RepoPath>), Error> {
    let (mut jobs, mut unknown) = (Vec::new(), Vec::new());
    let kinds = [RecordKind::File, RecordKind::TreePage, RecordKind::RunRecord];
    for kind in kinds {
        let folder = layout::folder(kind);
        each_file(dir, folder, &mut |first, name, path| {
            match format!("{first}{name}").parse() {
                Ok(hash) => jobs.push(Job::Loose { path, hash, kind }),
                Err(_) => unknown.push(path),
            };
        })?;
    }
    each_file(dir, layout::PACKS, &mut |first, name, path| {
        match name.parse::<Digest>().ok().filter(|_| name.starts_with(first)) {
            Some(id) => jobs.push(Job::Pack { path, id: PackId(id) }),
            None => unknown.push(path),
        };
    })?;
    Ok((jobs, unknown))
}

/// Calls `found` with the fan-out folder's name, the file's name and its path.
fn each_file(dir: &Dir, folder: &str, found: &mut dyn FnMut(&str, &str, RepoPath)) -> Result<(), Error> {
    for fan in list(dir, &RepoPath::own(folder))? {
        let Ok(path) = RepoPath::own(folder).join_str(&fan.name) else { continue };
        if fan.kind != FileKind::Dir {
            found("", &fan.name, path);
            continue;
        }
        for file in list(dir, &path)? {
            if let Ok(path) = path.join_str(&file.name) {
                found(&fan.name, &file.name, path);
            }
        }
    }
    Ok(())
}

/// What a folder holds; of one that is not there, nothing.
fn list(dir: &Dir, folder: &RepoPath) -> Result<Vec<DirEntry>, Error> {
    match dir.read_dir(folder) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests;
