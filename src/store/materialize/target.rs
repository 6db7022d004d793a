//! What a symlink may lead to.

use crate::model::path::RepoPath;
use crate::model::tree::MAX_TARGET;

/// Whether a symlink's target text is relative, harmless to print, and leads to a place in the
/// work tree outside git's and mlv's folders (R3). It may lead to nothing.
pub(super) fn stays_inside(path: &RepoPath, target: &str) -> bool {
    if target.is_empty() || target.len() as u64 > MAX_TARGET || target.chars().any(char::is_control) {
        return false;
    }
    let mut place = path.parent().unwrap_or_else(RepoPath::root);
    for part in target.split('/').enumerate() {
        let next = match part {
            // The first part of an absolute path is empty.
            (0, "") => None,
            (_, "" | ".") => continue,
            (_, "..") => place.parent(),
            (_, name) => place.join_str(name).ok(),
        };
        let Some(next) = next else { return false };
        place = next;
    }
    true
}
