//! `diff`: what differs in the data between two revisions, or between one and the work tree.

use std::collections::BTreeSet;

use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::compare::{self, ChangeCounts, ChangeKind, EntryChange, Rename};
use crate::ops::revisions::{self, At};
use crate::ops::scan::Scanner;
use crate::ops::state::{self, Verdict};
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, trees};
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::here::Here;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct DiffOptions {
    /// None: HEAD and the work tree. One: that and the work tree. `A..B`, `A...B` and two: these.
    pub revisions: Vec<String>,
    /// Which outputs; all if none is named.
    pub targets: TargetOptions,
    /// Whether rows have hashes.
    pub show_hash: bool,
}

/// One row: a path, and what it held.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The path relative to the repository's root; of an empty folder with a slash.
    pub path: RowPath,
    /// Hashes, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<RowHash>,
}

/// A path, or two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(untagged)]
pub enum RowPath {
    /// The path.
    One(String),
    /// Of something that moved.
    Two {
        /// Before.
        old: String,
        /// After.
        new: String,
    },
}

/// A hash, or two.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum RowHash {
    /// Of what was added, deleted or moved.
    One(String),
    /// Of what changed.
    Two {
        /// Before.
        old: String,
        /// After.
        new: String,
    },
}

/// What differs, each list sorted by path. The names are DVC's.
#[derive(Debug, Default, serde::Serialize)]
pub struct DiffReport {
    /// Only the newer side has them.
    pub added: Vec<Row>,
    /// Only the older side has them.
    pub deleted: Vec<Row>,
    /// Both have them, with other contents or another mode.
    pub modified: Vec<Row>,
    /// The same contents under another path of the same output.
    pub renamed: Vec<Row>,
    /// What is neither in the work tree nor in the cache, though it was here; and outputs that differ in
    /// a way that cannot be told: their lists of files are not here.
    #[serde(rename = "not in cache")]
    pub not_in_cache: Vec<Row>,
    /// The outputs that differ, sorted by path. Not in DVC's form.
    #[serde(skip)]
    pub outputs: Vec<OutputStat>,
    /// Outputs that differ and whose lists of files are not here, sorted by path.
    #[serde(skip)]
    pub unlisted: Vec<Unlisted>,
    /// Files of the work tree that cannot be used, and why: what they track is in no list.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// How much an output holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Total {
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Total {
    fn of(info: &ContentInfo) -> Total {
        Total { files: info.nfiles.unwrap_or(1), bytes: info.size }
    }

    fn of_entries(entries: &[TreeEntry]) -> Total {
        let files = || entries.iter().filter(|entry| entry.kind.is_file());
        Total { files: files().count() as u64, bytes: files().map(|entry| entry.size).sum() }
    }
}

/// An output that differs in a way that cannot be told here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// The output, relative to the repository's root.
    pub path: String,
    /// What the older side has of it.
    pub before: Option<Total>,
    /// What the newer side has of it.
    pub after: Option<Total>,
}

/// How much of one output differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OutputStat {
    /// The output, relative to the repository's root.
    pub path: String,
    /// How many of its entries differ.
    #[serde(flatten)]
    pub entries: ChangeCounts,
    /// Bytes of what is new or new contents.
    pub bytes_in: u64,
    /// Bytes of what is gone or had other contents.
    pub bytes_out: u64,
    /// All that the older side has of it.
    pub before: Option<Total>,
    /// All that the newer side has of it.
    pub after: Option<Total>,
}

impl DiffReport {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        [&self.added, &self.deleted, &self.modified, &self.renamed, &self.not_in_cache]
            .iter()
            .all(|rows| rows.is_empty())
    }
}

impl OutputStat {
    fn of(
        output: &RepoPath,
        (before, after): (Option<Total>, Option<Total>),
        changes: &[EntryChange],
        renames: &[Rename],
    ) -> OutputStat {
        let bytes = |side: fn(&EntryChange) -> &Option<TreeEntry>| {
            changes.iter().filter_map(|change| side(change).as_ref()).map(|entry| entry.size).sum()
        };
        OutputStat {
            path: output.to_string(),
            entries: ChangeCounts::of(changes, renames),
            bytes_in: bytes(|change| &change.new),
            bytes_out: bytes(|change| &change.old),
            before,
            after,
        }
    }
}

/// One side of the comparison.
enum Side {
    Revision(Tracked),
    WorkTree(Tracked),
}

impl Side {
    fn tracked(&self) -> &Tracked {
        match self {
            Side::Revision(tracked) | Side::WorkTree(tracked) => tracked,
        }
    }

    fn content(&self, path: &RepoPath) -> Option<ContentInfo> {
        let out = self.tracked().out(path)?;
        if out.cache { out.content } else { None }
    }
}

