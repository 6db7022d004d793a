//! `checkout`: makes the work tree what pointers and locks name.

mod by_hand;

use std::collections::{BTreeMap, BTreeSet};

use crate::fs::rescue::Kept;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::ops::fetch::filtered;
use crate::ops::leases::Idle;
use crate::ops::place::{Manner, OutputPlan, Placed, Planner, Wanted};
use crate::ops::targets::{self, Filter, FilterOptions, TargetOptions};
use crate::ops::tracked::{Reach, Source, Tracked};
use crate::ops::{OpError, OutputError, lock_entries, trees};
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::here::Held;

/// What to check out, and how.
#[derive(Clone, Debug, Default)]
pub struct CheckoutOptions {
    /// Which outputs; all if none is named.
    pub targets: TargetOptions,
    /// What is not saved goes to rescue instead of stopping the command.
    pub force: bool,
    /// Entries that are not recorded go to rescue instead of staying.
    pub clean: bool,
    /// Data that is not in the cache is no failure.
    pub allow_missing: bool,
    /// Files that are right are put in place again, linked as the configuration has it now.
    pub relink: bool,
    /// All of each output, also where only a part of it was asked for before.
    pub whole: bool,
    /// Which files of the outputs.
    pub filter: FilterOptions,
    /// Only the plan is wanted.
    pub dry_run: bool,
}

impl CheckoutOptions {
    /// The command that a user gave, for hints and the log of rescue.
    fn command(&self) -> &'static str {
        if self.whole { "mlv pull" } else { "mlv checkout" }
    }
}

/// What will be done.
pub struct CheckoutPlan<'a> {
    planner: Planner<'a>,
    outputs: Vec<OutputPlan>,
    by_hand: Vec<RepoPath>,
    failed: Vec<(RepoPath, OpError)>,
    /// Nobody makes the outputs meanwhile.
    _idle: Idle,
}

/// What was done to one output.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct CheckedOut {
    /// The output.
    pub path: String,
    /// Entries that were not there before, relative to the repository's root, sorted.
    pub added: Vec<String>,
    /// Entries that replaced others.
    pub modified: Vec<String>,
    /// Entries with the same contents, linked as `cache.type` has it now; of a dry run those that
    /// will be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relinked: Vec<String>,
    /// Entries that were taken away.
    pub deleted: Vec<String>,
    /// Entries that stay although they are not recorded.
    pub extra: Vec<String>,
    /// Entries that were right already.
    pub unchanged: u64,
}

