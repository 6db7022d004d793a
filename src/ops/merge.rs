//! Two versions of a pointer or a lock made one: for the merge driver and for `resolve`.
//!
//! Of directories only the lists of files are read, and fetched where they are not here; the data of what
//! is merged stays where it is.

use crate::model::lockfile::Lockfile;
use crate::model::merge::{Favour, three_way};
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::model::tree::{self, TreeEntry};
use crate::model::yaml::Limits;
use crate::ops::merge_error::MergeError;
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::{self, Access};
use crate::ops::tracked::{LOCK_FILE, POINTER_SUFFIX};
use crate::ops::{OpError, trees};
use crate::repo::Repo;
use crate::report::Reporter;

/// What a file of mlv's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A pointer.
    Pointer,
    /// A lock.
    Lock,
}

impl FileKind {
    /// That of a file of this name; nothing if mlv cannot merge it.
    pub fn of(name: &str) -> Option<FileKind> {
        match name {
            LOCK_FILE => Some(FileKind::Lock),
            _ if name.len() > POINTER_SUFFIX.len() && name.ends_with(POINTER_SUFFIX) => {
                Some(FileKind::Pointer)
            }
            _ => None,
        }
    }

    /// Largest file of this kind, in bytes.
    pub fn limit(self) -> u64 {
        let limits = match self {
            FileKind::Pointer => Limits::POINTER,
            FileKind::Lock => Limits::LOCK,
        };
        limits.bytes as u64
    }
}

/// What both started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// This text.
    Text(Vec<u8>),
    /// Nothing: both sides made the file.
    Absent,
    /// Who knows.
    Unknown,
}

impl Base {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Base::Text(bytes) => Some(bytes),
            Base::Absent | Base::Unknown => None,
        }
    }
}

/// The versions of one file; a side may have removed it.
#[derive(Clone, Debug)]
pub struct Versions {
    /// What both started from.
    pub base: Base,
    /// Ours.
    pub ours: Option<Vec<u8>>,
    /// Theirs.
    pub theirs: Option<Vec<u8>>,
}

/// What a file becomes.
#[derive(Debug, Default)]
pub struct Merged {
    /// Its bytes; nothing if it is gone.
    pub bytes: Option<Vec<u8>>,
    /// Stages of a lock that both sides changed, and that are to run.
    pub stale: Vec<String>,
}

/// Opens the project, for what takes its cache or its remote.
pub type OpenRepo<'a> = &'a dyn Fn() -> Result<Repo, OpError>;

/// Merges the versions of `file`. Where both changed the same, `favour` decides; without it that is a
/// conflict, which is the error.
///
/// The pages of a merged directory are durable on return (I1).
pub fn merge(
    open: OpenRepo<'_>,
    (file, kind): (&RepoPath, FileKind),
    versions: &Versions,
    favour: Option<Favour>,
    reporter: &dyn Reporter,
) -> Result<Merged, OpError> {
    let (Some(ours), Some(theirs)) = (&versions.ours, &versions.theirs) else {
        let side = favour.map(|favour| favour.of(&versions.ours, &versions.theirs));
        let removed = || MergeError::Removed { file: file.clone() };
        // Git itself takes a removal for agreed where the other side changed nothing.
        return Ok(Merged { bytes: side.ok_or_else(removed)?.clone(), stale: Vec::new() });
    };
    match kind {
        FileKind::Lock => lock(file, versions.base.text(), ours, theirs, favour),
        FileKind::Pointer => {
            let merging = Merging { open, file, favour, reporter };
            let bytes = merging.pointer(&versions.base, ours, theirs)?;
            Ok(Merged { bytes: Some(bytes), stale: Vec::new() })
        }
    }
}

fn lock(
    file: &RepoPath,
    base: Option<&[u8]>,
    ours: &[u8],
    theirs: &[u8],
    favour: Option<Favour>,
) -> Result<Merged, OpError> {
    // Without a base every difference counts as changed by both: more is stale, nothing is wrong.
    let base = base.and_then(|bytes| Lockfile::parse(file, bytes).ok()).unwrap_or_default();
    let (ours, theirs) = (Lockfile::parse(file, ours)?, Lockfile::parse(file, theirs)?);
    let merged = Lockfile::merge(file, &base, &ours, &theirs, favour);
    let stale = merged.stale.iter().map(ToString::to_string).collect();
    Ok(Merged { bytes: Some(merged.lock.write(file).into_bytes()), stale })
}

