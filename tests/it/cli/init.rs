//! `init`.

use serde_json::json;

use crate::support::TestEnv;

#[test]
fn init_writes_few_files_and_says_what_to_add() {
    let env = TestEnv::in_git();
    insta::assert_snapshot!(env.mlv(&["init"]).success(), @r"
    --- stderr
    Set up mlv in `.`.
    hint: git add .gitattributes .mlv/.gitignore .mlv/config.toml .mlvignore
    ");
    env.git(&["add", "--all"]);
    let added = env.git(&["diff", "--cached", "--name-only"]);
    assert_eq!(added, ".gitattributes\n.mlv/.gitignore\n.mlv/config.toml\n.mlvignore");
    assert_eq!(env.git(&["status", "--porcelain", "--ignored", "-uall"]).matches("!!").count(), 0);
    let ignored = env.read_text(".mlvignore");
    for pattern in [".DS_Store", "Thumbs.db", ".ipynb_checkpoints/", "__pycache__/"] {
        assert!(ignored.lines().any(|line| line == pattern), "{pattern}");
    }
}

#[test]
fn init_a_second_time_is_refused_and_with_force_completes() {
    let env = TestEnv::ready();
    insta::assert_snapshot!(env.mlv(&["init"]).code(2), @r"
    --- stderr
    error: `$ENV/repo` is an mlv repository already
    hint: mlv init --force adds what is missing; no data is removed
    [exit 2]
    ");
    env.write(".mlv/cache/objects/kept", "data");
    env.remove(".mlvignore");
    let config = env.read(".mlv/config.toml");
    insta::assert_snapshot!(env.mlv(&["init", "--force"]).success(), @r"
    --- stderr
    Completed mlv in `.`.
    hint: git add .mlvignore
    ");
    // R2, and DVC's `init -f` wipes the cache.
    assert_eq!(env.read(".mlv/cache/objects/kept"), b"data");
    assert_eq!(env.read(".mlv/config.toml"), config);
}

#[test]
fn init_works_in_a_subfolder_of_a_git_repository() {
    let env = TestEnv::in_git();
    let below = env.at("models");
    below.mlv(&["init"]).success();
    assert_eq!(below.mlv(&["root"]).success().stdout(), ".\n");
    assert!(!env.exists(".mlv"));
}

#[test]
fn init_of_another_folder_names_it_in_what_to_add() {
    let env = TestEnv::in_git();
    env.at("a b");
    insta::assert_snapshot!(env.mlv(&["init", "a b"]).success(), @r"
    --- stderr
    Set up mlv in `a b`.
    hint: git add 'a b/.gitattributes' 'a b/.mlv/.gitignore' 'a b/.mlv/config.toml' 'a b/.mlvignore'
    ");
}

#[test]
fn init_without_git_has_to_be_said() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.mlv(&["init"]).code(2), @r"
    --- stderr
    error: `$ENV/repo` is in no git repository
    hint: git init
    hint: mlv init --no-scm
    [exit 2]
    ");
    assert!(!env.exists(".mlv"), "nothing was written");
    insta::assert_snapshot!(env.mlv(&["init", "--no-scm"]).success(), @r"
    --- stderr
    Set up mlv in `.`.
    ");
    assert_eq!(env.mlv(&["config", "core.no_scm"]).success().stdout(), "true\n");
}

#[test]
fn init_inside_of_a_repository_has_to_be_said() {
    let env = TestEnv::ready();
    let below = env.at("sub");
    assert_eq!(below.mlv(&["init", "--json"]).code(2).error_kind(), "usage");
    below.mlv(&["init", "--subdir"]).success();
    assert_eq!(below.mlv(&["root"]).success().stdout(), ".\n");
}

#[test]
fn init_reports_as_json() {
    let env = TestEnv::in_git();
    let files = [".gitattributes", ".mlv/.gitignore", ".mlv/config.toml", ".mlvignore"];
    let output = env.mlv(&["init", "--json"]).success();
    assert_eq!(
        output.json(),
        json!({ "root": env.path().to_str(), "existed": false, "created": files, "merges": true, "git_add": files, "dry_run": false })
    );
    assert_eq!(output.stderr(), "");
}

#[test]
fn dry_run_says_which_files_and_writes_none() {
    let env = TestEnv::in_git();
    let before = env.snapshot_of(".");
    let promised = env.json(&["init", "--dry-run"]);
    assert_eq!(env.snapshot_of("."), before);
    let text = env.mlv(&["init", "-n"]).success();
    insta::assert_snapshot!(text, @"
    --- stderr
    Would write 4 files in `.`: `.gitattributes`, `.mlv/.gitignore`, `.mlv/config.toml`, `.mlvignore`
    ");
    let done = env.json(&["init"]);
    assert_eq!((&promised["created"], &promised["git_add"]), (&done["created"], &done["git_add"]));
    env.mlv(&["init", "--dry-run"]).code(2);
    env.remove(".mlvignore");
    assert_eq!(env.json(&["init", "-f", "-n"])["created"], json!([".mlvignore"]));
    assert!(!env.exists(".mlvignore"));
}
