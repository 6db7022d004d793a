//! Stages that read data as it is in the work tree, where something else is recorded.

use crate::support::TestEnv;

/// A stage that reads tracked data, run once, with everything on the remote.
fn project() -> TestEnv {
    let env = TestEnv::shared();
    env.write("raw/x", "1\n");
    env.write("raw/y", "1\n");
    env.write("one", "1\n");
    env.mlv(&["add", "raw", "one"]).success();
    env.write(
        "mlv.yaml",
        "stages:\n  all: {cmd: 'cat raw/* > o', deps: [raw], outs: [o]}\n  \
         part: {cmd: 'cat raw/x one > p', deps: [raw/x, one], outs: [p]}\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("run");
    env.mlv(&["push"]).success();
    env
}

const WARNING: &str = "which is not recorded";

#[test]
fn edited_data_that_a_stage_reads_is_told_with_what_records_it() {
    let env = project();
    env.write("raw/x", "2\n");
    let output = env.mlv(&["repro"]).success();
    assert!(
        output.stderr().contains("warning: `raw` was read as it is here, which is not recorded"),
        "{output}"
    );
    assert!(output.stderr().contains("hint: mlv add raw\n"), "{output}");
    assert!(!output.stderr().contains("`one`"), "{output}");
    // Nobody else can get it.
    let output = env.mlv(&["push"]).success();
    assert!(output.stderr().contains(WARNING) && output.stderr().contains("hint: mlv add raw\n"), "{output}");
    env.mlv(&["add", "raw"]).success();
    let output = env.mlv(&["push"]).success();
    assert!(!output.stderr().contains(WARNING), "{output}");
    assert!(!env.mlv(&["repro", "--force"]).success().stderr().contains(WARNING));
}

#[test]
fn data_that_is_recorded_and_not_yet_read_is_not_told() {
    let env = project();
    env.write("raw/x", "2\n");
    env.mlv(&["add", "raw"]).success();
    // The lock is that of before, which somebody may have.
    assert!(!env.mlv(&["push"]).success().stderr().contains(WARNING));
    env.commit("data");
    let clone = env.clone_to("clone");
    assert!(!clone.mlv(&["push"]).success().stderr().contains(WARNING));
    assert!(!clone.mlv(&["repro", "--pull"]).success().stderr().contains(WARNING));
}

// The lock names what stood in the work tree: that is what is verified.
#[test]
fn stage_that_read_edited_data_is_verified_with_it() {
    let env = project();
    env.write("raw/x", "2\n");
    env.write("one", "2\n");
    env.remove("raw/y");
    env.mlv(&["repro"]).success();
    env.commit("run");
    let output = env.mlv(&["verify"]).success();
    assert!(output.stderr().contains("Verified 2 stages: 2 the same"), "{output}");
    assert_eq!(env.read_text("o"), "2\n");
    // Once it is gone, that is said, and waiting does not help.
    env.remove("one");
    let (kind, document) = env.json_error(&["verify", "part"], 8);
    assert_eq!(kind, "stage_stale", "{document}");
    assert!(document.to_string().contains("`one` is not recorded as the stage read it"), "{document}");
}
