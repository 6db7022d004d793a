//! `mlv repro` where the results of a past run are known.

use serde_json::Value;

use crate::support::{TestEnv, actions};

const PIPELINE: &str = "\
stages:
  one: {cmd: 'cp in mid; echo one >> log', deps: [in], outs: [mid]}
  two:
    cmd: mkdir d; cat mid mid > d/out; echo '{\"n\":1}' > m.json; echo two >> log
    deps: [mid]
    params: [p]
    outs: [d]
    metrics: [m.json: {cache: false}]
";

fn ran() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("params.yaml", "p: 1\n");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["one", "two"]);
    env
}

// DVC 75 K
#[test]
fn deleted_lock_is_made_again_without_a_run() {
    let env = ran();
    let lock = env.read("mlv.lock");
    for lost in [&[][..], &["mid", "d", "m.json"], &["d"]] {
        env.remove("mlv.lock");
        lost.iter().for_each(|path| env.remove(path));
        assert_eq!(actions(&env.json(&["repro", "--dry-run"])), ["would_restore", "would_restore"]);
        assert_eq!(actions(&env.json(&["repro"])), ["restored", "restored"], "{lost:?}");
        assert_eq!(env.take_log(), Vec::<String>::new());
        assert_eq!(env.read("mlv.lock"), lock);
        assert_eq!(
            (env.read_text("d/out"), env.read_text("m.json")),
            ("1\n1\n".into(), "{\"n\":1}\n".into())
        );
    }
    env.commit("restored");
    env.assert_clean();
    env.assert_sound();
}

// R2: an output that was edited meanwhile goes to rescue.
#[test]
fn inputs_of_before_bring_back_what_they_made() {
    let env = ran();
    env.write("in", "2\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["one", "two"]);
    env.write("d/out", "edited");
    env.write("in", "1\n");
    let document = env.json(&["repro"]);
    assert_eq!(actions(&document), ["restored", "restored"]);
    assert_eq!((env.read_text("mid"), env.read_text("d/out")), ("1\n".into(), "1\n1\n".into()));
    assert!(env.has_rescued(b"edited"));
    assert_eq!(env.take_log(), Vec::<String>::new());
    env.write("params.yaml", "p: 2\n");
    assert_eq!(actions(&env.json(&["repro"])), ["skipped", "run"]);
}

#[test]
fn what_was_asked_for_runs() {
    let env = ran();
    env.mlv(&["repro", "--force"]).success();
    assert_eq!(env.take_log(), ["one", "two"]);
    env.remove("mlv.lock");
    env.mlv(&["repro", "--no-run-cache"]).success();
    assert_eq!(env.take_log(), ["one", "two"]);
    env.remove("mlv.lock");
    env.write("mlv.yaml", PIPELINE.replace("outs: [mid]}", "outs: [mid], always_changed: true}"));
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["one"], "what it makes is known to `two`");
}

// R10: records are claims.
#[test]
fn records_whose_outputs_are_gone_or_that_are_damaged_are_none() {
    let env = ran();
    let record_files = || {
        let mut files = Vec::new();
        crate::support::files_below(&env.path().join(".mlv/cache/runs"), &mut files);
        files
    };
    let files = record_files();
    assert_eq!(files.len(), 2);
    for file in &files {
        let bytes = std::fs::read(file).expect("it is there");
        std::fs::remove_file(file).expect("it is there");
        std::fs::write(file, &bytes[..bytes.len() - 3]).expect("the folder is there");
    }
    env.remove("mlv.lock");
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["one", "two"]);
    // The damaged ones were replaced.
    env.remove("mlv.lock");
    assert_eq!(actions(&env.json(&["repro"])), ["restored", "restored"]);
    for object in env.loose_objects() {
        std::fs::remove_file(object).expect("it is there");
    }
    env.remove("mlv.lock");
    env.remove("d");
    env.remove("mid");
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["one", "two"]);
    env.assert_sound();
}

#[test]
fn newer_record_of_the_same_inputs_counts() {
    let env = TestEnv::ready();
    env.write("in", "");
    env.write(
        "mlv.yaml",
        "stages:\n  s: {cmd: 'echo x >> count; wc -l < count > o', deps: [in], outs: [o]}\n",
    );
    env.mlv(&["repro"]).success();
    env.mlv(&["repro", "--force"]).success();
    let newer = env.read_text("o");
    env.remove("mlv.lock");
    assert_eq!(actions(&env.json(&["repro"])), ["restored"]);
    assert_eq!(env.read_text("o"), newer);
}

