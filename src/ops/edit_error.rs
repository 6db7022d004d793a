//! What keeps a command from editing a pipeline file.

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;

/// An edit that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A stage of this name is there.
    #[error("`{path}` has a stage `{stage}` already")]
    Exists {
        /// The pipeline file.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// An edit by lines would change something else too.
    #[error("the stage `{stage}` cannot be edited in `{path}` line by line")]
    Entangled {
        /// The pipeline file.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// One of the stages that a definition makes, which are edited all or none.
    #[error("`{stage}` is one of several stages that `{group}` of `{path}` makes")]
    OneOfGroup {
        /// The pipeline file.
        path: RepoPath,
        /// The stage, as a target.
        stage: String,
        /// The definition.
        group: Box<str>,
        /// The command for all of them.
        remedy: String,
    },
}

impl Advice for EditError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<Hint> {
        vec![match self {
            EditError::Exists { .. } => {
                Hint::new("choose another name, or put the new stage in its place: mlv stage add --force …")
            }
            EditError::Entangled { path, .. } => Hint::new(format!(
                "edit `{}` by hand: braces, an anchor or a template tie the stage to the rest",
                hint_path(path)
            )),
            EditError::OneOfGroup { remedy, .. } => Hint::new(remedy),
        }]
    }

    fn subject(&self) -> Option<String> {
        self.quoted().pop()
    }

    fn quoted(&self) -> Vec<String> {
        match self {
            EditError::Exists { path, .. }
            | EditError::Entangled { path, .. }
            | EditError::OneOfGroup { path, .. } => vec![path.to_string()],
        }
    }
}
