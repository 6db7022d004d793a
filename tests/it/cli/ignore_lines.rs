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
    // Something new is there already: no file of what was tracked.
    env.write("d/code.py", "source");
    env.mlv(&["add", "e"]).success();
    let lines = env.read_text(".gitignore");
    let names: Vec<&str> = lines.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(names, ["/e", "/other"], "what was tracked and is there stays ignored");
    assert!(env.git(&["status", "--porcelain"]).contains("?? d/"));
    // That is told: neither git nor mlv sees it.
    env.commit("renamed");
    let told = "Ignored by a line of mlv's, tracked by nothing (mlv add, or take the line out of `.gitignore`):\n  \
                ignored: other\n";
    assert_eq!(env.mlv(&["status", "--exit-code"]).success().stdout(), told);
    assert_eq!(env.status()["data"], json!({"only_ignored": ["other"]}));
    env.mlv(&["add", "other"]).success();
    env.commit("tracked again");
    env.assert_clean();
}

// A line stays as long as a file with the name of one that was tracked is there, edited or not.
#[test]
fn line_stays_while_a_file_that_was_tracked_may_be_there() {
    let env = TestEnv::ready();
    env.write("d/1", "one");
    env.write("d/2", "two");
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.git(&["rm", "--quiet", "d.mlv"]);
    env.remove("d/1");
    env.write("d/2", "edited");
    env.write("d/code.py", "source");
    env.write("e", "a file");
    env.mlv(&["add", "e"]).success();
    assert!(env.read_text(".gitignore").contains("\n/d\n"));
    assert_eq!(env.status()["data"]["only_ignored"], json!(["d"]));
    env.remove("d/2");
    env.write("f", "a file");
    env.mlv(&["add", "f"]).success();
    assert!(!env.read_text(".gitignore").contains("\n/d\n"));
}
