//! `mlv freeze` and `mlv unfreeze`.

use serde_json::json;

use crate::support::TestEnv;

const PIPELINE: &str = "\
# ours
stages:
  copy: # why
    cmd: cp source made
    deps: [source]
    outs: [made]
  each:
    foreach: [a, b]
    do:
      cmd: echo ${item}
";

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("source", "one");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    env
}

#[test]
fn frozen_stage_does_not_run_for_its_inputs() {
    let env = project();
    env.write("source", "two");
    insta::assert_snapshot!(env.mlv(&["freeze", "copy"]).success(), @r"
    --- stderr
    Froze stage `copy`
    hint: git add mlv.yaml
    ");
    env.mlv(&["repro", "copy"]).success();
    assert_eq!(env.read_text("made"), "one");
    insta::assert_snapshot!(env.mlv(&["freeze", "copy"]).success(), @r"
    --- stderr
    Stage `copy` is frozen already.
    ");
    env.mlv(&["unfreeze", "copy"]).success();
    assert_eq!(env.read_text("mlv.yaml"), PIPELINE);
    env.mlv(&["repro", "copy"]).success();
    assert_eq!(env.read_text("made"), "two");
}

#[test]
fn line_ends_and_byte_order_mark_of_the_file_stay() {
    let env = TestEnv::shared();
    env.write("mlv.yaml", "\u{feff}# top\r\nstages:\r\n  a: # why\r\n    cmd: echo a\r\n");
    env.mlv(&["freeze", "a"]).success();
    env.mlv(&["stage", "add", "-n", "b", "echo b"]).success();
    let expected = "\u{feff}# top\r\nstages:\r\n  a: # why\r\n    frozen: true\r\n    cmd: echo a\r\n  b:\r\n    cmd: echo b\r\n";
    assert_eq!(env.read_text("mlv.yaml"), expected);
    env.mlv(&["remove", "b"]).success();
    env.mlv(&["unfreeze", "a"]).success();
    assert_eq!(env.read_text("mlv.yaml"), "\u{feff}# top\r\nstages:\r\n  a: # why\r\n    cmd: echo a\r\n");
}

#[test]
fn groups_are_frozen_as_a_whole() {
    let env = project();
    let (kind, document) = env.json_error(&["freeze", "each@a"], 2);
    assert_eq!(kind, "usage");
    assert_eq!(document["error"]["hints"], json!(["for all of them: mlv freeze each"]));
    let report = env.json(&["freeze", "each", "copy", "--dry-run"]);
    assert_eq!(report["changed"], json!(["copy", "each@a", "each@b"]));
    assert_eq!(env.read_text("mlv.yaml"), PIPELINE);
    env.mlv(&["freeze", "each@a", "each@b"]).success();
    assert_eq!(
        env.read_text("mlv.yaml"),
        PIPELINE.replace("      cmd: echo", "      frozen: true\n      cmd: echo")
    );
    assert_eq!(env.json(&["stage", "list", "each"])["stages"][0]["frozen"], true);
}

#[test]
fn what_cannot_be_frozen_is_refused() {
    let env = project();
    assert_eq!(env.json_error(&["freeze", "nosuch"], 2).0, "no_such_target");
    assert_eq!(env.json_error(&["freeze"], 2).0, "usage");
    let merged = "stages:\n  a: &a\n    cmd: x\n  b:\n    <<: *a\n    desc: y\n";
    env.write("mlv.yaml", merged);
    let output = env.mlv(&["freeze", "a"]).code(2);
    assert!(output.stderr().contains("by hand"), "{output}");
    assert_eq!(env.read_text("mlv.yaml"), merged);
}