#[test]
fn record_tells_where_and_when() {
    let env = ran();
    let mut files = Vec::new();
    crate::support::files_below(&env.path().join(".mlv/cache/runs"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(file).expect("it is there");
        let [inputs, results] = text.lines().collect::<Vec<_>>()[..] else { panic!("two lines: {text}") };
        let [inputs, results]: [Value; 2] =
            [inputs, results].map(|line| serde_json::from_str(line).expect("JSON"));
        assert_eq!(inputs["version"], 1);
        assert_eq!(
            (results["kind"].as_str(), results["os"].as_str()),
            (Some("run"), Some(std::env::consts::OS))
        );
        assert!(results["start"].as_str().is_some_and(|start| start.ends_with('Z')), "{results}");
    }
}

/// The facts of each record: the second line, by stage.
fn facts(env: &TestEnv) -> Vec<Value> {
    let mut files = Vec::new();
    crate::support::files_below(&env.path().join(".mlv/cache/runs"), &mut files);
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("it is there"));
    texts.map(|text| serde_json::from_str(text.lines().nth(1).expect("two lines")).expect("JSON")).collect()
}

#[test]
fn record_tells_whether_tracked_files_differed() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'cp in o', deps: [in], outs: [o]}\n");
    env.commit("pipeline");
    let differed = || {
        let all = facts(&env);
        assert_eq!(all.len(), 1);
        let fact = all[0]["differed"].clone();
        std::fs::remove_dir_all(env.path().join(".mlv/cache/runs")).expect("it is there");
        env.remove("mlv.lock");
        fact
    };
    let run = || env.mlv(&["repro", "--force", "--no-run-cache"]).success();
    env.write("new", "nobody tracks it");
    run();
    assert_eq!(differed(), false);
    env.write("in", "2\n");
    run();
    assert_eq!(differed(), true);
    env.git(&["add", "in"]);
    run();
    assert_eq!(differed(), true, "staged");
    env.git(&["commit", "--quiet", "--message", "second"]);
    run();
    assert_eq!(differed(), false);
    // Touched, and of the same size: only its bytes tell.
    env.write("in", "2\n");
    run();
    assert_eq!(differed(), false);
    env.write("in", "3\n");
    run();
    assert_eq!(differed(), true);
    env.git(&["checkout", "--quiet", "in"]);
    env.chmod("in", 0o755);
    run();
    assert_eq!(differed(), true, "its mode");
}

#[test]
fn what_commit_accepted_is_brought_back() {
    let env = ran();
    env.write("in", "2\n");
    env.write("mid", "by hand\n");
    env.write("d/out", "by hand\n");
    env.write("m.json", "{\"n\":2}\n");
    env.mlv(&["commit", "--force"]).success();
    let kinds: Vec<String> =
        facts(&env).iter().map(|fact| fact["kind"].as_str().expect("a word").to_owned()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "commit").count(), 2, "{kinds:?}");
    for path in ["mlv.lock", "mid", "d", "m.json"] {
        env.remove(path);
    }
    assert_eq!(actions(&env.json(&["repro"])), ["restored", "restored"]);
    assert_eq!((env.read_text("mid"), env.read_text("m.json")), ("by hand\n".into(), "{\"n\":2}\n".into()));
    assert_eq!(env.take_log(), Vec::<String>::new());
    env.assert_sound();
}

/// Replaces the bytes of the object of `bytes` in the cache.
fn damage(env: &TestEnv, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let object =
        env.loose_objects().into_iter().find(|path| std::fs::read(path).is_ok_and(|read| read == bytes));
    let object = object.expect("an object of its own");
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    std::fs::write(&object, vec![b'x'; bytes.len()]).expect("it can be written");
}

// R4: what the cache turns out to lack is made again, and what was decided on it too.
#[test]
fn stage_whose_kept_output_is_damaged_runs_with_a_warning() {
    for has_lock in [false, true] {
        let env = ran();
        env.write("mlv.yaml", format!("{PIPELINE}  three: {{cmd: 'tr 1 2 < d/out > end; echo three >> log', deps: [d/out], outs: [end]}}\n"));
        env.mlv(&["repro"]).success();
        env.take_log();
        damage(&env, b"1\n1\n");
        for path in ["d", "m.json", "end", "mid"] {
            env.remove(path);
        }
        if !has_lock {
            env.remove("mlv.lock");
        }
        let output = env.run(env.mlv_command().args(["--json", "repro"])).success();
        assert!(output.stderr().contains("cannot be brought back"), "{output}");
        assert!(!output.stderr().contains(r#""stage_restored","stage":"two""#), "{output}");
        assert_eq!(actions(&output.json()), ["restored", "run", "restored"]);
        assert_eq!(env.take_log(), ["two"]);
        assert_eq!((env.read_text("d/out"), env.read_text("end")), ("1\n1\n".into(), "2\n2\n".into()));
        env.assert_recorded();
        env.mlv(&["fsck"]).success();
    }
}

// Ignore lines come before the data.
#[test]
fn outputs_that_come_back_into_a_folder_that_is_gone_are_ignored() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'cp ../in o', wdir: sub, deps: [../in], outs: [o]}\n");
    std::fs::create_dir(env.path().join("sub")).expect("a new folder");
    env.mlv(&["repro"]).success();
    for keeps_lock in [false, true] {
        std::fs::remove_dir_all(env.path().join("sub")).expect("it is there");
        if !keeps_lock {
            env.remove("mlv.lock");
        }
        assert_eq!(actions(&env.json(&["repro"])), ["restored"]);
        assert!(env.exists("sub/o") && env.git_ignores("sub/o"));
    }
}
