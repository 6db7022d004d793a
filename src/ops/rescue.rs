//! `rescue`: lists what commands displaced, brings it back, and deletes it when told to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::SystemTime;

use crate::fs::place::{Examined, Placer};
use crate::fs::rescue::{self, Rescue, RescueOperation, RescuedFile};
use crate::fs::staging::Staging;
use crate::fs::stamp::FileKind;
use crate::model::digest::Digest;
use crate::model::path::RepoPath;
use crate::ops::scan::Scanner;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError, hints, targets};
use crate::repo::Repo;
use crate::report::{NoReport, Reporter, Task, Unit};
use crate::store::{self, Presence};

pub use crate::fs::rescue::Kept;

/// What lies in rescue, oldest first.
#[derive(Debug, serde::Serialize)]
pub struct RescueListReport {
    /// The operations of which something is left.
    pub operations: Vec<RescueOperation>,
}

/// Lists what lies in rescue.
pub fn list(repo: &Repo) -> Result<RescueListReport, OpError> {
    Ok(RescueListReport { operations: operations(repo)? })
}

/// The operations with what nothing else has. A slot without a line was left by a crash: what lies in
/// it is a new file that had not got its name, or an old one whose bytes the cache has, unless an edit
/// came in between.
fn operations(repo: &Repo) -> Result<Vec<RescueOperation>, OpError> {
    let mut operations = rescue::list(repo.mlv())?;
    let is_logged = |file: &RescuedFile| file.time.is_some();
    if operations.iter().flat_map(|operation| &operation.files).all(is_logged) {
        return Ok(operations);
    }
    let presence = repo.cache()?.snapshot();
    for operation in &mut operations {
        let folder = RepoPath::root().join_entry("rescue").join_entry(&operation.name);
        let mut kept = Vec::new();
        for file in std::mem::take(&mut operation.files) {
            if is_logged(&file) || !is_in_cache(repo, &presence, &folder.join_entry(&file.stored))? {
                kept.push(file);
            }
        }
        operation.files = kept;
    }
    operations.retain(|operation| !operation.files.is_empty());
    Ok(operations)
}

fn is_in_cache(repo: &Repo, presence: &Presence, path: &RepoPath) -> Result<bool, OpError> {
    let kind = repo.mlv().stat(path)?.map(|stamp| stamp.kind);
    let Some(kind @ (FileKind::File | FileKind::Symlink)) = kind else { return Ok(false) };
    let meter = NoReport.meter(Task { verb: "Hashing", unit: Unit::Bytes, total: None });
    let hashed = store::hash_all(repo.mlv(), &RepoPath::root(), &[(path.as_str(), kind)], 1, &*meter)?;
    // What cannot be read is listed: it is nowhere else for all that is known.
    Ok(hashed.into_iter().flatten().any(|hashed| presence.has_object(hashed.id.0)))
}

/// What to bring back.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The operation that displaced it; the last one if none is named.
    pub operation: Option<String>,
    /// Only what was at or below these paths, relative to the current folder.
    pub paths: Vec<String>,
    /// Whether what stands at a path now goes to rescue itself.
    pub force: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What was brought back.
#[derive(Debug, Default, serde::Serialize)]
pub struct RestoreReport {
    /// The operation.
    pub operation: String,
    /// The paths that are back, relative to the repository's root, sorted.
    pub restored: Vec<String>,
    /// What had to make room.
    pub rescued: Vec<Kept>,
    /// What could not be brought back, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
    /// Whether nothing was moved.
    pub dry_run: bool,
}

/// Brings displaced files back to where they were, one after the other; one failure stops no other. They
/// leave rescue by that.
///
/// A file in the way, also at the place of a folder, whose bytes the cache has is removed, right before
/// what comes back. Fails with `WouldOverwrite` before anything is moved if anything else is in the way
/// and `force` is not given.
pub fn restore(
    repo: &Repo,
    options: &RestoreOptions,
    reporter: &dyn Reporter,
) -> Result<RestoreReport, OpError> {
    let operation = find(repo, options.operation.as_deref())?;
    let wanted = targets::paths(repo, &options.paths, false)?;
    let mut files = Vec::new();
    for file in &operation.files {
        let named = |path: &str| {
            RepoPath::parse(path).map_err(|source| OpError::BadName { path: RepoPath::root(), source })
        };
        let (path, stored) = (named(&file.path)?, named(&file.stored)?);
        if wanted.is_empty() || wanted.iter().any(|folder| path.starts_with(folder)) {
            files.push((path, stored));
        }
    }
    if files.is_empty() {
        let target = options.paths.first().cloned().unwrap_or_default();
        return Err(OpError::NoMatch { target });
    }
    let mut in_the_way = in_the_way(repo, files.iter().map(|(path, _)| path), reporter)?;
    let unsaved = in_the_way.iter().filter(|(_, found)| !found.is_saved);
    let unsaved: Vec<RepoPath> = unsaved.map(|(path, _)| path.clone()).collect();
    if !unsaved.is_empty() && !options.force {
        let keep = format!("mlv add {}", repo.shown_all(&to_add(repo, &unsaved)?));
        let force = format!("mlv rescue restore --force {}", operation.name);
        return Err(OutputError::WouldOverwrite { paths: unsaved, keep, force }.into());
    }
    if options.dry_run {
        let mut restored: Vec<String> = files.iter().map(|(path, _)| path.to_string()).collect();
        restored.sort();
        let report = RestoreReport { operation: operation.name, restored, ..RestoreReport::default() };
        return Ok(RestoreReport { dry_run: true, ..report });
    }
    let displacing = Rescue::new(repo.mlv().clone(), "mlv rescue restore");
    let staging = Staging::create(repo.temporary()?)?;
    let mut placer = Placer::new(repo.dir(), &staging, &displacing);
    let mut report = RestoreReport { operation: operation.name, ..RestoreReport::default() };
    for (path, stored) in files {
        let mut back = || -> Result<(), OpError> {
            for way in above_and_at(&path) {
                match in_the_way.remove(&way) {
                    Some(found) if found.is_saved => drop(placer.remove(&way, &found)?),
                    Some(found) => drop(displacing.displace(repo.dir(), &way, found.hash)?),
                    None => {}
                }
            }
            Ok(rescue::restore(repo.mlv(), repo.dir(), &report.operation, &stored, &path)?)
        };
        match back() {
            Ok(()) => report.restored.push(path.to_string()),
            Err(error) => report.failed.push((path, error)),
        }
    }
    drop(placer);
    rescue::tidy(repo.mlv(), &report.operation);
    report.restored.sort();
    report.rescued = displacing.finish();
    Ok(report)
}

