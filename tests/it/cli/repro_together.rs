//! `mlv repro` that is killed, that meets another one, and that goes on after a failure.

use std::thread;
use std::time::Duration;

use crate::support::{TestEnv, actions, hash_of};

const PIPELINE: &str = "\
stages:
  one:
    cmd: cat in > mid; echo one >> log
    deps: [in]
    outs: [mid]
  two:
    cmd: cat mid > out; echo two >> log
    deps: [mid]
    outs: [out]
";

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("mlv.yaml", PIPELINE);
    env
}

fn runs(env: &TestEnv) -> Vec<String> {
    env.read_text("log").lines().map(str::to_owned).collect()
}

// K1, R1, R15: what a killed run had moved aside comes back, and what it had finished counts.
#[test]
fn next_command_puts_right_what_a_killed_run_left() {
    let env = project();
    env.mlv(&["repro"]).success();
    let before = env.read("out");
    env.write("in", "2\n");
    env.write(
        "mlv.yaml",
        PIPELINE.replace("cat mid > out", "cat mid > out; echo $$ > pid; touch started; sleep 60; true"),
    );
    let mut running = env.mlv_command().arg("repro").spawn().expect("it starts");
    env.wait_for("started");
    running.kill().expect("it runs");
    running.wait().expect("it ends");
    assert_ne!(env.read("out"), before);
    let _ = env.mlv(&["status"]);
    assert_eq!(env.read("out"), before);
    if cfg!(target_os = "linux") {
        // Killed and perhaps not reaped yet: such a process has no environment any more.
        let pid = env.read_text("pid").trim().to_owned();
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        assert!(environment.is_empty(), "its command goes on");
    }
    assert_eq!(env.read_text("mid"), "2\n");
    assert!(env.has_rescued(b"2\n"), "the torn output is kept");
    env.write("log", "");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["two"], "the first stage had finished");
    assert_eq!(env.read_text("out"), "2\n");
}

// DVC 67 K
#[test]
fn keep_going_runs_what_does_not_depend_on_a_failure() {
    let env = project();
    let free = "  free:\n    cmd: echo f > free; echo free >> log\n    outs: [free]\n";
    env.write("mlv.yaml", format!("{}{free}", PIPELINE.replace("cat in > mid;", "exit 3;")));
    let (kind, document) = env.json_error(&["repro", "--keep-going"], 8);
    assert_eq!(kind, "stage_failed");
    assert_eq!(runs(&env), ["free"]);
    let stages = document["stages"].as_array().expect("a list");
    let actions: Vec<_> = stages.iter().filter_map(|stage| stage["action"].as_str()).collect();
    assert_eq!(actions, ["failed", "not_run", "run"]);
    let text = env.mlv(&["repro", "--keep-going"]).code(8);
    let told = "\nRan 0 stages, failed 1, skipped 1 in ";
    assert!(text.stderr().contains(told) && text.stderr().contains("\nNot run: two.\n"), "{text}");
}

// DVC 83 F, R5
#[test]
fn second_run_of_a_stage_waits_and_then_has_nothing_to_do() {
    let env = project();
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", "cat in > mid; touch started; sleep 2;"));
    let mut first = env.mlv_command().arg("repro").spawn().expect("it starts");
    env.wait_for("started");
    let busy = env.mlv(&["repro", "--no-wait"]).code(6);
    assert!(busy.stderr().contains("pid"), "{busy}");
    env.mlv(&["repro"]).success();
    assert!(first.wait().expect("it ends").success());
    assert_eq!(runs(&env), ["one", "two"]);
}

// DVC 83 F, R21: also where the run leaves that stage alone.
#[test]
fn stage_that_reads_what_another_run_makes_waits_for_it() {
    let env = project();
    env.mlv(&["repro"]).success();
    env.write("in", "2\n");
    let command = "echo half > mid; touch started; sleep 2; cat in > mid;";
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", command));
    let mut first = env.mlv_command().args(["repro", "one"]).spawn().expect("it starts");
    env.wait_for("started");
    for args in [&["--single", "two"][..], &["--downstream", "two"]] {
        assert_eq!(env.json_error(&[&["repro", "--no-wait"], args].concat(), 6).0, "busy");
    }
    env.mlv(&["repro", "--single", "two"]).success();
    assert!(first.wait().expect("it ends").success());
    assert_eq!(env.read_text("out"), "2\n");
    assert_eq!(runs(&env), ["one", "two", "one", "two"]);
    assert_eq!(actions(&env.json(&["repro"])), ["skipped", "skipped"]);
}

