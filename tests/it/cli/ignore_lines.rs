//! mlv's lines in `.gitignore` are those of what is tracked: a line that was lost comes back, and is missed
//! until then; one of nothing goes.

use serde_json::json;

use crate::support::{TestEnv, texts};

/// `d` and `sub/e`, tracked; the ignore file of `d` was emptied in a commit.
fn line_lost() -> TestEnv {
    let env = TestEnv::ready();
    env.write("d/1", "one");
    env.write("sub/e/1", "one");
    env.mlv(&["add", "d", "sub/e"]).success();
    env.commit("data");
    env.write(".gitignore", "");
    env.git(&["commit", "--quiet", "--all", "--message", "tidy"]);
    env
}

// A merge that takes one side, a linter: `git add .` takes the data then.
#[test]
fn data_that_git_does_not_ignore_is_told_and_ignored_again() {
    let env = line_lost();
    assert_eq!(env.status()["data"], json!({"not_ignored": ["d/"]}));
    let said = env.mlv(&["status", "--exit-code"]).code(1).stdout();
    assert!(said.contains("(mlv commit PATH):\n  not ignored: d/\n"), "{said}");
    // The command that is named, though nothing of the data changed.
    let said = env.mlv(&["commit", "d"]).success().stderr();
    assert!(said.contains("git add .gitignore"), "{said}");
    assert!(env.read_text(".gitignore").contains("\n/d\n"));
    env.commit("ignored again");
    env.assert_clean();
}

// Whoever edits the lines of a folder writes those of its other outputs, stages' too.
#[test]
fn lines_of_other_outputs_in_the_folder_come_back() {
    let env = line_lost();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: echo > o\n    outs: [o]\n");
    env.mlv(&["repro"]).success();
    env.remove(".gitignore");
    env.write("f", "a file");
    env.mlv(&["add", "f"]).success();
    let lines = env.read_text(".gitignore");
    let names: Vec<&str> = lines.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(names, ["/d", "/f", "/o"]);
}

#[test]
fn data_that_git_tracks_is_not_committed() {
    let env = line_lost();
    env.git(&["add", "."]);
    env.git(&["commit", "--quiet", "--message", "by accident"]);
    assert_eq!(texts(&env.status()["data"]["in_git"]), ["d/1"]);
    env.write("d/1", "two");
    env.write("sub/e/1", "two");
    let pointer = env.read("d.mlv");
    let output = env.run(env.mlv_command().args(["commit", "--json"]));
    let document = output.json();
    assert_eq!(document["failed"][0]["kind"], "already_tracked", "{document}");
    assert_eq!(env.read("d.mlv"), pointer);
    assert_eq!(document["outputs"][0]["path"], "sub/e", "the rest goes on: {document}");
    env.git(&["rm", "-r", "--quiet", "--cached", "d"]);
    env.mlv(&["commit"]).success();
    assert_ne!(env.read("d.mlv"), pointer);
}

// The line of a name that is given up would hide what comes there next.
#[test]
fn line_of_a_renamed_output_goes() {
    let env = TestEnv::ready();
    env.write("d/1", "one");
    env.write("other", "stays here");
    env.mlv(&["add", "d", "other"]).success();
    env.commit("data");
    env.git(&["mv", "d.mlv", "e.mlv"]);
    env.git(&["rm", "--quiet", "--cached", "other.mlv"]);
    env.remove("other.mlv");
    env.write("e.mlv", env.read_text("e.mlv").replace("path: d", "path: e"));
    std::fs::rename(env.path().join("d"), env.path().join("e")).expect("it can be moved");
    env.mlv(&["add", "e"]).success();
    let lines = env.read_text(".gitignore");
    let names: Vec<&str> = lines.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(names, ["/e", "/other"], "what is there stays ignored, tracked or not");
    env.write("d/code.py", "source");
    assert!(env.git(&["status", "--porcelain"]).contains("?? d/"));
}
