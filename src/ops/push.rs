//! `push`: uploads what outputs name, and proves that others can fetch it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::error::{Advice, ErrorKind};
use crate::model::digest::{Digest, ObjectId, RunKey, TreeId};
use crate::model::object::{ContentId, ContentInfo, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::run::RunRecord;
use crate::model::tree;
use crate::ops::fetch::by_remote;
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::gather::{self, Item, Selection, gather};
use crate::ops::share::{self, Access, FromCache, NamedRemote};
use crate::ops::targets::{Filter, FilterOptions};
use crate::ops::{OpError, OutputError, surroundings, trees};
use crate::remote;
use crate::remote::names::{ClientId, ProjectId};
use crate::remote::records::{CommitName, Root};
use crate::remote::transfer::plan::{PlanCounts, PushPlan, plan_push};
use crate::remote::transfer::push::{self, PushRequest};
use crate::remote::transfer::settle::push_again;
use crate::remote::wants::WantList;
use crate::repo::Repo;
use crate::report::{Event, Reporter};
use crate::store::Cache;

/// What to push, and where.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Which outputs, of which commits.
    pub selection: Selection,
    /// The remote; the default one if none is named.
    pub remote: Option<String>,
    /// Which of the outputs: each is pushed whole, or others could not check it out.
    pub filter: FilterOptions,
    /// Whether a remote is made anew where this clone knew one that is gone.
    pub create: bool,
    /// Leave out the records of the runs that made the outputs.
    pub no_run_cache: bool,
    /// Say again what this clone needs, also where the remote seems to know.
    pub renew: bool,
    /// Only say what would be sent.
    pub dry_run: bool,
}

/// What went to one remote.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct PushedTo {
    /// The remote's name.
    pub remote: String,
    /// What was sent; nothing in a dry run.
    #[serde(flatten)]
    pub sent: push::PushReport,
    /// What would be sent, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_send: Option<PlanCounts>,
}