/// Compares. In a project without commits HEAD is empty.
pub fn run(repo: &Repo, options: &DiffOptions, reporter: &dyn Reporter) -> Result<DiffReport, OpError> {
    let (old, mut new) = sides(repo, &options.revisions)?;
    let mut chosen = chosen(repo, &old, &new, &options.targets)?;
    let unreadable: Vec<_> = new.tracked().problems().iter().map(|problem| problem.file.clone()).collect();
    let failed = match &mut new {
        Side::WorkTree(tracked) => targets::problems(repo, tracked, &options.targets),
        Side::Revision(_) => Vec::new(),
    };
    // R9: a file that cannot be read says nothing, also not that anything went.
    chosen.retain(|(path, _)| {
        if new.tracked().out(path).is_some_and(|out| new.tracked().is_told_in_conflict(&out.source)) {
            return true;
        }
        let recorded_in =
            |side: &Side| side.tracked().out(path).map(|out| side.tracked().recorded_in(&out.source).clone());
        let file = recorded_in(&new).or_else(|| recorded_in(&old));
        file.is_none_or(|file| !unreadable.contains(&file))
    });
    if let Side::WorkTree(new) = &new {
        let left_out = left_out(repo, old.tracked(), new)?;
        chosen.retain(|(path, _)| !left_out.contains(path));
    }
    let index = repo.stat_index();
    let mut diff = Diff {
        repo,
        scanner: Scanner::new(repo, &index, reporter),
        here: Here::load(repo.mlv()),
        show_hash: options.show_hash,
        report: DiffReport { failed, ..DiffReport::default() },
    };
    for (path, inside) in chosen {
        diff.output(&path, &inside, &old, &new)?;
    }
    let report = &mut diff.report;
    let lists = [
        &mut report.added,
        &mut report.deleted,
        &mut report.modified,
        &mut report.renamed,
        &mut report.not_in_cache,
    ];
    for rows in lists {
        rows.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(diff.report)
}

/// The outputs whose recording git's sparse checkout leaves out of the work tree: nobody deleted them.
fn left_out(repo: &Repo, old: &Tracked, new: &Tracked) -> Result<BTreeSet<RepoPath>, OpError> {
    let Some(git) = repo.git() else { return Ok(BTreeSet::new()) };
    let mut found = BTreeSet::new();
    for out in old.outs().iter().filter(|out| new.out(&out.path).is_none()) {
        if git.is_left_out(old.recorded_in(&out.source))? {
            found.insert(out.path.clone());
        }
    }
    Ok(found)
}

fn sides(repo: &Repo, revisions: &[String]) -> Result<(Side, Side), OpError> {
    let (old, new) = revisions::pair(repo, revisions)?;
    let side = |at: At| -> Result<Side, OpError> {
        Ok(match at {
            At::WorkTree => Side::WorkTree(Tracked::load(repo)?),
            _ => Side::Revision(revisions::tracked(repo, at)?),
        })
    };
    Ok((side(old)?, side(new)?))
}

type Chosen = Vec<(RepoPath, Vec<Box<str>>)>;

/// The outputs of either side that the targets mean.
fn chosen(repo: &Repo, old: &Side, new: &Side, targets: &TargetOptions) -> Result<Chosen, OpError> {
    if targets.targets.is_empty() {
        let all = old.tracked().outs().iter().chain(new.tracked().outs());
        let paths: BTreeSet<RepoPath> = all.map(|out| out.path.clone()).collect();
        return Ok(paths.into_iter().map(|path| (path, Vec::new())).collect());
    }
    // A target may be known to one side only.
    let from = |side: &Side| -> Result<Chosen, OpError> {
        let selected = targets::outputs(repo, side.tracked(), targets)?;
        Ok(selected.into_iter().map(|one| (one.out.path.clone(), one.inside)).collect())
    };
    match (from(new), from(old)) {
        (Ok(mut chosen), Ok(more)) => {
            chosen.extend(more.into_iter().filter(|(path, _)| new.tracked().out(path).is_none()));
            Ok(chosen)
        }
        (Err(error @ OpError::UnusableTarget { .. }), _) => Err(error),
        (Ok(chosen), Err(_)) | (Err(_), Ok(chosen)) => Ok(chosen),
        (Err(error), Err(_)) => Err(error),
    }
}

struct Diff<'a> {
    repo: &'a Repo,
    scanner: Scanner<'a>,
    here: Here,
    show_hash: bool,
    report: DiffReport,
}

