//! What the last `repro` here did with which stage: for `report`, nothing depends on it.

use std::collections::BTreeMap;

use crate::fs::atomic;
use crate::git::repo::CommitId;
use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::ops::repro::{Action, StageReport};
use crate::repo::Repo;

/// The file, below mlv's own folder.
const FILE: &str = "last-repro";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;
const VERSION: u32 = 1;

/// What was done with a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It ran.
    Run,
    /// Its outputs were brought back.
    Restored,
}

/// A stage that was run or restored.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct StageDone {
    done: Done,
    seconds: Option<f64>,
    /// What its outputs were then: path and hash.
    outs: Vec<(String, String)>,
}

/// All that was run or restored while one commit was checked out.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct LastRepro {
    version: u32,
    commit: Option<String>,
    stages: BTreeMap<String, StageDone>,
}

impl LastRepro {
    /// What is known; nothing where the file is missing, damaged or another version's.
    pub fn load(repo: &Repo) -> LastRepro {
        let bytes = repo.mlv().read_file(&RepoPath::own(FILE), MAX_FILE).unwrap_or_default();
        let last: LastRepro = serde_json::from_slice(&bytes).unwrap_or_default();
        if last.version == VERSION { last } else { LastRepro { version: VERSION, ..LastRepro::default() } }
    }

    /// Whether it was at this commit.
    pub fn is_at(&self, commit: Option<CommitId>) -> bool {
        self.version == VERSION && self.commit == commit.map(|commit| commit.to_string())
    }

    /// What was done with a stage, and how long it ran, if its lock entry is still that of then.
    pub fn of(&self, stage: &str, entry: &StageLock) -> Option<(Done, Option<f64>)> {
        let known = self.stages.get(stage)?;
        (known.outs == outs(entry)).then_some((known.done, known.seconds))
    }

    /// Adds what was done to the file, as far as it can be written; `entry` gives the lock entries.
    pub(super) fn note<'e>(
        repo: &Repo,
        stages: &[StageReport],
        entry: impl Fn(&str) -> Option<&'e StageLock>,
    ) {
        let mut last = LastRepro::load(repo);
        let commit = repo.git().and_then(|git| git.head().ok().flatten());
        if !last.is_at(commit) {
            let commit = commit.map(|commit| commit.to_string());
            last = LastRepro { version: VERSION, commit, stages: BTreeMap::new() };
        }
        let mut is_news = false;
        for stage in stages {
            let done = match stage.action {
                Action::Run => Done::Run,
                Action::Restored => Done::Restored,
                _ => continue,
            };
            if let Some(entry) = entry(&stage.stage) {
                let outs = outs(entry);
                last.stages.insert(stage.stage.clone(), StageDone { done, seconds: stage.seconds, outs });
                is_news = true;
            }
        }
        if is_news {
            let bytes = serde_json::to_vec(&last).expect("it has text keys");
            // Without it a report tells less.
            let _ = atomic::write_hint(repo.mlv(), &RepoPath::own(FILE), &[&bytes]);
        }
    }
}

fn outs(entry: &StageLock) -> Vec<(String, String)> {
    entry.outs.iter().map(|out| (out.path.to_string(), out.content.id.to_string())).collect()
}
