//! `mlv stage add` and `mlv stage list`.

use serde_json::json;

use crate::support::TestEnv;

#[test]
fn stage_is_added_and_run() {
    let env = TestEnv::ready();
    env.write("raw.csv", "1\n");
    env.write("params.yaml", "lr: 0.5\n");
    let output = env.mlv(&[
        "stage",
        "add",
        "-n",
        "clean",
        "-d",
        "raw.csv",
        "-p",
        "lr",
        "-o",
        "clean.csv",
        "--desc",
        "take out: bad rows",
        "sh",
        "-c",
        "cat raw.csv > clean.csv",
    ]);
    insta::assert_snapshot!(output.success(), @r"
    --- stderr
    Added stage `clean` in `mlv.yaml`
    hint: git add .gitignore mlv.yaml
    hint: mlv repro clean
    ");
    insta::assert_snapshot!(env.read_text("mlv.yaml"), @r#"
    stages:
      clean:
        cmd: sh -c 'cat raw.csv > clean.csv'
        deps:
        - raw.csv
        params:
        - lr
        outs:
        - clean.csv
        desc: "take out: bad rows"
    "#);
    assert!(env.git_ignores("clean.csv"));
    env.mlv(&["repro", "clean"]).success();
    assert_eq!(env.read_text("clean.csv"), "1\n");
    env.commit("a stage");
    env.assert_clean();

    // Another one, run at once.
    let report = env.json(&[
        "stage",
        "add",
        "-n",
        "count",
        "-d",
        "clean.csv",
        "-M",
        "count.json",
        "--run",
        "echo '{\"n\": 1}' > count.json",
    ]);
    assert_eq!((&report["stage"], &report["replaced"]), (&json!("count"), &json!(false)));
    assert_eq!(report["run"]["stages"][0]["action"], "run", "{report}");
    assert_eq!(env.json(&["metrics", "show"])[""]["data"]["count.json"]["data"]["n"], 1);
}

#[test]
fn what_somebody_wrote_stays() {
    let env = TestEnv::ready();
    let old = "# ours\nstages:\n  # the first\n  a:\n    cmd: 'echo a'\n\n  b: # two\n    cmd: echo b\n    outs: [b]\n# end\n";
    env.write("mlv.yaml", old);
    env.mlv(&["stage", "add", "-n", "c", "-O", "c", "echo c"]).success();
    let with_c =
        old.replace("# end\n", "\n  c:\n    cmd: echo c\n    outs:\n    - c:\n        cache: false\n# end\n");
    assert_eq!(env.read_text("mlv.yaml"), with_c);
    assert!(!env.git_ignores("c"));
    // Neither a second one of a name nor a contradiction is written.
    for (args, kind, code) in [
        (&["-n", "a", "echo other"][..], "usage", 2),
        (&["-n", "d", "-o", "b", "x"], "invalid_pipeline", 4),
        (&["-n", "d", "-o", "b/c", "x"], "invalid_pipeline", 4),
        (&["-n", "d/e", "x"], "invalid_file", 4),
        (&["-n", "d", "-o", "../x", "x"], "unsafe_path", 4),
        (&["-n", "d"], "usage", 2),
    ] {
        assert_eq!(env.json_error(&[&["stage", "add"], args].concat(), code).0, kind, "{args:?}");
    }
    assert_eq!(env.read_text("mlv.yaml"), with_c);
    env.mlv(&["stage", "add", "-f", "-n", "a", "echo other"]).success();
    assert_eq!(env.read_text("mlv.yaml"), with_c.replace("cmd: 'echo a'", "cmd: echo other"));
    env.mlv(&["stage", "add", "-n", "loop", "-d", "b", "-o", "l", "x"]).success();
    let cycle = ["stage", "add", "--force", "-n", "b", "-d", "l", "-o", "b", "x"];
    assert_eq!(env.json_error(&cycle, 4).0, "invalid_pipeline");
}

#[test]
fn outputs_of_pointers_and_of_git_are_refused() {
    let env = TestEnv::tracked();
    env.write("code.py", "1");
    env.commit("code");
    for path in ["a", "d", "d/1"] {
        let args = ["stage", "add", "-n", "s", "-o", path, "x"];
        assert_eq!(env.json_error(&args, 4).0, "invalid_pipeline", "{path}");
    }
    assert_eq!(env.json_error(&["stage", "add", "-n", "s", "-o", "code.py", "x"], 2).0, "already_tracked");
    assert!(!env.exists("mlv.yaml"));
    // git may have what mlv does not keep.
    env.mlv(&["stage", "add", "-n", "s", "-O", "code.py", "x"]).success();
}

#[test]
fn dry_run_shows_the_definition() {
    let env = TestEnv::ready();
    let folder = env.at("sub");
    insta::assert_snapshot!(folder.mlv(&["stage", "add", "--dry-run", "-n", "s", "-w", "w", "x"]).success(), @r"
      s:
        cmd: x
        wdir: w
    --- stderr
    Would add stage `sub/mlv.yaml:s` in `mlv.yaml`
    ");
    assert!(!env.exists("sub/mlv.yaml"));
    folder.mlv(&["stage", "add", "-n", "s", "--run", "echo ran > made"]).success();
    assert_eq!(env.read_text("sub/made"), "ran\n");
}

#[test]
fn file_that_lines_cannot_edit_is_left() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages: {a: {cmd: x}}\n");
    let output = env.mlv(&["stage", "add", "-n", "b", "x"]).code(2);
    assert!(output.stderr().contains("edit `mlv.yaml` by hand"), "{output}");
    assert_eq!(env.read_text("mlv.yaml"), "stages: {a: {cmd: x}}\n");
}

#[test]
fn first_stage_takes_the_place_of_empty_braces() {
    let env = TestEnv::ready();
    for empty in ["{}", "{ }", "~"] {
        env.write("mlv.yaml", format!("# mine\nstages: {empty}\nmetrics: [m.json]\n"));
        env.mlv(&["stage", "add", "-n", "b", "-o", "o", "touch o"]).success();
        let expected = "# mine\nstages:\n  b:\n    cmd: touch o\n    outs:\n    - o\nmetrics: [m.json]\n";
        assert_eq!(env.read_text("mlv.yaml"), expected, "{empty}");
    }
    env.mlv(&["repro"]).success();
    assert!(env.exists("o"));
}

#[test]
fn stages_are_listed_with_what_they_are_for() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  prepare: {cmd: x, desc: \"clean it\\nand more\", outs: [clean]}\n  \
         train: {matrix: {m: [a, b]}, cmd: x, outs: ['${key}'], metrics: ['${key}.json']}\n  \
         many: {cmd: x, frozen: true, outs: [1, 2, 3, 4, 5, 6]}\n  check: {cmd: x, deps: [clean]}\n",
    );
    env.write("sub/mlv.yaml", "stages: {alone: {cmd: [one, two]}}\n");
    insta::assert_snapshot!(env.mlv(&["stage", "list"]).success(), @r"
      prepare             clean it
      train@a             Outputs a; Reports a.json
      train@b             Outputs b; Reports b.json
      many                Outputs 1, 2, 3, 4 and 2 more (frozen)
      check               Depends on clean
      sub/mlv.yaml:alone  
    ");
    assert_eq!(env.mlv(&["stage", "list", "--name-only", "train"]).success().stdout(), "train@a\ntrain@b\n");
    assert_eq!(env.mlv(&["stage", "list", "--name-only", "sub"]).success().stdout(), "sub/mlv.yaml:alone\n");
    let report = env.json(&["stage", "list", "sub/mlv.yaml"]);
    assert_eq!(report["stages"][0]["cmd"], json!(["one", "two"]));
    assert_eq!(env.json_error(&["stage", "list", "nosuch"], 2).0, "no_such_target");
    env.write("bad/mlv.yaml", "stages: [\n");
    assert_eq!(env.mlv(&["stage", "list"]).code(4).stdout().lines().count(), 6);
    assert_eq!(env.mlv(&["stage", "list", "--fail"]).code(4).stdout(), "");
}
