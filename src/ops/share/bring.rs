//! Brings what outputs name from a remote into the cache: pages of directories first, level by
//! level, then files.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::model::digest::{Digest, RunKey, TreeId};
use crate::model::object::{ContentId, ContentInfo, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::{Page, children_below, decode_page};
use crate::ops::share::{self, Access, IntoCache, NamedRemote};
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError, trees};
use crate::remote::error::Cause;
use crate::remote::transfer::RecordSink;
use crate::remote::transfer::fetch::{FetchReport, fetch};
use crate::remote::transfer::foresee::{FetchCounts, foresee_fetch};
use crate::remote::wants::WantList;
use crate::repo::Repo;
use crate::report::Reporter;

/// An output, or a part of it, that is wanted in the cache.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The output.
    pub output: RepoPath,
    /// What is recorded of it.
    pub info: ContentInfo,
    /// Paths inside to which this is confined; empty: all of it.
    pub inside: Vec<Box<str>>,
}

/// What was brought, and what was not.
#[derive(Debug, Default)]
pub struct Brought {
    /// Files and symlinks that were not in the cache before.
    pub files: u64,
    /// Pages of directories.
    pub pages: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Chunks of large files.
    pub chunks: u64,
    /// What would come, where it is only foreseen.
    pub would: Option<FetchCounts>,
    /// Paths whose data did not come, and why; sorted.
    pub failed: Vec<(RepoPath, OpError)>,
}

impl Brought {
    /// Adds what another remote gave of `wishes`, of which something was lost on the first.
    pub fn add_from_elsewhere(&mut self, found: Brought, wishes: &[Wish]) {
        self.files += found.files;
        self.pages += found.pages;
        self.bytes += found.bytes;
        self.chunks += found.chunks;
        let is_asked = |path: &RepoPath| wishes.iter().any(|wish| path.starts_with(&wish.output));
        let (before, mut rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.failed).into_iter().partition(|(path, _)| is_asked(path));
        let mut before: std::collections::BTreeMap<RepoPath, OpError> = before.into_iter().collect();
        for (path, error) in found.failed {
            // What the remote that it belongs to has lost is told of that one.
            let error = before.remove(&path).unwrap_or(error);
            rest.push((path, error));
        }
        rest.sort_by(|a, b| a.0.cmp(&b.0));
        self.failed = rest;
    }
}

/// Fetches what the cache lacks of `wishes`. What came is durable on return.
///
/// Fails where the remote or the cache does; what is missing or damaged on the remote is listed.
pub fn bring(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: &[Wish],
    reporter: &dyn Reporter,
) -> Result<Brought, OpError> {
    let mut brought = Brought::default();
    let without_pages = bring_pages(repo, from, (wishes, Reach::Whole), reporter, &mut brought)?;
    bring_files(repo, from, (wishes, &without_pages), reporter, &mut brought)?;
    brought.failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(brought)
}

/// Fetches the pages of one output's tree from the remote that it belongs to.
pub fn bring_tree(
    repo: &Repo,
    id: TreeId,
    output: &RepoPath,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let tracked = Tracked::load(repo)?;
    let remote = tracked.out(output).and_then(|out| out.remote.as_deref());
    let mut from = share::open(repo, remote, Access::Read, reporter)?;
    let info = ContentInfo { id: ContentId::Tree(id), size: 0, nfiles: None, executable: false };
    let wish = Wish { output: output.clone(), info, inside: Vec::new() };
    bring_trees(repo, &mut from, &[wish], reporter)
}

/// Fetches the pages that the cache lacks of the trees that `wishes` name, and nothing else.
pub fn bring_trees(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: &[Wish],
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    only_pages(repo, from, (wishes, Reach::Whole), reporter)
}

/// As [`bring_trees`]; what the remote lacks shows when the trees are read.
pub fn bring_lists(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: &[Wish],
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let is_lacking = |wish: &&Wish| {
        trees::read_content(repo, &wish.info, &wish.output).is_err_and(|error| error.is_not_downloaded())
    };
    let lacking: Vec<Wish> = wishes.iter().filter(is_lacking).cloned().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    match bring_trees(repo, from, &lacking, reporter) {
        Err(OpError::Output(_)) => Ok(()),
        other => other,
    }
}

/// Fetches the pages that the cache lacks of the part that `wish` names, and nothing else: who only
/// looks at a corner of a large directory does not wait for its whole list.
pub fn bring_part_of_tree(
    repo: &Repo,
    from: &mut NamedRemote,
    wish: &Wish,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    only_pages(repo, from, (std::slice::from_ref(wish), Reach::Inside), reporter)
}

