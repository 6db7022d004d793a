//! Ignore files and what is tracked: a line that comes later takes nothing away, and nothing is recorded
//! where it would not be found (R2, R9, R14).

use crate::support::{TestEnv, texts};

// R9: what a data scientist does to every data folder.
#[test]
fn pointer_in_a_folder_that_git_ignores_later_is_found() {
    let env = TestEnv::shared();
    env.write("data/x.csv", "1");
    env.mlv(&["add", "data/x.csv"]).success();
    env.commit("data");
    env.write(".gitignore", "data/\n");
    env.commit("ignore it");
    env.assert_clean();
    assert_eq!(env.json(&["push"])["remotes"][0]["objects"], 1);
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("data/x.csv"), b"1");
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.read("data/x.csv"), b"1");
}

// A line of `.mlvignore` is meant for mlv: what it names is out of sight, at a commit as in the work
// tree, but nothing of it goes away.
#[test]
fn folder_that_mlv_ignores_later_is_left_alone() {
    let env = TestEnv::ready();
    env.write("data/x.csv", "1");
    env.write("data/mlv.yaml", "stages:\n  s:\n    cmd: echo > out\n    outs: [out]\n");
    env.mlv(&["add", "data/x.csv"]).success();
    env.mlv(&["repro", "-R", "data"]).success();
    env.commit("data");
    env.write(".mlvignore", "data\n");
    env.commit("ignore it");
    env.assert_clean();
    env.mlv(&["checkout"]).success();
    assert!(env.exists("data/x.csv") && env.exists("data/out"));
    env.remove(".mlvignore");
    env.assert_clean();
    assert!(env.exists("data/x.csv") && env.exists("data/out"));
}

// R9: a pointer that git does not track either is not found, but its data is not taken for untracked.
#[test]
fn checkout_takes_nothing_away_where_it_does_not_look() {
    for ignore in [".gitignore", ".mlvignore"] {
        let env = TestEnv::ready();
        env.write("data/x.csv", "1");
        env.mlv(&["add", "data/x.csv"]).success();
        env.write(ignore, "data\n");
        env.mlv(&["checkout"]).success();
        assert!(env.exists("data/x.csv"), "{ignore}");
    }
}

// R14: exit code 0 would be a promise that nobody keeps.
#[test]
fn add_refuses_where_the_pointer_would_not_be_found() {
    let env = TestEnv::ready();
    env.write("ignored/x", "1");
    env.write(".mlvignore", "ignored\n");
    let inner = env.at("inner");
    inner.git(&["init", "--quiet"]);
    env.write("inner/deep/x", "1");
    env.write("project/x", "1");
    let project = env.at("project");
    project.mlv(&["init", "--subdir"]).success();
    let before = env.snapshot();
    let cases =
        [("ignored/x", "out of `.mlvignore`"), ("inner/deep/x", "`cd inner`"), ("project/x", "`cd project`")];
    for (target, remedy) in cases {
        let (kind, document) = env.json_error(&["add", target], 2);
        assert_eq!(kind, "usage", "{document}");
        assert!(document.to_string().contains(remedy), "{document}");
    }
    assert_eq!(env.snapshot(), before);
}

/// `d` with `a` and `sub/b.log`, tracked, pushed; then `*.log` is ignored.
fn logs_ignored_later() -> TestEnv {
    let env = TestEnv::shared();
    env.write("d/a", "1");
    env.write("d/sub/b.log", "one");
    env.mlv(&["add", "d"]).success();
    env.mlv(&["push"]).success();
    env.write(".mlvignore", "*.log\n");
    env.commit("data");
    env.write("d/c.log", "not tracked");
    env
}

// R14
#[test]
fn file_of_a_directory_that_is_ignored_later_stays_tracked() {
    let env = logs_ignored_later();
    env.assert_clean();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    clone.assert_clean();
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.read("d/sub/b.log"), b"one");

    env.write("d/sub/b.log", "edited");
    assert_eq!(texts(&env.uncommitted()["modified"]), ["d/sub/b.log"]);
    assert_eq!(env.json_error(&["checkout"], 2).0, "would_overwrite");
    env.mlv(&["add", "d"]).success();
    env.remove("d/sub/b.log");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("d/sub/b.log"), b"edited");
    assert_eq!(env.read("d/c.log"), b"not tracked");
    env.remove("d/sub/b.log");
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1), "deleted, and `c.log` still is ignored");
}

