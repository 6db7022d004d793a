//! `gc --cloud`: what goes from a remote, what stays, and when nothing may go.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{TestEnv, files_below, random_bytes, snapshot};

/// Two versions of `a` and of the folder `d`, both committed and pushed.
fn pushed_twice() -> TestEnv {
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

const AT_ONCE: &[&str] = &["gc", "--cloud", "--now", "--keep", "0d"];

fn stored(env: &TestEnv, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&env.root().join("remote").join(folder), &mut found);
    found
}

/// Makes everything below `folder` of the remote look `days` older.
fn age(env: &TestEnv, folder: &str, days: u64) {
    for path in stored(env, folder) {
        let file = File::open(&path).expect("it is there");
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        file.set_modified(then).expect("its times can be set");
    }
}

fn count(report: &Value, field: &str) -> usize {
    report[field].as_array().unwrap_or_else(|| panic!("no list {field}: {report}")).len()
}

/// The work tree, as a clone gets it that comes now, is whole; and so is the remote.
fn assert_whole(env: &TestEnv) {
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

// R7: a project that this run knows nothing of.
#[test]
fn what_another_project_pushed_stays_for_ever() {
    let env = pushed_twice();
    let other = env.beside("other");
    other.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
    other.mlv(&["init"]).success();
    other.add_remote();
    other.write("b", "of another project");
    other.mlv(&["add", "b"]).success();
    other.commit("data");
    other.mlv(&["push"]).success();
    ["pk", "ix", "rt"].iter().for_each(|folder| age(&env, folder, 400));
    env.mlv(&["push"]).success();
    env.mlv(&[AT_ONCE, &["-w"]].concat()).success();
    fs::remove_dir_all(other.path().join(".mlv/cache")).expect("it has a cache");
    other.remove("b");
    other.mlv(&["pull"]).success();
    assert_whole(&env);
}

/// A project of its own beside `env`, on the same remote; and its id.
fn with_other_project(env: &TestEnv) -> (TestEnv, String) {
    let other = env.beside("other");
    other.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
    other.mlv(&["init"]).success();
    other.add_remote();
    other.write("b", random_bytes(9, 5000));
    other.mlv(&["add", "b"]).success();
    other.commit("data");
    other.mlv(&["push"]).success();
    let config = other.read_text(".mlv/config.toml");
    let id = config.lines().find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'));
    let id = id.expect("a project has an id").to_owned();
    (other, id)
}

// R7: until somebody says that it is to be forgotten, and 30 days more; by the store's clock.
#[test]
fn a_forgotten_project_counts_for_30_days_and_again_when_it_pushes() {
    let base = pushed_twice();
    let (_, id) = with_other_project(&base);
    let own = base.read_text(".mlv/config.toml");
    let own = own.lines().find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"')).expect("an id");
    let before = snapshot(&base.root().join("remote"), &[]);
    let forget = |env: &TestEnv, id: &str| env.json(&[AT_ONCE, &["--forget-project", id]].concat());
    assert_eq!(base.json_error(&["gc", "-c", "--forget-project", own], 2).0, "usage");
    let (kind, refused) = base.json_error(&["gc", "-c", "--forget-project", "0f"], 2);
    assert_eq!(kind, "no_such_target");
    assert!(refused["error"]["hints"][0].as_str().is_some_and(|hint| hint.contains(&id)), "{refused}");
    let planned = base.mlv(&["gc", "-c", "--dry-run", "--forget-project", &id]).success();
    assert!(planned.stdout().contains(&format!("keep\t{id}\t1 output of 1 clone")), "{planned}");
    assert!(planned.stderr().contains("Would forget 1 output of 1 clone of project"), "{planned}");
    assert_eq!(snapshot(&base.root().join("remote"), &[]), before);

    for pushes_again in [false, true] {
        let env = base.duplicate();
        let other = env.beside("other");
        let report = forget(&env, &id);
        assert_eq!(report["forgotten"]["kept_days"].as_u64(), Some(30), "{report}");
        assert!(report["forgotten"]["bytes"].as_u64() >= Some(5000), "{report}");
        assert_eq!(count(&report, "deleted"), 0, "{report}");
        ["rt", "pk", "ix"].iter().for_each(|folder| age(&env, folder, 60));
        age(&env, "gc", 29);
        let report = env.json(AT_ONCE);
        assert_eq!((count(&report, "deleted"), stored(&env, "gc").len()), (0, 1), "{report}");
        assert_eq!(report["projects"][0]["forgotten_in_days"].as_u64(), Some(1), "{report}");
        if pushes_again {
            other.write("c", "one more");
            other.mlv(&["add", "c"]).success();
            other.mlv(&["push"]).success();
        }
        age(&env, "gc", 31);
        env.mlv(&["push"]).success();
        let report = env.json(AT_ONCE);
        assert_eq!(count(&report, "deleted") > 0, !pushes_again, "{report}");
        assert!(stored(&env, "gc").is_empty(), "it is over, or was taken back: {report}");
        fs::remove_dir_all(other.path().join(".mlv/cache")).expect("it has a cache");
        other.remove("b");
        assert_eq!(other.mlv(&["pull", "b"]).exit_code(), if pushes_again { 0 } else { 5 });
        assert_whole(&env);
    }
}

// R7: a pin keeps what it names until it is taken away.
#[test]
fn what_is_pinned_stays_until_it_is_unpinned() {
    let env = pushed_twice();
    insta::assert_snapshot!(env.mlv(&["remote", "pin"]).success(), @r"
    --- stderr
    Nothing is pinned on `storage`.
    hint: mlv remote pin REVISION
    ");
    env.mlv(&["remote", "pin", "HEAD~1", "--dry-run"]).success();
    assert!(texts_of(&env.json(&["remote", "pin"])["pins"]).is_empty());
    let made = env.json(&["remote", "pin", "HEAD~1"]);
    let id = made["made"][0]["id"].as_str().expect("an id").to_owned();
    let again = env.json(&["remote", "pin", "HEAD~1"]);
    assert_eq!((count(&again, "made"), again["known"][0]["id"].as_str()), (0, Some(&*id)), "{again}");
    let listed = env.json(&["remote", "pin"]);
    assert_eq!(texts_of(&listed["pins"]), [&*id]);
    assert_eq!(
        listed["pins"][0]["commits"][0].as_str(),
        Some(&*env.git(&["rev-parse", "HEAD~1"])),
        "{listed}"
    );
    ["rt", "pk", "ix"].iter().for_each(|folder| age(&env, folder, 400));
    env.mlv(&["push"]).success();
    // Of no project: another one, on the same remote, does not age it either.
    let (other, _) = with_other_project(&env);
    other.mlv(&[AT_ONCE, &["-w"]].concat()).success();
    let report = env.json(&[AT_ONCE, &["-w"]].concat());
    assert_eq!(report["pins"].as_u64(), Some(1), "{report}");
    let clone = env.clone_to("clone");
    clone.git(&["checkout", "--quiet", "HEAD~1"]);
    clone.mlv(&["pull"]).success();

    assert_eq!(clone.json_error(&["remote", "unpin", "HEAD", "nosuch"], 2).0, "no_such_target");
    assert_eq!(clone.json_error(&["remote", "pin", "nosuch"], 2).0, "no_such_revision");
    clone.mlv(&["remote", "unpin", "HEAD", "--dry-run"]).success();
    assert_eq!(clone.json(&["remote", "unpin", "HEAD"])["removed"][0]["id"].as_str(), Some(&*id));
    assert!(texts_of(&env.json(&["remote", "pin"])["pins"]).is_empty());
    assert!(count(&env.json(&[AT_ONCE, &["-w"]].concat()), "deleted") > 0);
    // What a remote lacks is sent with the pin; nothing to pin is no pin.
    let sent = env.json(&["remote", "pin", "HEAD~1"]);
    assert_eq!(count(&sent, "made"), 1, "{sent}");
    clone.remove("a");
    clone.mlv(&["pull"]).success();
    let first = env.git(&["rev-list", "--max-parents=0", "HEAD"]);
    assert_eq!(env.json_error(&["remote", "pin", &first], 2).0, "no_such_target");
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
}

fn texts_of(pins: &Value) -> Vec<&str> {
    pins.as_array().expect("a list").iter().map(|pin| pin["id"].as_str().expect("an id")).collect()
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

// R9, O1, O2
#[test]
fn what_cannot_be_known_or_believed_stops_it() {
    let base = pushed_twice();
    let flip = |path: &PathBuf| {
        let mut bytes = fs::read(path).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::remove_file(path).expect("it can be removed");
        fs::write(path, bytes).expect("it can be written");
    };
    type Break<'a> = (&'a str, &'a dyn Fn(&TestEnv), i32, &'a str);
    let cases: &[Break<'_>] = &[
        (
            "the last record of a clone is damaged",
            &|env| flip(stored(env, "rt").iter().max().expect("a record")),
            7,
            "remote_invalid",
        ),
        ("an index is damaged", &|env| flip(&stored(env, "ix")[0]), 5, "damaged"),
        (
            "all packs are gone",
            &|env| fs::remove_dir_all(env.root().join("remote/pk")).expect("it goes"),
            5,
            "damaged",
        ),
        (
            "all indexes are gone",
            &|env| fs::remove_dir_all(env.root().join("remote/ix")).expect("it goes"),
            5,
            "damaged",
        ),
        (
            "no record is listed",
            &|env| fs::remove_dir_all(env.root().join("remote/rt")).expect("it goes"),
            7,
            "remote_invalid",
        ),
        (
            "a pack is of the future",
            &|env| {
                let file = File::open(&stored(env, "pk")[0]).expect("it is there");
                file.set_modified(SystemTime::now() + Duration::from_secs(90_000)).expect("its time");
            },
            7,
            "remote_invalid",
        ),
        (
            "a mark cannot be read",
            &|env| {
                let name = format!("gc/m-{:032x}{:016x}", 1, 1);
                let path = env.root().join("remote").join(name);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, "no mark").expect("it can be written");
            },
            7,
            "remote_invalid",
        ),
        (
            "the clone is shallow",
            &|env| env.write(".git/shallow", env.git(&["rev-parse", "HEAD"]) + "\n"),
            5,
            "not_found",
        ),
        (
            "git has not fetched",
            &|env| {
                let clone = env.clone_to("ahead");
                clone.commit("one more");
                env.git(&["remote", "add", "origin", &clone.path().display().to_string()]);
            },
            5,
            "not_found",
        ),
        (
            "git's remote does not answer",
            &|env| drop(env.git(&["remote", "add", "origin", "/nowhere"])),
            7,
            "network",
        ),
        (
            "a pointer of an old commit is damaged",
            &|env| {
                env.write("b.mlv", "version: 1\nouts:\n- path: b\n  hash: blake3:12\n");
                env.commit("damaged");
                env.remove("b.mlv");
                env.commit("removed");
            },
            4,
            "invalid_file",
        ),
    ];
    for (what, break_it, code, kind) in cases {
        let env = base.duplicate();
        break_it(&env);
        let remote = env.root().join("remote");
        let before = snapshot(&remote, &[]);
        let output = env.mlv(AT_ONCE);
        assert_eq!(output.exit_code(), *code, "{what}: {output}");
        assert!(output.stderr().contains("hint: "), "{what}: {output}");
        assert_eq!(env.json_error(AT_ONCE, *code).0, *kind, "{what}");
        assert_eq!(snapshot(&remote, &[]), before, "{what}: nothing was changed");
    }
    let env = base.duplicate();
    cases.last().expect("a case").1(&env);
    let output = env.mlv(&[AT_ONCE, &["--skip-failed"]].concat()).success();
    assert!(output.stderr().contains("warning: left out"), "{output}");
    assert_whole(&env);
}

// R9: files at the place that are not mlv's are neither believed nor touched.
#[test]
fn foreign_files_stay() {
    let env = pushed_twice();
    let foreign = ["pk/readme", "gc/h-x", "rt/notes", "ix/x", "other/file"];
    for name in foreign {
        let path = env.root().join("remote").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "not mlv's").expect("it can be written");
    }
    assert!(count(&env.json(&[AT_ONCE, &["-w"]].concat()), "deleted") > 0);
    for name in foreign {
        assert!(env.root().join("remote").join(name).is_file(), "{name}");
    }
    assert_whole(&env);
}

