//! `mlv merge-driver`, run by real merges of git, and `mlv install`, which registers it.

use std::path::Path;

use serde_json::json;

use super::remedies::paste;
use crate::support::{Output, TestEnv};

const DRIVER: &str = "mlv merge-driver %O %A %B %P";

impl TestEnv {
    /// Runs git with the built mlv on its path, as after an installation.
    #[must_use = "check how it ended: success() or code(n)"]
    pub(crate) fn git_and_mlv(&self, args: &[&str]) -> Output {
        let folder = Path::new(env!("CARGO_BIN_EXE_mlv")).parent().expect("a program has a folder");
        let path = std::env::var("PATH").expect("there is a path");
        self.run(self.command("git").args(args).env("PATH", format!("{}:{path}", folder.display())))
    }

    /// Commits on a new branch `name` what `change` does, and goes back to `main`.
    pub(crate) fn branch(&self, name: &str, change: impl FnOnce(&TestEnv)) {
        self.git(&["checkout", "--quiet", "-b", name, "main"]);
        self.mlv(&["checkout"]).success();
        change(self);
        self.commit(name);
        self.git(&["checkout", "--quiet", "main"]);
        self.mlv(&["checkout"]).success();
    }

    /// Two branches, `main` and `side`, that changed what `base` made.
    pub(crate) fn diverged(
        base: impl FnOnce(&TestEnv),
        ours: impl FnOnce(&TestEnv),
        theirs: impl FnOnce(&TestEnv),
    ) -> TestEnv {
        let env = TestEnv::shared();
        base(&env);
        env.commit("base");
        env.branch("side", theirs);
        ours(&env);
        env.commit("ours");
        env.mlv(&["push", "-A"]).success();
        env
    }
}

/// Writes files into `d` and records it.
pub(crate) fn data(files: &'static [(&'static str, &'static str)]) -> impl FnOnce(&TestEnv) {
    move |env| {
        for (name, text) in files {
            env.write(format!("d/{name}"), text);
        }
        env.mlv(&["add", "d"]).success();
    }
}

// DVC 94
#[test]
fn directories_are_merged_path_by_path_and_only_lists_of_files_are_fetched() {
    let env = TestEnv::diverged(
        data(&[("a", "1"), ("b", "1"), ("c", "1"), ("gone", "1")]),
        data(&[("a", "2"), ("new", "mine")]),
        |env| {
            env.remove("d/gone");
            data(&[("b", "3"), ("sub/new", "theirs")])(env);
        },
    );
    let clone = env.clone_to("clone");
    clone.mlv(&["install"]).success();
    let output = clone.git_and_mlv(&["merge", "--no-edit", "origin/side"]).success();
    assert!(output.stdout().contains("Merge made"), "{output}");
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(5));
    // Not one file came for that.
    assert_eq!(clone.json(&["fetch"])["files"], 5);
    clone.mlv(&["checkout"]).success();
    let read = |name: &str| clone.read_text(format!("d/{name}"));
    assert_eq!(["a", "b", "c", "new", "sub/new"].map(read), ["2", "3", "1", "mine", "theirs"]);
    assert!(!clone.exists("d/gone"));
    clone.assert_clean();
    clone.assert_sound();
    // What was merged can be shared.
    clone.mlv(&["push"]).success();
    clone.git(&["push", "--quiet", "origin", "HEAD:refs/heads/merged"]);
    let other = env.clone_to("other");
    other.git(&["checkout", "--quiet", "merged"]);
    other.mlv(&["pull"]).success();
    assert_eq!(other.read_text("d/sub/new"), "theirs");
}

#[test]
fn what_both_changed_is_a_conflict_that_names_the_files() {
    let env = TestEnv::diverged(
        |env| {
            data(&[("a", "1"), ("b", "1"), ("c", "1")])(env);
            env.write("other", "fine");
            env.mlv(&["add", "other"]).success();
        },
        data(&[("a", "2"), ("b", "2")]),
        data(&[("a", "3"), ("b", "2"), ("c", "3")]),
    );
    let output = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    assert!(output.stderr().contains("error: both sides changed `d/a`\n"), "{output}");
    assert!(output.stderr().contains("hint: `mlv resolve --ours d.mlv`"), "{output}");
    assert!(env.read_text("d.mlv").starts_with("<<<<<<< ours\nversion: 1\n"));
    // All else stays usable.
    env.remove("other");
    env.mlv(&["checkout", "other"]).success();
    let status = env.mlv(&["status"]).code(4);
    assert!(status.stderr().contains("hint: mlv resolve d.mlv"), "{status}");
    env.git(&["merge", "--abort"]);
    env.mlv(&["checkout"]).success();
    env.assert_clean();
}

