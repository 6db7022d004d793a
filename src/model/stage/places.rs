//! Where in `mlv.yaml` a stage and what it names stand.

use std::sync::Arc;

use crate::model::path::RepoPath;
use crate::model::place::{Mark, Place, SourceText};

/// The places of a stage's name and of all that it names, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    source: Option<Arc<SourceText>>,
    stage: Mark,
    inputs: Vec<(RepoPath, Mark)>,
    outs: Vec<(RepoPath, Mark)>,
    /// By file and key.
    params: Vec<(RepoPath, Box<str>, Mark)>,
    needs: Vec<(Box<str>, Mark)>,
}

impl Places {
    /// Of a stage whose name stands at `stage` of `source`.
    pub fn new(source: &Arc<SourceText>, stage: Mark) -> Places {
        Places { source: Some(Arc::clone(source)), stage, ..Places::default() }
    }

    /// Notes a dependency, a pattern of some, or a parameter file.
    pub fn add_input(&mut self, path: &RepoPath, mark: Mark) {
        self.inputs.push((path.clone(), mark));
    }

    /// Notes an output.
    pub fn add_out(&mut self, path: &RepoPath, mark: Mark) {
        self.outs.push((path.clone(), mark));
    }

    /// Notes a parameter.
    pub fn add_param(&mut self, file: &RepoPath, key: &str, mark: Mark) {
        self.params.push((file.clone(), key.into(), mark));
    }

    /// Notes a stage that runs before.
    pub fn add_need(&mut self, stage: &str, mark: Mark) {
        self.needs.push((stage.into(), mark));
    }

    /// Of a dependency, a pattern or a parameter file.
    pub fn of_input(&self, path: &RepoPath) -> Place {
        self.place(self.inputs.iter().find(|(known, _)| known == path).map(|(_, mark)| *mark))
    }

    /// Of an output.
    pub fn of_out(&self, path: &RepoPath) -> Place {
        self.place(self.outs.iter().find(|(known, _)| known == path).map(|(_, mark)| *mark))
    }

    /// Of a parameter; of its file, where the stage reads all of that.
    pub fn of_param(&self, file: &RepoPath, key: &str) -> Place {
        let at = self.params.iter().find(|(known, named, _)| known == file && **named == *key);
        at.map_or_else(|| self.of_input(file), |(_, _, mark)| self.place(Some(*mark)))
    }

    /// Of a stage that runs before.
    pub fn of_need(&self, stage: &str) -> Place {
        self.place(self.needs.iter().find(|(known, _)| **known == *stage).map(|(_, mark)| *mark))
    }

    /// Of the stage itself.
    pub fn of_stage(&self) -> Place {
        self.place(None)
    }

    /// What is known of no place of its own stands where the stage does.
    fn place(&self, mark: Option<Mark>) -> Place {
        let mark = mark.unwrap_or(self.stage);
        self.source.as_ref().map_or_else(|| Place::of_file(""), |source| source.place(mark))
    }
}
