//! `add`: puts files and directories under mlv, or records what changed in them.

use std::collections::BTreeMap;

use crate::fs::stamp::FileKind;
use crate::model::object::ContentInfo;
use crate::model::path::{RepoPath, fold};
use crate::model::resolve::ResolveError;
use crate::ops::compare::ChangeCounts;
use crate::ops::copy_in::CopyIn;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::pointers::Update;
use crate::ops::record::{Published, Recorded, Recording, Request};
use crate::ops::tracked::{Barrier, LOCK_FILE, PIPELINE_FILE, Reach, Source, Tracked, TrackedOut};
use crate::ops::{OpError, OutputError, names, pointers, surroundings, targets};
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::WriteStats;

/// What to add, and how.
#[derive(Clone, Debug, Default)]
pub struct AddOptions {
    /// Paths relative to the current folder.
    pub targets: Vec<String>,
    /// Whether the targets are patterns.
    pub glob: bool,
    /// Whether to write pointers without storing file bytes in the cache.
    pub no_commit: bool,
    /// Whether changes that came with git may be taken back.
    pub force: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
    /// The name of a copy of the first target, which is made and added instead.
    pub out: Option<String>,
}

/// One output that will be recorded.
#[derive(Clone, Debug)]
struct Item {
    output: RepoPath,
    pointer: RepoPath,
    /// What is recorded of it now, if it is tracked already.
    known: Option<ContentInfo>,
    /// Paths inside the output, relative to it, to which the recording is confined; empty: all of it.
    inside: Vec<Box<str>>,
}

/// What `add` will do: every target was checked.
#[derive(Debug)]
pub struct AddPlan {
    items: Vec<Item>,
    tracked: Tracked,
    copy: Option<CopyIn>,
    no_commit: bool,
    force: bool,
    dry_run: bool,
}

/// What became of one output.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AddedOutput {
    /// The output, relative to the repository's root.
    pub path: String,
    /// Its pointer file.
    pub pointer: String,
    /// The name of its contents; none of a copy that a dry run did not make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Files, of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfiles: Option<u64>,
    /// `added`, `updated` or `unchanged`.
    pub state: &'static str,
    /// What changed inside; nothing where the list of what was recorded cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangeCounts>,
    /// Files and symlinks kept although they are not here.
    pub kept: u64,
    /// Files and folders that stand there and are left out, as `.mlvignore` says.
    #[serde(skip_serializing_if = "is_zero")]
    pub ignored: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What `add` did.
#[derive(Debug, Default, serde::Serialize)]
pub struct AddReport {
    /// The outputs, sorted by path.
    pub outputs: Vec<AddedOutput>,
    /// Objects, pages and packs that were new to the cache.
    pub stored: StoredCounts,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// What an operation brought into the cache, or would bring: then files alone.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct StoredCounts {
    /// Records: files, and the pages of trees.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl From<WriteStats> for StoredCounts {
    fn from(stats: WriteStats) -> StoredCounts {
        StoredCounts { records: stats.records, bytes: stats.bytes }
    }
}

/// Checks all targets and says which outputs they mean. Writes nothing.
fn plan(repo: &Repo, options: &AddOptions) -> Result<AddPlan, OpError> {
    let tracked = Tracked::load(repo)?;
    let mut items: BTreeMap<RepoPath, Item> = BTreeMap::new();
    let copy = match (&options.out, options.targets.first()) {
        (Some(out), Some(source)) => Some(CopyIn::plan(repo, source, out)?),
        _ => None,
    };
    let paths = match &copy {
        Some(copy) => vec![copy.out().clone()],
        None => {
            targets::paths(repo, &options.targets, options.glob).map_err(|error| external(repo, error))?
        }
    };
    let coming = copy.as_ref().map(CopyIn::kind);
    for path in paths {
        let item = classify(repo, &tracked, &path, coming)?;
        match items.get_mut(&item.output) {
            None => drop(items.insert(item.output.clone(), item)),
            // A target that is the whole output covers those inside it.
            Some(known) if known.inside.is_empty() || item.inside.is_empty() => known.inside.clear(),
            Some(known) => known.inside.extend(item.inside),
        }
    }
    let items: Vec<Item> = items.into_values().collect();
    for pair in items.windows(2) {
        if pair[1].output.starts_with(&pair[0].output) {
            let (path, inner) = (pair[0].output.clone(), pair[1].output.clone());
            return Err(OutputError::HoldsOutput { path, inner, pointer: None }.into());
        }
    }
    let AddOptions { no_commit, force, dry_run, .. } = *options;
    Ok(AddPlan { items, tracked, copy, no_commit, force, dry_run })
}

