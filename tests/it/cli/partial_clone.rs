//! Partial clones (`git clone --filter=…`): what git left with its remote is brought as git itself brings it,
//! and where that cannot be, nothing that was left out counts as done, or as not there (R9, R14).

use std::fs;

use crate::support::TestEnv;

/// Four versions of `d` and `sub/f`, pushed, and a file of values that git keeps.
fn versions() -> TestEnv {
    let env = TestEnv::shared();
    env.git(&["config", "uploadpack.allowFilter", "true"]);
    env.write("mlv.yaml", "vars: [values.yaml]\nstages: {s: {cmd: 'cp values.yaml m.yaml; echo ${v}', deps: [d/1], metrics: [m.yaml: {cache: false}]}}\n");
    for version in 1..=4 {
        env.write("values.yaml", format!("v: {version}\n"));
        env.write("d/1", format!("one {version}"));
        env.write("sub/f", format!("file {version}"));
        env.mlv(&["add", "d", "sub/f"]).success();
        env.mlv(&["repro"]).success();
        env.commit(&format!("version {version}"));
        env.mlv(&["push"]).success();
    }
    env
}

fn partial(env: &TestEnv, filter: &str) -> TestEnv {
    let (url, name) = (format!("file://{}", env.path().display()), filter.replace(':', "-"));
    let place = env.beside(&name);
    place.git(&["clone", "--quiet", "--template=", &format!("--filter={filter}"), &url, "."]);
    place
}

fn packs(env: &TestEnv) -> usize {
    let files = fs::read_dir(env.path().join(".git/objects/pack")).expect("git's packs");
    files.flatten().filter(|file| file.path().extension().is_some_and(|it| it == "pack")).count()
}

#[test]
fn partial_clone_reads_every_revision() {
    let env = versions();
    for filter in ["blob:none", "tree:0"] {
        let clone = partial(&env, filter);
        let said = clone.mlv(&["diff", "HEAD~2", "HEAD"]).success().stdout();
        assert!(said.contains("sub/f"), "{filter}: {said}");
        assert_eq!(clone.mlv(&["cat", "--rev", "HEAD~3", "sub/f"]).success().stdout(), "file 1");
        let said = clone.mlv(&["metrics", "diff", "HEAD~2"]).success().stdout();
        assert!(said.contains("m.yaml"), "{filter}: {said}");
        clone.mlv(&["gc", "--cloud", "--dry-run"]).success();
    }
}

// Folders in one go, then files; each file of values by itself.
#[test]
fn partial_clone_fetches_and_pushes_all_of_history() {
    let env = versions();
    env.remove("values.yaml");
    env.write("mlv.yaml", "stages: {}\n");
    env.commit("no stages");
    for (filter, brings) in [("blob:none", 1 + 4), ("tree:0", 2 + 4)] {
        let clone = partial(&env, filter);
        let before = packs(&clone);
        let output = clone.mlv(&["fetch", "--all-commits"]).success();
        assert!(!output.stderr().contains("left out"), "{}", output.stderr());
        assert!(packs(&clone) <= before + brings, "{filter}: {} packs more", packs(&clone) - before);
        let fresh = env.beside("empty").path().to_owned();
        fs::remove_dir_all(&fresh).ok();
        clone.mlv(&["remote", "add", "fresh", "../empty"]).success();
        clone.mlv(&["push", "--all-commits", "--remote", "fresh"]).success();
        clone.git(&["checkout", "--quiet", "HEAD~3"]);
        fs::rename(env.root().join("remote"), env.root().join("away")).expect("it can be moved");
        clone.mlv(&["checkout"]).success();
        fs::rename(env.root().join("away"), env.root().join("remote")).expect("it can be moved");
        assert_eq!(clone.read_text("d/1"), "one 2", "{filter}");
    }
}

#[test]
fn what_git_cannot_bring_is_a_failure_and_nothing_to_delete() {
    let env = versions();
    let clone = partial(&env, "blob:none");
    let off = |args: &[&str], code: i32| {
        let mut command = clone.mlv_command();
        clone.run(command.env("GIT_NO_LAZY_FETCH", "1").args(args)).code(code)
    };
    let remedy = "hint: git fetch --refetch --no-filter origin\n";
    let commands: [&[&str]; 5] = [
        &["fetch", "--all-commits"],
        &["push", "--all-commits"],
        &["diff", "HEAD~2", "HEAD"],
        &["metrics", "show", "--all-commits"],
        &["gc", "--cloud", "--dry-run"],
    ];
    for args in commands {
        let said = off(args, 7).stderr();
        assert!(said.contains("this is a partial clone") && said.contains(remedy), "{args:?}: {said}");
        assert!(!said.contains("skip-failed") && !said.contains("up to date"), "{args:?}: {said}");
    }
    // What belongs to the work tree came nevertheless.
    off(&["checkout"], 0);
    assert_eq!(clone.read_text("d/1"), "one 4");
    clone.git(&["fetch", "--quiet", "--refetch", "--no-filter", "origin"]);
    for args in commands {
        let said = off(args, 0).stderr();
        assert!(!said.contains("left out"), "{args:?}: {said}");
    }
}
