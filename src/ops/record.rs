//! Records outputs: reads them, stores what is new, and says what a pointer or lock should hold.
//!
//! Used by `add`, `commit` and `repro`. The order is the invariant I1: [`Recording::output`] for
//! each output, then [`Recording::publish`] makes all of it durable, then the caller writes
//! pointers or the lock, then [`Published::settle`] updates what only saves time.

mod lists;

use std::collections::HashSet;

use crate::error::{Advice, ErrorKind};
use crate::model::digest::{Digest, RunKey};
use crate::model::object::{ContentId, ContentInfo, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::compare::ChangeCounts;
use crate::ops::held;
use crate::ops::scan::{Present, Scanner, TrackedEntries};
use crate::ops::{OpError, OutputError, links, names, surroundings, trees};
use crate::repo::Repo;
use crate::report::{Event, Reporter};
use crate::store::here::Here;
use crate::store::statindex::{StatIndex, StatIndexUpdate};
use crate::store::{CacheWriter, Presence, WriteStats};

/// What was found at one output.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What to write into the pointer or lock.
    pub info: ContentInfo,
    /// What differs from what was recorded before; nothing where the list of that cannot be had.
    pub changes: Option<ChangeCounts>,
    /// Files and symlinks kept although they are not here.
    pub kept: u64,
    /// Files and folders here that `.mlvignore` leaves out.
    pub ignored: u64,
}

/// What to record of an output.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The output.
    pub output: &'a RepoPath,
    /// What is recorded of it now, if it is known already.
    pub known: Option<&'a ContentInfo>,
    /// Paths inside the output to which the recording is confined; empty: all of it.
    pub inside: &'a [Box<str>],
    /// Whether file bytes go to the cache, or only trees.
    pub store: bool,
    /// Whether changes that came with git may be taken back, by recording files from before them.
    pub take_back: bool,
}

/// The recording of several outputs, published together.
pub struct Recording<'a> {
    repo: &'a Repo,
    index: StatIndex,
    here: Here,
    to: Destination<'a>,
    update: StatIndexUpdate,
    claims: Vec<Claim>,
    /// Folders of version control inside of outputs.
    left_out: Vec<RepoPath>,
    /// What `.mlvignore` left out of the present output.
    ignored: u64,
    reporter: &'a dyn Reporter,
}

/// Where what is new goes.
enum Destination<'a> {
    Cache(Box<CacheWriter<'a>>),
    /// Nowhere: it is counted, each file once.
    Nowhere {
        known: Presence,
        new: HashSet<Digest>,
        counts: WriteStats,
    },
}

impl Destination<'_> {
    fn writer(&self) -> Option<&CacheWriter<'_>> {
        match self {
            Destination::Cache(writer) => Some(writer),
            Destination::Nowhere { .. } => None,
        }
    }

    /// Counts what a rehearsal would store.
    fn count(&mut self, present: &Present) {
        let Destination::Nowhere { known, new, counts } = self else { return };
        for entry in present.tree_entries() {
            if entry.kind.has_object() && !known.has_object(entry.hash) && new.insert(entry.hash) {
                counts.records += 1;
                counts.bytes += entry.size;
            }
        }
    }
}

/// What will be known to be here: all of the contents, or the given paths of them.
struct Claim {
    output: RepoPath,
    content: ContentId,
    paths: Option<Vec<String>>,
}

/// A recording whose bytes are durable; pointers may name them now.
pub struct Published<'a> {
    /// What was new to the cache.
    pub stats: WriteStats,
    repo: &'a Repo,
    index: StatIndex,
    update: StatIndexUpdate,
    claims: Vec<Claim>,
    reporter: &'a dyn Reporter,
}

