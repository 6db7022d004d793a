//! The stages of one `repro`: each decided when those above it are done, several run at once.
//!
//! One thread decides, moves outputs, and writes journal and lock files; each command that runs
//! has a thread of its own, which does nothing else (`workers`). So there is one order of steps,
//! and a crash between any two of them is as if commands had run one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Advice, ErrorKind};
use crate::fs;
use crate::fs::journal::Journal;
use crate::fs::rescue::{Kept, Rescue};
use crate::model::path::RepoPath;
use crate::model::stage::Out;
use crate::ops::lock_entries::Record;
use crate::ops::present::WorkTreeState;
use crate::ops::record::Recording;
use crate::ops::repro::decide::{Pending, Taken};
use crate::ops::repro::lacking::lacking;
use crate::ops::repro::locks::Locks;
use crate::ops::repro::run::Run;
use crate::ops::repro::times::Times;
use crate::ops::repro::workers::Workers;
use crate::ops::repro::{Action, LastRepro, ReproOptions, ReproReport, StageReport};
use crate::ops::run_cache::Origin;
use crate::ops::share::NamedRemote;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, git_files, leases, pointers, surroundings};
use crate::pipeline::exec::{End, ExecError};
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::schedule::Schedule;
use crate::repo::Repo;
use crate::report::{Event, Reporter, Urgency, interrupted, urgency};

