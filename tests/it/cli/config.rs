//! `config` and `cache dir`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::remedies::paste;
use crate::support::TestEnv;

#[test]
fn config_sets_gets_and_unsets() {
    let env = TestEnv::ready();
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs", "12"]).success(), @r"
    --- stderr
    Changed `core.jobs` in `.mlv/config.toml`.
    hint: git add .mlv/config.toml
    ");
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs"]).success(), @"12");
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs", "12"]).success(), @r"
    --- stderr
    Nothing to change: `core.jobs` in `.mlv/config.toml`.
    ");
    env.mlv(&["config", "-u", "core.jobs"]).success();
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs"]).code(2), @r"
    --- stderr
    error: `core.jobs` is not set
    [exit 2]
    ");
    env.mlv(&["config", "-u", "core.jobs"]).code(2);
}

// DVC exits with 0 here and says nothing.
#[test]
fn config_of_an_unknown_key_is_an_error_for_reading_too() {
    let env = TestEnv::ready();
    let document = env.mlv(&["config", "core.remot", "--json"]).code(2).json();
    assert_eq!(document["error"]["message"], "no configuration key is called `core.remot`");
    let hint = document["error"]["hints"][0].as_str().expect("near names");
    assert!(hint.starts_with("did you mean `core.remote`"), "{hint}");
    env.mlv(&["config", "core.nosuch", "1"]).code(2);
}

#[test]
fn config_refuses_a_bad_value_and_names_the_key() {
    let env = TestEnv::ready();
    let before = env.read(".mlv/config.toml");
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs", "many"]).code(2), @r"
    --- stderr
    error: `core.jobs` must be a whole number from 1 to 1024
    [exit 2]
    ");
    assert_eq!(env.read(".mlv/config.toml"), before);
}

#[test]
fn config_keeps_comments_and_order() {
    let env = TestEnv::ready();
    let text = env.read_text(".mlv/config.toml");
    env.write(".mlv/config.toml", format!("# ours\n{text}[core]\njobs = 3 # as the disk likes\n"));
    env.mlv(&["config", "core.jobs", "4"]).success();
    assert_eq!(
        env.read_text(".mlv/config.toml"),
        format!("# ours\n{text}[core]\njobs = 4 # as the disk likes\n")
    );
}

#[test]
fn later_levels_win_and_origins_are_shown() {
    let env = TestEnv::ready();
    env.mlv(&["config", "--global", "core.jobs", "1"]).success();
    env.mlv(&["config", "core.jobs", "2"]).success();
    env.mlv(&["config", "--local", "core.jobs", "3"]).success();
    let below = env.at("sub");
    let shown = below.mlv(&["config", "core.jobs", "--show-origin"]).success();
    insta::assert_snapshot!(shown, @"../.mlv/config.local.toml:2	3");
    let user = below.mlv(&["config", "core.jobs", "--show-origin", "--global"]).success();
    insta::assert_snapshot!(user, @"$ENV/home/.config/mlv/config.toml:2	1");
    let mut command = env.mlv_command();
    command.args(["config", "core.jobs", "--show-origin"]).env("MLV_CORE_JOBS", "4");
    insta::assert_snapshot!(env.run(&mut command).success(), @"MLV_CORE_JOBS	4");
}

#[test]
fn config_list_is_sorted_and_has_a_json_form() {
    let env = TestEnv::ready();
    env.mlv(&["config", "core.jobs", "2"]).success();
    let output = env.mlv(&["config", "--list"]).success();
    let keys: Vec<String> =
        output.stdout().lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    assert_eq!(keys, ["core.jobs", "project.id", "project.version"]);
    let document = env.mlv(&["config", "core.jobs", "--json"]).success().json();
    let line = env.read_text(".mlv/config.toml").lines().count();
    let value = json!({
        "key": "core.jobs",
        "value": "2",
        "level": "project",
        "origin": format!(".mlv/config.toml:{line}"),
    });
    assert_eq!(document, json!({ "values": [value], "changed": false, "dry_run": false }));
}

