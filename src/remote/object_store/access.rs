//! Who asks: credentials at hand, renewed in time.
//!
//! Many threads make requests with the same credentials, and are refused together when these end. One of
//! them renews: the others, which name the turn of credentials that was refused, get what it got.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use super::line::{Line, LineOptions};
use super::refusal::{Broken, broken_below};
use super::{container, wait};
use crate::remote::backend::Situation;
use crate::remote::credentials::{AwsKeys, AwsSearch, CredentialsError, Found};

/// Where a remote's credentials come from.
pub(super) trait Access: Send + Sync {
    /// Makes sure that the next request has credentials that have not expired; returns their turn.
    fn prepare(&self) -> Result<Turn, AccessError>;

    /// The same where the store said at `since` that it does not take those of the turn `refused` any
    /// more: they are forgotten, unless another thread has renewed them meanwhile.
    fn renew(&self, refused: Turn, since: Instant) -> Result<Turn, AccessError>;

    /// Where they come from, never what they are: `profile ml, SSO`.
    fn source(&self) -> String;

    /// What the user can do when they do not serve.
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// How often credentials were renewed before these.
pub(super) type Turn = u64;

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

/// The last failure to get credentials: whoever waited for that attempt does not make another.
#[derive(Default)]
struct LastFailure(Option<(Instant, AccessError)>);

impl LastFailure {
    /// The failure of an attempt that ended after `asked`.
    fn since(&self, asked: Instant) -> Result<(), AccessError> {
        match &self.0 {
            Some((at, error)) if *at >= asked => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn keep<T>(&mut self, outcome: Result<T, AccessError>) -> Result<T, AccessError> {
        self.0 = outcome.as_ref().err().map(|error| (Instant::now(), error.clone()));
        outcome
    }
}

/// Credentials that the vendor's client looks after by itself, or none.
pub(super) struct Unmanaged(pub(super) &'static str);

impl Access for Unmanaged {
    fn prepare(&self) -> Result<Turn, AccessError> {
        Ok(0)
    }

    fn renew(&self, refused: Turn, _since: Instant) -> Result<Turn, AccessError> {
        Ok(refused)
    }

    fn source(&self) -> String {
        self.0.to_owned()
    }
}

/// Makes the vendor's client for credentials, which has fetched nothing yet.
pub(super) type Maker<C> = Box<dyn Fn() -> Option<Provider<C>> + Send + Sync>;
type Provider<C> = Arc<dyn CredentialProvider<Credential = C>>;

/// A vendor's client for credentials that can be made to forget what it has.
pub(super) struct Renewable<C> {
    make: Maker<C>,
    at_hand: RwLock<Provider<C>>,
}

impl<C> Renewable<C> {
    /// `None` where `make` has nothing to make a client of.
    pub(super) fn new(make: Maker<C>) -> Option<Arc<Renewable<C>>> {
        let at_hand = RwLock::new(make()?);
        Some(Arc::new(Renewable { make, at_hand }))
    }

    fn forget(&self) {
        if let Some(fresh) = (self.make)() {
            *self.at_hand.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

impl<C> fmt::Debug for Renewable<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewable")
    }
}

#[async_trait]
impl<C: Send + Sync> CredentialProvider for Renewable<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let at_hand = Arc::clone(&self.at_hand.read().unwrap_or_else(PoisonError::into_inner));
        at_hand.get_credential().await
    }
}

/// Credentials that the vendor's client fetches, and fetches again before their end; asked
/// beforehand, so that a missing one is told as such.
pub(super) struct Asked<C> {
    provider: Arc<Renewable<C>>,
    source: &'static str,
    /// What the user can do where there are none.
    hint: String,
    state: Mutex<AskedState>,
}

#[derive(Default)]
struct AskedState {
    /// Whether there were some already.
    had: bool,
    turn: Turn,
    failure: LastFailure,
}

impl<C> Asked<C> {
    pub(super) fn new(provider: Arc<Renewable<C>>, source: &'static str, hint: String) -> Asked<C> {
        Asked { provider, source, hint, state: Mutex::default() }
    }
}

impl<C: Send + Sync> Asked<C> {
    fn state(&self) -> MutexGuard<'_, AskedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, had: bool) -> Result<(), AccessError> {
        match wait(self.provider.get_credential()) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let broken = broken_below(&error);
                let reason = broken.as_ref().map(|broken| format!(": {broken}")).unwrap_or_default();
                let text = format!("{}{reason}", self.source);
                let situation = missing(broken.as_ref(), had);
                Err(AccessError { situation, text, remedy: Some(self.hint.clone()) })
            }
            Err(situation) => Err(AccessError { situation, text: situation.to_string(), remedy: None }),
        }
    }

    fn ask_once(&self, state: &mut AskedState, asked: Instant) -> Result<Turn, AccessError> {
        state.failure.since(asked)?;
        let outcome = self.ask(state.had);
        state.failure.keep(outcome)?;
        state.had = true;
        Ok(state.turn)
    }
}

impl<C: Send + Sync> Access for Asked<C> {
    fn prepare(&self) -> Result<Turn, AccessError> {
        let asked = Instant::now();
        self.ask_once(&mut self.state(), asked)
    }

