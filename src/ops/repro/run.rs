//! One run of one stage: all or nothing.
//!
//! Inputs are looked at before anything is touched. The outputs lie aside while the command runs,
//! and come back unless it succeeds, makes all it declares, and its inputs are what they were.

use std::time::{Instant, SystemTime};

use crate::error::{Advice, ErrorKind};
use crate::fs::dir::Dir;
use crate::fs::fault;
use crate::fs::lock::StageLease;
use crate::model::digest::Digest;
use crate::model::lockfile::{LockOut, StageLock};
use crate::model::path::RepoPath;
use crate::model::run::{RunFacts, RunInputs, is_reusable};
use crate::model::stage::{Shell, Stage};
use crate::model::units::Span;
use crate::ops::lock_entries::Record;
use crate::ops::record::Request;
use crate::ops::repro::Action;
use crate::ops::repro::aside::Aside;
use crate::ops::repro::decide::Taken;
use crate::ops::repro::error::StageError;
use crate::ops::repro::resources::Grant;
use crate::ops::repro::session::Session;
use crate::ops::repro::workers::{Work, Workers};
use crate::ops::run_cache::Origin;
use crate::ops::stage_inputs::Inputs;
use crate::ops::{OpError, git_files, leases, logs, run_cache, unrecorded};
use crate::pipeline::exec::{End, ExecError};
use crate::pipeline::graph::StageIndex;
use crate::pipeline::plan::State;
use crate::repo::Repo;
use crate::report::{Event, interrupted};

/// Most bytes of a log; more is never written.
const MAX_LOG: u64 = 64 << 20;
/// Where it is kept what failed commands made, below mlv's own folder: for a day, as all there.
const FAILED: &str = "tmp/failed";

/// A stage whose command runs.
pub(super) struct Run {
    /// What it reads, as it was before.
    before: Inputs,
    pub(super) aside: Aside,
    /// The file with what it prints, relative to the root.
    log: String,
    started: Instant,
    began: SystemTime,
    pub(super) hold: Hold,
}

/// What became of the inputs of a stage while it ran.
enum Change {
    None,
    /// This one is what it was, and something else in between, perhaps.
    Back(RepoPath),
    /// This one is not what it was.
    Other(RepoPath),
}

/// What a stage holds from its first try to its last.
pub(super) struct Hold {
    /// How many tries came before.
    pub(super) tries: u32,
    pub(super) grant: Grant,
    pub(super) _lease: StageLease,
    /// Of the stages that made what it reads: shared with others that read it.
    pub(super) _inputs: Vec<StageLease>,
}

