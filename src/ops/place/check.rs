//! What stops a checkout before it begins: data that only the work tree has.

use crate::fs::stamp::FileKind;
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::ops::place::{OutputPlan, Planner};
use crate::ops::tracked::{Source, Tracked};
use crate::ops::{OpError, OutputError, hints, links};

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
        // A link is no output, and one that leads out of its directory no part of one: nothing records it.
        let is_link = |path: &RepoPath| {
            let found = self.repo.dir().stat(path).ok().flatten();
            found.is_some_and(|stamp| stamp.kind == FileKind::Symlink)
                && tracked.containing(path).is_some_and(|(out, inside)| {
                    inside.is_empty() || !links::may_be_recorded(self.repo, &out.path, inside)
                })
        };
        let (links, own): (Vec<RepoPath>, Vec<RepoPath>) = own.into_iter().partition(is_link);
        let force = hints::for_outputs(self.repo, tracked, &format!("{command} --force"), &touched);
        if hints::are_many(&own) || hints::are_many(&made) || hints::are_many(&links) {
            let keep = hints::keep_by_rescue(&force);
            return Err(OutputError::WouldOverwrite { paths, keep, force }.into());
        }
        let keep =
            [("mlv add", own), ("mlv commit", made)].into_iter().filter(|(_, paths)| !paths.is_empty());
        let mut keep: Vec<String> =
            keep.map(|(keeping, paths)| format!("{keeping} {}", self.repo.shown_all(&paths))).collect();
        keep.extend(links.iter().map(|link| {
            // Beside its output, so that it is no part of that.
            let place = tracked.containing(link).map_or_else(
                || self.repo.shown(link),
                |(out, inside)| {
                    let inside = inside.replace('/', ".");
                    let dot = if inside.is_empty() { "" } else { "." };
                    format!("{}{dot}{inside}", self.repo.shown(&out.path))
                },
            );
            let (from, to) = (self.repo.shown(link), format!("{place}.mine"));
            format!("mv {} {}", shell::path(&from), shell::path(&to))
        }));
        Err(OutputError::WouldOverwrite { paths, keep: keep.join(" && "), force }.into())
    }
}
