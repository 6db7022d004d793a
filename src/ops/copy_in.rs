//! Brings a file or folder from outside the repository into its work tree, for `add --out`.

use std::io;
use std::path::Path;

use crate::fs::dir::Dir;
use crate::fs::place::Placer;
use crate::fs::rescue::Rescue;
use crate::fs::staging::Staging;
use crate::fs::stamp::{FileKind, FileStamp};
use crate::fs::{self, walk};
use crate::model::path::RepoPath;
use crate::ops::{OpError, targets};
use crate::par;
use crate::repo::Repo;

/// Copies what stands at `source`, relative to the current folder, to the free name `out`.
///
/// What was copied goes again if the rest cannot be. Fails with `Exists` if something has the name.
pub fn copy_in(repo: &Repo, source: &str, out: &str) -> Result<(), OpError> {
    let out = targets::path(repo, out)?;
    let is_free = || repo.dir().stat(&out).map(|found| found.is_none());
    if out.is_root() || !is_free()? {
        return Err(fs::Error::Exists { path: repo.dir().full(&out) }.into());
    }
    let source = repo.dir().full(repo.prefix()).join(source);
    let source = source.canonicalize().map_err(|error| fs::at(&source, "read")(error))?;
    let staging = Staging::create(repo.temporary()?)?;
    let rescue = Rescue::new(repo.mlv().clone(), "mlv add");
    let mut placer = Placer::new(repo.dir(), &staging, &rescue);
    let copied = copy(&mut placer, &source, &out);
    // Somebody else's file that came in between is not ours to remove.
    let is_ours = !matches!(copied, Err(OpError::Fs(fs::Error::Exists { .. })));
    if copied.is_err() && is_ours {
        repo.dir().remove_all(&out)?;
    }
    copied
}

fn copy(placer: &mut Placer<'_>, source: &Path, out: &RepoPath) -> Result<(), OpError> {
    if !source.is_dir() {
        let (Some(parent), Some(name)) = (source.parent(), source.file_name().and_then(|name| name.to_str()))
        else {
            return Err(fs::at(source, "read")(io::Error::from(io::ErrorKind::InvalidFilename)).into());
        };
        let name = RepoPath::root().join_entry(name);
        return copy_file(placer, &Dir::open(parent)?, &name, out);
    }
    let dir = Dir::open(source)?;
    let found = walk::walk(&dir, &RepoPath::root(), &|_, _| false, par::threads(None))?;
    if let Some((_, error)) = found.unreadable.into_iter().next() {
        return Err(error.into());
    }
    placer.make_folder(out)?;
    for entry in &found.entries {
        let from = RepoPath::root().join_entry(entry.path.trim_end_matches('/'));
        let to = out.join_entry(from.as_str());
        copy_entry(placer, &dir, (&from, &entry.stamp), &to)?;
    }
    Ok(())
}

fn copy_entry(
    placer: &mut Placer<'_>,
    dir: &Dir,
    (from, stamp): (&RepoPath, &FileStamp),
    to: &RepoPath,
) -> Result<(), OpError> {
    match stamp.kind {
        FileKind::Dir => drop(placer.make_folder(to)?),
        FileKind::Symlink => {
            let draft = placer.draft_symlink(&dir.read_link(from)?)?;
            placer.put_new(draft, to)?;
        }
        _ => copy_file(placer, dir, from, to)?,
    }
    Ok(())
}

fn copy_file(placer: &mut Placer<'_>, dir: &Dir, from: &RepoPath, to: &RepoPath) -> Result<(), OpError> {
    let (mut file, stamp) = dir.open_file_stamped(from)?;
    let mut draft = placer.draft(stamp.mode_x)?;
    let copied = match draft.file() {
        Some(out) => io::copy(&mut file, out).map(drop),
        None => Ok(()),
    };
    if let Err(error) = copied {
        placer.discard(draft);
        return Err(fs::at(&dir.full(from), "copy")(error).into());
    }
    placer.put_new(draft, to)?;
    Ok(())
}
