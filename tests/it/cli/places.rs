//! Where a project may lie: in a folder of a git repository, in a linked work tree, without git,
//! beside DVC; and where there is none.

use serde_json::json;

use crate::support::{TestEnv, texts};

// DVC 97 F
#[test]
fn init_in_a_folder_of_a_git_repository_just_works() {
    let env = TestEnv::in_git();
    let sub = env.at("models/vision");
    sub.mlv(&["init"]).success();
    sub.write("weights", "w");
    sub.mlv(&["add", "weights"]).success();
    sub.assert_recorded();
    assert!(sub.git_ignores("weights"));
    assert!(!env.exists(".mlv") && sub.exists(".mlv/config.toml"));
}

// DVC 96 K
#[test]
fn project_without_git_does_all_that_needs_no_revision() {
    let env = TestEnv::new();
    env.mlv(&["init", "--no-scm"]).success();
    env.write("data/a", "one");
    env.mlv(&["add", "data"]).success();
    assert!(!env.exists(".gitignore"), "nobody reads it");
    env.add_remote();
    env.mlv(&["push"]).success();
    env.write("mlv.yaml", "stages:\n  copy:\n    cmd: cp data/a out\n    deps: [data]\n    outs: [out]\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "one");
    env.write("data/b", "two");
    let status = env.json(&["data", "status", "--granular"]);
    assert_eq!(texts(&status["uncommitted"]["added"]), ["data/b"]);
    assert_eq!(env.json_error(&["diff"], 2).0, "needs_git");
    assert_eq!(env.json_error(&["metrics", "diff"], 2).0, "needs_git");
}

// DVC 4 K
#[test]
fn outside_of_a_project_every_command_is_exit_3_and_names_the_folder() {
    let env = TestEnv::in_git();
    env.write("file", "x");
    for args in [&["add", "file"][..], &["status"], &["checkout"], &["push"], &["repro"], &["fsck"]] {
        let (kind, document) = env.json_error(args, 3);
        assert_eq!(kind, "not_a_repository");
        assert_eq!(document["error"]["path"], json!(env.path()), "{args:?}");
    }
    assert!(!env.exists(".mlv"));
}

#[test]
fn dvc_project_is_told_apart_and_left_alone() {
    let env = TestEnv::in_git();
    env.write(".dvc/config", "");
    env.write("data", "x");
    for args in [&["add", "data"][..], &["status"], &["checkout"], &["push"], &["pull"], &["repro"]] {
        assert_eq!(env.json_error(args, 3).0, "dvc_project", "{args:?}");
    }
    env.mlv(&["init"]).success();
    env.mlv(&["add", "data"]).success();
    env.assert_recorded();
}

#[test]
fn linked_work_tree_uses_the_cache_of_the_main_one() {
    let env = TestEnv::ready();
    env.write("big", vec![7; 300_000]);
    env.mlv(&["add", "big"]).success();
    env.commit("add data");
    let linked = env.root().join("linked").display().to_string();
    env.git(&["worktree", "add", "--quiet", &linked]);
    let linked = env.at(linked);
    assert!(!linked.exists("big"));
    linked.mlv(&["checkout"]).success();
    assert_eq!(linked.read("big"), env.read("big"));
    assert!(!linked.exists(".mlv/cache/objects"), "one cache for both");
    linked.write("other", "o");
    linked.mlv(&["add", "other"]).success();
    linked.assert_recorded();
    env.assert_clean();
    linked.assert_sound();
}

// R20
#[test]
fn commands_leave_heads_index_and_refs_of_git_alone() {
    let env = TestEnv::shared();
    env.write("data/a", "1");
    let refs =
        || env.git(&["for-each-ref"]) + &env.git(&["rev-parse", "HEAD"]) + &env.git(&["stash", "list"]);
    let (before, index) = (refs(), env.read(".git/index"));
    for args in [&["add", "data"][..], &["status"], &["push"], &["checkout"], &["diff"], &["remove", "data"]]
    {
        env.mlv(args).success();
    }
    assert_eq!(refs(), before);
    assert_eq!(env.read(".git/index"), index);
}

#[test]
fn the_cache_of_linked_work_trees_is_not_for_git_where_mlv_is_not() {
    let env = TestEnv::in_git();
    env.write("readme", "no mlv on this branch");
    env.commit("without mlv");
    let linked = env.root().join("linked").display().to_string();
    env.git(&["worktree", "add", "--quiet", "-b", "data", &linked]);
    let linked = env.beside("linked");
    linked.mlv(&["init"]).success();
    linked.write("d/a", "1");
    linked.mlv(&["add", "d"]).success();
    linked.commit("with mlv");
    assert!(env.exists(".mlv/cache"), "it is shared by all work trees");
    assert_eq!(env.git(&["status", "--porcelain", "--untracked-files=all"]), "");
    env.git(&["merge", "--quiet", "data"]);
    assert_eq!(env.git(&["status", "--porcelain", "--untracked-files=all"]), "");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("d/a"), "1");
    linked.assert_sound();
}

#[test]
fn a_cache_in_the_work_tree_is_not_for_git() {
    let env = TestEnv::ready();
    env.mlv(&["cache", "dir", "--local", "my cache"]).success();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    assert!(env.exists("my cache/objects"));
    assert!(!env.git(&["status", "--porcelain", "--untracked-files=all"]).contains("my cache"));
    env.assert_sound();
}
