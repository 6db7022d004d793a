//! The part of `fsck` that reads the work tree: files that the stat index believes unchanged are read
//! again, for a disk that lost bytes changes no stamp. What was changed on purpose is no damage.

use crate::fs::stamp::FileKind;
use crate::model::path::RepoPath;
use crate::ops::scan::{Present, Scanned, Scanner};
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, OutputError, state, trees};
use crate::par;
use crate::repo::Repo;
use crate::report::{Reporter, Task, Unit};
use crate::store::here::Here;
use crate::store::statindex::StatIndexUpdate;
use crate::store::{self, Ingested};

/// What was found in the work tree.
#[derive(Debug, Default)]
pub(super) struct WorkTreeCheck {
    /// Files that were read.
    pub(super) files: u64,
    /// Outputs that differ from what is recorded, as `status` would say.
    pub(super) changed: Vec<String>,
    /// Damaged files, and outputs that cannot be read.
    pub(super) failed: Vec<(RepoPath, OpError)>,
}

/// Reads the outputs of the work tree. Of a damaged file the stat index learns the truth.
pub(super) fn check(
    repo: &Repo,
    tracked: &Tracked,
    reporter: &dyn Reporter,
) -> Result<WorkTreeCheck, OpError> {
    let index = repo.stat_index();
    let (scanner, here) = (Scanner::new(repo, &index, reporter), Here::load(repo.mlv()));
    let mut found = WorkTreeCheck::default();
    let mut update = StatIndexUpdate::new();
    for out in tracked.outs().iter().filter(|out| out.cache) {
        let Some(info) = &out.content else { continue };
        let output = &out.path;
        let tracked = || Ok(trees::read_if_here(repo, info, output)?.unwrap_or_default());
        let outcome = scanner.look(output, &tracked).and_then(|believed| {
            read_again(repo, output, &believed, &mut found, &mut update, reporter)?;
            state::examine(repo, &scanner, &here, (output, info))
        });
        match outcome {
            Ok(state) if state.verdict.is_difference() => found.changed.push(output.to_string()),
            Ok(_) => {}
            Err(error) => found.failed.push((output.clone(), error)),
        }
    }
    // Only saves time, and a work tree that cannot be written can be checked too.
    let _ = repo.save_stat_index(&index, update);
    Ok(found)
}

/// Compares the files whose hash is known by their stamp with that hash.
fn read_again(
    repo: &Repo,
    output: &RepoPath,
    believed: &Present,
    found: &mut WorkTreeCheck,
    update: &mut StatIndexUpdate,
    reporter: &dyn Reporter,
) -> Result<(), OpError> {
    // A symlink into the cache is read with the cache.
    let is_file = |entry: &&Scanned| entry.stamp.kind == FileKind::File && entry.hash.is_some();
    let entries: Vec<&Scanned> = believed.entries().iter().filter(is_file).collect();
    let bytes = entries.iter().map(|entry| entry.stamp.size).sum();
    let meter = reporter.meter(Task { verb: "Checking", unit: Unit::Bytes, total: Some(bytes) });
    let folder = output.parent().filter(|_| matches!(believed, Present::File(_)));
    let name =
        |entry: &Scanned| if folder.is_some() { output.file_name().into() } else { entry.path.clone() };
    let names: Vec<Box<str>> = entries.iter().map(|entry| name(entry)).collect();
    let files: Vec<(&str, FileKind)> = names.iter().map(|name| (&**name, FileKind::File)).collect();
    let base = folder.as_ref().unwrap_or(output);
    let results = store::hash_all(repo.dir(), base, &files, par::threads(repo.file_jobs()?), &*meter)?;
    found.files += entries.len() as u64;
    for ((entry, name), read) in entries.iter().zip(&names).zip(results) {
        let path = base.join_entry(name);
        match read {
            Ok(read) if is_damage(entry, &read) => {
                update.put(base.as_str(), name, &read.stamp, read.id.digest());
                found.failed.push((path.clone(), OutputError::DamagedInWorkTree { path }.into()));
            }
            Ok(_) => {}
            Err(error) => found.failed.push((path, error.into())),
        }
    }
    Ok(())
}

/// Whether a file has other bytes under the same stamp; under another somebody wrote it just now.
fn is_damage(believed: &Scanned, read: &Ingested) -> bool {
    read.stamp == believed.stamp && believed.hash != Some(read.id.digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::TestRepo;
    use crate::model::digest::Digest;
    use crate::ops::surroundings::Surroundings;
    use crate::ops::{add, fsck, init};
    use crate::report::NoReport;

    // No test can change bytes without their stamp; a wrong hash under a right stamp is the same.
    #[test]
    fn bytes_that_changed_under_their_stamp_are_damage_and_known_from_then_on() {
        let test = TestRepo::new();
        let sources = crate::config::Sources::default();
        let around = Surroundings { cwd: &test.root, sources, waits: false, reporter: &NoReport };
        init::run(&around, &init::InitOptions::default()).unwrap();
        test.write("d/1", "first").write("d/2", "second").write("a", "alone");
        let repo = Repo::open(&test.root).unwrap();
        let targets = vec!["d".to_owned(), "a".to_owned()];
        let options = add::AddOptions { targets, ..add::AddOptions::default() };
        add::run(&repo, &options, &NoReport).unwrap();
        let clean = fsck::run(&repo, &NoReport).unwrap();
        assert!(clean.failed.is_empty() && clean.changed.is_empty(), "{clean:?}");

        let mut wrong = StatIndexUpdate::new();
        for path in ["d/2", "a"] {
            let path: RepoPath = path.parse().unwrap();
            let stamp = repo.dir().stat(&path).unwrap().unwrap();
            wrong.put("", path.as_str(), &stamp, Digest::of(b"what it was"));
        }
        repo.save_stat_index(&repo.stat_index(), wrong).unwrap();
        let damaged = fsck::run(&repo, &NoReport).unwrap();
        let paths: Vec<&str> = damaged.failed.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a", "d/2"]);
        assert!(fsck::run(&repo, &NoReport).unwrap().failed.is_empty(), "the truth is known now");
    }
}
