//! `mlv repro`: what runs, what does not, and what a failure leaves behind.

use std::thread;
use std::time::Duration;

use crate::support::TestEnv;

/// `one` makes mid of in, `two` makes out of mid and a parameter; each notes its run in `log`.
const PIPELINE: &str = "\
stages:
  one:
    cmd: cat in > mid; echo one >> log
    deps: [in]
    outs: [mid]
  two:
    cmd: cat mid > out; grep scale params.yaml >> out; echo two >> log
    deps: [mid]
    params: [scale]
    outs: [out]
";

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("params.yaml", "scale: 1\nother: x\n");
    env.write("mlv.yaml", PIPELINE);
    env
}

fn ran() -> TestEnv {
    let env = project();
    env.mlv(&["repro"]).success();
    env.commit("run");
    env.write("log", "");
    env
}

impl TestEnv {
    /// The stages that ran since the log was emptied.
    fn runs(&self) -> Vec<String> {
        self.read_text("log").lines().map(str::to_owned).collect()
    }
}

#[test]
fn everything_runs_once_in_order_and_then_nothing() {
    let env = project();
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["one", "two"]);
    assert_eq!(env.read_text("out"), "1\nscale: 1\n");
    let lock = env.read("mlv.lock");
    env.commit("run");
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["one", "two"]);
    assert_eq!(env.read("mlv.lock"), lock);
    assert!(env.git_ignores("mid") && env.git_ignores("out"));
    env.write("log", "");
    env.commit("log");
    env.assert_clean();
    env.assert_sound();
}

#[test]
fn only_what_depends_on_a_change_runs() {
    let env = ran();
    env.write("params.yaml", "scale: 2\nother: x\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["two"]);
    env.write("params.yaml", "scale: 2\nother: y\n");
    env.write("log", "");
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), Vec::<String>::new());
    // DVC §2.9: an unchanged output stops the change.
    env.write("mlv.yaml", PIPELINE.replace("cat in >", "head -n 1 in >"));
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["one"]);
}

// DVC 64 F, R21
#[test]
fn missing_dependency_costs_no_output() {
    let env = ran();
    let before = (env.read("mid"), env.read("out"), env.read("mlv.lock"));
    env.remove("in");
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_invalid");
    assert!(document.to_string().contains("\"in\"") || document.to_string().contains("`in`"), "{document}");
    assert_eq!((env.read("mid"), env.read("out"), env.read("mlv.lock")), before);
    assert_eq!(env.runs(), Vec::<String>::new());
}

// DVC 64 F, R21: outputs are swapped in only on success.
#[test]
fn failed_stage_leaves_the_outputs_of_the_run_before() {
    let env = ran();
    let before = (env.read("mid"), env.read("mlv.lock"));
    env.write("in", "2\n");
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "echo torn > mid; exit 3;"));
    env.mlv(&["repro"]).code(8);
    assert_eq!((env.read("mid"), env.read("mlv.lock")), before);
    env.assert_sound();
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "2\nscale: 1\n");
}

// DVC 65 K, 66 F
#[test]
fn what_succeeded_before_a_failure_is_kept_with_its_ignore_lines() {
    let env = project();
    env.write("mlv.yaml", PIPELINE.replace("cat mid > out;", "false;"));
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.runs(), ["one"]);
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("  one:\n") && !lock.contains("  two:\n"), "{lock}");
    assert!(env.git_ignores("mid"));
    env.git(&["add", "--all"]);
    assert!(!env.git(&["ls-files"]).lines().any(|path| path == "mid"));
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["one", "two"]);
}

// DVC 82 F
#[test]
fn exit_code_of_a_command_is_printed_and_in_the_document() {
    let env = project();
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "exit 37;"));
    let output = env.mlv(&["repro"]).code(8);
    assert!(output.stderr().contains("37"), "{output}");
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_failed");
    assert!(document.to_string().contains("37"), "{document}");
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "kill -9 $$;"));
    let output = env.mlv(&["repro"]).code(8);
    assert!(output.stderr().contains('9') && output.stderr().contains("signal"), "{output}");
}

// DVC 69 K
#[test]
fn missing_output_is_restored_from_the_cache_without_running() {
    let env = ran();
    let before = (env.read("mid"), env.read("out"));
    env.remove("mid");
    env.remove("out");
    env.mlv(&["repro"]).success();
    assert_eq!((env.read("mid"), env.read("out")), before);
    assert_eq!(env.runs(), Vec::<String>::new());
}

