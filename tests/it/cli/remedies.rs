//! Refusals and the remedies that they name: each is pasted, and works.

use crate::support::{TestEnv, os};

/// The stderr of a command that fails with `code`.
#[track_caller]
fn refused(env: &TestEnv, args: &[&str], code: i32) -> String {
    env.mlv(args).code(code).stderr()
}

#[test]
fn push_of_what_is_here_and_not_in_the_cache_is_mended_by_commit() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "--no-commit", "a"]).success();
    let said = refused(&env, &["push"], 5);
    assert!(said.contains("hint: `mlv commit` stores what is here"), "{said}");
    env.mlv(&["commit"]).success();
    env.mlv(&["push"]).success();
}

#[test]
fn names_that_are_nearly_right_are_suggested() {
    let env = TestEnv::shared();
    env.write("d/top", "1");
    env.write("d/x/one", "1");
    env.write("table.csv", "1");
    env.mlv(&["add", "d"]).success();
    env.mlv(&["push"]).success();
    assert_eq!(
        refused(&env, &["pull", "d/tpo"], 2),
        "error: nothing is recorded at `d/tpo`\nhint: did you mean `d/top`?\n"
    );
    assert!(refused(&env.at("d"), &["pull", "x/oen"], 2).contains("hint: did you mean `x/one`?"));
    assert_eq!(
        refused(&env, &["add", "tabel.csv"], 2),
        "error: `tabel.csv` does not exist\nhint: did you mean `table.csv`?\n"
    );
    assert!(refused(&env, &["add", "*.csv"], 2).contains("hint: for a pattern: mlv add --glob '*.csv'"));
}

#[test]
fn unusual_names_are_told_with_their_paths_and_can_be_left_out() {
    let env = TestEnv::ready();
    env.write("deep/dir/ok", "1");
    env.write("deep/dir/new\nline", "1");
    let said = refused(&env, &["add", "deep"], 4);
    assert!(said.contains("the name of `deep/dir/new\\nline` cannot be recorded\n"), "{said}");
    assert!(said.contains("hint: rename it, or list it in `.mlvignore`"), "{said}");
    env.write(".mlvignore", "new?line\n");
    env.mlv(&["add", "deep"]).success();
    env.write(".mlvignore", "new?line\nodd\n");
    env.write("deep/odd/ok", "1");
    std::fs::write(env.path().join("deep/odd").join(os(b"bad\xff")), "1").expect("a file");
    env.mlv(&["add", "deep"]).success();
    env.write(".mlvignore", "new?line\n");
    let said = refused(&env.at("deep"), &["add", "dir", "odd"], 4);
    assert!(said.contains("hint: rename it, or list its folder in `.mlvignore`"), "{said}");
}

#[test]
fn missing_input_that_is_recorded_is_brought_by_the_hint() {
    let env = TestEnv::shared();
    env.write("raw.csv", "1");
    env.mlv(&["add", "raw.csv"]).success();
    env.write("mlv.yaml", "stages:\n  train: {cmd: cp raw.csv out, deps: [raw.csv], outs: [out]}\n");
    env.remove("raw.csv");
    let said = refused(&env, &["repro"], 8);
    assert!(said.contains("cannot run without `raw.csv`\n"), "{said}");
    assert!(said.contains("\nhint: mlv checkout raw.csv\n"), "{said}");
    env.mlv(&["checkout", "raw.csv"]).success();
    env.mlv(&["repro"]).success();
}

#[test]
fn damage_is_told_with_what_mends_it() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["push"]).success();
    env.write(".mlv/cache/mlv-cache", "");
    let said = refused(&env, &["status"], 5);
    assert!(said.contains("is damaged") && said.contains("hint: echo"), "{said}");
    let command = said.lines().find_map(|line| line.strip_prefix("hint: ")).expect("a hint");
    let command = command.replace("$ENV", &env.root().display().to_string());
    env.run(env.command("sh").args(["-c", &command])).success();
    env.mlv(&["status"]).success();

    env.write(env.root().join("remote/mlv-remote"), "nonsense");
    env.commit("data");
    let said = refused(&env.clone_to("clone"), &["fetch"], 7);
    assert!(said.contains("hint: bring `mlv-remote` back from a copy of the remote"), "{said}");
    assert!(!said.contains("/repo/../remote"), "{said}");
}

