//! `mlv repro`: what becomes of things at and in outputs that no record names.

use serde_json::json;

use crate::support::TestEnv;

/// A stage whose output `parts` holds `1`, `sub/2` and what Python leaves beside it.
fn with_ignored() -> TestEnv {
    let env = TestEnv::ready();
    let stage = |number: u32| {
        let made = "mkdir -p parts/sub/__pycache__; cp in parts/1; cp in parts/sub/2";
        format!(
            "stages:\n  s: {{cmd: '{made}; echo {number} > parts/sub/__pycache__/x.pyc', deps: [in], outs: [parts]}}\n"
        )
    };
    env.write("in", "version 1");
    env.write("mlv.yaml", stage(1));
    env.mlv(&["repro"]).success();
    env.commit("run");
    env.write("in", "version 2");
    env.write("mlv.yaml", stage(2));
    env
}

// R2: the cache has the rest of the folder.
#[test]
fn only_what_is_not_recorded_of_an_output_goes_to_rescue() {
    let env = with_ignored();
    env.write("parts/sub/deep/notes", "by hand");
    let done = env.json(&["repro"]);
    let paths: Vec<&str> =
        done["rescued"].as_array().expect("a list").iter().filter_map(|kept| kept["path"].as_str()).collect();
    assert_eq!(paths, ["parts/sub/__pycache__", "parts/sub/deep"]);
    assert_eq!(env.rescued(), ["parts/sub/__pycache__/x.pyc", "parts/sub/deep/notes"]);
    assert_eq!(env.read_text("parts/sub/2"), "version 2");
    env.assert_sound();
}

#[test]
fn one_edited_file_of_an_output_goes_to_rescue_by_itself() {
    let env = with_ignored();
    env.remove("parts/sub/__pycache__");
    env.write("parts/1", "edited");
    env.mlv(&["repro"]).success();
    assert_eq!(env.rescued(), ["parts/1"]);
    assert!(env.has_rescued(b"edited"));
}

// R2: killed when the new output was noted and the old one not gone yet.
#[test]
fn tidying_after_a_kill_keeps_what_is_not_recorded() {
    let env = with_ignored();
    let left = ".mlv/ops/00000000-00000000-1-1-00ff";
    let aside = json!({"aside": {"stage": "s", "before": null,
        "outs": [{"path": "parts", "was_there": true, "is_saved": true}]}});
    let finished = json!({"finished": {"stage": "s",
        "entry": {"file": "mlv.lock", "name": "s", "text": "", "over": null}}});
    env.write(format!("{left}/lock"), "");
    env.write(format!("{left}/journal"), format!("{aside}\n{finished}\n"));
    env.write(format!("{left}/aside/parts/1"), "version 1");
    env.write(format!("{left}/aside/parts/sub/__pycache__/y.pyc"), "bytes");
    let output = env.mlv(&["status"]).success();
    assert!(output.stderr().contains("in rescue: `parts/sub`\n"), "{output}");
    assert_eq!(env.rescued(), ["parts/sub/__pycache__/y.pyc"]);
    assert!(!env.exists(left));
}

#[test]
fn folder_of_a_stage_that_is_not_there_is_refused_and_not_made() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: echo 1 > x, wdir: nope, outs: [x]}\n");
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_invalid", "{document}");
    assert!(document["error"]["hints"][0].as_str().is_some_and(|hint| hint.contains("`wdir`")), "{document}");
    assert_eq!(env.snapshot(), before);
}

#[test]
fn folder_of_a_stage_may_be_made_by_one_before() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: mkdir late; echo 1 > a, outs: [a]}\n  \
         b: {cmd: cp ../a b, wdir: late, deps: [../a], outs: [b]}\n",
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("late/b"), "1\n");
    assert!(env.git_ignores("late/b"));
}
