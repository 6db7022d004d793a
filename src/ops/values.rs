//! `metrics` and `params`: the values in files of values, now and at revisions, and what changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::git::repo::CommitId;
use crate::git::revision::Scope;
use crate::model::path::RepoPath;
use crate::model::stage::{ParamKeys, Pipeline};
use crate::model::value::{KeyPath, Value};
use crate::model::values::{ChangesByFile, ValuesByFile, changes, read};
use crate::model::yaml::Limits;
use crate::ops::merge::FileKind;
use crate::ops::revisions::{self, At};
use crate::ops::tracked::{History, PIPELINE_FILE, Problem, Tracked, tracks};
use crate::ops::{OpError, contents, targets};
use crate::repo::Repo;
use crate::report::{Event, Reporter};
use crate::{metrics, params};

pub use crate::metrics::rounded;

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those of `metrics`.
    Metrics,
    /// Those that stages read parameters from.
    Params,
    /// Of these only the keys that stages read, at each state those that its own stages do.
    StageParams,
}

/// What to compare or show.
#[derive(Clone, Debug, Default)]
pub struct ValuesOptions {
    /// As [`revisions::pair`] reads them.
    pub revisions: Vec<String>,
    /// Files, relative to the current folder; all if none is named.
    pub targets: Vec<String>,
    /// Whether values that did not change are wanted too.
    pub all: bool,
    /// The commits that are shown besides the work tree.
    pub scope: Scope,
}

/// What changed.
#[derive(Debug, Default)]
pub struct ValuesDiff {
    /// By file and key.
    pub changes: ChangesByFile,
    /// Files that could not be read, and why.
    pub failed: Vec<(RepoPath, OpError)>,
}

/// What the files hold.
#[derive(Debug, Default)]
pub struct ValuesShown {
    /// In the work tree.
    pub here: ValuesByFile,
    /// At the commits that were asked for.
    pub commits: Vec<ValuesAt>,
    /// Files of the work tree that could not be read, and why.
    pub failed: Vec<(RepoPath, OpError)>,
}

/// What the files hold at a commit.
#[derive(Debug)]
pub struct ValuesAt {
    /// The branches and tags that lead to it.
    pub names: Vec<String>,
    /// The commit.
    pub commit: CommitId,
    /// By file.
    pub values: ValuesByFile,
}

/// Compares two states.
pub fn diff(repo: &Repo, kind: Kind, options: &ValuesOptions) -> Result<ValuesDiff, OpError> {
    let (old, new) = revisions::pair(repo, &options.revisions)?;
    let mut diff = ValuesDiff::default();
    let mut side = |at| Side::new(repo, kind, at, &mut diff.failed);
    let mut sides = [side(old)?, side(new)?];
    let known: BTreeSet<RepoPath> = sides.iter().flat_map(|side| side.files.iter().cloned()).collect();
    let wanted = choose(repo, known, &options.targets)?;
    for side in &mut sides {
        side.read(&wanted, &mut diff.failed);
    }
    // A file that one side cannot tell is no file without values.
    for side in &mut sides {
        side.values.retain(|file, _| !diff.failed.iter().any(|(failed, _)| failed == file));
    }
    diff.changes = changes(&sides[0].values, &sides[1].values, options.all);
    // What neither side can tell is one file, told of by the older side.
    diff.failed.sort_by(|a, b| a.0.cmp(&b.0));
    diff.failed.dedup_by(|a, b| a.0 == b.0);
    Ok(diff)
}

/// What the files hold in the work tree, and at the commits of `options.scope`.
///
/// What cannot be read at a commit is a warning: it may be decades old. Fails with `NeedsGit` for commits
/// in a project without git.
pub fn show(
    repo: &Repo,
    kind: Kind,
    options: &ValuesOptions,
    reporter: &dyn Reporter,
) -> Result<ValuesShown, OpError> {
    let mut shown = ValuesShown::default();
    let mut here = Side::new(repo, kind, At::WorkTree, &mut shown.failed)?;
    let mut then = Vec::new();
    let warn = |path: &RepoPath, error: &OpError| {
        let message = format!("left out of history: `{path}`: {error}");
        reporter.event(&Event::Warning { message });
    };
    if !options.scope.is_empty() {
        let mut history = History::new(repo)?;
        let commits = repo.require_git()?.named_commits(options.scope)?;
        history.foresee(&commits.iter().map(|(_, commit)| *commit).collect::<Vec<_>>())?;
        for (names, commit) in commits {
            let mut tracked = history.at(commit)?;
            for problem in tracked.take_problems() {
                warn(&problem.file, &problem.error);
            }
            then.push((names, commit, Side::of(repo, kind, At::Commit(commit), tracked)));
        }
    }
    let mut known = here.files.clone();
    known.extend(then.iter().flat_map(|(_, _, side)| side.files.iter().cloned()));
    let wanted = choose(repo, known, &options.targets)?;
    here.read(&wanted, &mut shown.failed);
    for file in here.gone(&wanted, &shown.failed) {
        let message = format!("left out: `{}` was made and is not here any more", repo.shown(file));
        reporter.event(&Event::Warning { message });
    }
    shown.here = here.values;
    for (names, commit, mut side) in then {
        let mut failed = Vec::new();
        side.read(&wanted, &mut failed);
        failed.iter().for_each(|(path, error)| warn(path, error));
        shown.commits.push(ValuesAt { names, commit, values: side.values });
    }
    Ok(shown)
}

