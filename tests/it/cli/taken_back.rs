//! What came with git and was never checked out is not undone by recording the files from before (R2,
//! R14), and the hints lead to both: the own edit and the other's.

use super::remedies::paste;
use crate::support::{TestEnv, texts};

/// `d` with `a`, `b`, `c`; the branch `other` changed `a` and deleted `c`, and is checked out in git. `b` is edited here.
fn other_branch() -> TestEnv {
    let env = TestEnv::ready();
    for name in ["a", "b", "c"] {
        env.write(format!("d/{name}"), name);
    }
    env.write("file", "one");
    env.mlv(&["add", "d", "file"]).success();
    env.commit("one");
    env.git(&["checkout", "--quiet", "-b", "other"]);
    env.write("d/a", "theirs");
    env.remove("d/c");
    env.write("file", "two");
    env.mlv(&["add", "d", "file"]).success();
    env.commit("two");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    env.git(&["checkout", "--quiet", "other"]);
    env.write("d/b", "mine");
    env
}

#[test]
fn directory_from_before_is_not_recorded_over_a_branch() {
    let env = other_branch();
    let before = env.snapshot();
    for args in [["add", "d"], ["commit", "d"]] {
        let (kind, document) = env.json_error(&args, 2);
        assert_eq!(kind, "would_overwrite");
        let text = document.to_string();
        assert!(text.contains("2 changes back (`d/a`, …)"), "{text}");
        assert!(text.contains("run `mlv add d/b`, then `mlv checkout d`"), "{text}");
    }
    assert_eq!(env.snapshot(), before);
    assert_eq!(env.json_error(&["add", "file"], 2).0, "would_overwrite");
    env.write("file", "an edit of the old one");
    env.mlv(&["add", "file"]).success();
}

// The same for parts of a directory, named one by one or as a folder.
#[test]
fn part_from_before_is_not_recorded_over_a_branch() {
    let env = TestEnv::ready();
    for name in ["x/1", "x/2", "x/3", "y/1"] {
        env.write(format!("d/{name}"), name);
    }
    env.mlv(&["add", "d"]).success();
    env.commit("one");
    env.git(&["checkout", "--quiet", "-b", "other"]);
    env.write("d/x/1", "theirs");
    env.remove("d/x/3");
    env.mlv(&["add", "d"]).success();
    env.commit("two");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    env.git(&["checkout", "--quiet", "other"]);
    env.write("d/x/2", "mine");
    let pointer = env.read("d.mlv");
    for args in [
        &["add", "d/x"][..],
        &["commit", "d/x"],
        &["add", "--glob", "d/*/*"],
        &["add", "d/x/1"],
        &["add", "d/x/3"],
    ] {
        assert_eq!(env.json_error(args, 2).0, "would_overwrite", "{args:?}");
        assert_eq!(env.read("d.mlv"), pointer, "{args:?}");
    }
    env.mlv(&["add", "d/x/2"]).success();
    env.mlv(&["checkout"]).success();
    assert_eq!(["d/x/1", "d/x/2"].map(|path| env.read_text(path)), ["theirs", "mine"]);
    assert!(!env.exists("d/x/3"));
}

// A stage that reads a part, one that is restored, one that is accepted, and a plan say it, too.
#[test]
fn every_way_to_use_data_of_another_commit_says_so() {
    let env = TestEnv::ready();
    env.write("d/x/1", "1");
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: cat d/x/1 > o\n    deps: [d/x]\n    outs: [o]\n");
    for version in ["main", "other"] {
        if version == "other" {
            env.git(&["checkout", "--quiet", "-b", "other"]);
        }
        env.write("d/x/1", version);
        env.mlv(&["add", "d"]).success();
        env.mlv(&["repro"]).success();
        env.commit(version);
    }
    env.git(&["checkout", "--quiet", "main"]);
    for args in [&["repro", "--dry-run"][..], &["commit", "--dry-run", "s"], &["repro"]] {
        let said = env.mlv(args).success().stderr();
        assert!(said.contains("`d` is still the data of another commit"), "{args:?}: {said}");
    }
}

#[test]
fn hints_of_a_refused_checkout_keep_what_both_changed() {
    let env = other_branch();
    let (_, document) = env.json_error(&["checkout"], 2);
    assert!(document.to_string().contains("run `mlv add d/b` to keep it"), "{document}");
    env.mlv(&["add", "d/b"]).success();
    env.mlv(&["checkout"]).success();
    let contents = ["d/a", "d/b", "file"].map(|path| env.read_text(path));
    assert_eq!(contents, ["theirs", "mine", "two"]);
    assert!(!env.exists("d/c"));
    assert_eq!(texts(&env.uncommitted()["modified"]), Vec::<&str>::new());
}

