//! What git makes of the outputs: it has nothing of those that mlv keeps, and all of those left to it.

use crate::git::repo::GitRepo;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::ops::scan::Present;
use crate::ops::status::{DataStatus, Look, data};
use crate::ops::tracked::TrackedOut;
use crate::ops::{OpError, pointers};

impl Look<'_> {
    /// What git has, or would take, of an output that mlv keeps.
    pub(super) fn beside_git(
        &self,
        (out, info): (&TrackedOut, &ContentInfo),
        present: &Present,
        data: &mut DataStatus,
    ) -> Result<(), OpError> {
        let Some(git) = self.repo.git() else { return Ok(()) };
        let limit = if self.options.granular { usize::MAX } else { 2 };
        let files = git.tracked_below(&out.path, limit)?;
        if files.is_empty() && !present.is_absent() && !is_ignored(git, &out.path, present)? {
            data.not_ignored.push(data::shown(&out.path, info.id));
        }
        if files.len() > 1 && !self.options.granular {
            data.in_git.push(data::shown(&out.path, info.id));
        } else {
            data.in_git.extend(files.iter().map(ToString::to_string));
        }
        Ok(())
    }

    /// What git lacks of an output that is left to it. One that the user's own rules ignore is kept by nobody
    /// on purpose, and git cannot keep an empty folder.
    pub(super) fn left_to_git(
        &self,
        (out, info): (&TrackedOut, &ContentInfo),
        present: &Present,
        data: &mut DataStatus,
    ) -> Result<(), OpError> {
        let Some(git) = self.repo.git() else { return Ok(()) };
        let has_files = present.entries().iter().any(|entry| entry.kind.has_object());
        if !has_files || git.is_tracked(&out.path)? {
            return Ok(());
        }
        let path = data::shown(&out.path, info.id);
        if !pointers::ignored_by_mlv(self.repo, std::iter::once(&out.path))?.is_empty() {
            data.still_ignored.push(path);
        } else if !is_ignored(git, &out.path, present)? {
            data.not_in_git.push(path);
        }
        Ok(())
    }
}

fn is_ignored(git: &GitRepo, output: &RepoPath, present: &Present) -> Result<bool, OpError> {
    Ok(git.is_ignored(output, matches!(present, Present::Directory(_)))?)
}
