//! Where the page goes: a folder of the user's choice, in which nothing else is replaced.

use std::path::{Path, PathBuf};

use crate::fs::atomic;
use crate::fs::dir::{Dir, OWN_FOLDER};
use crate::model::path::RepoPath;
use crate::ops::{OpError, OutputError};
use crate::plots::MARK;

/// Where pages go if nothing is said, in the current folder. git ignores what is in it.
pub const DEFAULT_FOLDER: &str = "mlv_plots";
const PAGE: &str = "index.html";
/// Largest page that is looked at whether it is mlv's, in bytes.
const MAX_PAGE: u64 = 1 << 30;

/// Writes the page into `folder`, relative to `cwd`, made if it is not there. Returns its path.
///
/// Fails with `PlaceTaken` over a file that is no page of mlv's, and with `BadPlace` in git's or mlv's
/// own folders.
pub fn write(cwd: &Path, folder: Option<&Path>, html: &str) -> Result<PathBuf, OpError> {
    let full = clean(&cwd.join(folder.unwrap_or(Path::new(DEFAULT_FOLDER))));
    let page = full.join(PAGE);
    let real = full.ancestors().find_map(|above| above.canonicalize().ok());
    let is_own = |part: std::path::Component<'_>| {
        part.as_os_str().eq_ignore_ascii_case(".git") || part.as_os_str().eq_ignore_ascii_case(OWN_FOLDER)
    };
    if real.as_deref().unwrap_or(&full).components().chain(full.components()).any(is_own) {
        return Err(OutputError::BadPlace { path: page.display().to_string() }.into());
    }
    let dir = Dir::create(&full, None)?;
    let name = RepoPath::own(PAGE);
    match dir.read_file(&name, MAX_PAGE) {
        Ok(known) if !known.windows(MARK.len()).take(4096).any(|part| part == MARK.as_bytes()) => {
            return Err(OutputError::PlaceTaken { path: page.display().to_string() }.into());
        }
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    let ignore = RepoPath::own(".gitignore");
    if folder.is_none() && dir.stat(&ignore)?.is_none() {
        atomic::write(&dir, &ignore, b"*\n", None)?;
    }
    atomic::write(&dir, &name, html.as_bytes(), None)?;
    Ok(page)
}

/// The path without `.` and with `..` taken back.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