#[test]
fn renamed_pointer_is_told_how_to_rename() {
    let env = TestEnv::ready();
    env.write("d/1", "1");
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.git(&["mv", "d.mlv", "e.mlv"]);
    let said = refused(&env, &["status"], 4);
    assert!(said.contains("hint: call it `d.mlv` again; or, to rename the data"), "{said}");
    env.write("e.mlv", env.read_text("e.mlv").replace("path: d\n", "path: e\n"));
    env.run(env.command("mv").args(["d", "e"])).success();
    assert!(env.status()["data"]["uncommitted"].is_null(), "{}", env.status());
}

#[test]
fn paths_that_layers_below_name_are_those_of_the_current_folder_too() {
    let env = TestEnv::ready();
    env.write("d/1", "1");
    env.mlv(&["add", "d"]).success();
    std::fs::write(env.path().join("d").join(os(b"bad\xff")), "1").expect("a file");
    let said = refused(&env.at("other"), &["status"], 4);
    assert!(!said.contains("$ENV"), "{said}");
    assert!(env.exists("d/1") && said.contains("the name of"), "{said}");
}

#[test]
fn what_is_here_besides_makes_an_output_no_more_complete() {
    let env = TestEnv::shared();
    for number in 1..=5 {
        env.write(format!("d/{number}"), format!("file {number}"));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull", "d/1", "d/2"]).success();
    for number in 1..=9 {
        clone.write(format!("d/new-{number}"), format!("new {number}"));
    }
    clone.remove("d/2");
    let said = clone.mlv(&["status"]).success().stdout();
    assert!(said.contains("partial: 1 of 5 files here"), "{said}");
}

#[test]
fn pointer_inside_of_a_tracked_directory_is_named() {
    let env = TestEnv::ready();
    env.write("z/f", "1");
    env.write("other/f", "1");
    env.mlv(&["add", "z", "other/f"]).success();
    env.write("z/f.mlv", env.read("other/f.mlv"));
    let said = refused(&env, &["status"], 4);
    assert!(said.contains("`z/f`, an output of `z/f.mlv`, lies in `z`, an output of `z.mlv`"), "{said}");
}

#[test]
fn dry_run_of_a_push_promises_no_bound_that_it_cannot_keep() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    let said = env.mlv(&["push", "--dry-run"]).success().stderr();
    assert!(said.contains("before compression) to `storage`") && !said.contains("at most"), "{said}");
}