impl Diff<'_> {
    fn output(
        &mut self,
        path: &RepoPath,
        inside: &[Box<str>],
        old: &Side,
        new: &Side,
    ) -> Result<(), OpError> {
        let before = old.content(path).as_ref().map(Total::of);
        let mut after = new.content(path).as_ref().map(Total::of);
        let changes = match (old.content(path), new.content(path), new) {
            (Some(a), Some(b), Side::Revision(_)) if a == b => return Ok(()),
            (
                Some(ContentInfo { id: ContentId::Tree(a), .. }),
                Some(ContentInfo { id: ContentId::Tree(b), .. }),
                Side::Revision(_),
            ) => trees::diff(self.repo, path, a, b),
            _ => self.both(path, (old, new), &mut after),
        };
        let mut changes = match changes {
            Ok(changes) => changes,
            Err(error) if error.is_not_downloaded() => {
                let row = Row { path: RowPath::One(format!("{path}/")), hash: None };
                self.report.not_in_cache.push(row);
                self.report.unlisted.push(Unlisted { path: path.to_string(), before, after });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !inside.is_empty() {
            let bare = |path: &str| path.trim_end_matches('/').to_owned();
            changes.retain(|change| inside.iter().any(|part| trees::is_within(&bare(&change.path), part)));
        }
        let renames = compare::take_renames(&mut changes);
        if let Side::WorkTree(_) = new {
            self.add_lost(path, &changes)?;
        }
        if !changes.is_empty() || !renames.is_empty() {
            self.report.outputs.push(OutputStat::of(path, (before, after), &changes, &renames));
        }
        for change in &changes {
            self.add_change(path, change);
        }
        for rename in &renames {
            self.add_rename(path, rename);
        }
        Ok(())
    }

    /// Compares file by file. `after` becomes what the work tree holds, where that is the newer side.
    fn both(
        &self,
        path: &RepoPath,
        (old, new): (&Side, &Side),
        after: &mut Option<Total>,
    ) -> Result<Vec<EntryChange>, OpError> {
        let recorded = |side: &Side| match side.content(path) {
            Some(info) => trees::read_content(self.repo, &info, path),
            None => Ok(Vec::new()),
        };
        let (Side::WorkTree(_), Some(info)) = (new, new.content(path)) else {
            return Ok(compare::compare(&recorded(old)?, &recorded(new)?));
        };
        let found = state::examine(self.repo, &self.scanner, &self.here, (path, &info))?;
        if !found.verdict.is_difference() && old.content(path) == Some(info) {
            return Ok(Vec::new());
        }
        let mut entries = found.present.tree_entries();
        match &found.verdict {
            // What never was here counts as it is recorded.
            Verdict::NotHere => entries = recorded(new)?,
            Verdict::Directory(directory) => {
                entries.extend(directory.not_here.iter().cloned());
                entries.sort_by(|a, b| a.path.cmp(&b.path));
            }
            _ => {}
        }
        *after = (!entries.is_empty()).then(|| Total::of_entries(&entries));
        Ok(compare::compare(&recorded(old)?, &entries))
    }

    /// Adds what was deleted and is not in the cache either.
    fn add_lost(&mut self, output: &RepoPath, changes: &[EntryChange]) -> Result<(), OpError> {
        let deleted = |change: &&EntryChange| change.kind() == ChangeKind::Deleted;
        let olds: Vec<&TreeEntry> =
            changes.iter().filter(deleted).filter_map(|change| change.old.as_ref()).collect();
        if olds.is_empty() {
            return Ok(());
        }
        let presence = self.repo.cache()?.snapshot();
        for old in olds.iter().filter(|old| old.kind.has_object() && !presence.has_object(old.hash)) {
            let hash = if self.show_hash { hashes(Some(old), None) } else { None };
            let path = RowPath::One(full(output, &old.path));
            self.report.not_in_cache.push(Row { path, hash });
        }
        Ok(())
    }

    fn add_change(&mut self, output: &RepoPath, change: &EntryChange) {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        let row = Row {
            path: RowPath::One(full(output, &change.path)),
            hash: if self.show_hash { hashes(old, new) } else { None },
        };
        match change.kind() {
            ChangeKind::Added => self.report.added.push(row),
            ChangeKind::Modified => self.report.modified.push(row),
            ChangeKind::Deleted => self.report.deleted.push(row),
        }
    }

    fn add_rename(&mut self, output: &RepoPath, rename: &Rename) {
        let path = RowPath::Two { old: full(output, &rename.from), new: full(output, &rename.to) };
        self.report.renamed.push(Row { path, hash: None });
    }
}

/// A path from the root; an entry without a path is the output itself.
fn full(output: &RepoPath, entry: &str) -> String {
    if entry.is_empty() { output.to_string() } else { format!("{output}/{entry}") }
}

fn hashes(old: Option<&TreeEntry>, new: Option<&TreeEntry>) -> Option<RowHash> {
    let text = |entry: &TreeEntry| match entry.kind {
        EntryKind::EmptyDir => String::new(),
        _ => format!("blake3:{}", entry.hash),
    };
    match (old, new) {
        (Some(old), Some(new)) => Some(RowHash::Two { old: text(old), new: text(new) }),
        (Some(one), None) | (None, Some(one)) => Some(RowHash::One(text(one))),
        (None, None) => None,
    }
}
