//! `mlv repro` where a stage fails, is interrupted or cannot be run: what was there before stays.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::repro::{PIPELINE, project, ran};
use crate::support::{TestEnv, stage_actions};

#[test]
fn missing_dependency_costs_no_output() {
    let env = ran();
    let before = (env.read("mid"), env.read("out"), env.read("mlv.lock"));
    env.remove("in");
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_invalid");
    assert!(document.to_string().contains("\"in\"") || document.to_string().contains("`in`"), "{document}");
    assert_eq!((env.read("mid"), env.read("out"), env.read("mlv.lock")), before);
    assert_eq!(env.runs(), Vec::<String>::new());
}

#[test]
fn failed_stage_leaves_the_outputs_of_the_run_before() {
    let env = ran();
    let before = (env.read("mid"), env.read("mlv.lock"));
    env.write("in", "2\n");
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "echo torn > mid; exit 3;"));
    env.mlv(&["repro"]).code(8);
    assert_eq!((env.read("mid"), env.read("mlv.lock")), before);
    env.assert_sound();
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "2\nscale: 1\n");
}

#[test]
fn what_succeeded_before_a_failure_is_kept_with_its_ignore_lines() {
    let env = project();
    env.write("mlv.yaml", PIPELINE.replace("cat mid > out;", "false;"));
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.runs(), ["one"]);
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("  one:\n") && !lock.contains("  two:\n"), "{lock}");
    assert!(env.git_ignores("mid"));
    env.git(&["add", "--all"]);
    assert!(!env.git(&["ls-files"]).lines().any(|path| path == "mid"));
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["one", "two"]);
}

#[test]
fn exit_code_of_a_command_is_printed_and_in_the_document() {
    let env = project();
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "exit 37;"));
    let output = env.mlv(&["repro"]).code(8);
    assert!(output.stderr().contains("37"), "{output}");
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_failed");
    assert!(document.to_string().contains("37"), "{document}");
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "kill -9 $$;"));
    let output = env.mlv(&["repro"]).code(8);
    assert!(output.stderr().contains('9') && output.stderr().contains("signal"), "{output}");
}

#[test]
fn report_says_why_a_stage_that_failed_was_run() {
    let env = ran();
    env.write("in", "2\n");
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "cat in > mid; exit 3;"));
    let (_, document) = env.json_error(&["repro"], 8);
    let line = &document["stages"][0];
    assert_eq!((line["action"].as_str(), line["exit_code"].as_i64()), (Some("failed"), Some(3)));
    let reasons = line["reasons"].to_string();
    assert!(reasons.contains(r#""in":"modified""#) && reasons.contains("changed command"), "{document}");
}

#[test]
fn declared_output_that_was_not_made_is_an_error_after_the_command() {
    let env = ran();
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "true;"));
    let before = (env.read("mid"), env.read("mlv.lock"));
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_invalid");
    assert!(document.to_string().contains("mid"), "{document}");
    assert_eq!(env.runs(), ["one"]);
    assert_eq!((env.read("mid"), env.read("mlv.lock")), before);
}

#[test]
fn missing_parameter_is_told_before_anything_is_touched() {
    let env = ran();
    let before = env.snapshot();
    env.write("params.yaml", "other: x\n");
    let output = env.mlv(&["repro"]);
    assert_ne!(output.exit_code(), 0);
    assert!(output.stderr().contains("scale"), "{output}");
    env.write("params.yaml", "scale: 1\nother: x\n");
    assert_eq!(env.snapshot(), before);
}

#[test]
fn scripts_of_several_lines_and_lists_stop_at_the_first_failure() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  script:\n    cmd: |\n      word=hello\n      echo $word > out\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "hello\n");
    env.write(
        "mlv.yaml",
        "stages:\n  script:\n    cmd: |\n      false\n      echo on > out\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).code(8);
    env.write(
        "mlv.yaml",
        "stages:\n  list:\n    cmd:\n    - echo a > out\n    - echo b >> out\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "a\nb\n");
    env.write("mlv.yaml", "stages:\n  list:\n    cmd: [false, echo c > out]\n    outs: [out]\n");
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.read_text("out"), "a\nb\n");
}

#[test]
fn interrupt_ends_the_command_and_leaves_the_outputs_before() {
    let env = ran();
    let before = (env.read("mid"), env.read("mlv.lock"));
    env.write("in", "2\n");
    env.write(
        "mlv.yaml",
        PIPELINE.replace(
            "cat in > mid;",
            "echo torn > mid; touch started; while :; do sleep 0.1; done; touch late;",
        ),
    );
    let mut repro = env.mlv_command();
    let running = repro.args(["repro", "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    while !env.exists("started") {
        thread::sleep(Duration::from_millis(20));
    }
    let pid = running.id().to_string();
    assert!(env.command("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let ended = running.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130));
    let document = serde_json::from_slice(&ended.stdout).expect("a document");
    assert_eq!(stage_actions(&document), ["one interrupted", "two not_run"]);
    assert_eq!((env.read("mid"), env.read("mlv.lock")), before);
    assert!(!env.exists("late"));
    env.assert_sound();
}

#[test]
fn input_that_changed_during_the_run_is_not_recorded_as_used() {
    let run = |mutation: &str| {
        let env = project();
        env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "cat in > mid; echo late >> in;"));
        let output = env.run(env.mlv_command().arg("repro").env("MLV_MUTATE", mutation));
        let is_recorded = env.exists("mlv.lock") && env.read_text("mlv.lock").contains("  one:\n");
        (output.exit_code(), is_recorded)
    };
    assert_eq!(run(""), (8, false));
    // The mutation that this is there to notice.
    assert!(run("input-recheck").1);
}

#[test]
fn ignore_lines_of_stages_that_succeeded_stay_after_a_failure() {
    let env = project();
    env.write(
        "mlv.yaml",
        "stages:\n  good:\n    cmd: echo 1 > kept\n    outs: [kept]\n  \
         bad:\n    cmd: cat kept; exit 3\n    deps: [kept]\n    outs: [never]\n",
    );
    env.mlv(&["repro"]).code(8);
    assert!(env.git_ignores("kept") && env.read_text("mlv.lock").contains("  good:\n"));
    env.mlv(&["repro"]).code(8);
    assert!(env.git_ignores("kept"));
}
