//! `mlv resolve`.

use serde_json::json;

use super::merge_driver::data;
use crate::support::{TestEnv, actions};

/// A conflict in `d/a`, in the middle of a merge; everything else merges.
fn in_conflict() -> TestEnv {
    let env = TestEnv::diverged(
        data(&[("a", "1"), ("b", "1"), ("c", "1")]),
        data(&[("a", "2"), ("b", "2")]),
        data(&[("a", "3"), ("c", "3")]),
    );
    let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    env
}

fn contents(env: &TestEnv) -> [String; 3] {
    env.mlv(&["checkout"]).success();
    ["a", "b", "c"].map(|name| env.read_text(format!("d/{name}")))
}

#[test]
fn one_side_counts_for_what_both_changed_and_nothing_else() {
    for (flag, expected) in [("--ours", ["2", "2", "3"]), ("--theirs", ["3", "2", "3"])] {
        let env = in_conflict();
        let (kind, document) = env.json_error(&["resolve"], 1);
        assert_eq!(kind, "conflict");
        assert!(
            document["error"]["message"].as_str().is_some_and(|text| text.contains("`d/a`")),
            "{document}"
        );
        assert_eq!(env.json(&["resolve", flag, "--dry-run"])["resolved"][0]["path"], "d.mlv");
        assert!(env.read_text("d.mlv").contains("<<<<<<<"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.mlv(&["resolve", flag, "d"]).success(), @r"
            --- stderr
            Resolved `d.mlv`
            hint: git add d.mlv
            hint: the data: mlv pull
            ");
        }
        assert_eq!(contents(&env), expected);
        env.commit("merged");
        env.assert_clean();
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.mlv(&["resolve"]).success(), @r"
            --- stderr
            No pointer or lock is in conflict.
            ");
        }
        assert_eq!(env.json_error(&["resolve", "d"], 2).0, "no_such_target");
    }
}

/// Git merged text, as in a clone without the driver.
#[test]
fn merge_that_git_made_alone_is_made_again() {
    let env = TestEnv::diverged(data(&[("a", "1"), ("b", "1")]), data(&[("a", "2")]), data(&[("b", "2")]));
    env.git(&["config", "--unset", "merge.mlv.driver"]);
    let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    let output = env.mlv(&["resolve"]).success();
    assert!(output.stderr().contains("Resolved `d.mlv`\n"), "{output}");
    assert!(output.stderr().ends_with("hint: to have git do this: mlv install\n"), "{output}");
    env.mlv(&["checkout"]).success();
    assert_eq!([env.read_text("d/a"), env.read_text("d/b")], ["2", "2"]);
}

#[test]
fn markers_alone_are_enough_for_one_side() {
    let env = in_conflict();
    env.commit("by accident");
    let (kind, document) = env.json_error(&["resolve"], 1);
    assert_eq!(kind, "conflict");
    assert!(document.to_string().contains("started from is not known"), "{document}");
    env.mlv(&["resolve", "--theirs"]).success();
    assert_eq!(contents(&env), ["3", "1", "3"]);
}

#[test]
fn locks_that_git_merged_as_text_are_merged_again() {
    let stage = |text: &'static str| {
        move |env: &TestEnv| {
            env.write("mlv.yaml", "stages:\n  s: {cmd: cat a b > o, deps: [a, b], outs: [o]}\n");
            text.split(' ').for_each(|pair| env.write(&pair[..1], &pair[2..]));
            env.mlv(&["repro"]).success();
        }
    };
    for side in [None, Some("--ours"), Some("--theirs")] {
        let env = TestEnv::diverged(stage("a=1 b=1"), stage("a=2"), stage("b=2"));
        env.git(&["config", "--unset", "merge.mlv.driver"]);
        let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
        let args: Vec<&str> = ["resolve"].into_iter().chain(side).collect();
        let report = env.json(&args);
        let stale = if side.is_none() { json!(["s"]) } else { json!([]) };
        assert_eq!(report["resolved"], json!([{"path": "mlv.lock", "removed": false, "stale": stale}]));
        // Whatever was taken: the stage has other inputs than any run had.
        env.mlv(&["repro"]).success();
        assert_eq!(env.read_text("o"), "22");
    }
}

