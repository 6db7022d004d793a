//! Outputs that are not in the work tree: deleted, or never downloaded.

use std::collections::HashSet;

use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::ops::present::WorkTreeState;
use crate::ops::state::{self, Verdict};
use crate::ops::{OpError, held};

/// How an output is other than what is recorded of it, but for what was edited in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lag {
    /// It was here and is gone.
    Deleted,
    /// Some of it was never here, or is still that of another commit.
    Behind,
    /// These paths in it were never here, and what is here was edited.
    Partial(Vec<Box<str>>),
}

/// What an edited directory lacks that was never here.
fn partial(verdict: &Verdict) -> Option<Lag> {
    let Verdict::Directory(directory) = verdict else { return None };
    let absent: Vec<Box<str>> = directory.not_here.iter().map(|entry| entry.bare_path().into()).collect();
    (!absent.is_empty()).then_some(Lag::Partial(absent))
}

impl WorkTreeState<'_> {
    /// How the output lags behind `info`; nothing where all that differs was edited here.
    pub fn lag(&self, output: &RepoPath, info: &ContentInfo) -> Result<Option<Lag>, OpError> {
        let found = state::examine(self.repo, &self.scanner, &self.here, (output, info))?;
        let put = held::put_there(self.repo, &self.here, output, Some(info.id)).entries;
        let put: HashSet<_> = put.iter().map(held::identity).collect();
        let entries = found.present.tree_entries();
        let is_untouched =
            !put.is_empty() && entries.iter().all(|entry| put.contains(&held::identity(entry)));
        let lag = match &found.verdict {
            Verdict::Same => None,
            Verdict::Deleted => Some(Lag::Deleted),
            Verdict::NotHere | Verdict::Unknown => Some(Lag::Behind),
            Verdict::Directory(directory) if directory.changes.is_empty() && directory.renames.is_empty() => {
                (!directory.not_here.is_empty()).then_some(Lag::Behind)
            }
            Verdict::Modified | Verdict::Directory(_) => {
                let is_other = is_untouched && !held::is_current(&self.here, output, info.id);
                if is_other { Some(Lag::Behind) } else { partial(&found.verdict) }
            }
        };
        Ok(lag)
    }

    /// Whether mlv keeps the output and what is recorded of it was never here.
    pub fn is_not_downloaded(&self, output: &RepoPath) -> Result<bool, OpError> {
        // What git keeps is here wherever the lock is, unless somebody deleted it.
        let kept = self.tracked.containing(output).filter(|(out, inside)| out.cache && inside.is_empty());
        let Some(info) = kept.and_then(|(out, _)| out.content.as_ref()) else { return Ok(false) };
        let found = state::examine(self.repo, &self.scanner, &self.here, (output, info))?;
        Ok(matches!(found.verdict, Verdict::NotHere))
    }
}
