//! What `push`, `fetch` and `pull` share: opening a remote, and the cache as the source and the sink
//! of transfers.

pub mod bring;
pub mod elsewhere;
pub mod gather;

use std::io::Read;
use std::time::Duration;

use crate::config::{Level, OptionValue, RemoteConfig};
use crate::model::digest::ObjectId;
use crate::model::object::RecordKey;
use crate::model::secret::Secret;
use crate::ops::OpError;
use crate::par;
use crate::remote::backend::{Action, BackendError, Situation};
use crate::remote::error::Cause;
use crate::remote::names::format_key;
use crate::remote::records::Operation;
use crate::remote::registry::{Place, RemoteSpec, SpecOption, scheme_of};
use crate::remote::transfer::{RecordReceiver, RecordSink, RecordSource};
use crate::remote::{self, OpenOptions, Remote};
use crate::repo::Repo;
use crate::report::{Event, Reporter};
use crate::store::{Cache, CacheWriter, Presence};

/// Waiting is told after so long.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// An open remote and the name that the user knows it by.
pub struct NamedRemote {
    /// Its name in the configuration.
    pub name: String,
    /// The connection.
    pub remote: Remote,
    /// Whether it is of a kind to which nobody can push.
    pub is_read_only: bool,
}

impl NamedRemote {
    /// Fails as a push would, where nobody can push to it.
    pub fn check_writable(&self) -> Result<(), OpError> {
        if !self.is_read_only {
            return Ok(());
        }
        let place = self.remote.place().into_string();
        let refused = BackendError::new(Situation::ReadOnly, Action::Write, format_key().as_str(), place);
        Err(remote::Error::from(refused).into())
    }
}

/// What a remote is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read what is known to be there.
    Read,
    /// To tell what is there: nothing is written, not even what a reader mends.
    Look,
    /// To look at all of it, with nothing believed that is remembered.
    Inspect,
    /// To see what a write would do, in the same way.
    Rehearse,
    /// To collect its garbage, with nothing believed that is remembered.
    Collect,
    /// To write. Where this clone knew a remote that is gone it is missed, not made.
    Write,
    /// To write, and to make it even then.
    Create,
}

/// Opens the remote `name`, or the default one.
///
/// Tells where it takes long: a remote that does not answer is asked again for a while. Fails with
/// `NoRemote` where none is configured.
pub fn open(
    repo: &Repo,
    name: Option<&str>,
    access: Access,
    reporter: &dyn Reporter,
) -> Result<NamedRemote, OpError> {
    open_with(repo, name, (access, false), reporter)
}

/// Opens the remote `name` to read, and does not wait for one that cannot be reached: another can be asked.
pub fn open_at_once(repo: &Repo, name: &str, reporter: &dyn Reporter) -> Result<NamedRemote, OpError> {
    open_with(repo, Some(name), (Access::Read, true), reporter)
}

fn open_with(
    repo: &Repo,
    name: Option<&str>,
    (access, at_once): (Access, bool),
    reporter: &dyn Reporter,
) -> Result<NamedRemote, OpError> {
    let config = repo.config().remote(name)?;
    let spec = spec_of(&config);
    spec.check_folder(repo.root()).map_err(Box::new)?;
    let backend = spec.open(repo.root()).map_err(Box::new)?;
    let operation = match access {
        Access::Read | Access::Look | Access::Inspect => Operation::Read,
        Access::Collect => Operation::Gc,
        Access::Rehearse | Access::Write | Access::Create => Operation::Write,
    };
    let mut options = OpenOptions::new(config.url(), Some(repo.cache()?.root()), operation);
    options.fresh = matches!(access, Access::Inspect | Access::Rehearse | Access::Collect);
    options.create = access == Access::Create;
    options.only_looks = access == Access::Look;
    options.at_once = at_once;
    options.jobs = repo.transfer_jobs()?;
    let holder = format!("the remote `{}`", config.name);
    let tell = || reporter.event(&Event::Waiting { holder });
    let open = || Remote::open(backend, options);
    // A folder answers at once, and needs no thread that waits for it.
    let is_folder = scheme_of(config.url()).is_none();
    let remote = if is_folder { open()? } else { par::tell_if_slow(TELL_AFTER, tell, open)? };
    if remote.has_lost_format() {
        let message = format!(
            "`mlv-remote` is gone from `{}`, and nobody can pull without it: `mlv push` writes it again",
            remote.place()
        );
        reporter.event(&Event::Warning { message });
    }
    let is_read_only = matches!(spec.place(repo.root()), Ok(Place::Web));
    Ok(NamedRemote { name: config.name, remote, is_read_only })
}

/// The remote as its backend wants it described.
pub(super) fn spec_of(config: &RemoteConfig) -> RemoteSpec {
    let options = config.options.iter().map(|option| SpecOption {
        name: option.name.to_owned(),
        value: match &option.value {
            OptionValue::Plain(text) => Secret::new(text.as_str()),
            OptionValue::Secret(secret) => secret.clone(),
        },
        is_tracked: option.level == Level::Project,
    });
    RemoteSpec {
        name: config.name.clone(),
        url: config.url().to_owned(),
        is_url_tracked: config.origin.level() == Level::Project,
        options: options.collect(),
    }
}

/// The cache as what a push reads from.
pub struct FromCache<'a> {
    cache: &'a Cache,
    presence: Presence,
}

impl<'a> FromCache<'a> {
    /// The cache as it is now.
    pub fn new(cache: &'a Cache) -> FromCache<'a> {
        FromCache { cache, presence: cache.snapshot() }
    }
}

impl RecordSource for FromCache<'_> {
    fn holds(&self, key: RecordKey) -> bool {
        self.presence.has(key)
    }

    fn load(&self, keys: &[RecordKey], each: &mut RecordReceiver<'_>) -> Result<(), Cause> {
        self.cache.load_unverified(keys, each).map_err(Cause::new)
    }

    fn open(&self, id: ObjectId) -> Result<Option<Box<dyn Read + Send + '_>>, Cause> {
        match self.cache.open_unverified(id) {
            Ok(reader) => Ok(Some(reader)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(Cause::new(error)),
        }
    }

    fn found_damaged(&self, key: RecordKey) {
        self.cache.found_damaged(key);
    }
}

/// The cache as what a fetch writes to.
pub struct IntoCache<'a>(pub &'a CacheWriter<'a>);

impl RecordSink for IntoCache<'_> {
    fn put(&self, key: RecordKey, raw: &[u8]) -> Result<(), Cause> {
        self.0.put_verified(key, raw).map(drop).map_err(Cause::new)
    }

    fn put_file(&self, id: ObjectId, _size: u64, bytes: &mut dyn Read) -> Result<(), Cause> {
        self.0.put_stream(bytes, id).map(drop).map_err(Cause::new)
    }
}
