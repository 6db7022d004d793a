//! What targets mean, in a project with pointers and two pipelines.

use super::*;
use crate::config::Sources;
use crate::error::{Advice, ErrorKind};
use crate::git::testing::TestRepo;
use crate::repo::{self, Creation};

const HASH: &str = "blake3-tree:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
const ROOT: &str = "\
stages:
  prepare:
    cmd: x
    deps: [data/raw]
    outs: [prepared]
  train:
    cmd: x
    deps: [prepared]
    outs: [model, sub]
  eval-a:
    cmd: x
    deps: [model]
    outs: [scores/a]
  eval-b:
    cmd: x
    outs: [scores/b]
";
const OTHER: &str = "\
stages:
  train:
    cmd: x
    outs: [weights]
  solo:
    cmd: x
    outs: [made]
  sub:
    cmd: x
    outs: [more]
";

fn project() -> TestRepo {
    let test = TestRepo::new();
    repo::create(&test.root, &Creation::default(), Sources::default()).unwrap();
    let pointer =
        |name| format!("version: 1\nouts:\n- path: {name}\n  hash: {HASH}\n  size: 0\n  nfiles: 0\n");
    test.write("data.mlv", pointer("data")).write("lib/words.mlv", pointer("words"));
    test.write("mlv.yaml", ROOT).write("other/mlv.yaml", OTHER).write("bad.mlv", "version: 1\n");
    test
}

/// The project as seen from a folder of it.
struct View(Repo, Tracked);

impl View {
    fn of(test: &TestRepo, folder: &str) -> View {
        let repo = Repo::open_with(&test.root.join(folder), Sources::default()).unwrap();
        let tracked = Tracked::load(&repo).unwrap();
        View(repo, tracked)
    }

    fn outputs(&self, targets: &[&str]) -> Result<Vec<String>, OpError> {
        self.with(TargetOptions { targets: owned(targets), ..TargetOptions::default() })
    }

    fn with(&self, options: TargetOptions) -> Result<Vec<String>, OpError> {
        let selected = outputs(&self.0, &self.1, &options)?;
        Ok(selected.iter().map(|one| [one.out.path.as_str(), &one.inside.join("+")].join(":")).collect())
    }

    fn stages(&self, targets: &[&str]) -> Result<Vec<String>, OpError> {
        let options = TargetOptions { targets: owned(targets), ..TargetOptions::default() };
        Ok(stages(&self.0, &self.1, &options)?.iter().map(ToString::to_string).collect())
    }
}

fn owned(targets: &[&str]) -> Vec<String> {
    targets.iter().map(|target| (*target).to_owned()).collect()
}

#[test]
fn every_form_of_target_names_its_outputs() {
    let test = project();
    let view = View::of(&test, "");
    for (target, expected) in [
        ("data", vec!["data:"]),
        ("./data/", vec!["data:"]),
        ("data.mlv", vec!["data:"]),
        ("data/raw/a.png", vec!["data:raw/a.png"]),
        ("lib", vec!["lib/words:"]),
        ("scores", vec!["scores/a:", "scores/b:"]),
        ("train", vec!["model:", "sub:"]),
        ("eval-b", vec!["scores/b:"]),
        ("solo", vec!["other/made:"]),
        ("other/mlv.yaml:train", vec!["other/weights:"]),
        ("mlv.yaml:prepare", vec!["prepared:"]),
        (":prepare", vec!["prepared:"]),
        ("other/mlv.yaml", vec!["other/made:", "other/more:", "other/weights:"]),
        ("other", vec!["other/made:", "other/more:", "other/weights:"]),
        (test.root.join("data/x").to_str().unwrap(), vec!["data:x"]),
    ] {
        assert_eq!(view.outputs(&[target]).unwrap(), expected, "{target}");
    }
    assert_eq!(view.outputs(&[]).unwrap().len(), 10);
}

#[test]
fn groups_are_what_stands_before_the_at_sign() {
    for (name, group, expected) in [
        ("build@us", "build", true),
        ("build@us", "build@us", false),
        ("build", "build", false),
        ("b@a@c", "b", true),
    ] {
        assert_eq!(is_in_group(name, group), expected, "{name} in {group}");
    }
}

#[test]
fn names_that_are_paths_and_stages_mean_what_the_command_is_about() {
    let view = View::of(&project(), "");
    assert_eq!(view.outputs(&["sub"]).unwrap(), ["sub:"]);
    assert_eq!(view.stages(&["sub"]).unwrap(), ["other/mlv.yaml:sub"]);
    assert_eq!(view.stages(&["model"]).unwrap(), ["train"]);
    assert_eq!(view.stages(&["other", "train", "train"]).unwrap().len(), 4);
    assert_eq!(view.stages(&[]).unwrap().len(), 7);
    assert_eq!(view.stages(&["data"]).unwrap_err().kind(), ErrorKind::NoSuchTarget, "data is no stage");
}

#[test]
fn targets_are_relative_to_the_current_folder() {
    let test = project();
    test.write("lib/deep/x", "");
    let view = View::of(&test, "other");
    assert_eq!(view.outputs(&["train"]).unwrap(), ["other/weights:"]);
    assert_eq!(view.outputs(&["../data/x"]).unwrap(), ["data:x"]);
    assert_eq!(view.outputs(&["../mlv.yaml:train"]).unwrap(), ["model:", "sub:"]);
    assert_eq!(view.outputs(&["weights"]).unwrap(), ["other/weights:"]);
    assert_eq!(view.outputs(&["data"]).unwrap_err().kind(), ErrorKind::NoSuchTarget);
    let view = View::of(&test, "lib/deep");
    let error = view.outputs(&["train"]).unwrap_err();
    assert!(
        error.hints()[0].text.contains("`../../mlv.yaml:train`, `../../other/mlv.yaml:train`"),
        "{:?}",
        error.hints()
    );
    assert_eq!(view.outputs(&["."]).unwrap_err().kind(), ErrorKind::NoSuchTarget);
    assert_eq!(view.outputs(&[".."]).unwrap(), ["lib/words:"]);
}

