//! `fetch`: brings data from a remote into the cache; the work tree stays as it is.

use crate::error::{Advice, ErrorKind};
use crate::model::digest::RunKey;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::share::bring::{self, Brought, Wish};
use crate::ops::share::gather::{Selection, gather};
use crate::ops::share::{self, Access, NamedRemote};
use crate::repo::Repo;
use crate::report::Reporter;

/// What to fetch, and from where.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// Which outputs, of which commits.
    pub selection: Selection,
    /// The remote; the default one if none is named.
    pub remote: Option<String>,
    /// Bring also the records of the runs that made the outputs.
    pub run_cache: bool,
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
    let runs = gathered.runs.into_iter().filter(|_| options.run_cache);
    let runs = by_remote(runs.map(|run| (run.remote, run.key)).collect(), options.remote.as_deref());
    for (name, wishes) in groups {
        let keys = runs.iter().find(|(remote, _)| *remote == name).map_or(&[][..], |(_, keys)| keys);
        match bring_from(repo, name.as_deref(), (&wishes, keys), &mut report, reporter) {
            // One remote that cannot be used does not keep the others from being asked.
            Err(error) if !is_only && error.kind() != ErrorKind::Interrupted => {
                let path = wishes.first().map_or_else(RepoPath::root, |wish| wish.output.clone());
                report.failed.push((path, error));
            }
            other => other?,
        }
    }
    Ok(report)
}

fn bring_from(
    repo: &Repo,
    remote: Option<&str>,
    (wishes, runs): (&[Wish], &[RunKey]),
    report: &mut FetchReport,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let mut from = share::open(repo, remote, Access::Read, reporter)?;
    let brought = bring::bring(repo, &mut from, wishes, reporter)?;
    bring::bring_runs(repo, &mut from, runs, reporter)?;
    report.add(&from, brought);
    Ok(())
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
    fn add(&mut self, from: &NamedRemote, brought: Brought) {
        self.remote = from.name.clone();
        self.files += brought.files;
        self.pages += brought.pages;
        self.chunks += brought.chunks;
        self.bytes += brought.bytes;
        self.requests += from.remote.requests().total();
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
