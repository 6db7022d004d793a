//! States that a user comes into by deleting, damaging or configuring what mlv keeps: what is said
//! there leads out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::remedies::paste;
use crate::support::TestEnv;

#[track_caller]
fn refused(env: &TestEnv, args: &[&str], code: i32) -> String {
    env.mlv(args).code(code).stderr()
}

/// Damages the object in the cache that holds `bytes`.
fn damage(env: &TestEnv, bytes: &[u8]) {
    let is_it = |path: &std::path::PathBuf| fs::read(path).is_ok_and(|found| found == bytes);
    let object = env.loose_objects().into_iter().find(is_it).expect("an object of its own");
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).expect("its mode");
    let mut damaged = bytes.to_vec();
    damaged[0] ^= 1;
    fs::write(&object, damaged).expect("it can be written");
}

// The cache may be deleted at any time; what it alone knew of deleted files is lost, the rest is not.
#[test]
fn directory_of_which_the_list_is_lost_begins_anew() {
    let env = TestEnv::tracked();
    env.remove("d/2");
    env.remove(".mlv/cache");
    env.remove(".mlv/here");
    let said = refused(&env, &["add", "d"], 5);
    assert!(
        said.contains("error: the list of files of `d` is not in the cache, and no remote gives it\n"),
        "{said}"
    );
    assert!(said.contains("what is not here is lost"), "{said}");
    paste(&env, &said, "if no clone and no remote has it: `");
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1));
    env.mlv(&["commit"]).success();
    env.commit("begun anew");
    env.assert_clean();
}

#[test]
fn push_names_the_damaged_file_and_what_stores_it_again() {
    let env = TestEnv::shared();
    env.write("d/1", "one");
    env.write("d/2", "two");
    env.mlv(&["add", "d"]).success();
    damage(&env, b"two");
    let said = refused(&env, &["push"], 5);
    assert!(said.contains("`d/2`") && said.contains("hint: `mlv commit` stores what is here"), "{said}");
    paste(&env, &said, "hint: `");
    env.mlv(&["push"]).success();
    env.assert_sound();
}

#[test]
fn damage_in_the_cache_comes_with_a_remedy_each_time() {
    let env = TestEnv::tracked();
    damage(&env, b"second");
    for _ in 0..2 {
        let said = refused(&env, &["fsck"], 5);
        assert!(said.contains("hint: `mlv commit` stores it again"), "{said}");
    }
    env.mlv(&["commit"]).success();
    env.mlv(&["fsck"]).success();
}

#[test]
fn flipped_bit_in_the_marker_of_the_cache_is_damage() {
    let env = TestEnv::tracked();
    let marker = env.read_text(".mlv/cache/mlv-cache");
    for (right, wrong) in [("blake3", "clake3"), ("self", "felf"), ("hash", "hasi")] {
        env.write(".mlv/cache/mlv-cache", marker.replace(right, wrong));
        let said = refused(&env, &["status"], 5);
        assert!(said.contains("is damaged") && said.contains("hint: echo"), "{said}");
    }
    env.write(".mlv/cache/mlv-cache", marker.replace("\"version\":1", "\"version\":3"));
    let said = refused(&env, &["status"], 4);
    assert!(
        said.contains("hint: install a newer mlv\nhint: or, if no newer one was ever used here"),
        "{said}"
    );
}

// R8: what stands in the way is kept by what is said.
#[test]
fn link_that_cannot_be_recorded_is_kept_by_moving_it_out() {
    let env = TestEnv::ready();
    env.write("imgs/a/1", "1");
    env.mlv(&["add", "imgs"]).success();
    env.commit("images");
    env.remove("imgs/a");
    env.symlink("/nowhere", "imgs/a");
    let said = refused(&env, &["checkout"], 2);
    paste(&env, &said, "run `");
    env.mlv(&["checkout"]).success();
    assert!(env.exists("imgs.a.mine"));
    env.assert_clean();
}

#[test]
fn file_that_git_tracks_in_a_tracked_directory_is_refused() {
    let env = TestEnv::tracked();
    env.write("d/2", "edited");
    env.git(&["add", "--force", "d/2"]);
    let said = refused(&env, &["add", "d"], 2);
    assert!(said.contains("error: `d/2` is tracked by git\n"), "{said}");
    env.git(&["rm", "-r", "--quiet", "--cached", "d"]);
    env.mlv(&["add", "d"]).success();
}

// R3
#[test]
fn remote_lies_in_no_folder_of_git_or_mlv() {
    let env = TestEnv::tracked();
    env.symlink(".git", "link");
    for place in [".git/x", ".", "d/../.git", "link/x", ".mlv/cache"] {
        let said = refused(&env, &["remote", "add", "x", place], 2);
        assert!(said.contains("the remote `x` cannot lie in"), "{place}: {said}");
    }
    env.mlv(&["remote", "add", "-d", "x", "../x"]).success();
    refused(&env, &["remote", "modify", "x", "url", ".git/x"], 2);
    // A commit from elsewhere may say so, too.
    let config = env.read_text(".mlv/config.toml").replace("../x", ".git/x");
    env.write(".mlv/config.toml", config);
    let said = refused(&env, &["push"], 2);
    assert!(said.contains("git keeps its own files there"), "{said}");
    assert!(!env.exists(".git/x"));
}

#[test]
fn project_that_begins_with_git_hides_its_data_from_it() {
    let env = TestEnv::new();
    env.mlv(&["init", "--no-scm"]).success();
    env.write("d/1", "1");
    env.mlv(&["add", "d"]).success();
    let said = refused(&env, &["diff"], 2);
    let hint = said.lines().find(|line| line.starts_with("hint: ")).expect("a hint");
    paste(&env, hint, "hint: ");
    assert!(env.git_ignores("d"));
    env.commit("all");
    assert_eq!(env.git(&["ls-files", "d"]), "");
}

#[test]
fn nothing_is_called_up_to_date_that_failed() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.write("b", "2");
    env.mlv(&["add", "a", "b"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    env.write("b.mlv", "no pointer");
    let output = env.mlv(&["push"]).code(4);
    assert!(!output.to_string().contains("up to date"), "{output}");
    for name in ["pk", "ix"] {
        let folder = env.root().join("remote").join(name);
        if folder.exists() {
            env.remove(folder);
        }
    }
    let output = clone.mlv(&["pull"]);
    assert_ne!(output.exit_code(), 0);
    assert!(!output.to_string().contains("up to date"), "{output}");
}

// R10
#[test]
fn push_tells_that_it_wrote_a_lost_index_again() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["push"]).success();
    let index = env.root().join("remote/ix");
    for file in fs::read_dir(&index).expect("a folder of indexes") {
        fs::remove_file(file.expect("an entry").path()).expect("it goes");
    }
    let said = env.mlv(&["push"]).success().stderr();
    assert!(said.contains("Wrote 1 lost index again to `storage`."), "{said}");
    let said = env.mlv(&["push"]).success().stderr();
    assert!(said.contains("Everything up to date"), "{said}");
}
