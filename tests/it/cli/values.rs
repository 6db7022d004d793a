//! `mlv metrics show` and `mlv params diff`.

use serde_json::json;

use crate::support::TestEnv;

#[test]
fn metrics_are_shown_in_the_form_of_dvc() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "metrics: [eval/m.json]\n");
    env.write("eval/m.json", r#"{"loss": 0.123456789, "per": {"a": 1}}"#);
    let document = env.json(&["metrics", "show"]);
    assert_eq!(document[""]["data"]["eval/m.json"]["data"]["loss"], 0.123456789);
    let text = env.mlv(&["metrics", "show", "eval"]).success().stdout();
    assert!(text.contains("per.a") && text.contains("0.12346"), "{text}");
    assert_eq!(env.json_error(&["metrics", "show", "nosuch"], 2).0, "no_such_target");
}

#[test]
fn parameters_are_compared_with_the_last_commit() {
    let env = TestEnv::ready();
    env.write("params.yaml", "train: {lr: 0.5}\n");
    env.commit("a parameter");
    env.write("params.yaml", "train: {lr: 0.25}\n");
    let document = env.json(&["params", "diff"]);
    assert_eq!(document, json!({"params.yaml": {"train.lr": {"old": 0.5, "new": 0.25, "diff": -0.25}}}));
    let _ = env.mlv(&["params", "diff", "--exit-code"]).code(1);
    let table = env.mlv(&["params", "diff", "--md"]).success().stdout();
    assert!(table.starts_with("| Path | Param | HEAD | work tree |\n|--"), "{table}");
}

// DVC's `--deps`: the keys that stages read, at each state those of its own stages.
#[test]
fn params_diff_can_be_of_what_stages_read() {
    let env = TestEnv::ready();
    let stage = |params: &str| format!("stages:\n  s: {{cmd: 'true', params: [{params}]}}\n");
    env.write("mlv.yaml", stage("train.lr, sub, all.json: "));
    env.write("params.yaml", "train: {lr: 0.5, seed: 1}\nsub: {a: 1, b: 1}\nepochs: 1\n");
    env.write("all.json", r#"{"k": 1}"#);
    env.commit("parameters");
    env.write("params.yaml", "train: {lr: 0.25, seed: 2}\nsub: {a: 1, b: 2}\nepochs: 2\n");
    env.write("all.json", r#"{"k": 2}"#);
    let keys = |args: &[&str]| {
        let document = env.json(&[&["params", "diff"], args].concat());
        let files = document.as_object().expect("an object").values();
        let keys = files.flat_map(|keys| keys.as_object().expect("an object").keys().cloned());
        keys.collect::<Vec<String>>()
    };
    assert_eq!(keys(&[]), ["k", "epochs", "sub.b", "train.lr", "train.seed"]);
    assert_eq!(keys(&["--deps"]), ["k", "sub.b", "train.lr"]);
    assert_eq!(keys(&["--deps", "--all"]), ["k", "sub.a", "sub.b", "train.lr"]);
    assert_eq!(keys(&["--deps", "--targets", "all.json"]), ["k"]);
    env.write("mlv.yaml", stage("epochs"));
    let document = env.json(&["params", "diff", "--deps", "--targets", "params.yaml"]);
    assert_eq!(document["params.yaml"]["epochs"], json!({"old": null, "new": 2}));
    assert_eq!(document["params.yaml"]["train.lr"], json!({"old": 0.5, "new": null}));
    env.write("mlv.yaml", stage("nosuch"));
    env.commit("a key that is nowhere");
    assert_eq!(env.json(&["params", "diff", "--deps", "--all"]), json!({}));
    env.write("mlv.yaml", "stages: {s: {cmd: 'true'}}\n");
    env.commit("no parameters");
    assert_eq!(env.json(&["params", "diff", "--deps", "--all"]), json!({}));
    let _ = env.mlv(&["metrics", "diff", "--deps"]).code(2);
}

#[test]
fn column_of_files_can_be_left_out() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "metrics: [m.json]\n");
    env.write("params.yaml", "lr: 1\n");
    env.write("m.json", r#"{"loss": 1}"#);
    env.commit("values");
    env.write("params.yaml", "lr: 2\n");
    env.write("m.json", r#"{"loss": 3}"#);
    let table = |args: &[&str]| env.mlv(args).success().stdout();
    insta::assert_snapshot!(table(&["metrics", "diff", "--no-path"]), @r"
      Metric  HEAD  work tree  Change
      loss    1     3          2
    ");
    insta::assert_snapshot!(table(&["metrics", "diff", "--no-path", "--md"]), @r"
    | Metric | HEAD | work tree | Change |
    |--------|------|-----------|--------|
    | loss | 1 | 3 | 2 |
    ");
    insta::assert_snapshot!(table(&["params", "diff", "--no-path"]), @r"
      Param  HEAD  work tree
      lr     1     2
    ");
    assert_eq!(env.json(&["metrics", "diff", "--no-path"]), env.json(&["metrics", "diff"]));
}
