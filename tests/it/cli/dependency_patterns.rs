//! Patterns among the dependencies of a stage.

use serde_json::json;

use crate::support::{TestEnv, actions, stage_actions};

const PIPELINE: &str =
    "stages:\n  s: {cmd: 'cat data/*.csv > o; echo s >> log', deps: ['data/*.csv'], outs: [o]}\n";

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("data/a.csv", "1\n");
    env.write("data/b.csv", "2\n");
    env.write("data/x.txt", "no");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["s"]);
    env.commit("run");
    env
}

fn reasons(env: &TestEnv) -> serde_json::Value {
    env.json(&["repro", "--dry-run"])["stages"][0]["reasons"].clone()
}

#[test]
fn file_that_comes_or_goes_is_a_reason_to_run_and_is_named() {
    let env = project();
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("data/a.csv") && lock.contains("data/b.csv") && !lock.contains("x.txt"), "{lock}");
    for other in ["data/y.txt", "data/.c.csv", "data/sub/c.csv", "data/c.csv.mlv.bak"] {
        env.write(other, "other");
    }
    env.write("data/ignored.csv", "");
    env.write(".mlvignore", "ignored.csv\n");
    assert_eq!(actions(&env.json(&["repro"])), ["skipped"]);
    env.write("data/c.csv", "3\n");
    assert_eq!(reasons(&env), json!([{"changed deps": {"data/c.csv": "new"}}]));
    assert_eq!(env.status()["stages"]["s"], json!([{"changed deps": {"data/c.csv": "new"}}]));
    let explained = env.mlv(&["explain"]).success().stdout();
    assert!(explained.contains("new   dep      data/c.csv"), "{explained}");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("o"), "1\n2\n3\n");
    env.remove("data/a.csv");
    assert_eq!(reasons(&env), json!([{"changed deps": {"data/a.csv": "deleted"}}]));
    let explained = env.mlv(&["explain"]).success().stdout();
    assert!(explained.contains("gone  dep      data/a.csv"), "{explained}");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("o"), "2\n3\n");
    env.write("data/a.csv", "1\n");
    env.remove("data/c.csv");
    env.take_log();
    assert_eq!(actions(&env.json(&["repro"])), ["restored"], "what it made of these is known");
    assert_eq!(env.read_text("o"), "1\n2\n");
    env.mlv(&["verify"]).success();
    // The same files by name, or by another pattern: nothing changed.
    for deps in ["data/[ab].csv", "data/a.csv, 'data/b*'", "data/a.csv, data/b.csv"] {
        let deps = if deps.starts_with("data/[") { format!("'{deps}'") } else { deps.to_owned() };
        env.write("mlv.yaml", PIPELINE.replace("'data/*.csv'", &deps));
        assert_eq!(actions(&env.json(&["repro"])), ["skipped"], "{deps}");
    }
}

// R21
#[test]
fn pattern_that_matches_nothing_is_refused_before_anything_is_touched() {
    let env = project();
    env.remove("data/a.csv");
    env.remove("data/b.csv");
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_invalid");
    let text = document.to_string();
    assert!(
        text.contains("anything that matches `data/*.csv`") && text.contains("correct the pattern"),
        "{text}"
    );
    assert_eq!(env.read_text("o"), "1\n2\n");
    assert!(env.take_log().is_empty());
    // Nor does a command make what it reads.
    env.write("data/a.csv", "1\n");
    env.write("mlv.yaml", PIPELINE.replace("cat data/*.csv > o", "cat data/*.csv > o; cp o data/new.csv"));
    assert_eq!(env.json_error(&["repro"], 8).0, "stage_invalid");
    assert!(env.read_text("mlv.lock").contains("data/b.csv"));
}

