//! `fsck --remote`: whether a remote holds all that it should, and mending it from this clone.

use std::collections::{BTreeMap, HashMap};

use crate::fs::rescue::time;
use crate::model::object::{ContentId, RecordKind};
use crate::model::path::RepoPath;
use crate::ops::fsck_error::FsckError;
use crate::ops::push::{self, PushOptions};
use crate::ops::share::gather::{Item, Selection, gather};
use crate::ops::share::{self, Access, FromCache};
use crate::ops::{OpError, OutputError};
use crate::remote::check::{self, Lost, RemoteCheck};
use crate::remote::error::Error as RemoteError;
use crate::remote::mend;
use crate::remote::names::{PACKS, RootRecordName, pack_key};
use crate::remote::records::Root;
use crate::remote::salvage::salvage;
use crate::remote::transfer::plan::plan_push;
use crate::remote::transfer::push::PushRequest;
use crate::remote::transfer::{self, RecordSource};
use crate::remote::wants::WantList;
use crate::repo::Repo;
use crate::report::Reporter;

/// What to check.
#[derive(Clone, Debug, Default)]
pub struct FsckRemoteOptions {
    /// The remote; the default one if none is named.
    pub remote: Option<String>,
    /// Of how many percent of the packs the data is read, 0 to 100.
    pub read_data: u8,
    /// Whether what can be mended is.
    pub repair: bool,
}

