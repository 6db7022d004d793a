//! `mlv push`, `mlv fetch`, `mlv pull` through a folder remote.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{TestEnv, files_below, texts};

/// `a`, `d/1`, `d/2`, `d/sub/3`: added, committed, pushed.
fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "one");
    for (path, text) in [("d/1", "first"), ("d/2", "second"), ("d/sub/3", "third")] {
        env.write(path, text);
    }
    env.mlv(&["add", "a", "d"]).success();
    env.commit("add data");
    env.mlv(&["push"]).success();
    env
}

#[test]
fn what_one_clone_pushes_another_pulls() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
    clone.assert_clean();
    clone.assert_sound();
}

#[test]
fn fetch_fills_the_cache_and_leaves_the_work_tree() {
    let env = pushed();
    let clone = env.clone_to("clone");
    let before = clone.snapshot();
    clone.mlv(&["fetch"]).success();
    assert_eq!(clone.snapshot(), before);
    env.beside("remote");
    clone.remove(clone.root().join("remote"));
    clone.mlv(&["checkout"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

// DVC 11 F
#[test]
fn without_a_remote_each_transfer_is_refused() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    for command in ["push", "pull", "fetch"] {
        assert_eq!(env.json_error(&[command], 2).0, "no_remote");
        assert_eq!(env.json_error(&[command, "-r", "nosuch"], 2).0, "no_remote");
    }
}

// DVC 40 F, 41 F
#[test]
fn one_missing_object_is_listed_and_everything_else_is_pulled() {
    let env = TestEnv::shared();
    env.write("a", "one");
    env.write("d/1", "first");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("add data");
    env.mlv(&["push", "a"]).success();
    let clone = env.clone_to("clone");
    let (kind, document) = clone.json_error(&["pull"], 5);
    assert!(["not_found", "not_downloaded"].contains(&kind.as_str()), "{document}");
    assert_eq!(document["failed"].as_array().map(Vec::len), Some(1), "{document}");
    assert!(document["failed"][0]["path"].as_str().expect("a path").starts_with('d'), "{document}");
    assert_eq!(clone.read_text("a"), "one");
    clone.remove("a");
    clone.mlv(&["pull", "--allow-missing"]).success();
    assert_eq!(clone.read_text("a"), "one");
    env.mlv(&["push"]).success();
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.read_text("d/1"), "first");
}

// DVC 42 F
#[test]
fn part_of_a_directory_is_a_state() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull", "a", "d/sub"]).success();
    assert_eq!(clone.snapshot().matches("\nf 644 d/").count(), 1);
    clone.mlv(&["status", "--exit-code"]).success();
    assert!(clone.status()["data"].is_null());
    clone.mlv(&["checkout"]).success();
    assert!(!clone.exists("d/1"), "what was not asked for stays away");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.read_text("d/1"), "first");
    clone.assert_clean();
}

// DVC 43 F
#[test]
fn target_that_matches_nothing_is_an_error() {
    let env = pushed();
    let clone = env.clone_to("clone");
    for command in ["pull", "fetch", "push"] {
        for target in ["d/nosuch", "nosuch", "d/1/deeper"] {
            assert_eq!(clone.json_error(&[command, target], 2).0, "no_such_target", "{command} {target}");
        }
    }
    assert_eq!(clone.json_error(&["pull", "--glob", "x*"], 2).0, "no_such_target");
    clone.mlv(&["pull", "--glob", "[d-e]"]).success();
    assert!(clone.exists("d/sub/3") && !clone.exists("a"));
}

// DVC 45 F, R14
#[test]
fn push_of_data_that_is_nowhere_fails_with_the_list() {
    let env = TestEnv::shared();
    env.write("a", "one");
    env.write("b", "two");
    env.mlv(&["add", "a", "b"]).success();
    env.commit("add data");
    for object in env.loose_objects() {
        if fs::read(&object).is_ok_and(|bytes| bytes == b"one") {
            fs::remove_file(object).expect("it can be removed");
        }
    }
    env.remove("a");
    let (_, document) = env.json_error(&["push"], 5);
    assert_eq!(texts(&document["failed"]), ["a"]);
    // The work tree is no cache, but the user has the bytes: adding them again heals.
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.read_text("a"), "one");
}

