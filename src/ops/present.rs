//! The present state of the work tree, as decisions about stages need it: contents and parameters,
//! each looked at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::model::values;
use crate::ops::scan::{Present, Scanner};
use crate::ops::state::{self, Verdict};
use crate::ops::tracked::{Source, Tracked, TrackedOut};
use crate::ops::{OpError, held, trees};
use crate::pipeline::plan::{Current, CurrentParams, State};
use crate::repo::Repo;
use crate::store::Presence;
use crate::store::here::Here;

/// Largest parameter file that is read, in bytes.
const MAX_PARAMS: u64 = 8 << 20;

/// What stands for data that a clone never downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// What is recorded of it: `status` needs no data.
    AsRecorded,
    /// Data under pointers as recorded, outputs of stages as missing: `repro` brings those back.
    OutputsMissing,
}

/// The work tree, looked at as decisions ask for it; every answer is remembered.
pub struct WorkTreeState<'a> {
    repo: &'a Repo,
    tracked: &'a Tracked,
    scanner: Scanner<'a>,
    here: Here,
    absent: Absent,
    contents: RefCell<HashMap<RepoPath, Current>>,
    params: RefCell<HashMap<RepoPath, CurrentParams>>,
    presence: RefCell<Option<Arc<Presence>>>,
}

impl<'a> WorkTreeState<'a> {
    /// The state of `repo`'s work tree.
    pub fn new(
        repo: &'a Repo,
        tracked: &'a Tracked,
        scanner: Scanner<'a>,
        absent: Absent,
    ) -> WorkTreeState<'a> {
        WorkTreeState {
            repo,
            tracked,
            scanner,
            here: Here::load(repo.mlv()),
            absent,
            contents: RefCell::default(),
            params: RefCell::default(),
            presence: RefCell::default(),
        }
    }

    /// Records what is at `path` now: a stage has made it.
    pub fn set(&self, path: &RepoPath, content: ContentId) {
        self.forget(path);
        self.contents.borrow_mut().insert(path.clone(), Current::Present(content));
    }

    /// Forgets what is known at, above and below `path`, and what the cache holds: look again.
    pub fn forget(&self, path: &RepoPath) {
        let touches = |known: &RepoPath| known.starts_with(path) || path.starts_with(known);
        self.contents.borrow_mut().retain(|known, _| !touches(known));
        self.params.borrow_mut().retain(|known, _| !touches(known));
        *self.presence.borrow_mut() = None;
    }

    fn find(&self, path: &RepoPath) -> Result<Current, OpError> {
        if let Some((out, inside)) = self.tracked.containing(path)
            && let Some(info) = &out.content
        {
            return if inside.is_empty() {
                self.whole(out, info)
            } else {
                self.part(out, info, (path, inside))
            };
        }
        self.look(path)
    }

    fn look(&self, path: &RepoPath) -> Result<Current, OpError> {
        let mut present = self.scanner.look(path)?;
        self.scanner.hash(path, &mut present, None)?;
        self.name(path, &present)
    }

    /// The name of what is present.
    fn name(&self, path: &RepoPath, present: &Present) -> Result<Current, OpError> {
        let entries = present.tree_entries();
        Ok(match present {
            Present::Absent => Current::Missing,
            Present::File(_) => match entries.first() {
                Some(entry) => Current::Present(ContentId::File(entry.hash.into())),
                None => Current::Missing,
            },
            Present::Directory(_) => {
                Current::Present(ContentId::Tree(trees::build(path, &entries, None)?.id))
            }
        })
    }

    fn whole(&self, out: &TrackedOut, info: &ContentInfo) -> Result<Current, OpError> {
        let found = state::examine(self.repo, &self.scanner, &self.here, (&out.path, info))?;
        match &found.verdict {
            Verdict::Same => Ok(Current::Present(info.id)),
            Verdict::NotHere if self.counts_as_missing(out) => Ok(Current::Missing),
            Verdict::NotHere => Ok(Current::Present(info.id)),
            // Only partly here, and what is here did not change.
            verdict @ Verdict::Directory(_) if !verdict.is_difference() && !self.counts_as_missing(out) => {
                Ok(Current::Present(info.id))
            }
            _ => self.name(&out.path, &found.present),
        }
    }

    fn counts_as_missing(&self, out: &TrackedOut) -> bool {
        self.absent == Absent::OutputsMissing && matches!(out.source, Source::Stage { .. })
    }

    /// A path inside an output.
    fn part(
        &self,
        out: &TrackedOut,
        info: &ContentInfo,
        (path, inside): (&RepoPath, &str),
    ) -> Result<Current, OpError> {
        let current = self.look(path)?;
        let ContentId::Tree(id) = info.id else { return Ok(current) };
        if current != Current::Missing || self.counts_as_missing(out) {
            return Ok(current);
        }
        let was_here = held::placed(self.repo, &self.here, &out.path)
            .iter()
            .any(|entry| trees::is_within(entry.bare_path(), inside));
        if was_here {
            return Ok(Current::Missing);
        }
        let entries = trees::read(self.repo, id, &out.path)?;
        recorded_part(path, inside, &entries)
    }

    fn presence(&self) -> Result<Arc<Presence>, OpError> {
        if let Some(presence) = &*self.presence.borrow() {
            return Ok(presence.clone());
        }
        let presence = Arc::new(self.repo.cache()?.snapshot());
        *self.presence.borrow_mut() = Some(presence.clone());
        Ok(presence)
    }
}

