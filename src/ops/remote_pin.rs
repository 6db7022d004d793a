//! `remote pin` and `unpin`: what a commit names stays on a remote, whatever becomes of its branch.
//!
//! A pin is a root record of no project, under a client of its own: no collector ages it, and it is
//! written like that of a push, after what it needs and before verification.

use std::collections::BTreeSet;

use crate::error::{Advice, ErrorKind};
use crate::fs::rescue;
use crate::git::repo::CommitId;
use crate::ops::fetch::by_remote;
use crate::ops::push::{root, wants};
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::{self, Access, FromCache};
use crate::ops::tracked::History;
use crate::ops::{OpError, push};
use crate::remote::Remote;
use crate::remote::gc::read_records;
use crate::remote::names::{ClientId, ProjectId, RootRecordName};
use crate::remote::records::{CommitName, Root, RootRecord};
use crate::remote::transfer::plan::plan_push;
use crate::remote::transfer::push::{PushRequest, push};
use crate::repo::Repo;
use crate::report::Reporter;

/// What stays on a remote until it is taken away.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pin {
    /// Its id.
    pub id: String,
    /// The remote's name.
    pub remote: String,
    /// The commits that it was made for, in full.
    pub commits: Vec<String>,
    /// Outputs that it names.
    pub outputs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was made, by the store's clock, RFC 3339 UTC.
    pub time: String,
}

