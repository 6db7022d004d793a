//! Tidies up after a `repro` that was killed: its finished stages come into the lock files, and
//! the outputs of the stage that it was running are what they were before (R1, R21). And after any
//! command that was killed while it replaced a file on another file system.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fs::dir::Dir;
use crate::fs::journal::{self, LeftBehind, move_between};
use crate::fs::orphans;
use crate::fs::rescue::{Kept, Rescue};
use crate::model::path::RepoPath;
use crate::ops::lock_entries::{self, AsideOut, Record};
use crate::ops::{OpError, surroundings};
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// More paths than this are counted instead of named.
const LISTED: usize = 10;

/// Does so for every run whose process is gone. Nearly always there is none, which costs a look
/// at one folder.
pub fn after_crash(repo: &Repo, reporter: &dyn Reporter) -> Result<(), OpError> {
    if journal::left_behind(repo.mlv())?.is_empty() {
        return Ok(());
    }
    let held = surroundings::lock(repo, reporter)?;
    // Again: another process may have done it while this one waited.
    for left in journal::left_behind(repo.mlv())? {
        orphans::end_all(left.name());
        let records = lock_entries::records(&left.records()?);
        put_back(repo, &left, &records, reporter)?;
        adopt(repo, &records, reporter)?;
        lock_entries::write_unwritten(repo, &records, &held)?;
        let rescue = Rescue::new(Arc::clone(repo.mlv()), "mlv repro");
        left.end(&rescue)?;
        let kept = rescue.finish();
        if !kept.is_empty() {
            let message = format!(
                "outputs that an interrupted `mlv repro` had moved aside are in rescue, since its journal \
                 does not tell what became of them: {}",
                listed(&kept)
            );
            reporter.event(&Event::Warning { message });
            hint(&kept, reporter);
        }
    }
    Ok(())
}

fn put_back(
    repo: &Repo,
    left: &LeftBehind,
    records: &[Record],
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    let Some(aside) = left.aside()? else { return Ok(()) };
    let rescue = Rescue::new(Arc::clone(repo.mlv()), "mlv repro");
    for (at, record) in records.iter().enumerate() {
        let Record::Aside { stage, before, outs } = record else { continue };
        let outcome = outcome(stage, &records[at + 1..]);
        // What stands there by now may be another run's.
        if outcome == Outcome::PutBack {
            continue;
        }
        let is_finished = outcome == Outcome::Finished;
        // So is what stands there if somebody has run the stage since, or brought its entry in.
        let is_newer =
            !is_finished && before.as_ref().map_or(Ok(false), |before| before.has_changed(repo))?;
        let mut kept = Vec::new();
        for out in outs {
            let Ok(path) = RepoPath::parse(&out.path) else { continue };
            kept.extend(if is_finished {
                let_go(&aside, &path, out, &rescue)?
            } else if is_newer {
                rescue.displace(&aside, &path, None)?
            } else {
                restore(repo.dir(), &aside, &path, out.was_there, &rescue)?
            });
        }
        let in_rescue = listed(&kept);
        let message = match (is_finished, is_newer, kept.is_empty()) {
            (true, _, true) => continue,
            (true, _, false) => {
                format!("what was there before stage `{stage}` ran is in rescue: {in_rescue}")
            }
            (false, true, true) => format!("stage `{stage}` was cut off, and has other outputs since"),
            (false, true, false) => format!(
                "stage `{stage}` was cut off, and has other outputs since; those before are in rescue: \
                 {in_rescue}"
            ),
            (false, false, true) => {
                format!("stage `{stage}` was cut off; its outputs are what they were before")
            }
            // Whether the command wrote that or the user did since, nobody can tell: processes of the
            // command may have outlived mlv.
            (false, false, false) => format!(
                "stage `{stage}` was cut off; its outputs are what they were before, and what stood there \
                 since is in rescue: {in_rescue}"
            ),
        };
        reporter.event(&Event::Warning { message });
    }
    hint(&rescue.finish(), reporter);
    Ok(())
}

/// The paths of what was kept, as far as they fit into a line.
fn listed(kept: &[Kept]) -> String {
    let names: Vec<String> = kept.iter().take(LISTED).map(|one| format!("`{}`", one.path)).collect();
    let more = kept.len() - names.len();
    names.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// Tells how to get it back.
fn hint(kept: &[Kept], reporter: &dyn Reporter) {
    if let Some(one) = kept.first() {
        reporter.event(&Event::Hint { message: format!("mlv rescue restore {}", one.operation) });
    }
}

/// What became of a stage whose outputs were moved aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Finished,
    PutBack,
    CutOff,
}

/// That of the try before `records`: a stage that failed may have been tried again.
fn outcome(of: &str, records: &[Record]) -> Outcome {
    let outcome = records.iter().find_map(|record| match record {
        Record::Finished { stage, .. } if stage == of => Some(Outcome::Finished),
        Record::PutBack { stage } if stage == of => Some(Outcome::PutBack),
        _ => None,
    });
    outcome.unwrap_or(Outcome::CutOff)
}

/// Finds what was replaced through a name beside it: the old file goes to rescue.
fn adopt(repo: &Repo, records: &[Record], reporter: &dyn Reporter) -> Result<(), OpError> {
    let records = records.iter().filter_map(|record| match record {
        Record::Beside(beside) => Some((&beside.path, beside)),
        _ => None,
    });
    // The last record of each counts.
    for beside in records.collect::<BTreeMap<_, _>>().into_values() {
        let Ok(path) = RepoPath::parse(&beside.path) else { continue };
        let Some(found) = repo.dir().stat(&path)? else { continue };
        if beside.copy.is_none_or(|copy| copy == found.inode) {
            // A copy of what the cache has, which did not get its name.
            repo.dir().remove_file(&path)?;
            continue;
        }
        let rescue = Rescue::new(Arc::clone(repo.mlv()), &beside.command);
        rescue.displace_as(repo.dir(), &path, &beside.original, None)?;
        let message = format!("`{}` was being replaced; the file before is in rescue", beside.original);
        reporter.event(&Event::Warning { message });
        hint(&rescue.finish(), reporter);
    }
    Ok(())
}

/// Brings back what lies aside of an output of a run that did not succeed; what stands in its place
/// goes to rescue, and is returned.
pub fn restore(
    work: &Dir,
    aside: &Dir,
    path: &RepoPath,
    was_there: bool,
    rescue: &Rescue,
) -> Result<Option<Kept>, OpError> {
    let lies_aside = aside.stat(path)?.is_some();
    // Neither aside nor absent before: it was never moved, or is back already.
    let kept = if lies_aside || !was_there { rescue.displace(work, path, None)? } else { None };
    move_between(aside, work, path)?;
    Ok(kept)
}

/// Removes what lies aside of an output of a run that succeeded, or moves it to rescue if the cache
/// does not have it, and returns it.
fn let_go(aside: &Dir, path: &RepoPath, out: &AsideOut, rescue: &Rescue) -> Result<Option<Kept>, OpError> {
    if out.is_saved {
        aside.remove_all(path)?;
        return Ok(None);
    }
    Ok(rescue.displace(aside, path, None)?)
}
