//! `commit` for stages: files that were made or changed by hand are accepted as they are.

use crate::support::TestEnv;

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "one");
    env.write("params.yaml", "lr: 1\n");
    env.write(
        "mlv.yaml",
        "stages:\n  make:\n    cmd: cp in out; echo ran >> runs\n    deps: [in]\n    params: [lr]\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("run once");
    env
}

// DVC 75: the current files are accepted, dependencies and parameters included.
#[test]
fn changed_stage_is_accepted_without_running() {
    let env = project();
    env.write("in", "two");
    env.write("params.yaml", "lr: 2\n");
    env.write("out", "by hand");
    let report = env.json(&["commit", "make"]);
    assert_eq!(report["stages"], serde_json::json!(["make"]));
    assert_eq!(report["git_add"], serde_json::json!(["mlv.lock"]));
    assert!(env.read_text("mlv.lock").contains("lr: 2"));
    assert_eq!(env.status()["stages"], serde_json::Value::Null);
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("runs"), "ran\n", "it ran again");
    env.remove("out");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("out"), "by hand");
}

// DVC 31: what was left unstored is stored.
#[test]
fn unstored_output_is_stored() {
    let env = project();
    env.write("in", "three");
    env.mlv(&["repro", "--no-commit"]).success();
    env.mlv(&["commit"]).success();
    env.remove("out");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("out"), "three");
}

#[test]
fn lost_lock_is_made_again() {
    let env = project();
    let before = env.read_text("mlv.lock");
    env.remove("mlv.lock");
    env.mlv(&["commit", "-f"]).success();
    assert_eq!(env.read_text("mlv.lock"), before);
}

#[test]
fn output_that_is_not_here_stays_recorded() {
    let env = project();
    let before = env.read_text("mlv.lock");
    env.write("in", "four");
    env.remove("out");
    assert_eq!(env.json(&["commit"])["not_here"], 1);
    assert_eq!(env.read_text("mlv.lock"), before);
}
