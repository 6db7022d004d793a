//! `push`, `fetch` and `pull` with `-a`, `-T` and `-A`.

use crate::support::TestEnv;

/// Version 1 tagged, version 2 on a branch `side`, version 3 of no name, version 4 on `main`.
fn versions() -> TestEnv {
    let env = TestEnv::shared();
    for (version, after) in
        [(1, &[&["tag", "first"][..]][..]), (2, &[&["branch", "side"]]), (3, &[]), (4, &[])]
    {
        env.write("f", format!("version {version}"));
        env.write("d/1", format!("in a folder, version {version}"));
        env.write("d/same", "the same in all");
        env.mlv(&["add", "f", "d"]).success();
        env.commit(&format!("version {version}"));
        after.iter().for_each(|args| drop(env.git(args)));
    }
    env
}

/// The versions that a clone without a remote can check out.
fn checked_out(clone: &TestEnv) -> Vec<usize> {
    let commits = ["HEAD~3", "HEAD~2", "HEAD~1", "HEAD"];
    let (empty, remote) = (clone.root().join("no-remote"), clone.root().join("remote"));
    std::fs::rename(&remote, &empty).expect("it can be moved");
    let commits = commits.map(|name| clone.git(&["rev-parse", name]).trim().to_owned());
    let works = |commit: &String, version: usize| {
        clone.git(&["checkout", "--quiet", commit]);
        let done = clone.mlv(&["checkout"]).exit_code() == 0;
        let is_right = clone.exists("f") && clone.read_text("f") == format!("version {version}");
        assert!(!done || is_right, "version {version}");
        done && clone.exists("d/1")
    };
    let found =
        (1..).zip(&commits).filter(|(version, commit)| works(commit, *version)).map(|(version, _)| version);
    let found = found.collect();
    std::fs::rename(&empty, &remote).expect("it can be moved");
    found
}

fn clone_of(env: &TestEnv, name: &str) -> TestEnv {
    let clone = env.clone_to(name);
    clone.git(&["branch", "side", "origin/side"]);
    clone
}

// DVC 50 K
#[test]
fn history_is_pushed_and_fetched_as_far_as_it_is_asked_for() {
    let env = versions();
    for (number, (flags, expected)) in [
        (&[][..], vec![4]),
        (&["-T"], vec![1, 4]),
        (&["-a"], vec![2, 4]),
        (&["-a", "-T"], vec![1, 2, 4]),
        (&["-A"], vec![1, 2, 3, 4]),
    ]
    .into_iter()
    .enumerate()
    {
        let of_push = env.duplicate();
        of_push.mlv(&[&["push"], flags].concat()).success();
        let clone = clone_of(&of_push, "clone");
        let _ = clone.mlv(&["fetch", "-A"]);
        assert_eq!(checked_out(&clone), expected, "push {flags:?}");

        let of_fetch = env.duplicate();
        of_fetch.mlv(&["push", "-A"]).success();
        let clone = clone_of(&of_fetch, "clone");
        let command = if number % 2 == 0 { "fetch" } else { "pull" };
        clone.mlv(&[&[command], flags].concat()).success();
        assert_eq!(checked_out(&clone), expected, "{command} {flags:?}");
    }
}

#[test]
fn target_may_be_of_another_commit_and_nothing_is_sent_twice() {
    let env = versions();
    env.mlv(&["remove", "f", "--outs"]).success();
    env.commit("without f");
    env.mlv(&["push"]).success();
    env.json_error(&["push", "f"], 2);
    env.mlv(&["push", "-A", "f"]).success();
    let report = env.json(&["push", "-A"]);
    // Three old versions of the folder's one file, and their pages; the rest is there.
    assert_eq!((report["objects"].as_u64(), report["pages"].as_u64()), (Some(3), Some(3)), "{report}");
    assert_eq!(env.json(&["push", "-A"])["objects"].as_u64(), Some(0));
}

// DVC 50 K: what cannot be read at an old commit is a warning.
#[test]
fn unreadable_pointer_of_an_old_commit_is_a_warning() {
    let env = versions();
    let text = env.read_text("f.mlv");
    env.write("f.mlv", "version: 999\n");
    env.commit("broken");
    env.write("f.mlv", text);
    env.commit("mended");
    let output = env.mlv(&["push", "-A"]).success();
    assert_eq!(output.stderr().matches("left out of history: `f.mlv`").count(), 1, "{output}");
}

#[test]
fn history_needs_git() {
    let env = TestEnv::new();
    env.mlv(&["init", "--no-scm"]).success();
    let remote = env.beside("remote").path().display().to_string();
    env.mlv(&["remote", "add", "-d", "storage", &remote]).success();
    env.mlv(&["push"]).success();
    env.mlv(&["push", "-A"]).code(2);
}
