//! Discovery in real projects, with git and without.

use super::*;
use crate::config::Sources;
use crate::error::{Advice, ErrorKind};
use crate::git::testing::TestRepo;
use crate::repo::{self, Creation};

const FILE: &str = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
const TREE: &str = "blake3-tree:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

fn pointer(name: &str) -> String {
    format!("version: 1\nouts:\n- path: {name}\n  hash: {FILE}\n  size: 0\n")
}

fn directory(name: &str) -> String {
    format!("version: 1\nouts:\n- path: {name}\n  hash: {TREE}\n  size: 0\n  nfiles: 0\n")
}

fn project(no_scm: bool) -> TestRepo {
    let test = TestRepo::new();
    let creation = Creation { no_scm, ..Creation::default() };
    repo::create(&test.root, &creation, Sources::default()).unwrap();
    test
}

fn open(test: &TestRepo) -> Repo {
    Repo::open_with(&test.root, Sources::default()).unwrap()
}

fn load(test: &TestRepo) -> Tracked {
    Tracked::load(&open(test)).unwrap()
}

fn paths(tracked: &Tracked) -> Vec<&str> {
    tracked.outs().iter().map(|out| out.path.as_str()).collect()
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

fn problems(tracked: &Tracked) -> Vec<(&str, ErrorKind)> {
    tracked.problems().iter().map(|problem| (problem.file.as_str(), problem.error.kind())).collect()
}

const PIPELINE: &str = "\
stages:
  train:
    cmd: python train.py
    deps: [../data]
    outs:
    - model.bin
    - ../out/big:
        push: false
    metrics:
    - scores.json:
        cache: false
";

#[test]
fn pointers_and_stages_make_one_sorted_set() {
    let test = project(false);
    test.write("data.mlv", directory("data"))
        .write("a/x.csv.mlv", pointer("x.csv"))
        .write("p/mlv.yaml", PIPELINE);
    let tracked = load(&test);
    assert_eq!(paths(&tracked), ["a/x.csv", "data", "out/big", "p/model.bin", "p/scores.json"]);
    assert!(tracked.problems().is_empty(), "{:?}", tracked.problems());
    let big = tracked.out(&path("out/big")).unwrap();
    assert!(!big.push && big.cache && big.content.is_none());
    assert_eq!(big.source.to_string(), "the stage `train` of `p/mlv.yaml`");
    assert!(!tracked.out(&path("p/scores.json")).unwrap().cache);
    assert!(tracked.out(&path("data")).unwrap().content.unwrap().id.is_tree());
    assert_eq!(tracked.of_pointer(&path("a/x.csv.mlv")).unwrap().path, path("a/x.csv"));
    assert_eq!(tracked.of_stage(&path("p/mlv.yaml"), "train").count(), 3);
    for (asked, inside) in [("data", ""), ("data/b/c", "b/c")] {
        let asked = path(asked);
        let (out, found) = tracked.containing(&asked).unwrap();
        assert_eq!((out.path.as_str(), found), ("data", inside));
    }
    assert!(tracked.containing(&path("database")).is_none());
    assert_eq!(tracked.below(&path("p")).count(), 2);
    assert_eq!(tracked.pipelines()[0].lock_file, path("p/mlv.lock"));
}

/// The walk enters neither outputs nor what git, mlv or other repositories have for themselves.
#[test]
fn the_walk_stays_out_of_what_is_not_the_projects() {
    for no_scm in [false, true] {
        let test = project(no_scm);
        test.write(".gitignore", "/hidden/\n").write(".mlvignore", "ignored/\n");
        for folder in ["data", "hidden", "a/ignored", "sub", "nested", "p/made", "out/big/deep"] {
            test.write(&format!("{folder}/x.mlv"), pointer("x"));
        }
        test.write("data.mlv", directory("data")).write("sub/.git", "gitdir: ../.git/modules/sub\n");
        test.write("nested/.mlv/config.toml", "").write("p/mlv.yaml", PIPELINE.replace("model.bin", "made"));
        let tracked = load(&test);
        let mut expected = vec!["data", "out/big", "p/made", "p/scores.json"];
        if no_scm {
            expected.insert(1, "hidden/x");
        }
        assert_eq!(paths(&tracked), expected, "no_scm {no_scm}");
        assert!(tracked.problems().is_empty(), "{:?}", tracked.problems());
    }
}

#[test]
fn one_bad_file_leaves_the_others_usable() {
    let test = project(false);
    test.write("good.mlv", pointer("good"))
        .write("bad.mlv", "version: 1\nouts: 3\n")
        .write("escape.mlv", pointer("../../x"))
        .write("new.mlv", pointer("new").replace("version: 1", "version: 99"))
        .write("conflict.mlv", format!("<<<<<<< ours\n{}", pointer("conflict")))
        .write("mlv.yaml", "stages: [\n")
        .write("sub/mlv.lock", "garbage")
        .write("bad/inner.mlv", pointer("inner"));
    std::os::unix::fs::symlink("good.mlv", test.root.join("link.mlv")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(test.root.join("pipe.mlv")).status().unwrap();
    assert!(fifo.success());
    let tracked = load(&test);
    assert_eq!(paths(&tracked), ["good"]);
    assert_eq!(
        problems(&tracked),
        [
            ("bad.mlv", ErrorKind::InvalidFile),
            ("conflict.mlv", ErrorKind::InvalidFile),
            ("escape.mlv", ErrorKind::UnsafePath),
            ("link.mlv", ErrorKind::UnsafePath),
            ("mlv.yaml", ErrorKind::InvalidFile),
            ("new.mlv", ErrorKind::UnsupportedVersion),
            ("pipe.mlv", ErrorKind::UnsafePath),
            ("sub/mlv.lock", ErrorKind::InvalidFile),
        ]
    );
    assert!(tracked.complete().is_err());
}

#[test]
fn contradicting_outputs_are_reported_and_none_of_them_is_used() {
    let test = project(false);
    test.write("one.mlv", pointer("one"))
        .write("sub/other.mlv", format!("wdir: ..\n{}", pointer("one")))
        .write("d.mlv", directory("d"))
        .write("mlv.yaml", "stages:\n  s:\n    cmd: x\n    outs: [d/inner, Twin, fine]\n")
        .write("twin.mlv", pointer("twin"))
        .write("d.b.mlv", pointer("d.b"));
    let tracked = load(&test);
    assert_eq!(paths(&tracked), ["d.b", "fine"]);
    let messages: Vec<String> = tracked.problems().iter().map(|problem| problem.error.to_string()).collect();
    assert_eq!(
        messages,
        [
            "mlv.yaml:4:12: `d/inner`, an output of the stage `s` of `mlv.yaml`, lies in `d`, an output of `d.mlv`",
            "`one` is an output of `one.mlv` and of `sub/other.mlv`",
            "mlv.yaml:4:21: `Twin`, an output of the stage `s` of `mlv.yaml`, and `twin`, an output of `twin.mlv`, are one \
             name where case or accents do not count",
        ]
    );
    for problem in tracked.problems() {
        assert_eq!(problem.error.kind(), ErrorKind::InvalidPipeline);
    }
}

#[test]
fn a_pointer_that_git_tracks_is_never_taken_for_data() {
    let test = project(false);
    test.write("legit/x.mlv", pointer("x"));
    test.commit("x");
    // Declares, from elsewhere, the folder that holds another pointer as its output.
    test.write("evil/e.mlv", format!("wdir: ..\n{}", directory("legit")));
    let tracked = load(&test);
    assert!(paths(&tracked).is_empty());
    assert_eq!(tracked.problems().len(), 1, "{:?}", tracked.problems());
}

#[test]
fn revisions_are_read_like_the_work_tree() {
    let test = project(false);
    test.write("a.mlv", pointer("a")).write("sub/b.mlv", pointer("b")).write("mlv.yaml", PIPELINE_AT_ROOT);
    test.write("nested/.mlv/config.toml", "").write("nested/c.mlv", pointer("c")).write("bad.mlv", "x");
    test.git(&["add", "-A", "-f"]);
    let one = test.commit("one");
    std::fs::remove_file(test.root.join("a.mlv")).unwrap();
    let two = test.commit("two");
    let repo = open(&test);
    let git = repo.git().unwrap();
    let mut history = History::new(&repo).unwrap();
    let first = history.at(git.resolve(&one).unwrap()).unwrap();
    assert_eq!(paths(&first), ["a", "m", "sub/b"]);
    assert_eq!(problems(&first), [("bad.mlv", ErrorKind::InvalidFile)]);
    let second = history.at(git.resolve(&two).unwrap()).unwrap();
    assert_eq!(paths(&second), ["m", "sub/b"]);
    let now = Tracked::load(&repo).unwrap();
    assert_eq!(now.outs(), second.outs());
}

const PIPELINE_AT_ROOT: &str = "stages:\n  s:\n    cmd: x\n    outs: [m]\n";

#[test]
fn without_git_there_is_no_history() {
    let test = project(true);
    assert_eq!(History::new(&open(&test)).err().unwrap().kind(), ErrorKind::NeedsGit);
    test.write("a.mlv", pointer("a"));
    assert_eq!(paths(&load(&test)), ["a"]);
}

/// L1: ten thousand pointers in a hundred folders, and data that is never looked at.
#[test]
fn ten_thousand_pointers_are_read() {
    let test = project(true);
    for folder in 0..100 {
        test.write(&format!("f{folder}/data/x.mlv"), "never read");
        test.write(&format!("f{folder}/data.mlv"), directory("data"));
        for file in 0..99 {
            std::fs::write(test.root.join(format!("f{folder}/{file}.mlv")), pointer(&file.to_string()))
                .unwrap();
        }
    }
    let tracked = load(&test);
    assert_eq!((tracked.outs().len(), tracked.problems().len()), (10_000, 0));
}
