//! `get`: a copy of what is recorded at a path, anywhere, without a checkout.
//!
//! The copy is made beside its place, under a name of its own, and gets its name in one step when it
//! is complete: nothing that is there is replaced (R2), and what is interrupted leaves nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fs;
use crate::fs::dir::{Dir, OWN_FOLDER};
use crate::fs::rescue::Rescue;
use crate::fs::staging::Staging;
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::recorded::{self, Sources};
use crate::ops::share::bring::{self, Wish};
use crate::ops::targets::{self, Selected, TargetOptions};
use crate::ops::{OpError, OutputError};
use crate::par;
use crate::repo::Repo;
use crate::report::{Reporter, Task, Unit};
use crate::store::materialize::{Item, Materializer};

/// What to copy, and where.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// A file or folder.
    pub path: String,
    /// Where the copy goes; a folder that is there takes it. Its own name in the current folder, if
    /// nothing is said.
    pub out: Option<PathBuf>,
    /// The revision; without one, what pointers and locks of the work tree name.
    pub rev: Option<String>,
    /// The remote that is asked instead of each output's own.
    pub remote: Option<String>,
    /// Whether only a report is wanted; lists of files are fetched all the same.
    pub dry_run: bool,
}

/// What was copied.
#[derive(Debug, Default, serde::Serialize)]
pub struct GetReport {
    /// What was asked for, from the repository's root.
    pub path: String,
    /// Where the copy is.
    pub out: String,
    /// Files and symlinks in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that came from remotes, decompressed; in a dry run what the cache lacks.
    pub fetched_bytes: u64,
    /// Requests to remotes.
    pub requests: u64,
    /// Whether nothing was copied.
    pub dry_run: bool,
    /// What could not be copied, and why; the rest is there.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Copies. Files that the cache lacks are fetched into it first, and nothing else.
pub fn run(repo: &Repo, options: &GetOptions, reporter: &dyn Reporter) -> Result<GetReport, OpError> {
    let tracked = recorded::tracked(repo, options.rev.as_deref())?;
    let selection = TargetOptions { targets: vec![options.path.clone()], ..TargetOptions::default() };
    let chosen = targets::outputs(repo, &tracked, &selection)?;
    let base = match (targets::path(repo, &options.path), &chosen[..]) {
        (Ok(path), _) if chosen.iter().all(|one| source(one).starts_with(&path)) => path,
        // A pointer, or a stage with one output.
        (_, [one]) => source(one),
        (_, _) => repo.prefix().clone(),
    };
    let place = Place::new(repo, options.out.as_deref(), &base)?;
    let mut report =
        GetReport { path: base.to_string(), out: place.full().display().to_string(), ..GetReport::default() };
    let mut sources = Sources::new(repo, options.remote.clone(), reporter);
    let mut entries = BTreeMap::new();
    for one in &chosen {
        if !options.dry_run {
            bring(repo, &mut sources, one, &mut report, reporter)?;
        }
        for entry in sources.entries(one)? {
            let path = one.out.path.join_entry(entry.bare_path());
            entries.insert(path.strip_prefix(&base).unwrap_or(path.as_str()).to_owned(), entry);
        }
    }
    report.requests = sources.requests();
    let lost: Vec<RepoPath> = report.failed.iter().map(|(path, _)| path.clone()).collect();
    entries.retain(|path, _| !lost.contains(&base.join_entry(path)));
    if entries.is_empty() && !report.failed.is_empty() {
        return Ok(report);
    }
    if options.dry_run {
        foresee(repo, &entries, &mut report)?;
    } else {
        place.fill(repo, &base, &entries, &mut report, reporter)?;
    }
    Ok(report)
}

/// Counts what would be copied, and what of it would be fetched.
fn foresee(
    repo: &Repo,
    entries: &BTreeMap<String, TreeEntry>,
    report: &mut GetReport,
) -> Result<(), OpError> {
    let presence = repo.cache()?.snapshot();
    for entry in entries.values().filter(|entry| entry.kind.has_object()) {
        report.files += 1;
        report.bytes += entry.size;
        report.fetched_bytes += if presence.has_object(entry.hash) { 0 } else { entry.size };
    }
    report.dry_run = true;
    Ok(())
}

/// Where the chosen part of an output lies.
fn source(one: &Selected<'_>) -> RepoPath {
    one.out.path.join_entry(one.inside.first().map_or("", |inside| inside))
}

/// Fetches the files of the chosen part that the cache lacks.
fn bring(
    repo: &Repo,
    sources: &mut Sources<'_>,
    one: &Selected<'_>,
    report: &mut GetReport,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let presence = repo.cache()?.snapshot();
    let entries = sources.entries(one)?;
    if entries.iter().all(|entry| !entry.kind.has_object() || presence.has_object(entry.hash)) {
        return Ok(());
    }
    let info = recorded::content(one.out)?;
    let wish = Wish { output: one.out.path.clone(), info, inside: one.inside.clone() };
    let brought = bring::bring_listed(repo, sources.of(one.out)?, &[wish], reporter)?;
    report.fetched_bytes += brought.bytes;
    let failed = brought.failed.into_iter();
    report.failed.extend(failed.map(|(path, error)| (path, recorded::lacking(one.out, error))));
    Ok(())
}

/// A free name in a folder.
struct Place {
    folder: PathBuf,
    name: RepoPath,
}

impl Place {
    /// Fails with `PlaceTaken` if something is there, and with `BadTarget` inside mlv's or git's own folders.
    fn new(repo: &Repo, out: Option<&Path>, base: &RepoPath) -> Result<Place, OpError> {
        let here = repo.prefix().components().fold(repo.root().to_path_buf(), |path, part| path.join(part));
        let mut full = here.join(out.unwrap_or(Path::new("")));
        if full.is_dir() {
            let own =
                if base.is_root() { repo.root().file_name().and_then(|name| name.to_str()) } else { None };
            full.push(own.unwrap_or(base.file_name()));
        }
        let unusable = || OutputError::BadPlace { path: full.display().to_string() };
        let name = full.file_name().and_then(|name| name.to_str()).ok_or_else(unusable)?;
        let name = RepoPath::parse(name).map_err(|_| unusable())?;
        let folder = full.parent().ok_or_else(unusable)?.to_path_buf();
        if full.symlink_metadata().is_ok() {
            return Err(OutputError::PlaceTaken { path: full.display().to_string() }.into());
        }
        let real = folder.ancestors().find_map(|above| above.canonicalize().ok());
        let is_own = |part: std::path::Component<'_>| {
            part.as_os_str().eq_ignore_ascii_case(".git") || part.as_os_str().eq_ignore_ascii_case(OWN_FOLDER)
        };
        if real.as_deref().unwrap_or(&folder).components().chain(folder.components()).any(is_own) {
            return Err(unusable().into());
        }
        Ok(Place { folder, name })
    }

