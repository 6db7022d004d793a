//! What keeps stages, or what they make, from being removed.

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::pipeline::edit::definition_of;

/// A target that `remove` does not take as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// A pipeline file, where one of its stages may be meant.
    #[error("`{path}` is a pipeline with {} stages, not something to stop tracking", stages.len())]
    PipelineFile {
        /// The pipeline file.
        path: RepoPath,
        /// The names of its stages.
        stages: Vec<Box<str>>,
    },
    /// An output of a stage, which goes with the stage alone.
    #[error("`{path}` is an output of the stage `{stage}`")]
    MadeByStage {
        /// The output.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// A stage of a group that cannot go without the others.
    #[error("`{stage}` is one of the stages that `foreach` or `matrix` of `{group}` makes")]
    GeneratedStage {
        /// The pipeline file.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
        /// Its group.
        group: Box<str>,
    },
    /// A stage that another one of its file waits for.
    #[error("{path}:{line}: the stage `{by}` needs `{stage}`")]
    NeededStage {
        /// The pipeline file.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
        /// The first stage that needs it.
        by: Box<str>,
        /// Where that one stands.
        line: u32,
    },
    /// A stage that cannot be taken out of its file without changing what the file says else.
    #[error("the stage `{stage}` cannot be taken out of `{path}` line by line")]
    EntangledStage {
        /// The pipeline file.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
}

impl Advice for RemoveError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<Hint> {
        let file = hint_path(self.path());
        vec![Hint::new(match self {
            RemoveError::PipelineFile { stages, .. } => match stages.first() {
                Some(first) => {
                    format!("name a stage, as in `mlv remove {file}:{first}`, or use `git rm {file}`")
                }
                None => format!("git rm {file}"),
            },
            RemoveError::MadeByStage { path, stage } => {
                // Where both have one name, the path comes first.
                let colon = if path.as_str() == &**stage { ":" } else { "" };
                format!("`mlv remove {colon}{stage}` removes the stage, with `--outs` what it made too")
            }
            RemoveError::GeneratedStage { group, .. } => {
                let group = shell::path(group);
                format!(
                    "take its item out of the list in `{file}`, or run `mlv remove {group}` for the whole group"
                )
            }
            RemoveError::NeededStage { stage, by, .. } => {
                let group = definition_of(by);
                format!("take `{stage}` out of the `needs` of `{group}` in `{file}`, or remove both together")
            }
            RemoveError::EntangledStage { .. } => {
                format!("take it out of `{file}` in an editor: braces or an anchor tie it to the rest")
            }
        })]
    }

    fn subject(&self) -> Option<String> {
        Some(self.path().to_string())
    }

    fn quoted(&self) -> Vec<String> {
        vec![self.path().to_string()]
    }
}

impl RemoveError {
    fn path(&self) -> &RepoPath {
        match self {
            RemoveError::PipelineFile { path, .. }
            | RemoveError::MadeByStage { path, .. }
            | RemoveError::GeneratedStage { path, .. }
            | RemoveError::NeededStage { path, .. }
            | RemoveError::EntangledStage { path, .. } => path,
        }
    }
}
