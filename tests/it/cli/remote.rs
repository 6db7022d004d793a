//! `remote add`, `modify`, `default`, `list`, `remove`.

use serde_json::json;

use crate::support::TestEnv;

#[test]
fn remotes_are_added_listed_and_removed() {
    let env = TestEnv::ready();
    insta::assert_snapshot!(env.mlv(&["remote", "list"]).success(), @r"
    --- stderr
    No remotes.
    hint: mlv remote add -d NAME FOLDER-OR-URL
    ");
    insta::assert_snapshot!(env.mlv(&["remote", "add", "-d", "storage", "../storage"]).success(), @r"
    --- stderr
    Added remote `storage` at `../storage`, the default, in `.mlv/config.toml`.
    hint: git add .mlv/config.toml
    ");
    env.mlv(&["remote", "add", "--local", "mine", "/data/mine"]).success();
    insta::assert_snapshot!(env.mlv(&["remote", "list"]).success(), @r"
    mine	/data/mine
    storage	../storage	(default)
    ");
    assert_eq!(
        env.mlv(&["remote", "list", "--json"]).success().json(),
        json!({ "remotes": [
            { "name": "mine", "url": "/data/mine", "default": false, "level": "local" },
            { "name": "storage", "url": "../storage", "default": true, "level": "project" },
        ] })
    );
    env.mlv(&["remote", "remove", "mine"]).success();
    insta::assert_snapshot!(env.mlv(&["remote", "remove", "storage"]).success(), @r"
    --- stderr
    Removed remote `storage` from `.mlv/config.toml`.
    hint: git add .mlv/config.toml
    ");
    insta::assert_snapshot!(env.mlv(&["remote", "default"]).code(2), @r"
    --- stderr
    error: no remote is named, and there is no default
    hint: mlv remote add --default NAME URL
    [exit 2]
    ");
}

#[test]
fn outputs_that_belong_to_a_removed_remote_are_named() {
    let env = TestEnv::shared();
    env.mlv(&["remote", "add", "b2", "../b2"]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.write("a.mlv", env.read_text("a.mlv") + "  remote: b2\n");
    let warning = "warning: `a` still belongs to the remote `b2`: take `remote: b2` out of `a.mlv`";
    for args in [&["remote", "remove", "-n", "b2"][..], &["remote", "remove", "b2"]] {
        let told = env.mlv(args).success();
        assert!(told.stderr().contains(warning), "{told}");
    }
    let negative = env.mlv(&["remote", "modify", "--local", "storage", "jobs", "-3"]).code(2).stderr();
    assert!(!negative.contains("unexpected argument"), "{negative}");
}

#[test]
fn folder_of_a_remote_is_stored_relative_to_the_root() {
    let env = TestEnv::ready();
    env.at("a/b").mlv(&["remote", "add", "up", "../../../storage"]).success();
    env.at("a/b").mlv(&["remote", "add", "in", "store"]).success();
    insta::assert_snapshot!(env.mlv(&["remote", "list"]).success(), @r"
    in	a/b/store
    up	../storage
    ");
}

#[test]
fn remote_that_is_there_is_replaced_only_with_force() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "storage", "../one"]).success();
    env.mlv(&["remote", "modify", "storage", "jobs", "3"]).success();
    let output = env.mlv(&["remote", "add", "storage", "../two", "--json"]).code(2);
    assert_eq!(output.json()["error"]["hints"], json!(["to replace it: mlv remote add --force storage URL"]));
    env.mlv(&["remote", "add", "--force", "storage", "../two"]).success();
    insta::assert_snapshot!(env.mlv(&["config", "remote.storage.url"]).success(), @"../two");
    env.mlv(&["config", "remote.storage.jobs"]).code(2);
}

// DVC lower-cases them.
#[test]
fn names_of_remotes_keep_their_case() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "R2", "../r2"]).success();
    insta::assert_snapshot!(env.mlv(&["remote", "default"]).success(), @"R2	../r2	(default)");
}

// DVC edits the project's file, then fails on the local one, and so does every command after.
#[test]
fn remote_remove_takes_the_options_at_all_levels() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "storage", "../storage"]).success();
    env.mlv(&["remote", "modify", "--local", "storage", "profile", "work"]).success();
    insta::assert_snapshot!(env.mlv(&["remote", "remove", "storage"]).success(), @r"
    --- stderr
    Removed remote `storage` from `.mlv/config.local.toml` and `.mlv/config.toml`.
    hint: git add .mlv/config.toml
    ");
    let left = env.mlv(&["config", "--list"]).success().stdout();
    assert!(!left.contains("storage"), "{left}");
}

