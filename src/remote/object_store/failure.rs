//! From an error of `object_store` to what it means.

use super::BucketBackend;
use super::refusal::{Broken, broken_below};
use crate::remote::backend::{Action, BackendError, Situation};

/// What `error` means, after credentials were `renewed` or not. Its own text is not kept: it may hold a signed URL.
pub(super) fn backend_error(
    backend: &BucketBackend,
    error: object_store::Error,
    (action, key): (Action, &str),
    renewed: bool,
) -> BackendError {
    let Some(broken) = broken_below(&error) else {
        return backend.error(situation_of(&error, action), action, key);
    };
    let situation = match &broken {
        // The ones that were fetched for this call are as wrong.
        Broken::Refused(refusal) if renewed && refusal.is_no_token() => Situation::Denied,
        broken => broken.situation(),
    };
    let mut told = backend.error(situation, action, key);
    told.remedy = remedy(backend, &broken, told.situation).map(String::into_boxed_str);
    match broken {
        Broken::Refused(_) if matches!(told.situation, Situation::Denied | Situation::CredentialsExpired) => {
            told.because(Denied { broken, who: backend.access.source() })
        }
        _ => told.because(broken),
    }
}

fn situation_of(error: &object_store::Error, action: Action) -> Situation {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => Situation::NotFound,
        E::AlreadyExists { .. } | E::Precondition { .. } if action == Action::Write => Situation::Taken,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => Situation::Denied,
        E::NotImplemented { .. } | E::NotSupported { .. } => Situation::NotSupported,
        // Left over: answers that do not parse, a range that does not fit.
        _ => Situation::Invalid,
    }
}

fn remedy(backend: &BucketBackend, broken: &Broken, situation: Situation) -> Option<String> {
    if let Broken::Refused(refusal) = broken
        && let Some(remedy) = refusal.remedy(&backend.remote)
    {
        return Some(remedy);
    }
    match situation {
        Situation::CredentialsExpired => {
            Some(backend.access.remedy().unwrap_or_else(|| {
                format!("get new credentials; these come from: {}", backend.access.source())
            }))
        }
        Situation::Denied => Some(match broken {
            Broken::Refused(refusal) if refusal.is_wrong_key() => {
                format!("correct the credentials; they come from: {}", backend.access.source())
            }
            _ => format!(
                "`mlv remote test {}` tells what these credentials may do, and docs/guides/remotes.md what is needed",
                backend.remote
            ),
        }),
        _ => None,
    }
}

/// A refusal, and whom it refused.
#[derive(Debug, thiserror::Error)]
#[error("{broken} (credentials: {who})")]
struct Denied {
    broken: Broken,
    who: String,
}
