//! What mlv owns.
use crate::model::path::RepoPath;
/// Where an output is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// By a pointer.
    Pointer {
        /// The pointer file.
        file: RepoPath,
    },
    /// By a stage.
    Stage {
        /// The pipeline file.
        file: RepoPath,
        /// The stage's name.
        stage: Box<str>,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Pointer { file } => write!(f, "`{file}`"),
            Source::Stage { file, stage } => write!(f, "the stage `{stage}` of `{file}`"),
        }
    }
}
