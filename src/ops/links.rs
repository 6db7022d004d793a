//! Symlinks inside tracked directories: which targets may be recorded.
//!
//! A target is relative, stays inside the directory when resolved by its text, and leads through
//! no other symlink; it may dangle (docs/formats.md, "Trees"). So a checkout elsewhere means the
//! same thing, and nothing outside the directory is ever reached through it (R3).

use std::collections::HashSet;

use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, MAX_TARGET};
use crate::ops::scan::Present;
use crate::ops::{OpError, OutputError};
use crate::repo::Repo;

/// Checks the symlinks among `present`, found at `output`.
///
/// Fails at the first one whose target may not be recorded.
pub fn check(repo: &Repo, output: &RepoPath, present: &Present) -> Result<(), OpError> {
    let links: Vec<&str> = present
        .entries()
        .iter()
        .filter(|entry| entry.kind == EntryKind::Symlink)
        .map(|entry| &*entry.path)
        .collect();
    let all: HashSet<&str> = links.iter().copied().collect();
    for link in links {
        let path = output.join_entry(link);
        let target = repo.dir().read_link(&path)?;
        let refused = |why| OutputError::SymlinkTarget { path: path.clone(), target: target.clone(), why };
        let resolved = resolve(link, &target).map_err(refused)?;
        let mut through = resolved.match_indices('/').map(|(end, _)| &resolved[..end]).chain([&*resolved]);
        if through.any(|step| all.contains(step)) {
            return Err(refused("leads through another symbolic link").into());
        }
    }
    Ok(())
}

/// Where `target` leads from the link at `link`, relative to the directory.
pub fn resolve(link: &str, target: &str) -> Result<String, &'static str> {
    if target.is_empty() || target.len() as u64 > MAX_TARGET || target.chars().any(char::is_control) {
        return Err("is empty, too long or holds control characters");
    }
    if target.starts_with('/') {
        return Err("is an absolute path");
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("leads out of the directory")?;
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn targets_are_resolved_by_their_text() {
        assert_eq!(resolve("a/link", "../b/file").as_deref(), Ok("b/file"));
        assert_eq!(resolve("link", "./x//y").as_deref(), Ok("x/y"));
        assert_eq!(resolve("a/link", "..").as_deref(), Ok(""));
        for bad in ["../../x", "/etc/passwd", "", "a\nb", "../a/../../b"] {
            assert!(resolve("a/link", bad).is_err(), "{bad:?}");
        }
    }
}
