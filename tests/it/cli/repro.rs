//! `mlv repro`: what runs, and what does not.

use crate::support::TestEnv;

/// `one` makes mid of in, `two` makes out of mid and a parameter; each notes its run in `log`.
pub(super) const PIPELINE: &str = "\
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

pub(super) fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("params.yaml", "scale: 1\nother: x\n");
    env.write("mlv.yaml", PIPELINE);
    env
}

pub(super) fn ran() -> TestEnv {
    let env = project();
    env.mlv(&["repro"]).success();
    env.commit("run");
    env.write("log", "");
    env
}

impl TestEnv {
    /// The stages that ran since the log was emptied.
    pub(super) fn runs(&self) -> Vec<String> {
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
// DVC 64 F, R21: outputs are swapped in only on success.
// DVC 65 K, 66 F
// DVC 82 F
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

// DVC 74; differently: modes are part of a directory's one hash (docs/vs-dvc.md).
#[test]
fn mode_inside_a_directory_is_a_change_that_stops_where_it_changes_nothing_and_an_empty_folder_is_none() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.write(
        "mlv.yaml",
        "stages:\n  one: {cmd: cat d/a > mid; echo one >> log, deps: [d], outs: [mid]}\n  \
         two: {cmd: cat mid > out; echo two >> log, deps: [mid], outs: [out]}\n",
    );
    env.mlv(&["repro"]).success();
    env.write("log", "");
    env.chmod("d/a", 0o755);
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), ["one"]);
    env.write("log", "");
    env.at("d/empty");
    env.write("d/a", "1");
    env.mlv(&["repro"]).success();
    assert_eq!(env.runs(), Vec::<String>::new(), "times are none");
}

// DVC 77 K, R21
// DVC 78 F
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
// R21: an input that changes while the stage runs is not what made the output.
// DVC 66 F: a failure takes no ignore line of what succeeded.
