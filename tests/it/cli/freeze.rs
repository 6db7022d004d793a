//! `mlv freeze` and `mlv unfreeze`.

use serde_json::json;

use crate::support::TestEnv;
use crate::support::http::{self, Answer};

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

/// A clone of a project with a stage that is frozen at other inputs than the committed ones, nothing pulled.
fn clone_of_frozen() -> TestEnv {
    let env = TestEnv::ready();
    env.add_remote();
    env.write("source", "old");
    env.write(
        "mlv.yaml",
        "stages:\n  copy: {cmd: cp source made, deps: [source], outs: [made], frozen: true}\n  \
         next: {cmd: cp made last, deps: [made], outs: [last]}\n",
    );
    env.mlv(&["repro"]).success();
    env.write("source", "new");
    env.mlv(&["repro"]).success();
    env.commit("frozen at old");
    env.mlv(&["push"]).success();
    env.clone_to("clone")
}

#[test]
fn frozen_stage_does_not_run_for_outputs_that_are_not_here() {
    let clone = clone_of_frozen();
    let lock = clone.read("mlv.lock");
    for command in [&["repro", "--dry-run"][..], &["repro"]] {
        let (kind, document) = clone.json_error(command, 5);
        assert_eq!((kind.as_str(), &document["error"]["path"]), ("not_downloaded", &"made".into()));
        assert_eq!(document["error"]["hints"][0], "mlv pull made");
        assert_eq!(document["stages"][1]["action"], "not_run");
    }
    assert_eq!((clone.exists("made"), clone.read("mlv.lock")), (false, lock.clone()));
    clone.mlv(&["repro", "--pull"]).success();
    assert_eq!((clone.read_text("made"), clone.read("mlv.lock")), ("old".to_owned(), lock.clone()));
    // Deleted, and gone from the cache: as in a clone.
    clone.remove("made");
    clone.remove(".mlv/cache");
    clone.mlv(&["repro"]).code(5);
    clone.write("made", "edited");
    let said = clone.mlv(&["repro"]).code(5).stderr();
    assert!(said.contains("hint: `mlv commit copy` records what is there instead"), "{said}");
    assert_eq!((clone.read_text("made"), clone.read("mlv.lock")), ("edited".to_owned(), lock));
    clone.mlv(&["repro", "copy", "--force"]).success();
    assert_eq!(clone.read_text("made"), "new");
}

#[test]
fn frozen_stage_does_not_run_where_the_remote_cannot_be_used() {
    let clone = clone_of_frozen();
    let lock = clone.read("mlv.lock");
    let url = http::serve(|_| Answer::new("403 Forbidden"));
    clone.mlv(&["remote", "modify", "storage", "url", &url]).success();
    let (_, document) = clone.json_error(&["repro", "--pull"], 7);
    assert!(document.to_string().contains("what it needs cannot be pulled"), "{document}");
    assert_eq!((clone.exists("made"), clone.read("mlv.lock")), (false, lock));
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
