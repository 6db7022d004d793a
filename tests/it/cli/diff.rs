//! `mlv diff`: what changed between two states.

use serde_json::json;

use crate::support::{TestEnv, texts};

/// Two commits: `a`, `d/1`, `d/2`, and then `a` changed, `d/1` moved to `d/3`, `d/2` gone, `b` new.
fn two_commits() -> TestEnv {
    let env = TestEnv::ready();
    env.write("a", "one");
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("one");
    env.write("a", "ONE");
    env.write("d/3", "first");
    env.remove("d/1");
    env.remove("d/2");
    env.write("b", "new");
    env.mlv(&["add", "a", "d", "b"]).success();
    env.commit("two");
    env
}

// DVC 59 K
#[test]
fn each_change_between_commits_has_its_list() {
    let env = two_commits();
    let document = env.json(&["diff", "HEAD~1", "HEAD"]);
    assert_eq!(texts(&document["added"]), ["b"]);
    assert!(texts(&document["modified"]).contains(&"a"), "{document}");
    assert!(texts(&document["deleted"]).contains(&"d/2"), "{document}");
    let renamed = document["renamed"][0]["path"].clone();
    assert_eq!(renamed, json!({"old": "d/1", "new": "d/3"}));
    let back = env.json(&["diff", "HEAD", "HEAD~1"]);
    assert_eq!(texts(&back["deleted"]), ["b"]);
    assert_eq!(back["renamed"][0]["path"], json!({"old": "d/3", "new": "d/1"}));
    assert_eq!(env.json(&["diff", "HEAD~1...HEAD"]), document);
}

// DVC 59 K
#[test]
fn work_tree_is_compared_with_the_last_commit_or_with_any() {
    let env = two_commits();
    assert_eq!(env.json(&["diff"]), json!({}));
    env.write("b", "newer");
    env.write("d/9", "nine");
    let document = env.json(&["diff"]);
    assert_eq!(texts(&document["modified"]).iter().filter(|path| **path == "b").count(), 1);
    assert!(texts(&document["added"]).contains(&"d/9"), "{document}");
    let document = env.json(&["diff", "HEAD~1"]);
    assert!(texts(&document["added"]).contains(&"b") && texts(&document["modified"]).contains(&"a"));
    env.mlv(&["diff", "--exit-code"]).code(1);
}

// DVC 59 K
#[test]
fn output_that_is_not_cached_never_appears() {
    let env = TestEnv::ready();
    let pipeline = "stages:\n  make:\n    cmd: echo 1 > metrics.json; echo 2 > out\n    outs: [out]\n    \
                    metrics:\n    - metrics.json:\n        cache: false\n";
    env.write("mlv.yaml", pipeline);
    env.mlv(&["repro"]).success();
    let document = env.json(&["diff"]);
    assert_eq!(texts(&document["added"]), ["out"]);
}

// DVC 60 K
#[test]
fn project_without_commits_has_no_difference() {
    let env = TestEnv::in_git();
    env.mlv(&["init"]).success();
    assert_eq!(env.json(&["diff"]), json!({}));
}

// DVC 60 F
#[test]
fn unknown_revision_and_unknown_target_are_plain_errors() {
    let env = two_commits();
    assert_eq!(env.json_error(&["diff", "nosuch"], 2).0, "no_such_revision");
    assert_eq!(env.json_error(&["diff", "HEAD", "nosuch"], 2).0, "no_such_revision");
    assert_eq!(env.json_error(&["diff", "--targets", "nosuch"], 2).0, "no_such_target");
}

// R11: a revision is never read as an option.
#[test]
fn revision_that_looks_like_an_option_is_a_revision() {
    let env = two_commits();
    for revision in ["--upload-pack=touch pwned", "-x", "--output=pwned"] {
        let output = env.mlv(&["diff", "--", revision, "HEAD"]);
        assert_eq!(output.exit_code(), 2, "{output}");
    }
    assert!(!env.exists("pwned"));
}

#[test]
fn targets_narrow_the_question() {
    let env = two_commits();
    let document = env.json(&["diff", "HEAD~1", "HEAD", "--targets", "b"]);
    assert_eq!(document["added"].as_array().map(Vec::len), Some(1));
    assert!(document["modified"].is_null() || texts(&document["modified"]).is_empty(), "{document}");
    let document = env.json(&["diff", "HEAD~1", "HEAD", "--targets", "d/2"]);
    assert_eq!(texts(&document["deleted"]), ["d/2"]);
}

