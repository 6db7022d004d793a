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