/// What `remote pin` did.
#[derive(Debug, serde::Serialize)]
pub struct PinReport {
    /// The new pins, one for each remote that the outputs belong to.
    pub made: Vec<Pin>,
    /// Pins of that commit with those outputs that were there already.
    pub known: Vec<Pin>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// All pins of a remote.
#[derive(Debug, serde::Serialize)]
pub struct PinsReport {
    /// Sorted by time, then id.
    pub pins: Vec<Pin>,
    /// The remote's name.
    pub remote: String,
}

/// What `remote unpin` did.
#[derive(Debug, serde::Serialize)]
pub struct UnpinReport {
    /// The pins that were taken away, or would be.
    pub removed: Vec<Pin>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Lists the pins of the remote `name`, or of the default one.
pub fn list(repo: &Repo, name: Option<&str>, reporter: &dyn Reporter) -> Result<PinsReport, OpError> {
    let from = share::open(repo, name, Access::Inspect, reporter)?;
    let pins = pins(&from.remote, &from.name)?.into_iter().map(|(_, _, pin)| pin).collect();
    Ok(PinsReport { pins, remote: from.name })
}

/// Pins what `revision` names, on the remote `name`, or on those that the outputs belong to. What a remote
/// lacks is sent.
///
/// Fails with `NotDownloaded` and the list if something is neither in the cache nor there.
pub fn pin(
    repo: &Repo,
    revision: &str,
    name: Option<&str>,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<PinReport, OpError> {
    let commit = repo.require_git()?.resolve(revision)?;
    let tracked = History::without_ignoring(repo)?.at(commit)?.complete()?;
    let outs = tracked.outs().iter().filter(|out| out.cache && out.push);
    let wishes = outs.filter_map(|out| {
        let wish = Wish { output: out.path.clone(), info: out.content?, inside: Vec::new() };
        Some((out.remote.clone(), wish))
    });
    let wishes: Vec<_> = wishes.collect();
    if wishes.is_empty() {
        return Err(OpError::NothingToPin { revision: revision.to_owned() });
    }
    let mut report = PinReport { made: Vec::new(), known: Vec::new(), dry_run };
    for (remote, wishes) in by_remote(wishes, name) {
        if wishes.is_empty() {
            return Err(OpError::NothingToPin { revision: revision.to_owned() });
        }
        pin_on(repo, (remote.as_deref(), commit), &wishes, &mut report, reporter)?;
    }
    Ok(report)
}

fn pin_on(
    repo: &Repo,
    (remote, commit): (Option<&str>, CommitId),
    wishes: &[Wish],
    report: &mut PinReport,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let access = if report.dry_run { Access::Rehearse } else { Access::Write };
    let mut to = share::open(repo, remote, access, reporter)?;
    let roots: BTreeSet<Root> = wishes.iter().map(|wish| root(&wish.info)).collect();
    let commits: Vec<CommitName> = CommitName::parse(&commit.to_string()).into_iter().collect();
    let is_same = |record: &RootRecord| {
        record.commits == commits && record.roots.iter().copied().collect::<BTreeSet<Root>>() == roots
    };
    // A remote that the first push has yet to make has none.
    let there = if to.remote.exists() { pins(&to.remote, &to.name)? } else { Vec::new() };
    if let Some((_, _, pin)) = there.into_iter().find(|(_, record, _)| is_same(record)) {
        report.known.push(pin);
        return Ok(());
    }
    let cache = repo.cache()?;
    let list = match wants(cache, wishes) {
        Err(error) if error.is_not_downloaded() => {
            bring::bring_trees(repo, &mut to, wishes, reporter)?;
            wants(cache, wishes)?
        }
        other => other?,
    };
    let source = FromCache::new(cache);
    let plan = plan_push(&mut to.remote, &list, &source)?;
    if !plan.missing().is_empty() {
        return Err(push::name_missing(repo, wishes, plan.missing(), &to.name));
    }
    // A dry run makes none, so there is no name to tell.
    let random = u64::from_le_bytes(crate::fs::random_bytes());
    let client = ClientId(if report.dry_run { 0 } else { random });
    let roots = roots.into_iter().collect();
    let request =
        PushRequest { client, project: ProjectId::PINS, commits, roots, is_whole: true, renew: false };
    if !report.dry_run {
        push(&mut to.remote, plan, &list, &source, &request, reporter)?;
    }
    let PushRequest { commits, roots, .. } = request;
    let record = RootRecord { client, seq: 1, project: ProjectId::PINS, commits, roots };
    report.made.push(described(&record, std::time::SystemTime::now(), &to.name));
    Ok(())
}

/// Takes pins away: `which` are their ids, or revisions that they were made for.
///
/// Fails, and takes none away, where one of these means no pin.
pub fn unpin(
    repo: &Repo,
    which: &[String],
    name: Option<&str>,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<UnpinReport, OpError> {
    let from = share::open(repo, name, Access::Rehearse, reporter)?;
    let there = pins(&from.remote, &from.name)?;
    let mut chosen = BTreeSet::new();
    for text in which {
        let commit = match repo.git().map(|git| git.resolve(text)) {
            Some(Ok(commit)) => commit.to_string(),
            Some(Err(error)) if error.kind() != ErrorKind::NoSuchRevision => return Err(error.into()),
            _ => String::new(),
        };
        let is_meant = |pin: &Pin| pin.id == *text || pin.commits.contains(&commit);
        let found: Vec<RootRecordName> =
            there.iter().filter(|(_, _, pin)| is_meant(pin)).map(|(name, ..)| *name).collect();
        if found.is_empty() {
            return Err(OpError::NoSuchPin { pin: text.clone(), remote: from.name });
        }
        chosen.extend(found);
    }
    let mut removed = Vec::new();
    for (name, _, pin) in there.into_iter().filter(|(name, ..)| chosen.contains(name)) {
        if !dry_run {
            from.remote.backend().delete(&name.key()).map_err(crate::remote::Error::from)?;
        }
        removed.push(pin);
    }
    Ok(UnpinReport { removed, dry_run })
}

/// The pins of a remote, sorted by time, then id.
fn pins(remote: &Remote, name: &str) -> Result<Vec<(RootRecordName, RootRecord, Pin)>, OpError> {
    let records =
        read_records(remote)?.good.into_iter().filter(|(_, _, record)| record.project == ProjectId::PINS);
    let mut pins: Vec<_> = records
        .map(|(key, modified, record)| {
            let pin = described(&record, modified, name);
            (key, record, pin)
        })
        .collect();
    pins.sort_by(|(_, _, a), (_, _, b)| (&a.time, &a.id).cmp(&(&b.time, &b.id)));
    Ok(pins)
}

fn described(record: &RootRecord, time: std::time::SystemTime, remote: &str) -> Pin {
    let bytes = record.roots.iter().map(|root| match root {
        Root::File { size, .. } | Root::Tree { size, .. } => *size,
        Root::Run(_) => 0,
    });
    Pin {
        id: record.client.to_string(),
        remote: remote.to_owned(),
        commits: record.commits.iter().map(|commit| commit.as_str().to_owned()).collect(),
        outputs: record.roots.len() as u64,
        bytes: bytes.fold(0, u64::saturating_add),
        time: rescue::time(time),
    }
}
