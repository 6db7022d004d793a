//! Who keeps an output of a stage changes without a run: what `cache: false` leaves to git gets there.

use std::fs;

use serde_json::json;

use crate::support::TestEnv;

const KEPT: &str =
    "stages: {a: {cmd: 'echo 1 > o; echo 2 > m.json', deps: [in], outs: [o], metrics: [m.json]}}\n";
const LEFT: &str = "stages: {a: {cmd: 'echo 1 > o; echo 2 > m.json', deps: [in], outs: [o: {cache: false}], metrics: [m.json: {cache: false}]}}\n";

/// A stage that ran, with `o` and `m.json`, which mlv keeps; committed and pushed.
fn kept() -> TestEnv {
    let env = TestEnv::shared();
    env.write("in", "1");
    env.write("mlv.yaml", KEPT);
    env.mlv(&["repro"]).success();
    env.commit("made");
    env.mlv(&["push"]).success();
    env
}

#[track_caller]
fn assert_left_to_git(env: &TestEnv, said: &str) {
    assert!(said.contains("hint: git add .gitignore m.json mlv.lock o\n"), "{said}");
    assert!(!env.exists(".gitignore"), "{}", env.read_text(".gitignore"));
    assert_eq!(env.read_text("mlv.lock").matches("cache: false").count(), 2);
    assert_eq!(env.status()["data"], json!({"not_in_git": ["m.json", "o"]}));
    env.commit("left to git");
    env.assert_clean();
    let clone = env.clone_to("colleague");
    assert_eq!(clone.read_text("m.json"), "2\n");
    clone.assert_clean();
}

#[test]
fn skipped_stage_leaves_its_outputs_to_git() {
    let env = kept();
    env.write("mlv.yaml", LEFT);
    let said = env.mlv(&["status", "--exit-code"]).code(1).stdout();
    assert!(said.contains("(mlv commit PATH):\n  ignored: m.json\n  ignored: o\n"), "{said}");
    let output = env.mlv(&["repro"]).success();
    assert!(output.stderr().contains("Stage `a` skipped"), "{}", output.stderr());
    assert_left_to_git(&env, &output.stderr());
}

#[test]
fn commit_leaves_outputs_to_git() {
    let env = kept();
    env.write("mlv.yaml", LEFT);
    let said = env.mlv(&["commit", "m.json", "o"]).success().stderr();
    assert_left_to_git(&env, &said);
}

// As `repro` has left it before, or a merge.
#[test]
fn line_that_was_left_behind_goes_without_any_other_change() {
    for command in ["repro", "commit"] {
        let env = kept();
        let lines = env.read(".gitignore");
        env.write("mlv.yaml", LEFT);
        env.mlv(&["repro"]).success();
        env.write(".gitignore", lines);
        env.commit("as it was");
        assert_eq!(env.status()["data"], json!({"still_ignored": ["m.json", "o"]}));
        let said = env.mlv(&[command]).success().stderr();
        assert!(said.contains("hint: git add .gitignore m.json o\n"), "{command}: {said}");
        env.commit("mended");
        env.assert_clean();
        let said = env.mlv(&[command]).success().stderr();
        assert!(!said.contains("git add"), "{command}: {said}");
    }
}

#[test]
fn what_the_users_own_rules_ignore_is_kept_by_nobody() {
    let env = kept();
    env.write("mlv.yaml", LEFT);
    env.write(".git/info/exclude", "o\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.status()["data"], json!({"not_in_git": ["m.json"]}));
    let said = env.mlv(&["status"]).success().stdout();
    assert!(said.contains("(git add PATH):\n  not in git: m.json\n"), "{said}");
}

// `status` in a clone says what `repro` does there.
#[test]
fn output_that_nobody_committed_is_missed_in_a_clone() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write("mlv.yaml", LEFT);
    env.mlv(&["repro"]).success();
    env.git(&["add", "in", "mlv.yaml", "mlv.lock"]);
    env.git(&["commit", "--quiet", "--message", "without o and m.json"]);
    let clone = env.clone_to("colleague");
    let said = clone.mlv(&["status", "--only", "pipeline", "--exit-code"]).code(1).stdout();
    assert!(said.contains("a: m.json deleted, o deleted"), "{said}");
    let said = clone.mlv(&["explain", "a"]).success().stdout();
    assert!(said.contains("a: would run: changed outs: m.json, o"), "{said}");
    assert!(clone.mlv(&["report", "HEAD"]).success().stdout().contains("1 stale"));
    clone.mlv(&["repro"]).success();
    assert_eq!(clone.status()["stages"], serde_json::Value::Null);
}

#[test]
fn output_comes_back_from_git_to_mlv() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write("mlv.yaml", LEFT);
    env.mlv(&["repro", "--no-run-cache"]).success();
    env.commit("made");
    fs::remove_dir_all(env.path().join(".mlv/cache/objects")).ok();
    env.write("mlv.yaml", KEPT);
    assert_eq!(env.json_error(&["commit", "o"], 2).0, "already_tracked");
    env.git(&["rm", "--quiet", "--cached", "o", "m.json"]);
    let said = env.mlv(&["commit"]).success().stderr();
    assert!(said.contains("git add mlv.lock"), "{said}");
    env.commit("kept by mlv");
    env.assert_clean();
    env.assert_sound();
    env.remove("o");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("o"), "1\n");
}