// DVC 69 K
#[test]
fn output_that_is_missing_everywhere_is_made_again_or_left_away_when_allowed() {
    let env = ran();
    env.remove("mid");
    env.lose_cache();
    env.mlv(&["repro", "--allow-missing"]).success();
    assert_eq!(env.runs(), Vec::<String>::new());
    assert!(!env.exists("mid"));
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("mid"), "1\n");
    assert!(env.runs().contains(&"one".to_owned()));
}

// DVC 70 F, R2
#[test]
fn edited_output_is_saved_before_it_is_replaced() {
    let env = ran();
    env.write("out", "edited by hand");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "1\nscale: 1\n");
    assert!(env.has_rescued(b"edited by hand"));
}

// DVC 73 K
#[test]
fn command_is_compared_as_text_and_remarks_are_not() {
    let env = ran();
    let edits: [(&str, &str, &[&str]); 5] = [
        ("cmd: cat in >", "cmd: cat  in >", &["one"]),
        ("  one:\n", "  # a comment\n  one:\n    desc: first\n    meta: {owner: Ada}\n", &[]),
        ("deps: [in]", "deps: [in, extra]", &["one"]),
        ("deps: [mid]", "frozen: false\n    deps: [mid]", &[]),
        ("params: [scale]", "params: [scale, other]", &["two"]),
    ];
    env.write("extra", "e");
    for (old, new, expected) in edits {
        env.write("mlv.yaml", PIPELINE);
        env.mlv(&["repro", "--force"]).success();
        env.write("log", "");
        env.write("mlv.yaml", PIPELINE.replacen(old, new, 1));
        env.mlv(&["repro"]).success();
        assert_eq!(env.runs(), expected, "{new}");
    }
}

// DVC 73 F
#[test]
fn removed_dependency_parameter_or_output_makes_a_stage_run() {
    let full = "stages:\n  one:\n    cmd: cat in > mid; echo x > side; echo one >> log\n    deps: [in, extra]\n    \
                params: [scale, other]\n    outs: [mid, side]\n";
    for (old, new) in [("[in, extra]", "[in]"), ("[scale, other]", "[scale]"), ("[mid, side]", "[mid]")] {
        let env = project();
        env.write("extra", "e");
        env.write("mlv.yaml", full);
        env.mlv(&["repro"]).success();
        env.write("mlv.yaml", full.replace(old, new));
        let stages = env.json(&["status", "--only", "pipeline"])["stages"].clone();
        assert!(stages["one"].is_array() || stages["one"].is_object(), "{new}: {stages}");
        env.mlv(&["repro"]).success();
        assert_eq!(env.runs(), ["one", "one"], "{new}");
    }
}

// DVC 74 K
#[test]
fn time_and_mode_of_a_dependency_are_no_change() {
    let env = ran();
    env.write("in", "1\n");
    env.chmod("in", 0o755);
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), Vec::<String>::new());
}

// DVC 74, differently: modes and empty folders are part of a directory's one hash (docs/vs-dvc.md).
#[test]
fn mode_or_empty_folder_inside_a_directory_is_a_change_that_stops_where_it_changes_nothing() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.write(
        "mlv.yaml",
        "stages:\n  one: {cmd: cat d/a > mid; echo one >> log, deps: [d], outs: [mid]}\n  \
         two: {cmd: cat mid > out; echo two >> log, deps: [mid], outs: [out]}\n",
    );
    env.mlv(&["repro"]).success();
    for change in ["mode", "folder"] {
        env.write("log", "");
        match change {
            "mode" => env.chmod("d/a", 0o755),
            _ => drop(env.at("d/empty")),
        }
        env.mlv(&["repro"]).success();
        assert_eq!(env.runs(), ["one"], "{change}");
    }
    env.write("log", "");
    env.write("d/a", "1");
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), Vec::<String>::new(), "times are none");
}

