//! `logs`: what the last run of a stage printed.

use crate::fs::file::OutFile;
use crate::model::path::RepoPath;
use crate::ops::repro::StageError;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, leases};
use crate::repo::Repo;

/// The folder of the logs, below mlv's own.
const FOLDER: &str = "logs";
/// A log has at most 64 MiB of output; the rest is room for what mlv adds.
const MAX_LOG: u64 = 65 << 20;

/// Which logs, and how much of each.
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    /// Stages, or outputs of stages.
    pub targets: TargetOptions,
    /// Only so many lines at the end.
    pub last: Option<usize>,
}

/// What the last run of a stage printed.
#[derive(Debug, serde::Serialize)]
pub struct StageLog {
    /// The stage's name as a target from the root.
    pub stage: String,
    /// The file with all of it, relative to the root.
    pub log: String,
    /// The lines, without their ends; what is not UTF-8 in them is replaced.
    pub lines: Vec<String>,
}

/// What was printed, and what never ran here.
#[derive(Debug, Default, serde::Serialize)]
pub struct LogsReport {
    /// The stages that have run here, sorted.
    pub stages: Vec<StageLog>,
    /// The others.
    #[serde(skip)]
    pub failed: Vec<(String, OpError)>,
}

/// Reads the logs of the stages that the targets mean.
pub fn run(repo: &Repo, options: &LogsOptions) -> Result<LogsReport, OpError> {
    let tracked = Tracked::load(repo)?;
    let mut report = LogsReport::default();
    let named = &options.targets.targets;
    let stages: Vec<String> = match targets::stages(repo, &tracked, &options.targets) {
        Ok(stages) => stages.iter().map(ToString::to_string).collect(),
        // What ran once is readable, also where the pipeline is not any more.
        Err(_) if !named.is_empty() && named.iter().all(|stage| has_log(repo, stage)) => named.clone(),
        Err(error) => return Err(error),
    };
    for stage in stages {
        let file = file_of(&stage);
        match repo.mlv().read_file(&file, MAX_LOG) {
            Ok(bytes) => {
                let lines = last_lines(&String::from_utf8_lossy(&bytes), options.last);
                report.stages.push(StageLog { stage, log: format!(".mlv/{file}"), lines });
            }
            Err(error) if error.is_not_found() => {
                let error = StageError::NoLog { stage: stage.as_str().into() };
                report.failed.push((stage, error.into()));
            }
            Err(error) => report.failed.push((stage, error.into())),
        }
    }
    Ok(report)
}

fn has_log(repo: &Repo, stage: &str) -> bool {
    matches!(repo.mlv().stat(&file_of(stage)), Ok(Some(_)))
}

/// The file with what the last run of a stage printed, below mlv's own folder.
pub(super) fn file_of(target: &str) -> RepoPath {
    RepoPath::own(FOLDER).join(&RepoPath::own(&format!("{}.log", leases::file_name(target))))
}

/// A new file for what the command of `target` prints, instead of that of its last run, and its path
/// from the root.
pub(super) fn create(repo: &Repo, target: &str) -> Result<(OutFile, String), OpError> {
    let (mlv, file) = (repo.mlv(), file_of(target));
    if let Some(folder) = file.parent() {
        mlv.create_dir_all(&folder)?;
    }
    mlv.remove_file(&file)?;
    Ok((mlv.create_file(&file, 0o666)?, format!(".mlv/{file}")))
}

/// The lines of `text`, or the last `most` of them. Of a line that was written over, as progress
/// bars do, the last state counts.
fn last_lines(text: &str, most: Option<usize>) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let first = most.map_or(0, |most| lines.len().saturating_sub(most));
    let shown = |line: &&str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
    lines[first..].iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_counted_and_progress_bars_are_what_they_ended_as() {
        let text = "a\n10 %\r100 %\r\nb";
        assert_eq!(last_lines(text, None), ["a", "100 %", "b"]);
        assert_eq!(last_lines(text, Some(2)), ["100 %", "b"]);
        assert_eq!(last_lines(text, Some(9)).len(), 3);
        assert!(last_lines("", Some(1)).is_empty());
    }
}