impl Session<'_> {
    /// Begins to run a stage: its outputs go aside, and its command starts.
    pub(super) fn begin(
        &mut self,
        index: StageIndex,
        hold: Hold,
        workers: &Workers<'_, '_>,
    ) -> Result<(), OpError> {
        self.place_pending()?;
        let (graph, repo) = (self.graph, self.repo);
        let (stage, address) = (graph.stage(index), graph.address(index));
        let target = address.to_string();
        let folder = repo.dir().full(&stage.wdir);
        // Before ignore lines are written, which make the folders that they are for.
        if !folder.is_dir() {
            let stage = target.as_str().into();
            return Err(StageError::Exec(ExecError::NoFolder { stage, folder }).into());
        }
        self.prepare(index)?;
        self.warn_of_pipes(index);
        if self.options.pull {
            self.pull_inputs(index)?;
        }
        self.place_persistent(index)?;
        let before = Inputs::read(stage, &target, &self.state)?;
        if is_reusable(stage) && !self.options.no_commit {
            // Before a command changes what git has: metrics, say.
            self.origin.get_or_insert_with(|| Origin::of(repo));
        }
        let lock = self.locks.entry(address).cloned();
        self.journal()?;
        let Some(journal) = &mut self.journal else { return Err(OpError::Interrupted) };
        let known = (self.locks.before(address), lock.as_ref());
        let aside = Aside::note(repo, &self.state, journal, (&target, stage), known)?;
        let run = journal.name().to_owned();
        let taken = aside.take(repo).and_then(|()| aside.copy_persistent(repo, stage, self.reporter));
        let started = taken.and_then(|()| logs::create(repo, &target)).and_then(|(log, log_path)| {
            let command = stage.command.scripts().join("\n");
            self.reporter.event(&Event::StageStarted { stage: target.clone(), command });
            let (root, mut stage) = (repo.root().to_owned(), stage.clone());
            stage.env.extend(hold.grant.variables());
            let work = Work { index, target, stage, folder, root, run, log };
            workers.start(work).map_err(StageError::from)?;
            Ok(log_path)
        });
        match started {
            Ok(log) => {
                let (started, began) = (Instant::now(), SystemTime::now());
                self.running.insert(index, Run { before, aside, log, started, began, hold });
                Ok(())
            }
            Err(error) => {
                self.put_back(index, aside);
                Err(error)
            }
        }
    }

    /// Says once that `sh` takes no notice of a failure in front of a pipe.
    fn warn_of_pipes(&mut self, index: StageIndex) {
        let stage = self.graph.stage(index);
        if stage.shell == Shell::Sh && !self.has_warned_of_pipes && stage.command.has_pipe() {
            self.has_warned_of_pipes = true;
            let message = format!(
                "stage `{}` pipes commands under `sh`, which sees only the last one fail; \
                 with `shell: bash` every one counts",
                self.target(index)
            );
            self.reporter.event(&Event::Warning { message });
        }
    }

    /// Takes what a command made, or puts back what was there before; after a failure runs it again
    /// as often as the stage says.
    pub(super) fn conclude(
        &mut self,
        (index, run): (StageIndex, Run),
        end: Result<End, ExecError>,
        workers: &Workers<'_, '_>,
    ) -> Result<Taken, OpError> {
        // A command may change what it did not declare, too.
        self.state.forget_work_tree();
        let has_ended_well = matches!(end, Ok(End::Success));
        let outcome = self.check_end(index, &run, end).and_then(|()| self.accept(index, &run.before));
        match outcome {
            Ok((entry, None)) => {
                self.finish(index, entry, run)?;
                Ok(Taken::Done)
            }
            Ok((_, Some(written))) => {
                self.leave_unrecorded(index, &written, run)?;
                Ok(Taken::Done)
            }
            Err(error) => {
                if self.options.keep_failed {
                    self.keep_made(index, &run.aside);
                }
                let (retries, tries) = (self.graph.stage(index).retries, run.hold.tries + 1);
                let has_failed = error.kind() == ErrorKind::StageFailed;
                let is_last = !has_failed || tries > retries || interrupted();
                // What a command made that ended well, and that cannot be taken, may be the work of days: that
                // goes to rescue. So does what cannot be discarded.
                if !has_ended_well {
                    let _ = self.discard_made(&run.aside);
                }
                self.put_back(index, run.aside);
                if is_last || self.is_journal_kept {
                    return Err(error);
                }
                let message = format!("{error}; trying again ({tries} of {retries})");
                self.reporter.event(&Event::Warning { message });
                self.begin(index, Hold { tries, ..run.hold }, workers)?;
                Ok(Taken::Begun)
            }
        }
    }

    fn check_end(&self, index: StageIndex, run: &Run, end: Result<End, ExecError>) -> Result<(), OpError> {
        check_end((&self.target(index), self.graph.stage(index)), end, &run.log)
    }

    /// Checks what the command did, and takes its outputs into the cache. Returns the new entry, and an
    /// input that was written meanwhile and is what it was before.
    fn accept(
        &mut self,
        index: StageIndex,
        before: &Inputs,
    ) -> Result<(StageLock, Option<RepoPath>), OpError> {
        let (stage, target) = (self.graph.stage(index), &self.target(index));
        let mut made = Vec::new();
        for out in &stage.outs {
            if self.repo.dir().stat(&out.path)?.is_some() {
                made.push(out);
            } else if !out.optional {
                let path = out.path.clone();
                return Err(StageError::MissingOutput { stage: target.as_str().into(), path }.into());
            }
        }
        // R21: an input that changed is not what the outputs were made from.
        let written = match self.change(stage, target, before)? {
            _ if fault::mutated("input-recheck") => None,
            Change::Other(path) => {
                return Err(StageError::InputChanged { stage: target.as_str().into(), path }.into());
            }
            Change::Back(path) => Some(path),
            Change::None => None,
        };
        let mut outs = Vec::new();
        for out in made {
            // What git keeps goes to the cache too where a later run may bring it back.
            let store = (out.cache || is_reusable(stage)) && !self.options.no_commit;
            let request = Request { output: &out.path, known: None, inside: &[], store, take_back: true };
            let content = self.recording()?.output(request)?.info;
            self.state.set(&out.path, content);
            outs.push(LockOut::new(out, content));
        }
        let (deps, params) = (before.deps.clone(), before.params.clone());
        let entry = StageLock::new(stage.command.clone(), deps, params, outs);
        Ok((entry.with_settings(stage.settings(|name| self.state.variable(name))), written))
    }

    /// What became of the inputs since `before`.
    fn change(&self, stage: &Stage, target: &str, before: &Inputs) -> Result<Change, OpError> {
        let after = match Inputs::read(stage, target, &self.state) {
            Ok(after) => after,
            Err(OpError::Stage(error)) => {
                let path = error.subject().and_then(|path| RepoPath::parse(&path).ok());
                return path.map_or_else(|| Err(error.into()), |path| Ok(Change::Other(path)));
            }
            Err(error) => return Err(error),
        };
        let other = before.changed(&after).map(Change::Other);
        Ok(other.or_else(|| before.written(&after).map(Change::Back)).unwrap_or(Change::None))
    }

    /// Leaves what a command made where it is, and records nothing: from what it made that, nobody knows.
    fn leave_unrecorded(&mut self, index: StageIndex, written: &RepoPath, run: Run) -> Result<(), OpError> {
        let target = self.target(index);
        let message = format!(
            "`{written}`, an input of stage `{target}`, was written while the stage ran, and is what it was \
             before; what the stage made is here and not recorded: the next `mlv repro` runs it again, \
             `mlv commit {target}` records it"
        );
        self.let_go(index, run.aside);
        self.journal()?.note(&Record::PutBack { stage: target }.line())?;
        self.reporter.event(&Event::Warning { message });
        self.end_line(index, run.started);
        Ok(())
    }

    /// Notes a run that succeeded, and lets the outputs before it go.
    fn finish(&mut self, index: StageIndex, entry: StageLock, run: Run) -> Result<(), OpError> {
        // A run that is not noted has not succeeded: what stood there may be the only copy.
        if let Err(error) = self.note_finished(index, &entry) {
            self.put_back(index, run.aside);
            return Err(error);
        }
        self.remember(index, &entry, &run);
        self.put_entry(index, entry);
        self.let_go(index, run.aside);
        self.end_line(index, run.started);
        Ok(())
    }

    fn let_go(&mut self, index: StageIndex, aside: Aside) {
        match aside.let_go() {
            Ok(kept) => self.rescued(index, kept),
            Err(problem) => self.leave_to_next(&problem),
        }
    }

    /// Tells that a command has succeeded that began at `started`.
    fn end_line(&mut self, index: StageIndex, started: Instant) {
        let target = self.target(index);
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.reporter.event(&Event::StageFinished { stage: target.clone(), millis });
        self.measured.insert(target, millis);
        if self.options.force_downstream {
            self.forced.extend(self.graph.downstream(index));
        }
        let line = self.line(index);
        line.action = Action::Run;
        line.seconds = Some(millis as f64 / 1000.0);
    }

    /// Notes the entry of a stage whose outputs are in place: others go by it before it is in the lock file.
    pub(super) fn note_finished(&mut self, index: StageIndex, entry: &StageLock) -> Result<(), OpError> {
        let address = self.graph.address(index);
        let Some(entry) = self.locks.record(address, entry) else { return Ok(()) };
        let record = Record::Finished { stage: address.to_string(), entry };
        Ok(self.journal()?.note(&record.line())?)
    }

    /// Adds a run to the run cache. Without it a later one only takes longer.
    fn remember(&mut self, index: StageIndex, entry: &StageLock, run: &Run) {
        let (repo, stage) = (self.repo, self.graph.stage(index));
        if self.options.no_commit {
            return;
        }
        let Some(inputs) = RunInputs::of(stage, entry) else { return };
        let log = self.repo.mlv().read_file(&logs::file_of(&self.target(index)), MAX_LOG).ok();
        let origin = self.origin.get_or_insert_with(|| Origin::of(repo));
        let facts = RunFacts {
            millis: u64::try_from(run.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            log: log.map(|bytes| Digest::of(&bytes).to_string()),
            ..run_cache::facts(origin, "run", run.began)
        };
        let record = run_cache::record(entry, facts);
        let _ = self.recording().and_then(|recording| run_cache::remember(repo, recording, &inputs, &record));
    }

    /// Takes away what a command made until it failed: everything that was there before lies aside.
    fn discard_made(&mut self, aside: &Aside) -> Result<(), OpError> {
        let folder = self.journal()?.scratch()?;
        aside.keep_made(self.repo, &folder)?;
        Ok(())
    }

    /// Keeps what a command made until it failed, instead of what the last failure left.
    fn keep_made(&mut self, index: StageIndex, aside: &Aside) {
        let keep = || {
            let (folder, shown) = failed_folder(self.repo, &self.target(index))?;
            Ok::<_, OpError>(aside.keep_made(self.repo, &folder)?.then_some(shown))
        };
        match keep() {
            Ok(folder) => self.line(index).partial_outputs = folder,
            Err(error) => {
                let message = format!("what a failed command made cannot be kept: {error}");
                self.reporter.event(&Event::Warning { message });
            }
        }
    }

    /// Takes a new lock entry, and notes what it names and git keeps.
    pub(super) fn put_entry(&mut self, index: StageIndex, entry: StageLock) {
        let address = self.graph.address(index);
        let unrecorded = unrecorded::read_by(self.repo, self.tracked, &self.state, &entry);
        self.unrecorded.extend(unrecorded.unwrap_or_default());
        // Only a hint would lack.
        let kept = git_files::kept_by_git(self.repo, (self.locks.entry(address), &entry));
        self.changed.extend(kept.unwrap_or_default());
        let outs = self.graph.stage(index).outs.iter();
        outs.filter(|out| entry.out(&out.path).is_none()).for_each(|out| self.state.leave_out(&out.path));
        self.locks.put(address, entry);
    }

    /// Puts back what stood at the outputs of a stage that did not succeed.
    pub(super) fn put_back(&mut self, index: StageIndex, aside: Aside) {
        self.state.forget_work_tree();
        let record = Record::PutBack { stage: self.target(index) };
        let put_back = aside.put_back(self.repo).and_then(|kept| {
            self.journal()?.note(&record.line())?;
            Ok(kept)
        });
        match put_back {
            Ok(kept) => self.rescued(index, kept),
            Err(problem) => self.leave_to_next(&problem),
        }
    }

    /// Leaves the journal, so that the next command does what could not be done now.
    fn leave_to_next(&mut self, problem: &OpError) {
        self.is_journal_kept = true;
        let message = format!(
            "the outputs of before cannot be put in order: {problem}; the next mlv command will try again"
        );
        self.reporter.event(&Event::Warning { message });
    }
}

