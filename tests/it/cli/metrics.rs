//! `mlv metrics show` and `mlv metrics diff`.

use serde_json::json;

use crate::support::{TestEnv, texts};

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

#[test]
fn metrics_of_branches_tags_and_commits_are_shown() {
    let env = measured();
    env.git(&["tag", "old", "HEAD~1"]);
    env.git(&["branch", "same"]);
    env.write("source.json", r#"{"loss": 0.125}"#);
    env.mlv(&["repro"]).success();
    let of = |document: &serde_json::Value, name: &str| {
        document[name]["data"]["metrics.json"]["data"]["loss"].clone()
    };
    let document = env.json(&["metrics", "show"]);
    assert_eq!((document.as_object().expect("a map").len(), of(&document, "")), (1, json!(0.125)));
    let document = env.json(&["metrics", "show", "-a", "-T"]);
    let losses = ["workspace", "main,same", "old"].map(|name| of(&document, name));
    assert_eq!(losses, [json!(0.125), json!(0.25), json!(0.5)], "{document}");
    // Three commits: the first has no metrics at all.
    let document = env.json(&["metrics", "show", "--all-commits"]);
    let head = env.git(&["rev-parse", "HEAD"]);
    assert_eq!((document.as_object().expect("a map").len(), of(&document, &head)), (4, json!(0.25)));
    insta::assert_snapshot!(env.mlv(&["metrics", "show", "-T"]).success(), @r"
      Revision   Path          Metric  Value
      workspace  metrics.json  loss    0.125
      old        metrics.json  loss    0.5
      old        metrics.json  per.a   1
    ");
    insta::assert_snapshot!(env.mlv(&["metrics", "show", "--md", "metrics.json"]).success(), @r"
    | Path | Metric | Value |
    |------|--------|-------|
    | metrics.json | loss | 0.125 |
    ");
    assert_eq!(env.json_error(&["metrics", "show", "nosuch"], 2).0, "no_such_target");
}

#[test]
fn commit_that_cannot_be_read_is_a_warning() {
    let env = measured();
    env.write("mlv.yaml", "stages: [\n");
    env.commit("broken");
    env.write("mlv.yaml", PIPELINE);
    env.commit("mended");
    let output = env.mlv(&["metrics", "show", "-A"]).success();
    assert_eq!(output.stderr().matches("left out of history: `mlv.yaml`").count(), 1, "{output}");
}

#[test]
fn commits_need_git() {
    let env = TestEnv::new();
    env.mlv(&["init", "--no-scm"]).success();
    env.mlv(&["metrics", "show"]).success();
    assert_eq!(env.json_error(&["metrics", "show", "-a"], 2).0, "needs_git");
}

#[test]
fn parameters_are_shown_as_metrics_are() {
    let env = measured();
    env.write("params.yaml", "lr: 0.1234567\nnet: {size: [1, 2]}\n");
    insta::assert_snapshot!(env.mlv(&["params", "show"]).success(), @r"
      Path         Param     Value
      params.yaml  lr        0.1234567
      params.yaml  net.size  [1,2]
    ");
    let document = env.json(&["params", "show", "-a"]);
    assert_eq!(document["workspace"]["data"]["params.yaml"]["data"]["net"]["size"], json!([1, 2]));
    assert_eq!(document["main"], json!({"data": {}}));
}

// Python's `json.dump` writes `NaN` for a loss that diverged.
#[test]
fn metric_that_is_no_number_hides_no_other() {
    let env = measured();
    env.write("source.json", r#"{"loss": NaN, "best": 0.5, "top": -Infinity}"#);
    env.mlv(&["repro"]).success();
    insta::assert_snapshot!(env.mlv(&["metrics", "show"]).success(), @r"
      Path          Metric  Value
      metrics.json  loss    NaN
      metrics.json  best    0.5
      metrics.json  top     -Infinity
    ");
    let document = env.json(&["metrics", "diff"]);
    assert_eq!(document["metrics.json"]["loss"], json!({"old": 0.25, "new": "NaN"}));
    env.commit("diverged");
    assert_eq!(env.json(&["metrics", "diff"]), json!({}));
    env.write("source.json", r#"{"loss": 1, "best": 0.5}"#);
    env.mlv(&["repro"]).success();
    assert_eq!(env.json(&["metrics", "diff"])["metrics.json"]["loss"]["old"], "NaN");
}

// Who pastes the hint commits the lock with the metrics that it is about.
#[test]
fn metrics_that_git_keeps_are_among_what_to_hand_to_git() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        PIPELINE
            .replace("    metrics:", "    outs: [{scratch.txt: {cache: false}}]\n    metrics:")
            .replace("cp source.json", "date +%N > scratch.txt; cp source.json"),
    );
    env.write(".gitignore", "scratch.txt\n");
    env.write("source.json", r#"{"loss": 1}"#);
    let document = env.json(&["repro"]);
    assert_eq!(document["git_add"], json!(["metrics.json", "mlv.lock"]));
    env.commit("run");
    let document = env.json(&["repro", "--force"]);
    assert_eq!(document["git_add"], json!(["mlv.lock"]), "the metrics are what they were");
    env.write("metrics.json", r#"{"loss": 2}"#);
    let document = env.json(&["commit", "measure"]);
    assert_eq!(document["git_add"], json!(["metrics.json", "mlv.lock"]));
}

#[test]
fn metrics_file_that_was_deleted_is_named() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  a: {cmd: 'echo \"{\\\"x\\\": 1}\" > m.json', metrics: [m.json]}\n");
    assert_eq!(env.mlv(&["metrics", "show"]).success().stderr(), "There are no metrics.\n");
    env.mlv(&["repro"]).success();
    env.remove("m.json");
    let said = env.mlv(&["metrics", "show"]).success().stderr();
    assert!(said.contains("warning: left out: `m.json` was made and is not here any more"), "{said}");
}

#[test]
fn file_that_neither_side_can_tell_is_named_once() {
    let env = TestEnv::ready();
    let metrics = |name: &str| format!("  {name}:\n    cmd: 'true'\n    metrics: [{name}.json]\n");
    env.write("mlv.yaml", format!("stages:\n{}{}", metrics("m"), metrics("n")));
    for text in ["{\"loss\": ", "{\"loss\": 1, "] {
        env.write("m.json", text);
        env.write("n.json", text);
        env.commit("broken");
    }
    let (_, document) = env.json_error(&["metrics", "diff", "HEAD~"], 4);
    assert_eq!(texts(&document["failed"]), ["m.json", "n.json"], "{document}");
}

#[test]
fn slip_in_a_name_is_told() {
    let env = measured();
    for args in [["metrics", "show", "./metrcs.json"], ["plots", "show", "metrcs.json"]] {
        env.write("mlv.yaml", PIPELINE.to_owned() + "plots: [metrics.json]\n");
        let said = env.mlv(&args).code(2).stderr();
        assert!(said.contains("did you mean `metrics.json`"), "{said}");
    }
}