#[test]
fn outputs_of_stages_that_may_match_are_made_before() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  join: {cmd: 'cat parts/*.txt one/*/x > joined', deps: ['parts/*.txt', 'one/*/x'], outs: [joined]}\n  \
         split: {cmd: 'mkdir parts; echo 1 > parts/1.txt; echo 2 > parts/2.txt; echo c > parts/c', outs: [parts]}\n  \
         each:\n    foreach: [us, eu]\n    do: {cmd: 'mkdir -p one/${item}; echo ${item} > one/${item}/x', outs: ['one/${item}']}\n  \
         code: {cmd: 'true', deps: ['**/*.yaml', '**/*.none*'], outs: [code], frozen: true}\n",
    );
    env.write("some.none", "x");
    let dry = env.json(&["repro", "--dry-run", "join"]);
    assert_eq!(actions(&dry).last(), Some(&"would_run"));
    let document = env.json(&["repro", "join"]);
    assert_eq!(stage_actions(&document), ["each@eu run", "each@us run", "split run", "join run"]);
    assert_eq!(env.read_text("joined"), "1\n2\neu\nus\n");
    assert_eq!(actions(&env.json(&["repro", "join"])), ["skipped"; 4]);
    // Without the outputs the recorded ones count; in a clone nobody knows what is in them.
    env.commit("run");
    let clone = env.clone_to("clone");
    let inputs = clone.status()["stages"]["join"][0]["changed deps"].clone();
    let inputs = inputs.as_object().expect("inputs");
    assert!(inputs.len() == 4 && inputs.values().all(|word| word == "unknown"), "{inputs:?}");
    for output in ["parts", "one/us", "one/eu", "joined"] {
        env.remove(output);
    }
    assert_eq!(actions(&env.json(&["repro", "join"])), ["restored"; 4]);
    assert_eq!(env.read_text("joined"), "1\n2\neu\nus\n");
    let drawn = env.mlv(&["dag", "join"]).success().stdout();
    assert!(drawn.contains("join") && drawn.contains("split"), "{drawn}");
}

#[test]
fn contradictions_by_patterns_are_named() {
    let env = TestEnv::ready();
    let refused = |pipeline: &str, code: i32| {
        env.write("mlv.yaml", pipeline);
        let (kind, document) = env.json_error(&["repro"], code);
        (kind, document["error"].to_string())
    };
    let (kind, text) = refused("stages:\n  s: {cmd: x, deps: ['d/*.csv'], outs: [d/new.csv]}\n", 4);
    assert!(kind == "invalid_pipeline" && text.contains("overlaps its own input `d/*.csv`"), "{text}");
    let (kind, text) = refused(
        "stages:\n  a: {cmd: x, deps: ['d/*.csv'], outs: [e/1.txt]}\n  b: {cmd: x, deps: ['e/*'], outs: [d/1.csv]}\n",
        4,
    );
    assert!(kind == "invalid_pipeline" && text.contains("wait for each other"), "{text}");
    let (kind, text) = refused("stages:\n  s: {cmd: x, deps: ['d/[a.csv'], outs: [o]}\n", 4);
    assert!(
        kind == "invalid_file" && text.contains("`d/[a.csv` is no pattern") && text.contains("[[]"),
        "{text}"
    );
}

#[test]
fn file_that_is_called_like_a_pattern_is_that_file() {
    let env = TestEnv::ready();
    env.write("a[1].csv", "brackets\n");
    env.write("a1.csv", "one\n");
    let pipeline = "stages:\n  s: {cmd: 'cat a*.csv > o', deps: ['a[1].csv'], outs: [o]}\n";
    env.write("mlv.yaml", pipeline);
    env.mlv(&["repro"]).success();
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("a[1].csv") && !lock.contains("a1.csv"), "{lock}");
    env.write("a1.csv", "other\n");
    assert_eq!(actions(&env.json(&["repro"])), ["skipped"]);
    env.write("mlv.yaml", pipeline.replace("a[1]", "a[[]1]"));
    assert_eq!(actions(&env.json(&["repro"])), ["skipped"]);
    env.write("mlv.yaml", pipeline);
    env.remove("a[1].csv");
    env.mlv(&["repro"]).success();
    assert!(env.read_text("mlv.lock").contains("a1.csv"));
    // One that a stage makes.
    env.write(
        "mlv.yaml",
        "stages:\n  r: {cmd: 'cat b*.csv > p', deps: ['b[2].csv'], outs: [p]}\n  m: {cmd: 'echo 2 > b[2].csv', outs: ['b[2].csv']}\n",
    );
    let document = env.json(&["repro"]);
    assert_eq!(stage_actions(&document), ["m run", "r run"]);
    assert_eq!(env.read_text("p"), "2\n");
}

