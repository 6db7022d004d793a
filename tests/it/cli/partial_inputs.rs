//! A stage never runs on the part of its input that happens to be here, and is never called up to date
//! for it (R21): a folder inside a directory, and a folder that holds outputs.

use serde_json::Value;

use crate::support::{TestEnv, stage_actions};

/// A project whose stage reads `input`, and a clone of it without data.
fn clone_of(input: &str, prepare: impl FnOnce(&TestEnv)) -> TestEnv {
    let env = TestEnv::shared();
    prepare(&env);
    let cmd = format!("find {input} -type f ! -name '*.mlv' | LC_ALL=C sort | xargs cat > out");
    env.write("mlv.yaml", format!("stages:\n  s:\n    cmd: {cmd}\n    deps: [{input}]\n    outs: [out]\n"));
    env.mlv(&["repro"]).success();
    env.commit("data and stage");
    env.mlv(&["push"]).success();
    env.clone_to("clone")
}

fn in_a_directory(input: &str) -> TestEnv {
    clone_of(input, |env| {
        for name in ["1", "2", "3", "deep/4", "deep/5"] {
            env.write(format!("raw/sub/{name}"), name);
        }
        env.mlv(&["add", "raw"]).success();
    })
}

/// Nothing may be called changed, nothing may run before all is here, and then nothing has to.
fn check(clone: &TestEnv, input: &str) {
    let lock = clone.read("mlv.lock");
    assert_eq!(clone.json(&["status"])["stages"], serde_json::Value::Null, "{}", clone.json(&["status"]));
    let (kind, document) = clone.json_error(&["repro", "--force"], 5);
    assert_eq!(kind, "not_downloaded", "{document}");
    assert!(document.to_string().contains(&format!("mlv pull {input}")), "{document}");
    assert_eq!(clone.read("mlv.lock"), lock);
    clone.mlv(&["repro", "--pull", "--force"]).success();
    assert_eq!(clone.read("mlv.lock"), lock);
    let status = clone.status();
    assert!(status.get("stages").is_none() && status.get("data").is_none(), "{status}");
}

#[test]
fn folder_inside_a_directory_that_is_partly_here() {
    for (part, input) in
        [("raw/sub/1", "raw/sub"), ("raw/sub/deep/4", "raw/sub/deep"), ("raw/sub/2", "raw/sub/deep")]
    {
        let clone = in_a_directory(input);
        clone.mlv(&["pull", part, "out"]).success();
        check(&clone, input);
    }
}

#[test]
fn folder_that_holds_outputs_of_which_some_are_here() {
    let clone = clone_of("data", |env| {
        for name in ["1", "2", "3"] {
            env.write(format!("data/{name}"), name);
            env.write(format!("data/dir/{name}"), name);
        }
        env.mlv(&["add", "data/1", "data/2", "data/3", "data/dir"]).success();
    });
    clone.mlv(&["pull", "data/1", "data/dir/2", "out"]).success();
    check(&clone, "data");
}

// What the user changed counts, together with what is not here.
#[test]
fn edit_of_a_part_is_a_change_of_the_whole_input() {
    let clone = in_a_directory("raw/sub");
    clone.mlv(&["pull", "raw/sub/1", "out"]).success();
    clone.write("raw/sub/1", "edited");
    assert_ne!(clone.json(&["status"])["stages"], serde_json::Value::Null);
    assert_eq!(clone.json_error(&["repro"], 5).0, "not_downloaded");
    clone.mlv(&["repro", "--pull"]).success();
    assert_eq!(clone.read_text("out"), "edited23deep/4deep/5");
}

#[test]
fn commit_does_not_accept_an_input_that_is_partly_here() {
    let clone = in_a_directory("raw/sub");
    let lock = clone.read("mlv.lock");
    clone.mlv(&["pull", "raw/sub/1", "out"]).success();
    clone.mlv(&["commit", "s"]).success();
    assert_eq!(clone.read("mlv.lock"), lock);
}

