//! Brings a file or folder from outside the repository into its work tree, for `add --out`.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::fs;
use crate::fs::dir::Dir;
use crate::fs::place::Placer;
use crate::fs::rescue::Rescue;
use crate::fs::staging::Staging;
use crate::fs::stamp::{FileKind, FileStamp};
use crate::fs::walk::{self, Walk};
use crate::model::path::RepoPath;
use crate::ops::{OpError, OutputError, targets};
use crate::par;
use crate::repo::Repo;
use crate::report::{Meter, Reporter, Task, Unit, interrupted};

/// How much is copied between two looks at whether to stop.
const STEP: usize = 1 << 20;

/// Something that will be copied to a free name in the work tree.
#[derive(Debug)]
pub struct CopyIn {
    source: PathBuf,
    out: RepoPath,
    kind: FileKind,
}

impl CopyIn {
    /// Checks that something stands at `source`, relative to the current folder, and nothing at `out`.
    ///
    /// Fails with `Exists` if something has the name. Writes nothing.
    pub fn plan(repo: &Repo, source: &str, out: &str) -> Result<CopyIn, OpError> {
        let out = targets::path(repo, out)?;
        if out.is_root() || repo.dir().stat(&out)?.is_some() {
            return Err(fs::Error::Exists { path: repo.dir().full(&out) }.into());
        }
        let given = repo.dir().full(repo.prefix()).join(source);
        let source = given.canonicalize().map_err(|error| fs::at(&given, "read")(error))?;
        if repo.root().starts_with(&source) {
            return Err(OutputError::WholeRepository.into());
        }
        let kind = if source.is_dir() { FileKind::Dir } else { FileKind::File };
        Ok(CopyIn { source, out, kind })
    }

    /// A copy of what stands at `path` of `folder`, to the same path of the work tree.
    pub fn from_folder(folder: &Dir, path: &RepoPath) -> Result<CopyIn, OpError> {
        // Not a link: one into the cache could not be written to.
        let given = folder.full(path);
        let source = given.canonicalize().map_err(|error| fs::at(&given, "read")(error))?;
        let kind = if source.is_dir() { FileKind::Dir } else { FileKind::File };
        Ok(CopyIn { source, out: path.clone(), kind })
    }

    /// The name of the copy.
    pub fn out(&self) -> &RepoPath {
        &self.out
    }

    /// What it will be.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Bytes, and of a folder the number of files.
    pub fn measure(&self, repo: &Repo) -> Result<(u64, Option<u64>), OpError> {
        if self.kind != FileKind::Dir {
            let found = self.source.metadata().map_err(fs::at(&self.source, "read"))?;
            return Ok((found.len(), None));
        }
        let found = self.walk(&Dir::open(&self.source)?, repo)?;
        let files = || found.entries.iter().filter(|entry| entry.stamp.kind != FileKind::Dir);
        Ok((files().map(|entry| entry.stamp.size).sum(), Some(files().count() as u64)))
    }

    /// Copies. What was copied goes again if the rest cannot be, or the user asks to stop.
    pub fn copy(&self, repo: &Repo, reporter: &dyn Reporter) -> Result<(), OpError> {
        let staging = Staging::create(repo.temporary()?)?;
        let rescue = Rescue::new(repo.mlv().clone(), "mlv add");
        let mut placer = Placer::new(repo.dir(), &staging, &rescue);
        let meter = reporter.meter(Task { verb: "Copying", unit: Unit::Bytes, total: None });
        let copied = self.copy_all(repo, &mut placer, &*meter);
        // Somebody else's file that came in between is not ours to remove.
        let is_ours = !matches!(copied, Err(OpError::Fs(fs::Error::Exists { .. })));
        if copied.is_err() && is_ours {
            self.undo(repo)?;
        }
        copied
    }

    /// Takes the copy away; the source has it still.
    pub fn undo(&self, repo: &Repo) -> Result<(), OpError> {
        Ok(repo.dir().remove_all(&self.out)?)
    }

    fn walk(&self, dir: &Dir, repo: &Repo) -> Result<Walk, OpError> {
        let threads = par::threads(repo.file_jobs()?);
        let mut found = walk::walk(dir, &RepoPath::root(), &|_, _| false, threads)?;
        if let Some((_, error)) = found.unreadable.drain(..).next() {
            return Err(error.into());
        }
        Ok(found)
    }

    fn copy_all(&self, repo: &Repo, placer: &mut Placer<'_>, meter: &dyn Meter) -> Result<(), OpError> {
        let (source, out) = (&self.source, &self.out);
        if self.kind != FileKind::Dir {
            let name = source.file_name().and_then(|name| name.to_str());
            let (Some(parent), Some(name)) = (source.parent(), name) else {
                return Err(fs::at(source, "read")(io::Error::from(io::ErrorKind::InvalidFilename)).into());
            };
            let name = RepoPath::root().join_entry(name);
            return copy_file(placer, &Dir::open(parent)?, &name, out, meter);
        }
        let dir = Dir::open(source)?;
        let found = self.walk(&dir, repo)?;
        meter.set_total(found.entries.iter().map(|entry| entry.stamp.size).sum());
        placer.make_folder(out)?;
        for entry in &found.entries {
            let from = RepoPath::root().join_entry(entry.path.trim_end_matches('/'));
            let to = out.join_entry(from.as_str());
            copy_entry(placer, &dir, (&from, &entry.stamp), &to, meter)?;
        }
        Ok(())
    }
}

fn copy_entry(
    placer: &mut Placer<'_>,
    dir: &Dir,
    (from, stamp): (&RepoPath, &FileStamp),
    to: &RepoPath,
    meter: &dyn Meter,
) -> Result<(), OpError> {
    match stamp.kind {
        FileKind::Dir => drop(placer.make_folder(to)?),
        FileKind::Symlink => {
            let draft = placer.draft_symlink(&dir.read_link(from)?)?;
            placer.put_new(draft, to)?;
        }
        _ => copy_file(placer, dir, from, to, meter)?,
    }
    Ok(())
}

fn copy_file(
    placer: &mut Placer<'_>,
    dir: &Dir,
    from: &RepoPath,
    to: &RepoPath,
    meter: &dyn Meter,
) -> Result<(), OpError> {
    let (mut file, stamp) = dir.open_file_stamped(from)?;
    let mut draft = placer.draft(stamp.mode_x)?;
    let copied = match draft.file() {
        Some(out) => copy_bytes(&mut file, out, &dir.full(from), meter),
        None => Ok(()),
    };
    if let Err(error) = copied {
        placer.discard(draft);
        return Err(error);
    }
    placer.put_new(draft, to)?;
    Ok(())
}

fn copy_bytes(
    from: &mut impl Read,
    to: &mut impl Write,
    name: &Path,
    meter: &dyn Meter,
) -> Result<(), OpError> {
    let mut buffer = vec![0; STEP];
    loop {
        if interrupted() {
            return Err(OpError::Interrupted);
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(fs::at(name, "read"))?,
        };
        to.write_all(&buffer[..count]).map_err(fs::at(name, "copy"))?;
        meter.inc(count as u64);
    }
}
