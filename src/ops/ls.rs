//! `ls`: what is recorded at a path, without a checkout.

use std::collections::BTreeMap;

use crate::model::object::ContentId;
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::recorded::{self, Sources};
use crate::ops::targets::{self, Selected, TargetOptions};
use crate::ops::tracked::{Tracked, TrackedOut};
use crate::ops::{OpError, trees};
use crate::repo::Repo;
use crate::report::Reporter;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct LsOptions {
    /// A folder or file; the current folder, if none is named.
    pub path: Option<String>,
    /// The revision; without one, what pointers and locks of the work tree name.
    pub rev: Option<String>,
    /// The remote that is asked instead of each output's own.
    pub remote: Option<String>,
    /// Every file below, instead of the names in the folder.
    pub recursive: bool,
}

/// One line. The names are DVC's.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Relative to the folder that is listed.
    pub path: String,
    /// Whether it is an output of its own.
    pub isout: bool,
    /// Whether it is a folder.
    pub isdir: bool,
    /// Whether its owner may execute it.
    pub isexec: bool,
    /// Bytes, of a folder those of the files in it; nothing where a stage has not run.
    pub size: Option<u64>,
    /// The hash; of a folder only where it is an output.
    pub hash: Option<String>,
}

/// What is recorded, sorted by path.
#[derive(Debug, Default)]
pub struct LsReport {
    /// The lines.
    pub rows: Vec<Row>,
    /// What could not be listed, and why.
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Lists. Fetches pages of directories at most, and only those that tell.
pub fn run(repo: &Repo, options: &LsOptions, reporter: &dyn Reporter) -> Result<LsReport, OpError> {
    let mut tracked = recorded::tracked(repo, options.rev.as_deref())?;
    let target = options.path.as_deref().unwrap_or(".");
    let selection = TargetOptions { targets: vec![target.to_owned()], ..TargetOptions::default() };
    if options.path.is_none() && is_nothing_below(repo, &tracked) {
        return Ok(LsReport {
            failed: targets::problems(repo, &mut tracked, &selection),
            ..LsReport::default()
        });
    }
    // A stage's name is no path: its outputs are shown from the current folder.
    let is_path = |path: &RepoPath| {
        tracked.containing(path).is_some() || tracked.below(path).next().is_some() || path.is_root()
    };
    let base = targets::path(repo, target).ok().filter(is_path).unwrap_or_else(|| repo.prefix().clone());
    let mut lister = Lister {
        sources: Sources::new(repo, options.remote.clone(), reporter),
        base,
        recursive: options.recursive,
        rows: BTreeMap::new(),
    };
    let mut failed = Vec::new();
    for one in targets::outputs(repo, &tracked, &selection)? {
        if let Err(error) = lister.output(&one) {
            failed.push((one.out.path.clone(), error));
        }
    }
    let rows = lister.rows.into_values().collect();
    failed.extend(targets::problems(repo, &mut tracked, &selection));
    Ok(LsReport { rows, failed })
}

fn is_nothing_below(repo: &Repo, tracked: &Tracked) -> bool {
    tracked.below(repo.prefix()).next().is_none() && tracked.containing(repo.prefix()).is_none()
}

struct Lister<'r> {
    sources: Sources<'r>,
    /// What is listed.
    base: RepoPath,
    recursive: bool,
    rows: BTreeMap<String, Row>,
}

impl Lister<'_> {
    fn output(&mut self, one: &Selected<'_>) -> Result<(), OpError> {
        let out = one.out;
        let is_looked_into = !one.inside.is_empty() || self.recursive || out.path == self.base;
        let is_directory = out.content.is_some_and(|info| info.id.is_tree());
        if !is_directory || !is_looked_into {
            // What lies inside of a file, or of nothing, is refused.
            if !one.inside.is_empty() {
                self.sources.entries(one)?;
            }
            self.add(&out.path, whole(out));
            return Ok(());
        }
        for entry in self.sources.entries(one)? {
            let path = out.path.join_entry(entry.bare_path());
            self.add(&path, row(&entry));
        }
        Ok(())
    }

    /// Adds what stands at `path`: as it is, or as a part of the folder below the base that it is in.
    fn add(&mut self, path: &RepoPath, row: Row) {
        let below = match path.strip_prefix(&self.base) {
            // The base itself is listed under its name, as a file is by `ls`.
            Some("") => path.file_name().to_owned(),
            Some(below) => below.to_owned(),
            None => path.relative_to(&self.base),
        };
        match below.split_once('/') {
            Some((folder, _)) if !self.recursive && folder != ".." => {
                let empty = || Row { path: folder.to_owned(), isdir: true, size: Some(0), ..Row::default() };
                let known = self.rows.entry(folder.to_owned()).or_insert_with(empty);
                known.size = known.size.zip(row.size).map(|(a, b)| a.saturating_add(b));
            }
            _ => drop(self.rows.insert(below.clone(), Row { path: below, ..row })),
        }
    }
}

/// An output as a whole.
fn whole(out: &TrackedOut) -> Row {
    Row {
        isout: true,
        isdir: out.content.is_some_and(|info| info.id.is_tree()),
        isexec: out.content.is_some_and(|info| info.executable),
        size: out.content.map(|info| info.size),
        hash: out.content.map(|info| info.id.to_string()),
        ..Row::default()
    }
}

fn row(entry: &TreeEntry) -> Row {
    let file = trees::file_info(entry);
    let is_folder = entry.kind == EntryKind::EmptyDir;
    let hash = ContentId::File(entry.hash.into()).to_string();
    Row {
        isdir: is_folder,
        isexec: file.executable,
        size: Some(entry.size),
        hash: (!is_folder).then_some(hash),
        ..Row::default()
    }
}