impl<'a> Recording<'a> {
    /// Starts a recording into the repository's cache.
    pub fn begin(repo: &'a Repo, reporter: &'a dyn Reporter) -> Result<Recording<'a>, OpError> {
        Recording::to(Destination::Cache(Box::new(repo.cache()?.writer()?)), repo, reporter)
    }

    /// A recording that only says what it would record, and writes nothing.
    pub fn rehearse(repo: &'a Repo, reporter: &'a dyn Reporter) -> Result<Recording<'a>, OpError> {
        let known = repo.cache()?.snapshot();
        let nowhere = Destination::Nowhere { known, new: HashSet::new(), counts: WriteStats::default() };
        Recording::to(nowhere, repo, reporter)
    }

    fn to(to: Destination<'a>, repo: &'a Repo, reporter: &'a dyn Reporter) -> Result<Recording<'a>, OpError> {
        Ok(Recording {
            repo,
            index: repo.stat_index(),
            here: repo.own_here()?,
            to,
            update: StatIndexUpdate::new(),
            claims: Vec::new(),
            left_out: Vec::new(),
            ignored: 0,
            reporter,
        })
    }

    /// Reads an output, hands what is new to the cache, and says what to record of it.
    ///
    /// Absent is not deleted: entries that the recorded tree names and that never were here are kept.
    pub fn output(&mut self, request: Request<'_>) -> Result<Recorded, OpError> {
        self.ignored = 0;
        let recorded = if request.inside.is_empty() { self.whole(request) } else { self.part(request) };
        recorded.map(|recorded| Recorded { ignored: self.ignored, ..recorded })
    }

    fn whole(&mut self, request: Request<'_>) -> Result<Recorded, OpError> {
        let output = request.output;
        let (repo, reporter) = (self.repo, self.reporter);
        let tracked = || lists::tracked(repo, request, reporter);
        let present = self.read(output, request.store, &tracked)?;
        match &present {
            Present::Absent => Err(OutputError::Vanished { path: output.clone(), near: Vec::new() }.into()),
            Present::File(file) if file.kind == EntryKind::Symlink => {
                Err(OutputError::SymlinkOutput { path: output.clone() }.into())
            }
            Present::File(_) => self.file(request, &present.tree_entries()),
            Present::Directory(_) => {
                links::check(self.repo, output, "", &present)?;
                self.directory(request, present.tree_entries())
            }
        }
    }

    /// Hands the record of a run to the cache.
    pub fn put_run_record(&self, key: RunKey, bytes: &[u8]) -> Result<(), OpError> {
        let key = RecordKey { hash: key.digest(), kind: RecordKind::RunRecord };
        self.to.writer().map_or(Ok(false), |writer| writer.put_record(key, bytes))?;
        Ok(())
    }

    /// Looks at a path, hashes what is not known, and notes its stamps.
    fn read(
        &mut self,
        path: &RepoPath,
        store: bool,
        tracked: &TrackedEntries<'_>,
    ) -> Result<Present, OpError> {
        let scanner = Scanner::new(self.repo, &self.index, self.reporter);
        let mut present = scanner.look(path, tracked)?;
        self.left_out.extend(scanner.take_left_out());
        self.ignored += scanner.take_ignored();
        let writer = self.to.writer().filter(|_| store);
        scanner.hash(path, &mut present, writer).map_err(|error| match error.kind() {
            ErrorKind::NoSpace => OutputError::NoRoom { path: path.clone(), source: Box::new(error) }.into(),
            _ => error,
        })?;
        if store {
            self.to.count(&present);
        }
        self.update.forget_below(path.as_str());
        present.note_stamps(path, &mut self.update);
        Ok(present)
    }

    fn file(&mut self, request: Request<'_>, entries: &[TreeEntry]) -> Result<Recorded, OpError> {
        let Some(entry) = entries.first() else {
            return Err(OutputError::Vanished { path: request.output.clone(), near: Vec::new() }.into());
        };
        let info = trees::file_info(entry);
        if let Some(known) = request.known
            && known.id != info.id
            && !request.take_back
        {
            let old = match known.id {
                ContentId::File(_) => trees::read_content(self.repo, known, request.output)?,
                // No entry of a directory is the file.
                ContentId::Tree(_) => Vec::new(),
            };
            let mut lost = self.bring_put(request.output, known);
            lists::check(self.repo, &self.here, (request, known.id), (&old, entries), &mut lost)?;
        }
        self.claims.push(Claim { output: request.output.clone(), content: info.id, paths: None });
        let changes = lists::count(self.repo, request, None, (&info, entries), self.reporter);
        Ok(Recorded { info, changes, kept: 0, ignored: 0 })
    }

    /// A whole directory: what is here, and what is kept of the recorded tree.
    fn directory(&mut self, request: Request<'_>, present: Vec<TreeEntry>) -> Result<Recorded, OpError> {
        let output = request.output;
        let mut known = request.known.filter(|info| !held::is_all_here(&self.here, output, info.id));
        if let Some(info) = known
            && lists::is_unlisted_and_whole(self.repo, info, output, &present)?
        {
            known = None;
        }
        let old = match known {
            Some(info) => Some(lists::recorded(self.repo, info, output, self.reporter)?),
            None => None,
        };
        if let (Some(old), Some(known)) = (&old, known) {
            let mut lost = self.bring_put(output, known);
            lists::check(self.repo, &self.here, (request, known.id), (old, &present), &mut lost)?;
        }
        let kept = match &old {
            Some(old) if known.is_some_and(|info| info.id.is_tree()) => {
                held::kept_entries(old, &present, &held::placed(self.repo, &self.here, output))
                    .map_err(|way| OutputError::in_the_way(output, way))?
            }
            _ => Vec::new(),
        };
        let paths = (!kept.is_empty())
            .then(|| held::covering_paths(held::bare_paths(&present), held::bare_paths(&kept)));
        let count = kept.iter().filter(|entry| entry.kind != EntryKind::EmptyDir).count() as u64;
        let entries = if kept.is_empty() {
            present
        } else {
            trees::without_filled_folders(trees::merge(present, kept))
        };
        let info = self.build(output, &entries)?;
        if request.known.map(|known| known.id) != Some(info.id) {
            names::check(output, &entries, self.repo.config().portable_names()?, self.reporter)?;
        }
        self.claims.push(Claim { output: output.clone(), content: info.id, paths });
        let changes = lists::count(self.repo, request, old, (&info, &entries), self.reporter);
        Ok(Recorded { info, changes, kept: count, ignored: 0 })
    }

    /// Some paths inside a directory: everything else of the recorded tree stays as it is.
    fn part(&mut self, request: Request<'_>) -> Result<Recorded, OpError> {
        let output = request.output;
        let Some(known) = request.known.filter(|info| info.id.is_tree()) else {
            return Err(OutputError::NotADirectory { path: output.clone() }.into());
        };
        let old = lists::recorded(self.repo, known, output, self.reporter)?;
        let mut lost = self.bring_put(output, known);
        let placed = held::placed(self.repo, &self.here, output);
        let mut entries = old.clone();
        let mut paths = Vec::new();
        for inside in request.inside {
            let path = output.join_entry(inside);
            let present = self.read(&path, request.store, &|| Ok(trees::relative_to(&old, inside)))?;
            links::check(self.repo, output, inside, &present)?;
            let found = below(inside, &present);
            let recorded: Vec<TreeEntry> =
                old.iter().filter(|entry| trees::is_within(entry.bare_path(), inside)).cloned().collect();
            lists::check(self.repo, &self.here, (request, known.id), (&recorded, &found), &mut lost)?;
            let kept = held::kept_entries(&recorded, &found, &placed)
                .map_err(|way| OutputError::in_the_way(output, way))?;
            if found.is_empty() && kept.len() == recorded.len() {
                return Err(OutputError::NothingAt { path }.into());
            }
            if kept.is_empty() && !found.is_empty() {
                paths.push(inside.to_string());
            } else {
                paths.extend(held::covering_paths(held::bare_paths(&found), held::bare_paths(&kept)));
            }
            entries.retain(|entry| {
                let path = entry.bare_path();
                !trees::is_within(path, inside) && !held::ancestors(inside).any(|above| above == path)
            });
            entries = trees::merge(trees::merge(entries, kept), found);
        }
        entries = trees::without_filled_folders(entries);
        names::check(output, &entries, self.repo.config().portable_names()?, self.reporter)?;
        self.changed_part((output, known), (&old, &entries), &placed, paths)
    }

    /// The recorded directory without what it has at `inside`, whatever is here.
    ///
    /// Fails with `NotRecorded` where it has nothing.
    pub fn without(
        &mut self,
        output: &RepoPath,
        known: &ContentInfo,
        inside: &[Box<str>],
    ) -> Result<Recorded, OpError> {
        if !known.id.is_tree() {
            return Err(OutputError::NotADirectory { path: output.clone() }.into());
        }
        let old = lists::recorded(self.repo, known, output, self.reporter)?;
        let is_at = |entry: &TreeEntry, path: &str| trees::is_within(entry.bare_path(), path);
        for path in inside {
            if !old.iter().any(|entry| is_at(entry, path)) {
                return Err(trees::not_recorded(output, path, &old).into());
            }
        }
        let mut entries = old.clone();
        entries.retain(|entry| !inside.iter().any(|path| is_at(entry, path)));
        let placed = held::placed(self.repo, &self.here, output);
        self.changed_part((output, known), (&old, &entries), &placed, Vec::new())
    }

    /// Records the `entries` of a directory of which a part changed: the paths `here` were just read, of
    /// the rest that is here which stands as it was `placed`.
    fn changed_part(
        &mut self,
        (output, known): (&RepoPath, &ContentInfo),
        (old, entries): (&[TreeEntry], &[TreeEntry]),
        placed: &[TreeEntry],
        mut here: Vec<String>,
    ) -> Result<Recorded, OpError> {
        let info = self.build(output, entries)?;
        let placed: HashSet<_> = placed.iter().map(held::identity).collect();
        let (was_here, was_not): (Vec<&TreeEntry>, Vec<&TreeEntry>) =
            entries.iter().partition(|entry| placed.contains(&held::identity(entry)));
        let was_here = was_here.into_iter().map(TreeEntry::bare_path);
        here.extend(held::covering_paths(was_here, was_not.into_iter().map(TreeEntry::bare_path)));
        let paths = (!held::is_all_here(&self.here, output, known.id)).then_some(here);
        self.claims.push(Claim { output: output.clone(), content: info.id, paths });
        let changes = Some(ChangeCounts::between(old, entries));
        Ok(Recorded { info, changes, kept: 0, ignored: 0 })
    }

    fn bring_put(&self, output: &RepoPath, known: &ContentInfo) -> Option<OpError> {
        lists::bring_put(self.repo, &self.here, (output, known.id), self.reporter)
    }

    fn warn_of_left_out(&self) {
        let Some(first) = self.left_out.first() else { return };
        let message = match self.left_out.len() {
            1 => format!("left out `{first}`: version control is no data"),
            count => {
                format!("left out {count} folders of version control, which is no data: first `{first}`")
            }
        };
        self.reporter.event(&Event::Warning { message });
    }

    fn build(&self, output: &RepoPath, entries: &[TreeEntry]) -> Result<ContentInfo, OpError> {
        let summary = trees::build(output, entries, self.to.writer())?;
        Ok(trees::content_info(&summary))
    }

    /// Makes everything that was handed to the cache durable and visible. After a rehearsal there
    /// is nothing of that, and the counts say what would be stored: the files, without the lists
    /// of files.
    pub fn publish(self) -> Result<Published<'a>, OpError> {
        self.warn_of_left_out();
        let stats = match self.to {
            Destination::Cache(writer) => writer.finish()?,
            Destination::Nowhere { counts, .. } => counts,
        };
        Ok(Published {
            stats,
            repo: self.repo,
            index: self.index,
            update: self.update,
            claims: self.claims,
            reporter: self.reporter,
        })
    }
}

