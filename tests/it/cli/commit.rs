//! `mlv commit`: what is tracked is recorded as it is.

use crate::support::{TestEnv, hash_of};

#[test]
fn commit_records_all_changes_to_what_is_tracked_and_nothing_else() {
    let env = TestEnv::tracked();
    env.write("a", "two");
    env.write("d/3", "third");
    env.remove("d/1");
    env.write("untracked", "x");
    env.mlv(&["commit", "--force"]).success();
    assert_eq!(env.pointer("a.mlv").hash, hash_of(b"two"));
    assert_eq!((env.pointer("d.mlv").nfiles, env.pointer("d.mlv").size), (Some(2), 11));
    assert!(!env.exists("untracked.mlv"));
    env.assert_recorded();
    env.assert_sound();
}

#[test]
fn commit_of_one_target_leaves_the_others() {
    let env = TestEnv::tracked();
    env.write("a", "two");
    env.write("d/1", "changed");
    let before = env.read("d.mlv");
    env.mlv(&["commit", "--force", "a"]).success();
    assert_eq!(env.pointer("a.mlv").hash, hash_of(b"two"));
    assert_eq!(env.read("d.mlv"), before);
    assert_eq!(env.json_error(&["commit", "-f", "nosuch"], 2).0, "no_such_target");
}

#[test]
fn commit_of_an_unchanged_project_changes_nothing_and_says_so() {
    let env = TestEnv::tracked();
    let before = env.snapshot();
    let output = env.mlv(&["commit"]).success();
    assert!(!format!("{}{}", output.stdout(), output.stderr()).is_empty());
    assert_eq!(env.snapshot(), before);
    env.assert_clean();
}

// DVC 75 K
#[test]
fn commit_accepts_the_outputs_of_a_stage_as_they_are() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write(
        "mlv.yaml",
        "stages:\n  make:\n    cmd: cat in > out; echo run >> log\n    deps: [in]\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).success();
    env.write("in", "2");
    env.write("out", "made by hand");
    env.mlv(&["commit", "--force"]).success();
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("log"), "run\n");
    assert_eq!(env.read_text("out"), "made by hand");
    assert!(env.read_text("mlv.lock").contains(&hash_of(b"made by hand")));
}

#[test]
fn commit_in_a_fresh_clone_loses_no_entry() {
    let env = TestEnv::shared();
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "d"]).success();
    env.commit("add d");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let before = clone.snapshot();
    clone.mlv(&["commit", "--force"]).success();
    assert_eq!(clone.snapshot(), before);
}

#[test]
fn dry_run_says_the_same_and_writes_nothing() {
    let env = TestEnv::tracked();
    env.write("a", "two");
    env.write("d/3", "third");
    env.remove("d/1");
    env.write("later", "not stored yet");
    env.mlv(&["add", "--no-commit", "later"]).success();
    env.write("mlv.yaml", "stages:\n  make: {cmd: cp a out, deps: [a], outs: [out]}\n");
    env.write("out", "by hand");
    let before = env.snapshot_of(".");
    let promised = env.json(&["commit", "--force", "--dry-run"]);
    assert_eq!(env.snapshot_of("."), before);
    assert_eq!(promised["dry_run"], true);
    assert_eq!(promised["stored"]["records"], 4, "a, d/3, later, out: {promised}");
    let text = env.mlv(&["commit", "-fn"]).success();
    assert!(text.stderr().contains("Would update `d` (2 files, 11 B): 1 added"), "{text}");
    assert!(text.stderr().contains("Would accept stage `make`"), "{text}");
    let done = env.json(&["commit", "--force"]);
    assert_eq!((&promised["outputs"], &promised["stages"]), (&done["outputs"], &done["stages"]));
    let again = env.mlv(&["commit", "--dry"]).success();
    assert_eq!(again.stderr(), "Everything up to date.\n");
}
