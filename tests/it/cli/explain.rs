//! `mlv explain`.

use serde_json::{Value, json};

use crate::support::{TestEnv, stage_actions};

const PIPELINE: &str = "\
stages:
  one: {cmd: cat data/a > mid, deps: [data], outs: [mid], env: {A: x}}
  two: {cmd: cat mid mid > out, deps: [mid], params: [scale], outs: [out]}
";

fn ran() -> TestEnv {
    let env = TestEnv::shared();
    env.write("data/a", "1\n");
    env.mlv(&["add", "data"]).success();
    env.write("params.yaml", "scale: 1\n");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    env.commit("run");
    env
}

/// Kind, name and change of each input that is not the same.
fn changes(stage: &Value) -> Vec<(String, String, String)> {
    let text = |input: &Value, key: &str| input[key].as_str().expect("a text").to_owned();
    let inputs = stage["inputs"].as_array().expect("a list").iter();
    let changed = inputs.filter(|input| input["change"] != "same");
    changed.map(|input| (text(input, "kind"), text(input, "name"), text(input, "change"))).collect()
}

#[test]
fn every_input_is_compared_with_the_lock() {
    let env = ran();
    let document = env.json(&["explain"]);
    let kinds = |at: usize| document["stages"][at]["inputs"].as_array().map(Vec::len);
    assert_eq!((kinds(0), kinds(1)), (Some(3), Some(3)));
    assert_eq!(document["stages"][1]["action"], "skipped");
    assert!(document["stages"].as_array().is_some_and(|all| all.iter().all(|one| changes(one).is_empty())));
    env.write("params.yaml", "scale: 2\n");
    env.write("mlv.yaml", PIPELINE.replace("A: x", "B: x").replace("cat mid mid", "cat mid  mid"));
    let document = env.json(&["explain", "two"]);
    assert_eq!(document["stages"].as_array().map(Vec::len), Some(1));
    let two = &document["stages"][0];
    let named = |kind: &str, name: &str, change: &str| (kind.to_owned(), name.to_owned(), change.to_owned());
    assert_eq!(
        changes(two),
        [named("command", "", "modified"), named("param", "params.yaml:scale", "modified")]
    );
    assert_eq!((&two["inputs"][2]["recorded"], &two["inputs"][2]["current"]), (&json!(1), &json!(2)));
    assert_eq!(two["action"], "would_run");
    let one = env.json(&["explain", "one"])["stages"][0].clone();
    assert_eq!(changes(&one), [named("env", "A", "gone"), named("env", "B", "new")]);
    let text = env.mlv(&["explain", "two"]).success().stdout();
    assert!(
        text.starts_with("two: would run: changed deps: params.yaml, changed command\n")
            && text.contains("params.yaml:scale"),
        "{text}"
    );
}

#[test]
fn plan_is_that_of_repro() {
    let env = ran();
    env.write("data/a", "2\n");
    let (explained, planned) = (env.json(&["explain"]), env.json(&["repro", "--dry-run"]));
    for at in 0..2 {
        for key in ["stage", "action", "reasons"] {
            assert_eq!(explained["stages"][at][key], planned["stages"][at][key], "{key}");
        }
    }
    assert_eq!(explained["stages"][1]["action"], "may_run");
}

#[test]
fn clone_without_data_can_be_explained() {
    let env = ran();
    let clone = env.clone_to("clone");
    let document = clone.json(&["explain"]);
    assert!(
        document["stages"].as_array().is_some_and(|all| all.iter().all(|one| changes(one).is_empty())),
        "{document}"
    );
    clone.write("params.yaml", "scale: 3\n");
    let two = clone.json(&["explain", "two"])["stages"][0].clone();
    assert_eq!(changes(&two).len(), 1, "{two}");
    assert!(!clone.exists("data") && !clone.exists("mid"));
}

// Absent is not deleted: the words of `status`, which sees no difference here.
#[test]
fn outputs_that_were_never_here_are_not_called_changed() {
    let env = ran();
    let clone = env.clone_to("clone");
    clone.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
    for args in [&["explain", "two"][..], &["repro", "--dry", "two"]] {
        let document = clone.json(args);
        let stages = document["stages"].as_array().expect("a list");
        let two = stages.iter().find(|stage| stage["stage"] == "two").expect("the stage");
        assert_eq!(two["reasons"], json!([{"not downloaded": {"out": "not downloaded"}}]), "{document}");
        assert!(stages.iter().all(|stage| stage["action"] == "not_downloaded"), "{document}");
        let output = clone.mlv(args).success();
        assert!(output.stderr().contains("hint: `mlv repro --pull` or `mlv pull` brings"), "{output}");
    }
    let output = clone.mlv(&["explain", "two"]).success();
    assert!(output.stdout().starts_with("two: as recorded, not downloaded\n"), "{output}");
    assert!(output.stderr().contains("`mlv repro --pull`"), "{output}");
    // What was here and is deleted is a change as before.
    clone.mlv(&["pull"]).success();
    clone.remove("out");
    clone.remove(".mlv/cache");
    let document = clone.json(&["explain", "two"]);
    assert_eq!(document["stages"][0]["reasons"], json!([{"changed outs": {"out": "deleted"}}]));
    assert!(!clone.mlv(&["explain", "two"]).success().stderr().contains("--pull"));
}

#[test]
fn frozen_stage_is_called_frozen() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: cp in o\n    deps: [in]\n    outs: [o]\n");
    env.mlv(&["repro"]).success();
    env.mlv(&["freeze", "s"]).success();
    env.write("in", "2");
    let text = env.mlv(&["explain"]).success().stdout();
    assert!(text.starts_with("s: frozen, whatever its inputs are\n"), "{text}");
}

// One state, one answer: what is not downloaded is no reason to run, and what cannot be read lets nothing run.
#[test]
fn status_explain_and_dry_run_agree_on_a_clone_without_data() {
    let env = ran();
    let clone = env.clone_to("clone");
    let states = |clone: &TestEnv| {
        let changed = clone.json(&["status", "--only", "pipeline"])["stages"].clone();
        let dry = clone.mlv(&["repro", "--dry-run", "--json"]);
        let (code, dry) = (dry.exit_code(), dry.json());
        let explained = clone.json(&["explain"]);
        assert_eq!(stage_actions(&dry), stage_actions(&explained));
        (changed, stage_actions(&dry).join(" "), code)
    };
    assert_eq!(states(&clone), (json!(null), "one not_downloaded two not_downloaded".into(), 0));
    // `one` would have to run, and its data is not here: `repro` says the same.
    clone.write("mlv.yaml", PIPELINE.replace("cat data", "cat  data"));
    let (changed, actions, code) = states(&clone);
    assert_eq!(
        (changed, &*actions, code),
        (json!({"one": ["changed command"]}), "one failed two not_run", 5)
    );
    let (kind, document) = clone.json_error(&["repro"], 5);
    assert_eq!((&*kind, &document["error"]["path"]), ("not_downloaded", &json!("data")));
    clone.write("mlv.yaml", PIPELINE);
    // What is here of it is up to date, whatever else is not.
    clone.mlv(&["pull", "out"]).success();
    assert_eq!(states(&clone), (json!(null), "one not_downloaded two skipped".into(), 0));
    clone.mlv(&["repro", "--pull"]).success();
    assert_eq!(states(&clone), (json!(null), "one skipped two skipped".into(), 0));
}