/// What lies outside is not refused for its name: it can be copied in, unless the repository lies in it.
fn external(repo: &Repo, error: OpError) -> OpError {
    let is_around = |target: &str| {
        let full = repo.root().join(repo.prefix().as_str()).join(target).canonicalize();
        full.is_ok_and(|full| repo.root().starts_with(full))
    };
    match error {
        OpError::BadTarget { target, reason: ResolveError::Outside } if !is_around(&target) => {
            OutputError::External { path: target }.into()
        }
        error => error,
    }
}

/// Which output `path` means, and whether it may be added: what is there, or is `coming`.
fn classify(
    repo: &Repo,
    tracked: &Tracked,
    path: &RepoPath,
    coming: Option<FileKind>,
) -> Result<Item, OpError> {
    if path.is_root() {
        return Err(OutputError::WholeRepository.into());
    }
    if let Some((out, inside)) = tracked.containing(path) {
        let inside = if inside.is_empty() { Vec::new() } else { vec![inside.into()] };
        let item = known_item(out, inside)?;
        check_not_in_git(repo, path)?;
        return Ok(item);
    }
    let there = match coming {
        Some(kind) => Some(kind),
        None => repo.dir().stat(path)?.map(|stamp| stamp.kind),
    };
    let vanished = || OutputError::Vanished { path: path.clone(), near: targets::near_there(repo, path) };
    let pointer = match pointers::path_of(path) {
        // A pattern is no name; more wrong with it is that nothing is there.
        Err(_) if there.is_none() => return Err(vanished().into()),
        pointer => pointer?,
    };
    targets::check_undisputed(tracked, path.as_str(), path)?;
    // What lies in a directory whose pointer cannot be used is no output of its own.
    if repo.dir().stat(&pointer)?.is_none() {
        targets::check_usable(tracked, path.as_str(), path)?;
    }
    let kind = there.ok_or_else(vanished)?;
    check_kind(path, kind)?;
    check_free(repo, tracked, path)?;
    check_not_in_git(repo, path)?;
    match Reach::new(repo).barrier(&pointer)? {
        Some(Barrier::Repository(repository)) => {
            return Err(OutputError::InnerRepository { path: path.clone(), repository }.into());
        }
        Some(Barrier::IgnoredByMlv(folder)) => {
            return Err(OutputError::IgnoredFolder { path: path.clone(), folder }.into());
        }
        Some(Barrier::IgnoredByGit(_)) => return Err(OutputError::IgnoredPointer { pointer }.into()),
        None => {}
    }
    if let Some(git) = repo.git()
        && git.is_ignored(&pointer, false)?
    {
        return Err(OutputError::IgnoredPointer { pointer }.into());
    }
    Ok(Item { output: path.clone(), pointer, known: None, inside: Vec::new() })
}

/// Whether git tracks nothing at or below the path: two would keep it.
pub(super) fn check_not_in_git(repo: &Repo, path: &RepoPath) -> Result<(), OpError> {
    let Some(git) = repo.git() else { return Ok(()) };
    match git.tracked_below(path, 1)?.into_iter().next() {
        Some(inner) => Err(OutputError::TrackedByGit { path: inner, output: path.clone() }.into()),
        None => Ok(()),
    }
}

fn known_item(out: &TrackedOut, inside: Vec<Box<str>>) -> Result<Item, OpError> {
    match &out.source {
        Source::Pointer { file } => {
            Ok(Item { output: out.path.clone(), pointer: file.clone(), known: out.content, inside })
        }
        Source::Stage { stage, .. } => {
            Err(OutputError::StageOutput { path: out.path.clone(), stage: stage.clone() }.into())
        }
    }
}

fn check_kind(path: &RepoPath, kind: FileKind) -> Result<(), OpError> {
    match kind {
        FileKind::File | FileKind::Dir => Ok(()),
        FileKind::Symlink => Err(OutputError::SymlinkOutput { path: path.clone() }.into()),
        other => Err(OutputError::NotTrackable { path: path.clone(), found: other.noun() }.into()),
    }
}

/// Whether no output, pipeline or lock lies in the new output, and no output has a twin name.
fn check_free(repo: &Repo, tracked: &Tracked, path: &RepoPath) -> Result<(), OpError> {
    if let Some(inner) = tracked.below(path).next() {
        let pointer = match &inner.source {
            Source::Pointer { file } => Some(file.clone()),
            Source::Stage { .. } => None,
        };
        return Err(
            OutputError::HoldsOutput { path: path.clone(), inner: inner.path.clone(), pointer }.into()
        );
    }
    let own = tracked.pipelines().iter().flat_map(|pipeline| [&pipeline.pipeline.file, &pipeline.lock_file]);
    for file in own {
        if file.starts_with(path) && matches!(file.file_name(), PIPELINE_FILE | LOCK_FILE) {
            let (path, inner) = (path.clone(), file.clone());
            return Err(OutputError::HoldsOutput { path, inner, pointer: None }.into());
        }
    }
    let folded = fold(path.as_str());
    if let Some(twin) = tracked.outs().iter().find(|out| fold(out.path.as_str()) == folded) {
        return Err(OutputError::Twin { path: path.clone(), other: twin.path.clone() }.into());
    }
    if repo.config().portable_names()? {
        names::check_portable(path)?;
    }
    Ok(())
}