/// Fetches the files that the cache lacks of `wishes`, whose pages it has.
pub fn bring_listed(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: &[Wish],
    reporter: &dyn Reporter,
) -> Result<Brought, OpError> {
    let mut brought = Brought::default();
    bring_files(repo, from, (wishes, &HashSet::new()), reporter, &mut brought)?;
    brought.failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(brought)
}

fn only_pages(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: (&[Wish], Reach),
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let mut brought = Brought::default();
    bring_pages(repo, from, wishes, reporter, &mut brought)?;
    brought.failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
}

/// Which pages of a directory come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All of them, also where only a part is wished: `status` can then tell what is not here.
    Whole,
    /// Those that can hold what is wished.
    Inside,
}

/// Fetches the records of runs that the cache lacks, as far as the remote has them.
pub fn bring_runs(
    repo: &Repo,
    from: &mut NamedRemote,
    runs: &[RunKey],
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let cache = repo.cache()?;
    let mut wants = WantList::new();
    runs.iter().filter(|run| cache.run_records(**run).is_empty()).for_each(|run| wants.run(*run));
    if wants.is_empty() {
        return Ok(());
    }
    let writer = cache.writer()?;
    fetch(&mut from.remote, &wants, &IntoCache(&writer), reporter)?;
    writer.finish()?;
    Ok(())
}

/// Keeps pages in memory besides, so that the next level can be read before anything is published.
struct Pages<'a> {
    sink: IntoCache<'a>,
    pages: Mutex<HashMap<Digest, Vec<u8>>>,
}

impl RecordSink for Pages<'_> {
    fn put(&self, key: RecordKey, raw: &[u8]) -> Result<(), Cause> {
        self.sink.put(key, raw)?;
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(key.hash, raw.to_vec());
        Ok(())
    }

    fn put_file(
        &self,
        id: crate::model::digest::ObjectId,
        size: u64,
        bytes: &mut dyn std::io::Read,
    ) -> Result<(), Cause> {
        self.sink.put_file(id, size, bytes)
    }
}

/// The pages of all wished directories, one level a round.
///
/// Returns the positions of the wishes of which a page did not come.
fn bring_pages(
    repo: &Repo,
    from: &mut NamedRemote,
    (wishes, reach): (&[Wish], Reach),
    reporter: &dyn Reporter,
    brought: &mut Brought,
) -> Result<HashSet<usize>, OpError> {
    let cache = repo.cache()?;
    let mut without_pages = HashSet::new();
    let writer = cache.writer()?;
    let mut level: Vec<(TreeId, usize)> = Vec::new();
    for (at, wish) in wishes.iter().enumerate() {
        if let ContentId::Tree(id) = wish.info.id {
            level.push((id, at));
        }
    }
    let mut seen: HashSet<TreeId> = HashSet::new();
    while !level.is_empty() {
        level.retain(|(id, _)| seen.insert(*id));
        let mut wants = WantList::new();
        for (id, _) in level.iter().filter(|(id, _)| !writer.has(page_key(*id))) {
            wants.page(*id);
        }
        let sink = Pages { sink: IntoCache(&writer), pages: Mutex::default() };
        if !wants.is_empty() {
            let report = fetch(&mut from.remote, &wants, &sink, reporter)?;
            brought.pages += report.records;
            brought.bytes += report.bytes;
            let lost = lost(&report);
            for (id, at) in &level {
                if let Some(loss) = lost.get(&id.digest()) {
                    without_pages.insert(*at);
                    let output = wishes[*at].output.clone();
                    brought.failed.push((output.clone(), loss.of(output, &from.name)));
                }
            }
        }
        let pages = sink.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut next = Vec::new();
        for (id, at) in &level {
            let bytes = match pages.get(&id.digest()) {
                Some(bytes) => bytes.clone(),
                None => match cache.read_record(page_key(*id)) {
                    Ok(bytes) => bytes,
                    Err(_) => continue,
                },
            };
            // A page that is none is refused again, with its reason, when the tree is read.
            if let Ok(Page::Inner { children, .. }) = decode_page(&bytes) {
                let inside = if reach == Reach::Whole { &[][..] } else { &wishes[*at].inside };
                next.extend(children_below(&children, inside).into_iter().map(|child| (child.id, *at)));
            }
        }
        level = next;
    }
    writer.finish()?;
    Ok(without_pages)
}

