//! Outputs that are not in the work tree: deleted, or never downloaded.

use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::present::WorkTreeState;
use crate::ops::state::{self, Verdict};

impl WorkTreeState<'_> {
    /// Whether mlv keeps the output and what is recorded of it was never here.
    pub fn is_not_downloaded(&self, output: &RepoPath) -> Result<bool, OpError> {
        // What git keeps is here wherever the lock is, unless somebody deleted it.
        let kept = self.tracked.containing(output).filter(|(out, inside)| out.cache && inside.is_empty());
        let Some(info) = kept.and_then(|(out, _)| out.content.as_ref()) else { return Ok(false) };
        let found = state::examine(self.repo, &self.scanner, &self.here, (output, info))?;
        Ok(matches!(found.verdict, Verdict::NotHere))
    }
}