    fn full(&self) -> PathBuf {
        self.folder.join(self.name.as_str())
    }

    /// Makes the copy and gives it its name.
    fn fill(
        &self,
        repo: &Repo,
        base: &RepoPath,
        entries: &BTreeMap<String, TreeEntry>,
        report: &mut GetReport,
        reporter: &dyn Reporter,
    ) -> Result<(), OpError> {
        let folder = Dir::create(&self.folder, None)?;
        let staging = Staging::create(Dir::open(&self.folder)?)?;
        let inner = RepoPath::own("copy");
        staging.dir().create_dir_all(&inner)?;
        let copy = staging.dir().open_dir(&inner)?;
        let is_file = entries.contains_key("");
        let items = entries.iter().map(|(path, entry)| Item {
            path: if is_file { self.name.clone() } else { RepoPath::root().join_entry(path) },
            kind: entry.kind,
            size: entry.size,
            hash: entry.hash,
            old: None,
        });
        let items: Vec<Item> = items.collect();
        let total = items.iter().map(|item| item.size).sum();
        let meter = reporter.meter(Task { verb: "Writing", unit: Unit::Bytes, total: Some(total) });
        let rescue = Rescue::new(repo.mlv().clone(), "mlv get");
        let threads = par::threads(repo.file_jobs()?);
        let materializer =
            Materializer::new(repo.cache()?, &copy, &staging, &rescue, threads).with_files_of_their_own();
        let outcome = materializer.put(&items, &*meter);
        meter.finish();
        if let Some(error) = outcome.stopped {
            return Err(error.into());
        }
        for (index, error) in outcome.failed {
            let path = if is_file { base.clone() } else { base.join(&items[index].path) };
            report.failed.push((path, error.into()));
        }
        for (index, _) in &outcome.done {
            report.files += u64::from(items[*index].kind.has_object());
            report.bytes += items[*index].size;
        }
        let made = RepoPath::own(staging.name()).join(&inner);
        let made = if is_file { made.join(&self.name) } else { made };
        if is_file && outcome.done.is_empty() {
            return Ok(());
        }
        folder.rename_new(&made, &self.name).map_err(|error| match error {
            // Somebody else put it there meanwhile: it stays.
            fs::Error::Exists { path } => OutputError::PlaceTaken { path: path.display().to_string() }.into(),
            error => error.into(),
        })
    }
}
