//! `fetch`: brings data from a remote into the cache; the work tree stays as it is.

use crate::error::{Advice, ErrorKind};
use crate::model::digest::RunKey;
use crate::model::object::{ContentId, ContentInfo, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::share::bring::{self, Brought, Wish};
use crate::ops::share::elsewhere::{self, Elsewhere};
use crate::ops::share::gather::{Selection, gather};
use crate::ops::share::{self, Access, NamedRemote};
use crate::ops::targets::{Filter, FilterOptions};
use crate::ops::{OpError, OutputError, held, trees};
use crate::remote;
pub use crate::remote::transfer::foresee::FetchCounts;
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// What to fetch, and from where.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// Which outputs, of which commits.
    pub selection: Selection,
    /// The remote; the default one if none is named.
    pub remote: Option<String>,
    /// Bring also the records of the runs that made the outputs.
    pub run_cache: bool,
    /// Which files of the outputs.
    pub filter: FilterOptions,
    /// Only say what would come. Lists of files of directories are fetched all the same.
    pub dry_run: bool,
}

/// What `fetch` brought.
#[derive(Debug, Default, serde::Serialize)]
pub struct FetchReport {
    /// What each remote gave, in the order in which they were asked.
    pub remotes: Vec<FetchedFrom>,
    /// All of it.
    #[serde(flatten)]
    pub total: Fetched,
    /// Outputs that stay with who made them.
    #[serde(skip)]
    pub private: Vec<RepoPath>,
    /// What did not come, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// What one remote gave, or would give.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct FetchedFrom {
    /// Its name.
    pub remote: String,
    /// What came.
    #[serde(flatten)]
    pub what: Fetched,
}

/// What came, or would come.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Fetched {
    /// Files that were not in the cache before.
    pub files: u64,
    /// Pages of directories.
    pub pages: u64,
    /// Chunks of large files.
    pub chunks: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// What would come, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_fetch: Option<FetchCounts>,
}

/// Brings what the cache lacks. What came is verified and durable on return.
pub fn run(repo: &Repo, options: &FetchOptions, reporter: &dyn Reporter) -> Result<FetchReport, OpError> {
    run_with(repo, options, &Elsewhere::new(repo, reporter), reporter)
}

/// The same as a part of a command that may already know other remotes.
pub(super) fn run_with(
    repo: &Repo,
    options: &FetchOptions,
    elsewhere: &Elsewhere<'_>,
    reporter: &dyn Reporter,
) -> Result<FetchReport, OpError> {
    let mut gathered = gather(repo, &options.selection, reporter)?;
    let here = repo.cache()?.snapshot();
    gathered.private.retain(|(_, info)| match info.id {
        ContentId::File(id) => !here.has_object(id.digest()),
        ContentId::Tree(id) => !here.has(RecordKey { hash: id.digest(), kind: RecordKind::TreePage }),
    });
    // Those that are pulled by hand only come by name.
    let everything = options.selection.targets.targets.is_empty();
    let in_vain = if everything { Vec::new() } else { gathered.in_vain(options.remote.as_deref()) };
    let private = gathered.private.into_iter().map(|(path, _)| path).collect();
    let mut report = FetchReport { failed: gathered.failed, private, ..FetchReport::default() };
    let items = gathered.items.into_iter().filter(|item| !(everything && item.pull_manual));
    let items = items.map(|item| (item.remote, item.wish)).collect();
    let groups = by_remote(items, options.remote.as_deref());
    let is_nothing = !in_vain.is_empty() && groups.iter().all(|(_, wishes)| wishes.is_empty());
    report.failed.extend(in_vain);
    if is_nothing {
        return Ok(report);
    }
    let is_only = groups.len() == 1;
    let runs = gathered.runs.into_iter().filter(|_| options.run_cache && !options.dry_run);
    let runs = by_remote(runs.map(|run| (run.remote, run.key)).collect(), options.remote.as_deref());
    let filter = Filter::new(repo, &options.filter)?;
    let with = Bringing { repo, options, filter: &filter, elsewhere, reporter };
    for (name, wishes) in groups {
        let keys = runs.iter().find(|(remote, _)| *remote == name).map_or(&[][..], |(_, keys)| keys);
        match with.remote(name.as_deref(), (&wishes, keys), &mut report) {
            // One remote that cannot be used does not keep the others from being asked.
            Err(error) if !is_only && error.kind() != ErrorKind::Interrupted => {
                let path = wishes.first().map_or_else(RepoPath::root, |wish| wish.output.clone());
                report.failed.push((path, error));
            }
            other => other?,
        }
    }
    if report.failed.is_empty() {
        filter.check_met()?;
    }
    Ok(report)
}

