//! `mlv add` of files: pointers, ignore lines, the cache.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{TestEnv, hash_of, texts};

// DVC 12 K
#[test]
fn add_writes_pointer_and_ignore_line_beside_the_file_and_a_read_only_object() {
    let env = TestEnv::ready();
    env.write("data/train.csv", "a,b\n1,2\n");
    env.mlv(&["add", "data/train.csv"]).success();
    let pointer = env.pointer("data/train.csv.mlv");
    assert_eq!(pointer.path, "train.csv");
    assert_eq!(pointer.hash, hash_of(b"a,b\n1,2\n"));
    assert_eq!((pointer.size, pointer.nfiles, pointer.is_executable), (8, None, false));
    assert!(env.read_text("data/.gitignore").lines().any(|line| line == "/train.csv"));
    assert!(!env.exists(".gitignore"));
    let objects = env.loose_objects();
    assert_eq!(objects.len(), 1);
    let mode = objects[0].metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o444);
    env.write("data/train.csv", "still writable");
}

#[test]
fn report_of_add_has_outputs_and_what_to_hand_to_git() {
    let env = TestEnv::ready();
    env.write("a.bin", "one");
    env.write("d/x", "22");
    let report = env.json(&["add", "a.bin", "d"]);
    let first = &report["outputs"][0];
    assert_eq!((&first["path"], &first["pointer"]), (&json!("a.bin"), &json!("a.bin.mlv")));
    assert_eq!((&first["hash"], &first["size"]), (&json!(hash_of(b"one")), &json!(3)));
    assert_eq!((&first["state"], &first["kept"]), (&json!("added"), &json!(0)));
    assert!(first["nfiles"].is_null());
    assert_eq!(report["outputs"][1]["nfiles"], 1);
    assert_eq!(report["outputs"][1]["size"], 2);
    assert_eq!(report["git_add"], json!([".gitignore", "a.bin.mlv", "d.mlv"]));
    assert_eq!(env.json(&["add", "d"])["outputs"][0]["state"], "unchanged");
    env.write("d/x", "333");
    let report = env.json(&["add", "d"]);
    assert_eq!(report["outputs"][0]["state"], "updated");
    assert_eq!(report["git_add"], json!(["d.mlv"]));
}

// DVC 13 K
#[test]
fn path_that_git_ignores_already_adds_no_line() {
    let env = TestEnv::ready();
    env.write(".gitignore", "*.bin\n");
    env.write("a.bin", "x");
    env.mlv(&["add", "a.bin"]).success();
    assert_eq!(env.read_text(".gitignore"), "*.bin\n");
}

// DVC 13 K, 14 F
#[test]
fn special_characters_are_escaped_in_ignore_lines_and_found_again_by_remove() {
    let env = TestEnv::ready();
    let names = ["sp[1].txt", "st*r", "a b ", "#hash", "!bang", "qu?st"];
    for name in names {
        env.write(format!("data/{name}"), name);
        // The stricter rule for outputs: not what Windows cannot hold.
        let is_portable = !name.contains(['*', '?']) && !name.ends_with(' ');
        let output = env.mlv(&["add", "--", &format!("data/{name}")]);
        if is_portable {
            output.success();
            assert!(env.git_ignores(&format!("data/{name}")), "{name}");
            assert!(!env.git_ignores("data/sp1.txt"));
        } else if output.exit_code() != 0 {
            output.code(4);
            env.remove(format!("data/{name}"));
        }
    }
    for name in names.iter().filter(|name| env.exists(format!("data/{name}"))) {
        env.mlv(&["remove", "--", &format!("data/{name}")]).success();
    }
    assert!(!env.exists("data/.gitignore"), "{}", env.read_text("data/.gitignore"));
}

// DVC 15 K
#[test]
fn file_that_git_tracks_is_refused_and_nothing_is_written() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.write("d/b", "2");
    env.commit("in git");
    let before = env.snapshot_of(".mlv") + &env.snapshot();
    for target in ["a", "d"] {
        let (kind, document) = env.json_error(&["add", target], 2);
        assert_eq!(kind, "already_tracked");
        let hints = document["error"]["hints"].to_string();
        assert!(hints.contains("git rm -r --cached"), "{hints}");
    }
    assert_eq!(env.snapshot_of(".mlv") + &env.snapshot(), before);
}