/// What `checkout` did.
#[derive(Debug, Default, serde::Serialize)]
pub struct CheckoutReport {
    /// The outputs that were looked at, sorted by path.
    pub outputs: Vec<CheckedOut>,
    /// Files that were written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What went to rescue.
    pub rescued: Vec<Kept>,
    /// Outputs with `pull: manual` that stay as they are: nobody named them, and the cache lacks something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_hand: Vec<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What could not be done, and why.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// Decides what leads to the recorded state. Changes nothing; unless it is a dry run, nobody runs the
/// stages whose outputs will change as long as the plan lives.
///
/// Fails with `WouldOverwrite` if anything unsaved stands in the way and `force` is not given.
pub fn plan<'a>(
    repo: &'a Repo,
    options: &CheckoutOptions,
    reporter: &'a dyn Reporter,
) -> Result<CheckoutPlan<'a>, OpError> {
    // What is here is read before what is tracked: whatever is claimed and tracked by nothing was
    // not just added by somebody else, who writes the pointer before the claim.
    let planner = Planner::new(repo, reporter)?;
    let mut tracked = Tracked::load(repo)?;
    let mut wanted = wanted_outputs(&planner, &tracked, options)?;
    if !options.filter.is_empty() {
        take_filtered(repo, &options.filter, &mut wanted)?;
    }
    let meant: BTreeMap<RepoPath, Vec<Box<str>>> =
        wanted.iter().map(|wanted| (wanted.output.clone(), wanted.inside.clone())).collect();
    if options.targets.targets.is_empty() && !options.whole {
        wanted.retain_mut(|wanted| confine(&planner, wanted));
    } else {
        wanted.iter().try_for_each(|wanted| planner.check_parts(wanted))?;
        wanted.iter_mut().filter(|_| !options.whole).for_each(|wanted| stay_partial(repo, &planner, wanted));
    }
    let mut failed = targets::problems(repo, &mut tracked, &options.targets);
    failed.extend(kept_by_git(repo, &tracked, options));
    if options.targets.targets.is_empty() && options.filter.is_empty() && failed.is_empty() {
        wanted.extend(untracked_again(&planner, &tracked)?);
    }
    let CheckoutOptions { force, clean, relink, .. } = *options;
    let manner = Manner { force, clean, relink, spare_gits: true };
    let (mut outputs, mut by_hand, mut idle) = (Vec::new(), Vec::new(), Idle::default());
    for wanted in wanted {
        let path = wanted.output.clone();
        let planned = planner.plan(wanted, manner).and_then(|mut plan| {
            // What is here of an output narrows what is brought, not what is cleaned.
            if let (true, Some(scope), Some(info)) = (options.clean, meant.get(&path), &plan.wanted.info) {
                let recorded = trees::read_content(repo, info, &path)?;
                plan.clean(repo, &recorded, scope);
            }
            match tracked.out(&path).map(|out| &out.source) {
                Some(Source::Stage { file, stage }) if !options.dry_run && !plan.plan.actions.is_empty() => {
                    let address = StageAddress { file: file.clone(), name: stage.clone() };
                    idle.take(repo, &address, &path)?;
                }
                _ => {}
            }
            Ok(plan)
        });
        match planned {
            planned if by_hand::stays(&planner, (&tracked, options), (&path, &planned)) => by_hand.push(path),
            Ok(plan) => outputs.push(plan),
            Err(error) => failed.push((path, error)),
        }
    }
    if !idle.is_empty() {
        failed.extend(take_out_made(repo, &mut outputs)?);
    }
    if !force {
        planner.check(&outputs, &tracked, options.command())?;
    }
    Ok(CheckoutPlan { planner, outputs, by_hand, failed, _idle: idle })
}

/// Takes out the plans of outputs whose stage has run since they were made, as runs tell now.
fn take_out_made(repo: &Repo, plans: &mut Vec<OutputPlan>) -> Result<Vec<(RepoPath, OpError)>, OpError> {
    // In this order: what a run has made stands in its journal until it stands in the lock file.
    let unwritten = lock_entries::unwritten_outputs(repo);
    let now = Tracked::load(repo)?;
    Ok(take_made_meanwhile(plans, |path| match unwritten.get(path) {
        Some(made) => Some(*made),
        None => now.out(path).and_then(|out| out.content),
    }))
}

/// Takes out the plans of outputs whose stage has run since they were made; `content` is what was made.
fn take_made_meanwhile(
    plans: &mut Vec<OutputPlan>,
    content: impl Fn(&RepoPath) -> Option<ContentInfo>,
) -> Vec<(RepoPath, OpError)> {
    let mut failed = Vec::new();
    plans.retain(|plan| {
        let (path, wanted) = (&plan.wanted.output, plan.wanted.info);
        let is_other = wanted.is_some() && content(path) != wanted;
        if is_other {
            let path = path.clone();
            failed.push((path.clone(), OutputError::MadeMeanwhile { path }.into()));
        }
        !is_other
    });
    failed
}

/// Targets that are outputs of which mlv keeps nothing.
fn kept_by_git(repo: &Repo, tracked: &Tracked, options: &CheckoutOptions) -> Vec<(RepoPath, OpError)> {
    let paths = targets::paths(repo, &options.targets.targets, options.targets.glob).unwrap_or_default();
    let is_kept = |path: &RepoPath| tracked.out(path).is_some_and(|out| !out.cache);
    let failure = |path: RepoPath| (path.clone(), OutputError::KeptByGit { path }.into());
    paths.into_iter().filter(is_kept).map(failure).collect()
}

