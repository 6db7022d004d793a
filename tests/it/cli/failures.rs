//! What a command says of the paths that it could not deal with while it did the rest.

use crate::support::TestEnv;

/// A repository with `d/1` to `d/30`, and a clone of it that has `d/1` alone.
fn partly_pulled() -> TestEnv {
    let env = TestEnv::shared();
    for number in 1..=30 {
        env.write(format!("d/{number}"), format!("file {number}"));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull", "d/1"]).success();
    clone
}

#[test]
fn a_single_failure_is_the_error() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.remove("a");
    env.remove(".mlv/cache");
    let said = env.mlv(&["checkout"]).code(5).stderr();
    insta::assert_snapshot!(said, @"
    error: the data of `a` is not in the cache
    hint: mlv fetch a
    ");
    let (kind, document) = env.json_error(&["checkout"], 5);
    assert_eq!(kind, "not_downloaded");
    assert_eq!(document["error"]["path"], "a");
    assert_eq!(document["error"]["message"], "the data of `a` is not in the cache");
    assert_eq!(document["error"]["hints"][0], "mlv fetch a");
    assert_eq!(document["failed"][0]["path"], "a");
}

#[test]
fn a_place_that_cannot_be_opened_is_named_alone() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.remove(env.root().join("remote"));
    env.write(env.root().join("remote"), "a file");
    let said = env.mlv(&["fetch"]).exit_code();
    assert_ne!(said, 0);
    let said = env.mlv(&["fetch"]).stderr();
    assert!(!said.contains("``") && said.contains("remote"), "{said}");
}

#[test]
fn a_partial_directory_is_no_failure_for_a_target_either() {
    let env = partly_pulled();
    env.mlv(&["checkout", "d"]).success();
    env.mlv(&["checkout"]).success();
    assert!(env.exists("d/1") && !env.exists("d/2"));
    env.remove("d/1");
    env.mlv(&["checkout", "d"]).success();
    assert_eq!(env.read_text("d/1"), "file 1");
    // A part that never was here is another matter, and what the cache has comes.
    assert!(env.mlv(&["checkout", "d/2"]).code(5).stderr().contains("hint: mlv fetch d/2"));
    env.mlv(&["fetch", "d"]).success();
    env.mlv(&["checkout", "d"]).success();
    assert_eq!(env.read_text("d/30"), "file 30");
    env.assert_clean();
}

#[test]
fn long_lists_of_failures_end_in_a_count_and_one_remedy() {
    let env = partly_pulled();
    env.mlv(&["pull", "d"]).success();
    env.remove("d");
    env.remove(".mlv/cache");
    env.mlv(&["pull", "d/1"]).success();
    env.remove(".mlv/here");
    let output = env.mlv(&["checkout", "d"]).code(5);
    let said = output.stderr();
    assert_eq!(said.matches("failed: `d/").count(), 20, "{said}");
    assert!(said.contains("failed: … and 9 more\nerror: 29 paths failed\nhint: mlv pull d\n"), "{said}");
}

#[test]
fn stages_that_failed_are_counted_as_stages() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  a: {cmd: exit 1, outs: [x]}\n  b: {cmd: exit 2, outs: [y]}\n");
    let said = env.mlv(&["repro", "--keep-going"]).code(8).stderr();
    assert!(said.contains("error: 2 stages failed\n"), "{said}");
}
