//! Which stages `mlv repro` is about, and what it takes from elsewhere instead of running.

use crate::support::{TestEnv, stage_actions};

/// `a` → `b` → `c`, and `z` alone; each notes its run in `log`. What `a` makes never changes.
fn project() -> TestEnv {
    let env = TestEnv::shared();
    env.write("in", "1\n");
    env.write(
        "mlv.yaml",
        "stages:\n  \
         a: {cmd: 'echo a >> log; echo a > a', deps: [in], outs: [a]}\n  \
         b: {cmd: 'echo b >> log; cp a b', deps: [a], outs: [b]}\n  \
         c: {cmd: 'echo c >> log; cp b c', deps: [b], outs: [c]}\n  \
         z: {cmd: 'echo z >> log; echo z > z', outs: [z]}\n",
    );
    env
}

fn ran() -> TestEnv {
    let env = project();
    env.mlv(&["repro", "-j1"]).success();
    assert_eq!(runs(&env), ["a", "b", "c", "z"]);
    env.write(".gitignore", format!("{}log\n", env.read_text(".gitignore")));
    env.commit("run");
    env
}

/// The stages that ran since the last time.
fn runs(env: &TestEnv) -> Vec<String> {
    let runs = if env.exists("log") { env.read_text("log") } else { String::new() };
    env.write("log", "");
    runs.lines().map(str::to_owned).collect()
}

// DVC 80 K, `-p`, `-P`
#[test]
fn a_pipeline_is_all_that_a_target_is_linked_with() {
    let env = ran();
    for (args, expected) in [
        (&["--pipeline", "b"][..], &["a", "b", "c"][..]),
        (&["-p", "z"], &["z"]),
        (&["--downstream", "b"], &["b", "c"]),
        (&["--single", "b"], &["b"]),
        (&["b"], &["a", "b"]),
        (&["-P"], &["a", "b", "c", "z"]),
    ] {
        env.mlv(&[&["repro", "--force", "-j1"], args].concat()).success();
        assert_eq!(runs(&env), expected, "{args:?}");
    }
    env.mlv(&["repro", "-p", "-s", "b"]).code(2);
}

// DVC 80 K: without `--force` only what has to be run of these.
#[test]
fn downstream_of_a_stage_runs_as_far_as_there_are_changes() {
    let env = ran();
    env.write("in", "2\n");
    env.write("mlv.yaml", env.read_text("mlv.yaml").replace("cp a b", "cat a a > b"));
    let document = env.json(&["repro", "--downstream", "b"]);
    assert_eq!(stage_actions(&document), ["b run", "c run"]);
    assert_eq!(runs(&env), ["b", "c"], "not `a`, whose input changed");
    env.mlv(&["repro", "--no-commit", "--downstream", "a"]).success();
    assert_eq!(runs(&env), ["a"]);
}

// `-R`
#[test]
fn a_folder_means_the_stages_below_it() {
    let env = ran();
    env.write("sub/deep/mlv.yaml", "stages:\n  s: {cmd: 'echo s >> ../../log; echo s > s', outs: [s]}\n");
    env.mlv(&["repro", "-R", "sub"]).success();
    assert_eq!(runs(&env), ["s"]);
    env.mlv(&["repro", "--force", "sub"]).success();
    assert_eq!(runs(&env), ["s"]);
}

// `--force-downstream`
#[test]
fn force_downstream_runs_what_builds_on_a_stage_that_ran() {
    let env = ran();
    env.write("in", "2\n");
    let planned = env.json(&["repro", "--dry-run", "--force-downstream"]);
    assert_eq!(stage_actions(&planned), ["a would_run", "b would_run", "c would_run", "z skipped"]);
    env.mlv(&["repro", "--force-downstream"]).success();
    assert_eq!(runs(&env), ["a", "b", "c"]);
    env.mlv(&["repro", "--force-downstream"]).success();
    assert_eq!(runs(&env), Vec::<String>::new());
    env.write("in", "3\n");
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["a"], "its output is what it was");
}

#[test]
fn what_a_frozen_stage_builds_on_is_not_run_for_it() {
    let env = ran();
    env.write(
        "mlv.yaml",
        env.read_text("mlv.yaml").replace("deps: [a], outs", "deps: [a], frozen: true, outs"),
    );
    env.write("in", "2\n");
    env.mlv(&["repro", "c"]).success();
    assert_eq!(runs(&env), Vec::<String>::new());
    env.mlv(&["repro", "a"]).success();
    assert_eq!(runs(&env), ["a"]);
}