// DVC 16 K
#[test]
fn add_again_keeps_an_unchanged_pointer_and_all_that_a_user_wrote_into_a_changed_one() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    let pointer = env.read_text("a.mlv");
    let edited = format!(
        "# where it came from\n{pointer}  desc: numbers # really\n  labels: [x, y]\n  push: false\n  \
         meta:\n    owner: Ada\n"
    );
    env.write("a.mlv", &edited);
    env.mlv(&["add", "a"]).success();
    assert_eq!(env.read_text("a.mlv"), edited);
    env.write("a", "22");
    env.mlv(&["add", "a"]).success();
    assert_eq!(env.pointer("a.mlv").hash, hash_of(b"22"));
    let rest = |text: &str| -> Vec<String> {
        let is_ours = |line: &&str| !line.contains("hash:") && !line.contains("size:");
        text.lines().filter(is_ours).map(str::to_owned).collect()
    };
    assert_eq!(rest(&env.read_text("a.mlv")), rest(&edited));
}

// DVC 19 K
#[test]
fn folder_around_a_tracked_file_is_refused_with_the_way_out() {
    let env = TestEnv::ready();
    env.write("e/f", "1");
    env.mlv(&["add", "e/f"]).success();
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["add", "e"], 2);
    assert_eq!(kind, "already_tracked");
    assert!(document["error"]["hints"].to_string().contains("mlv remove e/f"), "{document}");
    assert_eq!(env.snapshot(), before);
}

// DVC 19 K
#[test]
fn output_of_a_stage_is_refused_with_the_way_out() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  make:\n    cmd: echo x > out\n    outs: [out]\n");
    env.write("out", "mine");
    let (kind, document) = env.json_error(&["add", "out"], 2);
    assert_eq!(kind, "already_tracked");
    assert!(document["error"]["hints"].to_string().contains("mlv commit"), "{document}");
    assert!(!env.exists("out.mlv"));
}

// DVC 20 F
#[test]
fn one_missing_target_and_nothing_is_added() {
    let env = TestEnv::ready();
    env.write("apples", "1");
    let before = env.snapshot_of(".");
    let (kind, document) = env.json_error(&["add", "apples", "aples"], 2);
    assert_eq!(kind, "no_such_target");
    assert!(document.to_string().contains("aples"), "{document}");
    assert_eq!(env.snapshot_of("."), before);
}

// DVC 25 K, 26 F
#[test]
fn files_of_mlv_and_git_are_no_data() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.write("mlv.yaml", "stages: {}\n");
    env.write("mlv.lock", "version: 1\nstages: {}\n");
    let before = env.snapshot();
    for name in ["a.mlv", "mlv.yaml", "mlv.lock", ".mlvignore", ".gitignore", ".mlv/config.toml", ".git/HEAD"]
    {
        let output = env.mlv(&["add", name]);
        assert!([2, 4].contains(&output.exit_code()), "{name}: {output}");
    }
    assert_eq!(env.snapshot(), before);
}

// DVC 25 K
#[test]
fn pointer_that_git_would_ignore_is_refused() {
    let env = TestEnv::ready();
    env.write(".gitignore", "*.mlv\n");
    env.write("a", "1");
    let before = env.snapshot();
    let output = env.mlv(&["add", "a"]);
    assert!([2, 4].contains(&output.exit_code()), "{output}");
    assert!(output.stderr().contains("a.mlv"), "{output}");
    assert_eq!(env.snapshot(), before);
}

// DVC 27 F
#[test]
fn the_project_itself_is_no_target_of_add() {
    let env = TestEnv::ready();
    env.write("a", "1");
    let before = env.snapshot_of(".");
    let output = env.mlv(&["add", "."]);
    assert!([2, 4].contains(&output.exit_code()), "{output}");
    assert!(!output.stderr().contains("panicked"), "{output}");
    assert_eq!(env.snapshot_of("."), before);
}

// DVC 28 K
#[test]
fn patterns_are_names_unless_asked_for() {
    let env = TestEnv::ready();
    for name in ["a1", "a2", "b", "x[1]"] {
        env.write(name, name);
    }
    assert_eq!(env.json_error(&["add", "a*"], 2).0, "no_such_target");
    env.mlv(&["add", "--glob", "a*"]).success();
    assert!(env.exists("a1.mlv") && env.exists("a2.mlv") && !env.exists("b.mlv"));
    env.mlv(&["add", "x[1]"]).success();
    assert!(env.exists("x[1].mlv"));
    env.mlv(&["add", "--glob", "nothing*"]).code(2);
}

// DVC 30 K
#[test]
fn line_ends_are_bytes_like_others() {
    let env = TestEnv::ready();
    env.write("unix", "a\nb\n");
    env.write("dos", "a\r\nb\r\n");
    env.mlv(&["add", "unix", "dos"]).success();
    assert_ne!(env.pointer("unix.mlv").hash, env.pointer("dos.mlv").hash);
    env.write("unix", "a\r\nb\r\n");
    assert_eq!(texts(&env.uncommitted()["modified"]), ["unix"]);
}