#[test]
fn file_that_one_side_removed_is_kept_or_removed_as_asked() {
    for (flag, is_there) in [("--ours", true), ("--theirs", false)] {
        let env = TestEnv::diverged(data(&[("a", "1")]), data(&[("a", "2")]), |env| {
            env.mlv(&["remove", "--outs", "d"]).success();
        });
        let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
        let (_, document) = env.json_error(&["resolve"], 1);
        assert!(document.to_string().contains("changed on one side and removed on the other"), "{document}");
        assert_eq!(env.json(&["resolve", flag])["resolved"][0]["removed"], !is_there);
        assert_eq!(env.exists("d.mlv"), is_there);
    }
}

#[test]
fn what_a_person_merged_is_left() {
    let env = in_conflict();
    let text = env.git(&["show", "HEAD:d.mlv"]);
    env.write("d.mlv", format!("# merged by hand\n{text}\n"));
    let output = env.mlv(&["resolve"]).code(1);
    assert!(output.stderr().contains("hint: if it is right as it is: git add d.mlv"), "{output}");
    assert!(env.read_text("d.mlv").starts_with("# merged by hand\n"));
    env.mlv(&["resolve", "--theirs"]).success();
    assert_eq!(contents(&env), ["3", "2", "3"]);
}

#[test]
fn conflicts_below_the_current_folder_and_at_the_root_are_named_from_there() {
    let env = in_conflict();
    let folder = env.at("x/y");
    let output = folder.mlv(&["resolve"]).code(1);
    assert!(output.stderr().contains("both sides changed `../../d/a`"), "{output}");
    folder.mlv(&["resolve", "--ours", "../../d.mlv"]).success();
}

// K1, R1, R15
#[test]
fn resolve_killed_anywhere_is_finished_by_resolve() {
    let before = in_conflict();
    for step in 1.. {
        let env = before.duplicate();
        let fault = format!("kill:{step}");
        let output = env.run(env.mlv_command().args(["resolve", "--ours"]).env("MLV_FAULT", fault));
        if output.exit_code() == 0 {
            assert!(step > 5, "only {step} steps");
            return;
        }
        assert_eq!(output.exit_code(), 137, "{output}");
        let text = env.read_text("d.mlv");
        assert!(
            text.starts_with("<<<<<<< ours\n") || text.starts_with("version: 1\n"),
            "step {step}: {text}"
        );
        env.mlv(&["resolve", "--ours"]).success();
        assert_eq!(contents(&env), ["2", "2", "3"], "step {step}");
    }
}

// R14
#[test]
fn conflict_that_git_left_without_markers_is_told() {
    let removed = |env: &TestEnv| {
        env.mlv(&["remove", "--outs", "d"]).success();
    };
    let cannot_start = TestEnv::diverged(data(&[("a", "1")]), data(&[("a", "2")]), data(&[("a", "3")]));
    cannot_start.git(&["config", "merge.mlv.driver", "/nonexistent/mlv merge-driver %O %A %B %P"]);
    let one_removed = TestEnv::diverged(data(&[("a", "1")]), data(&[("a", "2")]), removed);
    for env in [cannot_start, one_removed] {
        let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
        assert!(!env.read_text("d.mlv").contains("<<<"));
        let (kind, document) = env.json_error(&["status"], 1);
        assert_eq!((kind.as_str(), &document["error"]["hints"]), ("conflict", &json!(["mlv resolve d.mlv"])));
        assert_eq!(document["failed"].as_array().map(Vec::len), Some(1), "{document}");
        env.mlv(&["status", "--only", "pipeline"]).success();
        // Either side ends it, also the one that was there.
        env.mlv(&["resolve", "--ours"]).success();
        env.mlv(&["status"]).success();
    }
}

