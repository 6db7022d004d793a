//! `remove` of stages, and of paths inside tracked directories.

use crate::support::TestEnv;

const PIPELINE: &str = "# ours\nstages:\n  one:  # first\n    cmd: cp in a\n    deps: [in]\n    outs: [a]\n\n  # the second one\n  two:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n";

fn pipeline() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "x");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    env.commit("run");
    env
}

// DVC 32: a stage goes from pipeline and lock; the data stays, and the author's text.
#[test]
fn stage_goes_and_everything_else_stays() {
    let env = pipeline();
    let report = env.json(&["remove", "two"]);
    assert_eq!(report["stages"], serde_json::json!(["two"]));
    assert_eq!(report["git_add"], serde_json::json!([".gitignore", "mlv.lock", "mlv.yaml"]));
    let text = env.read_text("mlv.yaml");
    assert!(text.starts_with("# ours\nstages:\n  one:  # first\n    cmd: cp in a\n"), "{text}");
    assert!(text.contains("# the second one") && !text.contains("two:"), "{text}");
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("one:") && !lock.contains("two:"), "{lock}");
    assert_eq!(env.read_text("b"), "x");
    let ignored = env.read_text(".gitignore");
    assert!(ignored.contains("/a") && !ignored.contains("/b"), "{ignored}");
    env.mlv(&["repro"]).success();
}

#[test]
fn data_of_a_stage_goes_when_asked() {
    let env = pipeline();
    env.mlv(&["remove", "--outs", "one", "two"]).success();
    assert!(!env.exists("a") && !env.exists("b"));
    assert!(!env.read_text("mlv.lock").contains("one:"));
}

#[test]
fn stage_in_braces_is_left_alone() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages: {one: {cmd: echo}, two: {cmd: echo}}\n");
    let before = env.snapshot();
    env.json_error(&["remove", "one"], 2);
    assert_eq!(env.snapshot(), before);
}

fn directory() -> TestEnv {
    let env = TestEnv::shared();
    for name in ["d/a", "d/sub/b", "d/c"] {
        env.write(name, name);
    }
    env.mlv(&["add", "d"]).success();
    env.commit("add d");
    env.mlv(&["push"]).success();
    env
}

#[test]
fn entry_of_a_directory_is_deleted() {
    let env = directory();
    let report = env.json(&["rm", "d/a"]);
    assert_eq!(report["entries"], serde_json::json!(["d/a"]));
    assert_eq!(report["git_add"], serde_json::json!(["d.mlv"]));
    assert!(!env.exists("d/a") && env.exists("d/c"));
    assert_eq!(env.status()["data"]["uncommitted"], serde_json::Value::Null);
    env.remove("d");
    env.mlv(&["checkout"]).success();
    assert!(!env.exists("d/a") && env.exists("d/sub/b"));
}

#[test]
fn unsaved_entry_goes_to_rescue() {
    let env = directory();
    env.write("d/a", "edited");
    let report = env.json(&["rm", "d/a"]);
    assert_eq!(report["rescued"].as_array().map(Vec::len), Some(1), "{report}");
    assert!(!env.exists("d/a"));
}

#[test]
fn entry_that_was_never_downloaded_is_deleted() {
    let env = directory();
    let clone = env.clone_to("other");
    clone.mlv(&["rm", "d/sub"]).success();
    clone.mlv(&["pull"]).success();
    assert!(clone.exists("d/a") && !clone.exists("d/sub"));
    let (kind, _) = clone.json_error(&["rm", "d/nothing"], 2);
    assert_eq!(kind, "no_such_target");
}

#[test]
fn a_pipeline_file_is_no_target_and_nothing_is_removed() {
    let env = TestEnv::ready();
    env.write("sub/mlv.yaml", PIPELINE);
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["rm", "sub/mlv.yaml"], 2);
    assert_eq!(kind, "usage");
    assert!(document["error"]["hints"].to_string().contains("mlv remove sub/mlv.yaml:"), "{document}");
    env.at("sub").mlv(&["remove", "--outs", "mlv.yaml"]).code(2);
    assert_eq!(env.snapshot(), before);
}

#[test]
fn dry_run_refuses_what_the_run_would_refuse() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.mlv(&["add", "d"]).success();
    env.write("mlv.yaml", "stages: {one: {cmd: echo}, two: {cmd: echo}}\n");
    let before = env.snapshot();
    for target in ["d/nosuch", "one"] {
        let (kind, document) = env.json_error(&["rm", "--dry-run", target], 2);
        let (same, real) = env.json_error(&["rm", target], 2);
        assert_eq!((kind, &document["error"]), (same, &real["error"]), "{target}");
    }
    env.mlv(&["rm", "--dry-run", "d/a"]).success();
    assert_eq!(env.snapshot(), before);
}

#[test]
fn a_stage_that_another_needs_stays_and_the_other_is_named() {
    let env = TestEnv::ready();
    let text = "stages:\n  p:\n    cmd: 'true'\n  n:\n    cmd: 'true'\n    needs: [p]\n";
    env.write("mlv.yaml", text);
    for args in [&["rm", "p"][..], &["rm", "--dry-run", "p"]] {
        let (kind, document) = env.json_error(args, 2);
        assert_eq!(
            (kind.as_str(), &document["error"]["message"]),
            ("usage", &"mlv.yaml:6: the stage `n` needs `p`".into())
        );
        let hints = document["error"]["hints"].to_string();
        assert!(hints.contains("take `p` out of the `needs` of `n` in `mlv.yaml`"), "{hints}");
    }
    assert_eq!(env.read_text("mlv.yaml"), text);
    env.mlv(&["rm", "n", "p"]).success();
    let group = "stages:\n  p:\n    cmd: 'true'\n  n:\n    foreach: [a]\n    do:\n      cmd: 'true'\n      needs: [p]\n";
    env.write("mlv.yaml", group);
    let hints = env.json_error(&["rm", "p"], 2).1["error"]["hints"].to_string();
    assert!(hints.contains("the `needs` of `n` in"), "{hints}");
}
