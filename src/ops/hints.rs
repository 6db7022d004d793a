//! Commands that hints name. Each does what it says as it is pasted, also where it is about more paths
//! than anybody reads on a line.

use std::collections::BTreeSet;

use crate::model::path::RepoPath;
use crate::ops::held;
use crate::ops::tracked::Tracked;
use crate::repo::Repo;

/// The most paths that are named one by one.
const FEW: usize = 20;

/// Whether these are too many to be named one by one.
pub fn are_many(paths: &[RepoPath]) -> bool {
    paths.len() > FEW
}

/// `command` for these outputs: by their paths, or many of them by the folders that hold no other output;
/// without a path where those are all that there are.
pub fn for_outputs(repo: &Repo, tracked: &Tracked, command: &str, outputs: &[RepoPath]) -> String {
    let named = if are_many(outputs) { covering(tracked, outputs) } else { outputs.to_vec() };
    if named.is_empty() { command.to_owned() } else { format!("{command} {}", repo.shown_all(&named)) }
}

fn covering(tracked: &Tracked, outputs: &[RepoPath]) -> Vec<RepoPath> {
    let chosen: BTreeSet<&RepoPath> = outputs.iter().collect();
    let all = tracked.outs().iter().map(|out| &out.path);
    let others: Vec<&str> = all.filter(|path| !chosen.contains(path)).map(RepoPath::as_str).collect();
    if others.is_empty() {
        return Vec::new();
    }
    let paths = held::covering_paths(chosen.into_iter().map(RepoPath::as_str), others);
    paths.iter().map(|path| RepoPath::root().join_entry(path)).collect()
}

/// Keeps edits without a list of them: `forced`, which puts them into rescue, and then what brings them
/// back on top of what it placed.
pub fn keep_by_rescue(forced: &str) -> String {
    format!("{forced} && mlv rescue restore")
}
