//! `mlv remove` and `mlv rm`.

use crate::support::{TestEnv, texts};

// DVC 32 K, 14 K
#[test]
fn remove_takes_pointer_and_ignore_line_away_and_leaves_the_data() {
    for target in ["a", "a.mlv"] {
        let env = TestEnv::tracked();
        env.mlv(&["remove", target]).success();
        assert!(!env.exists("a.mlv") && !env.git_ignores("a"), "{target}");
        assert!(env.git_ignores("d"));
        assert_eq!(env.read_text("a"), "one");
        env.mlv(&["rm", "d"]).success();
        assert!(!env.exists(".gitignore"));
        assert_eq!(env.read_text("d/1"), "first");
    }
}

// DVC 32 K, R2
#[test]
fn outs_goes_with_the_data_and_unsaved_data_survives() {
    let env = TestEnv::tracked();
    env.mlv(&["remove", "--outs", "a"]).success();
    assert!(!env.exists("a") && !env.exists("a.mlv"));
    env.write("d/1", "edited");
    let before = env.snapshot();
    let output = env.mlv(&["remove", "--outs", "d"]);
    if output.exit_code() == 0 {
        assert!(env.has_rescued(b"edited"), "{output}");
    } else {
        output.code(2);
        assert_eq!(env.snapshot(), before);
        env.mlv(&["remove", "--outs", "--force", "d"]).success();
        assert!(env.has_rescued(b"edited"));
    }
    assert!(!env.exists("d"));
    // What was removed comes back with its commit.
    env.git(&["checkout", "--quiet", "--", "."]);
    env.mlv(&["checkout"]).success();
    assert_eq!((env.read_text("a"), env.read_text("d/1")), ("one".into(), "first".into()));
}

#[test]
fn lines_of_the_user_in_the_ignore_file_stay() {
    let env = TestEnv::tracked();
    let text = format!("*.tmp\n{}# mine\n", env.read_text(".gitignore"));
    env.write(".gitignore", text);
    env.mlv(&["remove", "a", "d"]).success();
    assert_eq!(env.read_text(".gitignore"), "*.tmp\n# mine\n");
}

#[test]
fn entry_of_a_directory_is_removed_from_its_pointer() {
    let env = TestEnv::tracked();
    env.mlv(&["rm", "d/1"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1));
    env.assert_sound();
}

// Absent is not deleted, but `rm` says what is to be deleted.
#[test]
fn entry_that_was_never_downloaded_can_be_removed() {
    let env = TestEnv::shared();
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "d"]).success();
    env.commit("add d");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["rm", "d/2"]).success();
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(1));
}

#[test]
fn unknown_targets_are_refused_with_near_names_and_nothing_is_removed() {
    let env = TestEnv::tracked();
    env.write("apples", "x");
    env.mlv(&["add", "apples"]).success();
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["remove", "d", "aples"], 2);
    assert_eq!(kind, "no_such_target");
    assert!(document["error"]["hints"].to_string().contains("apples"), "{document}");
    assert_eq!(env.snapshot(), before);
}

#[test]
fn dry_run_removes_nothing() {
    let env = TestEnv::tracked();
    let before = env.snapshot_of(".");
    env.mlv(&["remove", "--dry-run", "a"]).success();
    env.mlv(&["remove", "-n", "--outs", "d"]).success();
    assert_eq!(env.snapshot_of("."), before);
}

// DVC 32 K
#[test]
fn stage_goes_from_pipeline_and_lock() {
    let env = TestEnv::ready();
    let keep = "# mine\nstages:\n  keep:\n    cmd: echo 1 > kept\n    outs: [kept]\n";
    env.write("mlv.yaml", format!("{keep}  gone:\n    cmd: echo 2 > out\n    outs: [out]\n"));
    env.mlv(&["repro"]).success();
    env.mlv(&["remove", "gone"]).success();
    let (pipeline, lock) = (env.read_text("mlv.yaml"), env.read_text("mlv.lock"));
    assert!(
        !pipeline.contains("gone") && pipeline.contains("# mine") && pipeline.contains("keep"),
        "{pipeline}"
    );
    assert!(!lock.contains("gone") && lock.contains("keep:"), "{lock}");
    assert!(env.exists("out") && !env.git_ignores("out"));
    let status = env.json(&["status", "--only", "pipeline"]);
    assert_eq!(texts(&status["stages"]), Vec::<&str>::new());
}

// DVC 14 F: names that had to be escaped, too.
#[test]
fn ignore_lines_go_with_the_last_output_and_the_file_with_them() {
    let env = TestEnv::ready();
    env.write("sp[1] #.txt", "x");
    env.write("!b", "y");
    env.mlv(&["add", "sp[1] #.txt", "!b"]).success();
    assert!(env.git_ignores("sp[1] #.txt") && env.git_ignores("!b"));
    env.mlv(&["remove", "sp[1] #.txt.mlv"]).success();
    assert!(!env.git_ignores("sp[1] #.txt") && env.git_ignores("!b"));
    env.mlv(&["remove", "!b"]).success();
    assert!(!env.exists(".gitignore"));
}

#[test]
fn group_of_stages_goes_by_its_name() {
    let env = TestEnv::ready();
    env.write("params.yaml", "regions: [eu, us]\n");
    env.write(
        "mlv.yaml",
        "stages:\n  keep:\n    cmd: echo 1 > kept\n    outs: [kept]\n  g:\n    foreach: ${regions}\n    do:\n      cmd: echo ${item} > ${item}\n      outs: ['${item}']\n",
    );
    env.mlv(&["repro"]).success();
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["remove", "g@eu"], 2);
    assert_eq!(kind, "usage", "{document}");
    assert!(document["error"]["hints"].to_string().contains("mlv remove g"), "{document}");
    assert_eq!(env.snapshot(), before);
    env.mlv(&["remove", "g"]).success();
    assert_eq!(env.read_text("mlv.yaml"), "stages:\n  keep:\n    cmd: echo 1 > kept\n    outs: [kept]\n");
    let lock = env.read_text("mlv.lock");
    assert!(!lock.contains("g@") && lock.contains("keep:"), "{lock}");
    assert!(!env.git_ignores("eu") && !env.git_ignores("us") && env.git_ignores("kept"));
}

#[test]
fn stage_that_alone_uses_a_file_of_values_goes() {
    let env = TestEnv::ready();
    env.write("conf.yaml", "lr: 1\n");
    let rest = "  keep:\n    cmd: echo 1\n";
    env.write("mlv.yaml", format!("vars: [conf.yaml]\nstages:\n  s:\n    cmd: echo ${{lr}}\n{rest}"));
    env.mlv(&["remove", "s"]).success();
    assert_eq!(env.read_text("mlv.yaml"), format!("vars: [conf.yaml]\nstages:\n{rest}"));
}
