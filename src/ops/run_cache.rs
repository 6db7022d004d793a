//! The run cache: what past runs made of which inputs, so that a stage need not run for what is known.
//!
//! Records are claims and hints (R10): one that is damaged, of another form, or whose outputs cannot be
//! had is as good as none.

use std::time::SystemTime;

use crate::fs::link::LinkMode;
use crate::fs::owner::host_name;
use crate::fs::rescue::time;
use crate::model::lockfile::{LockOut, StageLock};
use crate::model::run::{RunFacts, RunInputs, RunRecord};
use crate::model::stage::Stage;
use crate::ops::OpError;
use crate::ops::record::Recording;
use crate::repo::Repo;

/// The lock entry of a past run of `stage` with the inputs of the entry `inputs`, if the cache knows one
/// and `has` says so of all its outputs.
pub fn find(
    repo: &Repo,
    stage: &Stage,
    inputs: &StageLock,
    has: impl Fn(&LockOut) -> bool,
) -> Result<Option<StageLock>, OpError> {
    let Some(key) = RunInputs::of(stage, inputs).map(|inputs| inputs.key()) else { return Ok(None) };
    let cache = repo.cache()?;
    // What git has must be a file of its own, no link into the cache.
    let is_linked =
        cache.options().links.iter().any(|mode| !matches!(mode, LinkMode::Reflink | LinkMode::Copy));
    if is_linked && stage.outs.iter().any(|out| !out.cache) {
        return Ok(None);
    }
    let claims = cache.run_records(key).into_iter().filter_map(|bytes| RunRecord::parse(&bytes));
    let mut outs = claims.filter_map(|claim| claim.lock_outs(stage));
    let outs = outs.find(|outs| outs.iter().all(&has));
    Ok(outs.map(|outs| StageLock { outs, ..inputs.clone() }))
}

/// The commit that records belong to.
#[derive(Clone, Debug)]
pub struct Origin {
    commit: Option<String>,
    /// Whether files that git tracks differ from it, if that is known.
    differed: Option<bool>,
}

impl Origin {
    /// That which is checked out now. For many records ask once: it looks at each file that git tracks.
    pub fn of(repo: &Repo) -> Origin {
        let head = repo.git().and_then(|git| git.head().ok().flatten());
        let differed = repo.git().and_then(|git| git.has_changes().ok());
        Origin { commit: head.map(|head| head.to_string()), differed }
    }
}

/// Where and when it is now, of a record that comes about by `kind`.
pub fn facts(origin: &Origin, kind: &str, start: SystemTime) -> RunFacts {
    RunFacts {
        kind: kind.to_owned(),
        start: time(start),
        millis: 0,
        host: host_name(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        mlv: env!("CARGO_PKG_VERSION").to_owned(),
        commit: origin.commit.clone(),
        differed: origin.differed,
        log: None,
    }
}

/// The record of the run that the lock entry `entry` tells of.
pub fn record(entry: &StageLock, facts: RunFacts) -> RunRecord {
    RunRecord { outs: entry.outs.iter().map(|out| (out.path.clone(), out.content)).collect(), facts }
}

/// Adds the record of a run, of two with the same inputs the newer. It is durable once the recording is
/// published.
pub fn remember(
    repo: &Repo,
    recording: &Recording<'_>,
    inputs: &RunInputs,
    record: &RunRecord,
) -> Result<(), OpError> {
    let (cache, key) = (repo.cache()?, inputs.key());
    let known = cache.run_records(key);
    let bytes = record.write(inputs);
    match known.first().map(|bytes| RunRecord::parse(bytes)) {
        Some(Some(known)) if known.outs == record.outs => Ok(()),
        Some(_) => Ok(cache.replace_run_record(key, &bytes)?),
        None => recording.put_run_record(key, &bytes),
    }
}
