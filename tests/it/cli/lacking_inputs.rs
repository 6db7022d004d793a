//! Inputs that are neither there nor made by any stage: refused before anything runs.

use serde_json::json;

use crate::support::{TestEnv, stage_actions};

/// `z` takes its time, and `a` reads, besides what `z` makes, `what` no stage makes.
fn with_input(what: &str) -> TestEnv {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        format!(
            "stages:\n  z: {{cmd: date > ran, outs: [ran]}}\n  a:\n    cmd: cat ran > o\n    {what}\n    outs: [o]\n  \
             b: {{cmd: cat o > p, deps: [o], outs: [p]}}\n  c: {{cmd: echo > q, outs: [q]}}\n"
        ),
    );
    env
}

#[test]
fn repro_refuses_what_a_stage_lacks_with_its_line_and_runs_nothing() {
    let env = with_input("deps: [ran, 'raw/*.csv']");
    insta::assert_snapshot!(env.mlv(&["repro", "-q"]).code(8).stderr(), @"
    error: mlv.yaml:5:17: stage `a` cannot run without anything that matches `raw/*.csv`
    cause: line 5 reads `    deps: [ran, 'raw/*.csv']`
    hint: correct the pattern in `deps`: `*` stops at slashes, `**` does not, and neither matches names with a leading dot, mlv's and git's own files, or what .mlvignore leaves out
    ");
    assert!(!env.exists("ran") && !env.exists("q") && !env.exists("mlv.lock"));
    let env = with_input("deps: [ran, raw]");
    insta::assert_snapshot!(env.mlv(&["repro", "-q", "b"]).code(8).stderr(), @"
    error: mlv.yaml:5:17: stage `a` cannot run without `raw`
    cause: line 5 reads `    deps: [ran, raw]`
    hint: write it, or correct its path; what a stage makes, name in its `outs`
    ");
    let env = with_input("deps: [ran]\n    params:\n    - lr\n    - other.yaml:");
    insta::assert_snapshot!(env.mlv(&["repro", "-q"]).code(8).stderr(), @"
    error: mlv.yaml:8:7: stage `a` cannot run without `other.yaml`, `params.yaml`
    cause: line 8 reads `    - other.yaml:`
    hint: write it, or correct its path; what a stage makes, name in its `outs`
    ");
    env.write("params.yaml", "rl: 1\n");
    env.write("other.yaml", "{}\n");
    insta::assert_snapshot!(env.mlv(&["repro", "-q"]).code(8).stderr(), @"
    error: mlv.yaml:7:7: stage `a` cannot run without the parameter `lr` of `params.yaml`
    cause: line 7 reads `    - lr`
    hint: set `lr` in `params.yaml`, or take it out of `params`
    ");
    assert!(!env.exists("ran"));
    // Who does not ask for it is not refused.
    env.mlv(&["repro", "z", "c"]).success();
    env.write("params.yaml", "lr: 1\n");
    env.mlv(&["repro"]).success();
    assert_eq!(stage_actions(&env.json(&["repro"])), ["z skipped", "a skipped", "b skipped", "c skipped"]);
}

#[test]
fn keep_going_runs_what_does_not_build_on_it() {
    let env = with_input("deps: [ran, raw]");
    let (_, document) = env.json_error(&["repro", "-k"], 8);
    assert_eq!(stage_actions(&document), ["z run", "a failed", "b not_run", "c run"]);
    assert_eq!(document["failed"][0]["kind"], "stage_invalid");
    let document = env.json(&["repro", "--ignore-errors"]);
    assert_eq!(stage_actions(&document), ["z skipped", "a failed", "b failed", "c skipped"]);
    env.assert_sound();
}

#[test]
fn dry_run_explain_and_status_name_it() {
    let env = with_input("deps: [ran, 'raw/*.csv']\n    params: [lr]");
    env.write("params.yaml", "rl: 1\n");
    let (kind, document) = env.json_error(&["repro", "--dry-run"], 8);
    assert_eq!(kind, "stage_invalid");
    assert_eq!(stage_actions(&document), ["z would_run", "a failed", "b not_run", "c would_run"]);
    let missing = json!({ "missing": { "raw/*.csv": "matches nothing", "params.yaml:lr": "missing" } });
    assert_eq!(document["stages"][1]["reasons"][0], missing);
    assert_eq!(document["stages"][2]["reasons"], json!([{ "builds on": { "a": "cannot run" } }]));
    assert_eq!(env.json(&["status"])["stages"]["a"][0], missing);
    insta::assert_snapshot!(env.mlv(&["explain", "a", "b"]).success().stdout(), @"
    a: cannot run: missing: raw/*.csv, params.yaml:lr, never run
      new      command                  -  cat ran > o
      missing  dep      raw/*.csv       -  -
      missing  dep      ran             -  -
      missing  param    params.yaml:lr  -  -
    b: cannot run: builds on: a
      new      command     -  cat o > p
      missing  dep      o  -  -
    ");
}

#[test]
fn what_others_make_or_have_made_is_not_lacking() {
    let env = TestEnv::ready();
    // A file of parameters that a stage makes, a part of a folder, and an output that may be left out.
    env.write(
        "mlv.yaml",
        "stages:\n  a:\n    cmd: mkdir -p d && echo '{\"k\":1}' > p.yaml && echo 1 > d/x\n    outs: [p.yaml, d, opt: {optional: true}]\n  \
         b:\n    cmd: cat d/x > o\n    deps: [d/x, 'd/*']\n    params: [p.yaml: [k]]\n    outs: [o]\n",
    );
    env.mlv(&["repro"]).success();
    env.mlv(&["repro", "--force"]).success();
    // What is not declared comes from a stage that is needed.
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: echo 1 > unsaid}\n  b: {cmd: cp unsaid o, deps: [unsaid], needs: [a], outs: [o]}\n",
    );
    env.mlv(&["repro"]).success();
    env.remove("unsaid");
    env.mlv(&["freeze", "b"]).success();
    assert_eq!(stage_actions(&env.json(&["repro", "b"])), ["b skipped"]);
}

// What may be left out is no input that lacks: who reads it runs when it comes or goes.
#[test]
fn optional_output_that_was_left_out_may_be_read() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  a:\n    cmd: 'if grep -q 1 in; then cp in x; fi; echo y > y'\n    deps: [in]\n    outs: [y, x: {optional: true}]\n  \
         b: {cmd: 'ls x > b || echo none > b', deps: [y, x], outs: [b]}\n",
    );
    env.write("in", "2\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("b"), "none\n");
    assert_eq!(stage_actions(&env.json(&["repro"])), ["a skipped", "b skipped"]);
    assert!(env.json(&["status"])["stages"].as_object().is_none_or(|stages| stages.is_empty()));
    env.mlv(&["verify", "b"]).success();
    assert_eq!(stage_actions(&env.json(&["repro", "--force"])), ["a run", "b run"]);
    // It comes,
    env.write("in", "1\n");
    assert_eq!(stage_actions(&env.json(&["repro"])), ["a run", "b run"]);
    assert_eq!(env.read_text("b"), "x\n");
    // and what was made and is gone is missing, with its remedy,
    env.remove("x");
    let said = env.mlv(&["repro", "--force", "--single", "b"]).code(8).stderr();
    assert!(said.contains("hint: mlv checkout x"), "{said}");
    // and it goes.
    env.write("in", "22\n");
    assert_eq!(stage_actions(&env.json(&["repro", "--dry-run"])), ["a would_run", "b may_run"]);
    // which `b` has seen before.
    assert_eq!(stage_actions(&env.json(&["repro"])), ["a run", "b restored"]);
    assert_eq!(env.read_text("b"), "none\n");
    assert_eq!(stage_actions(&env.json(&["repro"])), ["a skipped", "b skipped"]);
    // The same from what is known of past runs.
    for (input, made, action) in [("1\n", "x\n", "restored"), ("2\n", "none\n", "run")] {
        env.write("in", input);
        let actions = stage_actions(&env.json(&["repro"]));
        assert_eq!(env.read_text("b"), made, "{actions:?}");
        assert!(actions[0] == format!("a {action}"), "{actions:?}");
        assert_eq!(stage_actions(&env.json(&["repro"])), ["a skipped", "b skipped"]);
    }
    env.assert_sound();
}

#[test]
fn what_is_recorded_and_not_here_has_its_own_remedy() {
    let env = TestEnv::shared();
    env.write("raw", "1\n");
    env.mlv(&["add", "raw"]).success();
    env.write("mlv.yaml", "stages:\n  a: {cmd: cat raw > o, deps: [raw], outs: [o]}\n");
    env.remove("raw");
    let said = env.mlv(&["repro"]).code(8).stderr();
    assert!(said.contains("mlv.yaml:2:32: stage `a` cannot run without `raw`"), "{said}");
    assert!(said.contains("hint: mlv checkout raw"), "{said}");
    env.mlv(&["checkout", "raw"]).success();
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    env.commit("run");
    let clone = env.clone_to("clone");
    // Nothing lacks in a clone that may be pulled, and nothing is missing where nothing has to run.
    assert_eq!(stage_actions(&clone.json(&["repro", "--allow-missing", "a"])), ["a skipped"]);
    clone.mlv(&["repro", "--pull", "--no-run-cache"]).success();
    clone.mlv(&["repro", "--pull", "--force"]).success();
}