#[test]
fn files_that_both_changed_are_a_conflict_and_notes_are_merged() {
    let file = |text: &'static str| {
        move |env: &TestEnv| {
            env.write("f", text);
            env.mlv(&["add", "f"]).success();
        }
    };
    let note = |env: &TestEnv| env.write("f.mlv", format!("# a note\n{}", env.read_text("f.mlv")));
    let env = TestEnv::diverged(file("1"), file("2"), note);
    env.git_and_mlv(&["merge", "--no-edit", "side"]).success();
    assert!(env.read_text("f.mlv").starts_with("# a note\nversion: 1\n"));
    env.assert_clean();
    assert_eq!(env.read_text("f"), "2");

    let env = TestEnv::diverged(file("1"), file("2"), file("3"));
    let output = env.git_and_mlv(&["merge", "--no-edit", "side"]).code(1);
    assert!(output.stderr().contains("error: both sides changed `f`\n"), "{output}");
}

const PIPELINE: &str = "\
stages:
  one: {cmd: cat a > one, deps: [a], outs: [one]}
  two: {cmd: cat b > two, deps: [b], outs: [two]}
  sum: {cmd: cat c e > sum, deps: [c, e], outs: [sum]}
";

fn write_and_run(files: &'static [(&'static str, &'static str)]) -> impl FnOnce(&TestEnv) {
    move |env| {
        env.write("mlv.yaml", PIPELINE);
        files.iter().for_each(|(name, text)| env.write(name, text));
        env.mlv(&["repro"]).success();
    }
}

// DVC 95
#[test]
fn locks_are_merged_stage_by_stage() {
    let env = TestEnv::diverged(
        write_and_run(&[("a", "1"), ("b", "1"), ("c", "1"), ("e", "1")]),
        write_and_run(&[("a", "2")]),
        write_and_run(&[("b", "2")]),
    );
    env.git_and_mlv(&["merge", "--no-edit", "side"]).success();
    env.mlv(&["pull"]).success();
    assert_eq!(env.json(&["status", "--only", "pipeline"]), json!({}));
    let report = env.json(&["repro"]);
    assert!(
        report["stages"].as_array().expect("stages").iter().all(|stage| stage["action"] == "skipped"),
        "{report}"
    );
    assert_eq!([env.read_text("one"), env.read_text("two")], ["2", "2"]);
}

#[test]
fn stage_that_both_changed_is_stale_until_it_runs() {
    let env = TestEnv::diverged(
        write_and_run(&[("a", "1"), ("b", "1"), ("c", "1"), ("e", "1")]),
        write_and_run(&[("c", "2")]),
        write_and_run(&[("e", "2")]),
    );
    let output = env.git_and_mlv(&["merge", "--no-edit", "side"]).success();
    assert!(
        output.stderr().contains("both sides changed stage `sum` of `mlv.lock`: it is to run"),
        "{output}"
    );
    let status = env.json(&["status", "--only", "pipeline"]);
    let reasons = &status["stages"]["sum"];
    assert!(reasons.to_string().contains("lock entry was merged or edited, never run"), "{status}");
    assert_eq!(status["stages"].as_object().expect("a map").len(), 1, "{status}");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("sum"), "22");
    env.commit("run what was merged");
    env.assert_clean();
}

// git runs the driver at the top of its work tree; the user stands below it.
#[test]
fn conflict_is_told_from_where_the_user_stands() {
    let data = |text: &'static str| {
        move |env: &TestEnv| {
            env.write("s/d/a", text);
            env.mlv(&["add", "s/d"]).success();
        }
    };
    let env = TestEnv::diverged(data("1"), data("2"), data("3"));
    let below = env.at("s");
    let said = below.git_and_mlv(&["merge", "--no-edit", "side"]).code(1).stderr();
    assert!(
        said.contains("failed: `d/a`: both sides changed it\nerror: both sides changed `d/a`\n"),
        "{said}"
    );
    paste(&below, &said, "hint: `");
    assert!(!env.read_text("s/d.mlv").contains("<<<<<<<"));
}

#[test]
fn merges_work_below_the_top_of_git_and_in_linked_work_trees() {
    let top = TestEnv::in_git();
    let env = top.at("project");
    env.mlv(&["init"]).success();
    env.write("x/d/a", "1");
    env.write("x/d/b", "1");
    env.mlv(&["add", "x/d"]).success();
    env.commit("base");
    for (branch, name) in [("main", "a"), ("side", "b")] {
        env.git(&["checkout", "--quiet", "-B", branch, if branch == "main" { "HEAD" } else { "HEAD~1" }]);
        env.mlv(&["checkout"]).success();
        env.write(format!("x/d/{name}"), "2");
        env.mlv(&["add", "x/d"]).success();
        env.commit(branch);
    }
    let linked = top.root().join("linked").display().to_string();
    env.git(&["worktree", "add", "--quiet", "--detach", &linked, "main"]);
    let linked = top.beside("linked");
    linked.git_and_mlv(&["merge", "--no-edit", "side"]).success();
    let project = linked.at("project");
    project.mlv(&["checkout"]).success();
    assert_eq!([project.read_text("x/d/a"), project.read_text("x/d/b")], ["2", "2"]);
}

