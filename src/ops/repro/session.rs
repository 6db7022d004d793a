//! The stages of one `repro`, one after the other: decided when those above are done.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::error::{Advice, ErrorKind};
use crate::fs;
use crate::fs::journal::Journal;
use crate::fs::lock::StageLease;
use crate::model::path::RepoPath;
use crate::model::stage::Out;
use crate::ops::lock_entries::Record;
use crate::ops::place::{Manner, Planner, Wanted};
use crate::ops::present::WorkTreeState;
use crate::ops::record::{Recording, Request};
use crate::ops::repro::locks::Locks;
use crate::ops::repro::{Action, ReproOptions, ReproReport, StageReport};
use crate::ops::stage_status::form;
use crate::ops::{OpError, git_files, leases, pointers, surroundings};
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::plan::{self, OutChange, PlanOptions, Repair, SkipReason, Verdict};
use crate::repo::Repo;
use crate::report::{Event, Reporter, interrupted};

/// The lock files are replaced at most so often while stages run (docs/formats.md, "In git").
const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// All that a run knows.
pub(super) struct Session<'a> {
    pub(super) repo: &'a Repo,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) options: &'a ReproOptions,
    pub(super) graph: &'a Graph,
    pub(super) order: &'a [StageIndex],
    pub(super) state: WorkTreeState<'a>,
    pub(super) locks: Locks<'a>,
    pub(super) journal: Option<Journal>,
    pub(super) is_journal_kept: bool,
    pub(super) recording: Option<Recording<'a>>,
    pub(super) report: ReproReport,
    /// Files for git, in no order.
    changed: Vec<RepoPath>,
    /// Stages whose outputs will be brought back before the next command runs: one by one would
    /// cost several fsyncs each.
    pending: Vec<Pending>,
    is_prepared: bool,
    written: Instant,
    blocked: BTreeSet<StageIndex>,
    /// Why the stage at hand runs, until it has its line in the report.
    reasons: Vec<serde_json::Value>,
}