fn wanted_outputs(
    planner: &Planner<'_>,
    tracked: &Tracked,
    options: &CheckoutOptions,
) -> Result<Vec<Wanted>, OpError> {
    let mut selected = targets::outputs(planner.repo(), tracked, &options.targets)?;
    selected.retain(|one| !by_hand::is_unasked(one.out, options) || by_hand::was_here(planner, one.out));
    let wanted = |one: targets::Selected<'_>| Wanted {
        output: one.out.path.clone(),
        info: one.out.content,
        inside: one.inside,
    };
    Ok(selected.into_iter().filter(|one| one.out.cache && one.out.content.is_some()).map(wanted).collect())
}

/// Confines outputs to the files that a filter takes, and drops those without any.
fn take_filtered(repo: &Repo, options: &FilterOptions, wanted: &mut Vec<Wanted>) -> Result<(), OpError> {
    let filter = Filter::new(repo, options)?;
    wanted.retain_mut(|one| {
        let Some(info) = &one.info else { return false };
        match filtered(repo, (&one.output, info, &one.inside), &filter) {
            Ok(Some(inside)) => one.inside = inside,
            Ok(None) => return false,
            // Whoever plans reads it again, and tells.
            Err(_) => {}
        }
        true
    });
    Ok(())
}

/// Confines an output of which a part was asked for to that part; false if there is none.
///
/// Like git's sparse checkout: which part is here is a state, and only a target or `pull` changes it.
fn confine(planner: &Planner<'_>, wanted: &mut Wanted) -> bool {
    match parts_here(planner, &wanted.output) {
        Parts::Unknown | Parts::All => true,
        Parts::Some(parts) => {
            wanted.inside = parts.into_iter().map(Into::into).collect();
            !wanted.inside.is_empty()
        }
    }
}

/// Confines what a target means of an output that is partly here to what is here of it, where the
/// cache lacks more: that it is partial is a state, no failure.
fn stay_partial(repo: &Repo, planner: &Planner<'_>, wanted: &mut Wanted) {
    let (Some(info), Parts::Some(parts)) = (&wanted.info, parts_here(planner, &wanted.output)) else {
        return;
    };
    let inside = &wanted.inside;
    let is_meant = |path: &str| inside.is_empty() || inside.iter().any(|part| trees::is_within(path, part));
    let is_here = |path: &str| parts.iter().any(|part| trees::is_within(path, part));
    let mut both: BTreeSet<Box<str>> =
        parts.iter().copied().filter(|part| is_meant(part)).map(Into::into).collect();
    both.extend(inside.iter().filter(|part| is_here(part)).cloned());
    let is_in_cache = match trees::read_content(repo, info, &wanted.output) {
        Ok(entries) => entries
            .iter()
            .filter(|entry| entry.kind.has_object() && is_meant(entry.bare_path()))
            .all(|entry| planner.presence().has_object(entry.hash)),
        // Whoever plans reads it again, and tells of any other failure.
        Err(error) => !error.is_not_downloaded(),
    };
    if !both.is_empty() && !is_in_cache {
        wanted.inside = both.into_iter().collect();
    }
}

/// What is remembered to be here of an output.
enum Parts<'p> {
    Unknown,
    All,
    Some(BTreeSet<&'p str>),
}

fn parts_here<'p>(planner: &'p Planner<'_>, output: &RepoPath) -> Parts<'p> {
    let here = planner.here();
    let mut claims = here.get(output).into_iter().chain(here.underway(output)).peekable();
    if claims.peek().is_none() {
        return Parts::Unknown;
    }
    let mut parts = BTreeSet::new();
    for known in claims {
        match &known.held {
            Held::All => return Parts::All,
            Held::Paths(paths) => parts.extend(paths.iter().map(String::as_str)),
        }
    }
    Parts::Some(parts)
}