#[test]
fn parts_of_one_output_come_together() {
    let view = View::of(&project(), "");
    assert_eq!(
        view.outputs(&["data/b", "data/a", "data/a/x", "data.b"]).err().unwrap().kind(),
        ErrorKind::NoSuchTarget
    );
    assert_eq!(
        view.outputs(&["data/b", "data/a.b", "data/a/x", "data/a", "lib"]).unwrap(),
        ["data:a+a.b+b", "lib/words:"]
    );
    assert_eq!(view.outputs(&["data/b", "data.mlv", "data/c"]).unwrap(), ["data:"]);
}

#[test]
fn what_means_nothing_is_an_error_with_near_names() {
    let view = View::of(&project(), "");
    let error = view.outputs(&["modle"]).unwrap_err();
    assert_eq!(error.kind().info().exit_code, 2);
    assert_eq!(error.hints()[0].text, "did you mean `model`?");
    for (target, kind) in [
        ("../x", ErrorKind::UnsafePath),
        ("/etc/passwd", ErrorKind::UnsafePath),
        ("", ErrorKind::UnsafePath),
        ("other/mlv.yaml:nosuch", ErrorKind::NoSuchTarget),
        ("nosuch/mlv.yaml:train", ErrorKind::NoSuchTarget),
        ("a:b", ErrorKind::NoSuchTarget),
        ("bad.mlv", ErrorKind::InvalidFile),
        ("bad", ErrorKind::InvalidFile),
    ] {
        assert_eq!(view.outputs(&[target]).unwrap_err().kind(), kind, "{target}");
        assert_eq!(view.outputs(&["data", target]).unwrap_err().kind(), kind, "all or nothing: {target}");
    }
}

#[test]
fn dependencies_are_followed_upwards() {
    let view = View::of(&project(), "");
    let deps = |targets: &[&str]| {
        view.with(TargetOptions { targets: owned(targets), with_deps: true, ..TargetOptions::default() })
            .unwrap()
    };
    assert_eq!(deps(&["eval-a"]), ["data:raw", "model:", "prepared:", "scores/a:", "sub:"]);
    assert_eq!(deps(&["data"]), ["data:"]);
}

#[test]
fn patterns_match_outputs_pointers_and_stages() {
    let test = project();
    let view = View::of(&test, "");
    let matching = |view: &View, target: &str| {
        view.with(TargetOptions { targets: owned(&[target]), glob: true, ..TargetOptions::default() })
    };
    assert_eq!(matching(&view, "scores/*").unwrap(), ["scores/a:", "scores/b:"]);
    assert_eq!(matching(&view, "*.mlv").unwrap(), ["data:"]);
    assert_eq!(matching(&view, "**/w*").unwrap(), ["lib/words:", "other/weights:"]);
    assert_eq!(matching(&view, "eval-*").unwrap(), ["scores/a:", "scores/b:"]);
    assert_eq!(matching(&view, "other/mlv.yaml:s[ou]*").unwrap(), ["other/made:", "other/more:"]);
    assert_eq!(matching(&View::of(&test, "other"), "../sc*/?").unwrap(), ["scores/a:", "scores/b:"]);
    assert_eq!(matching(&view, "z*").unwrap_err().kind(), ErrorKind::NoSuchTarget);
    assert_eq!(matching(&view, "[").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(matching(&view, "../*").unwrap_err().kind(), ErrorKind::UnsafePath);
    assert!(view.outputs(&["scores/*"]).is_err(), "statement 28: literal unless asked");
}

#[test]
fn work_tree_paths_expand_patterns_to_what_could_be_data() {
    let test = project();
    test.write("in/a.csv", "").write("in/b.csv", "").write("in/.hidden.csv", "").write("in/a.csv.mlv", "");
    test.write("in/deep/c.csv", "").write("in/__pycache__/d.csv", "").write("in/[x].csv", "");
    let view = View::of(&test, "in");
    let expanded = |targets: &[&str], glob| -> Result<Vec<String>, OpError> {
        Ok(paths(&view.0, &owned(targets), glob)?.iter().map(ToString::to_string).collect())
    };
    assert_eq!(expanded(&["*.csv"], true).unwrap(), ["in/[x].csv", "in/a.csv", "in/b.csv"]);
    assert_eq!(
        expanded(&["**/*.csv"], true).unwrap(),
        ["in/[x].csv", "in/a.csv", "in/b.csv", "in/deep/c.csv"]
    );
    assert_eq!(expanded(&["*", "**"], true).unwrap(), ["in/[x].csv", "in/a.csv", "in/b.csv", "in/deep"]);
    assert_eq!(expanded(&[".h*"], true).unwrap(), ["in/.hidden.csv"]);
    assert_eq!(expanded(&[r"\[x\].csv", "deep/../[ab].csv"], true).unwrap().len(), 3);
    assert_eq!(expanded(&["[x].csv", "new", "../data"], false).unwrap(), ["data", "in/[x].csv", "in/new"]);
    assert_eq!(expanded(&["*.txt"], true).unwrap_err().kind(), ErrorKind::NoSuchTarget);
    std::os::unix::fs::symlink("/etc", test.root.join("in/link")).unwrap();
    assert_eq!(expanded(&["link/*"], true).unwrap_err().kind(), ErrorKind::NoSuchTarget, "R3");
}
