//! `mlv dag`.

use serde_json::{Value, json};

use crate::support::TestEnv;

const PIPELINE: &str = "\
stages:
  evaluate: {cmd: x, deps: [models], metrics: [metrics.json]}
  prepare: {cmd: x, deps: [data.csv], outs: [clean]}
  train:
    matrix: {model: [cnn, rnn]}
    cmd: x
    deps: [clean/train.csv]
    outs: ['models/${key}']
  alone: {cmd: x}
";

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("data.csv", "1");
    env.write("other.csv", "2");
    env.mlv(&["add", "data.csv", "other.csv"]).success();
    env.write("mlv.yaml", PIPELINE);
    env
}

fn names(report: &Value) -> Vec<&str> {
    let nodes = report["nodes"].as_array().expect("a list of nodes");
    nodes.iter().map(|node| node["name"].as_str().expect("a name")).collect()
}

#[test]
fn stages_stand_behind_what_they_build_on() {
    let env = project();
    insta::assert_snapshot!(env.mlv(&["dag"]).success(), @"
    data.csv.mlv
    prepare   <- data.csv.mlv
    train@cnn <- prepare
    train@rnn <- prepare
    evaluate  <- train@cnn, train@rnn
    alone
    ");
    let report = env.json(&["dag", "train@rnn"]);
    assert_eq!(names(&report), ["data.csv.mlv", "prepare", "train@rnn"]);
    assert_eq!(report["nodes"][0], json!({"name": "data.csv.mlv", "kind": "data"}));
    assert_eq!(
        report["edges"],
        json!([{"from": "data.csv.mlv", "to": "prepare"}, {"from": "prepare", "to": "train@rnn"}])
    );
}

#[test]
fn targets_are_stages_outputs_groups_and_pointers() {
    let env = project();
    let of = |args: &[&str]| env.json(&[&["dag"], args].concat());
    assert_eq!(names(&of(&["clean"])), ["data.csv.mlv", "prepare"]);
    assert_eq!(names(&of(&["data.csv.mlv"])), ["data.csv.mlv"]);
    assert_eq!(names(&of(&["other.csv"])), ["other.csv.mlv"]);
    assert_eq!(names(&of(&["train"])), ["data.csv.mlv", "prepare", "train@cnn", "train@rnn"]);
    assert_eq!(
        names(&of(&["data.csv", "--full"])),
        ["data.csv.mlv", "prepare", "train@cnn", "train@rnn", "evaluate"]
    );
    assert_eq!(env.json_error(&["dag", "trian"], 2).0, "no_such_target");
    assert_eq!(env.json_error(&["dag", "--full"], 2).0, "usage");
}

#[test]
fn outputs_instead_of_stages() {
    let env = project();
    insta::assert_snapshot!(env.mlv(&["dag", "--outs"]).success(), @"
    data.csv
    clean        <- data.csv
    models/cnn   <- clean
    models/rnn   <- clean
    metrics.json <- models/cnn, models/rnn
    ");
    let inside = env.at("models");
    assert_eq!(
        inside.mlv(&["dag", "--outs", "rnn"]).success().stdout(),
        "../data.csv\n../clean <- ../data.csv\nrnn      <- ../clean\n"
    );
}

#[test]
fn pictures_for_graphviz_and_markdown() {
    let env = project();
    insta::assert_snapshot!(env.mlv(&["dag", "prepare", "--dot"]).success(), @r#"
    strict digraph {
    "data.csv.mlv";
    "prepare";
    "data.csv.mlv" -> "prepare";
    }
    "#);
    let picture = "flowchart TD\n    node1[\"data.csv.mlv\"]\n    node2[\"prepare\"]\n    node1-->node2\n";
    assert_eq!(env.mlv(&["dag", "prepare", "--mermaid"]).success().stdout(), picture);
    let fenced = format!("```mermaid\n{picture}```\n");
    assert_eq!(env.mlv(&["dag", "prepare", "--md"]).success().stdout(), fenced);
    assert_eq!(env.json_error(&["dag", "--md", "--dot"], 2).0, "usage");
}

#[test]
fn groups_are_one_where_there_are_many() {
    let env = project();
    let all = env.json(&["dag", "--collapse"]);
    assert_eq!(names(&all), ["data.csv.mlv", "prepare", "train", "evaluate", "alone"]);
    assert_eq!(all["nodes"][2], json!({"name": "train", "kind": "group", "stages": 2}));
    let seeds: Vec<String> = (0..60).map(|seed| seed.to_string()).collect();
    env.write("mlv.yaml", PIPELINE.replace("cnn, rnn", &seeds.join(", ")));
    let output = env.mlv(&["dag"]).success();
    insta::assert_snapshot!(output, @"
    data.csv.mlv
    prepare           <- data.csv.mlv
    train (60 stages) <- prepare
    evaluate          <- train (60 stages)
    alone
    --- stderr
    Groups of stages are shown as one; `--no-collapse` shows each.
    ");
    assert_eq!(env.mlv(&["dag", "--no-collapse"]).success().stdout().lines().count(), 64);
    assert_eq!(names(&env.json(&["dag"])).len(), 64);
}

#[test]
fn one_bad_file_leaves_the_rest_to_be_seen() {
    let env = project();
    env.write("sub/mlv.yaml", "stages: [\n");
    let output = env.mlv(&["dag"]).code(4);
    assert!(output.stdout().contains("evaluate  <- train@cnn, train@rnn\n"), "{output}");
    assert!(output.stderr().contains("sub/mlv.yaml:"), "{output}");
    env.remove("sub/mlv.yaml");
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: x, deps: [b], outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b]}\n",
    );
    assert_eq!(env.json_error(&["dag"], 4).0, "invalid_pipeline");
    env.remove("mlv.yaml");
    insta::assert_snapshot!(env.mlv(&["dag"]).success(), @r"
    --- stderr
    There are no stages.
    ");
}