/// The merge of one pointer.
struct Merging<'a> {
    open: OpenRepo<'a>,
    file: &'a RepoPath,
    favour: Option<Favour>,
    reporter: &'a dyn Reporter,
}

impl Merging<'_> {
    fn pointer(&self, base: &Base, ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, OpError> {
        let file = self.file;
        let sides = (Pointer::parse(file, ours)?, Pointer::parse(file, theirs)?);
        let old = base.text().and_then(|bytes| Pointer::parse(file, bytes).ok());
        let is_known = old.is_some() || *base == Base::Absent;
        let content = self.content(old.as_ref(), &sides, is_known)?;
        let texts = [base.text().filter(|_| old.is_some()), Some(ours), Some(theirs)];
        let merged = Pointer::merge(file, texts, &content, self.favour)?;
        Ok(merged.ok_or_else(|| MergeError::Rest { file: file.clone() })?)
    }

    fn content(
        &self,
        base: Option<&Pointer>,
        (ours, theirs): &(Pointer, Pointer),
        is_known: bool,
    ) -> Result<ContentInfo, OpError> {
        let (o, t) = (ours.content, theirs.content);
        let b = base.map(|base| base.content);
        let is_merged = three_way(b, Some(o), Some(t)).flatten().filter(|_| is_known || o == t);
        if let Some(content) = is_merged {
            return Ok(content);
        }
        let base_tree = match b.map(|base| base.id) {
            Some(ContentId::Tree(_)) | None => Some(b),
            Some(ContentId::File(_)) => None,
        };
        if let (true, Some(base), true) = (o.id.is_tree() && t.id.is_tree(), base_tree, is_known) {
            return self.directory(ours, base, o, t);
        }
        match self.favour {
            Some(favour) => Ok(favour.of(o, t)),
            None if is_known => {
                let (file, paths) = (self.file.clone(), vec![ours.path.clone()]);
                Err(MergeError::Contents { file, paths }.into())
            }
            None => Err(MergeError::NoBase { file: self.file.clone() }.into()),
        }
    }

    fn directory(
        &self,
        pointer: &Pointer,
        base: Option<ContentInfo>,
        ours: ContentInfo,
        theirs: ContentInfo,
    ) -> Result<ContentInfo, OpError> {
        let repo = (self.open)()?;
        let base = base.map_or(Ok(Vec::new()), |base| self.entries(&repo, pointer, base))?;
        let ours = self.entries(&repo, pointer, ours)?;
        let theirs = self.entries(&repo, pointer, theirs)?;
        let merged = tree::merge(&base, &ours, &theirs, self.favour);
        if !merged.conflicts.is_empty() {
            let paths = merged.conflicts.iter().map(|path| pointer.path.join_entry(path)).collect();
            return Err(MergeError::Contents { file: self.file.clone(), paths }.into());
        }
        let writer = repo.cache()?.writer()?;
        let summary = trees::build(&pointer.path, &merged.entries, Some(&writer))?;
        writer.finish()?;
        Ok(trees::content_info(&summary))
    }

    /// The entries of a directory; pages that are not here come from the remote, and nothing else does.
    fn entries(&self, repo: &Repo, pointer: &Pointer, info: ContentInfo) -> Result<Vec<TreeEntry>, OpError> {
        match trees::read_content(repo, &info, &pointer.path) {
            Err(error) if error.is_not_downloaded() => {
                let mut from = share::open(repo, pointer.remote.as_deref(), Access::Read, self.reporter)?;
                let wish = Wish { output: pointer.path.clone(), info, inside: Vec::new() };
                bring::bring_trees(repo, &mut from, &[wish], self.reporter)?;
                trees::read_content(repo, &info, &pointer.path)
            }
            other => other,
        }
    }
}
