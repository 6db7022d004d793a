//! New folders that are filled out of sight and get their name as a whole: one rename, where each
//! of their files would take one.

use crate::fs::dir::{Dir, FOLDER};
use crate::fs::error::Error;
use crate::fs::hands_on::HandsOn;
use crate::fs::staging::Staging;
use crate::fs::sys;
use crate::model::path::RepoPath;

/// A folder under construction in the staging folder.
#[derive(Debug)]
pub struct NewFolder {
    /// Its name there.
    name: String,
    path: RepoPath,
}

impl NewFolder {
    /// Begins the folder `path` of `work`.
    ///
    /// Nothing if something is there, or if what is made in the nearest folder above inherits a group
    /// or an access list from that, which only a folder that is made in place would get.
    pub fn begin(work: &Dir, staging: &Staging, path: &RepoPath) -> Result<Option<NewFolder>, Error> {
        if work.stat(path)?.is_some() || inherits(work, path) {
            return Ok(None);
        }
        let name = staging.next_name();
        sys::mkdir(staging.dir(), &name, 0o777)
            .map_err(|error| staging.dir().failed(&name, "create", error))?;
        Ok(Some(NewFolder { name, path: path.clone() }))
    }

    /// The name in the staging folder of what becomes `path` of the work tree.
    pub(super) fn file(&self, path: &RepoPath) -> String {
        format!("{}/{}", self.name, path.file_name())
    }

    /// Gives the folder its name in `work`, which must be free.
    pub fn put(&self, work: &Dir, staging: &Staging) -> Result<(), Error> {
        let failed = |error| work.failed(self.path.as_str(), "create", error);
        let above = self.path.parent().unwrap_or_else(RepoPath::root);
        let above = work.ensure_dir(above.as_str(), None)?;
        sys::rename_new((staging.dir(), &self.name), (above, self.path.file_name())).map_err(failed)
    }
}

/// Whether the nearest folder above `path` hands on more than the process has by itself.
fn inherits(work: &Dir, path: &RepoPath) -> bool {
    let mut above = path.parent();
    while let Some(folder) = above {
        if let Ok(folder) = work.open_at(folder.as_str(), FOLDER) {
            return !HandsOn::of(folder).is_nothing();
        }
        above = folder.parent();
    }
    true
}
