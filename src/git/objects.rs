//! Reads folders and files of commits: what is not here of a partial clone is brought first.

use gix::objs::tree::EntryKind;

use super::Error;
use super::repo::{CommitId, GitRepo};
use crate::model::path::RepoPath;

impl GitRepo {
    pub(super) fn find_tree<'r>(
        &self,
        repo: &'r gix::Repository,
        id: gix::ObjectId,
    ) -> Result<gix::Tree<'r>, Error> {
        self.bring(repo, [id])?;
        repo.find_tree(id).map_err(Error::object(&id))
    }

    /// The folder of git's root at `commit`.
    pub(super) fn tree_of<'r>(
        &self,
        repo: &'r gix::Repository,
        commit: CommitId,
    ) -> Result<gix::Tree<'r>, Error> {
        self.find_tree(repo, tree_id(repo, commit)?)
    }

    /// What the folder `root` has at `path`.
    pub(super) fn lookup(
        &self,
        repo: &gix::Repository,
        root: gix::ObjectId,
        path: &RepoPath,
    ) -> Result<Option<(EntryKind, gix::ObjectId)>, Error> {
        let (mut kind, mut id) = (EntryKind::Tree, root);
        for name in path.components() {
            if kind != EntryKind::Tree {
                return Ok(None);
            }
            let tree = self.find_tree(repo, id)?;
            let Some(entry) = tree.find_entry(name) else { return Ok(None) };
            (kind, id) = (entry.mode().kind(), entry.object_id());
        }
        Ok(Some((kind, id)))
    }

    /// Reads a blob after a look at its size, so that a huge one is not inflated.
    pub(super) fn blob(
        &self,
        repo: &gix::Repository,
        id: gix::ObjectId,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        self.bring(repo, [id])?;
        let header = repo.find_header(id).map_err(Error::object(&id))?;
        let size = header.size();
        if size > limit {
            return Err(Error::TooLarge { path: path.to_owned(), id: id.to_string(), size, limit });
        }
        let mut object = repo.find_object(id).map_err(Error::object(&id))?;
        Ok(std::mem::take(&mut object.data))
    }
}

/// The name of a commit's folder, which may not be here.
pub(super) fn tree_id(repo: &gix::Repository, commit: CommitId) -> Result<gix::ObjectId, Error> {
    let found = repo.find_commit(commit.0).map_err(Error::object(&commit.0))?;
    Ok(found.tree_id().map_err(Error::object(&commit.0))?.detach())
}
