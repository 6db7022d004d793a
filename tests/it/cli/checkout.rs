//! `mlv checkout`: the work tree becomes what the pointers say, and no byte is lost on the way.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{TestEnv, texts};

// DVC 34 K, R2
#[test]
fn unsaved_data_stops_the_command_before_any_file_is_touched() {
    let env = TestEnv::tracked();
    env.write("a", "edited");
    env.write("d/1", "edited too");
    env.remove("d/2");
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["checkout"], 2);
    assert_eq!(kind, "would_overwrite");
    assert_eq!(texts(&document["failed"]), ["a", "d/1"]);
    assert_eq!(env.snapshot(), before);
}

// R2: --force changes whether it goes on, not whether bytes survive.
#[test]
fn forced_checkout_moves_unsaved_data_to_rescue() {
    let env = TestEnv::tracked();
    let wanted = env.snapshot();
    env.write("a", "edited");
    env.write("d/1", "edited too");
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!(env.snapshot(), wanted);
    assert!(env.has_rescued(b"edited") && env.has_rescued(b"edited too"));
    env.assert_clean();
}

// DVC 35 K
#[test]
fn data_that_is_in_the_cache_gives_way() {
    let env = TestEnv::tracked();
    env.write("a", "two");
    env.mlv(&["add", "a"]).success();
    env.git(&["checkout", "--quiet", "--", "a.mlv"]);
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("a"), "one");
    assert_eq!(env.rescued(), Vec::<String>::new());
}

#[test]
fn checkout_that_only_deletes_says_so_and_a_quiet_one_nothing() {
    let env = TestEnv::tracked();
    env.write("d/3", "extra");
    let output = env.mlv(&["checkout", "--clean", "--force"]).success();
    assert_eq!(output.stdout(), "D  d/3\n");
    assert!(output.stderr().lines().any(|line| line.starts_with("Deleted 1 file in ")), "{output}");
    for command in [&["checkout", "-q"][..], &["pull", "-q"]] {
        env.add_remote();
        env.mlv(&["push"]).success();
        env.remove("a");
        let output = env.mlv(command).success();
        assert_eq!((output.stdout(), output.stderr()), (String::new(), String::new()), "{command:?}");
        assert_eq!(env.read_text("a"), "one");
        env.mlv(&["remote", "remove", "storage"]).success();
    }
    env.remove("a");
    let output = env.mlv(&["checkout", "-q", "--dry-run"]).success();
    assert_eq!(output.stdout(), "A  a\n", "that is what was asked for");
}

// DVC 36 F
#[test]
fn extra_file_in_a_tracked_directory_stays_unless_it_is_to_be_cleaned() {
    let env = TestEnv::tracked();
    env.write("d/mine", "untracked");
    env.write("d/1", "second");
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!(env.read_text("d/mine"), "untracked");
    assert_eq!(env.read_text("d/1"), "first");
    env.mlv(&["checkout", "--clean"]).success();
    assert!(!env.exists("d/mine"));
    assert_eq!(env.rescued(), ["d/mine"]);
    env.assert_clean();
}

// DVC 37 K
#[test]
fn data_of_the_commit_before_goes_and_what_was_edited_stays() {
    let env = TestEnv::tracked();
    env.git(&["checkout", "--quiet", "-b", "without", "HEAD~1"]);
    env.write("d/1", "edited");
    env.mlv(&["checkout"]).success();
    assert!(!env.exists("a") && !env.exists("d/2"), "{}", env.snapshot());
    assert_eq!(env.read_text("d/1"), "edited");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!(env.read_text("a"), "one");
    assert_eq!(env.read_text("d/1"), "first");
    assert!(env.has_rescued(b"edited"));
}

