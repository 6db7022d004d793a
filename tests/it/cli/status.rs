//! `mlv status` and `mlv data status`: what changed, what is stale, what is missing.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::{TestEnv, texts};

const PIPELINE: &str = "\
stages:
  one:
    cmd: cat in > mid
    deps: [in]
    outs: [mid]
  two:
    cmd: cat mid > out
    deps: [mid]
    params: [scale]
    outs: [out]
";

/// The pipeline, run.
fn with_stages() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write("params.yaml", "scale: 1\n");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    env
}

// DVC 6 K
#[test]
fn clean_project_is_an_empty_document_and_exit_0() {
    let env = TestEnv::tracked();
    env.assert_clean();
    assert_eq!(env.json(&["data", "status"]), json!({}));
    env.mlv(&["status", "--exit-code"]).success();
    env.mlv(&["status", "-q"]).success();
    assert!(!env.mlv(&["status"]).success().to_string().is_empty(), "a clean project is told so");
}

// DVC 54 K, 6 F
#[test]
fn each_kind_of_change_has_its_list_in_order() {
    let env = TestEnv::tracked();
    env.write("d/1", "changed");
    env.remove("d/2");
    env.write("d/new2", "2");
    env.write("d/new1", "1");
    env.write("a", "other");
    assert_eq!(texts(&env.status()["data"]["uncommitted"]["modified"]), ["a", "d/"]);
    let data = env.json(&["status", "--granular"])["data"].clone();
    assert_eq!(texts(&data["uncommitted"]["modified"]), ["a", "d/1"]);
    assert_eq!(texts(&data["uncommitted"]["deleted"]), ["d/2"]);
    assert_eq!(texts(&data["uncommitted"]["added"]), ["d/new1", "d/new2"]);
    assert!(data["committed"].is_null(), "{data}");
    assert_eq!(env.json(&["data", "status", "--granular"]), data);
}

#[test]
fn pointers_are_compared_with_the_last_commit() {
    let env = TestEnv::tracked();
    env.write("d/1", "changed");
    env.write("b", "new");
    env.mlv(&["add", "d", "b"]).success();
    env.remove("a.mlv");
    let committed = env.json(&["status", "--granular"])["data"]["committed"].clone();
    assert_eq!(texts(&committed["added"]), ["b"]);
    assert_eq!(texts(&committed["deleted"]), ["a"]);
    assert!(texts(&committed["modified"]).iter().any(|path| path.starts_with("d/")), "{committed}");
    env.write("a.mlv", env.git(&["show", "HEAD:a.mlv"]) + "\n");
    env.commit("more");
    env.assert_clean();
}