#[test]
fn unknown_remotes_and_options_are_refused_with_near_names() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "storage", "../storage"]).success();
    insta::assert_snapshot!(env.mlv(&["remote", "default", "storag"]).code(2), @r"
    --- stderr
    error: no remote is called `storag`
    hint: did you mean `storage`?
    [exit 2]
    ");
    assert_eq!(env.mlv(&["remote", "remove", "nosuch", "--json"]).code(2).error_kind(), "no_remote");
    insta::assert_snapshot!(env.mlv(&["remote", "modify", "storage", "job", "3"]).code(2), @r"
    --- stderr
    error: no configuration key is called `remote.storage.job`
    hint: did you mean `jobs`?
    [exit 2]
    ");
}

// R12: a secret enters no tracked file and comes back in no output.
#[test]
fn secrets_go_to_private_files_and_are_masked() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "storage", "../storage"]).success();
    let refused = env.mlv(&["remote", "modify", "storage", "password", "CANARY"]).code(2);
    let set = env.mlv(&["remote", "modify", "--local", "storage", "password", "CANARY"]).success();
    let url = env.mlv(&["remote", "add", "bad", "https://me:CANARY@host/x"]).code(2);
    env.mlv(&["remote", "add", "--local", "web", "https://me:CANARY@host/x"]).success();
    let list = env.mlv(&["config", "--list", "-vv"]).success();
    let json = env.mlv(&["config", "--list", "--json"]).success();
    let remotes = env.mlv(&["remote", "list"]).success();
    for output in [refused, set, url, list, json, remotes] {
        assert!(!output.to_string().contains("CANARY"), "{output}");
    }
    assert!(!env.read_text(".mlv/config.toml").contains("CANARY"));
    assert!(env.read_text(".mlv/config.local.toml").contains("CANARY"));
}

// R16
#[test]
fn hostile_names_and_places_are_refused_or_escaped() {
    let env = TestEnv::ready();
    for (name, url) in [("a\nb", "x"), ("a\x1b[31mb", "x"), ("a\u{202e}b", "x"), ("ok", "x\x1b]0;t\x07y")] {
        let output = env.mlv(&["remote", "add", name, url]).code(2);
        let text = output.stderr();
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
        assert!(text.lines().all(|line| line.starts_with("error: ") || line.starts_with("hint: ")), "{text}");
    }
    // Whoever can push to the repository can write this.
    let config = env.read_text(".mlv/config.toml");
    let hostile = "[remote.\"a\\u001b[2Jb\"]\nurl = \"x\"\n[remote.ok]\nurl = \"x\\u001b[2Jy\\u202e\"\n";
    env.write(".mlv/config.toml", format!("{config}\n{hostile}"));
    for args in [&["remote", "list"][..], &["config", "--list"], &["remote", "list", "--json"]] {
        let output = env.mlv(args);
        let text = format!("{}{}", output.stdout(), output.stderr());
        assert!(!text.contains(['\x1b', '\u{202e}']), "{text:?}");
    }
}

#[test]
fn remote_test_proves_what_a_folder_keeps() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "storage", "../storage"]).success();
    let report = env.mlv(&["remote", "test", "--json"]).success().json();
    let checks: Vec<_> =
        report["checks"].as_array().expect("a list").iter().map(|row| row["result"].clone()).collect();
    assert_eq!(checks, vec![json!("ok"); 10], "{report:#}");
    assert!(env.snapshot_of("../storage").lines().all(|line| !line.contains("probe-")), "nothing is left");
    env.write("../storage/mlv-remote", "<html>Please log in</html>");
    let failed = env.mlv(&["remote", "test", "storage"]).code(7);
    assert!(failed.stderr().contains("the answer is a web page"), "{failed}");
    assert!(failed.stdout().contains("failed\tread\n"), "{failed}");
    assert_eq!(env.mlv(&["remote", "test", "nosuch", "--json"]).code(2).error_kind(), "no_remote");
}

#[test]
fn kinds_of_remotes_that_there_are_not_are_refused_and_not_offered() {
    let env = TestEnv::ready();
    let before = env.read_text(".mlv/config.toml");
    let said = env.mlv(&["remote", "add", "x", "webdav://host/path"]).code(2).stderr();
    assert!(said.contains("remotes of the kind `webdav:` are not supported"), "{said}");
    assert!(said.contains("hint: a remote is a folder, or begins with s3://"), "{said}");
    assert_eq!(env.read_text(".mlv/config.toml"), before);
    env.mlv(&["remote", "add", "x", "../store"]).success();
    let _ = env.mlv(&["remote", "modify", "x", "url", "hdfs://host/path"]).code(2);
    let help = env.mlv(&["remote", "modify", "--help"]).success().stdout();
    assert!(help.contains("profile"), "{help}");
    for option in ["kerb_ticket", "oss_endpoint", "replication", "proxy_to"] {
        assert!(!help.contains(option), "{option}");
    }
}

#[test]
fn dry_run_says_what_it_would_do() {
    let env = TestEnv::ready();
    let said = |args: &[&str]| env.mlv(args).success().stderr();
    assert!(said(&["remote", "add", "-n", "x", "../x"]).starts_with("Would add remote `x`"));
    env.mlv(&["remote", "add", "x", "../x"]).success();
    assert!(said(&["remote", "default", "-n", "x"]).starts_with("Would make remote `x` the default"));
    assert!(said(&["remote", "remove", "-n", "x"]).starts_with("Would remove remote `x`"));
}
