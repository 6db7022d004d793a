//! What a refusal says: paths from where the user stands, and a remedy that can be pasted.

use crate::support::TestEnv;

/// The stderr of a command that is refused with `code`.
#[track_caller]
fn refused(env: &TestEnv, args: &[&str], code: i32) -> String {
    env.mlv(args).code(code).stderr()
}

#[test]
fn paths_in_errors_and_hints_are_those_of_the_current_folder() {
    let env = TestEnv::ready();
    env.write("sub dir/in git.txt", "1");
    env.write("top.txt", "1");
    env.commit("two files in git");
    let sub = env.at("sub dir");
    insta::assert_snapshot!(refused(&sub, &["add", "in git.txt"], 2), @"
    error: `in git.txt` is tracked by git
    hint: git rm -r --cached 'in git.txt' && git commit -m 'leave data to mlv'
    ");
    insta::assert_snapshot!(refused(&sub, &["add", "../top.txt"], 2), @"
    error: `../top.txt` is tracked by git
    hint: git rm -r --cached ../top.txt && git commit -m 'leave data to mlv'
    ");
    assert_eq!(refused(&sub, &["add", "../nosuch"], 2), "error: `../nosuch` does not exist\n");
    let (_, document) = sub.json_error(&["add", "../nosuch"], 2);
    assert_eq!(document["error"]["path"], "nosuch", "for scripts: the repository's");

    env.write("data/d/x", "1");
    env.mlv(&["add", "data/d/x"]).success();
    insta::assert_snapshot!(refused(&env.at("data"), &["add", "d"], 2), @"
    error: `d` holds `d/x`, which is tracked already
    hint: mlv remove d/x.mlv && mlv add d
    ");
}

#[test]
fn unsaved_changes_are_named_from_the_current_folder() {
    let env = TestEnv::ready();
    env.write("data/a", "1");
    env.mlv(&["add", "data"]).success();
    env.write("data/a", "edit");
    let other = env.at("other");
    insta::assert_snapshot!(refused(&other, &["checkout"], 2), @"
    failed: `../data/a`: not saved
    error: this change is not saved: `../data/a`
    hint: run `mlv add ../data/a` to keep them, or `mlv checkout --force ../data` to put them into `.mlv/rescue`
    ");
}

#[test]
fn each_refusal_names_what_to_do() {
    let env = TestEnv::ready();
    env.write("file", "1");
    env.write("mlv.yaml", "stages:\n  make: {cmd: echo > out, outs: [out]}\n");
    env.mlv(&["repro"]).success();
    assert!(refused(&env, &["rm", "out"], 2).contains("hint: `mlv remove make` removes the stage"));
    assert!(refused(&env, &["status", "file"], 2).contains("hint: to track it: mlv add file"));
    assert!(refused(&env, &["add", "--glob", "*.zip"], 2).contains("nothing matches `*.zip`"));
    assert!(refused(&env, &["rescue", "restore"], 2).contains("nothing is in rescue"));
    assert!(refused(&env, &["rescue", "drop", "x"], 2).contains("hint: mlv rescue list"));
    env.write("d/a", "1");
    env.run(env.command("mkfifo").arg("d/pipe")).success();
    assert_eq!(
        refused(&env, &["add", "d"], 4),
        "error: `d/pipe` is a FIFO, which cannot be tracked\nhint: remove it, or list it in `.mlvignore`\n"
    );
}

#[test]
fn commit_says_what_it_left_because_it_is_not_here() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.remove("a");
    let said = env.mlv(&["commit"]).success().stderr();
    assert!(said.contains("1 output not here"), "{said}");
}

#[test]
fn rescue_says_first_what_it_would_do() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.write("a", "edit");
    env.mlv(&["checkout", "--force"]).success();
    env.write("a", "another edit");
    let before = env.snapshot_of(".mlv/rescue");
    env.mlv(&["rescue", "restore", "--dry-run"]).code(2);
    let promised = env.json(&["rescue", "restore", "--dry-run", "--force"]);
    assert_eq!((&promised["restored"][0], &promised["dry_run"]), (&"a".into(), &true.into()));
    let name = promised["operation"].as_str().expect("a name");
    assert_eq!(env.json(&["rescue", "drop", "-n", name])["bytes"], 4);
    assert_eq!((env.snapshot_of(".mlv/rescue"), env.read_text("a")), (before, "another edit".into()));
    env.mlv(&["rescue", "drop", name]).success();
    assert!(!env.has_rescued(b"edit"));
}