// DVC 38 K
#[test]
fn file_in_the_way_of_a_directory_and_the_reverse_are_refused_or_replaced() {
    let env = TestEnv::tracked();
    let wanted = env.snapshot();
    env.remove("d");
    env.write("d", "a file now");
    env.remove("a");
    env.write("a/inside", "a directory now");
    let before = env.snapshot();
    assert_eq!(env.json_error(&["checkout"], 2).0, "would_overwrite");
    assert_eq!(env.snapshot(), before);
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!(env.snapshot(), wanted);
    assert!(env.has_rescued(b"a file now") && env.has_rescued(b"a directory now"));
}

// DVC 39 F
#[test]
fn missing_objects_are_listed_and_everything_else_is_checked_out() {
    let env = TestEnv::tracked();
    env.commit("d");
    let lost = fs::read_dir(env.path().join(".mlv/cache/objects")).expect("loose objects");
    assert!(lost.count() >= 3);
    for object in env.loose_objects() {
        if fs::read(&object).is_ok_and(|bytes| bytes == b"second") {
            fs::remove_file(object).expect("it can be removed");
        }
    }
    env.remove("a");
    env.remove("d");
    let (kind, document) = env.json_error(&["checkout"], 5);
    assert_eq!(kind, "not_downloaded");
    assert_eq!(texts(&document["failed"]), ["d/2"]);
    assert_eq!((env.read_text("a"), env.read_text("d/1")), ("one".into(), "first".into()));
    assert!(!env.exists("d/2"));
    // The part that is here stays, and what is lost is no deletion.
    env.mlv(&["checkout", "--allow-missing"]).success();
    assert_eq!(env.read_text("d/1"), "first");
    let pointer = env.read("d.mlv");
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.read("d.mlv"), pointer);
}

// DVC 48 F, R4
#[test]
fn damaged_cache_object_never_reaches_the_work_tree() {
    let env = TestEnv::tracked();
    for object in env.loose_objects() {
        if fs::read(&object).is_ok_and(|bytes| bytes == b"one") {
            fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).expect("its mode");
            fs::write(&object, "0ne").expect("it is there");
        }
    }
    env.remove("a");
    let (kind, document) = env.json_error(&["checkout"], 5);
    assert_eq!(kind, "damaged");
    assert!(document.to_string().contains("\"a\""), "{document}");
    assert!(!env.exists("a"));
    // The good bytes heal it.
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.remove("a");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("a"), "one");
    env.assert_sound();
}

// DVC 51 K, 52 F
#[test]
fn relink_links_and_a_write_through_a_link_is_noticed() {
    let env = TestEnv::ready();
    env.write("a", vec![b'x'; 200_000]);
    env.mlv(&["add", "a"]).success();
    env.commit("add a");
    env.mlv(&["config", "--local", "cache.type", "hardlink"]).success();
    env.mlv(&["checkout"]).success();
    let stat = || fs::metadata(env.path().join("a")).expect("it is there");
    assert_eq!(stat().nlink(), 1, "nothing changes without being asked for");
    env.mlv(&["checkout", "--relink"]).success();
    assert_eq!((stat().nlink(), stat().mode() & 0o777), (2, 0o444));
    env.assert_clean();
    // Root, or a program that changes the mode, writes through the link into the cache.
    env.chmod("a", 0o644);
    env.write("a", vec![b'y'; 200_000]);
    assert_eq!(texts(&env.uncommitted()["modified"]), ["a"]);
    let clean = env.clone_to("second");
    clean
        .mlv(&["config", "--local", "cache.dir", &env.path().join(".mlv/cache").display().to_string()])
        .success();
    let output = clean.mlv(&["checkout"]);
    assert_eq!(output.exit_code(), 5, "{output}");
    assert!(!clean.exists("a"), "no wrong byte under the name");
}

#[test]
fn symlinks_into_the_cache_are_understood() {
    let env = TestEnv::ready();
    env.write("a", vec![b'x'; 200_000]);
    env.mlv(&["add", "a"]).success();
    env.commit("add a");
    env.mlv(&["config", "--local", "cache.type", "symlink"]).success();
    env.remove("a");
    env.mlv(&["checkout"]).success();
    assert!(fs::symlink_metadata(env.path().join("a")).expect("it is there").is_symlink());
    assert_eq!(env.read("a"), vec![b'x'; 200_000]);
    env.assert_clean();
    env.mlv(&["config", "--local", "cache.type", "copy"]).success();
    env.mlv(&["checkout", "--relink"]).success();
    assert!(fs::symlink_metadata(env.path().join("a")).expect("it is there").is_file());
    env.assert_clean();
}

