//! What is gone is told: a remote, a cache, a list of files.

use std::fs;

use crate::support::{TestEnv, files_below, texts};

fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "alpha");
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    env
}

// R8, R9: a share that is not mounted is no empty remote.
#[test]
fn remote_that_vanished_is_missed_and_not_made_anew() {
    let env = pushed();
    fs::rename(env.root().join("remote"), env.root().join("elsewhere")).expect("it can be moved");
    for again in [&["push"][..], &["push", "--dry-run"]] {
        let (kind, document) = env.json_error(again, 5);
        assert_eq!(kind, "not_found", "{document}");
        assert!(document.to_string().contains("mounted"), "{document}");
        assert!(!env.beside("remote").exists("mlv-remote"));
    }
    fs::create_dir_all(env.root().join("remote")).expect("an empty mount point");
    env.mlv(&["push"]).code(5);
    env.mlv(&["push", "--create"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

// Rule 1: the dry run says what the run would do, also where the remote lost what this clone sent.
#[test]
fn dry_run_of_push_looks_at_the_remote() {
    let env = pushed();
    let mut packs = Vec::new();
    files_below(&env.root().join("remote/pk"), &mut packs);
    packs.iter().for_each(|pack| fs::remove_file(pack).expect("it can be removed"));
    let promised = env.json(&["push", "--dry-run"])["remotes"][0]["would_send"]["objects"].clone();
    assert_eq!(env.json(&["push"])["objects"], promised);
    assert!(promised.as_u64() > Some(0));
}

// R14: one remote that cannot be used keeps no other from being served.
#[test]
fn remote_that_fails_does_not_hide_what_went_to_others() {
    let env = pushed();
    let other = env.beside("other").path().display().to_string();
    env.mlv(&["remote", "add", "other", &other]).success();
    env.write("b", "beta");
    env.mlv(&["add", "b"]).success();
    env.write("b.mlv", env.read_text("b.mlv") + "  remote: other\n");
    env.write("a", "alpha 2");
    env.mlv(&["add", "a"]).success();
    fs::remove_dir_all(env.root().join("other")).expect("it can be removed");
    fs::write(env.root().join("other"), "no folder").expect("it can be written");
    let output = env.run(env.mlv_command().args(["push", "--json"]));
    let document = output.json();
    assert_ne!(output.exit_code(), 0, "{document}");
    assert_eq!(document["remotes"][0]["remote"], "storage", "{document}");
    assert_eq!(texts(&document["failed"]), ["b"], "{document}");
}

// R14: a work tree with the only copy is not "up to date".
#[test]
fn cache_that_is_gone_is_told_of_directories_too() {
    let env = pushed();
    env.remove(".mlv/cache");
    let status = env.json(&["status"]);
    assert_eq!(texts(&status["data"]["not_in_cache"]), ["a", "d/"], "{status}");
    env.mlv(&["status", "--exit-code"]).code(1);
    env.mlv(&["commit", "--force"]).success();
    env.assert_clean();
    env.mlv(&["fsck"]).success();
}

#[test]
fn directory_that_git_brought_in_another_version_is_to_be_pulled() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    env.write("d/3", "third");
    env.mlv(&["add", "d"]).success();
    env.commit("more");
    env.mlv(&["push"]).success();
    clone.git(&["pull", "--quiet"]);
    let output = clone.mlv(&["status"]).success();
    assert!(output.stdout().contains("(mlv pull):\n  unknown: d/"), "{output}");
    assert!(!output.stdout().contains("mlv add"), "{output}");
    clone.mlv(&["pull"]).success();
    clone.assert_clean();
}

// The list of files comes from the remote that the output belongs to.
#[test]
fn add_in_a_fresh_clone_asks_the_remote_of_the_output() {
    let env = TestEnv::shared();
    let other = env.beside("other").path().display().to_string();
    env.mlv(&["remote", "add", "other", &other]).success();
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "d"]).success();
    env.write("d.mlv", env.read_text("d.mlv") + "  remote: other\n");
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.write("d/3", "third");
    clone.mlv(&["add", "d"]).success();
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(3));
}

#[test]
fn pull_that_is_refused_names_itself() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.write("a", "mine");
    let (_, document) = clone.json_error(&["pull"], 2);
    assert!(document.to_string().contains("mlv pull --force a"), "{document}");
}
