//! Verifies everything a cache holds: what `fsck` does to it.
//!
//! Every loose record and every record of every pack is read and hashed. What does not match is
//! put aside as any reader would do it; a pack that no readable segment names gets one.

use crate::fs::dir::Dir;
use crate::fs::stamp::FileKind;
use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::pack::format::MAX_PACK;
use crate::pack::reader::{decode_record, read_pack};
use crate::pack::segment::Location;
use crate::pack::writer::SealedPack;
use crate::par;
use crate::report::{Meter, interrupted};
use crate::store::cache::Cache;
use crate::store::hash::hash_file;
use crate::store::layout::{self, own};
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
    /// Files that are nothing a cache holds or cannot be read, from the cache's root, sorted.
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
        let (todo, unknown) = list_jobs(dir);
        let start = || (Part::default(), Vec::new());
        let parts = par::runs(jobs, todo.len(), 1, start, |(part, buffer), range| {
            for job in &todo[range] {
                let before = part.report.bytes;
                match job {
                    Job::Loose { path, hash, kind } => {
                        self.check_loose(dir, path, (*hash, *kind), buffer, part)
                    }
                    Job::Pack { path, id } => self.check_pack(dir, path, *id, part),
                }
                meter.inc(part.report.bytes - before);
            }
            !interrupted()
        });
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let mut report = CacheReport { unknown, ..CacheReport::default() };
        let mut orphans = Vec::new();
        for (part, _) in parts {
            report.absorb(part.report);
            orphans.extend(part.orphans);
        }
        report.adopted = orphans.len() as u64;
        if !orphans.is_empty() {
            let writer = self.writer()?;
            publish::segment(&writer, &orphans)?;
        }
        self.forget_packed();
        report.damaged.sort_unstable();
        report.damaged.dedup();
        report.unknown.sort_unstable();
        Ok(report)
    }

    fn check_loose(
        &self,
        dir: &Dir,
        path: &RepoPath,
        (hash, kind): (Digest, RecordKind),
        buffer: &mut Vec<u8>,
        part: &mut Part,
    ) {
        let Ok((file, stamp)) = dir.open_file_stamped(path) else {
            part.report.unknown.push(path.clone());
            return;
        };
        part.report.bytes += stamp.size;
        let key = RecordKey { hash, kind };
        let is_right = match kind {
            RecordKind::File | RecordKind::Chunk => hash_file(&file, buffer).map(|(found, _)| found == hash),
            // Pages and recipes share a folder: what is one of them is right.
            RecordKind::TreePage | RecordKind::Recipe => {
                let recipe = RecordKey { hash, kind: RecordKind::Recipe };
                Ok(self.read_record(key).is_ok() || self.read_record(recipe).is_ok())
            }
            RecordKind::RunRecord => Ok(self.read_record(key).is_ok()),
        };
        match is_right {
            Ok(true) => part.report.loose += 1,
            Ok(false) => {
                self.quarantine(key);
                part.report.damaged.push(key);
            }
            Err(_) => part.report.unknown.push(path.clone()),
        }
    }

    fn check_pack(&self, dir: &Dir, path: &RepoPath, id: PackId, part: &mut Part) {
        let Ok(bytes) = dir.read_file(path, MAX_PACK) else {
            part.report.unknown.push(path.clone());
            return;
        };
        part.report.bytes += bytes.len() as u64;
        let table = read_pack(&bytes).ok().filter(|(found, _)| *found == id);
        let is_named = self.packed().is_some_and(|packed| packed.names_pack(id));
        let Some((_, entries)) = table else {
            // Its segments still say where its records are: each is checked when it is read.
            part.report.unknown.push(path.clone());
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
}

#[derive(Default)]
struct Part {
    report: CacheReport,
    orphans: Vec<SealedPack>,
}

impl CacheReport {
    /// Whether nothing was found that should not be so.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.unknown.is_empty()
    }

    fn absorb(&mut self, mut other: CacheReport) {
        self.loose += other.loose;
        self.packs += other.packs;
        self.packed += other.packed;
        self.bytes += other.bytes;
        self.damaged.append(&mut other.damaged);
        self.unknown.append(&mut other.unknown);
    }
}

/// Everything to be verified, and the paths of what has no name of the layout.
fn list_jobs(dir: &Dir) -> (Vec<Job>, Vec<RepoPath>) {
    let (mut jobs, mut unknown) = (Vec::new(), Vec::new());
    let kinds = [RecordKind::File, RecordKind::TreePage, RecordKind::RunRecord];
    for kind in kinds {
        let folder = layout::folder(kind);
        each_file(dir, folder, &mut |first, name, path| {
            match format!("{first}{name}").parse() {
                Ok(hash) => jobs.push(Job::Loose { path, hash, kind }),
                Err(_) => unknown.push(path),
            };
        });
    }
    each_file(dir, layout::PACKS, &mut |first, name, path| {
        match name.parse::<Digest>().ok().filter(|_| name.starts_with(first)) {
            Some(id) => jobs.push(Job::Pack { path, id: PackId(id) }),
            None => unknown.push(path),
        };
    });
    (jobs, unknown)
}

/// Calls `found` with the fan-out folder's name, the file's name and its path.
fn each_file(dir: &Dir, folder: &str, found: &mut dyn FnMut(&str, &str, RepoPath)) {
    for fan in dir.read_dir(&own(folder)).unwrap_or_default() {
        let Ok(path) = own(folder).join_str(&fan.name) else { continue };
        if fan.kind != FileKind::Dir {
            found("", &fan.name, path);
            continue;
        }
        for file in dir.read_dir(&path).unwrap_or_default() {
            if let Ok(path) = path.join_str(&file.name) {
                found(&fan.name, &file.name, path);
            }
        }
    }
}