#[test]
fn report_says_why_a_stage_that_failed_was_run() {
    let env = ran();
    env.write("in", "2\n");
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "cat in > mid; exit 3;"));
    let (_, document) = env.json_error(&["repro"], 8);
    let line = &document["stages"][0];
    assert_eq!((line["action"].as_str(), line["exit_code"].as_i64()), (Some("failed"), Some(3)));
    let reasons = line["reasons"].to_string();
    assert!(reasons.contains(r#""in":"modified""#) && reasons.contains("changed command"), "{document}");
}

// DVC 77 K, R21
#[test]
fn declared_output_that_was_not_made_is_an_error_after_the_command() {
    let env = ran();
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "true;"));
    let before = (env.read("mid"), env.read("mlv.lock"));
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_invalid");
    assert!(document.to_string().contains("mid"), "{document}");
    assert_eq!(env.runs(), ["one"]);
    assert_eq!((env.read("mid"), env.read("mlv.lock")), before);
}

// DVC 78 F
#[test]
fn missing_parameter_is_told_before_anything_is_touched() {
    let env = ran();
    let before = env.snapshot();
    env.write("params.yaml", "other: x\n");
    let output = env.mlv(&["repro"]);
    assert_ne!(output.exit_code(), 0);
    assert!(output.stderr().contains("scale"), "{output}");
    env.write("params.yaml", "scale: 1\nother: x\n");
    assert_eq!(env.snapshot(), before);
}

// DVC 78 K
#[test]
fn number_is_equal_however_it_is_written() {
    let env = project();
    env.write("params.yaml", "scale: 2\n");
    env.mlv(&["repro"]).success();
    env.write("log", "");
    env.write("params.yaml", "scale: 2.0\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), Vec::<String>::new());
}

// DVC 79 K
#[test]
fn contradictions_are_refused_with_the_names_of_the_stages() {
    let cases = [
        ("  q:\n    cmd: x\n    deps: [q]\n    outs: [q]\n", &["q"][..]),
        ("  a:\n    cmd: x\n    outs: [same]\n  b:\n    cmd: x\n    outs: [same]\n", &["a", "b"]),
        ("  a:\n    cmd: x\n    outs: [d]\n  b:\n    cmd: x\n    outs: [d/e]\n", &["a", "b"]),
        (
            "  a:\n    cmd: x\n    deps: [y]\n    outs: [x]\n  b:\n    cmd: x\n    deps: [x]\n    outs: [y]\n",
            &["a", "b"],
        ),
        ("  a:\n    cmd: touch ../../leads-out\n    outs: [../../leads-out]\n", &["leads-out"]),
        ("  a:\n    cmd: x\n    wdir: ../..\n    outs: [p]\n", &["wdir"]),
    ];
    for (stages, names) in cases {
        let env = TestEnv::ready();
        env.write("mlv.yaml", format!("stages:\n{stages}"));
        let (_, document) = env.json_error(&["repro"], 4);
        let text = document["error"].to_string() + &document["failed"].to_string();
        assert!(
            names.iter().all(|name| text.contains(&format!("`{name}`")) || text.contains(name)),
            "{text}"
        );
        assert!(!env.exists("../../leads-out") && !env.exists("mlv.lock"));
    }
}

#[test]
fn output_that_a_pointer_has_already_is_refused() {
    let env = TestEnv::ready();
    env.write("mid", "data");
    env.mlv(&["add", "mid"]).success();
    env.write("in", "1\n");
    env.write("params.yaml", "scale: 1\n");
    env.write("mlv.yaml", PIPELINE);
    let output = env.mlv(&["repro"]);
    assert!([2, 4].contains(&output.exit_code()), "{output}");
    assert_eq!(env.read_text("mid"), "data");
}

#[test]
fn scripts_of_several_lines_and_lists_stop_at_the_first_failure() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  script:\n    cmd: |\n      word=hello\n      echo $word > out\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "hello\n");
    env.write(
        "mlv.yaml",
        "stages:\n  script:\n    cmd: |\n      false\n      echo on > out\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).code(8);
    env.write(
        "mlv.yaml",
        "stages:\n  list:\n    cmd:\n    - echo a > out\n    - echo b >> out\n    outs: [out]\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "a\nb\n");
    env.write("mlv.yaml", "stages:\n  list:\n    cmd: [false, echo c > out]\n    outs: [out]\n");
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.read_text("out"), "a\nb\n");
}

