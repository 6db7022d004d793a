//! `mlv verify`.

use serde_json::{Value, json};

use crate::support::{Output, TestEnv};

const PIPELINE: &str = "\
stages:
  prepare: {cmd: 'mkdir mid; cat data/* > mid/all; cp data/a mid', deps: [data], outs: [mid]}
  train:
    cmd: sh train.sh
    deps: [mid/all]
    params: [p]
    outs: [model/m]
    metrics: [m.json: {cache: false}]
";

/// `train` reads a part of what `prepare` makes, and a script that only git knows.
fn project() -> TestEnv {
    let env = TestEnv::shared();
    env.write("data/a", "1\n");
    env.write("data/b", "2\n");
    env.mlv(&["add", "data"]).success();
    env.write("params.yaml", "p: 1\n");
    env.write(
        "train.sh",
        "cat mid/all params.yaml > model/m; echo '{\"n\": 1}' > m.json; ls > \"$LISTING\"\n",
    );
    env.write("mlv.yaml", PIPELINE);
    env.run(env.mlv_command().arg("repro").env("LISTING", "/dev/null")).success();
    env.commit("run");
    env
}

fn verify(env: &TestEnv, args: &[&str]) -> Output {
    let listing = env.root().join("listing");
    env.run(env.mlv_command().arg("verify").args(args).env("LISTING", listing))
}

/// Result by stage.
fn results(document: &Value) -> Vec<(&str, &str)> {
    let stages = document["stages"].as_array().expect("a list").iter();
    stages
        .map(|line| (line["stage"].as_str().expect("a name"), line["result"].as_str().expect("a word")))
        .collect()
}

/// All that a command must leave alone.
fn untouched(env: &TestEnv) -> [String; 4] {
    let here = String::from_utf8_lossy(&env.read(".mlv/here")).into_owned();
    [env.snapshot(), env.snapshot_of(".mlv/cache"), env.snapshot_of(".mlv/ops"), here]
}

#[test]
fn outputs_that_follow_from_what_is_declared_are_the_same_and_nothing_is_touched() {
    let env = project();
    env.write("mine", "not git's");
    let before = untouched(&env);
    let output = verify(&env, &[]).success();
    assert!(output.stdout().starts_with("prepare: same as recorded ("), "{output}");
    assert!(output.stderr().contains("Verified 2 stages: 2 the same, 0 different"), "{output}");
    assert_eq!(untouched(&env), before);
    // Declared and git's, nothing else: not `data`, which only `prepare` reads, and not what is nobody's.
    let listing = std::fs::read_to_string(env.root().join("listing")).expect("it was written");
    let names: Vec<&str> = listing.lines().collect();
    assert_eq!(
        names,
        ["data.mlv", "m.json", "mid", "mlv.lock", "mlv.yaml", "model", "params.yaml", "train.sh"]
    );
    let document = verify(&env, &["--json", "train"]).success().json();
    assert_eq!(results(&document), [("train", "same")]);
    assert_eq!(document["stages"][0]["outputs"][0]["path"], "m.json");
}

#[test]
fn what_differs_is_named_with_its_sizes() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write(
        "mlv.yaml",
        "stages:\n  s:\n    cmd: |\n      mkdir d; cp in d/same; echo $RANDOM_TEXT > d/other\n      \
         test -n \"$MORE\" || echo x > gone\n      test -z \"$MORE\" || echo y > d/new\n    \
         deps: [in]\n    outs: [d, gone]\n",
    );
    let command = |args: &[&str]| {
        let mut command = env.mlv_command();
        command.args(args).env("RANDOM_TEXT", "a longer text").env("MORE", "1");
        env.run(&mut command)
    };
    env.mlv(&["repro"]).success();
    env.commit("run");
    let before = untouched(&env);
    let output = command(&["verify", "--json"]).code(1);
    assert_eq!(output.error_kind(), "not_reproduced");
    let document = output.json();
    assert_eq!(results(&document), [("s", "differs")]);
    let outputs = &document["stages"][0]["outputs"];
    let change = |path: &str, change: &str, old: Value, new: Value| json!({"path": path, "change": change, "old_size": old, "new_size": new});
    assert_eq!(
        outputs[0]["changes"],
        json!([
            change("d/new", "added", json!(null), json!(2)),
            change("d/other", "modified", json!(1), json!(14))
        ])
    );
    assert_eq!((&outputs[1]["path"], &outputs[1]["made"]), (&json!("gone"), &json!(null)));
    let output = command(&["verify", "--keep-failed"]).code(1);
    assert!(output.stdout().contains("not made  gone") && output.stdout().contains("1 B → 14 B"), "{output}");
    assert_eq!(env.read_text(".mlv/tmp/failed/@verify-s/d/other"), "a longer text\n");
    assert_eq!(untouched(&env), before);
    assert_eq!(verify(&env, &[]).success().exit_code(), 0);
}

#[test]
fn stage_that_reads_what_it_does_not_declare_fails() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("helper", "2\n");
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'cat in helper > o', deps: [in], outs: [o]}\n");
    env.mlv(&["repro"]).success();
    let output = verify(&env, &["--json"]).code(8);
    assert_eq!(output.error_kind(), "stage_failed");
    let log = output.json()["stages"][0]["log"].as_str().expect("a path").to_owned();
    assert!(env.read_text(&log).contains("helper"));
    assert!(env.mlv(&["logs", "s"]).success().stdout().is_empty(), "the log of its last run stays");
    env.git(&["add", "helper"]);
    verify(&env, &[]).success();
}