#[test]
fn one_path_inside_a_directory_comes_alone() {
    let env = TestEnv::tracked();
    env.remove("d");
    env.remove("a");
    env.mlv(&["checkout", "d/1"]).success();
    assert_eq!(env.snapshot().matches("\nf 644 d/").count(), 1);
    assert_eq!(env.read_text("d/1"), "first");
    assert!(!env.exists("a"));
    assert_eq!(env.json_error(&["checkout", "d/nosuch"], 2).0, "no_such_target");
    assert_eq!(env.json_error(&["checkout", "nosuch"], 2).0, "no_such_target");
}

#[test]
fn targets_are_outputs_pointers_and_folders() {
    for target in ["d/1", "d", "d.mlv"] {
        let env = TestEnv::tracked();
        env.remove("d");
        env.mlv(&["checkout", target]).success();
        assert_eq!(env.read_text("d/1"), "first", "{target}");
    }
    let env = TestEnv::tracked();
    env.write("sub/x", "deep");
    env.mlv(&["add", "sub/x"]).success();
    env.remove("sub/x");
    env.mlv(&["checkout", "-R", "sub"]).success();
    assert_eq!(env.read_text("sub/x"), "deep");
}

#[test]
fn report_counts_what_changed_and_second_checkout_does_nothing() {
    let env = TestEnv::tracked();
    env.write("gone", "x");
    env.mlv(&["add", "gone"]).success();
    env.remove("gone.mlv");
    env.remove("a");
    let listed = |field: &str| {
        let report = env.json(&["checkout", "--dry-run"]);
        let outputs = report["outputs"].as_array().cloned().expect("a list");
        let lists: Vec<String> =
            outputs.iter().flat_map(|output| texts(&output[field])).map(str::to_owned).collect();
        lists
    };
    assert_eq!((listed("added"), listed("deleted")), (vec!["a".to_owned()], vec!["gone".to_owned()]));
    assert_eq!(env.json(&["checkout"])["files"], 1);
    for field in ["added", "deleted", "modified"] {
        assert_eq!(listed(field), Vec::<String>::new(), "{field}");
    }
}

#[test]
fn dry_run_promises_what_is_done_and_does_nothing() {
    let env = TestEnv::tracked();
    env.remove("a");
    env.write("d/1", "edited");
    let before = env.snapshot_of(".");
    env.mlv(&["checkout", "--force", "--dry-run"]).success();
    assert_eq!(env.snapshot_of("."), before);
}

// R3
#[test]
fn nothing_is_written_through_a_link_that_took_the_place_of_a_folder() {
    let env = TestEnv::tracked();
    let outside = env.beside("elsewhere");
    outside.write("1", "theirs");
    env.remove("d");
    env.symlink("../elsewhere", "d");
    assert_ne!(env.mlv(&["checkout"]).exit_code(), 0);
    assert_eq!(outside.snapshot(), "f 644 1 \"theirs\"\n");
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!(outside.snapshot(), "f 644 1 \"theirs\"\n");
    assert_eq!(env.read_text("d/1"), "first");

    env.write("x/y/z", "deep");
    env.mlv(&["add", "x/y/z"]).success();
    outside.write("y/z", "theirs");
    env.remove("x/y/z");
    let pointer = env.read("x/y/z.mlv");
    env.remove("x");
    outside.write("y/z.mlv", pointer);
    env.symlink("../elsewhere", "x");
    let before = outside.snapshot();
    let _ = env.mlv(&["checkout", "--force"]);
    assert_eq!(outside.snapshot(), before);
}

