//! What a failure means to the user, whatever layer it comes from.
//!
//! Every layer has an error enum of its own; each implements [`Advice`], so that the
//! command line can print the remedy and choose the exit code without knowing the
//! layer. No text is made here: messages are the errors' `Display`.

use std::fmt;

use crate::model::place::{Located, Problem, ProblemClass};

/// The stable name of a failure: the `kind` of the JSON form, and the key of the exit code.
///
/// docs/errors.md is generated from this table and checked by a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Wrong arguments, or flags that do not go together.
    Usage,
    /// A configuration value that cannot be used.
    Config,
    /// No remote is configured, or the named one does not exist.
    NoRemote,
    /// A target that matches nothing.
    NoSuchTarget,
    /// A revision that git does not know.
    NoSuchRevision,
    /// The current folder is in no mlv repository.
    NotARepository,
    /// The current folder is in a DVC project that mlv has not been set up in.
    DvcProject,
    /// The command needs git, and the project has none.
    NeedsGit,
    /// A pointer, pipeline, lock, parameter or ignore file that cannot be read as such.
    InvalidFile,
    /// A path that mlv refuses to read or write.
    UnsafePath,
    /// A pipeline that contradicts itself (cycle, two stages with one output).
    InvalidPipeline,
    /// A path that is already tracked by git, by mlv, or by a stage.
    AlreadyTracked,
    /// A format version or feature that this mlv does not know.
    UnsupportedVersion,
    /// Going on would replace or remove data that is not saved.
    WouldOverwrite,
    /// A file changed while it was being read.
    ChangedMeanwhile,
    /// Data that is not in the local cache.
    NotDownloaded,
    /// A file or object that does not exist where it is needed.
    NotFound,
    /// Bytes that do not match their hash.
    Damaged,
    /// Another process holds what this one needs.
    Busy,
    /// The remote cannot be reached.
    Network,
    /// The remote asks to slow down, and did so until patience ran out.
    Throttled,
    /// No credentials for the remote were found.
    CredentialsMissing,
    /// The credentials for the remote have expired and could not be renewed.
    CredentialsExpired,
    /// The remote refuses access.
    AccessDenied,
    /// The remote's answer makes no sense.
    RemoteInvalid,
    /// A stage's command failed.
    StageFailed,
    /// A declared output was not produced, or an input vanished.
    StageInvalid,
    /// A stage that has not run as it is now, so that the lock does not tell of it.
    StageStale,
    /// A stage that was run again made other outputs than those that are recorded.
    NotReproduced,
    /// No space, or a quota, or too many open files.
    NoSpace,
    /// The file system refuses access.
    PermissionDenied,
    /// Any other local input or output error.
    Io,
    /// Two sides of a merge changed the same.
    Conflict,
    /// Several failures of different kinds.
    Several,
    /// The user asked to stop.
    Interrupted,
}

/// One line of the table that docs/errors.md is made of.
pub struct KindInfo {
    /// The kind.
    pub kind: ErrorKind,
    /// Its stable name in JSON.
    pub name: &'static str,
    /// The process's exit code.
    pub exit_code: u8,
    /// Whether the same command may succeed later, unchanged.
    pub retry: bool,
    /// When it happens, for the manual.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($kind:ident $name:literal $code:literal $retry:literal $meaning:literal;)*) => {
        /// All kinds, in the order of the manual.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            kind: ErrorKind::$kind, name: $name, exit_code: $code, retry: $retry, meaning: $meaning,
        }),*];
    };
}

kinds! {
    Usage "usage" 2 false "wrong arguments, or flags that do not go together";
    Config "config" 2 false "a configuration value that cannot be used";
    NoRemote "no_remote" 2 false "no remote is configured, or the named one does not exist";
    NoSuchTarget "no_such_target" 2 false "a target that matches nothing";
    NoSuchRevision "no_such_revision" 2 false "a revision that git does not know";
    NeedsGit "needs_git" 2 false "the command needs git, and the project was made with `--no-scm`";
    AlreadyTracked "already_tracked" 2 false "the path is tracked already: by git, by another pointer or by a stage";
    WouldOverwrite "would_overwrite" 2 false "going on would replace or remove data that is not saved";
    NotARepository "not_a_repository" 3 false "the current folder is in no mlv repository";
    DvcProject "dvc_project" 3 false "a DVC project in which mlv was not set up";
    InvalidFile "invalid_file" 4 false "a pointer, pipeline, lock, parameter or ignore file that cannot be read";
    UnsafePath "unsafe_path" 4 false "a path that mlv refuses to read or write";
    InvalidPipeline "invalid_pipeline" 4 false "a pipeline that contradicts itself";
    UnsupportedVersion "unsupported_version" 4 false "a format version or feature that this mlv does not know";
    NotDownloaded "not_downloaded" 5 false "data that is not in the local cache";
    NotFound "not_found" 5 false "a file or object that does not exist where it is needed";
    Damaged "damaged" 5 false "bytes that do not match their hash";
    Busy "busy" 6 true "another process holds what this one needs";
    ChangedMeanwhile "changed_meanwhile" 6 true "a file changed while it was being read";
    Network "network" 7 true "the remote cannot be reached";
    Throttled "throttled" 7 true "the remote asks to slow down";
    CredentialsMissing "credentials_missing" 7 false "no credentials for the remote were found";
    CredentialsExpired "credentials_expired" 7 false "the credentials for the remote have expired";
    AccessDenied "access_denied" 7 false "the remote refuses access";
    RemoteInvalid "remote_invalid" 7 false "the remote's answer makes no sense";
    StageFailed "stage_failed" 8 false "a stage's command failed";
    StageInvalid "stage_invalid" 8 false "a stage did not produce a declared output, or an input vanished";
    StageStale "stage_stale" 8 false "a stage has not run as it is now: what it makes is not recorded";
    NotReproduced "not_reproduced" 1 false "a stage that was run again made something else than is recorded";
    NoSpace "no_space" 9 true "no space, a quota, or too many open files";
    PermissionDenied "permission_denied" 9 false "the file system refuses access";
    Io "io" 9 false "any other local input or output error";
    Conflict "conflict" 1 false "two sides of a merge changed the same";
    Several "several" 1 false "several failures of different kinds; the list follows";
    Interrupted "interrupted" 130 true "the user asked to stop";
}