// The first look at a fresh clone needs no data and no list of files.
#[test]
fn fresh_clone_of_a_stage_that_reads_a_part() {
    let clone = in_a_directory("raw/sub");
    // Whether a part changed, only the list of files tells: the pointer names the whole.
    let status = clone.status();
    assert_eq!(status["stages"]["s"], serde_json::json!([{ "changed deps": { "raw/sub": "unknown" } }]));
    clone.mlv(&["status", "--only", "pipeline", "--exit-code"]).code(1);
    let (kind, document) = clone.json_error(&["repro", "--allow-missing"], 5);
    assert_eq!(kind, "not_downloaded");
    assert!(document.to_string().contains("mlv fetch raw"), "{document}");
    let explained = clone.json(&["explain"]);
    let input = explained["stages"][0]["inputs"].as_array().unwrap().iter().find(|one| one["kind"] == "dep");
    assert_eq!((&input.unwrap()["change"], &input.unwrap()["current"]), (&"unknown".into(), &Value::Null));
    // Lists come also where nothing else is to come.
    clone.mlv(&["fetch", "--dry-run"]).success();
    let status = clone.status();
    assert!(status.get("stages").is_none(), "{status}");
    clone.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
    let planned = clone.json(&["repro", "--dry-run"]);
    assert_eq!(planned["stages"][0]["action"], "not_downloaded", "{planned}");
    clone.mlv(&["repro", "--allow-missing"]).success();
    assert_eq!(clone.json_error(&["repro"], 5).0, "not_downloaded");
    let before = clone.read("mlv.lock");
    let report = clone.json(&["repro", "--pull"]);
    assert_eq!(report["stages"][0]["action"], "restored", "{report}");
    assert_eq!(clone.read("mlv.lock"), before);
    clone.mlv(&["pull"]).success();
    clone.assert_clean();
}

fn sorted_actions(document: &Value) -> Vec<String> {
    let mut actions = stage_actions(document);
    actions.sort();
    actions
}

/// `prep` makes a directory and a parameter file, `use` reads a part of both, `all` a folder that holds outputs.
fn stages_that_read_parts() -> TestEnv {
    let env = TestEnv::shared();
    env.write("in", "1");
    env.write(
        "mlv.yaml",
        "stages:
  prep:
    cmd: >-
      mkdir -p out res; cat in > out/a; cat in > out/b; echo 'lr: 1' > p.yaml; cat in > res/x
    deps: [in]
    outs: [out, p.yaml, res/x]
  use:
    cmd: cat out/a p.yaml > u; echo used >> runs
    deps: [out/a]
    params: [p.yaml: [lr]]
    outs: [u]
  all:
    cmd: cat res/x > sum; echo summed >> runs
    deps: [res]
    outs: [sum]
",
    );
    env.mlv(&["repro"]).success();
    env.commit("all");
    env.mlv(&["push"]).success();
    env
}

// What is brought back counts before it is put into place, also where only a part of it is read.
#[test]
fn stages_behind_a_restored_output_are_restored_too() {
    let lost = [
        &["out"][..],
        &["out", "u"],
        &["p.yaml", "u"],
        &["res/x", "sum"],
        &["out", "p.yaml", "u", "res/x", "sum"],
    ];
    for lost in lost {
        let env = stages_that_read_parts();
        let runs = env.read_text("runs");
        for path in lost {
            env.remove(path);
        }
        env.mlv(&["repro"]).success();
        assert_eq!(env.read_text("runs"), runs, "{lost:?}: nothing has to run");
        env.assert_clean();
    }
    for pull in [&["fetch"][..], &["repro", "--pull"]] {
        let clone = stages_that_read_parts().clone_to("clone");
        let runs = clone.read_text("runs");
        clone.mlv(pull).success();
        clone.mlv(&["repro"]).success();
        assert_eq!(clone.read_text("runs"), runs, "{pull:?}: nothing has to run");
        clone.assert_clean();
    }
}

#[test]
fn dry_run_knows_what_is_in_a_folder_that_will_be_brought_back() {
    for (lost, use_then) in [(&["out"][..], "use skipped"), (&["out", "u"], "use would_restore")] {
        let env = stages_that_read_parts();
        lost.iter().for_each(|path| env.remove(path));
        let expected = ["all skipped", "prep would_restore", use_then];
        assert_eq!(sorted_actions(&env.json(&["repro", "--dry-run"])), expected, "{lost:?}");
        env.mlv(&["repro"]).success();
        env.assert_clean();
    }
}