// The same for a part of the directory, and where the rest was never downloaded.
#[test]
fn part_of_a_directory_with_a_file_that_is_ignored_later() {
    let env = logs_ignored_later().clone_to("clone");
    env.mlv(&["pull", "d/sub"]).success();
    env.write("d/sub/b.log", "edited");
    env.mlv(&["add", "d/sub"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(2));
    env.remove("d/sub/b.log");
    env.mlv(&["checkout", "d/sub"]).success();
    assert_eq!(env.read("d/sub/b.log"), b"edited");
}

// The list says what stays tracked: the remote's, and without any nothing is left out.
#[test]
fn file_that_is_ignored_later_stays_tracked_without_the_cache() {
    let env = logs_ignored_later();
    env.remove(".mlv/cache");
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(2));

    env.remove(".mlv/cache");
    env.remove(env.root().join("remote"));
    for args in [&["add", "d"][..], &["commit"]] {
        let text = env.json_error(args, 5).1.to_string();
        assert!(text.contains("the list of what is tracked is lost"), "{text}");
        assert!(text.contains("`mlv add --force d`"), "{text}");
        assert_eq!(env.pointer("d.mlv").nfiles, Some(2));
    }
    let said = env.mlv(&["add", "--force", "d"]).success().stderr();
    assert!(said.contains("warning: `d`: all that `.mlvignore` leaves out is left out"), "{said}");
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1));
}

#[test]
fn what_is_left_out_is_counted() {
    let env = TestEnv::ready();
    for path in ["a", "b.log", "sub/c", "sub/d.log", "__pycache__/e"] {
        env.write(format!("d/{path}"), path);
    }
    env.write("d/.mlvignore", "*.log\n");
    let said = env.mlv(&["add", "d"]).success().stderr();
    assert!(said.contains("\nleft out 3 paths, as `.mlvignore` says\n"), "{said}");
    let said = env.mlv(&["add", "d"]).success().stderr();
    assert!(!said.contains("left out"), "nothing new is told: {said}");
    env.write("d/sub/f", "f");
    assert_eq!(env.json(&["add", "d/sub"])["outputs"][0]["ignored"], 1);
    env.write("e/a", "a");
    assert_eq!(env.json(&["add", "e"])["outputs"][0].get("ignored"), None);
}

// Other programs have files of that name, too: a video of Magic Lantern is one.
#[test]
fn foreign_files_that_are_called_like_pointers_are_left_alone() {
    let env = TestEnv::tracked();
    let files =
        [("v/clip.mlv", vec![7; 3 << 20]), ("short.mlv", vec![0xff; 9]), ("note.mlv", b"none\n".to_vec())];
    for (name, bytes) in files {
        env.write(name, bytes);
        let said = env.mlv(&["status"]).code(4).stderr();
        assert!(said.contains(&format!("error: {name}")), "{said}");
        assert!(said.contains(&format!("list `{name}` in `.mlvignore`")), "{said}");
        env.write(".mlvignore", format!("{name}\n"));
        env.mlv(&["status", "--exit-code"]).success();
        env.remove(name);
    }
    env.write("note.mlv", "none\n");
    // What git tracks is not hidden.
    env.git(&["add", "--force", "note.mlv"]);
    env.mlv(&["status"]).code(4);
}

#[test]
fn ignore_file_of_other_bytes_is_named_with_its_line() {
    let env = TestEnv::tracked();
    env.write(".mlvignore", b"*.log\n\xff\xfe\n");
    let said = env.mlv(&["status"]).code(4).stderr();
    assert!(said.contains(".mlvignore:2: not a pattern: \u{fffd}\u{fffd}"), "{said}");
    assert!(said.contains("it is not UTF-8 text"), "{said}");
}