/// Adds the targets.
pub fn run(repo: &Repo, options: &AddOptions, reporter: &dyn Reporter) -> Result<AddReport, OpError> {
    pointers::undisturbed(|| apply(repo, plan(repo, options)?, reporter))
}

/// Reads, stores and records what was planned; in a dry run it only reads.
fn apply(repo: &Repo, plan: AddPlan, reporter: &dyn Reporter) -> Result<AddReport, OpError> {
    let copied = match &plan.copy {
        Some(copy) if plan.dry_run => return promise_copy(repo, &plan, copy),
        Some(copy) => Some(copy.copy(repo, reporter)?),
        None => None,
    };
    let taken = take_in(repo, &plan, reporter);
    if let (Err(_), Some(copied)) = (&taken, &copied) {
        copied.undo(repo)?;
    }
    let (outputs, written, published) = taken?;
    let stored = published.stats.into();
    if plan.dry_run {
        return Ok(AddReport { outputs, stored, git: GitFiles::default(), dry_run: true });
    }
    let held = surroundings::lock(repo, reporter)?;
    let changed = pointers::write(repo, &written, &plan.tracked, &held)?;
    // Still under the lock: the claims are in the order of the pointers.
    published.settle()?;
    drop(held);
    let pointers = written.iter().map(|update| (&update.output, &update.pointer));
    let git = git_files::of_pointers(repo, changed, pointers, reporter)?;
    Ok(AddReport { outputs, stored, git, dry_run: false })
}

/// Everything up to the pointers, which nothing names before they are written.
fn take_in<'a>(
    repo: &'a Repo,
    plan: &AddPlan,
    reporter: &'a dyn Reporter,
) -> Result<(Vec<AddedOutput>, Vec<Update>, Published<'a>), OpError> {
    let mut recording =
        if plan.dry_run { Recording::rehearse(repo, reporter)? } else { Recording::begin(repo, reporter)? };
    let mut outputs = Vec::new();
    let mut written = Vec::new();
    for item in &plan.items {
        let request = Request {
            output: &item.output,
            known: item.known.as_ref(),
            inside: &item.inside,
            store: !plan.no_commit,
            take_back: plan.force,
        };
        let recorded = recording.output(request)?;
        let mut output = AddedOutput::updated(&item.output, &item.pointer, &recorded);
        output.state = match item.known {
            None => "added",
            Some(known) if known == recorded.info => "unchanged",
            Some(_) => "updated",
        };
        outputs.push(output);
        let Item { output, pointer, known: base, .. } = item.clone();
        written.push(Update { output, pointer, base, info: recorded.info });
    }
    Ok((outputs, written, recording.publish()?))
}

/// What adding a copy would do, without making it.
fn promise_copy(repo: &Repo, plan: &AddPlan, copy: &CopyIn) -> Result<AddReport, OpError> {
    let (size, nfiles) = copy.measure(repo)?;
    let stored = StoredCounts { records: nfiles.unwrap_or(1), bytes: size };
    let output = |item: &Item| AddedOutput {
        path: item.output.to_string(),
        pointer: item.pointer.to_string(),
        hash: None,
        size,
        nfiles,
        state: if item.known.is_some() { "updated" } else { "added" },
        changes: Some(ChangeCounts { added: nfiles.unwrap_or(1), ..ChangeCounts::default() }),
        kept: 0,
        ignored: 0,
    };
    let outputs = plan.items.iter().map(output).collect();
    Ok(AddReport { outputs, stored, git: GitFiles::default(), dry_run: true })
}

impl AddedOutput {
    /// An output whose recording changed.
    pub fn updated(output: &RepoPath, pointer: &RepoPath, recorded: &Recorded) -> AddedOutput {
        AddedOutput {
            path: output.to_string(),
            pointer: pointer.to_string(),
            hash: Some(recorded.info.id.to_string()),
            size: recorded.info.size,
            nfiles: recorded.info.nfiles,
            state: "updated",
            changes: recorded.changes,
            kept: recorded.kept,
            ignored: recorded.ignored,
        }
    }
}
