//! `mlv rescue`: what was displaced, and bringing it back.

use crate::support::{TestEnv, texts};

/// `a` was edited, and a forced checkout moved the edit away.
fn displaced() -> TestEnv {
    let env = TestEnv::ready();
    env.write("a", "one");
    env.write("d/1", "first");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("data");
    env.write("a", "edited");
    env.write("d/1", "edited too");
    env.mlv(&["checkout", "--force"]).success();
    env
}

#[test]
fn displaced_files_are_listed_with_their_paths_and_the_command() {
    let env = displaced();
    let document = env.json(&["rescue", "list"]);
    let text = document.to_string();
    assert!(text.contains("\"a\"") && text.contains("\"d/1\"") && text.contains("checkout"), "{text}");
    let output = env.mlv(&["rescue", "list"]).success();
    assert!(output.stdout().contains("d/1"), "{output}");
}

#[test]
fn nothing_in_rescue_is_said() {
    let env = TestEnv::ready();
    let output = env.mlv(&["rescue", "list"]).success();
    assert!(!format!("{}{}", output.stdout(), output.stderr()).is_empty());
}

// R2
#[test]
fn restored_files_are_back_and_what_they_replace_is_in_rescue() {
    let env = displaced();
    env.write("a", "edited again");
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["rescue", "restore"], 2);
    assert_eq!(kind, "would_overwrite");
    assert!(texts(&document["failed"]).contains(&"a"), "{document}");
    assert_eq!(env.snapshot(), before);
    env.mlv(&["rescue", "restore", "--force"]).success();
    assert_eq!(env.read_text("a"), "edited");
    assert_eq!(env.read_text("d/1"), "edited too");
    assert!(env.has_rescued(b"edited again"));
    assert_eq!(texts(&env.uncommitted()["modified"]), ["a", "d/1"]);
    env.assert_sound();
}

#[test]
fn one_path_of_an_operation_is_restored_alone() {
    let env = displaced();
    let list = env.json(&["rescue", "list"]);
    let operation = list["operations"][0]["name"].as_str().expect("it has a name").to_owned();
    env.remove("d/1");
    env.mlv(&["rescue", "restore", &operation, "d/1"]).success();
    assert_eq!(env.read_text("a"), "one");
    assert_eq!(env.read_text("d/1"), "edited too");
    assert_eq!(env.json_error(&["rescue", "restore", "nosuch"], 2).0, "no_such_target");
    assert_eq!(env.json_error(&["rescue", "restore", &operation, "nosuch"], 2).0, "no_such_target");
}

// R2: without its log a displaced file is still found at its path.
#[test]
fn lost_log_loses_no_file() {
    let env = displaced();
    let folder = env.path().join(".mlv/rescue");
    for entry in std::fs::read_dir(folder).expect("rescue is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            std::fs::remove_file(path).expect("it can be removed");
        }
    }
    env.mlv(&["rescue", "restore", "--force"]).success();
    assert_eq!((env.read_text("a"), env.read_text("d/1")), ("edited".into(), "edited too".into()));
}

/// The command of the first hint in `said`, without `mlv`.
fn hinted(said: &str) -> Vec<String> {
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: mlv ")).expect("a hint");
    hint.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_hint_after_a_forced_checkout_brings_the_edit_back() {
    let env = TestEnv::ready();
    env.write("d/1", "first");
    env.mlv(&["add", "d"]).success();
    env.write("d/1", "edited");
    let said = env.mlv(&["checkout", "--force", "d"]).success().stderr();
    let args = hinted(&said);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    env.mlv(&args).success();
    assert_eq!(env.read_text("d/1"), "edited");
    env.mlv(&["checkout", "--force", "d"]).success();
    assert_eq!(env.read_text("d/1"), "first", "its bytes were in the cache");
}

#[test]
fn the_last_operation_is_the_last_also_within_a_second() {
    let env = TestEnv::ready();
    env.write("a", "0");
    env.mlv(&["add", "a"]).success();
    for edit in 1..=8 {
        env.write("a", format!("edit {edit}"));
        env.mlv(&["checkout", "--force"]).success();
    }
    let list = env.json(&["rescue", "list"]);
    let operations = list["operations"].as_array().expect("a list");
    let last = operations.last().expect("eight of them")["name"].as_str().expect("a name").to_owned();
    assert_eq!(env.read_text(format!(".mlv/rescue/{last}/a")), "edit 8");
    env.mlv(&["rescue", "restore"]).success();
    assert_eq!(env.read_text("a"), "edit 8");
}

#[test]
fn repro_names_every_operation_that_it_made() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  x: {cmd: echo x > ox, outs: [ox]}\n  y: {cmd: echo y > oy, outs: [oy]}\n",
    );
    env.mlv(&["repro"]).success();
    env.write("ox", "edit of x");
    env.write("oy", "edit of y");
    let said = env.mlv(&["repro", "--force"]).success().stderr();
    for command in said.lines().filter_map(|line| line.strip_prefix("hint: mlv rescue ")) {
        let args: Vec<&str> = std::iter::once("rescue").chain(command.split(' ')).collect();
        env.mlv(&args).success();
    }
    assert_eq!(
        (env.read_text("ox"), env.read_text("oy")),
        ("edit of x".into(), "edit of y".into()),
        "{said}"
    );
}