#[test]
fn what_was_resolved_is_not_resolved_again_unless_named() {
    let both = |text: &'static str| {
        move |env: &TestEnv| {
            for name in ["x", "y", "z"] {
                env.write(name, text);
                env.mlv(&["add", name]).success();
            }
        }
    };
    let env = TestEnv::diverged(both("1"), both("2"), both("3"));
    let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    env.mlv(&["resolve", "--ours", "x"]).success();
    let report = env.json(&["resolve", "--theirs"]);
    assert_eq!(report["resolved"][0]["path"], "y.mlv", "{report}");
    assert_eq!(report["git_add"], json!(["x.mlv", "y.mlv", "z.mlv"]));
    let contents = || {
        env.mlv(&["checkout"]).success();
        ["x", "y", "z"].map(|name| env.read_text(name))
    };
    assert_eq!(contents(), ["2", "3", "3"]);
    insta::assert_snapshot!(env.mlv(&["resolve", "--ours"]).success(), @r"
    --- stderr
    All conflicts are resolved.
    hint: git add x.mlv y.mlv z.mlv
    ");
    assert_eq!(contents(), ["2", "3", "3"]);
    env.mlv(&["resolve", "--ours", "y"]).success();
    assert_eq!(contents(), ["2", "2", "3"]);
    // Without the hint it is as if nothing was resolved.
    env.remove(".mlv/resolved");
    env.mlv(&["resolve", "--theirs"]).success();
    assert_eq!(contents(), ["3", "3", "3"]);
    env.commit("merged");
    env.mlv(&["resolve"]).success();
    assert_eq!(env.read_text(".mlv/resolved"), "");
}

#[test]
fn everything_else_stays_usable_while_a_file_is_in_conflict() {
    let side = |text: &'static str| {
        move |env: &TestEnv| {
            env.write("d/a", text);
            env.mlv(&["add", "d"]).success();
            env.write("e", "1");
            env.mlv(&["add", "e"]).success();
            env.write(
                "mlv.yaml",
                "stages:\n  s: {cmd: 'cp e o; echo {} > m', deps: [e], outs: [o], metrics: [m]}\n",
            );
        }
    };
    let env = TestEnv::diverged(side("1"), side("2"), side("3"));
    env.mlv(&["remote", "add", "-d", "r", "../r"]).success();
    let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    for args in [
        &["cat", "d/a"][..],
        &["checkout", "d/a"],
        &["rm", "d/a"],
        &["diff", "--targets", "d/a"],
        &["status", "d/a"],
        &["add", "d/a"],
        &["commit", "d"],
        &["commit", "d/a"],
        &["ls", "d/a"],
        &["pull", "d/a"],
    ] {
        let (_, document) = env.json_error(args, 4);
        let error = &document["error"];
        assert_eq!(error["hints"], json!(["mlv resolve d.mlv"]), "{args:?}: {document}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("cannot be used")), "{document}");
    }
    env.write("e", "2");
    env.mlv(&["commit", "e"]).success();
    env.mlv(&["repro", "s"]).success();
    env.mlv(&["push", "e", "s"]).success();
    // All that can be told is told, the conflict once.
    for (args, told) in [
        (&["diff"][..], json!([{"path": "e"}])),
        (&["metrics", "show"], json!(null)),
        (&["metrics", "diff"], json!(null)),
        (&["pull"], json!(null)),
    ] {
        let output = env.mlv(&[args, &["--json"]].concat()).code(4);
        let document = output.json();
        assert_eq!(document["modified"], told, "{args:?}: {document}");
        assert_eq!(document["failed"].as_array().map(Vec::len), Some(1), "{args:?}: {document}");
        assert!(!document.to_string().contains("\"d/a\""), "{document}");
    }
    let page = env.mlv(&["report", "--json"]).code(4).json();
    assert_eq!(page["data"][0]["path"], "e", "{page}");
    assert_eq!(page["failed"].as_array().map(Vec::len), Some(1), "{page}");
    let (_, document) = env.json_error(&["resolve", "--ours", "d/a"], 2);
    assert_eq!(document["error"]["path"], "d/a");
    env.mlv(&["resolve", "--ours", "d"]).success();
    env.mlv(&["diff"]).success();
}

