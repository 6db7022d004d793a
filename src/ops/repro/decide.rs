//! What is done with one stage when those above it are done: nothing, bringing its outputs back,
//! or a run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::error::{Advice, ErrorKind};
use crate::fs;
use crate::fs::lock::StageLease;
use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::ops::place::{Manner, Planner, Wanted};
use crate::ops::record::Request;
use crate::ops::repro::frozen::lost_result;
use crate::ops::repro::run::Hold;
use crate::ops::repro::session::Session;
use crate::ops::repro::workers::Workers;
use crate::ops::repro::{Action, OnFailure};
use crate::ops::stage_status::{form, form_here};
use crate::ops::{OpError, leases};
use crate::pipeline::graph::StageIndex;
use crate::pipeline::plan::{self, OutChange, Repair, SkipReason, Verdict};
use crate::report::Event;

/// Waiting is told after so long.
pub(super) const TELL_AFTER: Duration = Duration::from_secs(1);

/// What became of a stage.
pub(super) enum Taken {
    /// Nothing is left to be done.
    Done,
    /// Its command runs.
    Begun,
    /// Another process has it.
    PutOff,
}

/// A stage whose outputs are to be brought back.
pub(super) struct Pending {
    stage: StageIndex,
    wanted: Vec<Wanted>,
    /// Where they come from, for people.
    from: &'static str,
    /// What its lock entry is then, unless it stays as it is.
    entry: Option<StageLock>,
    _lease: StageLease,
}

