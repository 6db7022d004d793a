//! `${}`, `foreach`, `matrix` and `vars` in pipelines that run.

use serde_json::json;

use crate::support::{TestEnv, texts};

const PIPELINE: &str = "\
vars: [models.yaml]
stages:
  build:
    foreach: ${regions}
    do:
      cmd: echo ${item.label} > ${key}.txt; echo build ${key} >> log
      outs: ['${key}.txt']
  train:
    matrix:
      model: ${models}
      seed: [1, 2]
    cmd: echo \"${rate} \\${HOME:+home}\" > ${key}.bin; echo ${key} >> log
    deps: [us.txt]
    outs: ['${key}.bin']
";

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("params.yaml", "rate: 0.5\nregions: {us: {label: a}, eu: {label: b}}\n");
    env.write("models.yaml", "models: [cnn, rnn]\n");
    env.write("mlv.yaml", PIPELINE);
    env
}

fn runs(env: &TestEnv) -> Vec<String> {
    let log = if env.exists("log") { env.read_text("log") } else { String::new() };
    env.write("log", "");
    // Stages that need nothing of each other run at once.
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

// DVC 81 K
#[test]
fn generated_stages_run_and_their_group_is_a_target() {
    let env = project();
    env.mlv(&["repro", "build"]).success();
    assert_eq!(runs(&env), ["build eu", "build us"]);
    env.mlv(&["repro", "train@rnn-2"]).success();
    assert_eq!(runs(&env), ["rnn-2"]);
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["cnn-1", "cnn-2", "rnn-1"]);
    assert_eq!(env.read_text("cnn-1.bin"), "0.5 home\n");
    let lock = env.read_text("mlv.lock");
    let names: Vec<&str> =
        lock.lines().filter(|line| line.starts_with("  ") && line.ends_with(':')).collect();
    let names: Vec<&str> = names.into_iter().filter(|line| line.contains('@')).collect();
    let all = ["build@eu", "build@us", "train@cnn-1", "train@cnn-2", "train@rnn-1", "train@rnn-2"];
    assert_eq!(names, all.map(|name| format!("  {name}:")));
    env.commit("run");
    env.write("params.yaml", "rate: 0.5\nregions: {us: {label: a}, eu: {label: c}}\n");
    assert_eq!(env.status()["stages"].as_object().map(|stages| stages.len()), Some(1));
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["build eu"]);
    // A stage that is generated no more leaves the lock.
    env.write("models.yaml", "models: [cnn]\n");
    env.write("params.yaml", "rate: 0.25\nregions: {us: {label: a}, eu: {label: c}}\n");
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["cnn-1", "cnn-2"]);
    assert!(!env.read_text("mlv.lock").contains("rnn"));
}

#[test]
fn revisions_are_read_with_the_values_of_their_time() {
    let env = TestEnv::ready();
    let pipeline = "vars: [names.yaml]\nstages:\n  s:\n    cmd: echo '{\"n\":${n}}' > ${name}.json\n    metrics: ['${name}.json': {cache: false}]\n";
    env.write("mlv.yaml", pipeline);
    for (name, n) in [("a", 1), ("b", 2)] {
        env.write("names.yaml", format!("name: {name}\nn: {n}\n"));
        env.mlv(&["repro"]).success();
        env.commit(name);
    }
    let document = env.json(&["metrics", "diff", "HEAD~1", "HEAD"]);
    assert_eq!(document["a.json"]["n"], json!({"old": 1, "new": null}));
    assert_eq!(document["b.json"]["n"], json!({"old": null, "new": 2}));
    let document = env.json(&["params", "diff", "HEAD~1"]);
    assert_eq!(document["names.yaml"]["n"], json!({"old": 1, "new": 2, "diff": 1}));
}

#[test]
fn value_that_is_not_there_is_named_with_the_line() {
    let env = project();
    env.write("params.yaml", "rate: 0.5\n");
    let (kind, document) = env.json_error(&["repro"], 4);
    assert_eq!(kind, "invalid_file");
    assert!(document.to_string().contains("mlv.yaml:4:14: `${regions}` has no value"), "{document}");
    assert!(document.to_string().contains("    foreach: ${regions}"), "{document}");
    env.remove("models.yaml");
    assert!(env.json_error(&["repro"], 4).1.to_string().contains("`models.yaml` is not there"));
    assert!(texts(&env.json_error(&["status"], 4).1["error"]["hints"]).len() < 3);
}

#[test]
fn nested_key_that_is_spelled_nearly_so_is_named() {
    let env = TestEnv::ready();
    env.write("params.yaml", "train: {lr: 1, layers: [{units: 3}]}\n");
    for (written, meant) in [
        ("train.lr_", "train.lr"),
        ("trian.lr", "train.lr"),
        ("train.layers[0].unit", "train.layers[0].units"),
        ("item.modle", "item.model"),
        ("itme.model", "item.model"),
    ] {
        env.write(
            "mlv.yaml",
            format!("stages:\n  s:\n    matrix: {{model: [cnn]}}\n    cmd: run ${{{written}}}\n"),
        );
        let (_, document) = env.json_error(&["repro", "--dry-run"], 4);
        let text = document.to_string();
        assert!(text.contains(&format!("mlv.yaml:4:14: `${{{written}}}` has no value")), "{document}");
        assert!(text.contains(&format!("did you mean `${{{meant}}}`")), "{document}");
    }
}

#[test]
fn generated_stage_is_not_taken_out_by_editing_the_definition_of_others() {
    let env = project();
    env.mlv(&["repro"]).success();
    let before = env.read("mlv.yaml");
    env.mlv(&["remove", "train@cnn-1"]).code(2);
    assert_eq!(env.read("mlv.yaml"), before);
}

#[test]
fn values_in_a_file_that_mlv_tracks_are_those_of_the_work_tree_at_every_commit() {
    let env = TestEnv::ready();
    env.write("v.yaml", "n: 1\n");
    env.mlv(&["add", "v.yaml"]).success();
    env.write("mlv.yaml", "vars: [v.yaml]\nstages:\n  s:\n    cmd: echo ${n} > o\n    outs: [o]\n");
    env.mlv(&["repro"]).success();
    env.commit("one");
    for args in [["diff", "HEAD"], ["metrics", "diff"], ["params", "diff"]] {
        env.mlv(&args).success();
    }
    env.assert_clean();
}

// R14, R15: one pull is enough where the pulled data says what else there is.
#[test]
fn values_that_come_with_a_pull_say_what_else_is_pulled() {
    let env = TestEnv::shared();
    env.write("v.yaml", "n: 1\n");
    env.mlv(&["add", "v.yaml"]).success();
    env.write("mlv.yaml", "vars: [v.yaml]\nstages:\n  s:\n    cmd: echo ${n} > o\n    outs: [o]\n");
    env.mlv(&["repro"]).success();
    env.commit("one");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let report = clone.json(&["pull"]);
    assert_eq!(report["fetched"]["files"], 2, "{report}");
    assert_eq!((clone.read("v.yaml"), clone.read("o")), (b"n: 1\n".to_vec(), b"1\n".to_vec()));
    clone.assert_clean();
}