/// The name of what a directory's entries say of a path in it.
fn recorded_part(path: &RepoPath, inside: &str, entries: &[TreeEntry]) -> Result<Current, OpError> {
    if let Some(entry) = entries.iter().find(|entry| entry.kind.has_object() && *entry.path == *inside) {
        return Ok(Current::Present(ContentId::File(entry.hash.into())));
    }
    let folder = format!("{inside}/");
    let below: Vec<TreeEntry> = entries
        .iter()
        .filter_map(|entry| {
            let rest = entry.path.strip_prefix(&folder)?;
            (!rest.is_empty()).then(|| TreeEntry { path: rest.into(), ..entry.clone() })
        })
        .collect();
    let is_folder = !below.is_empty() || entries.iter().any(|entry| *entry.path == *folder);
    if is_folder {
        Ok(Current::Present(ContentId::Tree(trees::build(path, &below, None)?.id)))
    } else {
        Ok(Current::Missing)
    }
}

impl State for WorkTreeState<'_> {
    type Error = OpError;

    fn content(&self, path: &RepoPath) -> Result<Current, OpError> {
        if let Some(current) = self.contents.borrow().get(path) {
            return Ok(*current);
        }
        let current = self.find(path)?;
        self.contents.borrow_mut().insert(path.clone(), current);
        Ok(current)
    }

    fn params(&self, file: &RepoPath) -> Result<CurrentParams, OpError> {
        if let Some(known) = self.params.borrow().get(file) {
            return Ok(known.clone());
        }
        let current = match self.repo.dir().read_file(file, MAX_PARAMS) {
            Ok(bytes) => CurrentParams::Values(Arc::new(values::read(file, &bytes).map_err(Box::new)?)),
            Err(error) if error.is_not_found() => CurrentParams::Missing,
            Err(error) => return Err(error.into()),
        };
        self.params.borrow_mut().insert(file.clone(), current.clone());
        Ok(current)
    }

    fn is_cached(&self, content: &ContentInfo) -> Result<bool, OpError> {
        let presence = self.presence()?;
        match content.id {
            ContentId::File(id) => Ok(presence.has_object(id.digest())),
            ContentId::Tree(id) => match trees::read(self.repo, id, &RepoPath::root()) {
                Ok(entries) => Ok(entries
                    .iter()
                    .all(|entry| !entry.kind.has_object() || presence.has_object(entry.hash))),
                Err(error) if error.is_not_downloaded() => Ok(false),
                Err(error) => Err(error),
            },
        }
    }
}