/// A stage whose outputs are to be brought back.
struct Pending {
    stage: StageIndex,
    /// Its line in the report.
    line: usize,
    wanted: Vec<Wanted>,
    _lease: StageLease,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        (repo, reporter): (&'a Repo, &'a dyn Reporter),
        options: &'a ReproOptions,
        (graph, order): (&'a Graph, &'a [StageIndex]),
        (state, locks): (WorkTreeState<'a>, Locks<'a>),
    ) -> Session<'a> {
        Session {
            repo,
            reporter,
            options,
            graph,
            order,
            state,
            locks,
            journal: None,
            is_journal_kept: false,
            recording: None,
            report: ReproReport::default(),
            changed: Vec::new(),
            pending: Vec::new(),
            is_prepared: false,
            written: Instant::now(),
            blocked: BTreeSet::new(),
            reasons: Vec::new(),
        }
    }

    /// Goes through all stages, as far as failures allow, and writes what came of it.
    pub(super) fn all(mut self) -> Result<ReproReport, OpError> {
        let mut is_stopped = false;
        for &index in self.order {
            if !is_stopped && interrupted() {
                is_stopped = true;
                self.report.failed.push((self.target(index), OpError::Interrupted));
            }
            if is_stopped || self.graph.upstream(index).any(|above| self.blocked.contains(&above)) {
                self.blocked.insert(index);
                self.push(index, Action::NotRun);
                continue;
            }
            if let Err(error) = self.stage(index) {
                is_stopped = !self.options.keep_going || error.kind() == ErrorKind::Interrupted;
                self.fail(index, error);
            }
            if self.written.elapsed() >= FLUSH_EVERY {
                self.write()?;
            }
        }
        self.place_pending()?;
        self.write()?;
        if let Some(journal) = self.journal.take()
            && !self.is_journal_kept
        {
            journal.end()?;
        }
        self.report.git = git_files::of_changes(self.repo, self.changed, self.reporter)?;
        Ok(self.report)
    }

    fn target(&self, index: StageIndex) -> String {
        self.graph.address(index).to_string()
    }

    fn push(&mut self, index: StageIndex, action: Action) -> &mut StageReport {
        let target = self.target(index);
        self.report.push(StageReport::new(target, action))
    }

    fn fail(&mut self, index: StageIndex, error: OpError) {
        let stage = self.target(index);
        self.blocked.insert(index);
        let reasons = std::mem::take(&mut self.reasons);
        let line = self.report.push(StageReport::new(stage.clone(), Action::Failed));
        line.reasons = reasons;
        if let OpError::Stage(error) = &error {
            line.exit_code = error.exit_code();
            line.log = error.log().map(str::to_owned);
        }
        let code = line.exit_code;
        if error.kind() != ErrorKind::Interrupted {
            self.reporter.event(&Event::StageFailed { stage: stage.clone(), code });
        }
        self.report.failed.push((stage, error));
    }

    /// Decides what to do with a stage and does it.
    fn stage(&mut self, index: StageIndex) -> Result<(), OpError> {
        let (stage, address) = (self.graph.stage(index), self.graph.address(index));
        let options = PlanOptions { force: self.options.force, allow_missing: self.options.allow_missing };
        let mut lease = None;
        loop {
            let verdict = plan::decide(stage, self.locks.entry(address), &self.state, options)?;
            if let Verdict::Skip { why } = verdict {
                return self.skip(index, why);
            }
            let held = match lease.take() {
                Some(held) => held,
                None => {
                    let (held, has_waited) = self.lease(&address.to_string())?;
                    self.journal()?;
                    let is_news = match &self.journal {
                        Some(journal) => self.locks.refresh(address, journal)?,
                        None => false,
                    };
                    if has_waited || is_news {
                        // Somebody else may have done it.
                        self.state.forget_all();
                        lease = Some(held);
                        continue;
                    }
                    held
                }
            };
            return match verdict {
                Verdict::Restore { repairs } => self.restore(index, repairs, held),
                Verdict::Run { reasons } => {
                    self.reasons = form(&reasons);
                    self.run(index, held)
                }
                Verdict::Skip { .. } | Verdict::Waits { .. } => Ok(()),
            };
        }
    }

    /// The right to change what belongs to a stage, and whether somebody else had it.
    fn lease(&mut self, target: &str) -> Result<(StageLease, bool), OpError> {
        match leases::try_acquire(self.repo, target) {
            Ok(lease) => return Ok((lease, false)),
            Err(fs::Error::Busy { .. }) if self.repo.waits() => {}
            Err(error) => return Err(error.into()),
        }
        // Who waits holds nothing: two runs never wait for each other.
        self.place_pending()?;
        Ok((leases::acquire(self.repo, target, self.reporter)?, true))
    }

    fn skip(&mut self, index: StageIndex, why: SkipReason) -> Result<(), OpError> {
        self.update_flags(index);
        let event = Event::StageSkipped { stage: self.target(index), why: why.as_str().to_owned() };
        self.reporter.event(&event);
        self.push(index, Action::Skipped).reasons.push(why.as_str().into());
        Ok(())
    }

    /// Where outputs go may change without a run.
    fn update_flags(&mut self, index: StageIndex) {
        let address = self.graph.address(index);
        let changed = self.locks.entry(address).and_then(|lock| lock.with_flags_of(self.graph.stage(index)));
        if let Some(entry) = changed {
            self.locks.put(address, entry);
        }
    }

    fn run(&mut self, index: StageIndex, _lease: StageLease) -> Result<(), OpError> {
        self.place_pending()?;
        self.prepare()?;
        let ran = self.run_stage(index)?;
        let millis = u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX);
        self.reporter.event(&Event::StageFinished { stage: self.target(index), millis });
        self.report.rescued.extend(ran.kept);
        let reasons = std::mem::take(&mut self.reasons);
        let line = self.push(index, Action::Run);
        line.reasons = reasons;
        line.seconds = Some(millis as f64 / 1000.0);
        Ok(())
    }

    fn restore(&mut self, index: StageIndex, repairs: Vec<Repair>, lease: StageLease) -> Result<(), OpError> {
        let mut wanted = Vec::new();
        for repair in &repairs {
            if repair.change == OutChange::NotCached {
                self.store_again(repair)?;
            } else {
                let info = Some(repair.content);
                wanted.push(Wanted { output: repair.path.clone(), info, inside: Vec::new() });
                self.state.set(&repair.path, repair.content);
            }
        }
        self.update_flags(index);
        let from = if wanted.is_empty() { "work tree" } else { "cache" };
        let event = Event::StageRestored { stage: self.target(index), from: from.to_owned() };
        self.reporter.event(&event);
        let line = self.push(index, Action::Restored);
        line.reasons = form(&repairs.iter().map(reason_of).collect::<Vec<_>>());
        if !wanted.is_empty() {
            let line = self.report.stages.len() - 1;
            self.pending.push(Pending { stage: index, line, wanted, _lease: lease });
        }
        Ok(())
    }

    /// An output that is what the lock says, and that the cache has lost.
    fn store_again(&mut self, repair: &Repair) -> Result<(), OpError> {
        if self.options.no_commit {
            return Ok(());
        }
        let request = Request { output: &repair.path, known: None, inside: &[], store: true };
        let recorded = self.recording()?.output(request)?;
        if recorded.info.id != repair.content.id {
            let path = self.repo.dir().full(&repair.path);
            return Err(fs::Error::ChangedMeanwhile { path }.into());
        }
        Ok(())
    }

    /// Brings outputs back that the cache has.
    fn place_pending(&mut self) -> Result<(), OpError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let planner = Planner::new(self.repo, self.reporter)?;
        let (mut plans, mut failed) = (Vec::new(), Vec::new());
        for wanted in pending.iter().flat_map(|one| &one.wanted) {
            match planner.plan(wanted.clone(), Manner { force: true, clean: true, relink: false }) {
                Ok(plan) => plans.push(plan),
                Err(error) => failed.push((wanted.output.clone(), error)),
            }
        }
        for placed in planner.apply(plans, "mlv repro")? {
            self.report.rescued.extend(placed.kept);
            let output = placed.output;
            failed.extend(placed.failed.into_iter().map(|(_, error)| (output.clone(), error)));
        }
        for (path, error) in failed {
            self.state.forget_work_tree();
            let owner = pending.iter().find(|one| one.wanted.iter().any(|wanted| wanted.output == path));
            let Some(owner) = owner else { continue };
            self.blocked.insert(owner.stage);
            self.report.stages[owner.line].action = Action::Failed;
            self.report.failed.push((self.target(owner.stage), error));
        }
        Ok(())
    }

    /// Before the first command: git must not take what the stages will make.
    fn prepare(&mut self) -> Result<(), OpError> {
        if self.is_prepared {
            return Ok(());
        }
        let graph = self.graph;
        let outs: Vec<&Out> = self.order.iter().flat_map(|index| &graph.stage(*index).outs).collect();
        let held = surroundings::lock(self.repo, self.reporter)?;
        let changed = pointers::ignore_stage_outputs(self.repo, &outs, &held)?;
        self.changed.extend(changed);
        self.is_prepared = true;
        Ok(())
    }

    /// Makes sure that there is a journal.
    pub(super) fn journal(&mut self) -> Result<(), OpError> {
        if self.journal.is_none() {
            self.journal = Some(Journal::begin(self.repo.mlv())?);
        }
        Ok(())
    }

    /// The recording of outputs until the next [`Session::write`].
    pub(super) fn recording(&mut self) -> Result<&mut Recording<'a>, OpError> {
        match &mut self.recording {
            Some(recording) => Ok(recording),
            none => Ok(none.insert(Recording::begin(self.repo, self.reporter)?)),
        }
    }

    /// Makes durable what came of the stages so far: data, then the lock files, then the rest (I1).
    fn write(&mut self) -> Result<(), OpError> {
        self.written = Instant::now();
        let published = self.recording.take().map(Recording::publish).transpose()?;
        if self.locks.has_changes() {
            let held = surroundings::lock(self.repo, self.reporter)?;
            let changed = self.locks.write(self.graph, &held)?;
            self.changed.extend(changed);
            if let Some(journal) = &mut self.journal {
                journal.note(&serde_json::to_string(&Record::Written).expect("a record is a word"))?;
            }
        }
        let learned = self.state.take_update();
        match published {
            Some(mut published) => {
                published.learn(learned);
                published.settle()
            }
            None => {
                // Only saves time, and a project that cannot be written may be up to date.
                let _ = self.repo.save_stat_index(&self.repo.stat_index(), learned);
                Ok(())
            }
        }
    }
}

/// A repair as the reason that it is.
fn reason_of(repair: &Repair) -> plan::Reason {
    plan::Reason::Out { path: repair.path.clone(), change: repair.change }
}
