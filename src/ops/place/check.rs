//! What stops a checkout before it begins: data that only the work tree has.

use crate::fs::stamp::FileKind;
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::ops::place::{OutputPlan, Planner};
use crate::ops::tracked::{Source, Tracked};
use crate::ops::{OpError, OutputError};

impl Planner<'_> {
    /// Fails with `WouldOverwrite` if anything unsaved stands in the way of any plan; of a stage's output
    /// not `add` keeps that, but `commit`.
    pub fn check(&self, plans: &[OutputPlan], tracked: &Tracked, command: &str) -> Result<(), OpError> {
        let mut paths: Vec<RepoPath> = plans
            .iter()
            .flat_map(|plan| plan.plan.unsaved.iter().map(|entry| plan.wanted.output.join_entry(&entry.path)))
            .collect();
        if paths.is_empty() {
            return Ok(());
        }
        paths.sort();
        let touched: Vec<RepoPath> = plans
            .iter()
            .filter(|plan| !plan.plan.unsaved.is_empty())
            .map(|plan| plan.wanted.output.clone())
            .collect();
        let is_made = |path: &RepoPath| {
            tracked.containing(path).is_some_and(|(out, _)| matches!(out.source, Source::Stage { .. }))
        };
        let (made, own): (Vec<RepoPath>, Vec<RepoPath>) = paths.iter().cloned().partition(is_made);
        let made: Vec<RepoPath> = touched
            .iter()
            .filter(|output| made.iter().any(|path| path.starts_with(output)))
            .cloned()
            .collect();
        // A link is no output: nothing records it.
        let is_link = |path: &RepoPath| {
            let found = self.repo.dir().stat(path).ok().flatten();
            touched.contains(path) && found.is_some_and(|stamp| stamp.kind == FileKind::Symlink)
        };
        let (links, own): (Vec<RepoPath>, Vec<RepoPath>) = own.into_iter().partition(is_link);
        let keep =
            [("mlv add", own), ("mlv commit", made)].into_iter().filter(|(_, paths)| !paths.is_empty());
        let mut keep: Vec<String> =
            keep.map(|(keeping, paths)| format!("{keeping} {}", self.repo.shown_all(&paths))).collect();
        keep.extend(links.iter().map(|link| {
            let path = self.repo.shown(link);
            format!("mv {} {}", shell::path(&path), shell::path(&format!("{path}.mine")))
        }));
        let (keep, force) =
            (keep.join(" && "), format!("{command} --force {}", self.repo.shown_all(&touched)));
        Err(OutputError::WouldOverwrite { paths, keep, force }.into())
    }
}
