//! Outputs with `persist`: before the command starts they are what the lock records, whichever clone or
//! branch it is.

use crate::ops::OpError;
use crate::ops::place::Wanted;
use crate::ops::present::Lag;
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
            match self.state.lag(&out.path, &info)? {
                None => {}
                Some(Lag::Deleted) => {
                    let (path, stage) = (&out.path, self.target(index));
                    let message = format!("`{path}` was deleted here: stage `{stage}` begins without it");
                    self.reporter.event(&Event::Warning { message });
                }
                Some(Lag::Behind) => {
                    let output = out.path.clone();
                    wishes.push((
                        out.remote.clone(),
                        Wish { output: output.clone(), info, inside: Vec::new() },
                    ));
                    wanted.push(Wanted { output, info: Some(info), inside: Vec::new() });
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        if self.options.pull {
            self.bring(wishes)?;
        }
        self.place(index, wanted, |plan| plan)
    }
}