#[test]
fn config_works_outside_of_a_repository_for_the_users_own_settings() {
    let env = TestEnv::new();
    env.mlv(&["config", "--global", "core.jobs", "5"]).success();
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs"]).success(), @"5");
    assert_eq!(env.mlv(&["config", "core.jobs", "6", "--json"]).code(3).error_kind(), "not_a_repository");
}

#[test]
fn levels_exclude_each_other() {
    let env = TestEnv::ready();
    assert_eq!(
        env.mlv(&["config", "--local", "--global", "core.jobs", "1", "--json"]).code(2).error_kind(),
        "usage"
    );
}

#[test]
fn dry_run_of_config_writes_nothing() {
    let env = TestEnv::ready();
    let before = env.snapshot_of(".mlv");
    insta::assert_snapshot!(env.mlv(&["config", "core.jobs", "7", "--dry"]).success(), @r"
    --- stderr
    Would change `core.jobs` in `.mlv/config.toml`.
    ");
    assert_eq!(env.snapshot_of(".mlv"), before);
}

// One bad line stops no command but those that need its value (reference: DVC's bricks all).
#[test]
fn unknown_keys_in_a_file_are_warnings() {
    let env = TestEnv::ready();
    let text = env.read_text(".mlv/config.toml");
    env.write(".mlv/config.toml", format!("{text}[core]\nnosuch = 1\njobs = \"x\"\n"));
    let output = env.mlv(&["root"]).success();
    assert_eq!(output.stdout(), ".\n");
    assert_eq!(output.stderr().matches("warning: ").count(), 2, "{output}");
}

#[test]
fn cache_dir_prints_one_line_and_can_be_set() {
    let env = TestEnv::ready();
    insta::assert_snapshot!(env.mlv(&["cache", "dir"]).success(), @"$ENV/repo/.mlv/cache");
    let below = env.at("sub");
    let shared = env.root().join("shared").display().to_string();
    insta::assert_snapshot!(below.mlv(&["cache", "dir", "--local", &shared]).success(), @r"
    --- stderr
    The cache is `$ENV/shared` by `../.mlv/config.local.toml`. Data was not moved.
    ");
    insta::assert_snapshot!(below.mlv(&["cache", "dir"]).success(), @"$ENV/shared");
    env.mlv(&["cache", "dir", "--local", "-u"]).success();
    insta::assert_snapshot!(env.mlv(&["cache", "dir"]).success(), @"$ENV/repo/.mlv/cache");
}

// R3: whoever can commit may not say where another's data goes.
#[test]
fn settings_of_a_clone_that_came_with_the_repository_are_refused() {
    let env = TestEnv::ready();
    let evil = env.root().join("evil");
    let text = format!("[cache]\ndir = {:?}\n\n[core]\nno_scm = true\n", evil.display().to_string());
    env.write(".mlv/config.local.toml", text);
    env.git(&["add", "--force", ".mlv/config.local.toml"]);
    env.git(&["commit", "--quiet", "-m", "settings"]);
    let clone = env.clone_to("clone");
    clone.write("data", "bytes");
    for command in [&["add", "data"][..], &["status"], &["checkout"]] {
        let (kind, document) = clone.json_error(command, 4);
        assert_eq!(kind, "unsafe_path", "{document}");
        assert!(document.to_string().contains("git rm --cached"), "{document}");
    }
    assert!(!evil.exists());
    clone.git(&["rm", "--quiet", "--cached", ".mlv/config.local.toml"]);
    clone.remove(".mlv/config.local.toml");
    clone.mlv(&["add", "data"]).success();
}

// R3, R9: `git add --force .mlv` would make every clone believe that it had had all the data once, and
// that what it never downloaded was deleted.
#[test]
fn what_another_clone_remembers_of_its_work_tree_is_refused() {
    let env = TestEnv::shared();
    env.write("d/one", "1");
    env.write("d/two", "2");
    env.mlv(&["add", "d"]).success();
    env.mlv(&["push"]).success();
    env.git(&["add", "--force", ".mlv/here"]);
    env.commit("by force");
    let clone = env.clone_to("clone");
    clone.write("d/three", "3");
    let (kind, document) = clone.json_error(&["add", "d"], 4);
    assert_eq!(kind, "unsafe_path", "{document}");
    let said = clone.mlv(&["add", "d"]).code(4).stderr();
    let (_, hint) = said.split_once("hint: ").expect("a hint");
    clone.run(clone.command("sh").args(["-c", hint])).success();
    clone.mlv(&["add", "d"]).success();
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.read_text("d/one"), "1");
    assert!(clone.git(&["ls-files", ".mlv"]).contains(".mlv/config.toml"));
}

#[test]
fn config_in_conflict_is_called_that() {
    let env = TestEnv::ready();
    env.commit("base");
    env.git(&["checkout", "--quiet", "-b", "side"]);
    env.mlv(&["remote", "add", "a", "/tmp/a"]).success();
    env.commit("a");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["remote", "add", "b", "/tmp/b"]).success();
    env.commit("b");
    env.git_and_mlv(&["merge", "side"]).code(1);
    let (kind, document) = env.json_error(&["status"], 2);
    assert_eq!(kind, "config");
    let text = document.to_string();
    assert!(text.contains("config.toml:") && text.contains("a conflict marker"), "{text}");
    assert!(
        text.contains("take what you want of both sides into `config.toml`, then `git add` it"),
        "{text}"
    );
}