// DVC 83 F: what the other run has set aside is no input that is missing.
#[test]
fn stage_waits_for_what_another_run_has_set_aside() {
    let env = project();
    env.mlv(&["repro"]).success();
    env.write("in", "2\n");
    let command = "touch started; while [ ! -e go ]; do sleep 0.05; done; cat in > mid;";
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", command));
    let mut first = env.mlv_command().args(["repro", "one"]).spawn().expect("it starts");
    env.wait_for("started");
    assert!(!env.exists("mid"));
    for args in [&["--single", "two"][..], &["--downstream", "two"], &["--force", "--single", "two"]] {
        assert_eq!(env.json_error(&[&["repro", "--no-wait"], args].concat(), 6).0, "busy", "{args:?}");
        let planned = env.json(&[&["repro", "--dry-run"], args].concat());
        assert_eq!(actions(&planned), ["would_run"], "{args:?}");
    }
    let data = env.json(&["status"])["data"].clone();
    assert!(data["uncommitted"].is_null(), "{data}");
    assert_eq!(data["being_made"], serde_json::json!(["mid"]));
    let said = env.mlv(&["status"]).success().stdout();
    assert!(said.contains("  in the making: mid\n") && !said.contains("mlv remove"), "{said}");
    let second = env.mlv_command().args(["repro", "--single", "two"]).spawn();
    env.write("go", "");
    assert!(second.expect("it starts").wait().expect("it ends").success());
    assert!(first.wait().expect("it ends").success());
    assert_eq!(env.read_text("out"), "2\n");
    assert_eq!(actions(&env.json(&["repro"])), ["skipped", "skipped"]);
    // Nobody makes it: it is refused as ever.
    env.remove("mid");
    assert_eq!(env.json_error(&["repro", "--force", "--single", "two"], 8).0, "stage_invalid");
}

// DVC 83: stages that have nothing to do with each other.
#[test]
fn two_runs_of_unrelated_stages_do_not_wait() {
    let env = TestEnv::ready();
    let meet = |own: &str, other: &str| {
        format!(
            "touch here-{own} {own}; n=0; while [ ! -e here-{other} ]; do sleep 0.02; n=$((n+1)); [ $n -lt 900 ]; done"
        )
    };
    let stage =
        |name: &str, other: &str| format!("  {name}: {{cmd: '{}', outs: [{name}]}}\n", meet(name, other));
    env.write("mlv.yaml", format!("stages:\n{}{}", stage("a", "b"), stage("b", "a")));
    let start = |name: &str| env.mlv_command().args(["repro", "--no-wait", name]).spawn().expect("it starts");
    let mut both = [start("a"), start("b")];
    assert!(both.iter_mut().all(|run| run.wait().expect("it ends").success()));
    assert_eq!(actions(&env.json(&["repro"])), ["skipped", "skipped"]);
    env.assert_sound();
}

// DVC 68 F: the user asked to stop, whatever else was asked.
#[test]
fn interrupt_begins_no_other_stage_with_keep_going() {
    for option in ["--keep-going", "--ignore-errors"] {
        let env = TestEnv::ready();
        env.write(
            "mlv.yaml",
            "stages:\n  a: {cmd: 'touch started; sleep 60', outs: [a]}\n  b: {cmd: 'touch b ran', outs: [b]}\n",
        );
        let mut running = env.mlv_command().args(["repro", "-j1", option]).spawn().expect("it starts");
        env.wait_for("started");
        env.run(env.command("kill").args(["-s", "INT", &running.id().to_string()])).success();
        assert_eq!(running.wait().expect("it ends").code(), Some(130), "{option}");
        assert!(!env.exists("ran"), "{option}");
    }
}

// R5, R21: what a run is making is not accepted half made.
#[test]
fn commit_waits_for_the_run_of_a_stage() {
    let env = project();
    let command = "echo half > mid; touch started; sleep 2; cat in > mid;";
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", command));
    let mut first = env.mlv_command().args(["repro", "one"]).spawn().expect("it starts");
    env.wait_for("started");
    assert_eq!(env.read_text("mid"), "half\n");
    assert_eq!(env.json_error(&["commit", "--no-wait", "one"], 6).0, "busy");
    assert_eq!(env.json(&["commit", "--dry-run", "one"])["stages"][0], "one", "looking needs nothing");
    assert!(!env.exists("mlv.lock"));
    env.mlv(&["commit", "one"]).success();
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains(&hash_of(b"1\n")) && !lock.contains(&hash_of(b"half\n")), "{lock}");
    assert!(first.wait().expect("it ends").success());
    assert!(env.read_text("mlv.lock").contains(&hash_of(b"1\n")));
    env.mlv(&["repro", "one"]).success();
    assert_eq!(runs(&env), ["one"]);
}