// DVC 31 K
#[test]
fn pointer_without_object_is_not_in_cache_until_commit() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "--no-commit", "a"]).success();
    assert_eq!(env.pointer("a.mlv").hash, hash_of(b"1"));
    assert!(env.loose_objects().is_empty());
    assert_eq!(texts(&env.status()["data"]["not_in_cache"]), ["a"]);
    env.mlv(&["commit"]).success();
    assert_eq!(env.loose_objects().len(), 1);
    assert!(env.status()["data"]["not_in_cache"].is_null());
    env.remove("a");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("a"), "1");
}

// DVC 22 K
#[test]
fn executable_file_is_executable_again() {
    let env = TestEnv::ready();
    env.write("run", "#!/bin/sh\n");
    env.chmod("run", 0o755);
    env.mlv(&["add", "run"]).success();
    assert!(env.pointer("run.mlv").is_executable);
    env.remove("run");
    env.mlv(&["checkout"]).success();
    assert!(env.snapshot().contains("f 755 run "), "{}", env.snapshot());
    // DVC 22 F: a change of the mode is a change.
    env.chmod("run", 0o644);
    assert_eq!(texts(&env.uncommitted()["modified"]), ["run"]);
    env.mlv(&["add", "run"]).success();
    assert!(!env.pointer("run.mlv").is_executable);
}

// DVC 21 K
#[test]
fn empty_file_is_data() {
    let env = TestEnv::ready();
    env.write("nothing", "");
    env.mlv(&["add", "nothing"]).success();
    assert_eq!(env.pointer("nothing.mlv").size, 0);
    env.remove("nothing");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("nothing"), b"");
    env.assert_sound();
}

// R3, DVC 23 K
#[test]
fn nothing_is_added_through_a_link() {
    let env = TestEnv::ready();
    let outside = env.beside("elsewhere");
    outside.write("f", "theirs");
    env.symlink("../elsewhere", "link");
    env.symlink("real", "loop");
    env.write("real/f", "ours");
    for target in ["link/f", "link", "loop/f", "loop"] {
        let output = env.mlv(&["add", target]);
        assert!([2, 4].contains(&output.exit_code()), "{target}: {output}");
    }
    assert!(!env.snapshot().contains(".mlv "), "{}", env.snapshot());
    assert_eq!(outside.snapshot(), "f 644 f \"theirs\"\n");
}

#[test]
fn dry_run_says_the_same_and_writes_nothing() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.write("b", "2");
    let before = env.snapshot_of(".");
    let promised = env.json(&["add", "--dry-run", "d", "b"]);
    assert_eq!(env.snapshot_of("."), before);
    let done = env.json(&["add", "d", "b"]);
    assert_eq!(promised["outputs"], done["outputs"], "names, sizes and counts, too");
    assert_eq!(promised["stored"], serde_json::json!({ "records": 2, "bytes": 2 }), "two files");
}

#[test]
fn add_works_from_any_folder() {
    let env = TestEnv::ready();
    env.write("data/raw/a", "1");
    let sub = env.at("data");
    let report = sub.json(&["add", "raw"]);
    // JSON is for scripts: its paths are the repository's, as in DVC.
    assert_eq!(report["outputs"][0]["path"], "data/raw");
    assert!(env.exists("data/raw.mlv"));
    sub.write("up", "2");
    env.at("data/raw").mlv(&["add", "../up"]).success();
    assert!(env.exists("data/up.mlv"));
}

#[test]
fn git_sees_pointer_and_ignore_file_only() {
    let env = TestEnv::ready();
    env.write("data/a", "1");
    env.mlv(&["add", "data"]).success();
    let status = env.git(&["status", "--porcelain", "--untracked-files=all"]);
    assert_eq!(status, "?? .gitignore\n?? data.mlv");
}

// DVC 26 F
#[test]
fn own_files_are_no_data() {
    let env = TestEnv::ready();
    env.write(".gitignore", "*.tmp\n");
    env.write("d/.mlvignore", "*.tmp\n");
    for name in [".gitignore", ".mlvignore", "d/.mlvignore", ".gitattributes"] {
        env.write(name, "*.tmp\n");
        let before = env.snapshot();
        env.json_error(&["add", name], 4);
        assert_eq!(env.snapshot(), before, "{name}");
    }
}

#[test]
fn names_that_look_the_same_are_told_apart() {
    let env = TestEnv::ready();
    env.write("\u{e9}", "composed");
    env.mlv(&["add", "\u{e9}"]).success();
    env.write("e\u{301}", "decomposed");
    let said = env.mlv(&["add", "e\u{301}"]).code(2).stderr();
    assert!(said.contains("do not count (written `e\\u{301}` and `\\u{e9}`)\n"), "{said}");
    env.write("E\u{301}", "looks different");
    let said = env.mlv(&["add", "E\u{301}"]).code(2).stderr();
    assert!(said.contains("do not count\n"), "{said}");
}
