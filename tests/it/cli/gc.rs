//! `gc --cloud`: what goes from a remote, what stays, and when nothing may go.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{TestEnv, files_below, random_bytes};

/// Two versions of `a` and of the folder `d`, both committed and pushed.
pub(super) fn pushed_twice() -> TestEnv {
    let env = TestEnv::shared();
    for version in ["1", "2"] {
        env.write("a", format!("alpha, version {version}"));
        env.write("d/changes", random_bytes(version.len() as u64 + u64::from(version == "2"), 9000));
        env.write("d/stays", "the same in both versions");
        env.mlv(&["add", "a", "d"]).success();
        env.commit(&format!("version {version}"));
        env.mlv(&["push"]).success();
    }
    env
}

pub(super) const AT_ONCE: &[&str] = &["gc", "--cloud", "--now", "--keep", "0d"];

pub(super) fn stored(env: &TestEnv, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&env.root().join("remote").join(folder), &mut found);
    found
}

/// Makes everything below `folder` of the remote look `days` older.
pub(super) fn age(env: &TestEnv, folder: &str, days: u64) {
    for path in stored(env, folder) {
        let file = File::open(&path).expect("it is there");
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        file.set_modified(then).expect("its times can be set");
    }
}

pub(super) fn count(report: &Value, field: &str) -> usize {
    report[field].as_array().unwrap_or_else(|| panic!("no list {field}: {report}")).len()
}