impl ErrorKind {
    /// The table line of this kind.
    pub fn info(self) -> &'static KindInfo {
        KINDS
            .iter()
            .find(|info| info.kind == self)
            .expect("every kind stands in the table: a test counts them")
    }

    /// The kind of an operating system error.
    pub fn of_io(error: &std::io::Error) -> ErrorKind {
        use std::io::ErrorKind as Os;
        match error.kind() {
            Os::StorageFull | Os::QuotaExceeded => ErrorKind::NoSpace,
            Os::PermissionDenied | Os::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
            Os::NotFound => ErrorKind::NotFound,
            Os::Interrupted => ErrorKind::Interrupted,
            // EMFILE and ENFILE have no kind of their own.
            _ => match error.raw_os_error() {
                Some(23 | 24) => ErrorKind::NoSpace,
                _ => ErrorKind::Io,
            },
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().name)
    }
}

/// What to do about a failure: one line, with a command that can be pasted where there is one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Hint {
    /// The line. A path in it that has to be shown from where the user stands is a [`hint_path`].
    pub text: String,
}

/// Stands around a path in a hint. Guessing which words are paths is wrong where an output is called
/// as a word of the sentence; no path holds a control character.
const PATH_MARK: char = '\u{1}';

/// A path from the repository's root, for the text of a [`Hint`].
pub fn hint_path(path: impl fmt::Display) -> String {
    format!("{PATH_MARK}{path}{PATH_MARK}")
}

impl Hint {
    /// A hint. What is no [`hint_path`] in it is shown as it is.
    pub fn new(text: impl Into<String>) -> Hint {
        Hint { text: text.into() }
    }

    /// The hint with each [`hint_path`] in it as `show` has it.
    pub fn with_paths(&self, show: impl Fn(&str) -> String) -> Hint {
        let parts = self.text.split(PATH_MARK).enumerate();
        Hint::new(
            parts
                .map(|(at, part)| if at % 2 == 1 { show(part) } else { part.to_owned() })
                .collect::<String>(),
        )
    }
}

/// What the command line needs to know of any layer's error.
pub trait Advice: std::error::Error {
    /// The stable kind, which decides the exit code.
    fn kind(&self) -> ErrorKind;

    /// What the user can do next; empty where the message says it all.
    fn hints(&self) -> Vec<Hint> {
        Vec::new()
    }

    /// The path or object that the failure is about, if it is about one.
    fn subject(&self) -> Option<String> {
        None
    }

    /// Every path that the failure is about, each with what is wrong with it, where the message
    /// only counts them.
    fn affected(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The paths from the repository's root that the message has between backticks, or begins with, so
    /// that they can be shown from where the user stands.
    fn quoted(&self) -> Vec<String> {
        Vec::new()
    }
}

// Here and not beside the type: the model knows nothing of exit codes.
impl<P: Problem> Advice for Located<P> {
    fn kind(&self) -> ErrorKind {
        match self.problem.class() {
            ProblemClass::Invalid => ErrorKind::InvalidFile,
            ProblemClass::UnsafePath => ErrorKind::UnsafePath,
            ProblemClass::Unsupported => ErrorKind::UnsupportedVersion,
            ProblemClass::Contradiction => ErrorKind::InvalidPipeline,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        self.problem.hint_for(&hint_path(&self.file)).into_iter().map(Hint::new).collect()
    }

    fn subject(&self) -> Option<String> {
        Some(self.file.to_string())
    }

    fn quoted(&self) -> Vec<String> {
        vec![self.file.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_each_kind_once_under_a_name_of_its_own() {
        let mut names: Vec<_> = KINDS.iter().map(|info| info.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
        assert_eq!(KINDS.len(), ErrorKind::Interrupted as usize + 1);
    }
}