/// Outputs that mlv put here and that nothing tracks any more: their unchanged files go, but for those that
/// git tracks.
///
/// Not where a pointer or a pipeline would not be found: there silence is not absence (R9).
fn untracked_again(planner: &Planner<'_>, tracked: &Tracked) -> Result<Vec<Wanted>, OpError> {
    let reach = Reach::new(planner.repo());
    let mut gone = Vec::new();
    for path in planner.here().outputs() {
        let Ok(path) = RepoPath::parse(path) else { continue };
        let related = tracked.containing(&path).is_some() || tracked.below(&path).next().is_some();
        if !related && reach.barrier(&path)?.is_none() {
            gone.push(Wanted { output: path, info: None, inside: Vec::new() });
        }
    }
    Ok(gone)
}

/// Carries the plan out.
pub fn apply(plan: CheckoutPlan<'_>, options: &CheckoutOptions) -> Result<CheckoutReport, OpError> {
    let by_hand = plan.by_hand.iter().map(ToString::to_string).collect();
    let mut report = CheckoutReport { by_hand, failed: plan.failed, ..CheckoutReport::default() };
    for placed in plan.planner.apply(plan.outputs, options.command())? {
        report.add(placed);
    }
    if options.allow_missing {
        use crate::error::{Advice, ErrorKind};
        report.failed.retain(|(_, error)| error.kind() != ErrorKind::NotDownloaded);
    }
    Ok(report)
}

impl CheckoutReport {
    /// Adds what was put in place before; what failed then was tried again.
    pub(super) fn add_earlier(&mut self, earlier: CheckoutReport) {
        self.files += earlier.files;
        self.bytes += earlier.bytes;
        self.rescued.extend(earlier.rescued);
        for old in earlier.outputs {
            match self.outputs.iter_mut().find(|new| new.path == old.path) {
                Some(new) => {
                    new.added.extend(old.added);
                    new.modified.extend(old.modified);
                    new.relinked.extend(old.relinked);
                    new.deleted.extend(old.deleted);
                }
                None => self.outputs.push(old),
            }
        }
        self.outputs.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Adds what was done to one output.
    pub fn add(&mut self, placed: Placed) {
        let texts = |paths: Vec<RepoPath>| paths.iter().map(ToString::to_string).collect();
        self.files += (placed.added.len() + placed.modified.len() + placed.relinked.len()) as u64;
        self.bytes += placed.bytes;
        self.outputs.push(CheckedOut {
            path: placed.output.to_string(),
            added: texts(placed.added),
            modified: texts(placed.modified),
            relinked: texts(placed.relinked),
            deleted: texts(placed.deleted),
            extra: texts(placed.extra),
            unchanged: placed.unchanged,
        });
        self.rescued.extend(placed.kept);
        self.failed.extend(placed.failed);
    }
}

impl CheckoutPlan<'_> {
    /// What would be done, without doing it.
    pub fn into_report(self) -> CheckoutReport {
        use crate::ops::checkout_plan::Action;
        let by_hand = self.by_hand.iter().map(ToString::to_string).collect();
        let failed = self.failed;
        let mut report = CheckoutReport { by_hand, failed, dry_run: true, ..CheckoutReport::default() };
        for plan in self.outputs {
            let output = &plan.wanted.output;
            let mut one = CheckedOut {
                path: output.to_string(),
                unchanged: plan.plan.unchanged,
                extra: plan.plan.extra.iter().map(|path| output.join_entry(path).to_string()).collect(),
                ..CheckedOut::default()
            };
            for action in &plan.plan.actions {
                let (list, entry) = match action {
                    Action::Create(entry) => (&mut one.added, entry),
                    Action::Replace { new, .. } => (&mut one.modified, new),
                    Action::Relink(entry) => (&mut one.relinked, entry),
                    Action::Remove(entry) => (&mut one.deleted, entry),
                };
                list.push(output.join_entry(&entry.path).to_string());
            }
            report.files += (one.added.len() + one.modified.len() + one.relinked.len()) as u64;
            report.outputs.push(one);
        }
        report
    }
}