/// An object of the remote that is not what its name says.
#[derive(Debug, serde::Serialize)]
pub struct DamagedObject {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// A record of what a clone needed that cannot be read, and that a newer one of that clone replaced.
#[derive(Debug, serde::Serialize)]
pub struct UnknownBefore {
    /// Its key.
    pub key: String,
    /// Until when nothing is collected because of it: RFC 3339.
    pub until: String,
}

/// What `fsck --remote` found; after a repair, what is still so.
#[derive(Debug, Default, serde::Serialize)]
pub struct FsckRemoteReport {
    /// The remote's name.
    pub remote: String,
    /// Packs that are there.
    pub packs: u64,
    /// Packs of which every record was read.
    pub packs_read: u64,
    /// Bytes of those.
    pub bytes_read: u64,
    /// Outputs and runs that clones said they need.
    pub roots: u64,
    /// Records that these need.
    pub records: u64,
    /// Objects that are not what their names say.
    pub damaged: Vec<DamagedObject>,
    /// Those of the damaged objects that a collection waits for.
    pub unknown_before: Vec<UnknownBefore>,
    /// Hashes of records that are damaged in some pack.
    pub bad: Vec<String>,
    /// How many records are damaged in each pack, by its key.
    pub bad_packs: BTreeMap<String, u64>,
    /// Packs that no index names.
    pub unindexed: u64,
    /// Outputs that cannot be fetched whole, by path or hash.
    pub lost: Vec<String>,
    /// Records that were sent again.
    pub sent: u64,
    /// Good records of damaged packs that were copied into new ones.
    pub copied: u64,
    /// What is wrong, by output.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Reads the remote's lists, indexes, root records and pages, and as much data as asked for.
///
/// With `repair` the index is made again for what none names, what is good in a damaged pack is copied into
/// a new one, and what is damaged or lost is sent again as far as this cache has it. Nothing is deleted.
pub fn run(
    repo: &Repo,
    options: &FsckRemoteOptions,
    reporter: &dyn Reporter,
) -> Result<FsckRemoteReport, OpError> {
    let name = options.remote.as_deref();
    let mut to = share::open(repo, name, Access::Inspect, reporter)?;
    let mut found = check::check(&mut to.remote, options.read_data, reporter)?;
    let (mut sent, mut copied) = (0, 0);
    // Whoever has the data sends it again with his next push.
    mend::note_damage(&to.remote, &found.bad);
    // Nothing is written beside a mark that cannot be read: it may take any pack away.
    if options.repair && !found.is_clean() && found.unreadable_marks.is_empty() {
        if found.needs_index {
            // The check has learnt what it is to write: anew, with what the remote's own index says.
            to = share::open(repo, name, Access::Inspect, reporter)?;
            to.remote.refresh_collection()?;
            to.remote.refresh(reporter).map_err(RemoteError::from)?;
        }
        mend::index_unknown_packs(&mut to.remote)?;
        sent = send_again(repo, name, &found, reporter)?;
        // What was sent need not be copied.
        to.remote.refresh(reporter).map_err(RemoteError::from)?;
        copied = salvage(&mut to.remote, &found)?;
        say_needs_again(repo, &to, &found, reporter)?;
        to = share::open(repo, name, Access::Inspect, reporter)?;
        found = check::check(&mut to.remote, options.read_data, reporter)?;
    }
    Ok(FsckRemoteReport { copied, sent, ..report(repo, &to.name, found, reporter)? })
}

/// Has this clone say again what it needs, where what it said is damaged or gone.
fn say_needs_again(
    repo: &Repo,
    to: &share::NamedRemote,
    found: &RemoteCheck,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let own = RootRecordName::prefix(push::client(repo, reporter)?);
    let is_damaged = found.damaged.iter().any(|(key, _)| key.as_str().starts_with(&own));
    if is_damaged || found.is_without_needs() {
        let options = PushOptions { remote: Some(to.name.clone()), renew: true, ..PushOptions::default() };
        push::run(repo, &options, reporter)?;
    }
    Ok(())
}

/// Sends what was lost and is in the cache; returns how many records that were.
fn send_again(
    repo: &Repo,
    remote: Option<&str>,
    found: &RemoteCheck,
    reporter: &dyn Reporter,
) -> Result<u64, OpError> {
    let cache = repo.cache()?;
    let source = FromCache::new(cache);
    let mut wants = WantList::new();
    for Lost { key, size, path, .. } in found.lost.values().flatten().filter(|lost| source.holds(lost.key)) {
        match key.kind {
            RecordKind::File => wants.file(key.hash.into(), *size, path),
            // What a page lists could not be checked without it.
            RecordKind::TreePage => {
                let below = push::want_tree(cache, &RepoPath::root(), key.hash.into(), &mut wants);
                if below.is_err() {
                    wants.record(*key);
                }
            }
            _ => wants.record(*key),
        }
    }
    if wants.is_empty() {
        return Ok(0);
    }
    let mut to = share::open(repo, remote, Access::Write, reporter)?;
    let plan = plan_push(&mut to.remote, &wants, &source)?;
    let wishes: Vec<_> =
        gather(repo, &Selection::default(), reporter)?.items.into_iter().map(|item| item.wish).collect();
    let request = PushRequest { is_whole: false, ..push::request(repo, &wishes, reporter)? };
    let sent = transfer::push::push(&mut to.remote, plan, &wants, &source, &request, reporter)?;
    Ok(sent.objects + sent.pages)
}

fn report(
    repo: &Repo,
    remote: &str,
    found: RemoteCheck,
    reporter: &dyn Reporter,
) -> Result<FsckRemoteReport, OpError> {
    let mut report = FsckRemoteReport {
        remote: remote.to_owned(),
        packs: found.packs,
        packs_read: found.packs_read,
        bytes_read: found.bytes_read,
        roots: found.roots,
        records: found.records,
        unindexed: found.unindexed.len() as u64,
        ..FsckRemoteReport::default()
    };
    let outputs: HashMap<ContentId, RepoPath> = gather(repo, &Selection::default(), reporter)?
        .items
        .into_iter()
        .map(|Item { wish, .. }| (wish.info.id, wish.output))
        .collect();
    let mut elsewhere = 0;
    for (root, lost) in &found.lost {
        let Some(output) = content_of(root).and_then(|id| outputs.get(&id)) else {
            elsewhere += lost.len();
            report.lost.push(root.to_string());
            continue;
        };
        for one in lost {
            let path = if one.path.is_empty() { output.clone() } else { output.join_entry(&one.path) };
            let error = loss_of(&found, one, (&path, remote));
            report.lost.push(path.to_string());
            report.failed.push((path, error));
        }
    }
    if found.unknown_needs > 0 || found.is_without_needs() {
        // They may have needed anything. Other damage has a good copy.
        let error = FsckError::UnknownNeeds { count: found.unknown_needs, remote: remote.to_owned() };
        report.failed.push((RepoPath::root(), error.into()));
    }
    // One that an interrupted push left serves nobody and harms nobody.
    if found.needs_index || !found.unindexed.is_empty() && !found.lost.is_empty() {
        let error = FsckError::NotIndexed { count: found.unindexed.len(), remote: remote.to_owned() };
        report.failed.push((RepoPath::root(), error.into()));
    }
    if elsewhere > 0 {
        let error = FsckError::LostThere { count: elsewhere, remote: remote.to_owned() };
        report.failed.push((RepoPath::root(), error.into()));
    }
    let marks = found.unreadable_marks.into_iter().map(|error| (RepoPath::root(), error.into()));
    report.failed.extend(marks);
    for (_, pack) in &found.bad {
        *report.bad_packs.entry(pack_key(*pack).as_str().to_owned()).or_default() += 1;
    }
    report.damaged = found
        .damaged
        .into_iter()
        .map(|(key, why)| DamagedObject { key: key.as_str().to_owned(), why })
        .collect();
    report.unknown_before = found
        .unknown_before
        .into_iter()
        .map(|(key, until)| UnknownBefore { key: key.as_str().to_owned(), until: time(until) })
        .collect();
    report.bad = found.bad.iter().map(|(key, _)| key.hash.to_string()).collect();
    report.failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(report)
}

/// Damaged, or gone: then no part of it was found to be bad, and no pack.
fn loss_of(found: &RemoteCheck, lost: &Lost, (path, remote): (&RepoPath, &str)) -> OpError {
    let (path, remote) = (path.clone(), remote.to_owned());
    let is_bad = lost.parts.iter().any(|part| found.bad.iter().any(|(key, _)| key.hash == part.hash));
    let is_pack_bad = found.damaged.iter().any(|(key, _)| key.as_str().starts_with(PACKS));
    match is_bad || is_pack_bad {
        true => OutputError::DamagedThere { path, remote }.into(),
        false => FsckError::LostFrom { path, remote }.into(),
    }
}

fn content_of(root: &Root) -> Option<ContentId> {
    match root {
        Root::File { id, .. } => Some(ContentId::File(*id)),
        Root::Tree { id, .. } => Some(ContentId::Tree(*id)),
        Root::Run(_) => None,
    }
}
