//! Paths as people write them in pointers, pipelines and locks, relative to a folder.

use crate::model::path::{PathError, RepoPath};

/// Why a written path names nothing in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// More `..` than folders.
    #[error("it lies outside the repository")]
    Outside,
    /// It starts with a slash or a drive.
    #[error("it is absolute; paths here are relative")]
    Absolute,
    /// It is a URL.
    #[error("it is a URL")]
    Url,
    /// An output that contains the file that names it.
    #[error("it contains the file that names it")]
    ContainsItself,
    /// A part of it is refused.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What `written` names from `folder`: `.` and `..` are taken lexically, a slash at the end is
/// dropped. The root itself is allowed.
pub fn resolve(folder: &RepoPath, written: &str) -> Result<RepoPath, ResolveError> {
    if written.contains("://") {
        return Err(ResolveError::Url);
    }
    let drive = |bytes: &[u8]| bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    if written.starts_with(['/', '\\']) || drive(written.as_bytes()) {
        return Err(ResolveError::Absolute);
    }
    let written = written.strip_suffix('/').unwrap_or(written);
    if written.is_empty() {
        return Err(PathError::EmptyPart.into());
    }
    let mut parts: Vec<&str> = folder.components().collect();
    for part in written.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop().ok_or(ResolveError::Outside)?;
            }
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Ok(RepoPath::root());
    }
    Ok(RepoPath::parse(&parts.join("/"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_paths_are_taken_from_their_folder() {
        let folder = RepoPath::parse("a/b").unwrap();
        let path = |written: &str| resolve(&folder, written).map(|path| path.to_string());
        assert_eq!(path("x"), Ok("a/b/x".into()));
        assert_eq!(path("../x/"), Ok("a/x".into()));
        assert_eq!(path("./x/../y"), Ok("a/b/y".into()));
        assert_eq!(path("../.."), Ok(".".into()));
        assert_eq!(path("../../.."), Err(ResolveError::Outside));
        assert_eq!(path("../../../a/x"), Err(ResolveError::Outside));
        assert_eq!(path("/etc"), Err(ResolveError::Absolute));
        assert_eq!(path("C:x"), Err(ResolveError::Absolute));
        assert_eq!(path("s3://b/k"), Err(ResolveError::Url));
        assert_eq!(path(""), Err(PathError::EmptyPart.into()));
        assert_eq!(path("x//y"), Err(PathError::EmptyPart.into()));
        assert_eq!(path(".git/x"), Err(PathError::Reserved.into()));
    }
}
