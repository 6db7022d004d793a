//! `mlv report`.

use serde_json::{Value, json};

use crate::support::TestEnv;

const PIPELINE: &str = "\
stages:
  prepare: {cmd: cat data/* > mid, deps: [data], outs: [mid]}
  train:
    cmd: cat mid params.yaml > model; cp scores/s.json metrics.json
    deps: [mid, scores]
    params: [lr]
    outs: [model]
    metrics: [metrics.json: {cache: false}]
  other: {cmd: cp script.sh other.out, deps: [script.sh], outs: [other.out]}
";

/// A branch `main` with one run, and a branch `feature` on it with another; all pushed.
fn two_runs() -> TestEnv {
    let env = TestEnv::shared();
    for name in ["a", "b", "c"] {
        env.write(format!("data/{name}"), format!("{name}\n"));
    }
    env.write("script.sh", "1\n");
    env.write("scores/s.json", r#"{"acc": 0.5, "same": 1}"#);
    env.write("params.yaml", "lr: 0.1\nunused: 1\n");
    env.write("mlv.yaml", PIPELINE);
    env.mlv(&["add", "data"]).success();
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    env.commit("first");
    env.git(&["checkout", "--quiet", "-b", "feature"]);
    env.write("data/d", "a new one\n");
    env.write("data/a", "changed\n");
    env.remove("data/b");
    env.write("scores/s.json", r#"{"acc": 0.75, "same": 1}"#);
    env.write("params.yaml", "lr: 0.2\nunused: 1\n");
    env.mlv(&["add", "data"]).success();
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    env
}

/// The state of each stage, by name.
fn states(document: &Value) -> Vec<String> {
    let stages = document["stages"].as_array().expect("a list");
    let text = |stage: &Value, key: &str| stage[key].as_str().expect("a text").to_owned();
    let mut states: Vec<String> =
        stages.iter().map(|stage| format!("{} {}", text(stage, "stage"), text(stage, "state"))).collect();
    states.sort();
    states
}

#[test]
fn page_has_metrics_parameters_data_and_stages() {
    let env = two_runs();
    let document = env.json(&["report"]);
    assert_eq!(document["metrics"]["metrics.json"]["acc"], json!({"old": 0.5, "new": 0.75, "diff": 0.25}));
    assert!(document["metrics"]["metrics.json"]["same"].is_null(), "{document}");
    assert_eq!(document["params"], json!({"params.yaml": {"lr": {"old": 0.1, "new": 0.2, "diff": 0.1}}}));
    let data = &document["data"][0];
    assert_eq!(
        (&data["path"], &data["entries"]),
        (&json!("data"), &json!({"added": 1, "modified": 1, "deleted": 1, "renamed": 0}))
    );
    assert_eq!(data["before"], json!({"files": 3, "bytes": 6}));
    assert_eq!(data["after"], json!({"files": 3, "bytes": 20}));
    assert_eq!(states(&document), ["other skipped", "prepare run", "train run"]);
    let text = env.mlv(&["report"]).success().stdout();
    for line in [
        "metrics.json  acc     0.5   0.75       0.25",
        "data    +1 −1 ~1  6 B → 20 B",
        "2 run, 0 restored, 1 skipped, 0 stale",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.lines().any(|line| line.ends_with(' ')), "{text}");
}

#[test]
fn page_of_two_commits_is_the_same_in_a_clone_without_data() {
    let env = two_runs();
    env.commit("second");
    // `main` goes on: three dots are about what the branch did.
    env.git(&["checkout", "--quiet", "main"]);
    env.write("params.yaml", "lr: 0.1\nunused: 9\n");
    env.commit("elsewhere");
    env.git(&["checkout", "--quiet", "feature"]);
    let here = env.json(&["report", "main...feature"]);
    assert!(here["params"]["params.yaml"]["unused"].is_null(), "{here}");
    assert_eq!(states(&here), ["other skipped", "prepare run", "train run"]);
    let clone = env.clone_to("clone");
    let there = clone.json(&["report", "origin/main...origin/feature"]);
    for key in ["metrics", "params"] {
        assert_eq!(here[key], there[key]);
    }
    assert_eq!(states(&here), states(&there));
    let row = |document: &Value, path: &str| {
        let rows = document["data"].as_array().expect("a list");
        rows.iter().find(|row| row["path"] == path).expect("a row").clone()
    };
    let (listed, unlisted) = (row(&here, "data"), row(&there, "data"));
    assert_eq!((&unlisted["before"], &unlisted["after"]), (&listed["before"], &listed["after"]));
    assert_eq!(unlisted["entries"], json!(null), "the lists of files are not here");
    assert_eq!(row(&there, "mid"), row(&here, "mid"));
    let text = clone.mlv(&["report", "origin/main...HEAD", "--md"]).success().stdout();
    assert!(text.contains("| data | 3 files (not downloaded) | 6 B → 20 B |"), "{text}");
    // The work tree of the clone is that of `feature`, though nothing is here.
    assert_eq!(clone.json(&["report"])["data"], json!([]));
    assert_eq!(clone.json(&["diff"]), json!({}));
    assert_eq!(states(&clone.json(&["report", "origin/main"])), states(&here));
}

#[test]
fn stages_that_would_run_are_stale_in_the_work_tree_and_at_a_commit() {
    let env = two_runs();
    env.commit("second");
    env.write("script.sh", "2\n");
    env.write("params.yaml", "lr: 0.3\n");
    let expected = ["other stale", "prepare run", "train stale"];
    let document = env.json(&["report", "main"]);
    assert_eq!(states(&document), expected);
    env.commit("without a run");
    let at_commit = env.json(&["report", "main..feature"]);
    assert_eq!(states(&at_commit), expected);
    let stale = at_commit["stages"].as_array().expect("a list").iter().find(|one| one["stage"] == "train");
    assert_eq!(
        stale.expect("train")["reasons"],
        json!([{"changed deps": {"params.yaml": {"lr": "modified"}}}])
    );
    // What builds on a stale stage is stale too, and the folder `scores` is git's own.
    env.write("scores/more.json", "{}");
    env.write("data/e", "more");
    env.mlv(&["add", "data"]).success();
    env.commit("more");
    let document = env.json(&["report", "main", "feature"]);
    assert_eq!(states(&document), ["other stale", "prepare stale", "train stale"]);
    env.write("params.yaml", "lr: 0.2\n");
    env.remove("scores/more.json");
    env.commit("only data");
    let document = env.json(&["report", "main", "feature"]);
    let train = document["stages"].as_array().expect("a list").iter().find(|one| one["stage"] == "train");
    assert_eq!(train.expect("train")["reasons"], json!([{"stale deps": {"mid": "stale"}}]));
}

#[test]
fn what_repro_did_here_is_told_apart() {
    let env = two_runs();
    env.commit("second");
    let clone = env.clone_to("clone");
    clone.mlv(&["repro", "--pull"]).success();
    let restored = ["other restored", "prepare restored", "train restored"];
    assert_eq!(states(&clone.json(&["report", "origin/main"])), restored);
    clone.mlv(&["repro", "--force", "--single", "train"]).success();
    let document = clone.json(&["report", "origin/main"]);
    assert_eq!(states(&document), ["other restored", "prepare restored", "train run"]);
    let train = document["stages"].as_array().expect("a list").iter().find(|one| one["stage"] == "train");
    assert!(train.expect("train")["seconds"].is_number(), "{document}");
    // Two commits on, it is no news any more.
    clone.commit("third");
    clone.commit("fourth");
    assert_eq!(states(&clone.json(&["report"])), ["other skipped", "prepare skipped", "train skipped"]);
    clone.write(".mlv/last-repro", "{");
    assert_eq!(states(&clone.json(&["report"])), ["other skipped", "prepare skipped", "train skipped"]);
}

#[test]
fn page_in_markdown_is_bounded_and_says_what_was_cut() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "params: [many.yaml]\nmetrics: [one.json]\n");
    env.write("one.json", r#"{"acc": 1}"#);
    env.commit("first");
    let long = "x".repeat(500);
    let many: String = (0..3_000).map(|at| format!("key{at}: {long}\n")).collect();
    env.write("many.yaml", many);
    env.write("one.json", r#"{"acc": 2}"#);
    let page = env.mlv(&["report", "--md"]).success().stdout();
    assert!((50_000..=60_000).contains(&page.len()), "{} bytes", page.len());
    assert!(page.contains("| one.json | acc | 1 | 2 | 1 |"), "small tables are whole: {page}");
    let cut = page.lines().find(|line| line.starts_with("Only the first ")).expect("it says so");
    assert!(cut.ends_with(" of 3,000 rows are here; `mlv params diff` has all."), "{cut}");
    assert_eq!(
        env.json(&["report"])["params"]["many.yaml"].as_object().map(serde_json::Map::len),
        Some(3_000)
    );
}

#[test]
fn nothing_in_a_page_is_markup() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "metrics: [m.yaml]\n");
    env.commit("first");
    env.write("m.yaml", "'<script>|`a`': '[x](http://e) <img src=x> **b**'\n'two\\nlines': \"a\\nb\"\n");
    let page = env.mlv(&["report", "--md"]).success().stdout();
    assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("[x]"), "{page}");
    assert!(page.contains(r"&lt;script&gt;\|\`a\`"), "{page}");
    assert_eq!(page.lines().filter(|line| line.starts_with('|')).count(), 4, "{page}");
}

#[test]
fn what_cannot_be_told_is_named() {
    let env = TestEnv::shared();
    env.write("mlv.yaml", "stages:\n  s: {cmd: cp in m.json, deps: [in], metrics: [m.json]}\n");
    for text in [r#"{"a": 1}"#, r#"{"a": 2}"#] {
        env.write("in", text);
        env.mlv(&["repro"]).success();
        env.mlv(&["push"]).success();
        env.commit(text);
    }
    let clone = env.clone_to("clone");
    let document = clone.json(&["report", "HEAD~1", "HEAD"]);
    assert_eq!((&document["metrics"], &document["not_downloaded"]), (&json!({}), &json!(["m.json"])));
    let page = clone.mlv(&["report", "HEAD~1", "--md"]).success().stdout();
    assert!(
        page.contains("Not compared, because not downloaded: 1 file of values (mlv fetch m.json)"),
        "{page}"
    );
    clone.mlv(&["fetch", "-A"]).success();
    let document = clone.json(&["report", "HEAD~1"]);
    assert_eq!(document["metrics"]["m.json"]["a"], json!({"old": 1, "new": 2, "diff": 1}));
    assert_eq!(clone.json(&["report"])["metrics"], json!({}), "it is recorded and never was here");
    env.write("m.json", "{");
    let (kind, document) = env.json_error(&["report"], 4);
    assert_eq!((kind.as_str(), document["data"].is_array()), ("invalid_file", true), "{document}");
    assert_eq!(env.json_error(&["report", "nosuch"], 2).0, "no_such_revision");
    let plain = TestEnv::new();
    plain.mlv(&["init", "--no-scm"]).success();
    assert_eq!(plain.json_error(&["report"], 2).0, "needs_git");
}

/// What CI systems check out by default: all would seem new.
#[test]
fn shallow_clone_that_cannot_tell_where_branches_parted_is_refused() {
    let env = two_runs();
    env.commit("second");
    env.git(&["checkout", "--quiet", "main"]);
    env.commit("elsewhere");
    let url = format!("file://{}", env.path().display());
    let to = env.root().join("shallow").display().to_string();
    env.git(&["clone", "--quiet", "--depth", "1", "--no-single-branch", &url, &to]);
    let shallow = env.beside("shallow");
    for command in [&["report"][..], &["diff"], &["metrics", "diff"], &["plots", "diff"]] {
        let args = [command, &["origin/main...origin/feature"]].concat();
        let said = shallow.mlv(&args).code(2).stderr();
        assert!(
            said.contains("no common ancestor in this shallow clone\nhint: git fetch --unshallow"),
            "{said}"
        );
    }
    shallow.mlv(&["report", "origin/main..origin/feature"]).success();
    shallow.git(&["fetch", "--quiet", "--unshallow"]);
    shallow.mlv(&["report", "origin/main...origin/feature"]).success();
}
