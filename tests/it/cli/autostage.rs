//! `core.autostage`: what mlv writes for git goes to `git add`, and nothing else is run or touched.

use serde_json::json;

use crate::support::{TestEnv, texts};

/// A project in which the user asked for it.
fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.mlv(&["config", "core.autostage", "true"]).success();
    env.commit("ask for it");
    env
}

impl TestEnv {
    /// What differs between HEAD and git's index: `A d.mlv`.
    fn staged(&self) -> Vec<String> {
        let changes = self.git(&["diff", "--cached", "--name-status", "--no-renames"]);
        changes.lines().map(|line| line.replace('\t', " ")).collect()
    }
}

#[test]
fn what_is_written_for_git_is_in_its_index() {
    let env = project();
    env.write("d/a", "1");
    env.write("readme", "not mlv's business");
    let report = env.json(&["add", "d"]);
    assert_eq!(texts(&report["staged"]), [".gitignore", "d.mlv"]);
    assert_eq!(report["git_add"], json!([]));
    assert_eq!(env.staged(), ["A .gitignore", "A d.mlv"]);
    env.commit("add");

    env.write("d/a", "2");
    let output = env.mlv(&["commit"]).success();
    assert!(output.stderr().contains("Handed 1 file to `git add`: d.mlv"), "{output}");
    assert!(!output.stderr().contains("hint: git add"), "{output}");
    assert_eq!(env.staged(), ["M d.mlv"]);
    env.commit("commit");

    env.mlv(&["remove", "d.mlv"]).success();
    assert_eq!(env.staged(), ["D .gitignore", "D d.mlv"]);
}

#[test]
fn repro_hands_over_the_lock_and_the_ignore_lines_of_what_succeeded() {
    let env = project();
    env.write("mlv.yaml", "stages:\n  a: {cmd: echo 1 > a, outs: [a]}\n  b: {cmd: exit 3, deps: [a]}\n");
    env.commit("pipeline");
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.staged(), ["A .gitignore", "A mlv.lock"]);
}