#[test]
fn stages_run_in_their_folder_with_paths_of_that_folder() {
    let env = TestEnv::ready();
    env.write("sub/in", "x");
    env.write(
        "mlv.yaml",
        "stages:\n  s:\n    wdir: sub\n    cmd: cp in out; pwd > where; echo $MLV_STAGE > name\n    \
                           deps: [in]\n    outs: [out, where, name]\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("sub/out"), "x");
    assert_eq!(env.read_text("sub/where").trim_end(), env.path().join("sub").display().to_string());
    assert_eq!(env.read_text("sub/name"), "s\n");
}

#[test]
fn output_without_cache_stays_for_git() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  m:\n    cmd: echo '{\"x\":1}' > m.json\n    metrics:\n    - m.json:\n        cache: false\n");
    env.mlv(&["repro"]).success();
    assert!(!env.git_ignores("m.json"));
    assert!(env.loose_objects().is_empty());
    env.commit("run");
    env.assert_clean();
}

#[test]
fn tracked_data_that_changed_is_what_the_stage_sees() {
    let env = project();
    env.mlv(&["add", "in"]).success();
    env.mlv(&["repro"]).success();
    env.write("in", "2\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "2\nscale: 1\n");
}

// DVC 80 K
#[test]
fn force_and_single_item_and_targets() {
    let env = ran();
    env.mlv(&["repro", "-f"]).success();
    assert_eq!(env.runs(), ["one", "two"]);
    env.write("log", "");
    env.mlv(&["repro", "-f", "-s", "two"]).success();
    assert_eq!(env.runs(), ["two"]);
    env.write("log", "");
    env.write("in", "9\n");
    env.mlv(&["repro", "one"]).success();
    assert_eq!(env.runs(), ["one"]);
    assert_eq!(env.json_error(&["repro", "nosuch"], 2).0, "no_such_target");
}

#[test]
fn dry_run_names_the_stages_and_runs_none() {
    let env = project();
    let before = env.snapshot_of(".");
    let document = env.json(&["repro", "--dry-run"]);
    assert!(
        document.to_string().contains("\"one\"") && document.to_string().contains("\"two\""),
        "{document}"
    );
    assert_eq!(env.snapshot_of("."), before);
    env.mlv(&["repro", "--dry"]).success();
    assert!(!env.exists("log"));
    env.write("mlv.yaml", "stages: {}\n");
    assert_eq!(env.mlv(&["repro", "--dry-run"]).success().stderr(), "There are no stages.\n");
}

// K2, DVC 68 F
#[test]
fn interrupt_ends_the_command_and_leaves_the_outputs_before() {
    let env = ran();
    let before = (env.read("mid"), env.read("mlv.lock"));
    env.write("in", "2\n");
    env.write(
        "mlv.yaml",
        PIPELINE.replace(
            "cat in > mid;",
            "echo torn > mid; touch started; while :; do sleep 0.1; done; touch late;",
        ),
    );
    let mut running = env.mlv_command().arg("repro").spawn().expect("it starts");
    while !env.exists("started") {
        thread::sleep(Duration::from_millis(20));
    }
    let pid = running.id().to_string();
    assert!(env.command("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert_eq!((env.read("mid"), env.read("mlv.lock")), before);
    assert!(!env.exists("late"));
    env.assert_sound();
}

// R21: an input that changes while the stage runs is not what made the output.
#[test]
fn input_that_changed_during_the_run_is_not_recorded_as_used() {
    let run = |mutation: &str| {
        let env = project();
        env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "cat in > mid; echo late >> in;"));
        let output = env.run(env.mlv_command().arg("repro").env("MLV_MUTATE", mutation));
        let is_recorded = env.exists("mlv.lock") && env.read_text("mlv.lock").contains("  one:\n");
        (output.exit_code(), is_recorded)
    };
    assert_eq!(run(""), (8, false));
    // The mutation that this is there to notice.
    assert!(run("input-recheck").1);
}

// DVC 66 F: a failure takes no ignore line of what succeeded.
#[test]
fn ignore_lines_of_stages_that_succeeded_stay_after_a_failure() {
    let env = project();
    env.write(
        "mlv.yaml",
        "stages:\n  good:\n    cmd: echo 1 > kept\n    outs: [kept]\n  \
         bad:\n    cmd: cat kept; exit 3\n    deps: [kept]\n    outs: [never]\n",
    );
    env.mlv(&["repro"]).code(8);
    assert!(env.git_ignores("kept") && env.read_text("mlv.lock").contains("  good:\n"));
    env.mlv(&["repro"]).code(8);
    assert!(env.git_ignores("kept"));
}
