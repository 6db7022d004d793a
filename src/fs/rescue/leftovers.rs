//! Removal of operations that kept nothing. No file is taken away, whatever comes in meanwhile.

use std::time::{Duration, SystemTime};

use super::{FOLDER, compact_time, read_operation};
use crate::fs::dir::{Dir, DirEntry};
use crate::fs::stamp::FileKind;
use crate::fs::sys;
use crate::model::path::RepoPath;

/// Age from which an operation without files counts as left behind.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Removes an operation's folders and its log if nothing else is in them.
pub(super) fn remove_if_empty(mlv: &Dir, name: &str) {
    let Ok(rescue) = mlv.open_dir(&RepoPath::own(FOLDER)) else { return };
    let Ok(path) = RepoPath::parse(name) else { return };
    if holds_only_folders(&rescue, &path) && remove_folders(&rescue, &path) {
        let _ = sys::unlink(&rescue, &format!("{name}.jsonl"));
    }
}

fn holds_only_folders(dir: &Dir, path: &RepoPath) -> bool {
    let Ok(entries) = dir.read_dir(path) else { return false };
    entries.iter().all(|entry| entry.kind == FileKind::Dir)
        && entries.iter().all(|entry| holds_only_folders(dir, &path.join_entry(&entry.name)))
}

/// Removes a folder of folders; a file that came into one since stays, with the folders above it.
fn remove_folders(dir: &Dir, path: &RepoPath) -> bool {
    let Ok(entries) = dir.read_dir(path) else { return false };
    entries.iter().all(|entry| remove_folders(dir, &path.join_entry(&entry.name)))
        && dir.remove_dir(path).unwrap_or(false)
}

/// Removes the operations that a crash left before they kept anything. Those of the last day may be of
/// commands that still run.
pub(super) fn reap(mlv: &Dir) {
    let Ok(rescue) = mlv.open_dir(&RepoPath::own(FOLDER)) else { return };
    let Ok(entries) = rescue.read_dir(&RepoPath::root()) else { return };
    let yesterday = compact_time(SystemTime::now() - ABANDONED);
    let folders = entries.iter().filter(|entry| entry.kind == FileKind::Dir && entry.name < yesterday);
    for DirEntry { name, .. } in folders {
        // A folder that was displaced itself is named by a line.
        if holds_only_folders(&rescue, &RepoPath::root().join_entry(name))
            && read_operation(&rescue, name).is_ok_and(|operation| operation.files.is_empty())
        {
            remove_if_empty(mlv, name);
        }
    }
}