#[test]
fn forced_recording_takes_the_changes_back() {
    for command in ["add", "commit"] {
        let env = other_branch();
        env.mlv(&[command, "--force", "d"]).success();
        assert_eq!(env.pointer("d.mlv").nfiles, Some(3), "{command}");
        assert_eq!(env.json(&["status"])["data"]["uncommitted"], serde_json::json!({"modified": ["file"]}));
    }
}

// What git brought and mlv did not check out yet is no edit: status says so, and repro does before it
// reads the files from before.
#[test]
fn data_of_another_commit_is_told_apart_from_an_edit() {
    let env = other_branch();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: cat d/* > o\n    deps: [d]\n    outs: [o]\n");
    assert_eq!(env.status()["data"]["not_checked_out"], serde_json::json!(["d/", "file"]));
    let text = env.mlv(&["status"]).success().stdout();
    assert!(text.contains("Still of another commit, in whole or in part (mlv checkout):"), "{text}");
    let said = env.mlv(&["repro"]).success().stderr();
    assert!(said.contains("`d` is still the data of another commit (mlv checkout d)"), "{said}");
    env.mlv(&["add", "d/b"]).success();
    env.mlv(&["checkout"]).success();
    assert_eq!(env.status()["data"].get("not_checked_out"), None);
    env.write("d/a", "an edit");
    assert_eq!(env.status()["data"].get("not_checked_out"), None, "{}", env.status());
}

// One path stands under one heading with the one remedy that works: nobody edited what git brought.
#[test]
fn data_of_another_commit_stands_under_one_heading() {
    let env = other_branch();
    env.add_remote();
    env.commit("name a remote");
    env.mlv(&["push", "--all-branches"]).success();
    let still = "Still of another commit, in whole or in part";
    let status = |env: &TestEnv| env.mlv(&["status"]).success().stdout();
    env.write("d/b", "b");
    let both = |remedy: &str, word: &str| format!("{still} (mlv {remedy}):\n  {word}: d/\n  {word}: file\n");
    assert_eq!(status(&env), both("checkout", "not checked out"));
    env.write("d/b", "mine");
    env.write("d/new", "mine");
    let edits = "Changed, not recorded (mlv add):\n  added: d/new\n  modified: d/b\n";
    assert_eq!(status(&env), format!("{edits}{}", both("checkout", "not checked out")));
    // As told, one after the other.
    env.mlv(&["add", "d/new", "d/b"]).success();
    assert!(status(&env).ends_with(&both("checkout", "not checked out")), "{}", status(&env));
    env.mlv(&["checkout"]).success();
    assert_eq!(env.uncommitted(), serde_json::json!(null));
    // What only a remote has comes with `pull`, the entries besides those that stand here, too.
    let clone = env.clone_to("clone");
    clone.git(&["checkout", "--quiet", "main"]);
    clone.git(&["checkout", "--quiet", "other", "--", ".mlv/config.toml"]);
    clone.mlv(&["pull"]).success();
    clone.git(&["checkout", "--quiet", "other"]);
    assert_eq!(status(&clone), both("pull", "not downloaded"));
    clone.mlv(&["pull"]).success();
    assert_eq!(status(&clone), "");
}

// A command for many files does as pasted what it says: the edits stay, and what came is placed.
#[test]
fn hint_about_many_files_can_be_pasted() {
    for args in [&["checkout"][..], &["checkout", "d"], &["add", "d"]] {
        let env = other_branch();
        env.mlv(&["checkout", "--force", "file"]).success();
        let mine: Vec<String> = (0..30).map(|n| format!("d/mine-{n}")).collect();
        let edited: Vec<String> = (0..30).map(|n| format!("d/edited-{n}")).collect();
        edited.iter().for_each(|path| env.write(path, "one"));
        env.write("d/b", "b");
        env.write("d/a", "theirs");
        env.remove("d/c");
        env.mlv(&["add", "d"]).success();
        env.commit("three");
        env.git(&["switch", "--quiet", "--create", "newer"]);
        env.write("d/a", "newer");
        edited.iter().for_each(|path| env.write(path, "two"));
        env.mlv(&["add", "d"]).success();
        env.commit("four");
        env.git(&["switch", "--quiet", "other"]);
        env.mlv(&["checkout"]).success();
        env.git(&["switch", "--quiet", "newer"]);
        for path in mine.iter().chain(&edited) {
            env.write(path, "mine");
        }
        let (kind, document) = env.json_error(args, 2);
        assert_eq!(kind, "would_overwrite", "{args:?}");
        let hint = document["error"]["hints"][0].as_str().expect("a hint");
        assert!(!hint.contains("..."), "{hint}");
        assert!(hint.len() < 300, "{hint}");
        paste(&env, hint, "run `");
        assert_eq!(env.read_text("d/a"), "newer", "{hint}");
        for path in mine.iter().chain(&edited) {
            assert_eq!(env.read_text(path), "mine", "{hint}: {path}");
        }
        assert_eq!(texts(&env.uncommitted()["added"]).len(), 30, "{hint}");
        assert_eq!(texts(&env.uncommitted()["modified"]).len(), 30, "{hint}");
    }
}

#[test]
fn hint_about_many_outputs_names_the_folders_that_hold_no_other() {
    let env = TestEnv::ready();
    let files: Vec<String> = (0..25).map(|n| format!("m/sub/{n}")).collect();
    files.iter().for_each(|path| env.write(path, "one"));
    env.write("m/kept", "one");
    env.mlv(&["add", "--glob", "m/sub/*", "m/kept"]).success();
    env.commit("one");
    files.iter().for_each(|path| env.write(path, "mine"));
    let (_, document) = env.json_error(&["checkout"], 2);
    let hint = document["error"]["hints"][0].as_str().expect("a hint");
    assert!(hint.contains("`mlv checkout --force m/sub && mlv rescue restore`"), "{hint}");
    paste(&env, hint, "run `");
    assert!(files.iter().all(|path| env.read_text(path) == "mine"), "{hint}");
    env.write("m/kept", "mine");
    let (_, document) = env.json_error(&["checkout"], 2);
    let hint = document["error"]["hints"][0].as_str().expect("a hint");
    assert!(hint.contains("or `mlv checkout --force` to put"), "all of them need no name: {hint}");
}

// R9: a list that cannot be read is no empty one.
#[test]
fn without_the_list_of_before_nothing_is_taken_back_either() {
    let env = other_branch();
    env.add_remote();
    env.mlv(&["push"]).success();
    let before = env.read_text("d.mlv");
    env.lose_cache();
    for args in [["add", "d"], ["commit", "d"], ["add", "d/b"]] {
        let (kind, document) = env.json_error(&args, 5);
        assert_eq!(kind, "not_downloaded", "{args:?}: {document}");
        let text = document.to_string();
        assert!(text.contains("the list of what was here before is lost"), "{text}");
        assert!(text.contains("`mlv add --force d` records it as it stands"), "{text}");
        assert_eq!(env.read_text("d.mlv"), before);
    }
    // Where a remote has it, it is asked.
    env.git(&["stash", "--quiet"]);
    env.git(&["checkout", "--quiet", "main"]);
    let env = other_branch();
    env.add_remote();
    env.mlv(&["push", "--all-branches"]).success();
    env.lose_cache();
    let (kind, document) = env.json_error(&["add", "d"], 2);
    assert_eq!(kind, "would_overwrite", "{document}");
    env.mlv(&["add", "--force", "d"]).success();
}

#[test]
fn without_the_list_nothing_that_is_ignored_is_dropped() {
    let env = TestEnv::tracked();
    env.write("d/x.log", "log");
    env.mlv(&["add", "d"]).success();
    env.write(".mlvignore", "*.log\n");
    env.mlv(&["add", "d"]).success();
    let before = env.read_text("d.mlv");
    env.lose_cache();
    let (kind, document) = env.json_error(&["add", "d"], 5);
    assert_eq!(kind, "not_downloaded", "{document}");
    assert_eq!(env.read_text("d.mlv"), before);
}

// R14
#[test]
fn without_the_list_no_changes_are_counted() {
    let env = TestEnv::tracked();
    env.add_remote();
    env.mlv(&["push"]).success();
    let edit = |from: &str, to: &str| {
        env.lose_cache();
        env.remove(from);
        env.write(to, "new");
    };
    edit("d/1", "d/n");
    let output = env.json(&["add", "d"])["outputs"][0].clone();
    assert_eq!(
        (&output["changes"]["added"], &output["changes"]["deleted"]),
        (&1.into(), &1.into()),
        "{output}"
    );
    env.remove(env.root().join("remote").to_str().expect("a path"));
    edit("d/n", "d/m");
    let said = env.mlv(&["add", "d"]).success().stderr();
    assert!(said.contains("(2 files, 9 B): what changed cannot be counted"), "{said}");
}

// A folder that the branch has as a file; the other three combinations of kinds are refused, too.
#[test]
fn folder_from_before_is_not_recorded_over_a_file_of_a_branch() {
    let env = TestEnv::ready();
    env.write("y/1", "one");
    env.mlv(&["add", "y"]).success();
    env.commit("a folder");
    env.git(&["checkout", "--quiet", "-b", "other"]);
    env.mlv(&["rm", "y"]).success();
    env.remove("y");
    env.write("y", "a file");
    env.mlv(&["add", "y"]).success();
    env.commit("a file");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    env.git(&["checkout", "--quiet", "other"]);
    env.write("y/new", "mine");
    let pointer = env.read("y.mlv");
    for command in ["add", "commit"] {
        let (kind, document) = env.json_error(&[command, "y"], 2);
        let text = document.to_string();
        assert_eq!(kind, "would_overwrite", "{text}");
        assert!(text.contains("a change back (`y/1`)") && text.contains("`mlv checkout y`"), "{text}");
        assert!(!text.contains("mlv add y/new"), "nothing is recorded in a file: {text}");
        assert_eq!(env.read("y.mlv"), pointer);
    }
    // Forced, all that changes is counted: the file goes, two come.
    let report = env.json(&["add", "--force", "y"]);
    let counts = serde_json::json!({"added": 2, "modified": 0, "deleted": 1, "renamed": 0});
    assert_eq!(report["outputs"][0]["changes"], counts, "{report}");
}

/// A clone in which a branch of a colleague was merged and not checked out: `d/a` changed, `d/c` deleted,
/// `d/new` added. Its cache is gone, and `d/mine` is its own.
fn merged_without_cache() -> (TestEnv, TestEnv) {
    let env = TestEnv::shared();
    for name in ["a", "b", "c"] {
        env.write(format!("d/{name}"), name);
    }
    env.mlv(&["add", "d"]).success();
    env.commit("one");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    env.write("d/a", "theirs");
    env.write("d/new", "theirs");
    env.remove("d/c");
    env.mlv(&["add", "d"]).success();
    env.commit("two");
    env.mlv(&["push"]).success();
    clone.git(&["pull", "--quiet"]);
    clone.remove(".mlv/cache");
    clone.write("d/mine", "mine");
    (env, clone)
}

// The cache may be deleted at any time: what was here before is asked of the remote.
#[test]
fn lost_cache_does_not_take_a_branch_back() {
    let (_env, clone) = merged_without_cache();
    let pointer = clone.read("d.mlv");
    for command in ["add", "commit"] {
        let (kind, document) = clone.json_error(&[command, "d"], 2);
        assert_eq!(kind, "would_overwrite", "{document}");
        assert!(document.to_string().contains("2 changes back (`d/a`, …)"), "{document}");
        assert_eq!(clone.read("d.mlv"), pointer);
        clone.remove(".mlv/cache");
    }
    clone.mlv(&["add", "d/mine"]).success();
    clone.mlv(&["pull", "--force"]).success();
    let contents = ["d/a", "d/b", "d/mine", "d/new"].map(|path| clone.read_text(path));
    assert_eq!(contents, ["theirs", "b", "mine", "theirs"]);
}

// R20: what is git's own at another commit is not mlv's to take away, whatever mlv put there once.
#[test]
fn files_that_git_tracks_at_another_commit_stay() {
    let env = TestEnv::ready();
    for name in ["data/1", "data/2", "data/3", "conf"] {
        env.write(name, name);
    }
    env.git(&["add", "."]);
    env.commit("git keeps all");
    env.git(&["rm", "--quiet", "-r", "--cached", "data", "conf"]);
    env.write("data/2", "changed by then");
    env.write("data/new", "new by then");
    env.mlv(&["add", "data", "conf"]).success();
    env.commit("mlv keeps all");
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    // Only what nobody tracks at this commit goes.
    let report = env.json(&["checkout"]);
    assert_eq!(report["outputs"][1]["deleted"], serde_json::json!(["data/new"]), "{report}");
    assert_eq!(env.git(&["status", "--porcelain"]), "");
    assert!(!env.exists("data/new"));
    assert_eq!(env.read("data/2"), b"data/2");
    // Nor is it by a second one, which has forgotten them, or one that cleans.
    env.mlv(&["checkout", "--clean"]).success();
    assert_eq!(env.git(&["status", "--porcelain"]), "");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("data/2"), b"changed by then");
    assert_eq!(env.read("data/new"), b"new by then");
    assert_eq!(env.git(&["status", "--porcelain"]), "");
}
