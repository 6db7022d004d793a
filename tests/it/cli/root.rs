//! `root`, and what every command says where there is no repository.

use serde_json::json;

use crate::support::TestEnv;

#[test]
fn root_is_relative_to_the_current_folder() {
    let env = TestEnv::ready();
    assert_eq!(env.mlv(&["root"]).success().stdout(), ".\n");
    let below = env.at("a/b");
    assert_eq!(below.mlv(&["root"]).success().stdout(), "../..\n");
    assert_eq!(env.mlv(&["--cd", "a", "root"]).success().stdout(), "..\n");
    assert_eq!(
        below.mlv(&["root", "--json"]).success().json(),
        json!({ "root": env.path().to_str(), "relative": "../.." })
    );
}

#[test]
fn quiet_leaves_data() {
    let env = TestEnv::ready();
    assert_eq!(env.mlv(&["root", "-q"]).success().stdout(), ".\n");
}

#[test]
fn outside_of_a_repository_is_exit_3_and_names_the_folder() {
    let env = TestEnv::in_git();
    insta::assert_snapshot!(env.mlv(&["root"]).code(3), @r"
    --- stderr
    error: `$ENV/repo` is in no mlv repository
    hint: mlv init
    [exit 3]
    ");
    let document = env.mlv(&["root", "--json"]).code(3).json();
    assert_eq!(
        document,
        json!({
            "error": {
                "kind": "not_a_repository",
                "message": format!("`{}` is in no mlv repository", env.path().display()),
                "path": env.path().to_str(),
                "hints": ["mlv init"],
                "retry": false,
            },
            "failed": [],
        })
    );
}

#[test]
fn dvc_project_without_mlv_is_exit_3_and_says_so() {
    let env = TestEnv::in_git();
    env.write(".dvc/config", "");
    insta::assert_snapshot!(env.at("sub").mlv(&["root"]).code(3), @r"
    --- stderr
    error: this is a DVC project, in which mlv is not set up: `$ENV/repo`
    hint: mlv init sets mlv up beside DVC and touches nothing of it
    [exit 3]
    ");
    assert_eq!(env.mlv(&["root", "--json"]).code(3).error_kind(), "dvc_project");
    env.mlv(&["init"]).success();
    assert_eq!(env.mlv(&["root"]).success().stdout(), ".\n");
}

// `mlv init` in that clone would make another project of it.
#[test]
fn clone_without_the_settings_names_the_pointer_and_what_was_forgotten() {
    let env = TestEnv::in_git();
    env.mlv(&["init"]).success();
    env.write("d/a", "1");
    env.mlv(&["add", "d/a"]).success();
    env.git(&["add", "d"]);
    env.git(&["commit", "--quiet", "--message", "half"]);
    let clone = env.clone_to("clone");
    insta::assert_snapshot!(clone.at("d").mlv(&["pull"]).code(3), @r"
    --- stderr
    error: git tracks the pointer `d/a.mlv` in `$ENV/clone`, but not `.mlv/config.toml`
    hint: where `mlv init` was run: git add .mlv && git commit, then pull here
    [exit 3]
    ");
    // The remedy that is named.
    env.git(&["add", ".mlv"]);
    env.git(&["commit", "--quiet", "--message", "all"]);
    clone.git(&["pull", "--quiet"]);
    clone.mlv(&["status"]).success();
    // Other programs have files of that name.
    let other = TestEnv::in_git();
    other.write("film.mlv", "MLVI v2.0");
    other.commit("a film");
    assert!(other.mlv(&["status"]).code(3).stderr().contains("hint: mlv init"));
}
