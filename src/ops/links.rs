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

/// Checks the symlinks among `present`, found at `inside` of `output`; empty if at the output itself.
///
/// Fails at the first one whose target may not be recorded.
pub fn check(repo: &Repo, output: &RepoPath, inside: &str, present: &Present) -> Result<(), OpError> {
    let links: Vec<String> = links(present).map(|link| join(inside, link)).collect();
    let all: HashSet<&str> = links.iter().map(String::as_str).collect();
    for link in &links {
        let path = output.join_entry(link);
        let target = repo.dir().read_link(&path)?;
        let refused = |why| OutputError::SymlinkTarget { path: path.clone(), target: target.clone(), why };
        let places = places(link, &target).map_err(refused)?;
        if places.iter().any(|place| all.contains(&**place)) {
            return Err(refused("leads through another symbolic link").into());
        }
    }
    Ok(())
}

/// Whether the symlink at `inside` of `output` has a target that may be recorded, other links aside.
pub fn may_be_recorded(repo: &Repo, output: &RepoPath, inside: &str) -> bool {
    let target = repo.dir().read_link(&output.join_entry(inside));
    target.is_ok_and(|target| places(inside, &target).is_ok())
}

/// The first symlink of what is `present` at `path` that leads out of it, or may: the hash of a link is
/// that of its text, and says nothing of what stands elsewhere.
///
/// More is allowed than in what is recorded: `lib.so -> lib.so.1 -> lib.so.1.2` stays inside.
pub fn leading_out(repo: &Repo, path: &RepoPath, present: &Present) -> Result<Option<RepoPath>, OpError> {
    let all: HashSet<&str> = links(present).collect();
    for link in links(present) {
        if link.is_empty() {
            return Ok(Some(path.clone()));
        }
        let full = path.join_entry(link);
        let target = repo.dir().read_link(&full)?;
        let leaves = places(link, &target).map_or(true, |places| {
            // `folder/..` is not where the text says if `folder` is a link.
            target.contains("..") && places.iter().rev().skip(1).any(|place| all.contains(&**place))
        });
        if leaves {
            return Ok(Some(full));
        }
    }
    Ok(None)
}

/// The paths of the symlinks, relative to where they were found.
fn links(present: &Present) -> impl Iterator<Item = &str> {
    let links = present.entries().iter().filter(|entry| entry.kind == EntryKind::Symlink);
    links.map(|entry| &*entry.path)
}

fn join(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("", path) => path.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// What `target` leads through from the link at `link`, relative to the directory; last where it ends.
fn places(link: &str, target: &str) -> Result<Vec<String>, &'static str> {
    if target.is_empty() || target.len() as u64 > MAX_TARGET || target.chars().any(char::is_control) {
        return Err("is empty, too long or holds control characters");
    }
    if target.starts_with('/') {
        return Err("is an absolute path");
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    let mut places = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => continue,
            ".." => {
                parts.pop().ok_or("leads out of the directory")?;
            }
            name => parts.push(name),
        }
        places.push(parts.join("/"));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn targets_are_resolved_by_their_text() {
        let end = |link, target| places(link, target).map(|places| places.last().cloned());
        assert_eq!(end("a/link", "../b/file"), Ok(Some("b/file".to_owned())));
        assert_eq!(end("link", "./x//y"), Ok(Some("x/y".to_owned())));
        assert_eq!(end("a/link", ".."), Ok(Some(String::new())));
        for bad in ["../../x", "/etc/passwd", "", "a\nb", "../a/../../b"] {
            assert!(places("a/link", bad).is_err(), "{bad:?}");
        }
        // Also what the text takes back is led through.
        assert_eq!(places("a/link", "b/../c").unwrap(), ["a/b", "a", "a/c"]);
    }
}