// R4: a copy that was made for one that is damaged is not given up for it.
#[test]
fn collecting_beside_a_damaged_copy_comes_to_rest() {
    let env = pushed_twice();
    let pack = stored(&env, "pk").into_iter().max_by_key(|path| fs::metadata(path).expect("it").len());
    let pack = pack.expect("a pack");
    let mut bytes = fs::read(&pack).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::remove_file(&pack).expect("it can be removed");
    fs::write(&pack, bytes).expect("it can be written");
    let report = env.json(&["fsck", "--remote", "--read-data", "--repair"]);
    assert!(report["sent"].as_u64() > Some(0), "{report}");
    env.mlv(AT_ONCE).success();
    let packs = stored(&env, "pk");
    let report = env.json(AT_ONCE);
    assert_eq!((count(&report, "marked"), count(&report, "kept")), (0, 0), "{report}");
    assert_eq!(stored(&env, "pk"), packs);
    assert_whole(&env);
}

// R4, R7: of two packs with the same records the first can go, but only if the other's are well.
#[test]
fn a_copy_that_is_damaged_saves_nothing() {
    let collect_with = |damaged: usize, left_out: &str| {
        let env = TestEnv::shared();
        env.write("a", random_bytes(5, 3000));
        env.mlv(&["add", "a"]).success();
        env.commit("data");
        env.mlv(&["push"]).success();
        let _ = env.beside("second");
        env.mlv(&["remote", "add", "second", "../second"]).success();
        env.mlv(&["push", "-r", "second"]).success();
        for folder in ["pk", "ix"] {
            let (from, to) = (env.root().join("second").join(folder), env.root().join("remote"));
            env.run(env.command("cp").arg("-r").arg(from).arg(to)).success();
        }
        let packs = stored(&env, "pk");
        assert_eq!(packs.len(), 2);
        let mut bytes = fs::read(&packs[damaged]).expect("it is there");
        bytes[1000] ^= 4;
        fs::remove_file(&packs[damaged]).expect("it can be removed");
        fs::write(&packs[damaged], bytes).expect("it can be written");
        for _ in 0..2 {
            env.run(env.mlv_command().args(AT_ONCE).env("MLV_MUTATE", left_out)).success();
        }
        env.lose_cache();
        env.remove("a");
        env.mlv(&["pull", "-r", "storage"]).exit_code()
    };
    assert_eq!([collect_with(0, ""), collect_with(1, "")], [0, 0]);
    let left_out = "gc-copies-are-read";
    assert!([collect_with(0, left_out), collect_with(1, left_out)].contains(&5));
}