    fn renew(&self, refused: Turn, since: Instant) -> Result<Turn, AccessError> {
        let mut state = self.state();
        if state.turn == refused {
            self.provider.forget();
            state.turn += 1;
        }
        self.ask_once(&mut state, since)
    }

    fn source(&self) -> String {
        self.source.to_owned()
    }

    fn remedy(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// What it means that credentials cannot be fetched: where there were some, or are some for sure, a
/// failure that may pass is only that, and the call is repeated.
fn missing(broken: Option<&Broken>, is_sure: bool) -> Situation {
    let situation = broken.map(Broken::situation).filter(|situation| is_sure && situation.is_transient());
    situation.unwrap_or(Situation::CredentialsMissing)
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
    found: Option<Found>,
    /// Whether there were some already.
    had: bool,
    turn: Turn,
    failure: LastFailure,
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
        let found = held.found.insert(self.search.find()?);
        tracing::debug!(source = %found.source(), "credentials");
        match found {
            Found::Keys { keys, .. } => {
                let keys = keys.clone();
                self.use_keys(held, &keys);
                Ok(())
            }
            Found::Container => self.ask_container(held),
            found => {
                held.endpoint = (self.ask)(found);
                self.ask_endpoint(held)
            }
        }
    }

    fn ask_container(&self, held: &mut Held) -> Result<(), AccessError> {
        let options = LineOptions { proxy: false, ..LineOptions::default() };
        let Ok(line) = Line::new(&options) else { return Err(self.search.nothing().into()) };
        match wait(container::ask(&line)) {
            Ok(Ok(keys)) => {
                held.had = true;
                self.use_keys(held, &keys);
                Ok(())
            }
            Ok(Err(broken)) => Err(self.refused(held, Some(&broken))),
            Err(situation) => Err(AccessError { situation, text: situation.to_string(), remedy: None }),
        }
    }

    /// The endpoint's client keeps what it got until five minutes before its end.
    fn ask_endpoint(&self, held: &mut Held) -> Result<(), AccessError> {
        let Some(endpoint) = &held.endpoint else { return Err(self.search.nothing().into()) };
        match wait(endpoint.get_credential()) {
            Ok(Ok(credential)) => {
                held.had = true;
                self.sign_with(credential);
                Ok(())
            }
            Ok(Err(error)) => Err(self.refused(held, broken_below(&error).as_ref())),
            Err(situation) => Err(AccessError { situation, text: situation.to_string(), remedy: None }),
        }
    }

    fn prepare_once(&self, held: &mut Held, asked: Instant) -> Result<Turn, AccessError> {
        held.failure.since(asked)?;
        let outcome = self.prepare_held(held);
        held.failure.keep(outcome)?;
        Ok(held.turn)
    }

    fn prepare_held(&self, held: &mut Held) -> Result<(), AccessError> {
        if held.endpoint.is_some() {
            return self.ask_endpoint(held);
        }
        match held.until {
            Some(Until::Always) => Ok(()),
            Some(Until::Moment(moment)) if Instant::now() < moment => Ok(()),
            None => self.fetch(held),
            Some(Until::Moment(_)) => match (self.fetch(held), held.expires.map(left)) {
                // What is at hand serves to its end; the attempts before that come less and less far apart.
                (Err(_), Some(Some(left))) => {
                    held.until = Some(Until::Moment(Instant::now() + left / 4));
                    Ok(())
                }
                (other, _) => other,
            },
        }
    }

    /// That an endpoint gave nothing: told by its name if it is there for sure.
    fn refused(&self, held: &Held, broken: Option<&Broken>) -> AccessError {
        let Some(found) = &held.found else { return self.search.nothing().into() };
        let reason = match (broken, found) {
            (Some(broken), _) => broken.to_string(),
            (None, Found::WebIdentity { token, .. }) if !token.is_file() => {
                format!("there is no file `{}`", token.display())
            }
            (None, _) => "its answer holds no credentials".to_owned(),
        };
        let source = found.source();
        tracing::debug!(source, reason, "no credentials");
        match found.remedy() {
            None if !held.had => self.search.nothing().into(),
            remedy => AccessError {
                situation: missing(broken, true),
                text: format!("{source}: {reason}"),
                remedy: remedy.map(str::to_owned),
            },
        }
    }
}

/// The time until `end`, if it is still to come.
fn left(end: SystemTime) -> Option<Duration> {
    end.duration_since(SystemTime::now()).ok()
}

impl Access for AwsAccess {
    fn prepare(&self) -> Result<Turn, AccessError> {
        let asked = Instant::now();
        self.prepare_once(&mut self.held(), asked)
    }

    fn renew(&self, refused: Turn, since: Instant) -> Result<Turn, AccessError> {
        let mut held = self.held();
        if held.turn == refused {
            *held = Held { had: held.had, turn: refused + 1, ..Held::default() };
        }
        self.prepare_once(&mut held, since)
    }

    fn source(&self) -> String {
        self.held().found.as_ref().map_or_else(|| "none".to_owned(), Found::source)
    }

    fn remedy(&self) -> Option<String> {
        self.search.renewal()
    }
}
