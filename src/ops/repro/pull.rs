//! `--pull`: what a decision or a run needs and what is not here comes from a remote.

use std::sync::Arc;

use crate::error::{Advice, ErrorKind};
use crate::model::lockfile::LockOut;
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::run::{RunInputs, RunRecord};
use crate::ops::fetch::by_remote;
use crate::ops::place::{Manner, OutputPlan, Planner, Wanted};
use crate::ops::repro::error::{Bring, StageError};
use crate::ops::repro::session::Session;
use crate::ops::share::bring::{self, Wish};
use crate::ops::share::{self, Access, NamedRemote};
use crate::ops::{OpError, trees};
use crate::pipeline::graph::StageIndex;
use crate::pipeline::plan::{self, OutChange, Reason, Verdict};
use crate::report::Event;

impl Session<'_> {
    /// Fetches the outputs of a stage that runs for nothing but that these are missing; returns
    /// whether to decide again.
    pub(super) fn pull_outputs(&mut self, index: StageIndex, verdict: &Verdict) -> Result<bool, OpError> {
        let Verdict::Run { reasons } = verdict else { return Ok(false) };
        let Some(lock) = self.locks.entry(self.graph.address(index)) else { return Ok(false) };
        let mut wishes = Vec::new();
        for reason in reasons {
            let Reason::Out { path, change: OutChange::Deleted | OutChange::Modified } = reason else {
                return Ok(false);
            };
            let Some(made) = lock.out(path) else { return Ok(false) };
            let out = self.graph.stage(index).outs.iter().find(|out| out.path == *path);
            let Some(out) = out.filter(|out| out.cache) else { return Ok(false) };
            let wish = Wish { output: path.clone(), info: made.content, inside: Vec::new() };
            wishes.push((out.remote.clone(), wish));
        }
        self.bring(wishes)?;
        self.state.forget_cache();
        Ok(true)
    }

    /// Fetches the lists of files without which nobody can say whether an input changed: of directories
    /// of which the stage reads a part.
    pub(super) fn pull_lists(&mut self, index: StageIndex) -> Result<(), OpError> {
        for path in &self.graph.stage(index).deps {
            if !self.state.found(path).is_err_and(|error| error.is_not_downloaded()) {
                continue;
            }
            for (out, _) in self.tracked.at(path) {
                if let Some(ContentInfo { id: ContentId::Tree(id), .. }) = out.content {
                    bring::bring_tree(self.repo, id, &out.path, self.reporter)?;
                }
            }
        }
        for pattern in &self.graph.stage(index).patterns {
            if !self.state.matches(pattern).is_err_and(|error| error.is_not_downloaded()) {
                continue;
            }
            for out in self.tracked.read_by(pattern) {
                let Some(info @ ContentInfo { id: ContentId::Tree(id), .. }) = out.content else { continue };
                let list = trees::read_content(self.repo, &info, &out.path);
                if list.is_err_and(|error| error.is_not_downloaded()) {
                    bring::bring_tree(self.repo, id, &out.path, self.reporter)?;
                }
            }
        }
        Ok(())
    }

    /// Fetches what a past run with the present inputs made, if the remote knows one; returns whether to
    /// decide again.
    pub(super) fn pull_past_run(&mut self, index: StageIndex, verdict: &Verdict) -> Result<bool, OpError> {
        let is_forced = self.options.force || self.forced.contains(&index) || self.options.no_run_cache;
        if is_forced || !matches!(verdict, Verdict::Run { .. }) {
            return Ok(false);
        }
        let (repo, reporter, stage) = (self.repo, self.reporter, self.graph.stage(index));
        let inputs = plan::present_inputs(stage, &self.state)?;
        let Some(run) = inputs.and_then(|inputs| RunInputs::of(stage, &inputs)) else { return Ok(false) };
        let name = stage.outs.iter().find(|out| out.cache).and_then(|out| out.remote.clone());
        let Some(from) = self.remote(name.clone().map(String::from))? else { return Ok(false) };
        match bring::bring_runs(repo, from, &[run.key()], reporter) {
            Err(OpError::Interrupted) => return Err(OpError::Interrupted),
            Err(error) => self.cannot_use(error),
            Ok(()) => {}
        }
        let records = repo.cache()?.run_records(run.key());
        let claim = records.iter().find_map(|bytes| RunRecord::parse(bytes)?.lock_outs(stage));
        let Some(outs) = claim else { return Ok(false) };
        let wish = |out: LockOut| Wish { output: out.path, info: out.content, inside: Vec::new() };
        self.bring(outs.into_iter().map(|out| (name.clone(), wish(out))).collect())?;
        self.state.forget_cache();
        Ok(true)
    }

    /// Fetches and puts into place what a stage reads and what is not, or only partly, here.
    pub(super) fn pull_inputs(&mut self, index: StageIndex) -> Result<(), OpError> {
        let (mut wishes, mut wanted) = (Vec::new(), Vec::new());
        let stage = self.graph.stage(index);
        let deps = self.state.deps_of(stage)?;
        for path in deps.iter().chain(stage.params.iter().map(|wanted| &wanted.file)) {
            let found = self.state.found(path)?;
            if found.is_some_and(|found| !found.is_partial) {
                continue;
            }
            // The output that it lies in, or those that lie in it.
            for (out, inside) in self.tracked.at(path).into_iter().filter(|(out, _)| out.cache) {
                let Some(info) = self.recorded(&out.path).or(out.content) else { continue };
                let inside: Vec<Box<str>> = if inside.is_empty() { Vec::new() } else { vec![inside.into()] };
                let wish = Wish { output: out.path.clone(), info, inside: inside.clone() };
                wishes.push((out.remote.clone(), wish));
                wanted.push(Wanted { output: out.path.clone(), info: Some(info), inside });
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.bring(wishes)?;
        // An input that the user edited stays: with what is missing beside it, it is what the stage reads.
        self.place(index, wanted, OutputPlan::only_add)
    }

    /// Makes the work tree what is wanted, as far as `limit` says.
    pub(super) fn place(
        &mut self,
        index: StageIndex,
        wanted: Vec<Wanted>,
        limit: fn(OutputPlan) -> OutputPlan,
    ) -> Result<(), OpError> {
        let planner = Planner::new(self.repo, self.reporter)?;
        let plans = wanted.into_iter().map(|wanted| planner.plan(wanted, Manner::default()).map(limit));
        let plans: Result<_, _> = plans.collect();
        for placed in planner.apply(plans?, "mlv repro")? {
            if let Some((_, error)) = placed.failed.into_iter().next() {
                return Err(error);
            }
            self.rescued(index, placed.kept);
        }
        self.state.forget_cache();
        self.state.forget_work_tree();
        Ok(())
    }

    /// What this run knows of an output: newer than what was tracked when it began.
    fn recorded(&self, path: &RepoPath) -> Option<ContentInfo> {
        let maker = self.graph.maker(path)?;
        let lock = self.locks.entry(self.graph.address(maker))?;
        lock.out(path).map(|made| made.content)
    }

    /// What does not come is told: the stage then runs, or says what it lacks.
    pub(super) fn bring(&mut self, wishes: Vec<(Option<Box<str>>, Wish)>) -> Result<(), OpError> {
        for (name, wishes) in by_remote(wishes, None) {
            if wishes.is_empty() {
                continue;
            }
            let (repo, reporter) = (self.repo, self.reporter);
            let Some(from) = self.remote(name)? else { continue };
            match bring::bring(repo, from, &wishes, reporter) {
                Err(OpError::Interrupted) => return Err(OpError::Interrupted),
                Err(error) => self.cannot_use(error),
                Ok(brought) => brought.failed.iter().for_each(|(_, error)| self.warn(error)),
            }
        }
        Ok(())
    }

    /// The remote, opened once; nothing if that failed, which is told once.
    fn remote(&mut self, name: Option<String>) -> Result<Option<&mut NamedRemote>, OpError> {
        if !self.remotes.contains_key(&name) {
            let opened = match share::open(self.repo, name.as_deref(), Access::Read, self.reporter) {
                Ok(opened) => Some(opened),
                Err(OpError::Interrupted) => return Err(OpError::Interrupted),
                Err(error) => {
                    self.cannot_use(error);
                    None
                }
            };
            self.remotes.insert(name.clone(), opened);
        }
        Ok(self.remotes.get_mut(&name).and_then(Option::as_mut))
    }

    /// Tells of a remote that cannot be used. The run goes on as far as it gets without.
    fn cannot_use(&mut self, error: OpError) {
        self.warn(&error);
        if error.kind().info().exit_code == ErrorKind::Network.info().exit_code {
            self.no_remote.get_or_insert(Arc::new(error));
        }
    }

    /// Why a stage failed: where it lacks what a remote has that cannot be used, for that reason, which may
    /// pass.
    pub(super) fn for_want_of_remote(&self, index: StageIndex, error: OpError) -> OpError {
        let is_missing = |error: &StageError| {
            matches!(error, StageError::MissingInputs { remedy: Some(Bring { is_in_cache: false, .. }), .. })
        };
        let is_lacking =
            error.is_not_downloaded() || matches!(&error, OpError::Stage(error) if is_missing(error));
        match &self.no_remote {
            Some(cause) if is_lacking => {
                StageError::NotPulled { stage: self.target(index).into(), cause: Arc::clone(cause) }.into()
            }
            _ => error,
        }
    }

    fn warn(&self, error: &OpError) {
        self.reporter.event(&Event::Warning { message: format!("cannot pull: {error}") });
    }
}