fn page_key(id: TreeId) -> RecordKey {
    RecordKey { hash: id.digest(), kind: RecordKind::TreePage }
}

/// Why a record did not come.
#[derive(Clone, Copy)]
enum Loss {
    Missing,
    Gone,
    Damaged,
}

impl Loss {
    fn of(self, path: RepoPath, remote: &str) -> OpError {
        let remote = remote.to_owned();
        let error = match self {
            Loss::Missing => OutputError::MissingThere { path, remote },
            Loss::Gone => OutputError::GoneThere { path, remote },
            Loss::Damaged => OutputError::DamagedThere { path, remote },
        };
        error.into()
    }
}

fn lost(report: &FetchReport) -> HashMap<Digest, Loss> {
    let missing = report.missing.iter().map(|key| (key.hash, Loss::Missing));
    let gone = report.gone.iter().map(|key| (key.hash, Loss::Gone));
    missing.chain(gone).chain(report.damaged.iter().map(|key| (key.hash, Loss::Damaged))).collect()
}

/// Says what [`bring`] would fetch of `wishes`, and what would not come. Pages of directories come.
pub fn foresee(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: &[Wish],
    reporter: &dyn Reporter,
) -> Result<Brought, OpError> {
    let mut brought = Brought::default();
    let without_pages = bring_pages(repo, from, (wishes, Reach::Whole), reporter, &mut brought)?;
    let Lacking { wants, mut paths, mut failed } = Lacking::of(repo, (wishes, &without_pages))?;
    failed.append(&mut brought.failed);
    let foreseen = foresee_fetch(&mut from.remote, &wants, reporter)?;
    let missing = foreseen.missing.iter().map(|key| (key.hash, Loss::Missing));
    for (hash, loss) in missing.chain(foreseen.gone.iter().map(|key| (key.hash, Loss::Gone))) {
        for path in paths.remove(&hash).unwrap_or_default() {
            failed.push((path.clone(), loss.of(path, &from.name)));
        }
    }
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Brought { would: Some(foreseen.counts), failed, ..Brought::default() })
}

/// The files of all wishes that the cache lacks.
#[derive(Default)]
struct Lacking {
    wants: WantList,
    /// By hash: every place that needs it.
    paths: HashMap<Digest, Vec<RepoPath>>,
    /// Outputs whose files are not known, and why.
    failed: Vec<(RepoPath, OpError)>,
}

impl Lacking {
    fn of(repo: &Repo, (wishes, without_pages): (&[Wish], &HashSet<usize>)) -> Result<Lacking, OpError> {
        let cache = repo.cache()?;
        let presence = cache.snapshot();
        let mut lacking = Lacking::default();
        for (_, wish) in wishes.iter().enumerate().filter(|(at, _)| !without_pages.contains(at)) {
            let entries = trees::check_recorded(repo, &wish.info, &wish.output, &wish.inside)
                .and_then(|()| trees::read_part(repo, &wish.info, &wish.output, &wish.inside));
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    lacking.failed.push((wish.output.clone(), error));
                    continue;
                }
            };
            for entry in entries {
                if entry.kind.has_object() && !cache.has_sound(&presence, entry.hash.into(), entry.size) {
                    lacking.wants.file(entry.hash.into(), entry.size, &entry.path);
                    let path = wish.output.join_entry(&entry.path);
                    lacking.paths.entry(entry.hash).or_default().push(path);
                }
            }
        }
        Ok(lacking)
    }
}

/// Fetches the files of all wishes that the cache lacks.
fn bring_files(
    repo: &Repo,
    from: &mut NamedRemote,
    wishes: (&[Wish], &HashSet<usize>),
    reporter: &dyn Reporter,
    brought: &mut Brought,
) -> Result<(), OpError> {
    let Lacking { wants, mut paths, failed } = Lacking::of(repo, wishes)?;
    brought.failed.extend(failed);
    if wants.is_empty() {
        return Ok(());
    }
    let writer = repo.cache()?.writer()?;
    let outcome = fetch(&mut from.remote, &wants, &IntoCache(&writer), reporter);
    // What came before a failure is good, and the next attempt need not bring it again.
    writer.finish()?;
    let report = outcome?;
    brought.files += report.records + report.files;
    brought.chunks += report.chunks;
    brought.bytes += report.bytes;
    for (hash, loss) in lost(&report) {
        for path in paths.remove(&hash).unwrap_or_default() {
            brought.failed.push((path.clone(), loss.of(path, &from.name)));
        }
    }
    Ok(())
}