impl Published<'_> {
    /// Adds what was learned of other files before the outputs were read.
    pub fn learn(&mut self, earlier: StatIndexUpdate) {
        self.update = std::mem::take(&mut self.update).after(earlier);
    }

    /// Updates the stat index and what is known to be here; after the pointers are written.
    pub fn settle(self) -> Result<(), OpError> {
        let claims = self.claims;
        surroundings::update_here(self.repo, self.reporter, |here| {
            for claim in claims {
                match claim.paths {
                    None => here.set_complete(&claim.output, claim.content),
                    Some(paths) => {
                        for path in paths {
                            here.add_path(&claim.output, claim.content, &path);
                        }
                    }
                }
            }
        })?;
        // Only saves time, and the pointers are written.
        let _ = self.repo.save_stat_index(&self.index, self.update);
        Ok(())
    }
}

/// The entries found at `inside` of a directory, under their paths in the directory.
fn below(inside: &str, present: &Present) -> Vec<TreeEntry> {
    let mut entries: Vec<TreeEntry> =
        present.tree_entries().into_iter().map(|entry| trees::placed_in(inside, entry)).collect();
    if entries.is_empty() && matches!(present, Present::Directory(_)) {
        entries.push(empty_folder(inside));
    }
    entries
}

fn empty_folder(path: &str) -> TreeEntry {
    let path = format!("{path}/").into();
    TreeEntry { path, kind: EntryKind::EmptyDir, size: 0, hash: crate::model::digest::Digest::ZERO }
}
