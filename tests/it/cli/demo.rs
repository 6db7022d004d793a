//! `mlv demo`, from the new folder to the check that both clones hold the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

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

    assert_eq!(fs::read_dir(env.home()).expect("the home").count(), 0, "nothing outside the folder changed");
    let events = events(&output.stderr());
    check_parallel(&events);
    check_restored(&env, &events);
    check_tour(&events);
}

/// What the demo printed for its first command that begins so.
fn printed<'a>(events: &'a [(String, String)], command: &str) -> &'a str {
    let found = events.iter().find(|(ran, _)| ran.starts_with(command));
    &found.unwrap_or_else(|| panic!("`{command}` was not run")).1
}

/// Of the three models each begins before one of them is done.
fn check_parallel(events: &[(String, String)]) {
    let repro = printed(events, "mlv repro -j 3");
    let done = repro.find("Stage `train@").expect("a model is done");
    for model in ["slow", "medium", "fast"] {
        let began = repro.find(&format!("Running stage `train@{model}`")).expect("it ran");
        assert!(began < done, "one after the other: {repro}");
    }
}

/// The colleague has no interpreter and no lock, and ends with what the first clone has.
fn check_restored(env: &TestEnv, events: &[(String, String)]) {
    let programs = fs::read_dir(env.path().join("mlv-demo/without-python")).expect("a folder");
    let mut programs: Vec<_> = programs.map(|entry| entry.expect("an entry").file_name()).collect();
    programs.sort();
    assert_eq!(programs, ["git", "mlv"], "no interpreter");
    let repro = printed(events, "mlv repro --pull");
    assert_eq!(repro.matches(" restored from the run cache\n").count(), 6, "{repro}");
    assert!(repro.contains("\nRan 0 stages, restored 6, skipped 0 in "), "{repro}");
    assert!(printed(events, "git status").ends_with("nothing to commit, working tree clean\n"));
    let lock =
        |clone: &str| fs::read(env.path().join("mlv-demo").join(clone).join("mlv.lock")).expect("a lock");
    assert_eq!(lock("project"), lock("colleague"));
}

/// The commands that the demo ran, each with its output.
fn events(lines: &str) -> Vec<(String, String)> {
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |event: &Value, field: &str| event[field].as_str().expect("a text").to_owned();
    events.map(|event| (text(&event, "command"), text(&event, "output"))).collect()
}

/// The tour of README.md is a part of the demo: the same commands in the same order, and under
/// each of them lines that it printed, with the same figures but for the time that it took.
fn check_tour(events: &[(String, String)]) {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a text");
    let (_, rest) = readme.split_once("<!-- tour: begin -->").expect("the tour begins");
    let (tour, _) = rest.split_once("<!-- tour: end -->").expect("the tour ends");
    let mut events = events.iter();
    let mut printed: Vec<String> = Vec::new();
    let mut commands = 0;
    // Every second piece between fences is what a terminal shows.
    for line in
        tour.split("```").skip(1).step_by(2).flat_map(str::lines).filter(|line| !["", "…"].contains(line))
    {
        if let Some(command) = line.strip_prefix("$ ").filter(|command| !is_obeyed(command)) {
            let (_, output) =
                events.find(|(ran, _)| ran == command).unwrap_or_else(|| panic!("not run: {line}"));
            printed = output.lines().map(shape).rev().collect();
            commands += 1;
        } else if !line.starts_with("$ ") {
            while printed.last().is_some_and(|next| *next != shape(line)) {
                printed.pop();
            }
            assert!(printed.pop().is_some(), "not printed: {line}");
        }
    }
    assert!(commands >= 8, "a tour of {commands} commands");
}

/// What the demo does itself, as a shell would.
fn is_obeyed(command: &str) -> bool {
    ["cd ", "export "].iter().any(|word| command.starts_with(word))
}

/// The line without the time that something took, at its end, and without indentation.
fn shape(line: &str) -> String {
    let is_time = |text: &str| text.starts_with("[TIME]") || text.starts_with(|c: char| c.is_ascii_digit());
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.rsplit_once(" in ") {
        Some((done, took)) if is_time(took) => done.to_owned(),
        _ => words,
    }
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
