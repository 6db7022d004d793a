//! The outputs that targets mean, gathered target by target.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::ops::OpError;
use crate::ops::targets::{Meaning, Selected};
use crate::ops::tracked::{Source, Tracked, TrackedOut};
use crate::pipeline::graph::{Graph, Selection};

/// Outputs gathered target by target.
pub(super) struct Chosen<'t> {
    tracked: &'t Tracked,
    /// By output: the parts, or nothing for all of it.
    parts: BTreeMap<&'t RepoPath, Option<BTreeSet<Box<str>>>>,
}

impl<'t> Chosen<'t> {
    pub(super) fn new(tracked: &'t Tracked) -> Chosen<'t> {
        Chosen { tracked, parts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, out: &'t TrackedOut, inside: &str) {
        let parts = self.parts.entry(&out.path).or_insert_with(|| Some(BTreeSet::new()));
        match parts {
            _ if inside.is_empty() => *parts = None,
            Some(parts) => drop(parts.insert(inside.into())),
            None => {}
        }
    }

    pub(super) fn add_meaning(&mut self, meaning: &Meaning<'t>) {
        let tracked = self.tracked;
        match meaning {
            Meaning::Output(out, inside) => self.add(out, inside),
            Meaning::Folder(folder) => tracked.below(folder).for_each(|out| self.add(out, "")),
            Meaning::Stage(_, stage) => self.add_outs(stage),
        }
    }

    fn add_outs(&mut self, stage: &Stage) {
        let tracked = self.tracked;
        stage.outs.iter().filter_map(|out| tracked.out(&out.path)).for_each(|out| self.add(out, ""));
    }

    /// Adds what the stages of the chosen outputs depend on, all the way up.
    pub(super) fn add_upstream(&mut self) -> Result<(), OpError> {
        let tracked = self.tracked;
        let pipelines = tracked.pipelines().iter().map(|known| (*known.pipeline).clone());
        let graph = Graph::build(pipelines.collect())?;
        let stages = self.parts.keys().filter_map(|path| match &tracked.out(path)?.source {
            Source::Stage { file, stage } => graph.find(file, stage),
            Source::Pointer { .. } => None,
        });
        let stages: Vec<_> = stages.collect();
        for index in graph.select(&stages, Selection::WithUpstream) {
            let stage = graph.stage(index);
            self.add_outs(stage);
            for dep in &stage.deps {
                match tracked.containing(dep) {
                    Some((out, inside)) => self.add(out, inside),
                    None => tracked.below(dep).for_each(|out| self.add(out, "")),
                }
            }
            for pattern in &stage.patterns {
                tracked.read_by(pattern).for_each(|out| self.add(out, ""));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<Selected<'t>> {
        let tracked = self.tracked;
        let selected = self.parts.into_iter().filter_map(|(path, parts)| {
            let out = tracked.out(path)?;
            Some(Selected { out, inside: outermost(parts.unwrap_or_default()) })
        });
        selected.collect()
    }
}

/// The paths that lie in no other of them, sorted.
fn outermost(paths: BTreeSet<Box<str>>) -> Vec<Box<str>> {
    let covered = |path: &str| path.match_indices('/').any(|(end, _)| paths.contains(&path[..end]));
    paths.iter().filter(|path| !covered(path)).cloned().collect()
}