#[test]
fn forms_for_people() {
    let env = two_commits();
    let names = env.mlv(&["diff", "HEAD~1", "HEAD", "--name-only"]).success().stdout();
    assert!(names.lines().any(|line| line == "b") && names.lines().any(|line| line == "a"), "{names}");
    let table = env.mlv(&["diff", "HEAD~1", "HEAD", "--md"]).success().stdout();
    assert!(table.starts_with('|') && table.lines().count() > 3, "{table}");
    let hashes = env.json(&["diff", "HEAD~1", "HEAD", "--show-hash"]).to_string();
    assert!(hashes.contains("blake3:"), "{hashes}");
    let summary = env.mlv(&["diff", "HEAD~1", "HEAD", "--summary"]).success();
    assert!(summary.stdout().lines().count() <= 4, "{summary}");
}

// R16
#[test]
fn names_reach_no_terminal_as_control_sequences() {
    let env = TestEnv::ready();
    env.write("d/safe", "1");
    env.mlv(&["add", "d"]).success();
    env.commit("one");
    let hostile = "d/\u{202e}gpj.exe";
    env.write(hostile, "2");
    for args in
        [&["status"][..], &["diff"], &["diff", "--md"], &["diff", "--json"], &["data", "status", "--json"]]
    {
        let output = env.mlv(args).success();
        assert!(!output.stdout().contains('\u{202e}'), "{args:?}");
        assert!(!output.stderr().contains('\u{202e}'), "{args:?}");
    }
    assert_eq!(texts(&env.json(&["diff"])["added"]), [hostile]);
}

#[test]
fn stat_counts_files_and_bytes_of_each_output() {
    let env = two_commits();
    let output = env.mlv(&["diff", "HEAD~1", "HEAD", "--stat"]).success();
    insta::assert_snapshot!(output, @"
      a  1 modified            +3 B -3 B
      b  1 added               +3 B
      d  1 deleted, 1 renamed  -6 B
    files summary: 1 added, 1 deleted, 1 renamed, 1 modified
    ");
    let document = env.json(&["diff", "HEAD~1", "HEAD", "--stat"]);
    let counts = json!({ "path": "d", "added": 0, "modified": 0, "deleted": 1, "renamed": 1, "bytes_in": 0, "bytes_out": 6,
        "before": { "files": 2, "bytes": 11 }, "after": { "files": 1, "bytes": 5 } });
    assert_eq!(document["stat"][2], counts);
    assert_eq!(env.json(&["diff", "HEAD~1", "HEAD"])["stat"], json!(null), "DVC's form has no such key");
    env.mlv(&["diff", "--stat", "--summary"]).code(2);
}

#[test]
fn missing_data_can_be_left_out() {
    let env = two_commits();
    env.remove("a");
    env.lose_cache();
    assert_eq!(env.json(&["diff"])["not in cache"][0]["path"], "a");
    assert_eq!(env.json(&["diff", "--hide-missing"])["not in cache"], json!([]));
}

// A person's words, not those of a parser.
#[test]
fn revision_beyond_the_history_is_told_as_that() {
    let env = TestEnv::tracked();
    insta::assert_snapshot!(env.mlv(&["diff", "HEAD~9"]).code(2), @r"
    --- stderr
    error: no commit is called `HEAD~9`: `HEAD` has no such ancestor
    hint: git log --oneline --all
    [exit 2]
    ");
    insta::assert_snapshot!(env.mlv(&["diff", "nosuch"]).code(2), @r"
    --- stderr
    error: no commit is called `nosuch`
    hint: git log --oneline --all
    [exit 2]
    ");
    let url = format!("file://{}", env.path().display());
    let to = env.root().join("shallow").display().to_string();
    env.git(&["clone", "--quiet", "--depth", "1", &url, &to]);
    let said = env.beside("shallow").mlv(&["diff", "HEAD~1"]).code(2).stderr();
    assert!(said.contains("in this shallow clone\nhint: git fetch --unshallow"), "{said}");
}
