//! `mlv add` of directories: everything in them, single entries of them, and what is not here.

use crate::support::{TestEnv, texts};

/// A project whose directory `d` holds `1`, `2`, `sub/3`, pushed, and a clone without the data.
fn with_clone() -> (TestEnv, TestEnv) {
    let env = TestEnv::shared();
    for (path, text) in [("d/1", "one"), ("d/2", "two"), ("d/sub/3", "three")] {
        env.write(path, text);
    }
    env.mlv(&["add", "d"]).success();
    env.commit("add d");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    (env, clone)
}

// DVC 17 K
#[test]
fn one_entry_of_a_tracked_directory_is_added_alone() {
    let env = TestEnv::ready();
    env.write("d/1", "one");
    env.write("d/2", "two");
    env.mlv(&["add", "d"]).success();
    let before = env.pointer("d.mlv");
    env.write("d/1", "ONE");
    env.write("d/2", "edited, not added");
    env.write("d/sub/3", "three");
    env.mlv(&["add", "d/sub"]).success();
    env.mlv(&["add", "d/1"]).success();
    let pointer = env.pointer("d.mlv");
    assert_ne!(pointer.hash, before.hash);
    assert_eq!((pointer.nfiles, pointer.size), (Some(3), 3 + 3 + 5));
    assert!(!env.exists("d/1.mlv") && !env.exists("d/sub.mlv"));
    let modified = env.uncommitted();
    assert_eq!(texts(&modified["modified"]), ["d/2"]);
    assert!(modified["added"].is_null() && modified["deleted"].is_null(), "{modified}");
}

// DVC 17 K
#[test]
fn one_entry_is_added_where_the_rest_was_never_downloaded() {
    let (env, clone) = with_clone();
    clone.write("d/new", "fresh");
    clone.mlv(&["add", "d/new"]).success();
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(4));
    assert_eq!(clone.pointer("d.mlv").size, 3 + 3 + 5 + 5);
    clone.commit("add one");
    clone.mlv(&["push"]).success();
    clone.git(&["push", "--quiet", "origin", "HEAD:other"]);
    env.git(&["merge", "--quiet", "other"]);
    env.mlv(&["pull"]).success();
    assert_eq!(env.read_text("d/new"), "fresh");
    assert_eq!(env.read_text("d/sub/3"), "three");
}

// DVC 18 F
#[test]
fn entry_that_was_here_and_is_gone_is_deleted() {
    let env = TestEnv::ready();
    env.write("d/1", "one");
    env.write("d/sub/2", "two");
    env.write("d/sub/3", "three");
    env.mlv(&["add", "d"]).success();
    env.remove("d/1");
    env.mlv(&["add", "d/1"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(2));
    env.remove("d/sub");
    env.mlv(&["add", "d/sub"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(0));
    assert_eq!(env.json_error(&["add", "d/never"], 2).0, "no_such_target");
}

// DVC 18 F: absent is not deleted.
#[test]
fn entry_that_was_never_here_is_not_deleted_by_adding_it() {
    let (_env, clone) = with_clone();
    let before = clone.read("d.mlv");
    assert_ne!(clone.mlv(&["add", "d/1"]).exit_code(), 101);
    assert_eq!(clone.read("d.mlv"), before);
}

#[test]
fn directory_added_in_a_fresh_clone_loses_no_entry() {
    let (env, clone) = with_clone();
    let before = clone.pointer("d.mlv");
    clone.write("d/new", "fresh");
    let report = clone.json(&["add", "d"]);
    assert_eq!(report["outputs"][0]["kept"], 3);
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(4));
    clone.remove("d/new");
    clone.mlv(&["add", "d"]).success();
    assert_eq!(clone.pointer("d.mlv"), before);
    // With everything here, what is gone is deleted.
    env.remove("d/2");
    assert_eq!(env.json(&["add", "d"])["outputs"][0]["kept"], 0);
    assert_eq!(env.pointer("d.mlv").nfiles, Some(2));
}

#[test]
fn part_that_was_pulled_can_be_deleted_and_the_rest_stays() {
    let (_env, clone) = with_clone();
    clone.mlv(&["pull", "d/sub"]).success();
    assert_eq!(clone.read_text("d/sub/3"), "three");
    clone.remove("d/sub/3");
    let report = clone.json(&["add", "d"]);
    assert_eq!(report["outputs"][0]["kept"], 2);
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(2));
}

// R10: what is remembered about the work tree is no cache; without it nothing counts as deleted.
#[test]
fn lost_memory_of_what_is_here_deletes_nothing() {
    let (env, _) = with_clone();
    env.remove(".mlv/here");
    env.remove("d/2");
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(3));
}

// DVC 21 F
#[test]
fn empty_folders_are_kept() {
    let env = TestEnv::ready();
    env.at("e");
    env.at("d/sub/empty");
    env.write("d/file", "");
    env.mlv(&["add", "e", "d"]).success();
    assert_eq!((env.pointer("e.mlv").nfiles, env.pointer("e.mlv").size), (Some(0), 0));
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1));
    let before = env.snapshot();
    env.remove("e");
    env.remove("d");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.snapshot(), before);
    env.assert_recorded();
}