/// What is the same for all remotes.
struct Bringing<'a> {
    repo: &'a Repo,
    options: &'a FetchOptions,
    filter: &'a Filter,
    elsewhere: &'a Elsewhere<'a>,
    reporter: &'a dyn Reporter,
}

impl Bringing<'_> {
    fn remote(
        &self,
        name: Option<&str>,
        (wishes, runs): (&[Wish], &[RunKey]),
        report: &mut FetchReport,
    ) -> Result<(), OpError> {
        let mut from = match share::open(self.repo, name, Access::Read, self.reporter) {
            Err(error) if self.options.remote.is_none() && may_be_elsewhere(&error) => {
                return self.without_first(name, wishes, error, report);
            }
            opened => opened?,
        };
        let is_whole = self.options.filter.is_empty();
        if !is_whole {
            bring::bring_lists(self.repo, &mut from, wishes, self.reporter)?;
        }
        let wishes: Vec<Wish> = if is_whole {
            wishes.to_vec()
        } else {
            wishes.iter().filter_map(|wish| self.part(wish)).collect()
        };
        let dry_run = self.options.dry_run;
        let mut brought = match dry_run {
            true => bring::foresee(self.repo, &mut from, &wishes, self.reporter)?,
            false => bring::bring(self.repo, &mut from, &wishes, self.reporter)?,
        };
        let mut rows = vec![FetchedFrom::of(&from.name, &brought)];
        // Only where the user named none: he may want to know what this one has.
        if self.options.remote.is_none() {
            let mut lost = elsewhere::lost_parts(&wishes, &brought.failed);
            let mut ask = |other: &mut NamedRemote, lacking: &[Wish]| {
                if !dry_run {
                    return bring::bring(self.repo, other, lacking, self.reporter);
                }
                let found = bring::foresee(self.repo, other, &lost, self.reporter)?;
                lost = elsewhere::lost_parts(&lost, &found.failed);
                Ok(found)
            };
            rows.extend(self.elsewhere.ask(&from.name, &wishes, &mut brought, &mut ask)?);
        }
        if !dry_run {
            bring::bring_runs(self.repo, &mut from, runs, self.reporter)?;
        }
        rows[0].what.requests = from.remote.requests().total();
        rows.into_iter().for_each(|row| report.add(row));
        report.failed.append(&mut brought.failed);
        Ok(())
    }

    /// Brings all from the other remotes, as the one that it belongs to cannot be used; fails with `error`
    /// where they do not have all.
    fn without_first(
        &self,
        name: Option<&str>,
        wishes: &[Wish],
        error: OpError,
        report: &mut FetchReport,
    ) -> Result<(), OpError> {
        let first = self.repo.config().remote(name)?.name;
        let missing = |wish: &Wish| {
            let path = wish.output.clone();
            (path.clone(), OutputError::MissingThere { path, remote: first.clone() }.into())
        };
        let failed = wishes.iter().map(missing).collect();
        let mut brought = Brought { failed, ..Brought::default() };
        if wishes.is_empty() || self.options.dry_run || !self.options.filter.is_empty() {
            return Err(error);
        }
        let mut ask = |other: &mut NamedRemote, lacking: &[Wish]| {
            bring::bring(self.repo, other, lacking, self.reporter)
        };
        let rows = self.elsewhere.ask(&first, wishes, &mut brought, &mut ask)?;
        rows.into_iter().for_each(|row| report.add(row));
        if !brought.failed.is_empty() {
            return Err(error);
        }
        let message = format!("`{first}` cannot be used, and all came from other remotes: {error}");
        self.reporter.event(&Event::Warning { message });
        Ok(())
    }

    /// The part of a wish that the filter takes, if there is one.
    fn part(&self, wish: &Wish) -> Option<Wish> {
        match filtered(self.repo, (&wish.output, &wish.info, &wish.inside), self.filter) {
            Ok(inside) => inside.map(|inside| Wish { inside, ..wish.clone() }),
            // What is wrong is told when it is brought.
            Err(_) => Some(wish.clone()),
        }
    }
}