/// Runs the text between the backticks behind `before` in a shell, as a user who pastes it.
#[track_caller]
pub(super) fn paste(env: &TestEnv, said: &str, before: &str) {
    let (_, rest) = said.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {said}"));
    let command = rest.split('`').next().unwrap_or_default();
    let mut shell = env.command("sh");
    let mlv = std::path::Path::new(env!("CARGO_BIN_EXE_mlv")).parent().expect("it is in a folder");
    let path = std::env::join_paths(
        [mlv.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    shell.args(["-c", command]).env("PATH", path.expect("no name holds a colon"));
    env.run(&mut shell).success();
}

// R14: names with blanks, quotes and dashes, outputs of stages, from a folder below.
#[test]
fn both_remedies_of_a_refused_checkout_can_be_pasted() {
    let names = ["my data", "it's", "-x", "plain"];
    for keep in [true, false] {
        let env = TestEnv::ready();
        env.write("mlv.yaml", "stages:\n  s:\n    cmd: echo made > o\n    outs: [o]\n");
        env.mlv(&["repro"]).success();
        for name in names {
            env.write(format!("d/{name}"), "1");
            env.write(name, "1");
            env.mlv(&["add", "--", name]).success();
        }
        env.mlv(&["add", "d"]).success();
        for path in
            names.iter().flat_map(|name| [format!("d/{name}"), (*name).to_owned()]).chain(["o".to_owned()])
        {
            env.write(path, "edited");
        }
        let below = env.at("below");
        let said = refused(&below, &["checkout"], 2);
        paste(&below, &said, if keep { "run `" } else { "or `" });
        env.mlv(&["checkout"]).success();
        assert_eq!(env.read_text("d/my data"), if keep { "edited" } else { "1" });
        assert_eq!(env.read_text("o"), if keep { "edited" } else { "made\n" });
    }
}

// `add` takes no link as an output.
#[test]
fn link_in_the_place_of_an_output_is_kept_by_moving_it() {
    let env = TestEnv::tracked();
    for name in ["a", "d"] {
        env.remove(name);
        env.symlink("elsewhere", name);
    }
    let said = refused(&env, &["checkout"], 2);
    paste(&env, &said, "run `");
    env.mlv(&["checkout"]).success();
    assert_eq!((env.read_text("a"), env.read_text("d/1")), ("one".to_owned(), "first".to_owned()));
    assert!(env.exists("a.mine") && env.exists("d.mine"));
}

// R9: a pointer that cannot be read says nothing, also not that its data went.
#[test]
fn conflict_in_a_pointer_is_no_deletion_and_is_mended_by_taking_a_side() {
    let env = TestEnv::tracked();
    env.git(&["checkout", "--quiet", "-b", "other"]);
    env.write("d/1", "theirs");
    env.mlv(&["add", "d"]).success();
    env.commit("theirs");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    env.write("d/1", "ours");
    env.mlv(&["add", "d"]).success();
    env.commit("ours");
    // Without a driver that knows pointers.
    env.write(".git/info/attributes", "*.mlv merge\n");
    assert_eq!(env.run(env.command("git").args(["merge", "--quiet", "other"])).exit_code(), 1);
    let output = env.mlv(&["status", "--json"]).code(4);
    assert!(!output.json().to_string().contains("deleted"), "{output}");
    let said = refused(&env, &["status"], 4);
    assert!(said.contains("hint: mlv resolve d.mlv"), "{said}");
    env.mlv(&["resolve", "--theirs", "d.mlv"]).success();
    env.git(&["add", "d.mlv"]);
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read_text("d/1"), "theirs");
}

#[test]
fn pull_is_told_as_pull_and_what_is_in_the_way_of_a_restore_can_be_kept() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["push"]).success();
    env.write("a", "mine");
    env.mlv(&["pull", "--force"]).success();
    assert!(env.mlv(&["rescue", "list"]).success().stdout().contains("  mlv pull\n"));
    env.write("a", "newer");
    let said = refused(&env, &["rescue", "restore"], 2);
    assert!(said.contains("`mlv add a`"), "{said}");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["rescue", "restore"]).success();
    assert_eq!(env.read_text("a"), "mine");
}

#[test]
fn commands_on_stages_speak_of_stages() {
    let env = TestEnv::shared();
    env.write("in", "1");
    env.write("mlv.yaml", "stages:\n  model:\n    cmd: cp in model\n    deps: [in]\n    outs: [model]\n");
    env.mlv(&["add", "in"]).success();
    env.mlv(&["repro"]).success();
    env.commit("all");
    env.mlv(&["push"]).success();
    for command in ["repro", "explain", "logs", "freeze"] {
        assert_eq!(
            refused(&env, &[command, "modle"], 2),
            "error: there is no stage `modle`\nhint: did you mean `model`?\n"
        );
        let said = refused(&env, &[command, "far-from-all"], 2);
        assert_eq!(said, "error: there is no stage `far-from-all`\nhint: mlv stage list\n");
        let said = refused(&env, &[command, "mlv.lock"], 2);
        assert_eq!(said, "error: `mlv.lock` is made by no stage\nhint: mlv stage list\n");
    }
    // What to do with an edit depends on who made the output.
    env.write("model", "edited");
    let changed = |env: &TestEnv| env.mlv(&["status", "--only", "data"]).success().stdout();
    assert!(changed(&env).contains("(mlv repro makes it again, mlv commit keeps it):\n  modified: model"));
    env.write("in", "edited");
    assert!(changed(&env).contains("(mlv add; what a stage made: mlv repro, or mlv commit):"));
    env.mlv(&["repro"]).success();
    env.write("in", "1");
    env.mlv(&["add", "in"]).success();
    env.mlv(&["repro"]).success();
    // What is missing in a clone may be an output that was pushed, too.
    let clone = env.clone_to("clone");
    let said = refused(&clone, &["repro"], 5);
    assert!(said.contains("hint: mlv pull in\nhint: mlv repro --pull\n"), "{said}");
    paste(&clone, &said, "hint: mlv pull in\nhint: ");
    assert_eq!(clone.read_text("model"), "1");
    // A stage and its output may have one name: the path comes first.
    let said = refused(&env, &["remove", "model"], 2);
    assert!(said.contains("`mlv remove :model` removes the stage"), "{said}");
    env.mlv(&["remove", ":model"]).success();
}
