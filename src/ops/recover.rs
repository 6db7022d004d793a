//! Tidies up after a `repro` that was killed: its finished stages come into the lock files, and
//! the outputs of the stage that it was running are what they were before (R1, R21). And after any
//! command that was killed while it replaced a file on another file system.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::fs::dir::Dir;
use crate::fs::journal::{self, LeftBehind, move_between};
use crate::fs::orphans;
use crate::fs::rescue::{Kept, Rescue};
use crate::fs::stamp::FileKind;
use crate::fs::walk::{self, WalkEntry};
use crate::model::path::RepoPath;
use crate::model::words;
use crate::ops::lock_entries::{self, AsideOut, Record};
use crate::ops::{OpError, surroundings};
use crate::repo::Repo;
use crate::report::{Event, Reporter};

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
            if is_finished {
                kept.extend(let_go(repo, &aside, &path, out, &rescue)?);
            } else if is_newer {
                kept.extend(rescue.displace(&aside, &path, None)?);
            } else {
                kept.extend(restore(repo.dir(), &aside, &path, out.was_there, &rescue)?);
            }
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
    words::listed(kept.iter().map(|one| format!("`{}`", one.path)))
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

/// Removes what lies aside of an output of a run that succeeded, as far as the cache has it; returns
/// the rest, which goes to rescue.
fn let_go(
    repo: &Repo,
    aside: &Dir,
    path: &RepoPath,
    out: &AsideOut,
    rescue: &Rescue,
) -> Result<Vec<Kept>, OpError> {
    let ignore = repo.ignore();
    // What is ignored is in no cache.
    let is_ignored = |entry: &str| {
        let folders = entry.match_indices('/').map(|(end, _)| (&entry[..end], true));
        let mut parts = folders.chain([(entry, false)]);
        parts.any(|(part, is_dir)| ignore.is_ignored(path.join_entry(part).as_str(), is_dir))
    };
    let is_saved = |entry: &WalkEntry| out.is_saved && !is_ignored(&entry.path);
    remove_saved(aside, path, &is_saved, rescue)
}

/// Removes what stands at `path` of `aside`, but for files that are not saved: they go to rescue, as
/// whole folders where all in these is not saved, and are returned.
pub fn remove_saved(
    aside: &Dir,
    path: &RepoPath,
    is_saved: &dyn Fn(&WalkEntry) -> bool,
    rescue: &Rescue,
) -> Result<Vec<Kept>, OpError> {
    let Some(stamp) = aside.stat(path)? else { return Ok(Vec::new()) };
    let mut displaced: BTreeSet<RepoPath> = BTreeSet::new();
    if stamp.kind == FileKind::Dir {
        let found = walk::walk(aside, path, &|_, _| false, 1)?;
        let (saved, others): (Vec<&WalkEntry>, Vec<&WalkEntry>) =
            found.entries.iter().partition(|entry| is_saved(entry));
        let shared: HashSet<&str> = saved.iter().flat_map(|entry| folders_of(&entry.path)).collect();
        let others = others.iter().map(|entry| &*entry.path).chain(found.left_out.iter().map(|path| &**path));
        let topmost = |other| folders_of(other).find(|folder| !shared.contains(folder)).unwrap_or(other);
        displaced.extend(others.map(|other| path.join_entry(topmost(other))));
        if !found.unreadable.is_empty() {
            displaced = BTreeSet::from([path.clone()]);
        }
    } else if !is_saved(&WalkEntry { path: "".into(), stamp }) {
        displaced.insert(path.clone());
    }
    let mut kept = Vec::new();
    for path in &displaced {
        kept.extend(rescue.displace(aside, path, None)?);
    }
    aside.remove_all(path)?;
    Ok(kept)
}

/// The folders that an entry is in, from the outermost, which has no name, to the innermost.
fn folders_of(entry: &str) -> impl Iterator<Item = &str> {
    let ends = entry.trim_end_matches('/').match_indices('/').map(|(end, _)| end);
    [0].into_iter().chain(ends).map(|end| &entry[..end])
}