#[test]
fn clone_without_the_data_pushes_what_the_remote_has_already() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.write("d/new", "fresh");
    clone.mlv(&["add", "d/new"]).success();
    clone.mlv(&["push"]).success();
    clone.commit("one more");
    clone.git(&["push", "--quiet", "origin", "HEAD:more"]);
    let third = clone.clone_to("third");
    third.mlv(&["pull"]).success();
    assert_eq!(third.read_text("d/new"), "fresh");
    assert_eq!(third.read_text("d/sub/3"), "third");
}

// DVC 46 K
#[test]
fn outputs_that_are_not_to_be_pushed_stay_and_pinned_ones_go_to_their_remote() {
    let env = TestEnv::shared();
    let other = env.beside("other").path().display().to_string();
    env.mlv(&["remote", "add", "other", &other]).success();
    for name in ["here", "there", "everywhere"] {
        env.write(name, name);
    }
    env.mlv(&["add", "here", "there", "everywhere"]).success();
    env.write("here.mlv", env.read_text("here.mlv") + "  push: false\n");
    env.write("there.mlv", env.read_text("there.mlv") + "  remote: other\n");
    env.commit("add data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    // What stays with who made it is not missed.
    clone.mlv(&["pull"]).success();
    assert!(clone.exists("there") && clone.exists("everywhere") && !clone.exists("here"));
    // Each went to one remote only; one that is gone does not keep the other from being asked.
    let second = env.clone_to("second");
    second.remove(env.root().join("other"));
    assert_ne!(second.mlv(&["pull"]).exit_code(), 0);
    assert!(second.exists("everywhere") && !second.exists("there"), "{}", second.snapshot());
}

// DVC 49 F
#[test]
fn second_push_sends_nothing() {
    let env = pushed();
    let remote = env.beside("remote");
    let before = remote.snapshot_of(".");
    let report = env.json(&["push"]);
    assert_eq!((report["packs"].as_u64(), report["bytes_sent"].as_u64()), (Some(0), Some(0)), "{report}");
    assert_eq!(remote.snapshot_of("."), before);
}

#[test]
fn report_of_push_counts_what_the_remote_got() {
    let env = TestEnv::shared();
    env.write("big", crate::support::random_bytes(1, 6 << 20));
    env.write("d/1", "first");
    env.mlv(&["add", "big", "d"]).success();
    let promised = env.json(&["push", "--dry-run"])["remotes"][0]["would_send"].clone();
    assert!(!env.beside("remote").exists("pk"), "a dry run sends nothing");
    let report = env.json(&["push"]);
    assert!(promised["objects"] == report["objects"] && promised["bytes"].as_u64() > Some(6 << 20));
    for field in ["packs", "chunks", "pages"] {
        assert!(report[field].as_u64() > Some(0), "{field}: {report}");
    }
}

#[test]
fn pull_keeps_unsaved_data_and_pulls_the_rest() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.write("a", "mine");
    let (kind, _) = clone.json_error(&["pull"], 2);
    assert_eq!(kind, "would_overwrite");
    assert_eq!(clone.read_text("a"), "mine");
    clone.mlv(&["pull", "--force"]).success();
    assert_eq!(clone.read_text("a"), "one");
    assert!(clone.has_rescued(b"mine"));
}

#[test]
fn output_with_manual_pull_comes_only_by_name() {
    let env = pushed();
    env.write("a.mlv", env.read_text("a.mlv") + "  pull: manual\n");
    env.commit("by hand");
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert!(!clone.exists("a") && clone.exists("d/1"));
    clone.mlv(&["pull", "a"]).success();
    assert_eq!(clone.read_text("a"), "one");
}

