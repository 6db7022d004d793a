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

/// `f` and `d` by pointers that are committed, and a pipeline that declares `out` as well.
fn declared_twice(out: &str) -> TestEnv {
    let env = TestEnv::ready();
    env.write("f", "f");
    env.write("d/1", "1");
    env.mlv(&["add", "f", "d"]).success();
    env.commit("one");
    env.write("mlv.yaml", format!("stages: {{a: {{cmd: 'echo > {out}', outs: [{out}]}}}}\n"));
    env.write("f", "changed");
    env.write("d/new", "new");
    env
}

// It went on for ever: what it was to write was made of nothing, and something was there.
#[test]
fn what_is_declared_twice_is_not_recorded_and_not_called_deleted() {
    for (out, targets) in [("f", &["f"][..]), ("d/new", &["d", "d/new", "d/1"]), ("D", &["d"])] {
        let env = declared_twice(out);
        let before = env.snapshot();
        for target in targets {
            for command in ["add", "commit", "checkout", "push", "remove"] {
                let (kind, document) = env.json_error(&[command, target], 4);
                assert_eq!(kind, "invalid_pipeline", "{command} {target}: {document}");
            }
        }
        assert_eq!(env.snapshot(), before);
        let status = env.run(env.mlv_command().args(["--json", "status"])).code(4).json();
        assert!(status["data"]["committed"].get("deleted").is_none(), "{status}");
    }
}

#[test]
fn removing_the_pointer_settles_what_is_declared_twice() {
    let env = declared_twice("f");
    let said = env.mlv(&["add", "f"]).code(4).stderr();
    assert!(said.contains("hint: mlv remove f.mlv"), "{said}");
    env.mlv(&["remove", "f.mlv"]).success();
    assert!(env.git_ignores("f") && env.read("f") == b"changed");
    env.mlv(&["repro"]).success();
}

// R9, R14: whoever names an output asks for what its lock says.
#[test]
fn naming_what_an_unreadable_file_records_is_no_success() {
    let env = TestEnv::shared();
    env.write("mlv.yaml", "stages: {a: {cmd: 'echo 1 > o', outs: [o]}, b: {cmd: 'echo 2 > p', outs: [p]}}\n");
    env.mlv(&["repro"]).success();
    env.commit("two stages");
    env.mlv(&["push"]).success();
    let other = env.clone_to("other");
    let lock = other.read("mlv.lock");
    let cut = &lock[..lock.len() / 4];
    for text in [&b"["[..], b"", cut] {
        other.write("mlv.lock", text);
        for command in ["pull", "fetch", "checkout", "push"] {
            for target in ["o", "a"] {
                let outcome = other.mlv(&[command, target]);
                assert_eq!(outcome.exit_code(), 4, "{command} {target}: {outcome}");
                assert!(outcome.stderr().contains("mlv.lock"), "{command} {target}: {outcome}");
            }
        }
    }
    other.write("mlv.lock", lock);
    other.mlv(&["pull", "o"]).success();
    other.write("mlv.yaml", "stages: [");
    for args in [["remove", "a"], ["checkout", "a"], ["push", "a"], ["pull", "t@x"], ["repro", "a"]] {
        let said = other.mlv(&args).code(4).stderr();
        assert!(said.contains("mlv.yaml:1:"), "{args:?}: {said}");
    }
    // What the lock says is known all the same.
    other.mlv(&["checkout", "o"]).code(0);
}