// What is set for all users of a machine, all of them must be able to read.
#[test]
fn config_of_the_machine_is_for_all_and_a_users_own_is_not() {
    let env = TestEnv::ready();
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let system = env.root().join("system");
    let mut set = env.mlv_command();
    env.run(set.env("MLV_SYSTEM_CONFIG_DIR", &system).args(["config", "--system", "core.jobs", "2"]))
        .success();
    assert_eq!(mode(&system.join("config.toml")), 0o644);
    env.mlv(&["config", "--local", "core.jobs", "2"]).success();
    assert_eq!(mode(&env.path().join(".mlv/config.local.toml")), 0o600);
}

// A disk that is not mounted: what is stored at its mount point would be out of sight once it is.
#[test]
fn no_new_cache_is_made_where_one_was_before() {
    let env = TestEnv::ready();
    let place = env.root().join("disk");
    let cache = place.display().to_string();
    env.mlv(&["cache", "dir", "--local", &cache]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.commit("a");
    let away = env.root().join("away");
    let unmount = |is_left: bool| {
        fs::rename(&place, &away).expect("it can be moved");
        is_left.then(|| fs::create_dir(&place).expect("a new folder"));
    };
    env.write("b", "two");
    for is_left in [true, false] {
        unmount(is_left);
        let (kind, document) = env.json_error(&["add", "b"], 5);
        let text = document["error"]["message"].as_str().expect("a message");
        assert_eq!(kind, "not_found");
        assert_eq!(text, format!("`{cache}` held the cache before and holds none now"));
        assert!(!env.exists("b.mlv"));
        assert_eq!(fs::read_dir(&place).map_or(0, Iterator::count), 0, "nothing is made there");
        env.mlv(&["status"]).success();
        let _ = fs::remove_dir(&place);
        fs::rename(&away, &place).expect("it can be moved");
    }
    env.mlv(&["add", "b"]).success();
    // Who knows that it is gone begins anew.
    fs::rename(&place, &away).expect("it can be moved");
    env.write("c", "three");
    let (_, document) = env.json_error(&["add", "c"], 5);
    let hint = document["error"]["hints"][1].as_str().expect("a second hint");
    paste(&env, hint, "to begin an empty cache there: ");
    env.mlv(&["add", "c"]).success();
    assert!(place.is_dir());
}
