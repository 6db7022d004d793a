//! `gc --cloud` where something is damaged, unknown, or not mlv's.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::gc::{AT_ONCE, assert_whole, count, pushed_twice, stored};
use crate::support::{TestEnv, random_bytes, snapshot};

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