// R4: a large file is sent in chunks, which have names of their own; the file's is checked as well.
#[test]
fn large_file_that_is_damaged_in_the_cache_is_not_pushed() {
    let env = TestEnv::shared();
    let good: Vec<u8> = (0..5u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    env.write("large", &good);
    env.mlv(&["add", "large"]).success();
    let mut stored = Vec::new();
    files_below(&env.path().join(".mlv/cache/objects"), &mut stored);
    let mut bytes = good.clone();
    bytes[3 << 20] ^= 1;
    fs::set_permissions(&stored[0], fs::Permissions::from_mode(0o644)).expect("its mode");
    fs::write(&stored[0], bytes).expect("it can be written");
    assert_eq!(env.json_error(&["push"], 5).0, "damaged");
    // It was put aside, and what the work tree holds takes its place.
    assert!(!stored[0].exists());
    env.mlv(&["add", "large"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

// DVC 41 F: what is counted is what the user named, not the pages of a directory.
#[test]
fn failed_paths_are_the_users() {
    let env = pushed();
    let clone = env.clone_to("clone");
    let mut packs = Vec::new();
    files_below(&env.root().join("remote/pk"), &mut packs);
    for pack in packs {
        fs::remove_file(pack).expect("it can be removed");
    }
    let (_, document) = clone.json_error(&["pull"], 5);
    assert_eq!(texts(&document["failed"]), ["a", "d"], "{document}");
}

// R14: an output that is not shared fails no pull of everything, and who names it is told why.
#[test]
fn outputs_that_are_not_shared_are_told_as_such() {
    let env = TestEnv::shared();
    for name in ["a", "own", "other"] {
        env.write(name, name);
        env.mlv(&["add", name]).success();
    }
    env.write("own.mlv", env.read_text("own.mlv") + "  push: false\n");
    env.write("other.mlv", env.read_text("other.mlv") + "  remote: second\n");
    env.mlv(&["remote", "add", "second", "../second"]).success();
    env.mlv(&["push"]).success();
    env.commit("data");
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert!(clone.exists("a") && clone.exists("other") && !clone.exists("own"));
    for args in [&["fetch", "own"][..], &["pull", "own"]] {
        let told = clone.mlv(args).code(5).stderr();
        assert!(told.contains("`own` is not shared: it has `push: false`"), "{told}");
    }
    let told = env.mlv(&["push", "own"]).code(5).stderr();
    assert!(told.contains("`own` is not shared"), "{told}");
    for command in ["push", "fetch"] {
        let told = env.mlv(&[command, "other", "-r", "storage"]).code(2).stderr();
        assert!(told.contains("`other` belongs to the remote `second`, and not to `storage`"), "{told}");
        assert!(told.contains("-r second"), "{told}");
    }
    // Whoever made it has it: nothing to do is no failure.
    env.mlv(&["pull"]).success();
    let beside = env.mlv(&["push", "a", "own"]).success();
    assert!(beside.stderr().contains("warning: `own` is not shared"), "{beside}");
    // Named with others, it is missed where it is not.
    clone.write("a", "edited");
    let told = clone.mlv(&["pull", "own", "other"]).code(5).stderr();
    assert!(told.contains("`own` is not shared") && !told.contains("mlv fetch"), "{told}");
    for args in [&["status", "-c", "own"][..], &["status", "-c", "-r", "storage", "other"]] {
        let told = env.mlv(args);
        assert!([2, 5].contains(&told.exit_code()) && !told.stderr().contains("up to date"), "{told}");
    }
    let told = env.mlv(&["status", "-c", "own", "a"]).success();
    assert!(told.stderr().contains("warning: `own` is not shared"), "{told}");
    // What looks into it says the same, and what lists what is not here.
    env.write("dir/1", "one");
    env.mlv(&["add", "dir"]).success();
    env.write("dir.mlv", env.read_text("dir.mlv") + "  push: false\n");
    env.commit("more");
    clone.git(&["pull", "-q"]);
    for args in [&["cat", "own"][..], &["cat", "dir/1"], &["ls", "dir"], &["get", "own", "-o", "copy"]] {
        let told = clone.mlv(args).code(5).stderr();
        assert!(told.contains("is not shared: it has `push: false`"), "{args:?}: {told}");
    }
    let status = clone.mlv(&["status"]).success().stdout();
    assert!(status.contains("own: not downloaded, and not shared (push: false)"), "{status}");
}
