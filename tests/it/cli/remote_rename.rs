//! `remote rename`: everywhere a project says the old name, it says the new one.

use serde_json::json;

use crate::support::{TestEnv, texts};

/// A default remote `storage` and a second one, `keep`, which a pointer and a stage name.
fn with_two_remotes() -> TestEnv {
    let env = TestEnv::shared();
    let _ = env.beside("keep");
    env.mlv(&["remote", "add", "keep", "../keep"]).success();
    env.write("a", "alpha");
    env.mlv(&["add", "a"]).success();
    let pointer = env.read_text("a.mlv").replace("  hash", "  remote: keep  # for ever\n  hash");
    env.write("a.mlv", pointer);
    env.write(
        "mlv.yaml",
        "stages:\n  make:\n    # keep\n    cmd: echo keep > out\n    outs:\n    - out: {remote: keep} # keep\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    env
}

#[test]
fn every_file_that_names_it_follows_and_nothing_is_sent_again() {
    let env = with_two_remotes();
    let before = env.snapshot();
    insta::assert_snapshot!(env.mlv(&["remote", "rename", "--dry-run", "keep", "archive"]).success(), @r"
    --- stderr
    Would rename remote `keep` to `archive` in `.mlv/config.toml`, `a.mlv`, `mlv.lock`, `mlv.yaml`.
    ");
    assert_eq!(env.snapshot(), before);
    insta::assert_snapshot!(env.mlv(&["remote", "rename", "keep", "archive"]).success(), @r"
    --- stderr
    Renamed remote `keep` to `archive` in `.mlv/config.toml`, `a.mlv`, `mlv.lock`, `mlv.yaml`.
    hint: git add .mlv/config.toml a.mlv mlv.lock mlv.yaml
    ");
    assert!(env.read_text("a.mlv").contains("  remote: archive  # for ever\n"));
    let pipeline = env.read_text("mlv.yaml");
    assert!(
        pipeline.contains(
            "    # keep\n    cmd: echo keep > out\n    outs:\n    - out: {remote: archive} # keep\n"
        )
    );
    assert!(env.read_text("mlv.lock").contains("      remote: archive\n"));
    let status = env.json(&["status"]);
    assert!(status.get("stages").is_none(), "no stage has changed: {status}");
    // What is remembered of a remote goes by its place: a push that has nothing to send asks five times.
    let report = env.json(&["push"]);
    assert_eq!((report["packs"].as_u64(), report["requests"].as_u64()), (Some(0), Some(5)), "{report}");
    std::fs::remove_dir_all(env.root().join("keep")).expect("it is there");
    let (kind, document) = env.json_error(&["push", "-r", "archive"], 5);
    assert_eq!(kind, "not_found", "it is missed, not made anew: {document}");
    env.mlv(&["push", "--create", "-r", "archive"]).success();
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("mlv.yaml"), pipeline);
}

#[test]
fn default_and_private_options_follow() {
    let env = TestEnv::ready();
    env.write(
        ".mlv/config.toml",
        env.read_text(".mlv/config.toml")
            + "\n# ours\n[remote.storage] # fast\nurl = \"../storage\" # here\n\n[remote.zoo]\nurl = \"../zoo\"\n",
    );
    env.mlv(&["remote", "default", "storage"]).success();
    env.mlv(&["remote", "default", "--local", "storage"]).success();
    env.mlv(&["remote", "modify", "--local", "storage", "password", "CANARY"]).success();
    let renamed = env.mlv(&["remote", "rename", "storage", "1"]).success();
    assert!(!renamed.to_string().contains("CANARY"), "{renamed}");
    let text = env.read_text(".mlv/config.toml");
    let wanted =
        "\n# ours\n[remote.1] # fast\nurl = \"../storage\" # here\n\n[remote.zoo]\nurl = \"../zoo\"\n";
    assert!(text.contains(wanted), "{text}");
    assert!(env.read_text(".mlv/config.local.toml").contains("[remote.1]\npassword = \"CANARY\""));
    assert_eq!(
        env.mlv(&["remote", "list", "--json"]).success().json()["remotes"][0],
        json!({ "name": "1", "url": "../storage", "default": true, "level": "project" })
    );
    let report = env.json(&["remote", "rename", "1", "storage"]);
    assert_eq!(
        (&report["old"], &report["name"], &report["default"]),
        (&json!("1"), &json!("storage"), &json!(true))
    );
    assert_eq!(texts(&report["files"]), [".mlv/config.local.toml", ".mlv/config.toml"]);
}

// A colleague renamed it: only this clone's options have the old name still.
#[test]
fn options_of_this_clone_join_the_name_that_came_with_git() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "storage", "../storage"]).success();
    env.mlv(&["remote", "modify", "--local", "storage", "profile", "work"]).success();
    env.write(".mlv/config.toml", env.read_text(".mlv/config.toml").replace("storage", "main"));
    env.mlv(&["remote", "rename", "storage", "main"]).success();
    assert_eq!(env.read_text(".mlv/config.local.toml"), "[remote.main]\nprofile = \"work\"\n");
}

