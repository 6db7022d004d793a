//! What a killed `repro` leaves, and what others do before the next command finds it.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::scenario::contains;
use crate::support::{TestEnv, files_below};

const PIPELINE: &str = "stages:\n  s:\n    cmd: cp in out\n    deps: [in]\n    outs: [out]\n";

/// A stage `s` that has made `out`, which was edited by hand since.
fn edited() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "input, version 1");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    env.commit("version 1");
    env.write("out", "edited by hand");
    env
}

/// Starts `mlv repro` of a stage `s` that begins its output and then goes on when `go` is there.
fn start(env: &TestEnv) -> Child {
    let script = "echo half > out; touch started; until [ -e go ]; do sleep 0.02; done; cp in out";
    start_pipeline(env, &PIPELINE.replace("cp in out", script))
}

/// Starts `mlv repro` of a pipeline, and waits for `started`.
fn start_pipeline(env: &TestEnv, pipeline: &str) -> Child {
    env.write("mlv.yaml", pipeline);
    let mut command = env.mlv_command();
    let child = command.arg("repro").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    while !env.exists("started") {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.expect("it starts")
}

fn killed() -> TestEnv {
    let env = edited();
    let mut child = start(&env);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    env
}

/// The folder of the operation that was left.
fn operation(env: &TestEnv) -> std::path::PathBuf {
    let ops = env.path().join(".mlv/ops");
    let mut entries = std::fs::read_dir(ops).expect("it was begun");
    entries.next().expect("an operation").expect("it can be read").path()
}

#[track_caller]
fn assert_rescued(env: &TestEnv, bytes: &str) {
    let mut files = Vec::new();
    files_below(&env.path().join(".mlv/rescue"), &mut files);
    let is_in =
        |path: &std::path::PathBuf| contains(&std::fs::read(path).unwrap_or_default(), bytes.as_bytes());
    assert!(files.iter().any(is_in), "{files:?}");
    let listed = env.mlv(&["rescue", "list"]).success();
    assert!(listed.stdout().contains("out"), "{listed}");
}

// R1, R21: of the tries of a stage, the one that was cut off counts, not the one before.
#[test]
fn outputs_come_back_when_the_second_try_is_killed() {
    let env = edited();
    let script = "echo half > out; if [ ! -e tried ]; then touch tried; exit 1; fi; touch started; sleep 600";
    let mut child =
        start_pipeline(&env, &(PIPELINE.replace("cp in out", &format!("'{script}'")) + "    retries: 1\n"));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let output = env.mlv(&["status"]);
    assert!(output.stderr().contains("was cut off"), "{output}");
    assert_eq!(env.read_text("out"), "edited by hand");
}

// R2, R9, R10
#[test]
fn a_damaged_journal_costs_no_output() {
    for journal in ["", "{\"aside\":{\"stage\":\"s\",\"ou", "\0\0\0\0"] {
        let env = killed();
        std::fs::write(operation(&env).join("journal"), journal).expect("it is there");
        let output = env.mlv(&["status"]).success();
        assert!(output.stderr().contains("rescue"), "{output}");
        assert_rescued(&env, "edited by hand");
    }
}

// R2, R9
#[test]
fn a_journal_that_cannot_be_read_is_left_alone() {
    let env = killed();
    let journal = operation(&env).join("journal");
    std::fs::rename(&journal, env.path().join("kept")).expect("it is there");
    std::fs::create_dir(&journal).expect("its name is free");
    let output = env.mlv(&["status"]).success();
    assert!(output.stderr().contains("cannot be put right now"), "{output}");
    std::fs::remove_dir(&journal).expect("it is there");
    std::fs::rename(env.path().join("kept"), &journal).expect("it is there");
    let _ = env.mlv(&["status"]);
    assert_eq!(env.read_text("out"), "edited by hand");
}

// R1: after a power cut the pids of before tell nothing.
#[test]
fn after_a_power_cut_the_next_command_puts_outputs_back_at_once() {
    let env = killed();
    let left = operation(&env);
    std::fs::rename(&left, left.with_file_name("00000000-00000000-1-1-0123456789abcdef")).expect("a rename");
    let _ = env.mlv(&["status"]);
    assert_eq!(env.read_text("out"), "edited by hand");
    assert!(!env.exists(left), "it is over");
}

// R2
#[test]
fn what_was_made_since_is_not_reverted() {
    let env = killed();
    let elsewhere = env.duplicate();
    // Not in `env`, where the command of the killed run still waits for it.
    elsewhere.write("go", "");
    elsewhere.remove(".mlv/ops");
    elsewhere.write("in", "input, version 2");
    elsewhere.mlv(&["repro"]).success();
    env.write("mlv.lock", elsewhere.read("mlv.lock"));
    env.write("out", "of another run, since");
    let output = env.mlv(&["status"]);
    assert_eq!(env.read_text("out"), "of another run, since", "{output}");
    assert_rescued(&env, "edited by hand");
}

// R2
#[test]
fn what_stood_at_an_output_since_the_kill_goes_to_rescue_and_that_is_told() {
    for was_there in [true, false] {
        let env = killed();
        if !was_there {
            let journal = operation(&env).join("journal");
            let records = env.read_text(&journal).replace("\"was_there\":true", "\"was_there\":false");
            env.write(&journal, records);
            env.remove(operation(&env).join("aside/out"));
        }
        env.write("out", "written since");
        let output = env.mlv(&["status"]).success();
        let told = output.stderr();
        assert!(told.contains("what stood there since is in rescue: `out`\n"), "{output}");
        let hint = told.lines().find_map(|line| line.strip_prefix("hint: mlv ")).expect("a hint");
        let args: Vec<&str> = hint.split(' ').chain(["--force"]).collect();
        env.mlv(&args).success();
        assert_eq!(env.read_text("out"), "written since");
    }
}

// R5
#[test]
fn stages_that_come_while_others_run_keep_their_lock_entries() {
    let env = edited();
    let mut child = start(&env);
    let came = env.read_text("mlv.yaml") + "  came:\n    cmd: cp in new\n    deps: [in]\n    outs: [new]\n";
    env.write("mlv.yaml", came);
    env.mlv(&["repro", "came"]).success();
    env.write("go", "");
    assert!(child.wait().expect("it ends").success());
    assert!(env.read_text("mlv.lock").contains("came:"), "{}", env.read_text("mlv.lock"));
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert!(!env.read_text("mlv.lock").contains("came:"), "it is gone from the pipeline");
}