#[test]
fn data_that_was_never_downloaded_matches_as_recorded() {
    let env = TestEnv::shared();
    env.write("data/a.csv", "1\n");
    env.write("data/b.csv", "2\n");
    env.write("data/x.txt", "no");
    env.write("single/c.csv", "3\n");
    env.mlv(&["add", "data", "single/c.csv"]).success();
    env.write(
        "mlv.yaml",
        "stages:\n  s: {cmd: 'cat data/*.csv single/*.csv > o', deps: ['data/*.csv', 'single/*'], outs: [o]}\n",
    );
    env.mlv(&["repro"]).success();
    let lock = env.read_text("mlv.lock");
    assert!(lock.contains("single/c.csv") && !lock.contains("single/c.csv.mlv"), "{lock}");
    env.mlv(&["push"]).success();
    env.commit("run");
    let clone = env.clone_to("clone");
    let unknown = json!([{ "changed deps": { "data/a.csv": "unknown", "data/b.csv": "unknown" } }]);
    assert_eq!(clone.status()["stages"], json!({ "s": unknown }));
    // The lists of files come, and nothing else.
    clone.mlv(&["fetch", "--dry-run"]).success();
    assert_eq!(clone.status()["stages"], json!(null));
    let explained = clone.json(&["explain"])["stages"][0]["inputs"].clone();
    let same = explained.as_array().expect("a list").iter().filter(|input| input["change"] == "same");
    assert_eq!(same.count(), 4, "{explained}");
    clone.write("data/a.csv", "1\n");
    clone.mlv(&["pull", "data/b.csv"]).success();
    clone.remove("mlv.lock");
    assert_eq!(actions(&clone.json(&["repro", "--pull"])), ["restored"]);
    assert_eq!(clone.read_text("mlv.lock"), lock);
    let other = env.clone_to("other");
    assert_eq!(actions(&other.json(&["repro", "--pull", "--force"])), ["run"]);
    assert_eq!(other.read_text("o"), "1\n2\n3\n");
    assert_eq!(other.read_text("mlv.lock"), lock);
}

#[test]
fn stage_add_takes_patterns() {
    let env = TestEnv::ready();
    env.write("data/a.csv", "1\n");
    env.mlv(&["stage", "add", "-n", "s", "-d", "data/*.csv", "-o", "o", "cat data/*.csv > o"]).success();
    env.mlv(&["repro"]).success();
    assert_eq!(env.json(&["stage", "list"])["stages"][0]["deps"], json!(["data/*.csv"]));
    let refused = env.mlv(&["stage", "add", "-n", "t", "-d", "data/[x", "-o", "p", "true"]).code(4);
    assert!(refused.stderr().contains("is no pattern"), "{refused}");
    assert!(!env.read_text("mlv.yaml").contains("data/[x"));
}

// Data of a pointer, and files that git has.
#[test]
fn patterns_are_looked_up_in_commits_too() {
    let env = TestEnv::ready();
    env.write("data/a.csv", "1\n");
    env.write("data/x.txt", "no");
    env.mlv(&["add", "data"]).success();
    env.write("src/a.py", "1\n");
    env.write(
        "mlv.yaml",
        "stages:\n  d: {cmd: 'cat data/*.csv > o', deps: ['data/*.csv'], outs: [o]}\n  \
         c: {cmd: 'cat src/*.py > p', deps: ['**/*.py'], outs: [p]}\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("run");
    let states = || {
        let stages = env.json(&["report", "HEAD~1", "HEAD"])["stages"].clone();
        let state = |name: &str| {
            let stages = stages.as_array().expect("a list");
            stages.iter().find(|stage| stage["stage"] == name).map(|stage| stage["state"].clone())
        };
        [state("d"), state("c")]
    };
    env.write("data/y.txt", "other");
    env.mlv(&["add", "data"]).success();
    env.commit("another file");
    assert!(states().iter().flatten().all(|state| state != "stale"), "{:?}", states());
    env.write("data/b.csv", "2\n");
    env.write("src/deep/b.py", "2\n");
    env.mlv(&["add", "data"]).success();
    env.commit("matching files");
    assert_eq!(states(), [Some(json!("stale")), Some(json!("stale"))]);
}
