//! `mlv status -c` and `mlv data status --not-in-remote`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{TestEnv, files_below, random_bytes};

fn packs(env: &TestEnv) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&env.root().join("remote/pk"), &mut found);
    found
}

/// `a` and `d` with two files pushed.
fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "one");
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("one");
    env.mlv(&["push"]).success();
    env
}

fn cloud(env: &TestEnv, more: &[&str]) -> Value {
    env.json(&[&["status", "-c"], more].concat())["remote"].clone()
}

// DVC 5 F, 44 F
#[test]
fn hole_in_the_remote_is_seen_leaf_by_leaf() {
    let env = pushed();
    env.assert_clean();
    assert_eq!(cloud(&env, &[]), Value::Null);
    let old = packs(&env);
    env.write("d/3", "third");
    env.write("big", random_bytes(1, 5_000_000));
    env.mlv(&["add", "d", "big"]).success();
    env.commit("two");
    assert_eq!(cloud(&env, &[]), json!({"big": "new", "d/": "new"}));
    env.mlv(&["push"]).success();
    assert_eq!(cloud(&env, &[]), Value::Null);
    for pack in packs(&env).iter().filter(|pack| !old.contains(pack)) {
        fs::remove_file(pack).expect("it can be removed");
    }
    assert_eq!(cloud(&env, &[]), json!({"big": "new", "d/": "new"}));
    assert_eq!(
        cloud(&env, &["--granular"]),
        json!({"big": "new", "d/": "new", "d/3": "new"}),
        "with its list"
    );
    let data = |more: &[&str]| env.json(&[&["data", "status", "--not-in-remote"], more].concat());
    assert_eq!(data(&[]), json!({"not_in_remote": ["big", "d/"]}));
    assert_eq!(data(&["--granular", "d"]), json!({"not_in_remote": ["d/", "d/3"]}));
    env.mlv(&["push"]).success();
    assert_eq!(data(&[]), json!({}));
}

#[test]
fn each_side_is_told_from_the_other() {
    let env = pushed();
    let clone = env.clone_to("clone");
    assert_eq!(cloud(&clone, &["--granular"]), json!({"a": "deleted", "d/1": "deleted", "d/2": "deleted"}));
    clone.mlv(&["status", "-c", "--exit-code"]).success();
    clone.mlv(&["fetch", "a"]).success();
    for pack in packs(&env) {
        fs::remove_file(pack).expect("it can be removed");
    }
    let granular = cloud(&clone, &["--granular"]);
    assert_eq!(granular, json!({"a": "new", "d/": "new", "d/1": "missing", "d/2": "missing"}));
    let status = clone.mlv(&["status", "--only", "remote", "--exit-code"]).code(1);
    assert_eq!(
        status.stdout(),
        "Beside the remote (new: mlv push, deleted: mlv fetch):\n  new: a\n  missing: d/ (2 of 2 files)\n"
    );
}

/// Two paths with equal contents are two paths.
// DVC 5 F
#[test]
fn equal_contents_are_told_for_each_path() {
    let env = TestEnv::shared();
    env.write("a", "same");
    env.write("d/1", "same");
    env.mlv(&["add", "a", "d"]).success();
    let granular = cloud(&env, &["--granular"]);
    assert_eq!(granular, json!({"a": "new", "d/": "new", "d/1": "new"}), "the remote is still to be made");
    assert_eq!(cloud(&env, &["a"]), json!({"a": "new"}));
}

/// R9: a remote that cannot be asked is no remote that has everything, or nothing.
#[test]
fn silence_of_the_remote_is_an_error() {
    let env = pushed();
    fs::rename(env.root().join("remote"), env.root().join("away")).expect("it can be moved");
    let (kind, document) = env.json_error(&["status", "-c"], 5);
    assert_eq!(kind, "not_found", "{document}");
    assert_eq!(env.json_error(&["data", "status", "--not-in-remote", "-r", "x"], 2).0, "no_remote");
    env.mlv(&["status"]).success();
    let env = TestEnv::tracked();
    assert_eq!(env.json_error(&["status", "-c"], 2).0, "no_remote");
}

#[test]
fn what_is_not_pushed_by_choice_is_not_missed() {
    let env = pushed();
    env.write(
        "mlv.yaml",
        "stages:\n  s:\n    cmd: echo x > o\n    outs:\n      - o:\n          push: false\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(cloud(&env, &[]), Value::Null);
}

#[test]
fn remote_that_is_away_does_not_keep_the_others_from_being_asked() {
    let env = pushed();
    env.mlv(&["remote", "add", "second", "../second"]).success();
    env.write("b", "other");
    env.mlv(&["add", "b"]).success();
    env.write("b.mlv", env.read_text("b.mlv") + "  remote: second\n");
    env.mlv(&["push"]).success();
    env.remove(env.root().join("second"));
    env.write("new", "new");
    env.mlv(&["add", "new"]).success();
    let (kind, document) = env.json_error(&["status", "-c"], 5);
    assert_eq!(kind, "not_found", "{document}");
    assert_eq!(document["remote"], json!({"new": "new"}), "{document}");
    assert!(document.to_string().contains("second"), "{document}");
}

// R9: a lost index makes answers slower, not wrong: who fetches looks into the packs.
#[test]
fn data_whose_index_is_lost_is_not_called_missing() {
    let env = TestEnv::shared();
    env.write("large", crate::support::random_bytes(3, 5 << 20));
    env.write("d/1", "first");
    env.mlv(&["add", "large", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let mut segments = Vec::new();
    crate::support::files_below(&env.root().join("remote/ix"), &mut segments);
    segments.iter().for_each(|segment| std::fs::remove_file(segment).expect("it can be removed"));
    let before = crate::support::snapshot(&env.root().join("remote"), &[]);
    let fresh = env.clone_to("fresh");
    let told = cloud(&fresh, &["large"]).to_string();
    assert!(!told.contains("missing") && !told.contains("new"), "{told}");
    // The list of files comes, and what a fetch would mend on its way stays as it is.
    assert_eq!(cloud(&fresh, &[]), json!({"large": "deleted", "d/": "deleted"}));
    let (_, checked) = fresh.json_error(&["fsck", "--remote"], 5);
    assert!(crate::support::texts(&checked["lost"]).is_empty(), "{checked}");
    assert!(fresh.mlv(&["fsck", "--remote"]).code(5).stderr().contains("without an index"), "{checked}");
    assert_eq!(crate::support::snapshot(&env.root().join("remote"), &[]), before, "looking writes nothing");
    assert_eq!(fresh.json(&["fetch", "--dry-run", "large"])["would_fetch"]["objects"].as_u64(), Some(1));
    fresh.mlv(&["pull"]).success();
    assert_eq!(fresh.snapshot(), env.snapshot());
}
