//! Makes outputs in the work tree what is recorded of them: used by `checkout`, `pull` and `repro`.
//!
//! Decided first, by the pure function in `checkout_plan`; nothing is touched while anything unsaved
//! stands in the way. What is displaced with `force` goes to rescue (R2).

mod check;
mod placed;

use std::collections::{HashMap, HashSet};

use crate::error::{Advice, ErrorKind};
use crate::fs::place::Examined;
use crate::fs::rescue::Rescue;
use crate::fs::staging::Staging;
use crate::fs::stamp::FileStamp;
use crate::model::object::{ContentId, ContentInfo, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::checkout_plan::{
    self, Action, DirectoryPlan, Question, own_folder, plan_directory, relink, replace_whole,
};
use crate::ops::scan::{Present, Scanned, Scanner};
use crate::ops::{OpError, held, surroundings, trees};
use crate::par;
use crate::repo::Repo;
use crate::report::{Reporter, Task, Unit};
use crate::store::Presence;
use crate::store::here::{Begun, HeldOutput, Here};
use crate::store::materialize::{Item, Materializer, Removal};
use crate::store::statindex::{StatIndex, StatIndexUpdate};

pub use placed::Placed;

use placed::collect;

/// An output to be put in place, or, without contents, to be taken away.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The output.
    pub output: RepoPath,
    /// What is recorded of it; `None` where it is tracked no more.
    pub info: Option<ContentInfo>,
    /// Paths inside to which this is confined; empty: all of it.
    pub inside: Vec<Box<str>>,
}

impl Wanted {
    /// What is claimed to be here once it is in place.
    fn claim(&self) -> Option<HeldOutput> {
        let inside = self.inside.iter().map(|path| &**path);
        self.info.map(|info| HeldOutput::new(info.id, inside))
    }
}

/// How to deal with what stands in the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// What is not saved goes to rescue instead of stopping the command.
    pub force: bool,
    /// Entries that are not recorded go to rescue instead of staying.
    pub clean: bool,
    /// Files that are right are put in place again, linked as the configuration has it now.
    pub relink: bool,
    /// What git tracks stays, also what was put there (R20): git keeps it now, or did then.
    pub spare_gits: bool,
}

/// What will be done to one output.
#[derive(Debug)]
pub struct OutputPlan {
    /// What is wanted.
    pub wanted: Wanted,
    /// The decision.
    pub plan: DirectoryPlan,
    present: Present,
}

impl OutputPlan {
    /// Takes away what is neither recorded nor git's, also outside of the part that this is confined to: all
    /// that is present in `scope`, or everywhere if that is empty.
    pub fn clean(&mut self, repo: &Repo, recorded: &[TreeEntry], scope: &[Box<str>]) {
        let output = &self.wanted.output;
        let is_gits = |path: &str| is_gits(repo, &output.join_entry(path));
        checkout_plan::clean(&mut self.plan, recorded, &self.present.tree_entries(), scope, &is_gits);
    }

    /// Only adds what is absent: what stands there stays, whatever it is.
    pub fn only_add(mut self) -> OutputPlan {
        self.plan.actions.retain(|action| matches!(action, Action::Create(_)));
        self.plan.unsaved.clear();
        self
    }
}

/// Looks at the work tree and decides; changes nothing.
pub struct Planner<'a> {
    repo: &'a Repo,
    index: StatIndex,
    here: Here,
    presence: Presence,
    reporter: &'a dyn Reporter,
}

