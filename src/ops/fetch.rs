//! `fetch`: brings data from a remote into the cache; the work tree stays as it is.

use crate::error::{Advice, ErrorKind};
use crate::model::digest::RunKey;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::share::bring::{self, Brought, Wish};
use crate::ops::share::gather::{Selection, gather};
use crate::ops::share::{self, Access};
use crate::ops::targets::{Filter, FilterOptions};
use crate::ops::{OpError, held, trees};
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
    /// The remote's name.
    pub remote: String,
    /// Files that were not in the cache before.
    pub files: u64,
    /// Pages of directories.
    pub pages: u64,
    /// Chunks of large files.
    pub chunks: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Requests to the remote.
    pub requests: u64,
    /// What would come, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_fetch: Option<FetchCounts>,
    /// What did not come, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Brings what the cache lacks. What came is verified and durable on return.
pub fn run(repo: &Repo, options: &FetchOptions, reporter: &dyn Reporter) -> Result<FetchReport, OpError> {
    let gathered = gather(repo, &options.selection, reporter)?;
    let mut report = FetchReport { failed: gathered.failed, ..FetchReport::default() };
    // Those that are pulled by hand only come by name.
    let everything = options.selection.targets.targets.is_empty();
    let items = gathered.items.into_iter().filter(|item| !(everything && item.pull_manual));
    let items = items.map(|item| (item.remote, item.wish)).collect();
    let groups = by_remote(items, options.remote.as_deref());
    let is_only = groups.len() == 1;
    let runs = gathered.runs.into_iter().filter(|_| options.run_cache && !options.dry_run);
    let runs = by_remote(runs.map(|run| (run.remote, run.key)).collect(), options.remote.as_deref());
    let filter = Filter::new(repo, &options.filter)?;
    let with = Bringing { repo, options, filter: &filter, reporter };
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
    reporter: &'a dyn Reporter,
}

impl Bringing<'_> {
    fn remote(
        &self,
        name: Option<&str>,
        (wishes, runs): (&[Wish], &[RunKey]),
        report: &mut FetchReport,
    ) -> Result<(), OpError> {
        let mut from = share::open(self.repo, name, Access::Read, self.reporter)?;
        let is_whole = self.options.filter.is_empty();
        if !is_whole || self.options.dry_run {
            bring::bring_lists(self.repo, &mut from, wishes, self.reporter)?;
        }
        let wishes: Vec<Wish> = if is_whole {
            wishes.to_vec()
        } else {
            wishes.iter().filter_map(|wish| self.part(wish)).collect()
        };
        if self.options.dry_run {
            let (counts, failed) = bring::foresee(self.repo, &mut from, &wishes, self.reporter)?;
            let sum = report.would_fetch.get_or_insert_default();
            sum.objects += counts.objects;
            sum.bytes += counts.bytes;
            sum.requests += counts.requests;
            report.failed.extend(failed);
        } else {
            let mut brought = bring::bring(self.repo, &mut from, &wishes, self.reporter)?;
            if self.options.remote.is_none() {
                self.ask_others(&from.name, &wishes, &mut brought)?;
            }
            bring::bring_runs(self.repo, &mut from, runs, self.reporter)?;
            report.add(brought);
        }
        report.remote = from.name.clone();
        report.requests += from.remote.requests().total();
        Ok(())
    }

    /// Looks on the other remotes for what the remote `first` has lost, and adds it to `brought`.
    ///
    /// One that cannot be used is passed over: what is missing is told anyway.
    fn ask_others(&self, first: &str, wishes: &[Wish], brought: &mut Brought) -> Result<(), OpError> {
        for name in self.repo.config().remote_names().into_iter().filter(|name| *name != first) {
            let is_lost = |wish: &&Wish| {
                let below = |(path, error): &&(RepoPath, OpError)| {
                    error.is_lost_there() && path.starts_with(&wish.output)
                };
                brought.failed.iter().find(below).is_some()
            };
            let lacking: Vec<Wish> = wishes.iter().filter(is_lost).cloned().collect();
            if lacking.is_empty() {
                break;
            }
            let found = share::open(self.repo, Some(name), Access::Read, self.reporter)
                .and_then(|mut from| bring::bring(self.repo, &mut from, &lacking, self.reporter));
            let found = match found {
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(_) => continue,
                Ok(found) => found,
            };
            if found.files + found.pages > 0 {
                let message = format!(
                    "not all is on `{first}` or sound there: {} came from `{name}`",
                    files(found.files)
                );
                self.reporter.event(&Event::Warning { message });
            }
            brought.add_from_elsewhere(found, &lacking);
        }
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

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
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
    let paths = held::covering_paths(&taken, &left);
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

impl FetchReport {
    fn add(&mut self, brought: Brought) {
        self.files += brought.files;
        self.pages += brought.pages;
        self.chunks += brought.chunks;
        self.bytes += brought.bytes;
        self.failed.extend(brought.failed);
    }

    /// Counts what came before; what failed then was asked for again.
    pub(super) fn add_earlier(&mut self, earlier: FetchReport) {
        if self.remote.is_empty() {
            self.remote = earlier.remote;
        }
        self.files += earlier.files;
        self.pages += earlier.pages;
        self.chunks += earlier.chunks;
        self.bytes += earlier.bytes;
        self.requests += earlier.requests;
    }
}
