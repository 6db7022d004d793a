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

// R21: that an output belongs to a changed input is for the user to say.
#[test]
fn stage_that_would_run_is_left_alone_unless_it_is_named() {
    for change in ["in", "params.yaml", "out"] {
        let env = project();
        env.write("data", "tracked");
        env.mlv(&["add", "data"]).success();
        let before = env.read_text("mlv.lock");
        env.write(change, "lr: 2\n");
        env.write("data", "changed");
        let pointer = env.read_text("data.mlv");
        for args in [&["commit"][..], &["commit", "."]] {
            let report = env.json(args);
            assert_eq!(report["left"], serde_json::json!(["make"]), "{change}: {report}");
            assert_eq!(env.read_text("mlv.lock"), before, "{change}");
        }
        assert_ne!(env.read_text("data.mlv"), pointer, "what is no stage's is recorded");
        env.mlv(&["repro"]).success();
        // Where only the output differs, the recorded one comes back.
        let runs = if change == "out" { "ran\n" } else { "ran\nran\n" };
        assert_eq!(env.read_text("runs"), runs, "{change}");
        env.write(change, "lr: 3\n");
        env.mlv(&["commit", "out"]).success();
        assert_ne!(env.read_text("mlv.lock"), before, "{change}: named by its output");
    }
}

#[test]
fn commit_says_what_it_left_alone() {
    let env = project();
    env.write("in", "two");
    let text = env.mlv(&["commit"]).success().stderr();
    assert!(text.contains("1 stage would run again, and stayed as recorded: make"), "{text}");
    assert!(text.contains("hint: run `mlv repro`; or `mlv commit make`"), "{text}");
}

// R14: what was asked for was not done.
#[test]
fn stage_that_made_nothing_cannot_be_accepted() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: echo > o, outs: [o]}\n");
    for target in ["s", "o"] {
        let (kind, document) = env.json_error(&["commit", target], 8);
        assert_eq!(kind, "stage_invalid", "{document}");
        assert!(document.to_string().contains("mlv repro s"), "{document}");
    }
    // Nobody asked for it by name.
    env.mlv(&["commit"]).success();
    assert!(!env.exists("mlv.lock"));
}

// A file that can be executed now is an edit for `status`, and for what it names as remedies.
#[test]
fn mode_of_an_output_is_put_back_or_accepted() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write(
        "mlv.yaml",
        "stages:\n  s: {cmd: cp in a; cp in m.json, deps: [in], outs: [a], metrics: [m.json: {cache: false}]}\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("run");
    // That of a file that git keeps is git's.
    env.chmod("m.json", 0o755);
    env.assert_recorded();
    env.chmod("a", 0o755);
    assert_eq!(env.uncommitted()["modified"], serde_json::json!(["a"]));
    env.mlv(&["repro"]).success();
    env.assert_recorded();
    let mode = || {
        std::os::unix::fs::PermissionsExt::mode(&env.path().join("a").metadata().expect("a").permissions())
    };
    assert_eq!(mode() & 0o111, 0);
    env.chmod("a", 0o755);
    env.mlv(&["commit", "--force"]).success();
    env.assert_recorded();
    assert_eq!(mode() & 0o111, 0o111);
    assert_eq!(env.status()["stages"], serde_json::Value::Null);
}