// What is verified is what `repro` would run now: the code as it stands, committed or not.
#[test]
fn code_counts_as_it_stands_in_the_work_tree() {
    let env = project();
    env.write("train.sh", "echo other > model/m; echo '{\"n\": 1}' > m.json\n");
    let document = verify(&env, &["--json", "train"]).code(1).json();
    assert_eq!(document["stages"][0]["outputs"][1]["changes"][0]["path"], "model/m");
    env.chmod("train.sh", 0o755);
    env.symlink("train.sh", "link");
    env.git(&["add", "link"]);
    env.write("mlv.yaml", PIPELINE.replace("sh train.sh", "./link"));
    env.write("train.sh", "#!/bin/sh\necho other > model/m; echo '{\"n\": 1}' > m.json\n");
    env.mlv(&["repro"]).success();
    verify(&env, &["train"]).success();
}

#[test]
fn what_cannot_be_verified_says_why() {
    let env = project();
    let kind = |args: &[&str], code: i32| verify(&env, &[&["--json"], args].concat()).code(code).error_kind();
    assert_eq!(kind(&["nothing"], 2), "no_such_target");
    assert_eq!(kind(&["--resources", "gpu"], 2), "usage");
    env.write("params.yaml", "p: 2\n");
    let output = verify(&env, &["train"]).code(8);
    assert!(output.stdout().contains("train: changed since it ran: changed deps: params.yaml"), "{output}");
    assert!(output.stderr().contains("hint: mlv repro train"), "{output}");
    assert_eq!(kind(&["train"], 8), "stage_stale");
    // The others are verified all the same.
    let document = verify(&env, &["--json"]).code(8).json();
    assert_eq!(results(&document), [("prepare", "same"), ("train", "failed")]);
    env.write(
        "mlv.yaml",
        PIPELINE.replace("  train:", "  new: {cmd: 'true > n', outs: [n], resources: {gpu: 1}}\n  train:"),
    );
    assert_eq!(kind(&["new"], 2), "usage");
    assert_eq!(kind(&["--resources", "gpu=1", "new"], 8), "stage_stale");
    // Nobody expects a frozen stage to follow its inputs, unless it is named.
    env.mlv(&["freeze", "train"]).success();
    let document = verify(&env, &["--json", "--resources", "gpu=1"]).code(8).json();
    assert_eq!(results(&document), [("prepare", "same"), ("new", "failed"), ("train", "frozen")]);
    assert_eq!(kind(&["train"], 8), "stage_stale");
}

#[test]
fn clone_without_data_is_told_to_pull_and_does_with_pull() {
    let env = project();
    env.mlv(&["push"]).success();
    env.write("data/a", "5\n");
    let clone = env.clone_to("clone");
    let output = verify(&clone, &["train"]).code(5);
    assert!(output.stderr().contains("hint: mlv verify --pull train"), "{output}");
    verify(&clone, &["--pull"]).success();
    assert!(!clone.exists("data") && !clone.exists("mid"));
    assert!(clone.git(&["status", "--porcelain"]).is_empty());
    // Data that is tracked by nobody cannot be had.
    env.remove("mid");
    verify(&env, &["train"]).success();
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'cat alone > o', deps: [alone], outs: [o]}\n");
    env.write("alone", "x");
    env.mlv(&["repro"]).success();
    env.remove("alone");
    assert_eq!(verify(&env, &["--json", "s"]).code(8).error_kind(), "stage_stale");
}

#[test]
fn killed_or_interrupted_it_leaves_nothing() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    let stop = env.root().join("stop").display().to_string();
    env.write(
        "mlv.yaml",
        format!("stages:\n  s: {{cmd: 'cp in o; [ ! -e {stop} ] || {{ echo $$ > {stop}/pid; sleep 60; }}', deps: [in], outs: [o]}}\n"),
    );
    env.mlv(&["repro"]).success();
    env.commit("run");
    let before = untouched(&env);
    for signal in ["INT", "KILL"] {
        let stop = env.beside("stop");
        let mut running = env.mlv_command().arg("verify").spawn().expect("it starts");
        stop.wait_for("pid");
        assert_ne!(env.snapshot_of(".mlv/ops"), before[2]);
        env.run(env.command("kill").args(["-s", signal, &running.id().to_string()])).success();
        let ended = running.wait().expect("it ends");
        assert_eq!(ended.code(), (signal == "INT").then_some(130));
        let pid = stop.read_text("pid").trim().to_owned();
        std::fs::remove_dir_all(stop.path()).expect("it is there");
        env.mlv(&["root"]).success();
        env.assert_clean();
        assert_eq!(untouched(&env), before, "{signal}");
        if cfg!(target_os = "linux") {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            assert!(environment.is_empty(), "its command goes on");
        }
    }
    verify(&env, &[]).success();
}

#[test]
fn without_git_only_what_is_declared_is_there() {
    let env = TestEnv::new();
    env.mlv(&["init", "--no-scm"]).success();
    env.write("in", "1\n");
    env.write("more", "2\n");
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: 'cat in > o', deps: [in], outs: [o]}\n  b: {cmd: 'cat in more > p', deps: [in], outs: [p]}\n",
    );
    env.mlv(&["repro"]).success();
    let document = verify(&env, &["--json"]).code(8).json();
    assert_eq!(results(&document), [("a", "same"), ("b", "failed")]);
}
