//! `merge-driver`: what git runs to merge a pointer or a lock.

use std::path::{Path, PathBuf};

use crate::fs::atomic;
use crate::fs::dir::Dir;
use crate::model::merge::marked;
use crate::model::path::RepoPath;
use crate::model::resolve::ResolveError;
use crate::ops::OpError;
use crate::ops::merge::{self, Base, FileKind, Versions};
use crate::ops::merge_error::MergeError;
use crate::ops::surroundings::Surroundings;
use crate::repo::Repo;

/// The files that git names; all relative to the current folder, which is git's topmost.
#[derive(Clone, Debug, Default)]
pub struct MergeDriverOptions {
    /// The version that both started from; empty if there is none.
    pub base: PathBuf,
    /// Our version, which becomes the merged one.
    pub ours: PathBuf,
    /// Their version.
    pub theirs: PathBuf,
    /// The path that is merged.
    pub path: String,
}

/// What was merged.
#[derive(Debug, Default, serde::Serialize)]
pub struct MergeDriverReport {
    /// The path.
    pub path: String,
    /// Stages of a lock that both sides changed, and that are to run.
    pub stale: Vec<String>,
}

/// Puts the merged version into the file of ours. In a conflict both are put there, between git's
/// markers: nobody commits that by accident, and `resolve` reads it.
pub fn run(around: &Surroundings<'_>, options: &MergeDriverOptions) -> Result<MergeDriverReport, OpError> {
    let file = parsed(&options.path)?;
    let kind = FileKind::of(file.file_name()).ok_or_else(|| MergeError::NotMlv { file: file.clone() })?;
    let read = |path: &Path| -> Result<Vec<u8>, OpError> {
        let (dir, name) = place(around, path)?;
        Ok(dir.read_file(&name, kind.limit())?)
    };
    let (base, ours, theirs) = (read(&options.base)?, read(&options.ours)?, read(&options.theirs)?);
    let base = if base.is_empty() { Base::Absent } else { Base::Text(base) };
    let versions = Versions { base, ours: Some(ours.clone()), theirs: Some(theirs.clone()) };
    let open = || repo_of(around, &file);
    let merged = merge::merge(&open, (&file, kind), &versions, None, around.reporter);
    let (bytes, outcome) = match merged {
        Ok(merged) => {
            let report = MergeDriverReport { path: file.to_string(), stale: merged.stale };
            (merged.bytes.unwrap_or_default(), Ok(report))
        }
        Err(error) => {
            let [ours, theirs] = [&ours, &theirs].map(|bytes| String::from_utf8_lossy(bytes));
            (marked(&ours, &theirs).into_bytes(), Err(error))
        }
    };
    let (dir, name) = place(around, &options.ours)?;
    atomic::write(&dir, &name, &bytes, None)?;
    outcome
}

/// The path that git names. Fails with `BadTarget` if mlv could not store it.
fn parsed(text: &str) -> Result<RepoPath, OpError> {
    let bad = |reason| OpError::BadTarget { target: text.to_owned(), reason: ResolveError::Path(reason) };
    RepoPath::parse(text).map_err(bad)
}

/// A file that git made: its folder, and its name there.
fn place(around: &Surroundings<'_>, path: &Path) -> Result<(Dir, RepoPath), OpError> {
    let full = around.cwd.join(path);
    let folder = full.parent().unwrap_or(around.cwd);
    let name = full.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok((Dir::open(folder)?, parsed(name)?))
}

/// The project that the merged file belongs to. Its folder may not be there yet.
fn repo_of(around: &Surroundings<'_>, file: &RepoPath) -> Result<Repo, OpError> {
    let mut folder = file.parent().unwrap_or_else(RepoPath::root);
    while !around.cwd.join(folder.as_str()).is_dir() {
        let Some(above) = folder.parent() else { break };
        folder = above;
    }
    Ok(Repo::open_with(&around.cwd.join(folder.as_str()), around.sources.clone())?)
}
