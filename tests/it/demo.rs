//! `mlv demo`, from the new folder to the check that both clones hold the same bytes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `mlv` with nothing of the caller's environment but PATH, and with an empty HOME.
fn mlv(folder: &Path, path: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mlv"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder.join("home"))
        .output()
        .expect("mlv starts")
}

fn path() -> String {
    std::env::var("PATH").expect("PATH is set")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn demo_ends_with_two_equal_clones_and_packs_chunks_and_pages() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let output = mlv(temp.path(), &path(), &["demo", "--json"]);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    for field in ["packs", "chunks", "pages"] {
        assert!(report["remote"][field].as_u64() > Some(0), "{field}: {report}");
    }
    assert!(report["entries"].as_u64() > Some(1_000), "{report}");

    let clone = temp.path().join("mlv-demo/colleague");
    let large = fs::metadata(clone.join("features/train.f64")).expect("a stage made it");
    assert!(large.len() > 16 << 20);
    let target = fs::read_link(clone.join("data/example.pgm")).expect("a symlink");
    assert_eq!(target, Path::new("train/2/0002.pgm"));
    assert!(clone.join("data/unlabelled").is_dir(), "an empty folder");
    let shown = Command::new(clone.join("data/show")).arg(clone.join("data/example.pgm")).output();
    assert!(shown.expect("an executable").stdout.len() > 64);

    let events = said(&output);
    for command in ["mlv add data", "mlv push", "mlv repro", "mlv metrics diff", "mlv pull"] {
        assert!(events.contains(&format!("\"{command}\"")), "{command}: {events}");
    }
}

#[test]
fn demo_leaves_a_folder_alone_that_holds_something() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(temp.path().join("mine")).expect("a folder");
    fs::write(temp.path().join("mine/thesis.txt"), "chapter one").expect("a file");
    let output = mlv(temp.path(), &path(), &["demo", "mine"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("the folder `mine` is not empty"), "{}", said(&output));
    let names: Vec<_> = fs::read_dir(temp.path().join("mine")).expect("it is there").collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn demo_says_which_program_it_lacks_before_it_makes_anything() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let output = mlv(temp.path(), "/nonexistent", &["demo"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("`git`"), "{}", said(&output));
    assert!(!temp.path().join("mlv-demo").exists());
}

#[test]
fn demo_shows_its_commands_without_running_them() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let output = mlv(temp.path(), &path(), &["demo", "--dry-run"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("$ mlv add data"));
    assert!(!temp.path().join("mlv-demo").exists());
}