/// Whether the command of the stage `target` ended well; `log` is the file with what it printed.
pub(in crate::ops) fn check_end(
    (target, definition): (&str, &Stage),
    end: Result<End, ExecError>,
    log: &str,
) -> Result<(), OpError> {
    let (stage, log) = (target.into(), log.to_owned());
    match end.map_err(StageError::from)? {
        End::Success if interrupted() => Err(OpError::Interrupted),
        End::Success => Ok(()),
        End::Code(code) => Err(StageError::Code { stage, code, log }.into()),
        End::Signal(signal) => Err(StageError::Signal { stage, signal, log }.into()),
        End::Interrupted => Err(OpError::Interrupted),
        End::TimedOut => {
            let limit = Span(definition.timeout.unwrap_or_default());
            Err(StageError::TimedOut { stage, limit, log }.into())
        }
    }
}

/// A new folder for what a command made that is wrong, instead of that of the last time, and its path from
/// the root.
pub(in crate::ops) fn failed_folder(repo: &Repo, target: &str) -> Result<(Dir, String), OpError> {
    let mlv = repo.mlv();
    let folder = RepoPath::own(FAILED).join(&RepoPath::own(&leases::file_name(target)));
    mlv.remove_all(&folder)?;
    mlv.create_dir_all(&folder)?;
    Ok((mlv.open_dir(&folder)?, format!(".mlv/{folder}")))
}
