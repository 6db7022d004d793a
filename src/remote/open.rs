//! An opened remote: its backend, what it says of itself, and what this clone knows of it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::pack::segment::SegmentName;
use crate::par;
use crate::remote::backend::{Backend, BackendError, list_sorted, read};
use crate::remote::catalog::{Catalog, Refreshed};
use crate::remote::collection::Collection;
use crate::remote::counting::{CountingBackend, Requests};
use crate::remote::error::Error;
use crate::remote::names::{PACKS, RepoId, format_key};
use crate::remote::records::{MAX_FORMAT, Operation, RecordError, RemoteFormat};
use crate::remote::retry::{Patience, Retrying};
use crate::remote::state::{Answers, State};
use crate::report::{Event, Reporter};

/// How a remote is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The remote's URL, which together with its id names what is remembered of it.
    pub url: String,
    /// The folder of the local cache, below which that is kept; `None` remembers nothing.
    pub cache: Option<PathBuf>,
    /// What it is opened for: a feature that this program does not know closes it here.
    pub operation: Operation,
    /// Whether what is remembered of it is left aside, so that all is read from the remote.
    pub fresh: bool,
    /// Whether a remote may be made where there was one before: else it is missed, not made.
    pub create: bool,
    /// Whether nothing is written, not even what a reader mends.
    pub only_looks: bool,
    /// Whether the first request is made once only, because another place can be asked instead.
    pub at_once: bool,
    /// How failed calls are repeated.
    pub patience: Patience,
    /// How many threads do the work of the processor; as many as there are, up to 8, if it is not said.
    pub jobs: Option<NonZeroUsize>,
}

impl OpenOptions {
    /// The usual way to open the remote at `url` for `operation`.
    pub fn new(url: &str, cache: Option<&Path>, operation: Operation) -> OpenOptions {
        let cache = cache.map(Path::to_path_buf);
        let patience = Patience::default();
        OpenOptions {
            url: url.to_owned(),
            cache,
            operation,
            fresh: false,
            create: false,
            only_looks: false,
            at_once: false,
            patience,
            jobs: None,
        }
    }
}

/// A remote that was found, checked and permitted for an operation.
pub struct Remote {
    line: Retrying<CountingBackend<Box<dyn Backend>>>,
    options: OpenOptions,
    format: Option<RemoteFormat>,
    pub(crate) state: State,
    pub(crate) catalog: Catalog,
    pub(crate) collection: Collection,
    pub(crate) answers: Answers,
    /// Whether there is data, and the file that says what it is was gone when it was opened.
    has_lost_format: bool,
    /// Segments that were found damaged since it was opened.
    pub(crate) unreadable: Vec<SegmentName>,
}

