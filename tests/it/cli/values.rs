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