// R5, R21: nor what another run makes of its inputs.
#[test]
fn commit_of_a_stage_waits_for_the_run_that_makes_what_it_reads() {
    let env = project();
    env.mlv(&["repro"]).success();
    env.write("in", "2\n");
    env.write("out", "by hand\n");
    let command = "touch started; while [ ! -e go ]; do sleep 0.05; done; cat in > mid;";
    env.write("mlv.yaml", PIPELINE.replace("cat in > mid;", command));
    let mut first = env.mlv_command().args(["repro", "one"]).spawn().expect("it starts");
    env.wait_for("started");
    for args in [&["two"][..], &["out"], &["--force"]] {
        assert_eq!(env.json_error(&[&["commit", "--no-wait"], args].concat(), 6).0, "busy", "{args:?}");
    }
    env.mlv(&["commit", "--no-wait"]).success();
    let commit = env.mlv_command().args(["commit", "two"]).spawn();
    env.write("go", "");
    assert!(commit.expect("it starts").wait().expect("it ends").success());
    assert!(first.wait().expect("it ends").success());
    let lock = env.read_text("mlv.lock");
    let two = &lock[lock.find("  two:").expect("an entry")..];
    assert!(two.contains(&hash_of(b"2\n")) && two.contains(&hash_of(b"by hand\n")), "{lock}");
    assert_eq!(actions(&env.json(&["repro"])), ["skipped", "skipped"]);
}

#[test]
fn output_that_git_tracks_is_refused_before_anything_runs() {
    let env = project();
    env.write("mid", "mine");
    env.commit("mid is in git");
    assert_eq!(env.json_error(&["repro"], 2).0, "already_tracked");
    assert_eq!(env.read_text("mid"), "mine");
    assert!(!env.exists("log"));
}

// R2
#[test]
fn directory_is_made_anew_by_each_run_and_edits_are_saved() {
    let env = TestEnv::ready();
    env.write("in", "a b");
    let command = "mkdir d; for n in $(cat in); do echo $n > d/$n; done";
    env.write("mlv.yaml", format!("stages:\n  s:\n    cmd: {command}\n    deps: [in]\n    outs: [d]\n"));
    env.mlv(&["repro"]).success();
    env.write("d/mine", "by hand");
    env.mlv(&["repro"]).success();
    assert!(!env.exists("d/mine") && env.has_rescued(b"by hand"));
    env.write("in", "b c");
    env.mlv(&["repro"]).success();
    assert!(!env.exists("d/a") && env.exists("d/c"));
}

// Absent is not deleted, and never the input of a run.
#[test]
fn stage_does_not_run_on_data_that_is_partly_here() {
    let env = TestEnv::ready();
    env.write("d/a", "a");
    env.write("d/b", "b");
    env.mlv(&["add", "d"]).success();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: ls d > out\n    deps: [d]\n    outs: [out]\n");
    env.remove("d");
    env.remove(".mlv/here");
    env.mlv(&["checkout", "d/a"]).success();
    assert_eq!(env.json_error(&["repro"], 5).0, "not_downloaded");
    assert!(!env.exists("out"));
}

#[test]
fn files_that_were_looked_at_before_are_not_read_again() {
    use std::os::unix::fs::MetadataExt;
    let env = project();
    env.mlv(&["repro"]).success();
    thread::sleep(Duration::from_millis(100));
    env.mlv(&["repro"]).success();
    // Whoever reads a file notes it, and replaces the index.
    let inode = || env.path().join(".mlv/index").metadata().expect("an index").ino();
    let before = inode();
    env.mlv(&["repro"]).success();
    assert_eq!(inode(), before);
}

// R4, R5, R21: what a stage is making is its own until it ends.
#[test]
fn outputs_of_a_running_stage_are_left_alone() {
    let env = TestEnv::shared();
    env.write("name", "v1");
    env.write("data", "1");
    env.write(
        "mlv.yaml",
        "stages:
  make:
    cmd: mkdir o; touch started; while [ ! -e go ]; do sleep 0.05; done; echo x > o/$(cat name)
    deps: [name]
    outs: [o]
",
    );
    env.mlv(&["add", "data"]).success();
    env.write("go", "");
    env.mlv(&["repro"]).success();
    env.commit("one");
    env.mlv(&["push"]).success();
    for file in ["go", "started", "data"] {
        env.remove(file);
    }
    env.write("name", "v2");
    let mut running = env.mlv_command().arg("repro").spawn().expect("it starts");
    env.wait_for("started");
    for command in [&["checkout"][..], &["checkout", "--force", "o"], &["pull"], &["checkout", "make"]] {
        let (kind, document) = env.json_error(command, 6);
        assert_eq!(kind, "busy", "{command:?}: {document}");
        assert!(document.to_string().contains("stage `make` is in use by pid"), "{document}");
        assert!(!env.exists("o/v1"), "{command:?}");
    }
    assert_eq!(env.json_error(&["remove", "--outs", "make"], 6).0, "busy");
    assert_eq!(env.read_text("data"), "1", "the rest is checked out");
    // What would be done is no secret.
    env.mlv(&["checkout", "--dry-run"]).success();
    env.write("go", "");
    assert!(running.wait().expect("it ends").success());
    env.mlv(&["checkout"]).success();
    assert!(env.exists("o/v2") && !env.exists("o/v1"));
    env.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
}

