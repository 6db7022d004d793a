//! Files that git could not merge: their stages in the index.

use std::collections::BTreeMap;

use gix::index::entry::Stage;

use super::Error;
use super::repo::GitRepo;
use super::revision::BlobId;
use crate::model::path::RepoPath;

/// A file in conflict, with the contents of each side that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmerged {
    /// The file.
    pub path: RepoPath,
    /// What both sides started from.
    pub base: Option<BlobId>,
    /// What is merged into.
    pub ours: Option<BlobId>,
    /// What is merged.
    pub theirs: Option<BlobId>,
}

/// What git writes when it stops with conflicts: of any merge, of one that ends in a commit, of patches.
const TRACES: [&str; 3] = ["AUTO_MERGE", "MERGE_MSG", "rebase-apply"];

impl GitRepo {
    /// Whether git may have stopped with files in conflict: without reading its index, which costs more
    /// than all else in a small project.
    pub fn may_have_conflicts(&self) -> bool {
        TRACES.iter().any(|name| self.git_dir().join(name).exists())
    }

    /// The files in conflict that `wanted` picks by their name, sorted.
    pub fn unmerged(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Unmerged>, Error> {
        let index = self.tracked_entries()?;
        let mut found: BTreeMap<RepoPath, Unmerged> = BTreeMap::new();
        for entry in index.entries().iter().filter(|entry| entry.stage_raw() != 0) {
            let Some(path) = self.relative(entry.path(index)).filter(|path| wanted(path.file_name())) else {
                continue;
            };
            let unmerged =
                found.entry(path.clone()).or_insert(Unmerged { path, base: None, ours: None, theirs: None });
            let side = match entry.stage() {
                Stage::Base => &mut unmerged.base,
                Stage::Theirs => &mut unmerged.theirs,
                _ => &mut unmerged.ours,
            };
            *side = Some(BlobId(entry.id));
        }
        Ok(found.into_values().collect())
    }

    /// The contents that git knows by this name; `TooLarge` beyond `limit` bytes.
    pub fn read_blob(&self, id: BlobId, path: &RepoPath, limit: u64) -> Result<Vec<u8>, Error> {
        self.blob(&self.local(), id.0, path.as_str(), limit)
    }
}