// DVC 71 K
#[test]
fn pull_brings_outputs_instead_of_making_them() {
    let env = ran();
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let planned = clone.json(&["repro", "--pull"]);
    let expected = ["a restored", "b restored", "c restored", "z restored"];
    assert_eq!(stage_actions(&planned), expected);
    assert_eq!(runs(&clone), Vec::<String>::new());
    assert_eq!(clone.read_text("c"), "a\n");
    clone.assert_sound();
    clone.mlv(&["repro"]).success();
    assert_eq!(runs(&clone), Vec::<String>::new());
}

// DVC 71 K
#[test]
fn pull_with_allow_missing_brings_only_what_must_be_read() {
    let env = ran();
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.write("mlv.yaml", clone.read_text("mlv.yaml").replace("cp b c", "cat b b > c"));
    clone.mlv(&["repro", "--pull", "--allow-missing"]).success();
    assert_eq!(runs(&clone), ["c"]);
    assert_eq!(clone.read_text("c"), "a\na\n");
    assert!(clone.exists("b") && !clone.exists("a") && !clone.exists("z"));
    clone.assert_sound();
}

#[test]
fn pull_without_a_remote_is_told_and_the_stages_run() {
    let env = ran();
    let clone = env.clone_to("clone");
    clone.mlv(&["remote", "remove", "storage"]).success();
    let output = clone.mlv(&["repro", "--pull", "-j1"]).success();
    assert_eq!(output.stderr().matches("cannot pull").count(), 1, "{output}");
    assert_eq!(runs(&clone), ["a", "b", "c", "z"]);
}

// DVC 72 F
#[test]
fn dry_run_of_a_fresh_pipeline_tells_all_and_afterwards_how_long_it_took() {
    let env = project();
    // Times are kept in milliseconds: that of the stage beside the chain is not to be none.
    env.write("mlv.yaml", env.read_text("mlv.yaml").replace("echo z > z", "sleep 0.01; echo z > z"));
    let fresh = env.json(&["repro", "--dry"]);
    assert_eq!(stage_actions(&fresh), ["a would_run", "b would_run", "c would_run", "z would_run"]);
    assert!(fresh["estimate"].is_null(), "{fresh}");
    env.mlv(&["repro"]).success();
    let known = env.json(&["repro", "--dry", "--force"]);
    assert!(known["stages"][0]["last_seconds"].is_number(), "{known}");
    let estimate = &known["estimate"];
    let (all, longest) = (estimate["seconds"].as_f64(), estimate["critical_seconds"].as_f64());
    assert!(all > longest && longest > Some(0.0), "{estimate}");
    let text = env.mlv(&["repro", "--dry", "--force"]).success();
    assert!(text.stdout().contains("(last time "), "{text}");
    // The stages may run at once: what they took together is not what the run took.
    let told = text.stderr();
    assert!(told.contains("One after the other") && told.contains("; the longest chain "), "{text}");
    assert!(!told.contains("this took"), "{text}");
    env.write(".mlv/times", "not json");
    assert!(env.json(&["repro", "--dry", "--force"])["estimate"].is_null());
}

#[test]
fn patterns_match_groups_and_stages() {
    let env = TestEnv::shared();
    let group = "  train:\n    foreach: [a, b]\n    do: {cmd: 'true'}\n  test: {cmd: 'true'}\n";
    env.write("mlv.yaml", format!("stages:\n{group}"));
    env.write("sub/mlv.yaml", format!("stages:\n{group}"));
    for (pattern, expected) in [
        ("train", &["train@a", "train@b"][..]),
        ("t[er]*", &["train@a", "train@b", "test"]),
        ("train@[b-z]", &["train@b"]),
        ("sub/mlv.yaml:tr?in", &["sub/mlv.yaml:train@a", "sub/mlv.yaml:train@b"]),
    ] {
        let report = env.json(&["repro", "--glob", "--dry", pattern]);
        let actions = stage_actions(&report);
        let stages: Vec<&str> = actions.iter().filter_map(|action| action.split(' ').next()).collect();
        assert_eq!(stages, expected, "{pattern}");
    }
    env.mlv(&["repro", "--glob", "--dry", "tra"]).code(2);
}