impl<'a> Planner<'a> {
    /// A planner for `repo`.
    pub fn new(repo: &'a Repo, reporter: &'a dyn Reporter) -> Result<Planner<'a>, OpError> {
        Ok(Planner {
            repo,
            index: repo.stat_index(),
            here: Here::load(repo.mlv()),
            presence: repo.cache()?.snapshot(),
            reporter,
        })
    }

    /// Where it plans.
    pub fn repo(&self) -> &'a Repo {
        self.repo
    }

    /// What is remembered to be here.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// What the cache holds.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Decides what to do to one output.
    ///
    /// Fails with `TreeNotDownloaded` where the recorded tree is not in the cache.
    pub fn plan(&self, wanted: Wanted, manner: Manner) -> Result<OutputPlan, OpError> {
        let output = &wanted.output;
        let recorded = match &wanted.info {
            Some(info) => {
                trees::check_size(self.repo, info, output)?;
                trees::read_content(self.repo, info, output)?
            }
            None => Vec::new(),
        };
        let scanner = Scanner::new(self.repo, &self.index, self.reporter);
        // What is not known to be mlv's own is the user's.
        let placed = held::put_there(self.repo, &self.here, output, None).entries;
        let mut present = scanner.look(output, &|| Ok([&recorded[..], &placed[..]].concat()))?;
        scanner.hash(output, &mut present, None)?;
        let entries = present.tree_entries();
        let dangling: HashSet<&str> = present.paths_of(Scanned::is_dangling).collect();
        let is_saved = |entry: &TreeEntry| {
            !entry.kind.has_object() || dangling.contains(&*entry.path) || self.is_saved(entry)
        };
        let other_kind = matches!(
            (&present, wanted.info.map(|info| info.id)),
            (Present::File(_), Some(ContentId::Tree(_))) | (Present::Directory(_), Some(ContentId::File(_)))
        );
        let is_empty_folder = recorded.is_empty() && wanted.info.is_some_and(|info| info.nfiles.is_some());
        let is_there = matches!(present, Present::Directory(_));
        let mut plan = if other_kind {
            // No entry of a directory without any would take the directory itself away.
            let folder = (is_there && entries.is_empty()).then(own_folder);
            replace_whole(&recorded, &[entries, folder.into_iter().collect()].concat(), &is_saved)
        } else {
            let inside = &wanted.inside;
            let (recorded, entries) = (trees::only(recorded, inside), trees::only(entries, inside));
            let mut plan = plan_directory(&Question {
                wanted: &recorded,
                present: &entries,
                placed: &trees::only(placed, inside),
                is_saved: &is_saved,
                is_gits: &|path| manner.spare_gits && is_gits(self.repo, &output.join_entry(path)),
                clean: manner.clean,
            });
            let misled: HashSet<&str> = present.paths_of(Scanned::is_misled).collect();
            let is_due = |entry: &TreeEntry| manner.relink || misled.contains(&*entry.path);
            if manner.relink || !misled.is_empty() {
                relink(&mut plan, &recorded, &entries, &|entry| is_due(entry) && is_saved(entry));
            }
            plan
        };
        // No entry of an empty directory would bring the directory itself, or hold it when others go.
        if is_empty_folder && !(is_there && plan.actions.is_empty()) {
            plan.actions.push(Action::Create(own_folder()));
        }
        Ok(OutputPlan { wanted, plan, present })
    }

    /// Fails with `NotRecorded` if `wanted` is confined to a path at which nothing is, neither recorded
    /// nor in the work tree.
    pub fn check_parts(&self, wanted: &Wanted) -> Result<(), OpError> {
        let Some(info) = &wanted.info else { return Ok(()) };
        for path in &wanted.inside {
            let full = wanted.output.join_entry(path);
            if self.repo.dir().stat(&full)?.is_none() {
                trees::check_recorded(self.repo, info, &wanted.output, std::slice::from_ref(path))?;
            }
        }
        Ok(())
    }

    /// Carries the plans out, one after the other; one failure stops no other.
    ///
    /// `command` names the operation in rescue's log.
    pub fn apply(self, plans: Vec<OutputPlan>, command: &str) -> Result<Vec<Placed>, OpError> {
        if plans.iter().all(|plan| plan.plan.actions.is_empty()) {
            return self.leave(plans);
        }
        let staging = Staging::create(self.repo.temporary()?)?;
        let rescue = Rescue::new(self.repo.mlv().clone(), command);
        let threads = par::threads(self.repo.file_jobs()?);
        let materializer = Materializer::new(self.repo.cache()?, self.repo.dir(), &staging, &rescue, threads);
        let works: Vec<Work> = plans.iter().map(|plan| self.work(plan)).collect();
        // R23: before anything is taken away, for all at once.
        materializer.check_space(
            works.iter().flat_map(|work| &work.items),
            works.iter().flat_map(|work| &work.removals),
        )?;
        let mut begun = self.begin(&plans)?;
        let mut update = StatIndexUpdate::new();
        let mut results = Vec::new();
        let mut claims = Vec::new();
        for (plan, work) in plans.into_iter().zip(works) {
            let wanted = plan.wanted.clone();
            let placed = self.apply_one(plan, work, &materializer, &mut update);
            if placed.failed.is_empty() {
                let begun = begun.remove(&wanted.output).unwrap_or_default();
                claims.push((wanted, begun));
            }
            let interrupted = placed.failed.iter().any(|(_, error)| error.kind() == ErrorKind::Interrupted);
            results.push(placed);
            if interrupted {
                break;
            }
        }
        if let Err(error) = self.settle(claims, update) {
            let mut failures = results.iter().flat_map(|placed| &placed.failed);
            let is_told = failures.any(|(_, known)| known.kind() == error.kind());
            match results.last_mut() {
                None => return Err(error),
                // What was done is told all the same; no room for a note is none for a file either.
                Some(last) if !is_told => last.failed.push((last.output.clone(), error)),
                Some(_) => {}
            }
        }
        Ok(results)
    }

    /// Of plans that do nothing: a work tree that cannot be written is checked out all the same.
    fn leave(self, plans: Vec<OutputPlan>) -> Result<Vec<Placed>, OpError> {
        let mut update = StatIndexUpdate::new();
        plans.iter().for_each(|plan| plan.present.note_stamps(&plan.wanted.output, &mut update));
        let placed = plans.iter().map(Placed::nothing).collect();
        let claims = plans.into_iter().map(|plan| (plan.wanted, Begun::default()));
        let claims: Vec<(Wanted, Begun)> = claims.collect();
        let mut after = self.here.clone();
        claim(&mut after, claims.iter().map(|(wanted, _)| (wanted.clone(), Begun::default())));
        if after == self.here {
            let _ = self.repo.save_stat_index(&self.index, update);
        } else {
            self.settle(claims, update)?;
        }
        Ok(placed)
    }

    /// Whether the cache seems to hold these contents; before anything is deleted, that is verified.
    fn is_saved(&self, entry: &TreeEntry) -> bool {
        self.presence.has_whole(RecordKey { hash: entry.hash, kind: RecordKind::File }, entry.size)
    }

    /// Takes the claims on what will change away: a checkout that is interrupted then leaves
    /// "not all here", never "deleted".
    fn begin(&self, plans: &[OutputPlan]) -> Result<HashMap<RepoPath, Begun>, OpError> {
        let mut begun = HashMap::new();
        if plans.iter().all(|plan| plan.plan.actions.is_empty()) {
            return Ok(begun);
        }
        surroundings::update_here(self.repo, self.reporter, |here| {
            for OutputPlan { wanted, .. } in plans.iter().filter(|plan| !plan.plan.actions.is_empty()) {
                begun.insert(wanted.output.clone(), here.begin(&wanted.output, wanted.claim()));
            }
        })?;
        Ok(begun)
    }

    /// The actions of a plan, with what was found at each path.
    fn work(&self, plan: &OutputPlan) -> Work {
        let stamps: HashMap<&str, FileStamp> =
            plan.present.entries().iter().map(|entry| (&*entry.path, entry.stamp)).collect();
        let dangling: HashSet<&str> = plan.present.paths_of(Scanned::is_dangling).collect();
        let stands_for =
            |entry: &TreeEntry| dangling.contains(&*entry.path) && self.presence.has_object(entry.hash);
        let examined = |entry: &TreeEntry| {
            let own = || self.repo.dir().stat(&plan.wanted.output).ok().flatten();
            let stamp = stamps.get(&*entry.path).copied();
            stamp.or_else(|| own().filter(|_| entry.path.is_empty())).map(|stamp| Examined {
                stamp,
                is_saved: entry.kind.has_object() && (self.is_saved(entry) || stands_for(entry)),
                hash: Some(entry.hash),
            })
        };
        let mut work = Work::default();
        for action in &plan.plan.actions {
            work.add(&plan.wanted.output, action, &examined);
        }
        work
    }

    fn apply_one(
        &self,
        plan: OutputPlan,
        mut work: Work,
        materializer: &Materializer<'_>,
        update: &mut StatIndexUpdate,
    ) -> Placed {
        let output = plan.wanted.output.clone();
        plan.present.note_stamps(&output, update);
        let candidates = work.items.len();
        work.items.retain(|item| !work.relinks.contains(&item.path) || !materializer.is_linked_right(item));
        let linked_right = (candidates - work.items.len()) as u64;
        let mut placed = Placed::nothing(&plan);
        placed.unchanged += linked_right;
        let parent = output.parent().unwrap_or_else(RepoPath::root);
        let removed = materializer.remove(&work.removals, &parent);
        placed.deleted = removed.done.iter().map(|(at, _)| work.removals[*at].path.clone()).collect();
        let total = work.items.iter().map(|item| item.size).sum();
        let meter = self.reporter.meter(Task { verb: "Checking out", unit: Unit::Bytes, total: Some(total) });
        let put = materializer.put(&work.items, &*meter);
        for (at, stamp) in &put.done {
            let item = &work.items[*at];
            placed.bytes += item.size;
            let list = match &item.old {
                None => &mut placed.added,
                Some(_) if work.relinks.contains(&item.path) => &mut placed.relinked,
                Some(_) => &mut placed.modified,
            };
            list.push(item.path.clone());
            if item.kind.has_object() {
                update.put("", item.path.as_str(), stamp, item.hash);
            }
        }
        // What was taken away to make room is a change of kind, not a deletion.
        let made: HashSet<&RepoPath> = placed.added.iter().collect();
        placed.deleted.retain(|path| !made.contains(path));
        placed.added.sort();
        placed.modified.sort();
        placed.relinked.sort();
        collect(&mut placed, removed, |at| work.removals[at].path.clone());
        collect(&mut placed, put, |at| work.items[at].path.clone());
        placed
    }

    /// Notes what is here now, and what the files' stamps are.
    ///
    /// Of an output that is not among the claims something failed: what is still underway there is the
    /// next command's to finish.
    fn settle(&self, claims: Vec<(Wanted, Begun)>, update: StatIndexUpdate) -> Result<(), OpError> {
        surroundings::update_here(self.repo, self.reporter, |here| claim(here, claims.into_iter()))?;
        // Only saves time.
        let _ = self.repo.save_stat_index(&self.index, update);
        Ok(())
    }
}

