//! Brings a file or folder from outside the repository into its work tree, for `add --out`.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::fs;
use crate::fs::dir::Dir;
use crate::fs::place::{Draft, Examined, Placer, Spot};
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
    pub fn copy(&self, repo: &Repo, reporter: &dyn Reporter) -> Result<Copied, OpError> {
        let staging = Staging::create(repo.temporary()?)?;
        let rescue = Rescue::new(repo.mlv().clone(), "mlv add");
        let placer = Placer::new(repo.dir(), &staging, &rescue);
        let meter = reporter.meter(Task { verb: "Copying", unit: Unit::Bytes, total: None });
        let mut copying = Copying { placer, meter: &*meter, out: &self.out, done: Copied::default() };
        match self.copy_all(repo, &mut copying) {
            Ok(()) => Ok(copying.done),
            Err(error) => {
                take_away(&mut copying.placer, repo, &copying.done);
                Err(error)
            }
        }
    }

    fn walk(&self, dir: &Dir, repo: &Repo) -> Result<Walk, OpError> {
        let threads = par::threads(repo.file_jobs()?);
        let mut found = walk::walk(dir, &RepoPath::root(), &|_, _| false, threads)?;
        if let Some((_, error)) = found.unreadable.drain(..).next() {
            return Err(error.into());
        }
        Ok(found)
    }

    fn copy_all(&self, repo: &Repo, copying: &mut Copying<'_>) -> Result<(), OpError> {
        let (source, out) = (&self.source, &self.out);
        if self.kind != FileKind::Dir {
            let name = source.file_name().and_then(|name| name.to_str());
            let (Some(parent), Some(name)) = (source.parent(), name) else {
                return Err(fs::at(source, "read")(io::Error::from(io::ErrorKind::InvalidFilename)).into());
            };
            let name = RepoPath::root().join_entry(name);
            return copying.file(&Dir::open(parent)?, &name, out);
        }
        let dir = Dir::open(source)?;
        let found = self.walk(&dir, repo)?;
        copying.meter.set_total(found.entries.iter().map(|entry| entry.stamp.size).sum());
        copying.folder(out)?;
        for entry in &found.entries {
            let from = RepoPath::root().join_entry(entry.path.trim_end_matches('/'));
            let to = out.join_entry(from.as_str());
            match entry.stamp.kind {
                FileKind::Dir => copying.folder(&to)?,
                FileKind::Symlink => copying.symlink(&dir.read_link(&from)?, &to)?,
                _ => copying.file(&dir, &from, &to)?,
            }
        }
        Ok(())
    }
}

/// What a copy consists of: all that may be taken away again.
#[derive(Debug, Default)]
pub struct Copied {
    files: Vec<(RepoPath, FileStamp)>,
    folders: BTreeSet<RepoPath>,
}

impl Copied {
    /// Takes the copy away; the source has it still. What others put or changed there stays.
    pub fn undo(&self, repo: &Repo) -> Result<(), OpError> {
        let staging = Staging::create(repo.temporary()?)?;
        let rescue = Rescue::new(repo.mlv().clone(), "mlv add");
        take_away(&mut Placer::new(repo.dir(), &staging, &rescue), repo, self);
        Ok(())
    }
}

/// A copy that is being made.
struct Copying<'a> {
    placer: Placer<'a>,
    meter: &'a dyn Meter,
    out: &'a RepoPath,
    done: Copied,
}

impl Copying<'_> {
    fn folder(&mut self, to: &RepoPath) -> Result<(), OpError> {
        self.placer.make_folder(to)?;
        self.done.folders.insert(to.clone());
        Ok(())
    }

    fn symlink(&mut self, target: &str, to: &RepoPath) -> Result<(), OpError> {
        let draft = self.placer.draft_symlink(Spot::Alone, target)?;
        self.put(draft, to)
    }

    fn file(&mut self, dir: &Dir, from: &RepoPath, to: &RepoPath) -> Result<(), OpError> {
        let (mut file, stamp) = dir.open_file_stamped(from)?;
        let mut draft = self.placer.draft(Spot::Alone, stamp.mode_x)?;
        let copied = match draft.file() {
            Some(out) => copy_bytes(&mut file, out, &dir.full(from), self.meter),
            None => Ok(()),
        };
        if let Err(error) = copied {
            self.placer.discard(draft);
            return Err(error);
        }
        self.put(draft, to)
    }

    fn put(&mut self, draft: Draft, to: &RepoPath) -> Result<(), OpError> {
        let stamp = self.placer.put_new(draft, to)?;
        // With the file came the folders above it, up to that of the copy.
        let mut above = to.parent();
        while let Some(folder) = above.filter(|folder| folder.starts_with(self.out)) {
            above = folder.parent();
            if !self.done.folders.insert(folder) {
                break;
            }
        }
        self.done.files.push((to.clone(), stamp));
        Ok(())
    }
}

/// Removes the files that are still those of the copy, and folders that are empty then.
///
/// Best effort: what cannot be removed is a copy too many.
fn take_away(placer: &mut Placer<'_>, repo: &Repo, copied: &Copied) {
    for (path, stamp) in &copied.files {
        let is_ours = |found: FileStamp| found.has_same_bytes(stamp);
        if repo.dir().stat(path).is_ok_and(|found| found.is_some_and(is_ours)) {
            // The source holds the bytes; what took the file's place since goes to rescue.
            let _ = placer.remove(path, &Examined { stamp: *stamp, is_saved: true, hash: None });
        }
    }
    // From the last on: what lies in a folder comes after it.
    for folder in copied.folders.iter().rev() {
        let _ = placer.remove_folder(folder);
    }
}

/// Copies all of `from`, the file `name`, to `to`; stops when the user asks to.
pub(super) fn copy_bytes(
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