impl Session<'_> {
    /// Decides what to do with a stage and does it, or begins to.
    pub(super) fn stage(&mut self, index: StageIndex, workers: &Workers<'_, '_>) -> Result<Taken, OpError> {
        if self.starved.contains(&index) && !self.may_get_resources(index) {
            return Ok(Taken::PutOff);
        }
        if self.reads_what_is_made(index)? {
            return Ok(Taken::PutOff);
        }
        // What it reads may lie in, or around, what was brought back: then that has to stand there.
        if self.reads_pending(index) {
            self.place_pending()?;
            self.state.forget_work_tree();
            if self.schedule.is_held_up(index) {
                return Ok(Taken::PutOff);
            }
        }
        let mut verdict = if self.options.pull { self.decide_and_pull(index)? } else { self.decide(index)? };
        if let Verdict::Skip { why } = verdict {
            return Ok(self.skip(index, why));
        }
        if matches!(verdict, Verdict::Run { .. } | Verdict::Reuse { .. }) {
            self.locks.check_writable(self.graph.address(index))?;
        }
        self.state.warn_of_other_commits(self.reporter);
        let Some((lease, is_news)) = self.lease(index)? else { return Ok(Taken::PutOff) };
        if is_news {
            // Somebody else may have done it. What is pending stands nowhere yet.
            self.place_pending()?;
            self.state.forget_all();
            verdict = self.decide(index)?;
        }
        if matches!(verdict, Verdict::Run { .. }) {
            self.place_pending()?;
        }
        if self.schedule.is_held_up(index) {
            return Ok(Taken::PutOff);
        }
        match verdict {
            Verdict::Skip { why } => Ok(self.skip(index, why)),
            Verdict::Restore { repairs } => self.restore(index, repairs, lease),
            Verdict::Reuse { reasons, entry, repairs } => {
                self.line(index).reasons = form_here(&reasons, &self.state)?;
                self.reuse(index, (*entry, repairs), lease)
            }
            Verdict::Run { reasons } => {
                if let Some(error) = lost_result((&self.target(index), self.graph.stage(index)), &reasons) {
                    return Err(error.into());
                }
                let Some(grant) = self.grant(index)? else {
                    self.starved.insert(index);
                    return Ok(Taken::PutOff);
                };
                let Some(inputs) = self.share_inputs(index)? else { return Ok(Taken::PutOff) };
                self.starved.remove(&index);
                self.line(index).reasons = form_here(&reasons, &self.state)?;
                self.begin(index, Hold { tries: 0, grant, _lease: lease, _inputs: inputs }, workers)?;
                Ok(Taken::Begun)
            }
            // Only a plan knows stages whose inputs nobody knows yet.
            Verdict::Waits { .. } => Ok(Taken::Done),
        }
    }

    /// Decides with what a remote has: the lists without which nobody knows, and results instead of a run.
    fn decide_and_pull(&mut self, index: StageIndex) -> Result<Verdict, OpError> {
        self.pull_lists(index)?;
        let mut verdict = self.decide(index)?;
        if self.pull_outputs(index, &verdict)? {
            verdict = self.decide(index)?;
        }
        if self.pull_past_run(index, &verdict)? {
            verdict = self.decide(index)?;
        }
        Ok(verdict)
    }

    /// Whether another process runs, right now, a stage that this one builds on and that this run leaves
    /// alone: what stands at its outputs may be half made.
    fn reads_what_is_made(&mut self, index: StageIndex) -> Result<bool, OpError> {
        let graph = self.graph;
        for above in graph.upstream(index).filter(|above| !self.schedule.has(*above)) {
            match leases::try_share(self.repo, &graph.address(above).to_string()) {
                Err(fs::Error::Busy { holder, .. }) if self.repo.waits() => {
                    self.tell_of_waiting(index, holder);
                    self.held_back.insert(index);
                    return Ok(true);
                }
                Err(error @ fs::Error::Busy { .. }) => return Err(error.into()),
                // On a disk that cannot be written nobody runs anything.
                Ok(_) | Err(_) => {}
            }
        }
        if self.held_back.remove(&index) {
            self.place_pending()?;
            self.state.forget_all();
        }
        Ok(false)
    }

    /// Shares in the leases of the stages that made what a stage reads, which keep others from changing that
    /// while it runs; nothing where another process has done so since, or is at it: then decide anew.
    fn share_inputs(&mut self, index: StageIndex) -> Result<Option<Vec<StageLease>>, OpError> {
        let (graph, mut shares, mut is_news) = (self.graph, Vec::new(), false);
        for above in graph.upstream(index) {
            let address = graph.address(above);
            match leases::try_share(self.repo, &address.to_string()) {
                Ok(share) => shares.push(share),
                Err(fs::Error::Busy { holder, .. }) if self.repo.waits() => {
                    self.tell_of_waiting(index, holder);
                    is_news = true;
                }
                Err(error @ fs::Error::Busy { .. }) => return Err(error.into()),
                Err(_) => {}
            }
            self.journal()?;
            if let Some(journal) = &self.journal {
                is_news |= self.locks.refresh(address, journal)?;
            }
        }
        if is_news {
            self.held_back.insert(index);
        }
        Ok((!is_news).then_some(shares))
    }

    /// Whether an input of the stage is a part of an output that is still to be brought back, or holds one.
    fn reads_pending(&self, index: StageIndex) -> bool {
        let pending = || self.pending.iter().flat_map(|one| &one.wanted).map(|wanted| &wanted.output);
        let overlaps = |path: &RepoPath, out: &RepoPath| path.starts_with(out) || out.starts_with(path);
        let stage = self.graph.stage(index);
        let mut deps = stage.deps.iter();
        deps.any(|path| pending().any(|out| path != out && overlaps(path, out)))
            || stage.patterns.iter().any(|pattern| pending().any(|out| pattern.touches(out)))
            || stage.params.iter().any(|wanted| pending().any(|out| overlaps(&wanted.file, out)))
    }

    fn decide(&self, index: StageIndex) -> Result<Verdict, OpError> {
        let lock = self.locks.entry(self.graph.address(index));
        let mut options = self.options.plan();
        options.force |= self.forced.contains(&index);
        plan::decide(self.graph.stage(index), lock, &self.state, options)
    }

    /// The right to change what belongs to a stage, and whether its entry may be another by now;
    /// nothing while another process has it.
    fn lease(&mut self, index: StageIndex) -> Result<Option<(StageLease, bool)>, OpError> {
        let address = self.graph.address(index);
        let lease = match leases::try_acquire(self.repo, &address.to_string()) {
            Ok(lease) => lease,
            Err(fs::Error::Busy { holder, .. }) if self.repo.waits() => {
                self.tell_of_waiting(index, holder);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let has_waited = self.waits.remove(&index).is_some();
        self.journal()?;
        let is_news = match &self.journal {
            Some(journal) => self.locks.refresh(address, journal)?,
            None => false,
        };
        Ok(Some((lease, has_waited || is_news)))
    }

    pub(super) fn tell_of_waiting(&mut self, index: StageIndex, holder: String) {
        let (since, is_told) = self.waits.entry(index).or_insert_with(|| (Instant::now(), false));
        if !*is_told && since.elapsed() >= TELL_AFTER {
            *is_told = true;
            self.reporter.event(&Event::Waiting { holder });
        }
    }

    fn skip(&mut self, index: StageIndex, why: SkipReason) -> Taken {
        self.update_flags(index);
        let event = Event::StageSkipped { stage: self.target(index), why: why.as_str().to_owned() };
        self.reporter.event(&event);
        let line = self.line(index);
        line.action = Action::Skipped;
        line.reasons = vec![why.as_str().into()];
        Taken::Done
    }

    /// Where outputs go may change without a run.
    fn update_flags(&mut self, index: StageIndex) {
        let address = self.graph.address(index);
        if self.locks.check_writable(address).is_err() {
            return;
        }
        let changed = self.locks.entry(address).and_then(|lock| lock.with_flags_of(self.graph.stage(index)));
        if let Some(entry) = changed {
            self.locks.put(address, entry);
            self.reflagged.insert(index);
        }
    }

    fn restore(
        &mut self,
        index: StageIndex,
        repairs: Vec<Repair>,
        lease: StageLease,
    ) -> Result<Taken, OpError> {
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
        if !wanted.is_empty() {
            self.prepare(index)?;
        }
        self.update_flags(index);
        let line = self.line(index);
        line.action = Action::Restored;
        line.reasons = form(&repairs.iter().map(reason_of).collect::<Vec<_>>());
        if wanted.is_empty() {
            self.tell_restored(index, "work tree");
        } else {
            let pending = Pending { stage: index, wanted, from: "cache", entry: None, _lease: lease };
            self.pending.push(pending);
        }
        Ok(Taken::Done)
    }

    /// Takes what a past run made.
    fn reuse(
        &mut self,
        index: StageIndex,
        (entry, repairs): (StageLock, Vec<Repair>),
        lease: StageLease,
    ) -> Result<Taken, OpError> {
        self.prepare(index)?;
        let wanted = |repair: &Repair| {
            self.state.set(&repair.path, repair.content);
            Wanted { output: repair.path.clone(), info: Some(repair.content), inside: Vec::new() }
        };
        let wanted = repairs.iter().map(wanted).collect();
        self.line(index).action = Action::Restored;
        let entry = Some(entry);
        self.pending.push(Pending { stage: index, wanted, from: "run cache", entry, _lease: lease });
        Ok(Taken::Done)
    }

    fn tell_restored(&self, index: StageIndex, from: &str) {
        let event = Event::StageRestored { stage: self.target(index), from: from.to_owned() };
        self.reporter.event(&event);
    }

    /// An output that is what the lock says, and that the cache has lost.
    fn store_again(&mut self, repair: &Repair) -> Result<(), OpError> {
        if self.options.no_commit {
            return Ok(());
        }
        let request =
            Request { output: &repair.path, known: None, inside: &[], store: true, take_back: true };
        let recorded = self.recording()?.output(request)?;
        if recorded.info.id != repair.content.id {
            let path = self.repo.dir().full(&repair.path);
            return Err(fs::Error::ChangedMeanwhile { path }.into());
        }
        Ok(())
    }

    /// Brings outputs back that the cache has. What it has not, or has wrong, after all is decided again.
    pub(super) fn place_pending(&mut self) -> Result<(), OpError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let planner = Planner::new(self.repo, self.reporter)?;
        let (mut plans, mut failed) = (Vec::new(), Vec::new());
        for wanted in pending.iter().flat_map(|one| &one.wanted) {
            match planner.plan(wanted.clone(), Manner { force: true, clean: true, ..Manner::default() }) {
                Ok(plan) => plans.push(plan),
                Err(error) => failed.push((wanted.output.clone(), error)),
            }
        }
        let owner = |path: &RepoPath| {
            let mut owners =
                pending.iter().filter(|one| one.wanted.iter().any(|wanted| wanted.output == *path));
            owners.next().map(|one| one.stage)
        };
        for placed in planner.apply(plans, "mlv repro")? {
            if let Some(stage) = owner(&placed.output) {
                self.rescued(stage, placed.kept);
            }
            let output = placed.output;
            failed.extend(placed.failed.into_iter().map(|(_, error)| (output.clone(), error)));
        }
        let mut undone = BTreeSet::new();
        for (path, error) in failed {
            self.state.forget_work_tree();
            let Some(stage) = owner(&path).filter(|stage| !undone.contains(stage)) else { continue };
            if self.is_undone(stage, &error) {
                undone.insert(stage);
            } else {
                self.fail(stage, error);
            }
        }
        // Only now: an entry tells what is in place.
        for Pending { stage, from, entry, .. } in &pending {
            if self.has_failed(*stage) || undone.contains(stage) {
                continue;
            }
            self.tell_restored(*stage, from);
            if let Some(entry) = entry {
                self.note_finished(*stage, entry)?;
                self.put_entry(*stage, entry.clone());
            }
        }
        Ok(())
    }

    /// Has a stage decided again whose outputs the cache turns out to lack: they can be made. Once: what
    /// cannot be put aside would be found again.
    fn is_undone(&mut self, stage: StageIndex, error: &OpError) -> bool {
        let is_lacking = matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotDownloaded);
        let is_stopped = self.options.on_failure == OnFailure::Stop && self.has_failures();
        if !is_lacking || is_stopped || self.has_failed(stage) || !self.undone.insert(stage) {
            return false;
        }
        let target = self.target(stage);
        let message = format!("what stage `{target}` made cannot be brought back: {error}");
        self.reporter.event(&Event::Warning { message });
        self.state.forget_all();
        self.schedule.again(stage);
        true
    }
}

/// A repair as the reason that it is.
fn reason_of(repair: &Repair) -> plan::Reason {
    plan::Reason::Out { path: repair.path.clone(), change: repair.change }
}
