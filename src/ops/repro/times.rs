//! How long the last run of each stage took on this machine: for estimates, nothing depends on it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fs::atomic;
use crate::model::path::RepoPath;
use crate::repo::Repo;

/// The file, below mlv's own folder.
const FILE: &str = "times";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Milliseconds by the stage's name as a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Times {
    version: u32,
    millis: BTreeMap<String, u64>,
}

const VERSION: u32 = 1;

impl Times {
    /// What is known; nothing where the file is missing, damaged or another version's.
    pub(super) fn load(repo: &Repo) -> Times {
        let bytes = repo.mlv().read_file(&RepoPath::own(FILE), MAX_FILE).unwrap_or_default();
        let times: Times = serde_json::from_slice(&bytes).unwrap_or_default();
        if times.version == VERSION { times } else { Times { version: VERSION, ..Times::default() } }
    }

    pub(super) fn of(&self, target: &str) -> Option<Duration> {
        self.millis.get(target).copied().map(Duration::from_millis)
    }

    /// Adds what was measured to the file, as far as it can be written.
    pub(super) fn add(repo: &Repo, measured: BTreeMap<String, u64>) {
        if measured.is_empty() {
            return;
        }
        let mut times = Times::load(repo);
        times.millis.extend(measured);
        let bytes = serde_json::to_vec(&times).expect("times have text keys");
        // Without it there is no estimate.
        let _ = atomic::write_hint(repo.mlv(), &RepoPath::own(FILE), &[&bytes]);
    }
}
