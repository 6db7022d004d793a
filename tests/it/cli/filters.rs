//! `--include`, `--exclude` and `--dry-run` of the transfers.

use serde_json::json;

use crate::support::{TestEnv, random_bytes};

/// `one.csv`, and `d` with files of two kinds in three folders: pushed.
fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("one.csv", "1");
    for path in ["d/a.csv", "d/b.bin", "d/x/c.csv", "d/x/d.bin", "d/old/e.csv"] {
        env.write(path, path);
    }
    env.mlv(&["add", "one.csv", "d"]).success();
    env.commit("add data");
    env.mlv(&["push"]).success();
    env
}

/// The files of the work tree that are data.
fn files(env: &TestEnv) -> Vec<String> {
    let tree = env.snapshot();
    let data = tree.lines().filter(|line| line.starts_with("f ") && !line.contains(".mlv"));
    let paths = data.filter_map(|line| line.split(' ').nth(2)).filter(|path| !path.starts_with(".git"));
    paths.map(str::to_owned).collect()
}

#[test]
fn pull_takes_what_patterns_mean_and_says_so_of_no_more() {
    let env = pushed();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--include", "*.csv"], &["d/a.csv", "d/old/e.csv", "d/x/c.csv", "one.csv"]),
        (&["--include", "*.csv", "--exclude", "old"], &["d/a.csv", "d/x/c.csv", "one.csv"]),
        (&["--include", "d/x"], &["d/x/c.csv", "d/x/d.bin"]),
        (&["--include", "d/**/*.bin", "--include", "one.csv"], &["d/b.bin", "d/x/d.bin", "one.csv"]),
        (&["--exclude", "d/"], &["one.csv"]),
        (&["d", "--exclude", "*.bin", "--exclude", "d/x/*"], &["d/a.csv", "d/old/e.csv"]),
    ];
    for (number, (patterns, expected)) in cases.into_iter().enumerate() {
        let clone = env.clone_to(&format!("clone{number}"));
        clone.mlv(&[&["pull"], patterns].concat()).success();
        assert_eq!(files(&clone), expected, "{patterns:?}");
        // What was not asked for is a state, no difference, and stays away.
        clone.mlv(&["status", "--exit-code"]).success();
        clone.mlv(&["checkout", "--allow-missing"]).success();
        assert_eq!(files(&clone), expected, "{patterns:?}");
        clone.mlv(&["pull"]).success();
        assert_eq!(clone.snapshot(), env.snapshot());
    }
}

#[test]
fn patterns_with_a_slash_count_from_the_current_folder() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.at("sub").mlv(&["pull", "--include", "../d/x/*.csv"]).success();
    assert_eq!(files(&clone), ["d/x/c.csv"]);
}

#[test]
fn fetch_brings_what_patterns_mean() {
    let env = pushed();
    let clone = env.clone_to("clone");
    assert_eq!(clone.json(&["fetch", "--include", "*.bin"])["files"], 2);
    assert_eq!(clone.json(&["fetch", "--exclude", "*.csv"])["files"], 0);
    assert_eq!(clone.json(&["fetch"])["files"], 4);
}

/// R14
#[test]
fn pattern_that_matches_nothing_is_an_error() {
    let env = pushed();
    let clone = env.clone_to("clone");
    for command in ["pull", "fetch", "push"] {
        let refused = clone.json_error(&[command, "--include", "one.csv", "--include", "*.nosuch"], 2);
        assert_eq!(refused.0, "no_such_target", "{command}: {}", refused.1);
        assert_eq!(clone.json_error(&[command, "--include", "a["], 2).0, "usage", "{command}");
        assert_eq!(clone.json_error(&[command, "--exclude", "../../x/y"], 4).0, "unsafe_path", "{command}");
    }
}

/// A part of a directory could not be checked out by others: outputs are pushed whole.
#[test]
fn push_takes_the_outputs_that_patterns_mean() {
    let env = TestEnv::shared();
    for path in ["a.csv", "b.csv", "d/c.csv"] {
        env.write(path, path);
    }
    env.mlv(&["add", "a.csv", "b.csv", "d"]).success();
    env.commit("add data");
    assert_eq!(env.json(&["push", "--include", "*.csv", "--exclude", "b*"])["objects"], 1);
    assert_eq!(env.json(&["status", "-c"])["remote"], json!({"b.csv": "new", "d/": "new"}));
    assert_eq!(env.json(&["push", "--include", "d"])["objects"], 1);
    assert_eq!(env.json(&["status", "-c"])["remote"], json!({"b.csv": "new"}));
}

#[test]
fn dry_run_tells_and_brings_nothing() {
    let env = pushed();
    env.write("big", random_bytes(3, 5_000_000));
    env.mlv(&["add", "big"]).success();
    env.commit("more");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let before = clone.snapshot();
    let told = clone.json(&["fetch", "--dry-run"]);
    let bytes = 5_000_000 + 1 + 7 + 7 + 9 + 9 + 11;
    assert_eq!(told["would_fetch"]["objects"], 7);
    assert_eq!(told["would_fetch"]["bytes"], bytes);
    assert!(
        told["would_fetch"]["requests"].as_u64().is_some_and(|requests| (2..=12).contains(&requests)),
        "{told}"
    );
    assert_eq!(told["files"], 0);
    let pull = clone.json(&["pull", "-n", "d", "--include", "*.bin"]);
    assert_eq!(pull["fetched"]["would_fetch"]["objects"], 2);
    assert_eq!(pull["checked_out"]["outputs"][0]["added"], json!(["d/b.bin", "d/x/d.bin"]));
    assert_eq!(pull["checked_out"]["dry_run"], true);
    assert_eq!((clone.snapshot(), clone.loose_objects().len()), (before, 0));
    let text = clone.mlv(&["pull", "--dry-run"]).success();
    assert!(text.stderr().starts_with("Would fetch 7 objects (4.8 MiB) from `storage` in about "), "{text}");
    clone.mlv(&["pull"]).success();
    assert!(clone.mlv(&["fetch", "-n"]).success().stderr().contains("Nothing to fetch from `storage`."));
}

#[test]
fn dry_run_names_what_would_not_come() {
    let env = pushed();
    env.write("new", "not pushed");
    env.mlv(&["add", "new"]).success();
    env.commit("more");
    let clone = env.clone_to("clone");
    let (kind, document) = clone.json_error(&["fetch", "-n"], 5);
    assert_eq!((kind.as_str(), &document["failed"][0]["path"]), ("not_found", &json!("new")), "{document}");
    assert_eq!(document["would_fetch"]["objects"], 6);
}
