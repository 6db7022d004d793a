//! The run cache of a remote: `push`, `pull --run-cache`, `repro --pull`.

use crate::support::{TestEnv, actions};

const PIPELINE: &str = "\
stages:
  one: {cmd: 'cp in mid; echo one >> log', deps: [in], outs: [mid]}
  two:
    cmd: mkdir d; cat mid mid > d/out; echo '{\"n\":1}' > m.json; echo two >> log
    deps: [mid]
    params: [p]
    outs: [d]
    metrics: [m.json: {cache: false}]
";

/// A project whose remote has what `push` with these arguments sends, and whose commit has neither lock
/// nor outputs.
fn pushed(args: &[&str]) -> TestEnv {
    let env = TestEnv::shared();
    env.write("in", "1\n");
    env.mlv(&["add", "in"]).success();
    env.write("params.yaml", "p: 1\n");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    env.mlv(&[&["push"], args].concat()).success();
    env.remove("mlv.lock");
    env.remove("m.json");
    env.remove("log");
    env.commit("no lock");
    env
}

#[test]
fn clone_restores_what_another_one_ran() {
    let env = pushed(&[]);
    let clone = env.clone_to("clone");
    assert_eq!(actions(&clone.json(&["repro", "--pull"])), ["restored", "restored"]);
    assert!(!clone.exists("log") && !clone.exists("in"), "nothing ran, and no input was needed");
    assert_eq!(
        (clone.read_text("d/out"), clone.read_text("m.json")),
        ("1\n1\n".into(), "{\"n\":1}\n".into())
    );
    clone.commit("restored");
    assert_eq!(actions(&clone.json(&["repro"])), ["skipped", "skipped"]);
    clone.mlv(&["fsck", "--remote", "--read-data"]).success();
    clone.assert_sound();
}

#[test]
fn stage_whose_outputs_git_has_is_restored_too() {
    let env = TestEnv::shared();
    env.write(
        "mlv.yaml",
        "stages:\n  one: {cmd: 'cp in mid; echo one >> log', deps: [in], outs: [mid]}\n  two:\n    cmd: 'echo \
         {} > m.json; echo two >> log'\n    deps: [mid]\n    metrics: [m.json: {cache: false}]\n",
    );
    env.write("in", "1\n");
    env.mlv(&["add", "in"]).success();
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    for path in ["mlv.lock", "m.json", "log"] {
        env.remove(path);
    }
    env.commit("no lock");
    let clone = env.clone_to("clone");
    assert_eq!(actions(&clone.json(&["repro", "--pull"])), ["restored", "restored"]);
    assert!(!clone.exists("log") && clone.read_text("m.json") == "{}\n");
}

#[test]
fn records_can_be_left_out() {
    let env = pushed(&["--no-run-cache"]);
    let clone = env.clone_to("clone");
    assert_eq!(actions(&clone.json(&["repro", "--pull"])), ["run", "run"]);
    assert_eq!(clone.take_log(), ["one", "two"]);
    let other = pushed(&[]).clone_to("other");
    assert_eq!(actions(&other.json(&["repro", "--pull", "--no-run-cache"])), ["run", "run"]);
    assert_eq!(other.take_log(), ["one", "two"]);
}

#[test]
fn pull_brings_the_records_of_what_it_brings() {
    for (args, expected) in [(&["pull"][..], "run"), (&["pull", "--run-cache"], "restored")] {
        let env = TestEnv::shared();
        env.write("in", "1\n");
        env.write("params.yaml", "p: 1\n");
        env.write("mlv.yaml", PIPELINE);
        env.mlv(&["repro"]).success();
        env.mlv(&["push"]).success();
        env.commit("run");
        let clone = env.clone_to("clone");
        clone.mlv(args).success();
        clone.remove("mlv.lock");
        assert_eq!(actions(&clone.json(&["repro"])), [expected; 2], "{args:?}");
    }
}