// DVC 22 F
#[test]
fn modes_inside_directories_are_kept() {
    let env = TestEnv::ready();
    env.write("d/run", "#!/bin/sh\n");
    env.write("d/plain", "#!/bin/sh\n");
    env.chmod("d/run", 0o755);
    env.mlv(&["add", "d"]).success();
    let before = env.snapshot();
    env.remove("d");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.snapshot(), before);
    env.chmod("d/plain", 0o755);
    assert_eq!(texts(&env.uncommitted()["modified"]), ["d/plain"]);
    let hash = env.pointer("d.mlv").hash;
    env.mlv(&["add", "d"]).success();
    assert_ne!(env.pointer("d.mlv").hash, hash);
    // Only the owner's x counts.
    env.chmod("d/plain", 0o711);
    env.chmod("d/run", 0o700);
    env.assert_recorded();
}

// DVC 23 F
#[test]
fn links_inside_directories_are_links() {
    let env = TestEnv::ready();
    env.write("d/a/file", "x");
    env.symlink("a/file", "d/link");
    env.symlink("../a", "d/b/up");
    env.symlink("nowhere", "d/dangling");
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1));
    let before = env.snapshot();
    env.remove("d");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.snapshot(), before);
    env.remove("d/dangling");
    env.symlink("elsewhere", "d/dangling");
    assert_eq!(texts(&env.uncommitted()["modified"]), ["d/dangling"]);
}

// R3, DVC 23 F
#[test]
fn links_that_leave_their_directory_are_refused() {
    for target in ["../outside", "/etc/passwd", "a/../../outside", "hop/x"] {
        let env = TestEnv::ready();
        env.write("outside", "secret");
        env.write("d/a/file", "x");
        env.symlink("a", "d/hop");
        env.symlink(target, "d/link");
        let before = env.snapshot();
        let (_, document) = env.json_error(&["add", "d"], 4);
        assert!(document.to_string().contains("d/link"), "{document}");
        assert_eq!(env.snapshot(), before);
    }
}

#[test]
fn ignored_names_and_repositories_inside_are_left_out() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.write("d/.DS_Store", "mac");
    env.write("d/__pycache__/x.pyc", "py");
    env.write("d/sub/.git/config", "git");
    env.write("d/.mlv/config.toml", "");
    env.write("d/debug.log", "log");
    env.write(".mlvignore", format!("{}*.log\n", env.read_text(".mlvignore")));
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1));
    assert!(env.uncommitted().is_null());
    // They are nobody's to remove.
    env.write("d/a", "2");
    env.mlv(&["checkout", "--force"]).success();
    assert!(env.exists("d/debug.log") && env.exists("d/sub/.git/config") && env.exists("d/.DS_Store"));
}

#[test]
fn equal_directories_have_equal_hashes_whatever_their_history() {
    let env = TestEnv::ready();
    for at in 0..300 {
        env.write(format!("a/{at}"), format!("{at}"));
        env.write(format!("b/{}", 299 - at), format!("{}", 299 - at));
    }
    env.write("b/more", "x");
    env.mlv(&["add", "a", "b"]).success();
    assert_ne!(env.pointer("a.mlv").hash, env.pointer("b.mlv").hash);
    env.remove("b/more");
    env.mlv(&["add", "b/more"]).success();
    let (a, b) = (env.pointer("a.mlv"), env.pointer("b.mlv"));
    assert_eq!((a.hash, a.size, a.nfiles), (b.hash, b.size, b.nfiles));
}

#[test]
fn file_and_directory_of_one_name_follow_each_other() {
    let env = TestEnv::ready();
    env.write("x", "file");
    env.mlv(&["add", "x"]).success();
    env.remove("x");
    env.write("x/inside", "directory");
    env.mlv(&["add", "x"]).success();
    assert_eq!(env.pointer("x.mlv").nfiles, Some(1));
    env.remove("x");
    env.write("x", "file again");
    env.mlv(&["add", "x"]).success();
    assert_eq!(env.pointer("x.mlv").nfiles, None);
    env.assert_sound();
}

#[test]
fn repositories_inside_are_left_out_with_one_warning() {
    let env = TestEnv::ready();
    env.write("d/file", "1");
    env.write("d/.mlv-tmp-00000000000000000000000000000000", "left by a crash");
    for folder in ["d/a/.git", "d/b/.hg", "e/.svn"] {
        env.write(format!("{folder}/config"), "x");
        env.write(format!("{folder}/../file"), "2");
    }
    let said = env.mlv(&["add", "d", "e"]).success().stderr();
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(
        warnings,
        ["warning: left out 3 folders of version control, which is no data: first `d/a/.git`"],
        "{said}"
    );
    assert_eq!(env.pointer("d.mlv").nfiles, Some(3));
    env.remove("d/b");
    env.remove("e/.svn");
    let said = env.mlv(&["commit"]).success().stderr();
    assert!(said.contains("warning: left out `d/a/.git`: version control is no data\n"), "{said}");
    env.remove("d/a/.git");
    env.write("d/file", "3");
    assert!(!env.mlv(&["commit"]).success().stderr().contains("warning"));
}
