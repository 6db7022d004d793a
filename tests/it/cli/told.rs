//! What is told of pipelines, their locks and their logs, and what to do then.

use crate::support::TestEnv;

const MATRIX: &str = "stages:\n  train:\n    matrix: {m: [a, b]}\n    cmd: echo ${item.m} > ${item.m}; echo said\n    outs: ['${item.m}']\n";

#[test]
fn groups_are_suggested_by_their_name() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", MATRIX);
    let said = env.mlv(&["repro", "trian"]).code(2).stderr();
    assert!(said.contains("hint: did you mean `train`?"), "{said}");
    env.write("mlv.yaml", format!("{MATRIX}  last: {{cmd: x, deps: [{{stage: trian@*}}]}}\n"));
    let said = env.mlv(&["repro"]).code(4).stderr();
    assert!(
        said.contains("no stage or group `trian@*`") && said.contains("did you mean `train@*`"),
        "{said}"
    );
}

#[test]
fn log_is_readable_where_the_pipeline_is_not() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", MATRIX);
    env.mlv(&["repro"]).success();
    env.write("mlv.yaml", "stages: [");
    assert_eq!(env.mlv(&["logs", "train@a"]).success().stdout(), "said\n");
    assert_ne!(env.mlv(&["logs", "train@c"]).exit_code(), 0);
}

#[test]
fn lock_that_cannot_be_read_has_a_remedy_that_works() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: echo 1 > o, outs: [o]}\n");
    env.mlv(&["repro"]).success();
    env.commit("run");
    for spoil in ["stages: {}\n", "\t: [\n"] {
        env.write("mlv.lock", env.read_text("mlv.lock") + spoil);
        let said = env.mlv(&["repro"]).code(4).stderr();
        assert!(said.contains("hint: git checkout -- mlv.lock, or delete it"), "{said}");
        env.git(&["checkout", "--", "mlv.lock"]);
        env.mlv(&["repro"]).success();
    }
}

#[test]
fn lock_that_git_ignores_is_told_and_not_handed_to_git() {
    let env = TestEnv::ready();
    env.write(".gitignore", "*.lock\n");
    env.write("mlv.yaml", "stages:\n  s: {cmd: echo 1 > o, outs: [o]}\n");
    let output = env.mlv(&["repro"]).success();
    assert!(output.stderr().contains("warning: git ignores `mlv.lock`"), "{output}");
    assert!(output.stderr().ends_with("hint: git add .gitignore\n"), "{output}");
}

#[test]
fn whole_names_of_commits_are_shown_by_their_start() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: echo 1 > o, outs: [o]}\n");
    env.mlv(&["repro"]).success();
    let id = env.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let page = env.mlv(&["report", &id, "--md"]).success().stdout();
    assert!(page.starts_with(&format!("## {} →", &id[..7])), "{page}");
    assert_eq!(env.json(&["report", &id])["old"], id.as_str());
}

#[test]
fn single_stage_is_not_called_everything() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: cp in a, deps: [in], outs: [a]}\n  b: {cmd: cp a b, deps: [a], outs: [b]}\n",
    );
    env.mlv(&["repro"]).success();
    env.write("in", "2");
    let said = env.mlv(&["repro", "--single", "b"]).success().stderr();
    assert!(said.ends_with("Up to date; what it builds on was not looked at.\n"), "{said}");
}

#[test]
fn what_a_stage_made_that_is_defined_no_more_is_told_once() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", MATRIX);
    env.mlv(&["repro"]).success();
    let told =
        "warning: stage `train@b` is defined no more; `b`, which it made, stays here and is not tracked\n";
    env.write("mlv.yaml", MATRIX.replace("[a, b]", "[a, c]"));
    let said = env.mlv(&["repro"]).success().stderr();
    assert!(said.contains(told) && said.matches("warning").count() == 1, "{said}");
    assert!(env.exists("b"));
    // A stage of another name that makes it has taken it over.
    env.write("mlv.yaml", MATRIX.replace("[a, b]", "[a, c]").replace("train", "learn"));
    let said = env.mlv(&["repro", "--force"]).success().stderr();
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn what_is_left_of_a_stage_and_read_by_another_is_told() {
    for dep in ["'x/*.csv'", "x"] {
        let env = TestEnv::ready();
        env.write("x/kept.csv", "0");
        let group = "stages:\n  m: {foreach: [1, 2], do: {cmd: 'echo ${item} > ${item}.csv', outs: ['${item}.csv']}}\n";
        env.write("x/mlv.yaml", group);
        env.write(
            "mlv.yaml",
            format!("stages:\n  r: {{cmd: 'cat x/*.csv > r', deps: [{dep}], outs: [r]}}\n"),
        );
        let before = env.mlv(&["repro", "--all-pipelines"]).success().stderr();
        assert!(!before.contains("warning"), "{before}");
        env.write("x/mlv.yaml", group.replace("[1, 2]", "[2]"));
        let said = env.mlv(&["repro", "--all-pipelines"]).success().stderr();
        let told = "warning: `x/1.csv`, which stage `r` reads, is tracked by nothing";
        assert!(said.contains(told) && said.contains("else: mlv add x/1.csv"), "{said}");
        env.remove("x/1.csv");
        let said = env.mlv(&["repro", "--all-pipelines"]).success().stderr();
        assert!(!said.contains("reads, is tracked"), "{said}");
    }
}
