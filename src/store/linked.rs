//! Symlinks of a work tree that stand for objects of the cache: what `cache.type = symlink` makes.

use std::path::Path;

use crate::fs::dir::Dir;
use crate::fs::stamp::{FileKind, FileStamp};
use crate::model::digest::ObjectId;
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::store::cache::Cache;
use crate::store::layout::{BAD, loose_path};
use crate::store::packed::names;

/// The object that a symlink stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedObject {
    /// The object whose name the symlink has.
    pub id: ObjectId,
    /// Its file below the cache's folder and that file's stamp; nothing if the link leads nowhere. The file
    /// may have been written to since: its name is no proof of what it holds.
    pub file: Option<(RepoPath, FileStamp)>,
}

impl LinkedObject {
    /// Whether the link itself can be read.
    pub fn is_readable(&self) -> bool {
        self.file.as_ref().is_some_and(|(path, _)| path.parent().is_none_or(|folder| folder.as_str() != BAD))
    }
}

impl Cache {
    /// What a symlink with this target text stands for, if a checkout made it.
    ///
    /// An object that was put aside because somebody had written to it is found there: these bytes may be
    /// nowhere else. A link into the cache of a project that was moved or copied leads nowhere, unless
    /// that cache is there still: then it is not this one's.
    pub fn linked_object(&self, target: &str) -> Option<LinkedObject> {
        let target = Path::new(target);
        let (name, folder) = (target.file_name()?.to_str()?, target.parent()?);
        let prefix = folder.file_name()?.to_str()?;
        let id: ObjectId = format!("{prefix}{name}").parse().ok()?;
        let place = loose_path(RecordKey { hash: id.digest(), kind: RecordKind::File });
        if !target.is_absolute() || !target.ends_with(place.as_str()) {
            return None;
        }
        if target == std::path::absolute(self.root().join(place.as_str())).ok()? {
            let file = self.file_at(place).or_else(|| self.put_aside(id));
            return Some(LinkedObject { id, file });
        }
        let elsewhere = Dir::open(folder).and_then(|folder| folder.stat(&RepoPath::own(name)));
        matches!(elsewhere, Ok(None) | Err(_)).then_some(LinkedObject { id, file: None })
    }

    fn file_at(&self, path: RepoPath) -> Option<(RepoPath, FileStamp)> {
        let stamp = self.dir()?.stat(&path).ok()??;
        (stamp.kind == FileKind::File).then_some((path, stamp))
    }

    /// The youngest of the files that were put aside under this name.
    fn put_aside(&self, id: ObjectId) -> Option<(RepoPath, FileStamp)> {
        let prefix = format!("{}-", id.digest());
        let names = names(self.dir()?, &RepoPath::own(BAD)).into_iter();
        let files = names.filter(|name| name.starts_with(&prefix));
        files
            .filter_map(|name| self.file_at(RepoPath::own(&format!("{BAD}/{name}"))))
            .max_by_key(|(_, stamp)| stamp.mtime_ns)
    }
}
