//! Paths of the work tree that a user names, patterns included.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use crate::config::keys::near;
use crate::fs::stamp::FileKind;
use crate::model::path::{PathError, RepoPath, check_output_name};
use crate::model::resolve::ResolveError;
use crate::ops::OpError;
use crate::repo::Repo;

/// The paths that `targets` name, sorted, each once, whether there is something or not.
///
/// Patterns are expanded against the work tree, and one that matches nothing is `NoSuchTarget`:
/// `*` and `?` stop at slashes, `**` does not, and a leading dot must be written. They match
/// neither mlv's and git's own files nor what `.mlvignore` leaves out; of a folder and what is in
/// it they give the folder.
pub fn paths(repo: &Repo, targets: &[String], glob: bool) -> Result<Vec<RepoPath>, OpError> {
    let mut found = BTreeSet::new();
    for target in targets {
        if glob {
            found.extend(expand(repo, target)?);
        } else {
            found.insert(super::path(repo, target)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// A pattern relative to the current folder as one relative to the root.
pub(super) fn from_root(repo: &Repo, pattern: &str) -> Result<String, OpError> {
    let outside = || OpError::BadTarget { target: pattern.to_owned(), reason: ResolveError::Outside };
    let mut parts: Vec<String> = repo.prefix().components().map(globset::escape).collect();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(outside)?),
            part => parts.push(part.to_owned()),
        }
    }
    Ok(parts.join("/"))
}

/// Compiles `pattern`; `target` is what the user wrote.
pub(super) fn matcher(target: &str, pattern: &str) -> Result<GlobMatcher, OpError> {
    let built = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    let glob = built.map_err(|source| OpError::BadPattern { target: target.to_owned(), source })?;
    Ok(glob.compile_matcher())
}

/// The paths that match `target`.
fn expand(repo: &Repo, target: &str) -> Result<Vec<RepoPath>, OpError> {
    let pattern = from_root(repo, target)?;
    let mut found = vec![RepoPath::root()];
    let mut parts = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        found = match part {
            // In the end `**` means what a folder holds, in the middle the folder too.
            "**" => below(repo, found, parts.peek().is_some())?,
            part => one_level(repo, target, &found, part)?,
        };
    }
    let all: BTreeSet<RepoPath> = found.into_iter().filter(|path| !path.is_root()).collect();
    let mut outermost = Vec::new();
    for path in &all {
        if repo.dir().stat(path)?.is_some() && !has_ancestor(path, &all) {
            outermost.push(path.clone());
        }
    }
    if outermost.is_empty() {
        return Err(OpError::NoMatch { target: target.to_owned() });
    }
    Ok(outermost)
}

fn has_ancestor(path: &RepoPath, all: &BTreeSet<RepoPath>) -> bool {
    let mut above = path.parent();
    while let Some(folder) = above {
        if all.contains(&folder) {
            return true;
        }
        above = folder.parent();
    }
    false
}

/// What in the folders `above` matches one part of a pattern.
fn one_level(repo: &Repo, target: &str, above: &[RepoPath], part: &str) -> Result<Vec<RepoPath>, OpError> {
    if !part.contains(['*', '?', '[', '{', '\\']) {
        return Ok(above.iter().filter_map(|folder| folder.join_str(part).ok()).collect());
    }
    let matcher = matcher(target, part)?;
    let mut found = Vec::new();
    for folder in above {
        for (path, _) in names_in(repo, folder)? {
            let name = path.file_name();
            if matcher.is_match(name) && (!name.starts_with('.') || part.starts_with('.')) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Everything below the folders `above`, with themselves or without.
fn below(repo: &Repo, above: Vec<RepoPath>, with_folders: bool) -> Result<Vec<RepoPath>, OpError> {
    let mut found = if with_folders { above.clone() } else { Vec::new() };
    let mut open = above;
    while let Some(folder) = open.pop() {
        for (path, kind) in names_in(repo, &folder)? {
            if path.file_name().starts_with('.') {
                continue;
            }
            if kind == FileKind::Dir {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    Ok(found)
}

/// What is in the folder of `path` under nearly its name, nearest first.
pub fn near_there(repo: &Repo, path: &RepoPath) -> Vec<RepoPath> {
    let folder = path.parent().unwrap_or_else(RepoPath::root);
    let there = names_in(repo, &folder).unwrap_or_default();
    let near = near(path.file_name(), there.iter().map(|(path, _)| path.file_name()));
    near.iter().filter_map(|name| folder.join_str(name).ok()).collect()
}

/// What a folder holds that could be data; nothing if it is no folder.
pub fn names_in(repo: &Repo, folder: &RepoPath) -> Result<Vec<(RepoPath, FileKind)>, OpError> {
    match repo.dir().stat(folder)? {
        Some(stamp) if stamp.kind == FileKind::Dir => {}
        _ => return Ok(Vec::new()),
    }
    let ignore = repo.ignore();
    let mut found = Vec::new();
    for entry in repo.dir().read_dir(folder)? {
        // Names that mlv refuses are named by `add` where they are in a directory; no pattern means them.
        let Ok(path) = folder.join_str(&entry.name) else { continue };
        let is_own = matches!(check_output_name(&path), Err(PathError::OwnFile));
        if !is_own && !ignore.is_ignored(path.as_str(), entry.kind == FileKind::Dir) {
            found.push((path, entry.kind));
        }
    }
    Ok(found)
}