#[test]
fn what_cannot_be_renamed_is_left_as_it_was() {
    let env = with_two_remotes();
    env.mlv(&["remote", "add", "--global", "home", "../home"]).success();
    let before = env.snapshot();
    let refused = |old: &str, new: &str| env.mlv(&["remote", "rename", old, new]).code(2);
    insta::assert_snapshot!(refused("kep", "x"), @r"
    --- stderr
    error: no remote is called `kep`
    hint: did you mean `keep`?
    [exit 2]
    ");
    let taken = refused("keep", "storage").stderr();
    assert!(taken.starts_with("error: a remote is called `storage` already, at "), "{taken}");
    assert!(
        taken.ends_with("hint: choose another name, or first: mlv remote rename storage OTHER\n"),
        "{taken}"
    );
    insta::assert_snapshot!(refused("home", "house"), @r"
    --- stderr
    error: the remote `home` stands in the user configuration, which other projects use too
    hint: mlv remote rename --global home house
    [exit 2]
    ");
    insta::assert_snapshot!(refused("keep", "a/b"), @r"
    --- stderr
    error: a remote cannot be called `a/b`
    hint: use up to 100 letters, digits, `_`, `-`, `.`, `+`; none of `-.` in front
    [exit 2]
    ");
    let _ = refused("keep", "keep");
    assert_eq!(env.snapshot(), before);
    env.mlv(&["remote", "rename", "--global", "home", "house"]).success();
    // A file that may name it and cannot be read.
    env.write("b.mlv", "version: 1\nouts:\n- path: b\n");
    let before = env.snapshot();
    assert_eq!(env.mlv(&["remote", "rename", "keep", "x", "--json"]).code(4).error_kind(), "invalid_file");
    env.remove("b.mlv");
    env.write("params.yaml", "where: keep\n");
    env.write("mlv.yaml", "stages:\n  make:\n    cmd: x\n    outs:\n    - out: {remote: \"${where}\"}\n");
    insta::assert_snapshot!(env.mlv(&["remote", "rename", "keep", "x"]).code(2), @r"
    --- stderr
    error: the stage `make` cannot be edited in `mlv.yaml` line by line
    hint: edit `mlv.yaml` by hand: braces, an anchor or a template tie the stage to the rest
    [exit 2]
    ");
    assert!(before.contains("a.mlv") && env.read_text("a.mlv").contains("remote: keep"));
    env.mlv(&["remote", "list"]).success();
}

#[test]
fn what_other_projects_read_too_stays_and_is_told() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "storage", "../storage"]).success();
    env.mlv(&["remote", "modify", "--global", "storage", "profile", "work"]).success();
    env.mlv(&["config", "--global", "core.remote", "storage"]).success();
    let told = env.mlv(&["remote", "rename", "storage", "main"]).success().stderr();
    assert!(told.contains("`mlv remote rename --global storage main`"), "{told}");
    assert!(told.contains("`mlv remote default --global main`"), "{told}");
    env.mlv(&["remote", "rename", "--global", "storage", "main"]).success();
    assert_eq!(env.mlv(&["config", "core.remote"]).success().stdout(), "main\n");
    assert_eq!(env.mlv(&["config", "remote.main.profile"]).success().stdout(), "work\n");
}
