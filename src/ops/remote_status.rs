//! What remotes have of what is recorded, leaf by leaf.

use std::collections::BTreeMap;

use crate::error::{Advice, ErrorKind};
use crate::model::digest::TreeId;
use crate::model::object::{ContentId, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree;
use crate::ops::fetch::by_remote;
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::gather::{self, Item, Selection, gather};
use crate::ops::share::{self, Access, NamedRemote};
use crate::ops::targets::TargetOptions;
use crate::ops::{OpError, OutputError, trees};
use crate::remote;
use crate::remote::transfer::presence::find_present;
use crate::remote::wants::WantList;
use crate::repo::Repo;
use crate::report::Reporter;

/// Where something that is recorded is not. The words are DVC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Whereabouts {
    /// Not in the cache: only the remote has it.
    Deleted,
    /// Not on the remote: only the cache has it.
    New,
    /// On neither.
    Missing,
}

/// A path that is not in both places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unequal {
    /// The worst of what is there.
    pub whereabouts: Whereabouts,
    /// Files of it that are not in both places.
    pub files: u64,
    /// Files in all.
    pub total: u64,
}

/// What the remotes say.
#[derive(Debug, Default)]
pub struct RemoteStatus {
    /// By path; folders end with a slash. What is in both places is not named.
    pub unequal: BTreeMap<String, Unequal>,
    /// What could not be told, and why.
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Asks the remotes of the outputs that `targets` mean, or the one that is `named`.
///
/// With `granular` each file is named, else its output. Outputs that are not pushed are left out.
pub fn run(
    repo: &Repo,
    targets: &TargetOptions,
    (named, granular): (Option<&str>, bool),
    reporter: &dyn Reporter,
) -> Result<RemoteStatus, OpError> {
    let selection = Selection { targets: targets.clone(), ..Selection::default() };
    let gathered = gather(repo, &selection, reporter)?;
    let in_vain = if targets.targets.is_empty() { Vec::new() } else { gathered.in_vain(named) };
    let items = gathered.items.into_iter().map(|Item { wish, remote, .. }| (remote, wish)).collect();
    let groups = by_remote(items, named);
    let mut status = RemoteStatus { failed: gathered.failed, ..RemoteStatus::default() };
    if !in_vain.is_empty() && groups.iter().all(|(_, wishes)| wishes.is_empty()) {
        status.failed.extend(in_vain);
        return Ok(status);
    }
    gather::warn_of(&in_vain, reporter);
    let is_only = groups.len() == 1;
    for (name, wishes) in groups {
        match ask(repo, (name.as_deref(), &wishes), granular, &mut status, reporter) {
            // One remote that cannot be used does not keep the others from being asked.
            Err(error) if !is_only && error.kind() != ErrorKind::Interrupted => {
                let path = wishes.first().map_or_else(RepoPath::root, |wish| wish.output.clone());
                status.failed.push((path, error));
            }
            other => other?,
        }
    }
    Ok(status)
}

/// Asks one remote for `wishes`.
fn ask(
    repo: &Repo,
    (name, wishes): (Option<&str>, &[Wish]),
    granular: bool,
    status: &mut RemoteStatus,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let mut from = open(repo, name, reporter)?;
    let has_data = from.remote.exists() || from.remote.has_lost_format();
    if has_data {
        bring::bring_lists(repo, &mut from, wishes, reporter)?;
    }
    let mut question = Question { repo, wishes, wants: WantList::new(), leaves: Vec::new() };
    for (at, wish) in wishes.iter().enumerate() {
        match question.add(at) {
            Ok(()) => {}
            // Nobody knows which files there are: none can be had.
            Err(error) if error.is_not_downloaded() => {
                let total = wish.info.nfiles.unwrap_or(1);
                let whole = Unequal { whereabouts: Whereabouts::Missing, files: total, total };
                status.unequal.insert(format!("{}/", wish.output), whole);
            }
            Err(error) => status.failed.push((wish.output.clone(), error)),
        }
    }
    let present = if has_data {
        find_present(&mut from.remote, &question.wants, reporter)?
    } else {
        vec![false; question.wants.len()]
    };
    question.answer(&present, granular, &mut status.unequal)
}

/// Opens a remote to look at it; one that was never made has nothing.
fn open(repo: &Repo, name: Option<&str>, reporter: &dyn Reporter) -> Result<NamedRemote, OpError> {
    match share::open(repo, name, Access::Look, reporter) {
        Err(OpError::Remote(error)) if matches!(*error, remote::Error::NotARemote { .. }) => {
            // Tells one that this clone has seen and that is gone from one that is still to be made.
            share::open(repo, name, Access::Rehearse, reporter)
        }
        other => other,
    }
}

/// A record of an output: a file, or a page of its list.
struct Leaf {
    /// The position of its wish.
    wish: usize,
    key: RecordKey,
    /// A file's path in the output; nothing for a page.
    path: Option<Box<str>>,
}

/// Everything that is asked of one remote.
struct Question<'a> {
    repo: &'a Repo,
    wishes: &'a [Wish],
    wants: WantList,
    /// In the order of the wants.
    leaves: Vec<Leaf>,
}

impl Question<'_> {
    fn add(&mut self, at: usize) -> Result<(), OpError> {
        let Wish { output, info, inside } = &self.wishes[at];
        trees::check_recorded(self.repo, info, output, inside)?;
        let entries = trees::read_part(self.repo, info, output, inside)?;
        if let ContentId::Tree(id) = info.id {
            let cache = self.repo.cache()?;
            let pages = tree::page_ids(id, &mut |page| cache.read_record(page_key(page)));
            for page in pages.map_err(|error| OutputError::of_tree(output, id, error))? {
                self.wants.page(page);
                self.leaves.push(Leaf { wish: at, key: page_key(page), path: None });
            }
        }
        for entry in entries.into_iter().filter(|entry| entry.kind.has_object()) {
            self.wants.file(entry.hash.into(), entry.size, &entry.path);
            let key = RecordKey { hash: entry.hash, kind: RecordKind::File };
            self.leaves.push(Leaf { wish: at, key, path: Some(entry.path) });
        }
        Ok(())
    }

    fn answer(
        &self,
        present: &[bool],
        granular: bool,
        unequal: &mut BTreeMap<String, Unequal>,
    ) -> Result<(), OpError> {
        let cached = self.repo.cache()?.snapshot();
        let mut totals = vec![0; self.wishes.len()];
        for leaf in &self.leaves {
            totals[leaf.wish] += u64::from(leaf.path.is_some());
        }
        for (leaf, is_there) in self.leaves.iter().zip(present) {
            let whereabouts = match (cached.has(leaf.key), is_there) {
                (true, true) => continue,
                (true, false) => Whereabouts::New,
                (false, true) => Whereabouts::Deleted,
                (false, false) => Whereabouts::Missing,
            };
            let Wish { output, info, .. } = &self.wishes[leaf.wish];
            let (path, total) = match &leaf.path {
                Some(path) if granular => (output.join_entry(path).to_string(), 1),
                _ if info.id.is_tree() => (format!("{output}/"), totals[leaf.wish]),
                _ => (output.to_string(), 1),
            };
            let known = unequal.entry(path).or_insert(Unequal { whereabouts, files: 0, total });
            known.whereabouts = known.whereabouts.max(whereabouts);
            known.files += u64::from(leaf.path.is_some());
        }
        Ok(())
    }
}

fn page_key(page: TreeId) -> RecordKey {
    RecordKey { hash: page.digest(), kind: RecordKind::TreePage }
}
