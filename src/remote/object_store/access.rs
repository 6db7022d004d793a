//! Who asks: credentials at hand, renewed in time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use super::refusal::broken_below;
use super::wait;
use crate::remote::backend::Situation;
use crate::remote::credentials::{AwsKeys, AwsSearch, CredentialsError, Found};

/// Where a remote's credentials come from.
pub(super) trait Access: Send + Sync {
    /// Makes sure that the next request has credentials that have not expired.
    fn prepare(&self) -> Result<(), AccessError>;

    /// Forgets the credentials at hand: the store does not take them any more.
    fn renew(&self);

    /// Where they come from, never what they are: `profile ml, SSO`.
    fn source(&self) -> String;

    /// What the user can do when they do not serve.
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// Why there are no credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct AccessError {
    pub(super) situation: Situation,
    text: String,
    pub(super) remedy: Option<String>,
}

impl From<CredentialsError> for AccessError {
    fn from(error: CredentialsError) -> AccessError {
        let situation = match error.has_expired() {
            true => Situation::CredentialsExpired,
            false => Situation::CredentialsMissing,
        };
        AccessError { situation, text: error.to_string(), remedy: error.remedy() }
    }
}

/// Credentials that the vendor's client looks after by itself, or none.
pub(super) struct Unmanaged(pub(super) &'static str);

impl Access for Unmanaged {
    fn prepare(&self) -> Result<(), AccessError> {
        Ok(())
    }

    fn renew(&self) {}

    fn source(&self) -> String {
        self.0.to_owned()
    }
}

/// Credentials that the vendor's client fetches and renews by itself; asked beforehand, so that
/// a missing one is told as such.
pub(super) struct Asked<C> {
    pub(super) provider: Arc<dyn CredentialProvider<Credential = C>>,
    pub(super) source: &'static str,
    /// What the user can do where there are none.
    pub(super) hint: String,
}

impl<C: Send + Sync> Access for Asked<C> {
    fn prepare(&self) -> Result<(), AccessError> {
        match wait(self.provider.get_credential()) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let reason = broken_below(&error).map(|broken| format!(": {broken}")).unwrap_or_default();
                let text = format!("{}{reason}", self.source);
                let situation = Situation::CredentialsMissing;
                Err(AccessError { situation, text, remedy: Some(self.hint.clone()) })
            }
            Err(situation) => Err(AccessError { situation, text: situation.to_string(), remedy: None }),
        }
    }

    fn renew(&self) {}

    fn source(&self) -> String {
        self.source.to_owned()
    }

    fn remedy(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// What signs the requests at this moment.
pub(super) struct Signer(RwLock<Option<Arc<AwsCredential>>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[async_trait]
impl CredentialProvider for Signer {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        // `prepare` comes before every request.
        current.ok_or_else(|| object_store::Error::Generic { store: "S3", source: "no credentials".into() })
    }
}

/// Asks an endpoint of Amazon's for credentials: `Found` says which.
pub(super) type Asker = Box<dyn Fn(&Found) -> Option<AwsCredentialProvider> + Send + Sync>;

/// The credentials that the `aws` command would use.
pub(super) struct AwsAccess {
    search: AwsSearch,
    ask: Asker,
    pub(super) signer: Arc<Signer>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    endpoint: Option<AwsCredentialProvider>,
    /// When keys that end are fetched again; none while there are none.
    until: Option<Until>,
    expires: Option<SystemTime>,
    source: Option<String>,
}

#[derive(Clone, Copy)]
enum Until {
    Always,
    Moment(Instant),
}

impl AwsAccess {
    pub(super) fn new(search: AwsSearch, ask: Asker) -> AwsAccess {
        let signer = Arc::new(Signer(RwLock::new(None)));
        AwsAccess { search, ask, signer, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign_with(&self, credential: Arc<AwsCredential>) {
        *self.signer.0.write().unwrap_or_else(PoisonError::into_inner) = Some(credential);
    }

    fn use_keys(&self, held: &mut Held, keys: &AwsKeys) {
        let text = |secret: &crate::model::secret::Secret| secret.expose().to_owned();
        self.sign_with(Arc::new(AwsCredential {
            key_id: text(&keys.id),
            secret_key: text(&keys.secret),
            token: keys.token.as_ref().map(text),
        }));
        held.expires = keys.expires;
        held.until = Some(match keys.expires {
            None => Until::Always,
            Some(end) => {
                // A quarter of their life before the end, so that a slow answer is in time.
                let life = end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
                Until::Moment(Instant::now() + life * 3 / 4)
            }
        });
    }

    fn fetch(&self, held: &mut Held) -> Result<(), AccessError> {
        let found = self.search.find()?;
        held.source = Some(found.source());
        tracing::debug!(source = %found.source(), "credentials");
        if let Found::Keys { keys, .. } = &found {
            self.use_keys(held, keys);
            return Ok(());
        }
        held.endpoint = (self.ask)(&found);
        self.ask_endpoint(held)
    }

    /// The endpoint's client keeps what it got until five minutes before its end.
    fn ask_endpoint(&self, held: &mut Held) -> Result<(), AccessError> {
        let Some(endpoint) = &held.endpoint else { return Err(self.search.nothing().into()) };
        match wait(endpoint.get_credential()) {
            Ok(Ok(credential)) => {
                self.sign_with(credential);
                Ok(())
            }
            Ok(Err(error)) => {
                let source = held.source.clone().unwrap_or_default();
                tracing::debug!(source, reason = ?broken_below(&error), "no credentials");
                Err(self.search.nothing().into())
            }
            Err(situation) => Err(AccessError { situation, text: situation.to_string(), remedy: None }),
        }
    }
}

impl Access for AwsAccess {
    fn prepare(&self) -> Result<(), AccessError> {
        let mut held = self.held();
        if held.endpoint.is_some() {
            return self.ask_endpoint(&mut held);
        }
        match held.until {
            Some(Until::Always) => Ok(()),
            Some(Until::Moment(moment)) if Instant::now() < moment => Ok(()),
            None => self.fetch(&mut held),
            Some(Until::Moment(_)) => match self.fetch(&mut held) {
                // What is at hand serves to its end.
                Err(_) if held.expires.is_some_and(|end| SystemTime::now() < end) => Ok(()),
                other => other,
            },
        }
    }

    fn renew(&self) {
        *self.held() = Held::default();
    }

    fn source(&self) -> String {
        self.held().source.clone().unwrap_or_else(|| "none".to_owned())
    }

    fn remedy(&self) -> Option<String> {
        self.search.renewal()
    }
}
