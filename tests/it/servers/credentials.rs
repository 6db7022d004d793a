//! The credentials that the `aws` command would use, against signatures that are checked.

use std::process::Command;

use serde_json::json;

use crate::support::servers::Moto;
use crate::support::{Output, TestEnv};

/// A project with something to push, and no credentials yet.
fn project(moto: &Moto) -> TestEnv {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "s3", "s3://data/x"]).success();
    env.mlv(&["remote", "modify", "s3", "endpointurl", &moto.server.url()]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env
}

fn push(env: &TestEnv, prepare: impl FnOnce(&mut Command)) -> Output {
    let mut command = env.mlv_command();
    command.args(["push", "-vv"]).env("AWS_EC2_METADATA_DISABLED", "true");
    prepare(&mut command);
    env.run(&mut command)
}

/// Names a profile in the environment.
fn profile(name: &str) -> impl FnOnce(&mut Command) {
    move |command| {
        command.env("AWS_PROFILE", name);
    }
}

/// R12: neither key shows, whatever happens.
fn no_secret(moto: &Moto, output: &Output) {
    let text = output.to_string();
    assert!(moto.users.iter().all(|keys| !text.contains(&keys.secret)), "{text}");
}

#[test]
fn keys_come_from_the_environment_or_a_profile() {
    let Some(moto) = Moto::start() else { return };
    let env = project(&moto);
    let keys = &moto.users[0];
    let from_environment = push(&env, |command| {
        command.env("AWS_ACCESS_KEY_ID", &keys.id).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
    });
    no_secret(&moto, &from_environment.success());
    let home = env.beside("home");
    home.write(
        ".aws/credentials",
        format!("[ml]\naws_access_key_id = {}\naws_secret_access_key = {}\n", keys.id, keys.secret),
    );
    env.write("a", "two");
    env.mlv(&["add", "a"]).success();
    push(&env, profile("ml")).success();
    env.write("a", "three");
    env.mlv(&["add", "a"]).success();
    env.mlv(&["remote", "modify", "s3", "profile", "ml"]).success();
    // The profile that the remote names goes before the environment, as `--profile` does.
    let output = push(&env, |command| {
        command.env("AWS_ACCESS_KEY_ID", "WRONG").env("AWS_SECRET_ACCESS_KEY", "WRONG");
    });
    no_secret(&moto, &output.success());
}

#[test]
fn commands_print_keys_and_run_again_before_these_end() {
    let Some(moto) = Moto::start() else { return };
    let env = project(&moto);
    let keys = &moto.users[0];
    let home = env.beside("home");
    let printed = json!({ "Version": 1, "AccessKeyId": keys.id, "SecretAccessKey": keys.secret,
        "Expiration": "2001-01-01T00:00:00Z" });
    home.write("print", format!("echo ran >> \"$HOME/runs\"\ncat <<'END'\n{printed}\nEND\n"));
    home.write(".aws/config", "[profile ml]\ncredential_process = sh \"$HOME/print\"\nregion = us-east-1\n");
    let output = push(&env, profile("ml"));
    no_secret(&moto, &output.success());
    let runs = home.read_text("runs").lines().count();
    assert!(runs > 1, "keys that have ended are fetched again before a request: {runs}");
    home.write("print", "echo 'the vault is sealed' >&2\nexit 3\n");
    env.write("a", "two");
    env.mlv(&["add", "a"]).success();
    let failed = push(&env, profile("ml")).code(7);
    assert!(failed.stderr().contains("profile `ml`, credential_process: the vault is sealed"), "{failed}");
}

#[test]
fn refusals_name_the_source_and_never_the_value() {
    let Some(moto) = Moto::start() else { return };
    let env = project(&moto);
    let wrong = push(&env, |command| {
        command.env("AWS_ACCESS_KEY_ID", &moto.users[0].id).env("AWS_SECRET_ACCESS_KEY", "CANARY");
    });
    let wrong = wrong.code(7);
    assert!(wrong.stderr().contains("(credentials: environment)"), "{wrong}");
    assert!(wrong.stderr().contains("correct the credentials; they come from: environment"), "{wrong}");
    assert!(!wrong.to_string().contains("CANARY"), "{wrong}");
    let none = push(&env, |_| {}).code(7);
    assert!(none.stderr().contains("no credentials were found"), "{none}");
    let mut json = env.mlv_command();
    json.args(["push", "--json"]).env("AWS_EC2_METADATA_DISABLED", "true");
    assert_eq!(env.run(&mut json).code(7).error_kind(), "credentials_missing");
    let unknown = push(&env, profile("nosuch")).code(7);
    assert!(unknown.stderr().contains("there is no profile `nosuch`"), "{unknown}");
}

// R11: what a repository says runs nothing.
// A token that is none is fetched anew once, and then it is not its age.
#[test]
fn token_that_is_none_is_not_called_expired() {
    let url = crate::support::http::serve(|_| {
        let text = "<Error><Code>InvalidToken</Code><Message>The token is malformed.</Message></Error>";
        crate::support::http::Answer::with("400 Bad Request", text)
    });
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "s3", "s3://data/x"]).success();
    for (option, value) in [("endpointurl", &*url), ("access_key_id", "a"), ("secret_access_key", "b")] {
        env.mlv(&["remote", "modify", "--local", "s3", option, value]).success();
    }
    let refused = env.mlv(&["fetch"]).code(7);
    let text = refused.stderr();
    assert!(text.contains("InvalidToken") && !text.contains("expired"), "{refused}");
    assert!(text.contains("hint: correct the credentials; they come from:"), "{refused}");
}

#[test]
fn tracked_settings_name_no_file_of_profiles() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "s3", "s3://data/x"]).success();
    env.write("evil", "[profile x]\ncredential_process = touch ran\n");
    for option in ["configpath", "credentialpath"] {
        let config = env.read_text(".mlv/config.toml");
        env.write(
            ".mlv/config.toml",
            format!("{config}\n[remote.s3]\n{option} = \"evil\"\nprofile = \"x\"\nurl = \"s3://data/x\"\n")
                .replacen("[remote.s3]\nurl = \"s3://data/x\"\n", "", 1),
        );
        let refused = env.mlv(&["pull"]).code(2);
        assert!(refused.stderr().contains("may not stand in a tracked file"), "{refused}");
        env.write(".mlv/config.toml", config);
    }
    assert!(!env.exists("ran"));
}