/// Those of the files that the targets name: themselves, or by a folder above them.
fn choose(repo: &Repo, known: BTreeSet<RepoPath>, named: &[String]) -> Result<BTreeSet<RepoPath>, OpError> {
    if named.is_empty() {
        return Ok(known);
    }
    let mut wanted = BTreeSet::new();
    for target in named {
        let path = targets::path(repo, target)?;
        let mut found = known.iter().filter(|file| file.starts_with(&path)).peekable();
        if found.peek().is_none() {
            return Err(targets::no_such(target, known.iter().map(|file| repo.shown(file))));
        }
        wanted.extend(found.cloned());
    }
    Ok(wanted)
}

/// One state of the files.
struct Side<'a> {
    repo: &'a Repo,
    at: At,
    tracked: Tracked,
    files: BTreeSet<RepoPath>,
    /// Which keys of each file; all of them without.
    keys: Option<BTreeMap<RepoPath, ParamKeys>>,
    values: ValuesByFile,
}

impl<'a> Side<'a> {
    /// In the work tree a pointer that cannot be used and tracks none of the files is told in `failed`.
    fn new(
        repo: &'a Repo,
        kind: Kind,
        at: At,
        failed: &mut Vec<(RepoPath, OpError)>,
    ) -> Result<Side<'a>, OpError> {
        if at != At::WorkTree {
            return Ok(Side::of(repo, kind, at, revisions::tracked(repo, at)?));
        }
        let mut tracked = Tracked::load(repo)?;
        let problems = tracked.take_problems();
        let side = Side::of(repo, kind, at, tracked);
        for Problem { file, error, .. } in problems {
            let is_apart = FileKind::of(file.file_name()) == Some(FileKind::Pointer)
                && !side.files.iter().any(|read| tracks(&file, read));
            if !is_apart && !side.tracked.is_read_in_conflict(&file) {
                return Err(error);
            }
            failed.push((file, error));
        }
        Ok(side)
    }

    fn of(repo: &'a Repo, kind: Kind, at: At, tracked: Tracked) -> Side<'a> {
        let pipelines = tracked.pipelines().iter().map(|one| &*one.pipeline);
        let mut keys = None;
        let mut files = match kind {
            Kind::Metrics => metrics::files(pipelines),
            Kind::Params => params::files(pipelines),
            Kind::StageParams => keys.insert(params::read_by_stages(pipelines)).keys().cloned().collect(),
        };
        if kind == Kind::Params && tracked.pipelines().is_empty() {
            files = params::files([&no_pipeline()]);
        }
        Side { repo, at, tracked, files, keys, values: ValuesByFile::new() }
    }

    /// Reads the wanted files. One that is not there has no values.
    fn read(&mut self, wanted: &BTreeSet<RepoPath>, failed: &mut Vec<(RepoPath, OpError)>) {
        for file in wanted.intersection(&self.files.clone()) {
            let bytes =
                contents::read(self.repo, (&self.tracked, self.at), file, Limits::PIPELINE.bytes as u64);
            let values = bytes.and_then(|bytes| match bytes {
                Some(bytes) => Ok(self.chosen(file, read(file, &bytes).map_err(Box::new)?)),
                None => Ok(None),
            });
            match values {
                Ok(values) => self.values.extend(values.map(|values| (file.clone(), values))),
                Err(error) => failed.push((file.clone(), error)),
            }
        }
    }

    /// The values of the file that are looked at, if there are any.
    fn chosen(&self, file: &RepoPath, root: Value) -> Option<Value> {
        match self.keys.as_ref().and_then(|keys| keys.get(file)) {
            Some(ParamKeys::Named(keys)) => {
                let find = |key: &KeyPath| Some((key.as_str().into(), key.find(&root)?.clone()));
                let found: Vec<_> = keys.iter().filter_map(find).collect();
                (!found.is_empty()).then_some(Value::Map(found))
            }
            Some(ParamKeys::All) | None => Some(root),
        }
    }

    /// Those of the wanted files that were recorded and are not there: deleted.
    fn gone<'w>(
        &'w self,
        wanted: &'w BTreeSet<RepoPath>,
        failed: &'w [(RepoPath, OpError)],
    ) -> impl Iterator<Item = &'w RepoPath> {
        let is_recorded =
            |file: &RepoPath| self.tracked.containing(file).is_some_and(|(out, _)| out.content.is_some());
        wanted.intersection(&self.files).filter(move |file| {
            let is_told = failed.iter().any(|(known, _)| known == *file);
            !self.values.contains_key(*file) && !is_told && is_recorded(file)
        })
    }
}

/// Stands for a project without pipelines, of which `params.yaml` alone is looked at.
fn no_pipeline() -> Pipeline {
    Pipeline::empty(&RepoPath::parse(PIPELINE_FILE).unwrap_or_else(|_| RepoPath::root()))
}