// R1, R14
#[test]
fn what_was_in_a_folder_comes_back_where_a_file_stands_now() {
    let env = TestEnv::tracked();
    env.write("a", "edit");
    env.write("d/1", "edit");
    env.remove("d/2");
    env.write("d/2/x", "x");
    env.write("d/2/y", "y");
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!(env.read_text("d/2"), "second");
    env.write("d/2", "mine");
    let before = env.snapshot();
    let (kind, document) = env.json_error(&["rescue", "restore"], 2);
    assert_eq!((kind.as_str(), texts(&document["failed"])), ("would_overwrite", vec!["d/2"]), "{document}");
    assert_eq!(env.snapshot(), before);
    env.mlv(&["rescue", "restore", "--force"]).success();
    for (path, text) in [("a", "edit"), ("d/1", "edit"), ("d/2/x", "x"), ("d/2/y", "y")] {
        assert_eq!(env.read_text(path), text);
    }
    assert!(env.has_rescued(b"mine"));
}

// R14, R15: one that cannot come back keeps no other from it, and nothing is away meanwhile.
#[test]
fn what_cannot_come_back_is_named_and_the_rest_is_back() {
    let env = displaced();
    let list = env.json(&["rescue", "list"]);
    let operation = list["operations"][0]["name"].as_str().expect("it has a name").to_owned();
    let mut command = env.mlv_command();
    // The first file to come back cannot.
    let output = env.run(command.args(["rescue", "restore", "--json"]).env("MLV_FAULT", "eio:4"));
    assert_eq!(output.exit_code(), 9, "{output}");
    let here = [("a", "one", "edited"), ("d/1", "first", "edited too")];
    let back = here.iter().filter(|(path, _, edit)| env.read_text(path) == *edit).count();
    assert_eq!(back, 1, "{output}");
    env.mlv(&["rescue", "restore", &operation]).success();
    assert!(here.iter().all(|(path, _, edit)| env.read_text(path) == *edit));
}

#[test]
fn operations_are_dropped_by_name_by_age_or_all() {
    let env = displaced();
    for _ in 0..2 {
        env.write("a", "edited again");
        env.mlv(&["checkout", "--force", "a"]).success();
    }
    let names = || -> Vec<String> {
        let operations = env.json(&["rescue", "list"])["operations"].clone();
        let operations = operations.as_array().expect("a list");
        operations.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = names();
    assert_eq!(all.len(), 3);
    env.mlv(&["rescue", "drop"]).code(2);
    env.mlv(&["rescue", "drop", "--all", &all[0]]).code(2);
    // One that is not there: none goes.
    let (kind, _) = env.json_error(&["rescue", "drop", &all[0], "nosuch"], 2);
    assert_eq!((&*kind, names().len()), ("no_such_target", 3));
    let said = env.mlv(&["rescue", "drop", "--older-than", "1h"]).success().stderr();
    assert_eq!(said, "Nothing of that is in rescue.\n");
    let report = env.json(&["rescue", "drop", "--dry-run", "--older-than", "0s"]);
    assert_eq!(texts(&report["operations"]), all);
    assert_eq!((&report["files"], names().len()), (&4.into(), 3));
    let said = env.mlv(&["rescue", "drop", &all[0], &all[2]]).success().stderr();
    assert_eq!(said, "Deleted 3 files (28 B) of 2 operations.\n");
    assert_eq!(names(), [all[1].clone()]);
    env.mlv(&["rescue", "drop", "--all"]).success();
    assert_eq!(names(), Vec::<String>::new());
    // Its log goes with it.
    let left = std::fs::read_dir(env.path().join(".mlv/rescue")).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn many_restored_files_are_counted() {
    let env = TestEnv::ready();
    let files: Vec<String> = (0..25).map(|at| format!("d/{at}")).collect();
    files.iter().for_each(|path| env.write(path, "one"));
    env.mlv(&["add", "d"]).success();
    files.iter().for_each(|path| env.write(path, "edited"));
    env.mlv(&["checkout", "--force"]).success();
    let said = env.mlv(&["rescue", "restore"]).success().stderr();
    assert_eq!(said.lines().filter(|line| line.starts_with("restored `")).count(), 20, "{said}");
    assert!(said.contains("restored … and 5 more paths\n"), "{said}");
    assert!(files.iter().all(|path| env.read_text(path) == "edited"));
}