/// Whether it says that the remote is gone or does not answer, so that another may have what it had. One whose
/// certificate is not trusted is not stood in for in silence.
fn may_be_elsewhere(error: &OpError) -> bool {
    let OpError::Remote(error) = error else { return false };
    match &**error {
        remote::Error::Backend(error) => error.situation.is_transient(),
        remote::Error::NotARemote { .. } | remote::Error::Vanished { .. } => true,
        _ => false,
    }
}

/// The paths inside an output, of those in `inside`, that `filter` takes (none: all of it); nothing if it
/// takes nothing. Fails with `TreeNotDownloaded` if its list is not in the cache.
pub fn filtered(
    repo: &Repo,
    (output, info, inside): (&RepoPath, &ContentInfo, &[Box<str>]),
    filter: &Filter,
) -> Result<Option<Vec<Box<str>>>, OpError> {
    if !info.id.is_tree() {
        return Ok(filter.takes(output).then(Vec::new));
    }
    let all = trees::read_content(repo, info, output)?;
    let parts = trees::Parts::new(inside);
    let is_meant = |entry: &TreeEntry| inside.is_empty() || parts.hold(entry.bare_path());
    let (taken, left): (Vec<TreeEntry>, Vec<TreeEntry>) = all
        .into_iter()
        .partition(|entry| is_meant(entry) && filter.takes(&output.join_entry(entry.bare_path())));
    if taken.is_empty() || left.is_empty() {
        return Ok((!taken.is_empty()).then(Vec::new));
    }
    let paths = held::covering_paths(held::bare_paths(&taken), held::bare_paths(&left));
    Ok(Some(paths.into_iter().map(Into::into).collect()))
}

/// Something to transfer, and the remote that its output names.
pub type Assigned<T> = (Option<Box<str>>, T);

/// Wishes by the remote that they are asked of: the named one, else each output's own, else the default.
pub fn by_remote<T>(items: Vec<Assigned<T>>, named: Option<&str>) -> Vec<(Option<String>, Vec<T>)> {
    let mut groups: std::collections::BTreeMap<Option<String>, Vec<T>> = std::collections::BTreeMap::new();
    // Also without anything to do a remote that cannot be used is an error, not silence.
    groups.insert(named.map(str::to_owned), Vec::new());
    for (own, item) in items {
        match (named, own) {
            // Outputs that belong to another remote are not asked of this one.
            (Some(named), Some(own)) if *named != *own => {}
            (Some(named), _) => groups.entry(Some(named.to_owned())).or_default().push(item),
            (None, own) => groups.entry(own.map(String::from)).or_default().push(item),
        }
    }
    if groups.len() > 1 {
        groups.retain(|_, items| !items.is_empty());
    }
    groups.into_iter().collect()
}

impl FetchedFrom {
    /// What `remote` gave.
    pub(super) fn of(remote: &str, brought: &Brought) -> FetchedFrom {
        let &Brought { files, pages, chunks, bytes, would: would_fetch, .. } = brought;
        let what = Fetched { files, pages, chunks, bytes, requests: 0, would_fetch };
        FetchedFrom { remote: remote.to_owned(), what }
    }
}

impl Fetched {
    fn add(&mut self, other: &Fetched) {
        self.files += other.files;
        self.pages += other.pages;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        self.requests += other.requests;
        if let Some(would) = other.would_fetch {
            self.would_fetch.get_or_insert_default().add(would);
        }
    }
}

impl FetchReport {
    /// Counts a row, in the one that the remote has already if it does.
    fn add(&mut self, row: FetchedFrom) {
        self.total.add(&row.what);
        match self.remotes.iter_mut().find(|known| known.remote == row.remote) {
            Some(known) => known.what.add(&row.what),
            None => self.remotes.push(row),
        }
    }

    /// Counts what came before; what failed then was asked for again.
    pub(super) fn add_earlier(&mut self, earlier: FetchReport) {
        let later = std::mem::take(&mut self.remotes);
        let (failed, private) = (std::mem::take(&mut self.failed), std::mem::take(&mut self.private));
        *self = FetchReport { failed, private, ..FetchReport::default() };
        earlier.remotes.into_iter().chain(later).for_each(|row| self.add(row));
    }
}
