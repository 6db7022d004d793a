//! `mlv get`.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::TestEnv;

fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "one");
    env.write("d/1", "first");
    env.write("d/sub/2", "second");
    env.chmod("d/sub/2", 0o755);
    env.symlink("2", "d/sub/link");
    env.at("d/empty");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("one");
    env.git(&["tag", "v1"]);
    env.write("a", "ONE");
    env.write("d/1", "FIRST");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("two");
    env.mlv(&["push", "-A"]).success();
    env
}

#[test]
fn copies_any_version_and_leaves_the_work_tree() {
    let env = pushed();
    let now = env.snapshot_of("d");
    env.git(&["checkout", "-q", "v1"]);
    env.mlv(&["checkout"]).success();
    let old = env.snapshot_of("d");
    let clone = env.clone_to("clone");
    clone.git(&["checkout", "-q", "main"]);
    let out = clone.beside("out");
    let copy = |name: &str| out.path().join(name).display().to_string();
    clone.mlv(&["get", "d", "-o", &copy("now")]).success();
    clone.mlv(&["get", "d", "--rev", "v1", "-o", &copy("old")]).success();
    clone.mlv(&["get", "d/sub", "-o", &copy("")]).success();
    clone.mlv(&["get", "a", "--rev", "v1", "-o", &copy("deep/er/a")]).success();
    clone.mlv(&["get", ".", "-o", &copy("all")]).success();
    assert_eq!(out.snapshot_of("now"), now);
    assert_eq!(out.snapshot_of("old"), old);
    assert_eq!(out.snapshot_of("all/d"), now);
    assert_eq!(out.read_text("all/a"), "ONE");
    assert_eq!(out.read_text("sub/2"), "second");
    assert_eq!(out.read_text("deep/er/a"), "one");
    let names: Vec<String> = fs::read_dir(out.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 5, "nothing else is left: {names:?}");
    assert!(!clone.exists("d") && !clone.exists("a"));
}

#[test]
fn only_what_is_needed_is_fetched() {
    let env = pushed();
    let clone = env.clone_to("clone");
    let report = clone.json(&["get", "d/1"]);
    assert_eq!(
        (&report["files"], &report["bytes"], &report["fetched_bytes"]),
        (&json!(1), &json!(5), &json!(5))
    );
    assert_eq!(report["out"], "1");
    let again = clone.json(&["get", "d/1", "-o", "again"]);
    assert_eq!((&again["fetched_bytes"], &again["requests"]), (&json!(0), &json!(0)));
}

/// R2: what stands there stays.
#[test]
fn nothing_is_replaced() {
    let env = pushed();
    env.write("taken", "mine");
    env.symlink("nowhere", "link");
    let before = env.snapshot();
    for (path, out) in [("a", "taken"), ("a", "link"), ("a", "."), ("d/sub", "d")] {
        assert_eq!(env.json_error(&["get", path, "-o", out], 2).0, "would_overwrite", "{out}");
    }
    for out in [".git/x", ".mlv", "x/.git/y", ".MLV/x"] {
        assert_eq!(env.json_error(&["get", "a", "-o", out], 4).0, "unsafe_path", "{out}");
    }
    assert_eq!(env.snapshot(), before);
}

#[test]
fn copies_share_nothing_with_the_cache() {
    let env = pushed();
    env.mlv(&["config", "cache.type", "hardlink"]).success();
    env.mlv(&["get", "a", "-o", "copy"]).success();
    env.write("copy", "changed by its owner");
    env.assert_sound();
}

#[test]
fn what_is_missing_is_listed_and_the_rest_is_copied() {
    let env = pushed();
    for object in env.loose_objects() {
        if fs::read(&object).is_ok_and(|bytes| bytes == b"FIRST") {
            fs::remove_file(object).expect("it can be removed");
        }
    }
    env.remove(env.root().join("remote"));
    env.mlv(&["push", "a", "--create"]).success();
    let (_, document) = env.json_error(&["get", "d", "-o", "copy"], 5);
    assert_eq!(document["failed"][0]["path"], "d/1", "{document}");
    assert_eq!(env.read_text("copy/sub/2"), "second");
    assert!(!env.exists("copy/1"));
    env.mlv(&["get", "d/1", "-o", "one"]).code(5);
    assert!(!env.exists("one"));
}

/// R1: killed at any moment, the place has the whole copy or nothing.
#[test]
fn killed_copy_leaves_all_or_nothing_and_can_be_made_again() {
    let env = pushed();
    let clone = env.clone_to("clone");
    for round in 0..8 {
        let name = format!("copy{round}");
        let mut command = clone.mlv_command();
        let mut child = command.args(["get", "d", "-o", &name]).spawn().expect("it starts");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(3 * round) {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().expect("it ends");
        if clone.exists(&name) {
            assert_eq!(clone.read_text(format!("{name}/sub/2")), "second");
            assert_eq!(clone.read_text(format!("{name}/1")), "FIRST");
        } else {
            clone.mlv(&["get", "d", "-o", &name]).success();
        }
    }
    let left = fs::read_dir(clone.path()).expect("a folder").count();
    clone.mlv(&["get", "a", "-o", "last"]).success();
    let names = fs::read_dir(clone.path()).expect("a folder").count();
    assert!(names <= left + 1, "what the dead left is gone");
}

#[test]
fn dry_run_says_what_would_be_copied_and_copies_nothing() {
    let env = pushed();
    let clone = env.clone_to("clone");
    let report = clone.json(&["get", "d", "-o", "copy", "--dry-run"]);
    let counted = [&report["files"], &report["bytes"], &report["fetched_bytes"], &report["dry_run"]];
    assert_eq!(counted, [&json!(3), &json!(12), &json!(12), &json!(true)]);
    assert!(!clone.exists("copy"));
    clone.mlv(&["fetch", "d"]).success();
    let said = clone.mlv(&["get", "d", "-o", "copy", "-n"]).success().stderr();
    assert_eq!(said, "Would copy 3 files (12 B, 0 B of it to be fetched) to `copy`.\n");
    clone.mlv(&["get", "a", "-n", "-o", "d.mlv"]).code(2);
    clone.mlv(&["get", "d", "-o", "copy"]).success();
    assert_eq!(clone.snapshot_of("copy"), env.snapshot_of("d"));
}

// `dvc get REPOSITORY PATH`
#[test]
fn second_path_is_refused_with_what_is_meant() {
    let env = pushed();
    for (args, hint) in [
        (["get", ".", "d"], "mlv get d"),
        (["get", "d", "my copy"], "mlv get d -o 'my copy'"),
        (["get", "https://host/x.git", "d"], "in a clone of `https://host/x.git`: mlv get d"),
    ] {
        let (kind, document) = env.json_error(&args, 2);
        assert_eq!((&*kind, &document["error"]["hints"][0]), ("usage", &json!(hint)));
    }
}