/// What `push` did.
#[derive(Debug, Default, serde::Serialize)]
pub struct PushReport {
    /// Packs that were written, over all remotes.
    pub packs: u64,
    /// Chunks of large files that were written.
    pub chunks: u64,
    /// Pages of directories that were written.
    pub pages: u64,
    /// Files and symlinks that were sent.
    pub objects: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// Requests.
    pub requests: u64,
    /// What went where.
    pub remotes: Vec<PushedTo>,
    /// Whether nothing was sent because only a report was asked for.
    pub dry_run: bool,
    /// Files that could not be used, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Sends what the remotes lack. On success another clone can fetch everything, now.
///
/// Fails with `NotDownloaded` and the list if something is neither in the cache nor there.
pub fn run(repo: &Repo, options: &PushOptions, reporter: &dyn Reporter) -> Result<PushReport, OpError> {
    let mut gathered = gather(repo, &options.selection, reporter)?;
    let failed = std::mem::take(&mut gathered.failed);
    let mut report = PushReport { dry_run: options.dry_run, failed, ..PushReport::default() };
    for Item { wish, .. } in &gathered.items {
        trees::check_recorded(repo, &wish.info, &wish.output, &wish.inside)?;
    }
    warn_of_unrecorded(repo, &gathered.unrecorded, reporter);
    let filter = Filter::new(repo, &options.filter)?;
    let named = !options.selection.targets.targets.is_empty();
    let in_vain = if named { gathered.in_vain(options.remote.as_deref()) } else { Vec::new() };
    let taken = gathered.items.into_iter().filter(|item| filter.takes(&item.wish.output));
    let items = taken.map(|item| (item.remote, item.wish)).collect();
    filter.check_met()?;
    let groups = by_remote(items, options.remote.as_deref());
    if !in_vain.is_empty() && groups.iter().all(|(_, wishes)| wishes.is_empty()) {
        report.failed.extend(in_vain);
        return Ok(report);
    }
    gather::warn_of(&in_vain, reporter);
    let is_only = groups.len() == 1;
    let runs = gathered.runs.into_iter().filter(|_| !options.no_run_cache);
    let runs = by_remote(runs.map(|run| (run.remote, run.key)).collect(), options.remote.as_deref());
    for (name, wishes) in groups {
        let keys = runs.iter().find(|(remote, _)| *remote == name).map_or(&[][..], |(_, keys)| keys);
        match push_to(repo, name.as_deref(), (&wishes, keys), options, reporter) {
            Ok(pushed) => report.add(pushed),
            // One remote that cannot be used does not keep the others from being served.
            Err(error) if !is_only && error.kind() != ErrorKind::Interrupted => {
                let path = wishes.first().map_or_else(RepoPath::root, |wish| wish.output.clone());
                report.failed.push((path, error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// Tells of data that a lock names and that does not go along.
fn warn_of_unrecorded(repo: &Repo, paths: &BTreeSet<RepoPath>, reporter: &dyn Reporter) {
    let paths: Vec<RepoPath> = paths.iter().cloned().collect();
    for path in &paths {
        let message =
            format!("a lock file names `{path}` as it is here, which is not recorded, and is not pushed");
        reporter.event(&Event::Warning { message });
    }
    if !paths.is_empty() {
        let message = format!("mlv add {}", repo.shown_all(&paths));
        reporter.event(&Event::Hint { message });
    }
}

fn push_to(
    repo: &Repo,
    name: Option<&str>,
    (wishes, runs): (&[Wish], &[RunKey]),
    options: &PushOptions,
    reporter: &dyn Reporter,
) -> Result<PushedTo, OpError> {
    let access = match options {
        PushOptions { dry_run: true, .. } => Access::Rehearse,
        PushOptions { create: true, .. } => Access::Create,
        _ => Access::Write,
    };
    let mut to = share::open(repo, name, access, reporter)?;
    let records = Records::of(repo.cache()?, wishes, runs);
    let mut pushed = PushedTo { remote: to.name.clone(), ..PushedTo::default() };
    if options.dry_run {
        to.check_writable()?;
        let (_, plan, _) = plan(repo, wishes, &records, &mut to, reporter)?;
        pushed.would_send = Some(plan.counts());
        return Ok(pushed);
    }
    let mut request = request(repo, wishes, reporter)?;
    request.roots.extend(&records.roots);
    request.roots.sort();
    request.roots.dedup();
    request.renew = options.renew;
    if let Some(sent) = push_again(&mut to.remote, &request, reporter)? {
        pushed.sent = sent;
        return Ok(pushed);
    }
    let (wants, plan, source) = plan(repo, wishes, &records, &mut to, reporter)?;
    pushed.sent = push::push(&mut to.remote, plan, &wants, &source, &request, reporter).map_err(|error| {
        match name_damaged(repo, wishes, &error, &to.name) {
            Some(named) => named,
            None => error.into(),
        }
    })?;
    Ok(pushed)
}

/// All that is wanted, and what of it has to be sent. Fails if something is neither here nor there.
fn plan<'r>(
    repo: &'r Repo,
    wishes: &[Wish],
    records: &Records,
    to: &mut NamedRemote,
    reporter: &dyn Reporter,
) -> Result<(WantList, PushPlan, FromCache<'r>), OpError> {
    let cache = repo.cache()?;
    let mut wants = match wants(cache, wishes) {
        // Who adds to a directory of which nothing was downloaded pushes it, too.
        Err(error) if error.is_not_downloaded() => {
            let output = error.subject().and_then(|path| RepoPath::parse(&path).ok());
            let lost = |source| OutputError::lost_tree(output.as_ref().unwrap_or(&RepoPath::root()), source);
            bring::bring_trees(repo, to, wishes, reporter).map_err(lost)?;
            wants(cache, wishes)?
        }
        other => other?,
    };
    records.add_to(&mut wants);
    let source = FromCache::new(cache);
    let plan = plan_push(&mut to.remote, &wants, &source)?;
    if !plan.missing().is_empty() {
        return Err(name_missing(repo, wishes, plan.missing(), &to.name));
    }
    Ok((wants, plan, source))
}

/// Everything that the outputs need: pages and files, each leaf named.
pub(super) fn wants(cache: &Cache, wishes: &[Wish]) -> Result<WantList, OpError> {
    let mut wants = WantList::new();
    for wish in wishes {
        match wish.info.id {
            ContentId::File(id) => wants.file(id, wish.info.size, wish.output.as_str()),
            ContentId::Tree(id) => want_tree(cache, &wish.output, id, &mut wants)?,
        }
    }
    Ok(wants)
}

/// The records of runs, and the small files that git has besides.
#[derive(Default)]
struct Records {
    keys: Vec<RunKey>,
    files: Vec<(RepoPath, ObjectId, u64)>,
    /// What a clone needs of them.
    roots: Vec<Root>,
}

impl Records {
    /// Reads those of `runs`.
    ///
    /// A record is a claim: one whose outputs do not go along is left out, and so is one that is damaged.
    fn of(cache: &Cache, wishes: &[Wish], runs: &[RunKey]) -> Records {
        let sent: HashSet<ContentId> = wishes.iter().map(|wish| wish.info.id).collect();
        let mut records = Records::default();
        for &key in runs {
            let Some(record) = cache.run_records(key).first().and_then(|bytes| RunRecord::parse(bytes))
            else {
                continue;
            };
            let others = record.outs.iter().filter(|(_, content)| !sent.contains(&content.id));
            let files: Option<Vec<_>> = others
                .map(|(path, content)| match content.id {
                    ContentId::File(id) => cache.object_len(id).map(|_| (path, content, id)),
                    ContentId::Tree(_) => None,
                })
                .collect();
            let Some(files) = files else { continue };
            for (path, content, id) in files {
                records.files.push((path.clone(), id, content.size));
                records.roots.push(root(content));
            }
            records.keys.push(key);
            records.roots.push(Root::Run(key));
        }
        records
    }

    fn add_to(&self, wants: &mut WantList) {
        self.files.iter().for_each(|(path, id, size)| wants.file(*id, *size, path.as_str()));
        self.keys.iter().for_each(|key| wants.run(*key));
    }
}

/// The pages of a tree, and the files that it lists.
///
/// Fails with `TreeNotDownloaded` if a page is not in the cache: the remote may have it.
pub(super) fn want_tree(
    cache: &Cache,
    output: &RepoPath,
    id: TreeId,
    wants: &mut WantList,
) -> Result<(), OpError> {
    let mut pages = Vec::new();
    let mut read = |page: TreeId| {
        pages.push(page);
        cache.read_record(RecordKey { hash: page.digest(), kind: RecordKind::TreePage })
    };
    let mut each = |entry: tree::TreeEntry| {
        if entry.kind.has_object() {
            wants.file(entry.hash.into(), entry.size, &entry.path);
        }
        Ok(())
    };
    tree::visit(id, &mut read, &mut each).map_err(|error| OutputError::of_tree(output, id, error))?;
    pages.into_iter().for_each(|page| wants.page(page));
    Ok(())
}

/// The paths of what is neither here nor there.
pub(super) fn name_missing(repo: &Repo, wishes: &[Wish], missing: &[RecordKey], remote: &str) -> OpError {
    let paths = paths_of(repo, wishes, missing);
    nowhere(repo, paths, remote, false)
}

fn nowhere(repo: &Repo, paths: Vec<RepoPath>, remote: &str, is_damaged: bool) -> OpError {
    let in_work_tree = paths.iter().all(|path| matches!(repo.dir().stat(path), Ok(Some(_))));
    OutputError::NowhereToPush { paths, remote: remote.to_owned(), in_work_tree, is_damaged }.into()
}

/// The paths of the records, sorted.
fn paths_of(repo: &Repo, wishes: &[Wish], missing: &[RecordKey]) -> Vec<RepoPath> {
    let mut lost: HashMap<Digest, ()> = missing.iter().map(|key| (key.hash, ())).collect();
    let mut paths = Vec::new();
    for wish in wishes {
        match wish.info.id {
            ContentId::File(id) => {
                if lost.remove(&id.digest()).is_some() {
                    paths.push(wish.output.clone());
                }
            }
            ContentId::Tree(id) => {
                let Ok(cache) = repo.cache() else { continue };
                let mut read = |page: TreeId| {
                    cache.read_record(RecordKey { hash: page.digest(), kind: RecordKind::TreePage })
                };
                // Read a moment ago; what cannot be read now is named by its output below.
                let entries = tree::read_all(id, &mut read).unwrap_or_default();
                let gone = entries.iter().filter(|entry| lost.contains_key(&entry.hash));
                paths.extend(gone.map(|entry| wish.output.join_entry(&entry.path)));
            }
        }
    }
    paths.sort();
    paths
}

/// What turned out damaged here as the paths that need it. It is in the cache no more: reading it put it
/// aside. Of a chunk the path is not known.
fn name_damaged(repo: &Repo, wishes: &[Wish], error: &remote::Error, remote: &str) -> Option<OpError> {
    let (remote::Error::DamagedHere { damaged: lost, .. } | remote::Error::Missing { missing: lost, .. }) =
        error
    else {
        return None;
    };
    let paths = paths_of(repo, wishes, lost);
    let is_damaged = matches!(error, remote::Error::DamagedHere { .. });
    (!paths.is_empty()).then(|| nowhere(repo, paths, remote, is_damaged))
}

/// Whose push it is, and what it is about.
pub(super) fn request(repo: &Repo, wishes: &[Wish], reporter: &dyn Reporter) -> Result<PushRequest, OpError> {
    let commits = match repo.git() {
        Some(git) => git.head()?.and_then(|head| CommitName::parse(&head.to_string())).into_iter().collect(),
        None => Vec::new(),
    };
    let mut roots: Vec<Root> = wishes.iter().map(|wish| root(&wish.info)).collect();
    roots.sort();
    roots.dedup();
    Ok(PushRequest {
        client: client(repo, reporter)?,
        project: project(repo)?,
        commits,
        roots,
        is_whole: true,
        renew: false,
    })
}

/// This work tree's name on remotes.
pub(super) fn client(repo: &Repo, reporter: &dyn Reporter) -> Result<ClientId, OpError> {
    let held = surroundings::lock(repo, reporter)?;
    Ok(ClientId(u64::from_be_bytes(*repo.client_id(&held)?.as_bytes())))
}

/// The project's name on remotes.
pub(super) fn project(repo: &Repo) -> Result<ProjectId, OpError> {
    Ok(ProjectId(u128::from_be_bytes(*repo.project_id()?.as_bytes())))
}

pub(super) fn root(info: &ContentInfo) -> Root {
    match info.id {
        ContentId::File(id) => Root::File { id, size: info.size },
        ContentId::Tree(id) => Root::Tree { id, size: info.size, nfiles: info.nfiles.unwrap_or_default() },
    }
}

impl PushReport {
    fn add(&mut self, pushed: PushedTo) {
        self.packs += pushed.sent.packs;
        self.chunks += pushed.sent.chunks;
        self.pages += pushed.sent.pages;
        self.objects += pushed.sent.objects;
        self.bytes_sent += pushed.sent.bytes_sent;
        self.requests += pushed.sent.requests;
        self.remotes.push(pushed);
    }
}