/// Whether git tracks `path`, or cannot tell.
fn is_gits(repo: &Repo, path: &RepoPath) -> bool {
    repo.git().is_some_and(|git| git.is_tracked(path).unwrap_or(true))
}

/// Says what is here now.
fn claim(here: &mut Here, claims: impl Iterator<Item = (Wanted, Begun)>) {
    for (Wanted { output, info, inside }, begun) in claims {
        match info {
            None => here.forget(&output),
            Some(info) if inside.is_empty() => here.set_complete(&output, info.id),
            Some(info) => here.end_part(&output, begun, info.id, &inside),
        }
    }
}

/// The actions in the form that the store carries out.
#[derive(Default)]
struct Work {
    items: Vec<Item>,
    /// The paths of items that are right but for how they are linked.
    relinks: HashSet<RepoPath>,
    removals: Vec<Removal>,
}

impl Work {
    fn add(&mut self, output: &RepoPath, action: &Action, examined: &dyn Fn(&TreeEntry) -> Option<Examined>) {
        let item = |entry: &TreeEntry, old: Option<Examined>| Item {
            path: output.join_entry(&entry.path),
            kind: entry.kind,
            size: entry.size,
            hash: entry.hash,
            old: old.map(Box::new),
        };
        match action {
            Action::Create(entry) => self.items.push(item(entry, None)),
            Action::Replace { old, new }
                if old.kind == EntryKind::EmptyDir || new.kind == EntryKind::EmptyDir =>
            {
                self.removals.extend(
                    examined(old)
                        .map(|old_found| Removal { path: output.join_entry(&old.path), old: old_found }),
                );
                self.items.push(item(new, None));
            }
            Action::Replace { old, new } => self.items.push(item(new, examined(old))),
            Action::Relink(entry) => {
                self.relinks.insert(output.join_entry(&entry.path));
                self.items.push(item(entry, examined(entry)));
            }
            Action::Remove(entry) => self
                .removals
                .extend(examined(entry).map(|old| Removal { path: output.join_entry(&entry.path), old })),
        }
    }
}