/// The lock files are replaced at most so often while stages run (docs/formats.md, "In git").
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// How often stages are looked at that another process has.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// All that a run knows.
pub(super) struct Session<'a> {
    pub(super) repo: &'a Repo,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) options: &'a ReproOptions,
    pub(super) graph: &'a Graph,
    pub(super) order: &'a [StageIndex],
    pub(super) tracked: &'a Tracked,
    pub(super) state: WorkTreeState<'a>,
    pub(super) locks: Locks<'a>,
    pub(super) schedule: Schedule,
    pub(super) journal: Option<Journal>,
    pub(super) is_journal_kept: bool,
    pub(super) recording: Option<Recording<'a>>,
    /// The stages whose commands run.
    pub(super) running: BTreeMap<StageIndex, Run>,
    /// Stages whose outputs will be brought back before the next command runs: one by one would
    /// cost several fsyncs each.
    pub(super) pending: Vec<Pending>,
    /// Since when other processes have stages that this one needs; whether that was told.
    pub(super) waits: BTreeMap<StageIndex, (Instant, bool)>,
    /// Stages that wait for another process to make what they read.
    pub(super) held_back: BTreeSet<StageIndex>,
    /// Stages that are to run and wait for things that are counted.
    pub(super) starved: BTreeSet<StageIndex>,
    /// Stages that run whether anything changed or not, because one that they build on ran.
    pub(super) forced: BTreeSet<StageIndex>,
    /// The commit that records belong to, once a stage runs that gets one.
    pub(super) origin: Option<Origin>,
    /// Stages whose outputs the cache was to bring back and could not.
    pub(super) undone: BTreeSet<StageIndex>,
    /// The remotes that were asked so far; nothing for one that cannot be opened.
    pub(super) remotes: BTreeMap<Option<String>, Option<NamedRemote>>,
    /// Why the first remote that was needed could not be used.
    pub(super) no_remote: Option<Arc<OpError>>,
    /// How many milliseconds stages took, by name, since the last [`Session::write`].
    pub(super) measured: BTreeMap<String, u64>,
    lines: BTreeMap<StageIndex, StageReport>,
    failed: BTreeMap<StageIndex, OpError>,
    rescued: BTreeMap<StageIndex, Vec<Kept>>,
    /// What users track and stages read in another state than is recorded.
    pub(super) unrecorded: BTreeSet<RepoPath>,
    /// Files for git, in no order.
    pub(super) changed: Vec<RepoPath>,
    /// Stages of which the lock says by now who keeps their outputs, and said otherwise.
    pub(super) reflagged: BTreeSet<StageIndex>,
    /// Stages whose outputs git ignores.
    prepared: BTreeSet<StageIndex>,
    pub(super) has_warned_of_pipes: bool,
    written: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        (repo, reporter): (&'a Repo, &'a dyn Reporter),
        options: &'a ReproOptions,
        (graph, order): (&'a Graph, &'a [StageIndex]),
        (tracked, state, locks): (&'a Tracked, WorkTreeState<'a>, Locks<'a>),
    ) -> Session<'a> {
        Session {
            repo,
            reporter,
            options,
            graph,
            order,
            tracked,
            state,
            locks,
            schedule: Schedule::new(graph, order, options.on_failure),
            journal: None,
            is_journal_kept: false,
            recording: None,
            running: BTreeMap::new(),
            pending: Vec::new(),
            waits: BTreeMap::new(),
            held_back: BTreeSet::new(),
            starved: BTreeSet::new(),
            forced: BTreeSet::new(),
            undone: BTreeSet::new(),
            origin: None,
            remotes: BTreeMap::new(),
            no_remote: None,
            measured: BTreeMap::new(),
            lines: BTreeMap::new(),
            failed: BTreeMap::new(),
            rescued: BTreeMap::new(),
            unrecorded: BTreeSet::new(),
            changed: Vec::new(),
            reflagged: BTreeSet::new(),
            prepared: BTreeSet::new(),
            has_warned_of_pipes: false,
            written: Instant::now(),
        }
    }

    /// Goes through all stages, as far as failures allow, and writes what came of it.
    pub(super) fn all(mut self) -> Result<ReproReport, OpError> {
        self.fail_lacking();
        let is_given_up = AtomicBool::new(false);
        let urgency = || if is_given_up.load(Ordering::Relaxed) { Urgency::Kill } else { urgency() };
        std::thread::scope(|scope| {
            let mut workers = Workers::new(scope, self.reporter, &urgency);
            let outcome = self.work(&mut workers);
            if outcome.is_err() {
                is_given_up.store(true, Ordering::Relaxed);
                self.give_up(&mut workers);
            }
            outcome
        })?;
        self.write()?;
        if let Some(journal) = self.journal.take()
            && !self.is_journal_kept
        {
            // Every run has settled what it moved; whatever lies there nevertheless is the user's.
            journal.end(&Rescue::new(Arc::clone(self.repo.mlv()), "mlv repro"))?;
        }
        self.tend_ignore_lines()?;
        self.warn_of_unrecorded();
        self.warn_of_left()?;
        self.warn_of_leftovers()?;
        self.into_report()
    }

    /// Fails, before anything runs, the stages that cannot run whatever the others make.
    ///
    /// What another process is making has been set aside by it, and is no input that lacks: that is waited for
    /// when it is the stage's turn.
    fn fail_lacking(&mut self) {
        let entry = |index: StageIndex| self.locks.entry(self.graph.address(index));
        let find = || lacking(self.graph, self.order, entry, &self.state, self.options);
        let (mut lacking, mut shares) = (find(), Vec::new());
        for (index, _) in &lacking {
            for above in self.graph.upstream(*index).filter(|above| !self.schedule.has(*above)) {
                match leases::try_share(self.repo, &self.target(above)) {
                    Ok(share) => shares.push(share),
                    Err(fs::Error::Busy { .. }) => drop(self.held_back.insert(*index)),
                    Err(_) => {}
                }
            }
        }
        if !shares.is_empty() {
            // It may have been put in place since: now nobody changes it.
            self.state.forget_work_tree();
            let known: BTreeSet<StageIndex> = lacking.iter().map(|(index, _)| *index).collect();
            lacking = find();
            lacking.retain(|(index, _)| known.contains(index));
        }
        lacking.retain(|(index, _)| !self.held_back.contains(index));
        for (index, error) in lacking {
            self.schedule.seize(index);
            self.fail(index, error.into());
        }
    }

    fn work(&mut self, workers: &mut Workers<'_, '_>) -> Result<(), OpError> {
        loop {
            self.begin_ready(workers);
            // Who waits holds nothing that others wait for: two runs never wait for each other.
            self.place_pending()?;
            if self.schedule.has_ready() && self.running.len() < self.options.jobs() {
                // Some of it could not be brought back.
                continue;
            }
            if self.schedule.is_finished() {
                return Ok(());
            }
            match workers.next(self.patience()) {
                Some((stage, end)) => {
                    self.ended(stage, end, workers);
                    if !self.starved.is_empty() {
                        self.schedule.resume();
                    }
                }
                None => self.schedule.resume(),
            }
            if self.written.elapsed() >= FLUSH_EVERY {
                self.write()?;
            }
        }
    }

    /// Does what needs no command, and begins commands as long as jobs are free.
    fn begin_ready(&mut self, workers: &mut Workers<'_, '_>) {
        while self.running.len() < self.options.jobs() {
            if interrupted() {
                let dropped = self.schedule.stop();
                self.leave(&dropped);
            }
            let Some(index) = self.schedule.take() else { return };
            match self.stage(index, workers) {
                Ok(Taken::Done) => self.schedule.done(index),
                Ok(Taken::Begun) => {}
                Ok(Taken::PutOff) => self.schedule.put_off(index),
                Err(error) => self.fail(index, error),
            }
        }
    }

    /// How long to wait for a command to end; for ever, if nothing else is to be done.
    fn patience(&self) -> Option<Duration> {
        let is_unwritten = self.recording.is_some() || self.locks.has_changes();
        let until_write = is_unwritten.then(|| FLUSH_EVERY.saturating_sub(self.written.elapsed()));
        let until_look = self.schedule.has_put_off().then_some(LOOK_EVERY);
        [until_write, until_look].into_iter().flatten().min()
    }

    fn ended(&mut self, index: StageIndex, end: Result<End, ExecError>, workers: &Workers<'_, '_>) {
        let Some(run) = self.running.remove(&index) else { return };
        match self.conclude((index, run), end, workers) {
            Ok(Taken::Done) => self.schedule.done(index),
            Ok(Taken::Begun | Taken::PutOff) => {}
            Err(error) => self.fail(index, error),
        }
    }

    /// Ends the commands that run, because of an error that concerns all stages.
    fn give_up(&mut self, workers: &mut Workers<'_, '_>) {
        while !self.running.is_empty() {
            let Some((index, _)) = workers.next(None) else { return };
            if let Some(run) = self.running.remove(&index) {
                self.put_back(index, run.aside);
            }
        }
    }

    pub(super) fn target(&self, index: StageIndex) -> String {
        self.graph.address(index).to_string()
    }

    /// The line of a stage in the report.
    pub(super) fn line(&mut self, index: StageIndex) -> &mut StageReport {
        let graph = self.graph;
        let new = || StageReport::new(graph.address(index).to_string(), Action::NotRun);
        self.lines.entry(index).or_insert_with(new)
    }

    /// What became of a stage so far.
    pub(super) fn action(&self, index: StageIndex) -> Option<Action> {
        self.lines.get(&index).map(|line| line.action)
    }

    /// Notes what went to rescue because of a stage.
    pub(super) fn rescued(&mut self, index: StageIndex, kept: Vec<Kept>) {
        self.rescued.entry(index).or_default().extend(kept);
    }

    pub(super) fn fail(&mut self, index: StageIndex, error: OpError) {
        let error = self.for_want_of_remote(index, error);
        let is_interrupted = error.kind() == ErrorKind::Interrupted;
        let line = self.line(index);
        line.action = if is_interrupted { Action::Interrupted } else { Action::Failed };
        if let OpError::Stage(error) = &error {
            line.exit_code = error.exit_code();
            line.log = error.log().map(str::to_owned);
        }
        let (stage, code) = (line.stage.clone(), line.exit_code);
        self.reporter.event(&match is_interrupted {
            true => Event::StageInterrupted { stage },
            false => Event::StageFailed { stage, code },
        });
        self.failed.insert(index, error);
        let dropped = self.schedule.failed(index);
        self.leave(&dropped);
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }

    pub(super) fn has_failed(&self, index: StageIndex) -> bool {
        self.failed.contains_key(&index)
    }

    /// Notes stages that will not be looked at.
    fn leave(&mut self, stages: &[StageIndex]) {
        for &index in stages {
            self.line(index);
            if interrupted() && self.failed.is_empty() && self.running.is_empty() {
                // Else nothing would tell that not all was done.
                self.failed.insert(index, OpError::Interrupted);
            }
        }
    }

    /// Before the outputs of a stage are there: git must not take them. Does so for all stages at
    /// once, but for those whose folder is not there yet: it would be made by that.
    pub(super) fn prepare(&mut self, index: StageIndex) -> Result<(), OpError> {
        if self.prepared.contains(&index) {
            return Ok(());
        }
        let (graph, root) = (self.graph, self.repo.dir());
        let has_folder = |index: &StageIndex| root.full(&graph.stage(*index).wdir).is_dir();
        // That of the stage itself is there, or is made by what is brought back.
        let is_meant = |one: &&StageIndex| **one == index || has_folder(one);
        let stages: Vec<StageIndex> = self.order.iter().filter(is_meant).copied().collect();
        let outs: Vec<&Out> = stages.iter().flat_map(|index| &graph.stage(*index).outs).collect();
        let held = surroundings::lock(self.repo, self.reporter)?;
        let changed = pointers::ignore_stage_outputs(self.repo, &outs, &held)?;
        self.changed.extend(changed);
        self.prepared.extend(stages);
        Ok(())
    }

    /// Makes sure that there is a journal.
    pub(super) fn journal(&mut self) -> Result<&mut Journal, OpError> {
        match &mut self.journal {
            Some(journal) => Ok(journal),
            none => Ok(none.insert(Journal::begin(self.repo.mlv())?)),
        }
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
                journal.note(&Record::Written.line())?;
            }
            Times::add(self.repo, std::mem::take(&mut self.measured));
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

    /// Tells of data that a lock names now and that is nowhere but in this work tree.
    fn warn_of_unrecorded(&self) {
        let paths: Vec<RepoPath> = self.unrecorded.iter().cloned().collect();
        for path in &paths {
            let message =
                format!("`{path}` was read as it is here, which is not recorded: nobody else can get it");
            self.reporter.event(&Event::Warning { message });
        }
        if !paths.is_empty() {
            let message = format!("mlv add {}", self.repo.shown_all(&paths));
            self.reporter.event(&Event::Hint { message });
        }
    }

    /// Tells of what stages made that are defined no more: neither git, which ignores it, nor mlv names it again.
    fn warn_of_left(&self) -> Result<(), OpError> {
        for (address, path) in self.locks.left() {
            if self.tracked.at(path).is_empty() && self.repo.dir().stat(path)?.is_some() {
                let message = format!(
                    "stage `{address}` is defined no more; `{path}`, which it made, stays here and is not tracked"
                );
                self.reporter.event(&Event::Warning { message });
            }
        }
        Ok(())
    }

    fn into_report(mut self) -> Result<ReproReport, OpError> {
        let mut report = ReproReport::default();
        for index in self.order {
            report.stages.extend(self.lines.remove(index));
            report.rescued.extend(self.rescued.remove(index).unwrap_or_default());
            let failed = self.failed.remove(index);
            report.failed.extend(failed.map(|error| (self.target(*index), error)));
        }
        let addresses: BTreeMap<String, _> =
            self.order.iter().map(|index| (self.target(*index), self.graph.address(*index))).collect();
        LastRepro::note(self.repo, &report.stages, |stage| self.locks.entry(addresses.get(stage)?));
        report.git = git_files::of_changes(self.repo, self.changed, self.reporter)?;
        Ok(report)
    }
}
