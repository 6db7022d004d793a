//! What a commit has at a path: a file, or all that is in a folder.

use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind as Kind;

use super::error::Error;
use super::repo::{CommitId, GitRepo};
use super::revision::BlobId;
use crate::model::path::{MAX_DEPTH, RepoPath};
use crate::model::tree::EntryKind;

/// One file or symlink of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryAt {
    /// Its path below the folder that was asked for; empty if it was asked for itself.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its contents, for [`GitRepo::read_entry`].
    pub blob: BlobId,
}

impl GitRepo {
    /// What `commit` has at `path`, sorted by path. Submodules are left out, and names that are not UTF-8.
    pub fn entries_at(&self, commit: CommitId, path: &RepoPath) -> Result<Vec<EntryAt>, Error> {
        let repo = self.local();
        let root = self.tree_of(&repo, commit)?;
        let full = self.full(path);
        let mut found = Vec::new();
        if full.is_root() {
            self.collect(&repo, root.id, (String::new(), 0), &mut found)?;
        } else if let Some((kind, id)) = self.lookup(&repo, root.id, &full)? {
            self.add_entry(&repo, (kind, id), (String::new(), 0), &mut found)?;
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The bytes of an entry, a symlink's target text; `TooLarge` beyond `limit` bytes.
    pub fn read_entry(&self, entry: &EntryAt, limit: u64) -> Result<Vec<u8>, Error> {
        self.blob(&self.local(), entry.blob.0, &entry.path, limit)
    }

    fn collect(
        &self,
        repo: &gix::Repository,
        id: gix::ObjectId,
        (folder, depth): (String, usize),
        found: &mut Vec<EntryAt>,
    ) -> Result<(), Error> {
        let tree = self.find_tree(repo, id)?;
        for entry in tree.iter() {
            let entry = entry.map_err(|error| Error::object(&id)(gix::Error::from_error(error)))?;
            let Ok(name) = entry.filename().to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            self.add_entry(repo, (entry.mode().kind(), entry.object_id()), (path, depth + 1), found)?;
        }
        Ok(())
    }

    fn add_entry(
        &self,
        repo: &gix::Repository,
        (kind, id): (Kind, gix::ObjectId),
        (path, depth): (String, usize),
        found: &mut Vec<EntryAt>,
    ) -> Result<(), Error> {
        let kind = match kind {
            Kind::Tree if depth < MAX_DEPTH => return self.collect(repo, id, (path, depth), found),
            Kind::Tree | Kind::Commit => return Ok(()),
            Kind::Blob => EntryKind::File,
            Kind::BlobExecutable => EntryKind::Executable,
            Kind::Link => EntryKind::Symlink,
        };
        found.push(EntryAt { path, kind, blob: BlobId(id) });
        Ok(())
    }
}
