//! Absent is not deleted, whatever stands at the place of what is not here.

use serde_json::{Value, json};

use crate::support::TestEnv;
use crate::support::http::{self, Answer};

/// A clone of a project with `d/top`, `d/x/1` to `d/x/5` and `d/y/1` to `d/y/5`, in which nothing is here.
fn clone() -> TestEnv {
    let env = TestEnv::shared();
    env.write("d/top", "top");
    for folder in ["x", "y"] {
        for at in 1..=5 {
            env.write(format!("d/{folder}/{at}"), format!("{folder} {at}"));
        }
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    env.clone_to("clone")
}

// R9, DVC 18 F: what a program made before it had anything to put there.
#[test]
fn empty_folder_deletes_nothing_that_is_recorded_below_it() {
    let clone = clone();
    let pointer = clone.read_text("d.mlv");
    std::fs::create_dir_all(clone.path().join("d/x")).expect("a folder");
    for command in [&["add", "d"][..], &["add", "d/x"], &["commit", "--force"]] {
        clone.mlv(command).success();
        assert_eq!(clone.read_text("d.mlv"), pointer, "{command:?}");
    }
    clone.write("d/x/.DS_Store", "left out");
    clone.mlv(&["add", "d"]).success();
    assert_eq!(clone.read_text("d.mlv"), pointer);
}

// R9: only what was here can be deleted.
#[test]
fn file_that_was_pulled_and_deleted_is_the_only_one_that_goes() {
    let clone = clone();
    clone.mlv(&["pull", "d/x/1"]).success();
    clone.remove("d/x/1");
    let report = clone.json(&["add", "d"]);
    assert_eq!(
        report["outputs"][0]["changes"]["deleted"].as_u64().or(report["outputs"][0]["deleted"].as_u64()),
        Some(1),
        "{report}"
    );
    let pulled = clone.mlv(&["pull"]).success();
    assert!(!clone.exists("d/x/1") && clone.exists("d/x/5") && clone.exists("d/y/1"), "{pulled}");
}

// R9: a file where a folder is recorded, and the reverse.
#[test]
fn what_stands_at_the_place_of_something_unseen_is_refused() {
    for (path, replaced) in [("d/x", "d/x"), ("d/top/new", "d/top")] {
        let clone = clone();
        let pointer = clone.read_text("d.mlv");
        clone.write(path, "mine");
        for target in ["d", replaced] {
            let (kind, document) = clone.json_error(&["add", target], 2);
            assert_eq!(kind, "would_overwrite", "{document}");
            assert!(document.to_string().contains(&format!("mlv remove {replaced}")), "{document}");
        }
        assert_eq!((clone.read_text("d.mlv"), clone.read_text(path)), (pointer.clone(), "mine".to_owned()));
        // The remedy that is named. Nothing else was here, so nothing else counts as deleted.
        clone.mlv(&["remove", replaced]).success();
        assert!(clone.has_rescued(b"mine"));
        assert_eq!(clone.json(&["status", "--only", "data"])["data"]["uncommitted"], Value::Null);
        clone.mlv(&["pull", "d/y"]).success();
        clone.mlv(&["pull"]).success();
        assert!(!clone.exists(replaced) && clone.exists("d/y/5"));
        assert_eq!(clone.json(&["status", "--only", "data"])["data"]["uncommitted"], Value::Null);
    }
}

// What is here of an output narrows what a checkout brings, not what it cleans.
#[test]
fn cleaning_looks_at_all_that_is_present() {
    let clone = clone();
    clone.mlv(&["pull", "d/x/1", "d/y"]).success();
    for extra in ["d/x/new", "d/y/new", "d/z/new"] {
        clone.write(extra, extra);
    }
    clone.write("d/x/5", "mine, at a recorded path");
    let document = clone.json(&["checkout", "--clean", "d/x", "--dry-run"]);
    assert_eq!(document["outputs"][0]["deleted"], json!(["d/x/new"]));
    clone.mlv(&["checkout", "--clean", "d"]).success();
    for extra in ["d/x/new", "d/y/new", "d/z/new"] {
        assert!(!clone.exists(extra) && clone.has_rescued(extra.as_bytes()), "{extra}");
    }
    assert_eq!(clone.read_text("d/x/5"), "mine, at a recorded path");
    assert!(clone.exists("d/x/1") && clone.exists("d/y/5") && !clone.exists("d/x/2"));
}

// What is not here for want of a remote that cannot be used: the remote is to blame, not the pipeline.
#[test]
fn stage_that_lacks_what_a_remote_has_fails_as_the_remote_does() {
    let env = TestEnv::ready();
    env.write("data", "1");
    env.mlv(&["add", "data"]).success();
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: cp data a, deps: [data], outs: [a]}\n  b: {cmd: echo > b, outs: [b]}\n",
    );
    let url = http::serve(|_| Answer::new("403 Forbidden"));
    env.mlv(&["remote", "add", "-d", "web", &url]).success();
    env.commit("all");
    let clone = env.clone_to("clone");
    let (expected, _) = clone.json_error(&["pull"], 7);
    let (kind, document) = clone.json_error(&["repro", "--pull", "-k"], 7);
    assert_eq!(kind, expected, "{document}");
    assert!(document.to_string().contains("what it needs cannot be pulled"), "{document}");
    assert!(clone.exists("b"), "the rest ran");
    // Without the flag nobody asked it.
    assert_eq!(clone.json_error(&["repro", "a"], 5).0, "not_downloaded");
}

// The name of a directory tells whether all of it is here, also without the list that nobody has.
#[test]
fn directory_that_is_here_as_a_whole_is_taken_in_without_its_list() {
    for command in ["commit", "add"] {
        let env = TestEnv::ready();
        for name in ["1", "sub/2"] {
            env.write(format!("d/{name}"), name);
        }
        env.mlv(&["add", "d"]).success();
        env.commit("one");
        let clone = env.clone_to(command);
        clone.write("d/1", "1");
        // A file less may be deleted here or may never have come: that only the list tells.
        assert_eq!(clone.json_error(&[command, "d"], 5).0, "not_downloaded");
        clone.write("d/sub/2", "sub/2");
        clone.mlv(&[command, "d"]).success();
        clone.assert_clean();
    }
}
