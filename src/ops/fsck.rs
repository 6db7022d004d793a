//! `fsck`: reads everything and compares it with what it should be.

use std::collections::{BTreeSet, HashSet};

use crate::model::digest::Digest;
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::ops::fsck_error::FsckError;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError, fsck_work_tree, trees};
use crate::par;
use crate::repo::Repo;
use crate::report::{Reporter, Task, Unit};

/// What `fsck` found.
#[derive(Debug, Default, serde::Serialize)]
pub struct FsckReport {
    /// Records that lie in the cache as files of their own.
    pub loose: u64,
    /// Packs in the cache.
    pub packs: u64,
    /// Records in packs.
    pub packed: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Outputs that pointers and locks name.
    pub outputs: u64,
    /// Outputs that are not, or only partly, in the cache; no damage.
    pub not_downloaded: Vec<String>,
    /// Hashes of records that were damaged; they are out of use now.
    pub damaged: Vec<String>,
    /// Paths of outputs that need something damaged.
    pub affected: Vec<String>,
    /// Packs that had no index and have one now.
    pub adopted: u64,
    /// Packs in the cache whose table is damaged, and files there that cannot be read.
    pub broken: Vec<String>,
    /// Files in the cache's folder that are nothing a cache holds.
    pub unknown: Vec<String>,
    /// Files of the work tree that were read.
    pub files: u64,
    /// Outputs that differ in the work tree from what is recorded; no damage.
    pub changed: Vec<String>,
    /// What is wrong, by file or output.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Checks pointers, pipelines and locks, the cache, the trees that they name, and the work tree.
///
/// What is damaged in the cache is taken out of use, so that the next `fetch` or `commit` stores it anew.
pub fn run(repo: &Repo, reporter: &dyn Reporter) -> Result<FsckReport, OpError> {
    let mut tracked = Tracked::load(repo)?;
    let mut report = FsckReport::default();
    let problems = tracked.take_problems();
    report.failed.extend(problems.into_iter().map(|problem| (problem.file, problem.error)));
    let meter = reporter.meter(Task { verb: "Checking", unit: Unit::Bytes, total: None });
    let cache = repo.cache()?;
    let known = cache.taken_out_of_use();
    let check = cache.check(par::threads(repo.file_jobs()?), &*meter)?;
    drop(meter);
    report.loose = check.loose;
    report.packs = check.packs;
    report.packed = check.packed;
    report.bytes = check.bytes;
    report.adopted = check.adopted;
    report.broken = check.broken.iter().map(ToString::to_string).collect();
    report.unknown = check.unknown.iter().map(ToString::to_string).collect();
    // What was told before, and is stored anew by now, is mended.
    let damaged = check.damaged.iter().filter(|key| !(known.contains(&key.hash) && cache.has(**key)));
    let hashes: BTreeSet<String> = damaged.map(|key| key.hash.to_string()).collect();
    report.damaged = hashes.into_iter().collect();
    // Also what an earlier look took out of use, and nothing has brought back.
    let damaged = cache.taken_out_of_use();
    check_outputs(repo, &tracked, &damaged, &mut report)?;
    // Damage that no output of this work tree needs is damage all the same.
    if report.affected.is_empty() && !report.damaged.is_empty() {
        let error = FsckError::DamagedRecords { count: report.damaged.len() };
        report.failed.push((RepoPath::root(), error.into()));
    }
    for file in &report.broken {
        let error = FsckError::BrokenInCache { file: file.clone() };
        report.failed.push((RepoPath::root(), error.into()));
    }
    let work_tree = fsck_work_tree::check(repo, &tracked, reporter)?;
    report.files = work_tree.files;
    report.changed = work_tree.changed;
    report.failed.extend(work_tree.failed);
    report.failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(report)
}

/// Judges each output by what the cache has of it after what is `damaged` was taken out of use.
fn check_outputs(
    repo: &Repo,
    tracked: &Tracked,
    damaged: &HashSet<Digest>,
    report: &mut FsckReport,
) -> Result<(), OpError> {
    let presence = repo.cache()?.snapshot();
    for out in tracked.outs().iter().filter(|out| out.cache) {
        let Some(info) = &out.content else { continue };
        report.outputs += 1;
        let lost: Vec<Digest> = match check_output(repo, &out.path, info) {
            Ok(hashes) => hashes.into_iter().filter(|hash| !presence.has_object(*hash)).collect(),
            Err(error) if error.is_not_downloaded() => vec![info.id.digest()],
            Err(error) => {
                report.failed.push((out.path.clone(), error));
                continue;
            }
        };
        if lost.iter().any(|hash| damaged.contains(hash)) {
            let error = OutputError::DamagedHere { path: out.path.clone() };
            report.affected.push(out.path.to_string());
            report.failed.push((out.path.clone(), error.into()));
        } else if !lost.is_empty() {
            report.not_downloaded.push(out.path.to_string());
        }
    }
    Ok(())
}

/// The objects that an output needs. Its tree is built again from its entries and must get the same name.
fn check_output(repo: &Repo, output: &RepoPath, info: &ContentInfo) -> Result<Vec<Digest>, OpError> {
    let entries = trees::read_content(repo, info, output)?;
    trees::check_size(repo, info, output)?;
    if let ContentId::Tree(id) = info.id {
        let built = trees::build(output, &entries, None)?;
        let sums = (info.size, info.nfiles) == (built.size, Some(built.nfiles));
        if built.id != id || !sums {
            return Err(OutputError::OtherTree { path: output.clone() }.into());
        }
    }
    Ok(entries.iter().filter(|entry| entry.kind.has_object()).map(|entry| entry.hash).collect())
}
