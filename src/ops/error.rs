//! What can go wrong in an operation, as situations that a user knows.

mod advice;

use crate::config;
use crate::error::{Advice, ErrorKind, Hint};
use crate::fs;
use crate::git;
use crate::model::lockfile::LockError;
use crate::model::path::{PathError, RepoPath};
use crate::model::pointer::{PointerError, PointerProblem};
use crate::model::resolve::ResolveError;
use crate::model::values::ValuesError;
use crate::model::yaml::YamlProblem;
use crate::ops::clash::OutputClash;
use crate::ops::edit_error::EditError;
use crate::ops::fsck_error::FsckError;
use crate::ops::merge_error::MergeError;
use crate::ops::output_error::OutputError;
use crate::ops::remove_error::RemoveError;
use crate::ops::repro::StageError;
use crate::ops::verify::VerifyError;
use crate::pipeline::graph::GraphError;
use crate::pipeline::parse::PipelineError;
use crate::plots::PlotError;
use crate::remote;
use crate::remote::registry::SpecError;
use crate::repo;
use crate::store;

/// A failure of an operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// A target that is neither tracked nor a stage.
    #[error("nothing is tracked as `{target}`")]
    NoSuchTarget {
        /// The target as given.
        target: String,
        /// Targets that are near it, nearest first.
        near: Vec<String>,
    },
    /// A target that is neither a stage nor what one makes, where only stages are meant.
    #[error("there is no stage `{target}`")]
    NoSuchStage {
        /// The target as given.
        target: String,
        /// Targets that are near it, nearest first.
        near: Vec<String>,
    },
    /// A target that is there, and that nothing tracks.
    #[error("`{target}` is not tracked")]
    NotTracked {
        /// The target as given.
        target: String,
    },
    /// A target that is tracked, where only stages are meant.
    #[error("`{target}` is made by no stage")]
    MadeByNoStage {
        /// The target as given.
        target: String,
    },
    /// A pattern, or a path in rescue, that means nothing.
    #[error("nothing matches `{target}`")]
    NoMatch {
        /// The target as given.
        target: String,
    },
    /// An operation that rescue does not know.
    #[error("no operation in rescue is called `{name}`")]
    NoSuchOperation {
        /// Its name as given.
        name: String,
    },
    /// Rescue holds nothing.
    #[error("nothing is in rescue")]
    NothingRescued,
    /// A stage name that several pipelines have.
    #[error("several pipelines have a stage `{target}`")]
    AmbiguousTarget {
        /// The target as given.
        target: String,
        /// The unambiguous targets.
        candidates: Vec<String>,
    },
    /// A target that is there and cannot be used.
    #[error("`{target}` cannot be used: {reason}")]
    UnusableTarget {
        /// The target as given.
        target: String,
        /// What is wrong with it.
        reason: Box<str>,
        /// The kind of that.
        kind: ErrorKind,
        /// What helps.
        hints: Vec<Hint>,
    },
    /// A target that names nothing in the repository.
    #[error("`{target}` is no path in the repository: {reason}")]
    BadTarget {
        /// The target as given.
        target: String,
        /// Why.
        reason: ResolveError,
    },
    /// A target that is no pattern.
    #[error("`{target}` is no pattern")]
    BadPattern {
        /// The target as given.
        target: String,
        /// Why.
        source: globset::Error,
    },
    /// A commit without anything that a remote could keep.
    #[error("`{revision}` names no data that mlv could keep on a remote")]
    NothingToPin {
        /// The revision as given.
        revision: String,
    },
    /// A pin that is not there.
    #[error("nothing is pinned on `{remote}` as `{pin}`")]
    NoSuchPin {
        /// The id or revision as given.
        pin: String,
        /// The remote.
        remote: String,
    },
    /// A remote that is configured only outside of the project.
    #[error("the remote `{name}` stands in the {level} configuration, which other projects use too")]
    RemoteElsewhere {
        /// The remote.
        name: String,
        /// Where it is configured.
        level: config::Level,
        /// What `mlv remote` was told to do.
        verb: &'static str,
        /// With which names.
        names: String,
    },
    /// Outputs that contradict each other.
    #[error(transparent)]
    Clash(#[from] Box<OutputClash>),
    /// A file whose name mlv cannot store.
    #[error("`{path}` cannot be tracked")]
    BadName {
        /// The path.
        path: RepoPath,
        /// Why.
        source: PathError,
    },
    /// A commit of which something cannot be read, so what it needs is not known.
    #[error("what commit {commit} needs is not known: `{path}` cannot be used")]
    UnreadableCommit {
        /// The commit's short name.
        commit: String,
        /// The pointer, pipeline or lock.
        path: RepoPath,
        /// What is wrong with it.
        source: Box<OpError>,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A pointer that cannot be read.
    #[error(transparent)]
    Pointer(Box<PointerError>),
    /// A pipeline file that cannot be read.
    #[error(transparent)]
    Pipeline(Box<PipelineError>),
    /// A lock file, or an entry of one, that cannot be read.
    #[error(transparent)]
    Lock(Box<LockError>),
    /// A stage.
    #[error(transparent)]
    Stage(#[from] Box<StageError>),
    /// A stage that was run again.
    #[error(transparent)]
    Verify(#[from] Box<VerifyError>),
    /// An edit of a pipeline file.
    #[error(transparent)]
    Edit(#[from] Box<EditError>),
    /// A file with two versions.
    #[error(transparent)]
    Merge(#[from] Box<MergeError>),
    /// What `remove` does not take.
    #[error(transparent)]
    Remove(#[from] Box<RemoveError>),
    /// What `fsck` found.
    #[error(transparent)]
    Fsck(#[from] Box<FsckError>),
    /// Stages that contradict each other.
    #[error(transparent)]
    Graph(#[from] Box<GraphError>),
    /// A parameter or metrics file that cannot be read.
    #[error(transparent)]
    Values(#[from] Box<ValuesError>),
    /// A plot.
    #[error(transparent)]
    Plot(#[from] Box<PlotError>),
    /// A remote that cannot be opened.
    #[error(transparent)]
    RemoteSpec(#[from] Box<SpecError>),
    /// A remote.
    #[error(transparent)]
    Remote(#[from] Box<remote::Error>),
    /// The project.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// git.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// Files.
    #[error(transparent)]
    Fs(#[from] fs::Error),
    /// An output or the data in it.
    #[error(transparent)]
    Output(#[from] Box<OutputError>),
    /// The cache.
    #[error(transparent)]
    Store(#[from] Box<store::Error>),
}

impl From<GraphError> for OpError {
    fn from(error: GraphError) -> OpError {
        OpError::Graph(Box::new(error))
    }
}

impl From<OutputClash> for OpError {
    fn from(error: OutputClash) -> OpError {
        OpError::Clash(Box::new(error))
    }
}

impl From<remote::Error> for OpError {
    fn from(error: remote::Error) -> OpError {
        OpError::Remote(Box::new(error))
    }
}

impl From<PlotError> for OpError {
    fn from(error: PlotError) -> OpError {
        OpError::Plot(Box::new(error))
    }
}

impl From<OutputError> for OpError {
    fn from(error: OutputError) -> OpError {
        OpError::Output(Box::new(error))
    }
}

impl From<StageError> for OpError {
    fn from(error: StageError) -> OpError {
        OpError::Stage(Box::new(error))
    }
}

impl From<VerifyError> for OpError {
    fn from(error: VerifyError) -> OpError {
        OpError::Verify(Box::new(error))
    }
}

impl From<EditError> for OpError {
    fn from(error: EditError) -> OpError {
        OpError::Edit(Box::new(error))
    }
}

impl From<MergeError> for OpError {
    fn from(error: MergeError) -> OpError {
        OpError::Merge(Box::new(error))
    }
}

impl From<RemoveError> for OpError {
    fn from(error: RemoveError) -> OpError {
        OpError::Remove(Box::new(error))
    }
}

impl From<FsckError> for OpError {
    fn from(error: FsckError) -> OpError {
        OpError::Fsck(Box::new(error))
    }
}

impl From<store::Error> for OpError {
    fn from(error: store::Error) -> OpError {
        OpError::Store(Box::new(error))
    }
}

impl From<PointerError> for OpError {
    fn from(error: PointerError) -> OpError {
        OpError::Pointer(Box::new(error))
    }
}

impl From<PipelineError> for OpError {
    fn from(error: PipelineError) -> OpError {
        OpError::Pipeline(Box::new(error))
    }
}

impl From<LockError> for OpError {
    fn from(error: LockError) -> OpError {
        OpError::Lock(Box::new(error))
    }
}

impl OpError {
    /// Whether a remote has lost data, or never had it.
    pub fn is_lost_there(&self) -> bool {
        use OutputError::{DamagedThere, GoneThere, MissingThere};
        matches!(self, OpError::Output(error)
            if matches!(**error, MissingThere { .. } | GoneThere { .. } | DamagedThere { .. }))
    }

    /// Whether it only says that git left conflict markers in a pointer or a lock.
    pub fn is_conflict(&self) -> bool {
        match self {
            OpError::Pointer(error) => error.problem == PointerProblem::Yaml(YamlProblem::ConflictMarker),
            OpError::Lock(error) => error.problem.is_conflict(),
            _ => false,
        }
    }

    /// Whether it only says that something is not in the cache.
    pub fn is_not_downloaded(&self) -> bool {
        self.kind() == ErrorKind::NotDownloaded
    }

    /// The error of the layer below that this stands for, if it is one.
    fn lower(&self) -> Option<&dyn Advice> {
        match self {
            OpError::Pointer(error) => Some(&**error),
            OpError::Values(error) => Some(&**error),
            OpError::Plot(error) => Some(&**error),
            OpError::RemoteSpec(error) => Some(&**error),
            OpError::Remote(error) => Some(&**error),
            OpError::Pipeline(error) => Some(&**error),
            OpError::Lock(error) => Some(&**error),
            OpError::Stage(error) => Some(&**error),
            OpError::Verify(error) => Some(&**error),
            OpError::Edit(error) => Some(&**error),
            OpError::Merge(error) => Some(&**error),
            OpError::Remove(error) => Some(&**error),
            OpError::Fsck(error) => Some(&**error),
            OpError::Graph(error) => Some(&**error),
            OpError::Clash(error) => Some(&**error),
            OpError::Repo(error) => Some(error),
            OpError::Config(error) => Some(error),
            OpError::Git(error) => Some(error),
            OpError::Fs(error) => Some(error),
            OpError::Output(error) => Some(&**error),
            OpError::Store(error) => Some(&**error),
            _ => None,
        }
    }
}