#[test]
fn deleted_output_is_told() {
    let env = TestEnv::tracked();
    env.remove("a");
    env.remove("d");
    let data = env.status()["data"].clone();
    let deleted = texts(&data["uncommitted"]["deleted"]).join(" ");
    assert!(deleted.contains('a') && deleted.contains('d'), "{data}");
    let said = env.mlv(&["status", "--exit-code"]).code(1).stdout();
    // Nothing is there that could be added.
    assert!(said.starts_with("Deleted here (mlv checkout") && !said.contains("mlv add"), "{said}");
    env.mlv(&["checkout"]).success();
    env.assert_clean();
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_deleted() {
    // A sparse index has one entry for all that a folder holds.
    for index in ["--no-sparse-index", "--sparse-index"] {
        let env = TestEnv::tracked();
        env.write("sub/deep/p", "p");
        env.mlv(&["add", "sub/deep/p"]).success();
        env.commit("in a folder");
        env.git(&["sparse-checkout", "set", index]);
        let said = env.mlv(&["status"]).code(3).stderr();
        assert!(said.contains("hint: git checkout -- .mlv\n"), "{said}");
        assert!(said.contains("hint: in a sparse checkout: git sparse-checkout add .mlv\n"), "{said}");
        env.git(&["sparse-checkout", "add", ".mlv"]);
        assert!(!env.exists("sub"));
        assert!(env.status()["data"]["committed"].is_null());
        assert!(env.mlv(&["diff", "--exit-code"]).success().stdout().is_empty());
    }
}

// DVC 2 F
#[test]
fn difference_is_exit_1_where_asked_for() {
    let env = TestEnv::tracked();
    env.write("a", "other");
    env.mlv(&["status"]).success();
    env.mlv(&["status", "--exit-code"]).code(1);
    env.mlv(&["data", "status", "--exit-code"]).code(1);
    assert_eq!(env.mlv(&["status", "-q"]).code(1).stdout(), "", "as with DVC");
    assert_eq!(env.mlv(&["data", "status", "-q"]).code(1).stdout(), "");
}

// DVC 58 K
#[test]
fn moved_file_is_renamed_within_its_output() {
    let env = TestEnv::tracked();
    env.write("d/3", "first");
    env.remove("d/1");
    let data = env.uncommitted();
    assert_eq!(data["renamed"][0]["old"], "d/1");
    assert_eq!(data["renamed"][0]["new"], "d/3");
    assert!(data["added"].is_null() && data["deleted"].is_null(), "{data}");
    // Equal contents in another output are no move.
    env.remove("a");
    env.write("d/4", "one");
    let data = env.uncommitted();
    assert_eq!(data["renamed"].as_array().map(Vec::len), Some(1), "{data}");
}

// DVC 61 F
#[test]
fn paths_are_relative_to_the_current_folder_and_the_scope_is_the_repository() {
    let env = TestEnv::tracked();
    env.write("a", "other");
    env.write("d/1", "changed");
    let sub = env.at("d");
    // JSON is for scripts: its paths are the repository's, from wherever it is asked for.
    assert_eq!(sub.status(), env.status());
    assert_eq!(sub.json(&["data", "status"]), env.json(&["data", "status"]));
    assert_eq!(sub.json(&["diff"]), env.json(&["diff"]));
    for args in [&["status"][..], &["data", "status"], &["diff"]] {
        let text = sub.mlv(args).success().stdout();
        assert!(text.contains("../a") && !text.contains("d/1"), "{args:?}: {text}");
    }
}

#[test]
fn targets_narrow_the_question() {
    let env = TestEnv::tracked();
    env.write("a", "other");
    env.write("d/1", "changed");
    let status = env.json(&["status", "a"]);
    assert_eq!(texts(&status["data"]["uncommitted"]["modified"]), ["a"]);
    assert_eq!(env.json_error(&["status", "nosuch"], 2).0, "no_such_target");
}

// DVC 29 F
#[test]
fn two_pointers_for_one_path_are_reported_and_the_rest_is_answered() {
    let env = TestEnv::tracked();
    let pointer = env.read_text("a.mlv").replace("version: 1\n", "version: 1\nwdir: ..\n");
    env.write("sub/other.mlv", pointer);
    env.write("d/1", "changed");
    let (_, document) = env.json_error(&["status", "--granular"], 4);
    let text = document.to_string();
    assert!(text.contains("a.mlv") && text.contains("sub/other.mlv"), "{document}");
    assert_eq!(texts(&document["data"]["uncommitted"]["modified"]), ["d/1"]);
}

// DVC 62 K
#[test]
fn conflict_markers_are_named_with_file_and_line() {
    let env = TestEnv::tracked();
    let pointer = env.read_text("a.mlv");
    env.write(
        "a.mlv",
        format!("version: 1\nouts:\n<<<<<<< ours\n{pointer}=======\n{pointer}>>>>>>> theirs\n"),
    );
    env.write("d/1", "changed");
    let output = env.mlv(&["status"]).code(4);
    let text = output.stderr();
    assert!(text.contains("a.mlv:3") && text.contains("conflict"), "{output}");
    let (kind, document) = env.json_error(&["status", "--granular"], 4);
    assert_eq!(kind, "invalid_file");
    assert_eq!(texts(&document["data"]["uncommitted"]["modified"]), ["d/1"]);
}

// DVC 62 K
#[test]
fn conflict_markers_in_the_lock_are_named_with_the_line() {
    let env = with_stages();
    let lock = env.read_text("mlv.lock");
    let theirs = lock.replace("  two:", "  other:");
    env.write("mlv.lock", format!("<<<<<<< ours\n{lock}=======\n{theirs}>>>>>>> theirs\n"));
    for args in [&["status"][..], &["repro"]] {
        let output = env.mlv(args).code(4);
        assert!(output.stderr().contains("mlv.lock:1") && output.stderr().contains("conflict"), "{output}");
    }
}

// DVC 63 F, R5: readers never block.
#[test]
fn status_answers_while_a_stage_runs() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  slow:\n    cmd: touch started; until [ -e go ]; do sleep 0.02; done; echo x > out\n    outs: [out]\n",
    );
    env.write("a", "1");
    let mut running = env.mlv_command().arg("repro").spawn().expect("it starts");
    while !env.exists("started") {
        thread::sleep(Duration::from_millis(20));
    }
    // None of them ends if it waits for the stage.
    env.mlv(&["status", "--json"]).success();
    env.mlv(&["data", "status"]).success();
    env.mlv(&["add", "a"]).success();
    assert!(running.try_wait().expect("a child").is_none());
    env.write("go", "");
    assert!(running.wait().expect("it ends").success());
    assert_eq!(env.read_text("out"), "x\n");
    env.assert_sound();
}

// DVC 54 K
#[test]
fn stages_say_why_they_would_run() {
    let env = with_stages();
    env.commit("run");
    env.assert_clean();
    env.write("in", "2");
    env.write("params.yaml", "scale: 3\n");
    let stages = env.status()["stages"].clone();
    assert!(stages["one"].to_string().contains("\"in\":\"modified\""), "{stages}");
    assert!(stages["two"].to_string().contains("scale"), "{stages}");
    env.write("mlv.yaml", PIPELINE.replace("cat in", "cat  in"));
    assert!(env.status()["stages"]["one"].to_string().contains("changed command"));
    assert!(env.json(&["status", "--only", "data"])["stages"].is_null());
    env.mlv(&["status", "--only", "pipeline", "--exit-code"]).code(1);
}

