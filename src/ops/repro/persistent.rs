//! Outputs with `persist`: before the command starts they are what the lock records, whichever clone or
//! branch it is.

use crate::error::Advice;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::place::Wanted;
use crate::ops::present::Lag;
use crate::ops::repro::error::StageError;
use crate::ops::repro::session::Session;
use crate::ops::share::bring::Wish;
use crate::pipeline::graph::StageIndex;
use crate::report::Event;

impl Session<'_> {
    /// Puts in place what a stage left in its outputs with `persist` and goes on from. What the user edited
    /// there stays, and what the user deleted is gone; the latter is told.
    ///
    /// Fails where it is not downloaded: a run from nothing would be recorded as one that goes on.
    pub(super) fn place_persistent(&mut self, index: StageIndex) -> Result<(), OpError> {
        let Some(lock) = self.locks.entry(self.graph.address(index)) else { return Ok(()) };
        let (mut wishes, mut wanted) = (Vec::new(), Vec::new());
        for out in self.graph.stage(index).outs.iter().filter(|out| out.persist && out.cache) {
            let Some(info) = lock.out(&out.path).map(|made| made.content) else { continue };
            let inside = match self.state.lag(&out.path, &info)? {
                None => continue,
                Some(Lag::Deleted) => {
                    let (path, stage) = (&out.path, self.target(index));
                    let message = format!("`{path}` was deleted here: stage `{stage}` begins without it");
                    self.reporter.event(&Event::Warning { message });
                    continue;
                }
                Some(Lag::Behind) => Vec::new(),
                // Edits and deletions of the user are in what is here.
                Some(Lag::Partial(absent)) => absent,
            };
            let output = out.path.clone();
            let wish = Wish { output: output.clone(), info, inside: inside.clone() };
            wishes.push((out.remote.clone(), wish));
            wanted.push(Wanted { output, info: Some(info), inside });
        }
        if wanted.is_empty() {
            return Ok(());
        }
        if self.options.pull {
            self.bring(wishes)?;
        }
        let paths: Vec<RepoPath> = wanted.iter().map(|wanted| wanted.output.clone()).collect();
        let placed = self.place(index, wanted, |plan| plan);
        placed.map_err(|error| self.says_which(index, &paths, error))
    }

    /// Names the whole output where a part of it is not downloaded: all that lacks has to come.
    fn says_which(&self, index: StageIndex, paths: &[RepoPath], error: OpError) -> OpError {
        let absent = error.subject().and_then(|subject| RepoPath::parse(&subject).ok());
        let absent = absent.filter(|_| error.is_not_downloaded());
        let path = absent.and_then(|absent| paths.iter().find(|path| absent.starts_with(path)));
        match path.cloned() {
            Some(path) => StageError::PartialInput { stage: self.target(index).into(), path }.into(),
            None => error,
        }
    }
}