/// The work tree, as a clone gets it that comes now, is whole; and so is the remote.
pub(super) fn assert_whole(env: &TestEnv) {
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
    let clone = env.clone_to("fresh");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

#[test]
fn without_cloud_nothing_is_done() {
    let env = pushed_twice();
    let (kind, _) = env.json_error(&["gc"], 2);
    assert_eq!(kind, "usage");
    env.mlv(&["gc", "-c", "-n", "2"]).code(2);
    env.mlv(&["gc", "-c", "--keep", "soon"]).code(2);
    env.mlv(&["gc", "-c", "--date", "2026-13-01"]).code(2);
    env.mlv(&["gc", "-c", "--date", "yesterday"]).code(2);
    env.mlv(&["gc", "-c", "-r", "nosuch"]).code(2);
    env.mlv(&["gc", "-c", "--rev", "nosuch"]).code(2);
}

// R7
#[test]
fn what_a_commit_names_stays_and_what_none_names_goes() {
    let env = pushed_twice();
    let before = stored(&env, "pk").len();
    let told = env.mlv(&["gc", "-c"]).success().stderr();
    assert!(told.contains("0 needed, 2 too young, 0 marked already."), "{told}");
    let wrong = env.mlv(&["gc", "-c", "--keep", "-1d"]).code(2).stderr();
    assert!(!wrong.contains("unexpected argument"), "{wrong}");
    let report = env.json(AT_ONCE);
    assert_eq!((count(&report, "marked"), count(&report, "deleted")), (0, 0), "{report}");
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    env.mlv(&["fetch"]).success();
    env.git(&["checkout", "--quiet", "main"]);

    let planned = env.json(&[AT_ONCE, &["-w", "--dry-run"]].concat());
    assert_eq!(stored(&env, "pk").len(), before);
    assert!(count(&planned, "marked") > 0 && stored(&env, "gc").is_empty(), "{planned}");
    let report = env.json(&[AT_ONCE, &["-w"]].concat());
    assert_eq!(count(&report, "deleted"), count(&planned, "marked"), "{report}");
    assert!(report["copied_bytes"].as_u64() > Some(0), "what stayed the same is copied: {report}");
    assert!(stored(&env, "gc").is_empty(), "no mark outlives its packs");
    assert_whole(&env);
    let again = env.json(&[AT_ONCE, &["-w"]].concat());
    assert_eq!((count(&again, "marked"), count(&again, "deleted")), (0, 0), "{again}");
    // The first version is gone, for who asks for it too.
    let clone = env.clone_to("old");
    clone.git(&["checkout", "--quiet", "HEAD~1"]);
    let (kind, document) = clone.json_error(&["pull"], 5);
    assert_eq!(kind, "not_found", "{document}");
    assert!(stored(&env, "gc").is_empty(), "nobody has to know that it is gone");
    insta::assert_snapshot!(clone.mlv(&["pull", "a"]).code(5), @r"
    --- stderr
    error: the data of `a` is not on the remote `storage`
    hint: it was never pushed there, or `mlv gc --cloud` deleted it: run `mlv push` in a clone that still has it
    [exit 5]
    ");
    clone.mlv(&["cat", "a"]).code(5);
    assert_eq!(clone.json_error(&["ls", "d"], 5).0, "not_found");
    let pulled = clone.mlv(&["pull"]).code(5).stderr();
    assert!(!pulled.contains("up to date"), "{pulled}");
    // Whoever has it in the cache brings it back.
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    env.mlv(&["push"]).success();
    clone.mlv(&["pull"]).success();
}

// R9: what an index names in a pack that is gone was there, and is not damaged.
#[test]
fn what_was_deleted_is_told_as_that() {
    let env = TestEnv::shared();
    env.write("a", "alpha");
    env.write("big", random_bytes(3, 6 << 20));
    env.mlv(&["add", "a", "big"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    stored(&env, "pk").iter().for_each(|pack| fs::remove_file(pack).expect("it can be removed"));
    insta::assert_snapshot!(clone.mlv(&["pull", "a"]).code(5), @r"
    --- stderr
    error: the remote `storage` no longer holds the data of `a`
    hint: the packs that held it are not there any more, deleted by `mlv gc --cloud` or by hand: run `mlv push` where the data still is, or fetch it from another remote
    [exit 5]
    ");
    assert_eq!(clone.json_error(&["pull"], 5).0, "not_found");
    let read = clone.mlv(&["cat", "big", "--length", "5"]).code(5).stderr();
    assert!(read.starts_with("error: the remote `storage` no longer holds the data of `big`"), "{read}");
    assert!(stored(&env, "gc").is_empty(), "every push sees that it is gone, without a note");
    assert!(clone.mlv(&["pull", "--allow-missing"]).success().stderr().contains("up to date"));
}

// R7
#[test]
fn narrower_scopes_keep_what_they_name() {
    let dates = [&["--date", "1999-01-01"][..], &["--date", "2999-01-01"]];
    let scopes = [&["--rev", "HEAD~1"][..], &["--rev", "HEAD", "--num", "2"], &["-T"], &["-A"], &["-a"]];
    for scope in scopes.iter().chain(&dates) {
        let env = pushed_twice();
        env.git(&["tag", "first", "HEAD~1"]);
        env.mlv(&[AT_ONCE, *scope].concat()).success();
        env.git(&["checkout", "--quiet", "HEAD~1"]);
        let pulled = env.clone_to("clone").mlv(&["pull"]);
        assert_eq!(
            pulled.exit_code(),
            if matches!(**scope, ["-a"] | [_, "2999-01-01"]) { 5 } else { 0 },
            "{scope:?}: {pulled}"
        );
    }
}

// R7: the stash and reflogs are somebody's, too.
#[test]
fn what_only_a_reflog_or_the_stash_names_stays() {
    let env = pushed_twice();
    env.write("a", "alpha, never committed");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["push"]).success();
    env.git(&["stash", "--quiet"]);
    env.mlv(&["checkout"]).success();
    env.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    env.mlv(&["checkout"]).success();
    env.mlv(&["push"]).success();
    let report = env.json(AT_ONCE);
    assert_eq!(count(&report, "deleted"), 0, "{report}");
    env.git(&["stash", "drop", "--quiet"]);
    env.git(&["reflog", "expire", "--expire=now", "--all"]);
    let report = env.json(AT_ONCE);
    assert!(count(&report, "deleted") > 0, "{report}");
    assert_whole(&env);
}

// R7, R22: by the stamps of the store, a mark first, then deletion.
#[test]
fn packs_are_marked_when_old_and_deleted_a_week_later() {
    let env = pushed_twice();
    let gc = |more: &[&str]| env.json(&[&["gc", "-c", "-w"], more].concat());
    let report = gc(&[]);
    assert_eq!((count(&report, "marked"), report["waiting"].as_u64()), (0, Some(0)), "young: {report}");
    for folder in ["pk", "ix", "rt"] {
        age(&env, folder, 4);
    }
    let report = gc(&[]);
    assert_eq!(count(&report, "marked"), 0, "pushed within 30 days: {report}");
    let report = gc(&["--keep", "3d"]);
    assert!(count(&report, "marked") > 0 && count(&report, "deleted") == 0, "{report}");
    assert_eq!(report["waiting_seconds"].as_u64(), Some(7 * 24 * 3600), "{report}");
    assert_whole(&env);
    age(&env, "gc", 8);
    let waiting = report["waiting"].as_u64().expect("a number") as usize;
    let report = gc(&[]);
    assert_eq!((count(&report, "deleted"), report["marks"].as_u64()), (waiting, Some(1)), "{report}");
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
}

// R7: whoever pushed what was marked, after it was marked, has it.
#[test]
fn what_is_pushed_again_after_it_was_marked_stays() {
    let env = pushed_twice();
    ["pk", "ix", "rt"].iter().for_each(|folder| age(&env, folder, 4));
    assert!(count(&env.json(&["gc", "-c", "-w", "--keep", "0d"]), "marked") > 0);
    env.git(&["checkout", "--quiet", "-b", "old", "HEAD~1"]);
    env.mlv(&["checkout"]).success();
    env.mlv(&["push"]).success();
    age(&env, "gc", 8);
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    env.mlv(&["gc", "-c", "-w", "--keep", "0d"]).success();
    env.git(&["checkout", "--quiet", "old"]);
    env.mlv(&["checkout"]).success();
    assert_whole(&env);
}

// R10: an index that names mostly what is gone is written anew, and goes on to serve.
#[test]
fn index_of_what_is_gone_gets_smaller() {
    let env = TestEnv::shared();
    for version in 0..3 {
        for at in 0..40 {
            env.write(format!("d/{at}"), format!("{version} {at}"));
        }
        env.mlv(&["add", "d"]).success();
        env.commit(&format!("version {version}"));
    }
    env.mlv(&["push", "-A"]).success();
    env.mlv(&["push"]).success();
    let entries = |env: &TestEnv| -> u64 {
        let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
        let count =
            |name: String| u64::from_str_radix(name.split('-').nth(3).expect("a count"), 16).expect("hex");
        stored(env, "ix").iter().map(|path| count(name(path))).max().expect("a segment")
    };
    let before = entries(&env);
    let report = env.json(&[AT_ONCE, &["-w"]].concat());
    assert!(report["rewritten_segments"].as_u64() > Some(0), "{report}");
    assert_whole(&env);
    age(&env, "ix", 2);
    let report = env.json(&[AT_ONCE, &["-w"]].concat());
    assert_eq!(report["rewritten_segments"].as_u64(), Some(0), "{report}");
    assert!(report["segments"].as_u64() > Some(0) && entries(&env) < before / 2, "{report}");
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
}