// R10
#[test]
fn hints_that_are_lost_or_damaged_cost_only_time() {
    for damage in [None, Some(&b"not an index"[..]), Some(b"")] {
        let env = TestEnv::tracked();
        env.commit("data");
        for name in ["index", "here"] {
            match damage {
                None => env.remove(format!(".mlv/{name}")),
                Some(bytes) => env.write(format!(".mlv/{name}"), bytes),
            }
        }
        let status = env.status();
        assert!(status["data"]["uncommitted"].is_null(), "{status}");
        env.mlv(&["checkout"]).success();
        env.assert_clean();
        env.assert_sound();
    }
}

#[test]
fn cleaning_takes_empty_folders_too() {
    let env = TestEnv::tracked();
    env.at("d/empty/deep");
    env.mlv(&["checkout", "--clean", "--force"]).success();
    assert!(!env.exists("d/empty"));
    env.assert_clean();
}

// R23: what has nothing to write works in a work tree that cannot be written.
#[test]
fn checkout_with_nothing_to_do_needs_no_writing() {
    let env = TestEnv::tracked();
    env.mlv(&["checkout"]).success();
    // The first step that would write fails: at most what only saves time is not saved.
    let mut command = env.mlv_command();
    env.run(command.arg("checkout").env("MLV_FAULT", "eio:1")).success();
    env.remove("a");
    let mut command = env.mlv_command();
    env.run(command.arg("checkout").env("MLV_FAULT", "eio:1")).code(9);
}

#[test]
fn output_that_git_keeps_is_gits_to_check_out() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: echo 1 > m\n    outs: [{m: {cache: false}}]\n");
    env.mlv(&["repro"]).success();
    env.write("m", "edited");
    let said = env.mlv(&["checkout", "m"]).code(2).stderr();
    assert!(
        said.contains("mlv does not keep the data") && said.contains("hint: `git checkout -- m`"),
        "{said}"
    );
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("m"), "edited");
}

// R18: the folder is one that several users share.
#[test]
fn files_get_the_group_that_their_folder_hands_on() {
    let env = TestEnv::tracked();
    let _ = std::os::unix::fs::chown(env.path().join("d"), None, Some(1000));
    fs::set_permissions(env.path().join("d"), fs::Permissions::from_mode(0o2775)).unwrap();
    for at in 0..20 {
        env.write(format!("d/new/{at}"), format!("{at}"));
    }
    env.mlv(&["add", "d"]).success();
    env.remove("d/new");
    env.remove("d/1");
    env.write("d/2", "edited");
    env.mlv(&["checkout", "--force"]).success();
    env.write("d/by hand", "");
    let group = |path: &str| fs::metadata(env.path().join(path)).unwrap().gid();
    for path in ["d/1", "d/2", "d/new", "d/new/0", "d/new/19"] {
        assert_eq!(group(path), group("d/by hand"), "{path}");
    }
}

// R1, R15: what a checkout leaves that was killed between the folder and the file.
#[test]
fn empty_folder_gives_way_to_the_file_that_is_recorded() {
    let env = TestEnv::tracked();
    for manner in [&["checkout"][..], &["checkout", "--force"], &["checkout", "--clean"]] {
        env.remove("a");
        fs::create_dir(env.path().join("a")).unwrap();
        env.mlv(manner).success();
        assert_eq!(env.read_text("a"), "one");
    }
    env.assert_clean();
}

// R1, R15: what a checkout leaves that was killed between a folder and the one above it.
#[test]
fn empty_folder_that_mlv_made_for_another_goes_with_it() {
    let env = TestEnv::tracked();
    env.git(&["checkout", "--quiet", "-b", "other"]);
    env.at("d/empty/deeper");
    env.mlv(&["add", "d"]).success();
    env.commit("an empty folder");
    env.git(&["checkout", "--quiet", "main"]);
    fs::remove_dir(env.path().join("d/empty/deeper")).unwrap();
    env.mlv(&["checkout"]).success();
    assert!(!env.exists("d/empty"));
    env.assert_clean();
}