impl Remote {
    /// Opens the remote behind `backend`: one request.
    ///
    /// Where nothing is yet, opening for [`Operation::Write`] succeeds and changes nothing;
    /// the remote is made by the first push. For others it fails with [`Error::NotARemote`].
    pub fn open(backend: Box<dyn Backend>, options: OpenOptions) -> Result<Remote, Error> {
        let line = Retrying::new(CountingBackend::new(backend), options.patience);
        let mut remote = Remote {
            line,
            options,
            format: None,
            has_lost_format: false,
            state: State::none(),
            catalog: Catalog::default(),
            collection: Collection::default(),
            answers: Answers::default(),
            unreadable: Vec::new(),
        };
        let first: &dyn Backend = if remote.options.at_once { remote.line.inner() } else { &remote.line };
        match read(first, &format_key(), MAX_FORMAT) {
            Ok(bytes) => {
                remote.accept(&bytes)?;
                remote.catalog = Catalog::load(&remote.state);
                remote.collection = Collection::load(&remote.state);
                remote.answers = remote.state.answers();
            }
            Err(error) if error.is_not_found() => {
                if remote.options.operation != Operation::Write {
                    return Err(Error::NotARemote { place: remote.place() });
                }
                match remote.is_known_place().then(|| remote.has_packs()) {
                    Some(false) => return Err(Error::Vanished { place: remote.place() }),
                    // Only the format was lost, and is written again: what is there is found by listing it.
                    Some(true) => remote.has_lost_format = true,
                    // What was never made holds nothing; should somebody make it meanwhile, the
                    // verification of the push sees it.
                    None => remote.catalog = Catalog::of_new_remote(),
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(remote)
    }

    /// Whether there was a remote at this place, which is not to be made anew.
    fn is_known_place(&self) -> bool {
        let options = &self.options;
        let was_seen = options.cache.as_deref().is_some_and(|cache| State::was_seen(cache, &options.url));
        was_seen && !options.create
    }

    fn has_packs(&self) -> bool {
        list_sorted(&self.line, PACKS).is_ok_and(|packs| !packs.is_empty())
    }

    fn accept(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let refused = |source: RecordError| Error::Record { place: self.place(), source };
        let format = RemoteFormat::decode(bytes).map_err(refused)?;
        format.permit(self.options.operation).map_err(refused)?;
        if let Some(cache) = &self.options.cache {
            self.state = State::below(cache, format.repo_id, &self.options.url);
            self.state.note_seen(&self.options.url);
            if self.options.fresh {
                self.state = State::none();
            }
        }
        self.format = Some(format);
        Ok(())
    }

    /// Makes the remote if there was none when it was opened.
    ///
    /// Two clients may do so at once: what stands there afterwards counts, for both.
    pub(crate) fn make(&mut self) -> Result<(), Error> {
        if self.format.is_some() {
            return Ok(());
        }
        let id = RepoId(u128::from_le_bytes(crate::fs::random_bytes()));
        self.line.create(&format_key(), &RemoteFormat::new(id).encode())?;
        let bytes = read(&self.line, &format_key(), MAX_FORMAT)?;
        self.accept(&bytes)
    }

    /// Whether there was something of mlv's when it was opened, or there is now.
    pub fn exists(&self) -> bool {
        self.format.is_some()
    }

    /// Whether there is data, and the file that says what it is was gone when it was opened.
    pub fn has_lost_format(&self) -> bool {
        self.has_lost_format
    }

    /// The remote's id, if it exists.
    pub fn id(&self) -> Option<RepoId> {
        self.format.as_ref().map(|format| format.repo_id)
    }

    /// The place in words, without credentials.
    pub fn place(&self) -> Box<str> {
        self.line.describe().into()
    }

    /// What was asked of the backend since the remote was opened.
    pub fn requests(&self) -> Requests {
        self.line.inner().requests()
    }

    /// How many threads do the work of the processor.
    pub(crate) fn threads(&self) -> usize {
        self.options.jobs.map_or_else(|| par::processors().min(8), NonZeroUsize::get)
    }

    /// The catalogue at hand.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The backend, for what is not a push or a fetch.
    pub fn backend(&self) -> &dyn Backend {
        &self.line
    }

    /// Whether this program knows all that a writer to this remote has to know, and is to write.
    pub(crate) fn may_be_written(&self) -> bool {
        !self.options.only_looks
            && self.format.as_ref().is_none_or(|format| format.permit(Operation::Write).is_ok())
    }

    /// Brings the catalogue up to date; tells which segments are damaged.
    pub fn refresh(&mut self, reporter: &dyn Reporter) -> Result<Refreshed, BackendError> {
        let refreshed = self.catalog.refresh(&self.line, &self.state)?;
        for name in &refreshed.unreadable {
            if self.unreadable.contains(name) {
                continue;
            }
            self.unreadable.push(*name);
            let message =
                format!("the index segment `{name}` at `{}` is damaged and left out", self.line.describe());
            reporter.event(&Event::Warning { message });
        }
        Ok(refreshed)
    }

    /// Brings marks and notes up to date; returns what is wrong with marks that cannot be read.
    pub(crate) fn refresh_readable_collection(&mut self) -> Result<Vec<Error>, Error> {
        self.collection.refresh_readable(&self.line, &self.state)
    }

    /// Brings marks and notes up to date.
    pub(crate) fn refresh_collection(&mut self) -> Result<(), Error> {
        self.collection.refresh(&self.line, &self.state)
    }
}
