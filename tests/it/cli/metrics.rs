//! `mlv metrics diff`.

use serde_json::json;

use crate::support::TestEnv;

const PIPELINE: &str = "\
stages:
  measure:
    cmd: cp source.json metrics.json
    deps: [source.json]
    metrics:
    - metrics.json:
        cache: false
";

fn measured() -> TestEnv {
    let env = TestEnv::ready();
    env.write("mlv.yaml", PIPELINE);
    for (at, text) in [r#"{"loss": 0.5, "per": {"a": 1}}"#, r#"{"loss": 0.25, "per": {"a": 1}, "new": 3}"#]
        .iter()
        .enumerate()
    {
        env.write("source.json", text);
        env.mlv(&["repro"]).success();
        env.commit(&format!("run {at}"));
    }
    env
}

#[test]
fn metrics_of_two_commits_are_compared_key_by_key() {
    let env = measured();
    let document = env.json(&["metrics", "diff", "HEAD~1", "HEAD"]);
    assert_eq!(document["metrics.json"]["loss"], json!({"old": 0.5, "new": 0.25, "diff": -0.25}));
    assert_eq!(document["metrics.json"]["new"]["new"], 3);
    assert!(document["metrics.json"]["per.a"].is_null(), "equal values are no difference: {document}");
    assert_eq!(env.json(&["metrics", "diff", "HEAD~1"]), document);
    assert_eq!(env.json(&["metrics", "diff"]), json!({}));
}

#[test]
fn work_tree_is_compared_with_the_last_commit() {
    let env = measured();
    env.write("source.json", r#"{"loss": 1.25, "per": {"a": 2}}"#);
    env.mlv(&["repro"]).success();
    let document = env.json(&["metrics", "diff"]);
    assert_eq!(document["metrics.json"]["loss"], json!({"old": 0.25, "new": 1.25, "diff": 1.0}));
    assert_eq!(document["metrics.json"]["per.a"], json!({"old": 1, "new": 2, "diff": 1}));
    assert_eq!(document["metrics.json"]["new"]["old"], 3);
}

#[test]
fn metrics_that_are_cached_are_read_from_the_cache() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        PIPELINE.replace("    - metrics.json:\n        cache: false\n", "    - metrics.json\n"),
    );
    for text in [r#"{"loss": 2}"#, r#"{"loss": 1}"#] {
        env.write("source.json", text);
        env.mlv(&["repro"]).success();
        env.commit(text);
    }
    let document = env.json(&["metrics", "diff", "HEAD~1", "HEAD"]);
    assert_eq!(document["metrics.json"]["loss"], json!({"old": 2, "new": 1, "diff": -1}));
}

#[test]
fn tables_for_people_and_for_pull_requests() {
    let env = measured();
    let text = env.mlv(&["metrics", "diff", "HEAD~1"]).success().stdout();
    assert!(text.contains("loss") && text.contains("0.25") && text.contains("-0.25"), "{text}");
    let table = env.mlv(&["metrics", "diff", "HEAD~1", "--md"]).success().stdout();
    assert!(
        table.starts_with("| ")
            && table.lines().nth(1).is_some_and(|line| line.starts_with("|--") || line.starts_with("| -")),
        "{table}"
    );
}

#[test]
fn metrics_file_that_cannot_be_read_is_named() {
    let env = measured();
    env.write("metrics.json", "{\"loss\": ");
    let (kind, document) = env.json_error(&["metrics", "diff"], 4);
    assert_eq!(kind, "invalid_file");
    assert!(document.to_string().contains("metrics.json"), "{document}");
    assert_eq!(env.json_error(&["metrics", "diff", "nosuch"], 2).0, "no_such_revision");
}
