//! Why a stage was not verified.

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;
use crate::model::words;
use crate::ops::repro::StageError;
use crate::pipeline::plan::Reason;

/// A failure that is about one stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The lock has no entry of it.
    #[error("stage `{stage}` has never run: there is nothing to compare with")]
    NeverRun {
        /// The stage.
        stage: Box<str>,
    },
    /// Its definition or its inputs are not those of the run that the lock tells of.
    #[error("stage `{stage}` is not as it was when it ran: what it would make now is something else")]
    Stale {
        /// The stage.
        stage: Box<str>,
        /// What is different.
        reasons: Vec<Reason>,
    },
    /// What it reads is not here.
    #[error("stage `{stage}` cannot be verified: its input `{path}` is not, or only partly, here")]
    InputNotHere {
        /// The stage.
        stage: Box<str>,
        /// The dependency or parameter file.
        path: RepoPath,
        /// Whether mlv tracks it, so that it can be fetched.
        is_tracked: bool,
    },
    /// What it read is not in the work tree, and something else is recorded there.
    #[error("stage `{stage}` cannot be verified: `{path}` is not recorded as the stage read it")]
    InputNotRecorded {
        /// The stage.
        stage: Box<str>,
        /// The dependency or parameter file.
        path: RepoPath,
    },
    /// What it reads is not what the lock says, although it was a moment ago.
    #[error("`{path}`, an input of stage `{stage}`, changed while it was copied")]
    InputChanged {
        /// The stage.
        stage: Box<str>,
        /// The dependency or parameter file.
        path: RepoPath,
    },
    /// Its command did not succeed.
    #[error("in a clean work tree {error}")]
    Command {
        /// How it ended.
        error: StageError,
        /// The file with all that it printed, relative to the root.
        log: String,
    },
    /// It made something else.
    #[error("stage `{stage}` made something else than is recorded: {}", listed(outs))]
    Differs {
        /// The stage.
        stage: Box<str>,
        /// The outputs that differ, at least one.
        outs: Vec<String>,
    },
}

fn listed(outs: &[String]) -> String {
    words::listed(outs.iter().map(|out| format!("`{out}`")))
}

impl VerifyError {
    /// The file with what the command printed that failed.
    pub fn log(&self) -> Option<&str> {
        match self {
            VerifyError::Command { log, .. } => Some(log),
            _ => None,
        }
    }

    /// What is different since the stage ran.
    pub fn reasons(&self) -> Option<&[Reason]> {
        match self {
            VerifyError::Stale { reasons, .. } => Some(reasons),
            _ => None,
        }
    }
}

impl Advice for VerifyError {
    fn kind(&self) -> ErrorKind {
        match self {
            VerifyError::NeverRun { .. }
            | VerifyError::Stale { .. }
            | VerifyError::InputNotRecorded { .. } => ErrorKind::StageStale,
            VerifyError::InputNotHere { is_tracked: true, .. } => ErrorKind::NotDownloaded,
            VerifyError::InputNotHere { .. } => ErrorKind::StageInvalid,
            VerifyError::InputChanged { .. } => ErrorKind::ChangedMeanwhile,
            VerifyError::Command { error, .. } => error.kind(),
            VerifyError::Differs { .. } => ErrorKind::NotReproduced,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            VerifyError::NeverRun { stage } => vec![Hint::new(format!("mlv repro {stage}"))],
            VerifyError::Stale { stage, .. } => vec![
                Hint::new(format!("`mlv explain {stage}` shows what is different")),
                Hint::new(format!("mlv repro {stage}")),
            ],
            VerifyError::InputNotRecorded { stage, path } => vec![Hint::new(format!(
                "put `{path}` back as it was and `mlv add {}`, or `mlv repro {stage}` with what is recorded",
                hint_path(path)
            ))],
            VerifyError::InputNotHere { stage, is_tracked: true, .. } => {
                vec![Hint::new(format!("mlv verify --pull {stage}"))]
            }
            VerifyError::Command { log, .. } => vec![
                Hint::new(format!("all that it printed is in `{}`", hint_path(log))),
                Hint::new(
                    "it finds the files that git tracks and what the stage declares: what else it reads is \
                     for `git add` or `deps`",
                ),
            ],
            VerifyError::InputNotHere { .. }
            | VerifyError::InputChanged { .. }
            | VerifyError::Differs { .. } => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            VerifyError::NeverRun { stage }
            | VerifyError::Stale { stage, .. }
            | VerifyError::Differs { stage, .. } => Some(stage.to_string()),
            VerifyError::InputNotHere { path, .. }
            | VerifyError::InputNotRecorded { path, .. }
            | VerifyError::InputChanged { path, .. } => Some(path.to_string()),
            VerifyError::Command { error, .. } => error.subject(),
        }
    }

    fn quoted(&self) -> Vec<String> {
        match self {
            VerifyError::InputNotHere { path, .. }
            | VerifyError::InputNotRecorded { path, .. }
            | VerifyError::InputChanged { path, .. } => vec![path.to_string()],
            VerifyError::Differs { outs, .. } => outs.clone(),
            VerifyError::Command { error, .. } => error.quoted(),
            VerifyError::NeverRun { .. } | VerifyError::Stale { .. } => Vec::new(),
        }
    }
}