#[test]
fn driver_says_what_it_cannot_merge() {
    let env = TestEnv::ready();
    for name in ["base", "ours", "theirs"] {
        env.write(name, "version: 99\n");
    }
    let args = |path| ["merge-driver", "base", "ours", "theirs", path];
    assert_eq!(env.json_error(&args("d.mlv"), 4).0, "unsupported_version");
    assert!(env.read_text("ours").starts_with("<<<<<<< ours\nversion: 99\n=======\n"));
    assert_eq!(env.json_error(&args("readme.md"), 2).0, "usage");
    assert_eq!(env.json_error(&args("../mlv.lock"), 4).0, "unsafe_path");
    assert_eq!(env.json_error(&["merge-driver", "nosuch", "ours", "theirs", "mlv.lock"], 5).0, "not_found");
    // Without a project a lock is merged all the same: nothing is fetched for it.
    let folder = TestEnv::new();
    for (name, text) in
        [("base", ""), ("ours", "version: 1\nstages: {}\n"), ("theirs", "version: 1\nstages: {}\n")]
    {
        folder.write(name, text);
    }
    assert_eq!(folder.json(&args("mlv.lock")), json!({"path": "mlv.lock", "stale": []}));
}

#[test]
fn driver_is_registered_by_init_and_once_in_each_clone() {
    let env = TestEnv::ready();
    assert_eq!(env.git(&["config", "merge.mlv.driver"]), DRIVER);
    let lines = "*.mlv merge=mlv text eol=lf\nmlv.lock merge=mlv text eol=lf\n.gitignore merge=union\n";
    assert_eq!(env.read_text(".gitattributes"), lines);
    let clone = env.clone_to("clone");
    let hint = "hint: to have git merge pointers and locks by mlv: mlv install\n";
    assert!(clone.mlv(&["status"]).success().stderr().ends_with(hint));
    assert_eq!(clone.json(&["install", "--dry-run"])["registered"], true);
    insta::assert_snapshot!(clone.mlv(&["install"]).success(), @r"
    --- stderr
    git runs mlv to merge pointers and locks in this clone now.
    ");
    assert_eq!(clone.git(&["config", "--local", "merge.mlv.driver"]), DRIVER);
    insta::assert_snapshot!(clone.mlv(&["install"]).success(), @r"
    --- stderr
    git runs mlv to merge pointers and locks already.
    ");
    assert!(!clone.mlv(&["status"]).success().stderr().contains("install"));
    clone.git(&["config", "merge.mlv.driver", "other %A"]);
    clone.remove(".gitattributes");
    insta::assert_snapshot!(clone.mlv(&["install"]).success(), @r"
    --- stderr
    git runs another command to merge pointers and locks, which stays: other %A
    Wrote `.gitattributes`
    hint: git add .gitattributes
    ");
    assert_eq!(clone.git(&["config", "merge.mlv.driver"]), "other %A");
}

#[test]
fn install_needs_git() {
    let env = TestEnv::new();
    env.mlv(&["init", "--no-scm"]).success();
    assert!(!env.exists(".gitattributes"));
    assert_eq!(env.json_error(&["install"], 2).0, "needs_git");
    env.mlv(&["resolve"]).success();
}

// Both lines of the block stay, also where each side made the file: else git would take the data.
#[test]
fn outputs_that_two_branches_added_stay_ignored_by_git() {
    for had_one in [false, true] {
        let env = TestEnv::ready();
        if had_one {
            env.write("first", "1");
            env.mlv(&["add", "first"]).success();
        }
        env.commit("base");
        env.git(&["checkout", "--quiet", "-b", "side"]);
        env.write("a", "1");
        env.mlv(&["add", "a"]).success();
        env.commit("a");
        env.git(&["checkout", "--quiet", "main"]);
        // Else git takes `a`, which nothing ignores here.
        env.mlv(&["checkout"]).success();
        env.write("b", "1");
        env.mlv(&["add", "b"]).success();
        env.commit("b");
        env.git(&["merge", "--quiet", "-m", "both", "side"]);
        assert!(env.git_ignores("a") && env.git_ignores("b"), "{}", env.read_text(".gitignore"));
        env.mlv(&["checkout"]).success();
        env.assert_clean();
        env.write("c", "1");
        env.mlv(&["add", "c"]).success();
        let text = env.read_text(".gitignore");
        assert_eq!(text.matches("mlv: outputs").count(), 1, "{text}");
        assert!(text.contains("/a\n/b\n/c\n"), "{text}");
    }
}