// R5, R21: nor is what it has made, as long as the lock on the disk is the one of before.
#[test]
fn outputs_of_a_stage_that_is_done_are_left_alone() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:
  a: {cmd: cat in > oa, deps: [in], outs: [oa]}
  b:
    cmd: touch started; while [ ! -e go ]; do sleep 0.05; done; cat oa > ob
    deps: [oa]
    outs: [ob]
",
    );
    env.write("go", "");
    for value in ["0", "1"] {
        env.write("in", value);
        env.mlv(&["repro"]).success();
    }
    env.commit("one");
    env.write("in", "0");
    env.remove("go");
    env.remove("started");
    let mut running = env.mlv_command().args(["repro", "--no-run-cache"]).spawn().expect("it starts");
    env.wait_for("started");
    for command in [&["checkout"][..], &["checkout", "--force"]] {
        assert!([0, 6].contains(&env.mlv(command).exit_code()));
        assert_eq!(env.read_text("oa"), "0");
    }
    env.write("go", "");
    assert!(running.wait().expect("it ends").success());
    env.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
}

// DVC 83 F, R5, R21: who reads an output keeps others from making it anew, and shares it with who reads it too.
#[test]
fn output_that_a_running_stage_reads_stays_as_it_is() {
    let env = project();
    let slow = "touch started; while [ ! -e go ]; do sleep 0.05; done; cat mid > out;";
    let third = "  three:\n    cmd: cat mid > third\n    deps: [mid]\n    outs: [third]\n";
    env.write("mlv.yaml", PIPELINE.replace("cat mid > out;", slow) + third);
    let mut running = env.mlv_command().args(["repro", "two"]).spawn().expect("it starts");
    env.wait_for("started");
    env.mlv(&["repro", "--no-wait", "--single", "three"]).success();
    env.write("in", "2\n");
    for args in [&["repro", "one"][..], &["repro", "--force", "one"], &["remove", "--outs", "one"]] {
        assert_eq!(env.json_error(&[&["--no-wait"], args].concat(), 6).0, "busy", "{args:?}");
        assert_eq!(env.read_text("mid"), "1\n");
    }
    let mut waiting = env.mlv_command().args(["repro", "one"]).spawn().expect("it starts");
    env.write("go", "");
    assert!(running.wait().expect("it ends").success());
    assert!(waiting.wait().expect("it ends").success());
    assert_eq!((env.read_text("out"), env.read_text("mid")), ("1\n".to_owned(), "2\n".to_owned()));
    env.mlv(&["repro"]).success();
    assert_eq!((env.read_text("out"), env.read_text("third")), ("2\n".to_owned(), "2\n".to_owned()));
}

// R5: what others begin anew is waited for, and nobody fails of it.
#[test]
fn runs_that_force_the_same_stages_all_succeed() {
    let env = project();
    let runs: Vec<_> =
        (0..4).map(|_| env.mlv_command().args(["repro", "--force"]).spawn().expect("it starts")).collect();
    for mut run in runs {
        assert!(run.wait().expect("it ends").success());
    }
    assert_eq!(env.read_text("out"), "1\n");
    env.mlv(&["status", "--exit-code", "--only", "pipeline"]).success();
}

// R21: what an input held in between, nobody knows.
#[test]
fn run_during_which_an_input_was_written_is_not_recorded() {
    let env = TestEnv::ready();
    let slow = "cat in > out; touch started; while [ ! -e go ]; do sleep 0.05; done";
    env.write("mlv.yaml", format!("stages:\n  s:\n    cmd: {slow}\n    deps: [in]\n    outs: [out]\n"));
    env.write("in", "2\n");
    for is_replaced in [false, true] {
        let mut running = env.mlv_command().args(["repro", "--json"]).spawn().expect("it starts");
        env.wait_for("started");
        if is_replaced {
            let rename = |from, to| std::fs::rename(env.path().join(from), env.path().join(to)).unwrap();
            rename("in", "kept");
            env.write("in", "1\n");
            rename("kept", "in");
        } else {
            env.write("in", "1\n");
            env.write("in", "2\n");
        }
        env.write("go", "");
        assert!(running.wait().expect("it ends").success());
        assert_eq!(env.read_text("out"), "2\n", "it is kept");
        assert!(!env.exists("mlv.lock"));
        env.remove("go");
        env.remove("started");
    }
    env.mlv(&["status", "--only", "pipeline", "--exit-code"]).code(1);
    env.mlv(&["commit", "s"]).success();
    env.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
}
