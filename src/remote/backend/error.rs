//! Why a backend failed: what it was asked, where, and what came in the way.

use std::fmt;

use crate::error::{Advice, ErrorKind, Hint};

/// What a backend was asked to do when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reading an object or its properties.
    Read,
    /// Writing an object.
    Write,
    /// Listing keys.
    List,
    /// Removing an object.
    Delete,
    /// Opening the place.
    Open,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::List => "list",
            Action::Delete => "delete",
            Action::Open => "open",
        })
    }
}

/// Why a backend failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Situation {
    /// No object of this name.
    #[error("there is nothing under this name")]
    NotFound,
    /// The place exists, but the caller may not do this.
    #[error("access is denied")]
    Denied,
    /// The place can only be read.
    #[error("the remote can only be read")]
    ReadOnly,
    /// The bucket or container that should hold it does not exist.
    #[error("there is no such bucket or container")]
    NoBucket,
    /// Nothing says who is asking.
    #[error("no credentials were found")]
    CredentialsMissing,
    /// The credentials were good once, and fetching new ones failed or did not help.
    #[error("the credentials have expired")]
    CredentialsExpired,
    /// Requests carry a time, which is too far from the store's.
    #[error("this machine's clock is wrong")]
    ClockSkew,
    /// The server's certificate is not one that is trusted here.
    #[error("the server's certificate is not trusted")]
    Untrusted,
    /// The server's own key is not known here, or is another than it was.
    #[error("the host's key is not the one that is known")]
    StrangeHost,
    /// The name was to be free and is not.
    #[error("the name is taken")]
    Taken,
    /// The store does not know such requests.
    #[error("the store cannot do this")]
    NotSupported,
    /// Any other answer that is an error, and would be one again.
    #[error("the store refused")]
    Refused,
    /// No answer, or the connection broke.
    #[error("the remote cannot be reached")]
    Unreachable,
    /// No byte came for too long.
    #[error("the remote stopped answering")]
    TimedOut,
    /// The store asks to come back later.
    #[error("the remote asks to slow down")]
    Throttled,
    /// The store or the disk is full.
    #[error("there is no space left")]
    NoSpace,
    /// The object is longer than it may be.
    #[error("it is longer than {limit} bytes")]
    TooLarge {
        /// The most that was expected, in bytes.
        limit: u64,
    },
    /// The listing does not end.
    #[error("the listing has more than {limit} lines")]
    ListingTooLong {
        /// The most lines that are accepted.
        limit: usize,
    },
    /// An answer that cannot be right: another length, a symlink in the way, a bad name.
    #[error("the answer makes no sense")]
    Invalid,
    /// Any other failure of the file system or the store.
    #[error("the operation failed")]
    Failed,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Situation {
    /// Whether the same call may succeed when it is made again.
    pub fn is_transient(self) -> bool {
        matches!(self, Situation::Unreachable | Situation::TimedOut | Situation::Throttled)
    }
}

/// A failed call of a backend. It never holds a credential.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {situation}", named(key, place))]
pub struct BackendError {
    /// Why it failed.
    pub situation: Situation,
    /// What was asked.
    pub action: Action,
    /// The key or prefix; empty where the place as a whole is meant.
    pub key: Box<str>,
    /// The place, as [`Backend::describe`](super::Backend::describe) has it.
    pub place: Box<str>,
    /// What to do about it, where more is known than the situation tells.
    pub remedy: Option<Box<str>>,
    /// What lies below, if anything does.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What to do where something else seems to answer than the store.
pub const ELSEWHERE: &str = "check that nothing else answers in its place: the URL and `endpointurl` (`mlv \
                             config --list`), the proxy (`HTTPS_PROXY`), a login that the network wants";

/// The object, or the place as a whole.
fn named(key: &str, place: &str) -> String {
    if key.is_empty() { format!("`{place}`") } else { format!("`{key}` at `{place}`") }
}

impl BackendError {
    /// A failure without a cause below it.
    pub fn new(situation: Situation, action: Action, key: &str, place: String) -> BackendError {
        BackendError { situation, action, key: key.into(), place: place.into(), remedy: None, source: None }
    }

    /// The same with its cause.
    pub fn because(self, source: impl std::error::Error + Send + Sync + 'static) -> BackendError {
        BackendError { source: Some(Box::new(source)), ..self }
    }

    /// Whether this says that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.situation == Situation::NotFound
    }

    /// Whether a read says that the object, or this part of it, is not there.
    pub fn is_absence(&self) -> bool {
        matches!(self.situation, Situation::NotFound | Situation::Invalid)
    }
}

impl Advice for BackendError {
    fn kind(&self) -> ErrorKind {
        match self.situation {
            Situation::NotFound => ErrorKind::NotFound,
            Situation::Denied | Situation::ReadOnly => ErrorKind::AccessDenied,
            Situation::CredentialsMissing => ErrorKind::CredentialsMissing,
            Situation::CredentialsExpired => ErrorKind::CredentialsExpired,
            Situation::Unreachable | Situation::TimedOut | Situation::Untrusted | Situation::StrangeHost => {
                ErrorKind::Network
            }
            Situation::Throttled => ErrorKind::Throttled,
            Situation::NoBucket => ErrorKind::NoRemote,
            Situation::NoSpace => ErrorKind::NoSpace,
            Situation::TooLarge { .. }
            | Situation::ListingTooLong { .. }
            | Situation::Invalid
            | Situation::NotSupported
            | Situation::Taken
            | Situation::ClockSkew
            | Situation::Refused => ErrorKind::RemoteInvalid,
            Situation::Failed => ErrorKind::Io,
            Situation::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        if let Some(remedy) = &self.remedy {
            return vec![Hint::new(&**remedy)];
        }
        match self.situation {
            Situation::NoBucket => vec![Hint::new("make it, or correct the URL: `mlv remote list`")],
            Situation::ClockSkew => {
                vec![Hint::new("set this machine's clock, then run the same command again")]
            }
            Situation::Untrusted => {
                vec![Hint::new("name a file with the server's authority: `SSL_CERT_FILE=/path/to/ca.pem`")]
            }
            Situation::TooLarge { .. } => vec![Hint::new(ELSEWHERE)],
            Situation::Unreachable | Situation::TimedOut => vec![Hint::new(
                "check the network and the address (`mlv remote list`), then run the same command again",
            )],
            Situation::Throttled => vec![Hint::new("wait a little, then run the same command again")],
            Situation::ReadOnly => vec![Hint::new("push to another remote: `mlv push -r NAME`")],
            Situation::NoSpace => vec![Hint::new("free space there, then run the same command again")],
            Situation::Denied => vec![Hint::new("check the permissions of the remote: `mlv remote list`")],
            _ => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        Some(self.place.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_user_from_the_remote_has_a_remedy() {
        for situation in [
            Situation::Unreachable,
            Situation::TimedOut,
            Situation::Throttled,
            Situation::Untrusted,
            Situation::Denied,
            Situation::ReadOnly,
            Situation::NoBucket,
            Situation::NoSpace,
            Situation::ClockSkew,
        ] {
            let error = BackendError::new(situation, Action::Read, "mlv-remote", "s3://data".to_owned());
            assert_eq!(error.hints().len(), 1, "{situation}");
        }
    }
}
