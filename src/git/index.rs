//! What git's index tracks, and what git's ignore rules leave out.

use std::sync::PoisonError;

use gix::bstr::ByteSlice;
use gix::index::entry::{Flags, Mode};

use super::Error;
use super::repo::GitRepo;
use crate::fs::dir::{Dir, OWN_FOLDER};
use crate::fs::stamp::{FileKind, FileStamp};
use crate::model::path::RepoPath;

impl GitRepo {
    /// git's index as it was when first asked for, with an entry for every file; empty if there is none yet.
    pub(super) fn tracked_entries(&self) -> Result<&gix::worktree::Index, Error> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let mut index = self.local().index_or_empty().map_err(Error::unreadable("index"))?;
        if index.is_sparse() {
            index = gix::fs::FileSnapshot::new(self.expand(&index)?).into();
        }
        Ok(self.index.get_or_init(|| index))
    }

    /// A sparse index with the files of the folders of which it has one entry each: those that a sparse checkout
    /// leaves out.
    fn expand(&self, sparse: &gix::index::File) -> Result<gix::index::File, Error> {
        let mut full = sparse.clone();
        full.remove_entries(|_, _, entry| entry.mode.is_sparse());
        for folder in sparse.entries().iter().filter(|entry| entry.mode.is_sparse()) {
            let files = self.local().index_from_tree(&folder.id).map_err(Error::object(&folder.id))?;
            for file in files.entries() {
                let path = [folder.path(sparse).as_bytes(), file.path(&files).as_bytes()].concat();
                let flags = file.flags | Flags::SKIP_WORKTREE;
                full.dangerously_push_entry(file.stat, file.id, flags, file.mode, path.as_bstr());
            }
        }
        full.sort_entries();
        Ok(full)
    }

    /// Whether git tracks the file `path`, or anything below the folder `path`.
    pub fn is_tracked(&self, path: &RepoPath) -> Result<bool, Error> {
        let index = self.tracked_entries()?;
        let full = self.full(path);
        let key = full.as_str().as_bytes().as_bstr();
        if key.is_empty() {
            return Ok(!index.entries().is_empty());
        }
        let below = folder_key(key);
        Ok(index.entry_by_path(key).is_some() || index.prefixed_entries_range(below.as_bstr()).is_some())
    }

    /// Whether git tracks the file `path` and leaves it out of the work tree (sparse checkout).
    pub fn is_left_out(&self, path: &RepoPath) -> Result<bool, Error> {
        let index = self.tracked_entries()?;
        let full = self.full(path);
        let entry = index.entry_by_path(full.as_str().as_bytes().as_bstr());
        Ok(entry.is_some_and(|entry| entry.flags.contains(Flags::SKIP_WORKTREE)))
    }

    /// Whether git's index has the file `path` with these bytes.
    pub fn has_staged(&self, path: &RepoPath, bytes: &[u8]) -> Result<bool, Error> {
        let index = self.tracked_entries()?;
        let full = self.full(path);
        let Some(entry) = index.entry_by_path(full.as_str().as_bytes().as_bstr()) else { return Ok(false) };
        let id = gix::objs::compute_hash(self.local().object_hash(), gix::objs::Kind::Blob, bytes);
        Ok(id.is_ok_and(|id| id == entry.id))
    }

    /// Whether a file that git tracks differs from the commit that is checked out, in the index or in the work
    /// tree. Files that nobody tracks do not count, nor what is inside of submodules.
    ///
    /// Costs a look at each file; one is read where its times do not tell.
    pub fn has_changes(&self) -> Result<bool, Error> {
        let Some(work_dir) = self.work_dir() else { return Ok(false) };
        Ok(self.has_staged_changes()? || self.differs_from_index(&Dir::open(work_dir)?)?)
    }

    fn has_staged_changes(&self) -> Result<bool, Error> {
        let (repo, index) = (self.local(), self.tracked_entries()?);
        let Some(head) = self.head()? else { return Ok(!index.entries().is_empty()) };
        let commit = repo.find_commit(head.0).map_err(Error::object(&head.0))?;
        let tree = commit.tree_id().map_err(Error::object(&head.0))?.detach();
        // What git remembers of the tree that the index makes.
        if index.tree().is_some_and(|known| known.num_entries.is_some() && known.id == tree) {
            return Ok(false);
        }
        self.bring(&repo, [tree])?;
        let committed = repo.index_from_tree(&tree).map_err(Error::object(&tree))?;
        let entries = |index: &gix::index::File| -> Vec<_> {
            let of = |entry: &gix::index::Entry| (entry.path(index).to_owned(), entry.id, entry.mode);
            index.entries().iter().map(of).collect()
        };
        Ok(entries(index) != entries(&committed))
    }

    fn differs_from_index(&self, root: &Dir) -> Result<bool, Error> {
        let index = self.tracked_entries()?;
        let is_file = |mode: Mode| matches!(mode, Mode::FILE | Mode::FILE_EXECUTABLE | Mode::SYMLINK);
        let is_here = |flags: Flags| !flags.contains(Flags::SKIP_WORKTREE);
        for entry in index.entries().iter().filter(|entry| is_file(entry.mode) && is_here(entry.flags)) {
            let Some(path) = entry.path(index).to_str().ok().and_then(|path| RepoPath::parse(path).ok())
            else {
                // A name that mlv does not look at: its own folder's, or one that it could not store.
                continue;
            };
            let Some(stamp) = root.stat(&path)? else { return Ok(true) };
            let mtime = i64::from(entry.stat.mtime.secs) * 1_000_000_000 + i64::from(entry.stat.mtime.nsecs);
            // As young as the index: it may have been written to since it was looked at.
            let is_settled = entry.stat.mtime.secs < index.timestamp().unix_seconds() as u32;
            if is_settled && stamp.mtime_ns == mtime && stamp.size == u64::from(entry.stat.size) {
                continue;
            }
            if self.differs(root, &path, (entry.id, entry.mode), stamp)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn differs(
        &self,
        root: &Dir,
        path: &RepoPath,
        (id, mode): (gix::ObjectId, Mode),
        stamp: FileStamp,
    ) -> Result<bool, Error> {
        let bytes = match (mode, stamp.kind) {
            (Mode::SYMLINK, FileKind::Symlink) => root.read_link(path)?.into_bytes(),
            (Mode::FILE | Mode::FILE_EXECUTABLE, FileKind::File)
                if stamp.mode_x == (mode == Mode::FILE_EXECUTABLE) =>
            {
                root.read_file(path, u64::MAX)?
            }
            _ => return Ok(true),
        };
        let hash = gix::objs::compute_hash(self.local().object_hash(), gix::objs::Kind::Blob, &bytes);
        Ok(hash.map_or(true, |hash| hash != id))
    }

    /// Whether git tracks the file `name` in mlv's own folder.
    pub fn is_own_tracked(&self, name: &str) -> Result<bool, Error> {
        let root = self.full(&RepoPath::root());
        let folder = if root.is_root() { String::new() } else { format!("{root}/") };
        let key = format!("{folder}{OWN_FOLDER}/{name}");
        Ok(self.tracked_entries()?.entry_by_path(key.as_bytes().as_bstr()).is_some())
    }

    /// The files that git tracks at or below `path`, sorted, at most `limit` of them.
    ///
    /// Those whose names mlv could not store are left out.
    pub fn tracked_below(&self, path: &RepoPath, limit: usize) -> Result<Vec<RepoPath>, Error> {
        let index = self.tracked_entries()?;
        let full = self.full(path);
        let key = full.as_str().as_bytes().as_bstr();
        if let Some(entry) = index.entry_by_path(key) {
            return Ok(self.relative(entry.path(index)).into_iter().take(limit).collect());
        }
        let entries = if key.is_empty() {
            index.entries()
        } else {
            index.prefixed_entries(folder_key(key).as_bstr()).unwrap_or_default()
        };
        Ok(entries.iter().filter_map(|entry| self.relative(entry.path(index))).take(limit).collect())
    }

    /// A path as git has it, relative to the folder that this was discovered from.
    pub(super) fn relative(&self, path: &gix::bstr::BStr) -> Option<RepoPath> {
        let path = RepoPath::parse(path.to_str().ok()?).ok()?;
        path.strip_prefix(&self.prefix).and_then(|below| RepoPath::parse(below).ok())
    }

    /// Whether git's ignore rules leave out `path`, tracked or not.
    ///
    /// The rules are those of `.gitignore` files in the work tree, `.git/info/exclude` and
    /// `core.excludesFile`. Asked for many paths in order, each rule file is read once; a change
    /// of one is seen after [`GitRepo::forget_ignore_rules`]. In a bare repository nothing is.
    pub fn is_ignored(&self, path: &RepoPath, is_dir: bool) -> Result<bool, Error> {
        if self.is_bare() || path.is_root() && self.prefix.is_root() {
            return Ok(false);
        }
        let mut guard = self.excludes.lock().unwrap_or_else(PoisonError::into_inner);
        let (repo, stack) = match guard.as_mut() {
            Some(known) => known,
            None => {
                let repo = self.local();
                let stack = excludes_of(&repo)?;
                guard.insert((repo, stack))
            }
        };
        // Without the mode gix takes a folder for a file, and `models/` would not match it.
        let mode = if is_dir { Mode::DIR } else { Mode::FILE };
        let full = self.full(path);
        let place = stack
            .at_entry(full.as_str().as_bytes().as_bstr(), Some(mode), &repo.objects)
            .map_err(|error| Error::unreadable("ignore rules")(gix::Error::from_error(error)))?;
        Ok(place.is_excluded())
    }
}

fn folder_key(key: &gix::bstr::BStr) -> gix::bstr::BString {
    let mut folder = gix::bstr::BString::from(key);
    folder.push(b'/');
    folder
}

/// Rules from the work tree alone: reading the index for the ignore files that a sparse
/// checkout left out would cost milliseconds, and nothing of mlv's lies in such folders.
fn excludes_of(repo: &gix::Repository) -> Result<gix::worktree::Stack, Error> {
    let none = gix::index::State::new(repo.object_hash());
    let stack = repo
        .excludes(&none, None, gix::worktree::stack::state::ignore::Source::WorktreeThenIdMappingIfNotSkipped)
        .map_err(Error::unreadable("ignore rules"))?;
    Ok(stack.detach())
}
