//! Outputs and stages that contradict each other: each refusal has the place, its line, and a remedy.

use crate::support::TestEnv;

/// What `mlv repro` says of a pipeline of these two stages.
#[track_caller]
fn refused(env: &TestEnv, a: &str, b: &str) -> String {
    env.write("mlv.yaml", format!("stages:\n  a:\n    cmd: x\n    {a}\n  b:\n    cmd: x\n    {b}\n"));
    env.mlv(&["repro"]).code(4).stderr()
}

#[test]
fn outputs_of_two_stages_are_named_with_line_and_column() {
    let env = TestEnv::ready();
    insta::assert_snapshot!(refused(&env, "outs: [o]", "outs: [p, o]"), @"
    error: mlv.yaml:7:15: `o` is an output of the stage `a` of `mlv.yaml` and of the stage `b` of `mlv.yaml`
    cause: line 7 reads `    outs: [p, o]`
    hint: give one of them another path
    ");
    insta::assert_snapshot!(refused(&env, "outs: [d]", "metrics: [d/m.json]"), @"
    error: mlv.yaml:7:15: `d/m.json`, an output of the stage `b` of `mlv.yaml`, lies in `d`, an output of the stage `a` of `mlv.yaml`
    cause: line 7 reads `    metrics: [d/m.json]`
    hint: let the stage write outside of `d`
    ");
    insta::assert_snapshot!(refused(&env, "outs: [Model]", "outs: [model: {persist: true}]"), @"
    error: mlv.yaml:7:12: `Model`, an output of the stage `a` of `mlv.yaml`, and `model`, an output of the stage `b` of `mlv.yaml`, are one name where case or accents do not count
    cause: line 7 reads `    outs: [model: {persist: true}]`
    hint: give one of them another path
    ");
}

#[test]
fn cycles_are_named_with_line_and_column() {
    let env = TestEnv::ready();
    insta::assert_snapshot!(refused(&env, "outs: [o]\n    deps: [p]", "outs: [p]\n    deps:\n    - o"), @"
    error: mlv.yaml:10:7: the stages wait for each other: `b` → `a` → `b`: `b` reads `o`, `a` reads `p` (mlv.yaml:5:12)
    cause: line 10 reads `    - o`
    hint: let one of them read or need something else
    ");
    insta::assert_snapshot!(refused(&env, "deps: [p]\n    outs: [o]", "outs: [p]\n    needs: [a]"), @"
    error: mlv.yaml:9:13: the stages wait for each other: `b` → `a` → `b`: `b` needs `a`, `a` reads `p` (mlv.yaml:4:12)
    cause: line 9 reads `    needs: [a]`
    hint: let one of them read or need something else
    ");
}

#[test]
fn an_output_that_a_pointer_tracks_is_named_where_the_stage_says_so() {
    let env = TestEnv::ready();
    env.write("data", "1");
    env.mlv(&["add", "data"]).success();
    insta::assert_snapshot!(refused(&env, "outs: [data]", "outs: [p]"), @"
    error: mlv.yaml:4:12: `data` is an output of `data.mlv` and of the stage `a` of `mlv.yaml`
    cause: line 4 reads `    outs: [data]`
    hint: mlv remove data.mlv
    ");
}

#[test]
fn a_stage_that_is_refused_before_it_is_written_stands_on_no_line() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  a:\n    cmd: x\n    deps: [p]\n    outs: [o]\n");
    let add = |args: &[&str]| env.mlv(&[&["stage", "add", "-n", "b"], args].concat()).code(4).stderr();
    insta::assert_snapshot!(add(&["-o", "o", "x"]), @"
    error: mlv.yaml: the stages `a` and `b` both make `o`
    hint: give one of them another path
    ");
    insta::assert_snapshot!(add(&["-d", "o", "-o", "p", "x"]), @"
    error: mlv.yaml: the stages wait for each other: `b` → `a` → `b`: `b` reads `o`, `a` reads `p` (mlv.yaml:4:12)
    hint: let one of them read or need something else
    ");
    insta::assert_snapshot!(add(&["echo ${x}"]), @r"
    error: mlv.yaml: `${x}` has no value
    hint: set it in `params.yaml` or `vars`; for the shell's own variable write `\${`
    ");
}