#[test]
fn pipeline_needs_no_data_to_be_judged() {
    let env = TestEnv::shared();
    env.write("in", "1");
    env.write("params.yaml", "scale: 1\n");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["add", "in"]).success();
    env.mlv(&["repro"]).success();
    env.commit("run");
    let clone = env.clone_to("clone");
    assert_eq!(clone.json(&["status", "--only", "pipeline"]), json!({}));
    clone.write("params.yaml", "scale: 2\n");
    let stages = clone.json(&["status", "--only", "pipeline"])["stages"].clone();
    assert_eq!(
        stages.as_object().map(|stages| stages.keys().cloned().collect()),
        Some(vec!["two".to_owned()])
    );
}

#[test]
fn what_was_never_downloaded_is_shown_and_is_no_difference() {
    let env = TestEnv::shared();
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "d"]).success();
    env.commit("add d");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["status", "--exit-code"]).success();
    clone.mlv(&["pull", "d/1"]).success();
    clone.mlv(&["status", "--exit-code"]).success();
    assert!(clone.mlv(&["status"]).success().stdout().contains("1 of 2 files here"));
    clone.write("d/1", "changed");
    assert_eq!(texts(&clone.uncommitted()["modified"]), ["d/1"]);
}

// T1: a racily clean file is hashed again.
#[test]
fn edit_of_equal_length_within_the_same_instant_is_noticed() {
    let env = TestEnv::ready();
    for round in 0..10 {
        env.write("f", format!("content {round} a"));
        env.mlv(&["add", "f"]).success();
        env.write("f", format!("content {round} b"));
        assert_eq!(texts(&env.uncommitted()["modified"]), ["f"], "round {round}");
    }
}

// T1
#[test]
fn edit_with_the_time_put_back_is_noticed() {
    let env = TestEnv::tracked();
    env.assert_clean();
    let file = env.path().join("a");
    let time = file.metadata().and_then(|found| found.modified()).expect("it is there");
    env.write("a", "two");
    let handle = std::fs::File::options().write(true).open(&file).expect("it is there");
    handle.set_modified(time).expect("its time");
    assert_eq!(texts(&env.uncommitted()["modified"]), ["a"]);
    // And a new time alone is no change.
    env.write("a", "one");
    env.assert_clean();
}

// R23: a read-only work tree serves for reading.
#[test]
fn status_and_diff_write_nothing() {
    let env = TestEnv::tracked();
    env.write("d/1", "changed");
    let before = env.snapshot_of(".git") + &env.snapshot();
    env.mlv(&["status"]).success();
    env.mlv(&["diff"]).success();
    assert_eq!(env.snapshot_of(".git") + &env.snapshot(), before);
}

#[test]
fn lock_entry_that_was_edited_by_hand_is_stale_and_no_error() {
    let env = with_stages();
    let lock = env.read_text("mlv.lock");
    env.write("mlv.lock", lock.replacen("cat in > mid", "cat in  > mid", 1));
    let output = env.mlv(&["status"]).success();
    assert!(output.stdout().contains("lock entry was merged or edited, never run"), "{output}");
}

// A target that no stage makes is data of the project all the same.
#[test]
fn each_form_of_target_is_understood_beside_a_pipeline() {
    let env = TestEnv::tracked();
    env.write("sub/x", "1");
    env.mlv(&["add", "sub/x"]).success();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: cp a o\n    deps: [a]\n    outs: [o]\n");
    env.mlv(&["repro"]).success();
    env.commit("stage");
    for target in ["a", "a.mlv", "d", "d/1", "sub", "sub/x", "s", "o", "mlv.yaml", "."] {
        assert_eq!(env.json(&["status", target]), serde_json::json!({}), "{target}");
        assert_eq!(env.json(&["status", "--only", "pipeline", target]), serde_json::json!({}), "{target}");
    }
    env.at("sub").mlv(&["status", "."]).success();
    for args in [["status", "nothing"], ["repro", "nothing"]] {
        assert_eq!(env.json_error(&args, 2).0, "no_such_target");
    }
    let (_, document) = env.json_error(&["repro", "d"], 2);
    assert!(document.to_string().contains("`d` is made by no stage"), "{document}");
}

// DVC 15 F
#[test]
fn what_git_tracks_of_an_output_is_told_until_git_lets_go_of_it() {
    let env = TestEnv::tracked();
    env.git(&["add", "--force", "d/2"]);
    let said = env.mlv(&["status", "--exit-code"]).code(1).stdout();
    assert!(
        said.contains("Kept by git, too (git rm -r --cached PATH") && said.contains("  in git: d/2\n"),
        "{said}"
    );
    assert_eq!(env.status()["data"], json!({"in_git": ["d/2"]}));
    env.git(&["add", "--force", "d"]);
    assert_eq!(texts(&env.status()["data"]["in_git"]), ["d/"]);
    assert_eq!(texts(&env.json(&["data", "status", "--granular"])["in_git"]), ["d/1", "d/2"]);
    env.git(&["add", "--force", "a"]);
    assert_eq!(texts(&env.status()["data"]["in_git"]), ["a", "d/"]);
    env.git(&["rm", "-r", "--quiet", "--cached", "a", "d"]);
    env.assert_clean();
}
