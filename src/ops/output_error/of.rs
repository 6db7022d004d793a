//! What failures of other layers are to an output.

use crate::error::{Advice, ErrorKind};
use crate::model::digest::TreeId;
use crate::model::path::RepoPath;
use crate::model::tree::TreeError;
use crate::ops::held::InTheWay;
use crate::ops::{OpError, OutputError};
use crate::store;

impl OutputError {
    /// Tells why the tree of `output` could not be read.
    pub fn of_tree(output: &RepoPath, tree: TreeId, error: TreeError<store::Error>) -> OutputError {
        match error {
            TreeError::Load(source) if source.kind() == ErrorKind::NotDownloaded => {
                OutputError::TreeNotDownloaded { path: output.clone(), tree }
            }
            error => OutputError::BadTree { path: output.clone(), source: Box::new(error) },
        }
    }

    /// Tells that the tree of `output` cannot be had, unless asking again may help.
    pub fn lost_tree(output: &RepoPath, source: OpError) -> OpError {
        match source.kind() {
            ErrorKind::NoRemote | ErrorKind::NotFound | ErrorKind::Damaged | ErrorKind::RemoteInvalid => {
                OutputError::LostTree { path: output.clone(), source: Box::new(source) }.into()
            }
            _ => source,
        }
    }

    /// Tells what stands in `output` at the place of what never was here.
    pub fn in_the_way(output: &RepoPath, way: InTheWay) -> OutputError {
        let entries = match way.entries {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        OutputError::InTheWay { path: output.join_entry(&way.path), entries }
    }
}