// A folder around outputs that are not here is an input that is not here (R21).
#[test]
fn allow_missing_runs_nothing_around_outputs_that_are_not_here() {
    let clone = stages_that_read_parts().clone_to("clone");
    let runs = clone.read_text("runs");
    let actions = |names: &[&str]| {
        sorted_actions(&clone.json(&[&["repro", "--allow-missing", "--single"], names].concat()))
    };
    assert_eq!(actions(&["prep", "all"]), ["all skipped", "prep skipped"]);
    // Its list of files is needed to tell what the part is, and the parameters themselves.
    assert_eq!(clone.json_error(&["repro", "--allow-missing"], 8).0, "stage_invalid");
    clone.mlv(&["fetch", "--dry-run"]).success();
    clone.mlv(&["pull", "p.yaml"]).success();
    assert_eq!(actions(&[]), ["all skipped", "prep skipped", "use skipped"]);
    assert_eq!(clone.read_text("runs"), runs);
    // What has to run needs it whole.
    clone.write("mlv.yaml", clone.read_text("mlv.yaml").replace("cat res/x", "cat res/*"));
    assert_eq!(clone.json_error(&["repro", "--allow-missing"], 5).0, "not_downloaded");
    assert_eq!(clone.read_text("runs"), runs);
    clone.mlv(&["repro", "--allow-missing", "--pull"]).success();
    assert_eq!(clone.read_text("sum"), "1");
    assert_eq!(clone.read_text("runs"), format!("{runs}summed\n"));
    clone.write("mlv.yaml", clone.read_text("mlv.yaml").replace("cat out/a p.yaml", "cat p.yaml out/a"));
    assert_eq!(clone.json_error(&["repro", "--allow-missing"], 8).0, "stage_invalid");
    clone.mlv(&["repro", "--allow-missing", "--pull"]).success();
    assert_eq!(clone.read_text("u"), "lr: 1\n1");
    clone.assert_sound();
}

// Parameters that a stage makes are data like any other.
#[test]
fn parameters_that_a_stage_makes_are_unknown_in_a_fresh_clone() {
    let clone = stages_that_read_parts().clone_to("clone");
    let unknown = serde_json::json!([{
        "changed deps": { "out/a": "unknown", "p.yaml": { "lr": "unknown" } },
    }]);
    assert_eq!(clone.status()["stages"], serde_json::json!({ "use": unknown }));
    let planned = clone.json(&["repro", "--dry-run", "--pull"]);
    // What lies in or around an output is known when that is there.
    let expected = ["all may_run", "prep would_restore", "use may_run"];
    assert_eq!(sorted_actions(&planned), expected, "{planned}");
    clone.mlv(&["repro", "--pull"]).success();
    clone.assert_clean();
}

// R21: around a tracked folder of which not even the list is here, nothing is known to be unchanged.
#[test]
fn folder_around_data_that_changed_is_not_up_to_date_in_a_fresh_clone() {
    let env = TestEnv::shared();
    env.write("out/t/x", "1");
    env.write("out/hand", "by hand");
    env.mlv(&["add", "out/t"]).success();
    env.write(
        "mlv.yaml",
        "stages:\n  scan:\n    cmd: cat out/hand out/t/* > list\n    deps: [out]\n    outs: [list]\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("1");
    env.mlv(&["push"]).success();
    let before = env.clone_to("before");
    env.write("out/t/x", "2");
    env.mlv(&["add", "out/t"]).success();
    env.commit("2");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    for clone in [&before, &clone] {
        clone.mlv(&["status", "--only", "pipeline", "--exit-code"]).code(1);
        assert_eq!(clone.json_error(&["repro", "--allow-missing"], 5).0, "not_downloaded");
        clone.mlv(&["fetch", "--dry-run"]).success();
    }
    before.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
    let changed = serde_json::json!([{ "changed deps": { "out": "modified" } }]);
    assert_eq!(clone.status()["stages"]["scan"], changed);
    let fresh = env.clone_to("fresh");
    fresh.mlv(&["repro", "--pull"]).success();
    assert_eq!(fresh.read_text("list"), "by hand2");
}

// DVC 77 F: an output that another clone made anew is another input, here or not.
#[test]
fn allow_missing_compares_what_is_recorded() {
    let env = stages_that_read_parts();
    env.write("mlv.yaml", env.read_text("mlv.yaml").replace("deps: [res]", "deps: [res/x]"));
    env.mlv(&["repro"]).success();
    env.write("in", "2");
    env.mlv(&["repro", "--single", "prep"]).success();
    env.commit("prep alone");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let (_, document) = clone.json_error(&["repro", "--allow-missing", "--single", "all"], 8);
    assert!(document.to_string().contains("res/x"), "{document}");
    clone.mlv(&["repro", "--allow-missing", "--pull", "all"]).success();
    assert_eq!(clone.read_text("sum"), "2");
}
