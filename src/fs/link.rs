//! How a file of the cache gets into the work tree without its bytes being copied.
//!
//! What works depends on the pair of folders, not on the name of a file system (bind mounts,
//! quotas, overlays): so it is tried there, once a process, and never guessed.

use std::fs::File;
use std::io;
use std::str::FromStr;

use super::dir::Dir;
use super::error::Error;
use super::random::random_hex;
use super::sys;

/// A way to make a file of the work tree from one in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkMode {
    /// Shares the blocks until one side writes.
    Reflink,
    /// A second name of the cache's file, read-only.
    Hardlink,
    /// A symbolic link into the cache, read-only.
    Symlink,
    /// Bytes of its own.
    Copy,
}

/// A word that is no link mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link type is `reflink`, `hardlink`, `symlink` or `copy`, not `{word}`")]
pub struct ParseLinkModeError {
    word: String,
}

impl LinkMode {
    /// Its word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            LinkMode::Reflink => "reflink",
            LinkMode::Hardlink => "hardlink",
            LinkMode::Symlink => "symlink",
            LinkMode::Copy => "copy",
        }
    }
}

impl FromStr for LinkMode {
    type Err = ParseLinkModeError;

    fn from_str(word: &str) -> Result<LinkMode, ParseLinkModeError> {
        [LinkMode::Reflink, LinkMode::Hardlink, LinkMode::Symlink, LinkMode::Copy]
            .into_iter()
            .find(|mode| mode.name() == word)
            .ok_or_else(|| ParseLinkModeError { word: word.to_owned() })
    }
}

/// The first of `wanted` that works from a file in `cache` to one in `work`; copying always does.
///
/// Both are folders of mlv's own (a staging folder, the work tree's `tmp`); a file is created
/// and removed in each.
pub fn probe(cache: &Dir, work: &Dir, wanted: &[LinkMode]) -> Result<LinkMode, Error> {
    let Some(first) = wanted.first().filter(|mode| **mode != LinkMode::Copy) else {
        return Ok(LinkMode::Copy);
    };
    let name = format!("probe-{}", random_hex::<8>());
    let failed = |error| cache.failed(&name, "create", error);
    let source = sys::create_new(cache, &name, 0o600).map_err(failed)?;
    let filled = sys::write_all(&source, b"probe").map_err(failed);
    let found = filled.map(|()| {
        let works = |mode: LinkMode| mode == LinkMode::Copy || link_works(mode, cache, &source, work, &name);
        std::iter::once(first).chain(&wanted[1..]).copied().find(|mode| works(*mode))
    });
    let _ = sys::unlink(cache, &name);
    Ok(found?.unwrap_or(LinkMode::Copy))
}

fn link_works(mode: LinkMode, cache: &Dir, source: &File, work: &Dir, name: &str) -> bool {
    let target = format!("{name}-{}", mode.name());
    let made: io::Result<()> = match mode {
        LinkMode::Reflink => {
            sys::create_new(work, &target, 0o600).and_then(|file| sys::reflink(source, &file))
        }
        LinkMode::Hardlink => sys::hard_link((cache, name), (work, &target)),
        LinkMode::Symlink => sys::symlink(name, work, &target),
        LinkMode::Copy => return true,
    };
    let _ = sys::unlink(work, &target);
    made.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_leave_nothing_behind_and_find_hard_links() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open(root.path()).unwrap();
        assert_eq!(probe(&dir, &dir, &[LinkMode::Hardlink]).unwrap(), LinkMode::Hardlink);
        assert_eq!(probe(&dir, &dir, &[]).unwrap(), LinkMode::Copy);
        let any = probe(&dir, &dir, &[LinkMode::Reflink, LinkMode::Copy]).unwrap();
        assert!(matches!(any, LinkMode::Reflink | LinkMode::Copy));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn words_round_trip() {
        assert_eq!("hardlink".parse(), Ok(LinkMode::Hardlink));
        assert!("hard".parse::<LinkMode>().is_err());
    }
}