/// Git merged `mlv.lock` as text: of three stages both sides ran the one in the middle.
fn lock_in_conflict() -> TestEnv {
    let side = |text: &'static str| {
        move |env: &TestEnv| {
            env.write("in", text);
            let stage = |name: &str, reads: &str| {
                format!(
                    "  {name}: {{cmd: 'cat {reads} > {name}; echo {name} >> log', deps: [{reads}], outs: [{name}]}}\n"
                )
            };
            let stages = [("a", "same"), ("m", "in"), ("z", "same")].map(|(name, reads)| stage(name, reads));
            env.write("mlv.yaml", format!("stages:\n{}", stages.concat()));
            env.write("same", "same");
            env.mlv(&["repro"]).success();
            env.remove("log");
        }
    };
    let env = TestEnv::diverged(side("1"), side("2"), side("3"));
    env.git(&["config", "--unset", "merge.mlv.driver"]);
    let _ = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    env.write("in", "4");
    env
}

#[test]
fn stages_that_a_conflict_in_the_lock_does_not_touch_stay_usable() {
    let env = lock_in_conflict();
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("<<<<<<<"), "{lock}");
    env.mlv(&["remote", "add", "-d", "r", "../r"]).success();
    let stale =
        json!({"m": [{"changed deps": {"in": "modified"}}, "lock entry was merged or edited, never run"]});
    let document = env.mlv(&["status", "--json"]).code(4).json();
    assert_eq!(document["stages"], stale);
    assert_eq!(document["error"]["hints"], json!(["mlv resolve"]), "{document}");
    // Those that nothing happened to are checked out, sent, brought back, and are up to date.
    env.remove("a");
    env.remove("z");
    env.mlv(&["checkout", "a"]).success();
    env.mlv(&["push", "a", "z"]).success();
    let output = env.mlv(&["repro", "a", "z", "--json"]).success();
    assert!(output.stderr().contains("(mlv resolve)"), "{output}");
    assert_eq!(actions(&output.json()), ["skipped", "restored"]);
    let page = env.mlv(&["report", "--json"]).code(4).json();
    assert_eq!(page["failed"].as_array().map(Vec::len), Some(1), "{page}");
    for args in [&["diff"][..], &["metrics", "show"], &["params", "diff"]] {
        let document = env.mlv(&[args, &["--json"]].concat()).code(4).json();
        assert_eq!(document["failed"].as_array().map(Vec::len), Some(1), "{args:?}: {document}");
    }
    // The other is not run, for nobody could write what came of it.
    for args in [&["repro", "m"][..], &["repro", "--keep-going"], &["commit", "m"]] {
        let (kind, document) = env.json_error(args, 4);
        assert_eq!(kind, "invalid_file", "{args:?}: {document}");
        assert!(document.to_string().contains("mlv resolve"), "{args:?}: {document}");
    }
    assert!(!env.exists("log"));
    assert_eq!(env.read_text("mlv.lock"), lock);
    env.mlv(&["resolve"]).success();
    env.mlv(&["repro"]).success();
    assert_eq!([env.read_text("log"), env.read_text("m")], ["m\n", "4"]);
}

#[test]
fn stages_of_other_files_run_beside_a_file_that_cannot_be_read() {
    let bad_lock = "version: 1\n<<<<<<< a\nstages: [\n=======\nstages: {\n>>>>>>> b\n";
    for (file, bytes) in [("y/mlv.lock", bad_lock), ("y/mlv.yaml", "stages: [\n")] {
        let env = TestEnv::ready();
        for folder in ["x", "y"] {
            env.write(
                format!("{folder}/mlv.yaml"),
                "stages:\n  a: {cmd: cat in > o, deps: [in], outs: [o]}\n",
            );
            env.write(format!("{folder}/in"), "1");
        }
        env.write("z/mlv.yaml", "stages:\n  b: {cmd: cat ../y/o > o, deps: [../y/o], outs: [o]}\n");
        env.mlv(&["repro"]).success();
        env.write(file, bytes);
        env.write("x/in", "2");
        let output = env.mlv(&["repro", "x/mlv.yaml"]).success();
        assert!(output.stderr().contains(file), "{output}");
        assert_eq!(env.read_text("x/o"), "2");
        env.mlv(&["explain", "x/mlv.yaml:a"]).success();
        for args in [&["repro"][..], &["repro", "y/mlv.yaml"], &["repro", "z/mlv.yaml"]] {
            assert!(env.mlv(args).code(4).stderr().contains(file), "{file}: {args:?}");
        }
    }
}
