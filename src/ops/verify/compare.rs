//! What a stage made beside what the lock says that it made.

use crate::model::lockfile::LockOut;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::compare::{ChangeKind, EntryChange, compare};
use crate::ops::scan::Present;
use crate::ops::{OpError, trees};
use crate::repo::Repo;

/// One output.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OutputReport {
    /// Its path.
    pub path: String,
    /// What the lock says of it; nothing if an optional one was not made then.
    pub recorded: Option<Content>,
    /// What was made now; nothing if it was not.
    pub made: Option<Content>,
    /// Of a directory the files that differ, sorted by path; of a file itself, if it does.
    pub changes: Vec<FileChange>,
    /// Whether that list is all: the recorded one of a directory may not be here.
    pub is_list_known: bool,
}

/// Contents.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Content {
    /// The hash as the lock has it.
    pub hash: String,
    /// Bytes.
    pub size: u64,
    /// Files, of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfiles: Option<u64>,
    /// Whether a file is executable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub isexec: bool,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileChange {
    /// Its path from the root.
    pub path: String,
    /// `added`, `modified` or `deleted`.
    pub change: &'static str,
    /// Bytes that are recorded.
    pub old_size: Option<u64>,
    /// Bytes that were made.
    pub new_size: Option<u64>,
}

impl OutputReport {
    /// Whether what was made is what is recorded.
    pub fn is_same(&self) -> bool {
        self.recorded.as_ref().map(|content| &content.hash) == self.made.as_ref().map(|made| &made.hash)
    }
}

impl From<ContentInfo> for Content {
    fn from(info: ContentInfo) -> Content {
        Content { hash: info.id.to_string(), size: info.size, nfiles: info.nfiles, isexec: info.executable }
    }
}

/// Compares what stands at the output `path` of a clean work tree, every hash known, with what was
/// `recorded` of it.
pub(super) fn output(
    repo: &Repo,
    path: &RepoPath,
    recorded: Option<&LockOut>,
    present: &Present,
) -> Result<OutputReport, OpError> {
    let entries = present.tree_entries();
    let made = match present {
        Present::Absent => None,
        Present::File(_) => entries.first().map(trees::file_info),
        Present::Directory(_) => Some(trees::content_info(&trees::build(path, &entries, None)?)),
    };
    let recorded = recorded.map(|out| out.content);
    let mut report = OutputReport {
        path: path.to_string(),
        recorded: recorded.map(Content::from),
        made: made.map(Content::from),
        changes: Vec::new(),
        is_list_known: true,
    };
    if recorded.map(|info| info.id) == made.map(|info| info.id) {
        return Ok(report);
    }
    let old = match &recorded {
        Some(info) => match trees::read_content(repo, info, path) {
            Err(error) if error.is_not_downloaded() => {
                report.is_list_known = false;
                return Ok(report);
            }
            entries => entries?,
        },
        None => Vec::new(),
    };
    report.changes = compare(&old, &entries).iter().map(|change| file_change(path, change)).collect();
    Ok(report)
}

fn file_change(output: &RepoPath, change: &EntryChange) -> FileChange {
    let path = if change.path.is_empty() { output.clone() } else { output.join_entry(&change.path) };
    let size = |entry: &Option<TreeEntry>| entry.as_ref().map(|entry| entry.size);
    let word = match change.kind() {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::Deleted => "deleted",
    };
    FileChange {
        path: path.to_string(),
        change: word,
        old_size: size(&change.old),
        new_size: size(&change.new),
    }
}