#[test]
fn names_are_no_patterns_and_no_options() {
    let env = project();
    let names = ["-x", "[ab]", "a", "a b", ":!a", "ü"];
    for name in names {
        env.write(format!("sub/{name}"), name);
    }
    let sub = env.at("sub");
    for name in ["[ab]", "-x", "ü", "a b"] {
        sub.mlv(&["add", "--", name]).success();
    }
    let staged = env.git(&["-c", "core.quotePath=false", "diff", "--cached", "--name-only"]);
    let wanted = ["sub/-x.mlv", "sub/.gitignore", "sub/[ab].mlv", "sub/a b.mlv", "sub/ü.mlv"];
    assert_eq!(staged.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn nothing_is_staged_where_nobody_asked_or_in_a_dry_run() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.mlv(&["add", "d"]).success();
    assert!(env.staged().is_empty());
    let env = project();
    env.write("d/a", "1");
    env.mlv(&["add", "d", "--dry-run"]).success();
    assert!(env.staged().is_empty());
    let without = TestEnv::new();
    without.mlv(&["init", "--no-scm"]).success();
    without.mlv(&["config", "core.autostage", "true"]).success();
    without.write("d/a", "1");
    without.mlv(&["add", "d"]).success();
}

#[test]
fn what_git_never_knew_is_not_named() {
    let env = TestEnv::ready();
    env.write("d/a", "1");
    env.mlv(&["add", "d"]).success();
    let report = env.json(&["remove", "d.mlv"]);
    assert_eq!(report["git_add"], json!([]), "`git add` fails for files that are nowhere");
}

// R11: hooks, monitors and programs that lie in the work tree are the repository's.
#[test]
fn nothing_of_the_repository_is_run() {
    let env = project();
    let evil = format!("#!/bin/sh\ntouch {}/ran\n", env.root().display());
    for program in [".git/hooks/post-index-change", "bin/git", "monitor"] {
        env.write(program, &evil);
        env.chmod(program, 0o755);
    }
    env.git(&["config", "core.fsmonitor", &env.path().join("monitor").display().to_string()]);
    env.write("d/a", "1");
    let path = std::env::var("PATH").expect("a path");
    let mut command = env.mlv_command();
    command.args(["add", "d"]).env("PATH", format!("bin:{}/bin:{path}", env.path().display()));
    env.run(&mut command).success();
    assert!(!env.exists(env.root().join("ran")), "something of the repository ran");
    env.git(&["config", "--unset", "core.fsmonitor"]);
    env.remove(".git/hooks/post-index-change");
    assert_eq!(env.staged(), ["A .gitignore", "A d.mlv"]);
}

// R20: the index of this repository, whatever the environment says of another.
#[test]
fn no_variable_leads_to_another_index() {
    let env = project();
    let other = env.beside("other");
    other.git(&["init", "--quiet"]);
    let before = other.snapshot_of(".git");
    env.write("d/a", "1");
    let mut command = env.mlv_command();
    command.args(["add", "d"]).env("GIT_INDEX_FILE", other.path().join(".git/index"));
    command.env("GIT_OBJECT_DIRECTORY", other.path().join(".git/objects")).env("GIT_LITERAL_PATHSPECS", "0");
    env.run(&mut command).success();
    assert_eq!(other.snapshot_of(".git"), before);
    assert_eq!(env.staged(), ["A .gitignore", "A d.mlv"]);
}

#[test]
fn in_a_hook_it_is_the_index_of_the_commit_that_is_made() {
    let env = project();
    env.git(&["read-tree", "--index-output=.git/next", "HEAD"]);
    env.write("d/a", "1");
    let mut command = env.mlv_command();
    env.run(command.args(["add", "d"]).env("GIT_INDEX_FILE", ".git/next")).success();
    assert!(env.staged().is_empty());
    let mut command = env.command("git");
    let next = command.args(["diff", "--cached", "--name-only"]).env("GIT_INDEX_FILE", ".git/next");
    assert_eq!(env.run(next).success().stdout(), ".gitignore\nd.mlv\n");
}

#[test]
fn a_held_index_is_busy_and_everything_is_recorded() {
    let env = project();
    env.write("d/a", "1");
    env.write(".git/index.lock", "");
    let output = env.mlv(&["add", "d", "--json"]).code(6);
    assert_eq!(output.error_kind(), "busy");
    assert_eq!(texts(&output.json()["git_add"]), [".gitignore", "d.mlv"]);
    env.remove(".git/index.lock");
    assert!(env.exists("d.mlv") && env.staged().is_empty());
    env.write("e", "1");
    env.write(".git/index.lock", "");
    let output = env.mlv(&["add", "e"]).code(6);
    assert!(output.stderr().contains("hint: git add .gitignore e.mlv"), "{output}");
    assert!(output.stderr().contains("index.lock"), "{output}");
}

#[test]
fn below_gits_root_and_in_a_linked_work_tree() {
    let env = TestEnv::in_git();
    let sub = env.at("projects/one");
    sub.mlv(&["init"]).success();
    sub.mlv(&["config", "core.autostage", "true"]).success();
    env.commit("set up");
    env.git(&["worktree", "add", "--quiet", "../linked"]);
    let linked = env.at("../linked/projects/one");
    linked.write("d/a", "1");
    linked.mlv(&["add", "d"]).success();
    assert_eq!(linked.staged(), ["A projects/one/.gitignore", "A projects/one/d.mlv"]);
    assert!(env.staged().is_empty());
}

// R15: the same command again completes what a busy index kept from it.
#[test]
fn what_a_busy_index_refused_is_handed_over_the_next_time() {
    for again in [&["add", "a"][..], &["commit"]] {
        let env = project();
        env.write("a", "1");
        let lock = env.path().join(".git/index.lock");
        std::fs::write(&lock, "").expect("git is there");
        env.mlv(&["add", "a"]).code(6);
        std::fs::remove_file(&lock).expect("it is there");
        env.mlv(again).success();
        assert_eq!(env.staged(), ["A .gitignore", "A a.mlv"], "{again:?}");
        let report = env.json(again);
        assert!(report.get("staged").is_none(), "nothing is left: {report}");
    }
}
