//! `mlv demo`, from the new folder to the check that both clones hold the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::TestEnv;

#[test]
fn demo_ends_with_two_equal_clones_and_packs_chunks_and_pages() {
    let env = TestEnv::new();
    let output = env.mlv(&["demo", "--json"]).success();
    let report = output.json();
    for field in ["packs", "files", "chunks", "pages"] {
        assert!(report["remote"][field].as_u64() > Some(0), "{field}: {report}");
    }
    assert!(report["entries"].as_u64() > Some(1_000), "{report}");

    let clone = env.at("mlv-demo/colleague");
    let large = fs::metadata(clone.path().join("features/train.f64")).expect("a stage made it");
    assert!(large.len() > 16 << 20);
    let target = fs::read_link(clone.path().join("data/example.pgm")).expect("a symlink");
    assert_eq!(target, Path::new("train/2/0002.pgm"));
    assert!(clone.path().join("data/unlabelled").is_dir(), "an empty folder");
    let drawn =
        Command::new(clone.path().join("data/show")).arg(clone.path().join("data/example.pgm")).output();
    assert!(drawn.expect("it is executable").stdout.len() > 64);

    let events = output.stderr();
    for command in ["mlv add data", "mlv push", "mlv repro", "mlv metrics diff", "mlv pull"] {
        assert!(events.contains(&format!("\"{command}\"")), "{command}: {events}");
    }
    assert_eq!(fs::read_dir(env.home()).expect("the home").count(), 0, "nothing outside the folder changed");
}

#[test]
fn demo_leaves_a_folder_alone_that_holds_something() {
    let env = TestEnv::new();
    env.write("mine/thesis.txt", "chapter one");
    let output = env.mlv(&["demo", "mine"]).code(2);
    assert!(output.stderr().contains("the folder `mine` is not empty"), "{output}");
    assert_eq!(fs::read_dir(env.path().join("mine")).expect("it is there").count(), 1);
}

#[test]
fn demo_says_which_program_it_lacks_before_it_makes_anything() {
    let env = TestEnv::new();
    let output = env.run(env.mlv_command().arg("demo").env("PATH", "/nonexistent")).code(5);
    assert!(output.stderr().contains("the demo needs `git`"), "{output}");
    assert!(!env.exists("mlv-demo"));
}

#[test]
fn demo_shows_its_commands_without_running_them() {
    let env = TestEnv::new();
    let output = env.mlv(&["demo", "--dry-run"]).success();
    assert!(output.stdout().contains("$ mlv add data"), "{output}");
    assert!(!env.exists("mlv-demo"));
}