/// What to add so that all of the paths are recorded: themselves, or the outputs that hold many of them.
fn to_add(repo: &Repo, paths: &[RepoPath]) -> Result<Vec<RepoPath>, OpError> {
    if !hints::are_many(paths) {
        return Ok(paths.to_vec());
    }
    let tracked = Tracked::load(repo)?;
    let output = |path| tracked.containing(path).map_or_else(|| path.clone(), |(out, _)| out.path.clone());
    let outputs: BTreeSet<RepoPath> = paths.iter().map(output).collect();
    Ok(outputs.into_iter().collect())
}

/// The path, and the folders above it, which come first.
fn above_and_at(path: &RepoPath) -> Vec<RepoPath> {
    let above = std::iter::successors(Some(path.clone()), RepoPath::parent);
    let mut all: Vec<RepoPath> = above.filter(|path| !path.is_root()).collect();
    all.reverse();
    all
}

/// What stands at the paths, or at the place of a folder above one.
fn in_the_way<'p>(
    repo: &Repo,
    paths: impl Iterator<Item = &'p RepoPath>,
    reporter: &dyn Reporter,
) -> Result<BTreeMap<RepoPath, Examined>, OpError> {
    let index = repo.stat_index();
    let (scanner, cache, mut buffer) = (Scanner::new(repo, &index, reporter), repo.cache()?, Vec::new());
    let (mut found, mut folders) = (BTreeMap::new(), HashSet::new());
    for path in paths {
        for way in above_and_at(path) {
            if folders.contains(&way) {
                continue;
            }
            let Some(stamp) = repo.dir().stat(&way)? else { break };
            if stamp.kind == FileKind::Dir && way != *path {
                folders.insert(way);
                continue;
            }
            let hash = hash_of_file(&scanner, &way, stamp.kind)?;
            // An empty folder holds no bytes.
            let is_saved = match stamp.kind {
                FileKind::Dir => repo.dir().read_dir(&way)?.is_empty(),
                _ => hash.is_some_and(|hash| cache.is_sound(hash.into(), &mut buffer)),
            };
            found.insert(way, Examined { stamp, is_saved, hash });
            break;
        }
    }
    Ok(found)
}

/// The hash of the file at `path`; nothing if it is none.
fn hash_of_file(scanner: &Scanner<'_>, path: &RepoPath, kind: FileKind) -> Result<Option<Digest>, OpError> {
    if kind != FileKind::File {
        return Ok(None);
    }
    let mut present = scanner.look(path, &|| Ok(Vec::new()))?;
    scanner.hash(path, &mut present, None)?;
    Ok(present.entries().first().and_then(|entry| entry.hash))
}

/// What to delete of what lies in rescue.
#[derive(Clone, Debug)]
pub enum Dropped {
    /// These operations.
    Operations(Vec<String>),
    /// Those before this time.
    Before(SystemTime),
    /// All.
    All,
}

/// What was deleted.
#[derive(Debug, Default, serde::Serialize)]
pub struct DropReport {
    /// The operations, oldest first.
    pub operations: Vec<String>,
    /// Files that are gone for good.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether nothing was deleted.
    pub dry_run: bool,
}

/// Deletes all that operations displaced: the only way in which rescued bytes go. Fails before anything
/// goes if one that is named is not there.
pub fn drop_operations(repo: &Repo, dropped: &Dropped, dry_run: bool) -> Result<DropReport, OpError> {
    let mut found = operations(repo)?;
    match dropped {
        Dropped::Operations(names) => {
            let lacks = |name: &&String| !found.iter().any(|one| one.name == **name);
            if let Some(name) = names.iter().find(lacks) {
                return Err(OpError::NoSuchOperation { name: name.clone() });
            }
            found.retain(|one| names.contains(&one.name));
        }
        Dropped::Before(time) => {
            let first = rescue::compact_time(*time);
            found.retain(|one| one.name < first);
        }
        Dropped::All => {}
    }
    let mut report = DropReport { dry_run, ..DropReport::default() };
    for operation in found {
        if !dry_run {
            rescue::drop_operation(repo.mlv(), &operation.name)?;
        }
        report.files += operation.files.len() as u64;
        report.bytes += operation.files.iter().map(|file| file.size).sum::<u64>();
        report.operations.push(operation.name);
    }
    Ok(report)
}

fn find(repo: &Repo, name: Option<&str>) -> Result<RescueOperation, OpError> {
    let mut operations = operations(repo)?;
    let found = match name {
        Some(name) => operations.iter().position(|one| one.name == name),
        None => operations.len().checked_sub(1),
    };
    let Some(at) = found else {
        return Err(match name {
            Some(name) => OpError::NoSuchOperation { name: name.to_owned() },
            None => OpError::NothingRescued,
        });
    };
    Ok(operations.swap_remove(at))
}
