//! What a refusal says: paths from where the user stands, and a remedy that can be pasted.

use super::remedies::paste;
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
    hint: run `mlv add ../data/a` to keep it, or `mlv checkout --force ../data` to put it into `.mlv/rescue`
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

/// Runs the first hint of `said` in a shell, as a user who pastes its line.
#[track_caller]
fn paste_hint(env: &TestEnv, said: &str) {
    // Hints before it are about what the command did.
    let (_, error) = said.split_once("error: ").unwrap_or_else(|| panic!("{said}"));
    let hint = error.lines().find(|line| line.starts_with("hint: ")).unwrap_or_else(|| panic!("{said}"));
    paste(env, hint, "hint: ");
}

// An output may be called as a word of the sentence, or of the command.
#[test]
fn words_of_messages_and_hints_are_no_paths() {
    let env = TestEnv::shared();
    for name in ["data", "fetch", "mlv"] {
        env.write(format!("{name}/1"), name);
        env.mlv(&["add", name]).success();
    }
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let below = clone.at("below");
    for name in ["data", "fetch", "mlv"] {
        let said = refused(&below, &["checkout", &format!("../{name}")], 5);
        assert!(said.ends_with(&format!("hint: mlv fetch ../{name}\n")), "{said}");
        assert!(!said.contains(&format!(" ../{name} of")), "{said}");
        paste_hint(&below, &said);
    }
    env.write("in-git/data", "1");
    env.commit("a file");
    env.write("data/g", "1");
    env.git(&["add", "--force", "data/g"]);
    let said = refused(&env.at("below"), &["add", "../data"], 2);
    assert!(said.contains("error: `../data/g` is tracked by git\n"), "{said}");
    assert!(said.contains("git rm -r --cached ../data && git commit -m 'leave data to mlv'"), "{said}");
}

#[test]
fn hints_of_stages_can_be_pasted_in_the_current_folder() {
    let env = TestEnv::shared();
    for name in ["raw", "my data", "-d"] {
        env.write(format!("{name}/1"), name);
        env.mlv(&["add", "--", name]).success();
    }
    for (folder, dep) in [("p", "raw"), ("q", "my data"), ("r", "-d")] {
        let cmd = format!("cat '../{dep}/1' > out");
        let pipeline = format!("stages:\n  s:\n    cmd: {cmd}\n    deps: ['../{dep}']\n    outs: [out]\n");
        env.write(format!("{folder}/mlv.yaml"), pipeline);
    }
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    for (folder, dep) in [("p", "../raw"), ("q", "../my data"), ("r", "../-d")] {
        let below = clone.at(folder);
        let said = refused(&below, &["repro", "s"], 5);
        assert!(said.contains(&format!("`{dep}` is not, or only partly, downloaded")), "{said}");
        paste_hint(&below, &said);
        below.mlv(&["repro", "s"]).success();
    }
    // From the root a dash comes first.
    clone.remove("-d");
    clone.remove(".mlv/cache");
    clone.remove(".mlv/here");
    let said = refused(&clone, &["checkout", "./-d"], 5);
    assert!(said.contains("hint: mlv fetch ./-d\n"), "{said}");
    paste_hint(&clone, &said);
    clone.write("a b", "1");
    let said = refused(&clone, &["rm", "a b"], 2);
    assert!(said.contains("hint: to track it: mlv add 'a b'\n"), "{said}");
}

#[test]
fn stage_that_writes_its_own_input_is_told_so() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write("mlv.yaml", "stages:\n  a: {cmd: echo 2 >> in && cp in o, deps: [in], outs: [o]}\n");
    let said = refused(&env, &["repro"], 8);
    assert!(said.contains("if the command itself does, let it write another file"), "{said}");
}

#[test]
fn several_paths_that_are_not_here_are_quoted_once() {
    let env = TestEnv::shared();
    for name in ["my data", "other"] {
        env.write(name, name);
        env.mlv(&["add", name]).success();
        env.remove(name);
    }
    env.mlv(&["push"]).success();
    env.lose_cache();
    let said = refused(&env, &["checkout"], 5);
    assert!(said.ends_with("hint: mlv pull 'my data' other\n"), "{said}");
}

#[test]
fn remotes_that_are_there_are_told_where_none_is_the_default() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    let push = |env: &TestEnv| refused(env, &["push"], 2);
    assert!(push(&env).ends_with("hint: mlv remote add --default NAME URL\n"));
    env.mlv(&["remote", "add", "one", "../one"]).success();
    let said = push(&env);
    assert!(said.ends_with("hint: mlv remote default one\n"), "{said}");
    env.mlv(&["remote", "add", "two", "../two"]).success();
    let said = push(&env);
    assert!(said.ends_with("hint: mlv remote default NAME, with one of `one`, `two`\n"), "{said}");
}

#[test]
fn outputs_that_contradict_each_other_are_told_once() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  a: {cmd: echo, outs: [o]}\n  b: {cmd: echo, outs: [o]}\n");
    let said = refused(&env, &["status"], 4);
    assert_eq!(said.matches("error: ").count() + said.matches("failed: ").count(), 1, "{said}");
    env.write("mlv.yaml", "stages:\n  a: {cmd: echo, outs: [o, o/x]}\n");
    let said = refused(&env, &["status"], 4);
    assert_eq!(said.matches("error: ").count() + said.matches("failed: ").count(), 1, "{said}");
}

#[test]
fn folder_around_the_repository_is_not_offered_as_data() {
    let env = TestEnv::ready();
    let said = refused(&env, &["add", ".."], 4);
    assert!(!said.contains("hint"), "{said}");
    env.beside("elsewhere").write("x", "1");
    let said = refused(&env, &["add", "../elsewhere"], 4);
    assert!(said.contains("hint: mlv add -o NAME ../elsewhere\n"), "{said}");
}

// For scripts all paths are those of the repository.
#[test]
fn documents_have_one_name_for_a_path_wherever_it_is_asked_for() {
    let env = TestEnv::shared();
    env.write("my data", "1");
    env.mlv(&["add", "my data"]).success();
    env.remove("my data");
    env.lose_cache();
    let (_, document) = env.at("below").json_error(&["checkout", "../my data"], 5);
    assert_eq!(document["error"]["path"], "my data");
    assert_eq!(document["failed"][0]["path"], "my data");
    assert_eq!(document["error"]["hints"][0], "mlv fetch '../my data'");
}
