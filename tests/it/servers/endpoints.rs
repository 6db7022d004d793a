//! Credentials that endpoints hand out: of containers, instances, identity services. The endpoints are
//! doubles; who takes the credentials is real where it can be had.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::http::{Answer, Request, forward, serve};
use crate::support::servers::{Gcs, Moto, aws_folder};
use crate::support::{Output, TestEnv};

/// A project with something to push to S3, and no credentials.
fn project(endpoint: &str) -> TestEnv {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "s3", "s3://data/x"]).success();
    env.mlv(&["remote", "modify", "s3", "endpointurl", endpoint]).success();
    for number in 0..3 {
        env.write(format!("d/{number}"), format!("{number}"));
    }
    env.mlv(&["add", "d"]).success();
    env
}

fn run(env: &TestEnv, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command: Command = env.mlv_command();
    env.run(command.args(args).envs(variables.iter().copied()))
}

/// Roles that may do everything, made with the first user's key, and a session of the first one.
fn make_roles(moto: &Moto, names: &[&str]) -> Value {
    let script = r"
import boto3, json, sys
url, key, secret, *names = sys.argv[1:]
def client(service): return boto3.client(service, endpoint_url=url, region_name='us-east-1',
    aws_access_key_id=key, aws_secret_access_key=secret)
def policy(**more): return json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': '*', **more}]})
for name in names:
    client('iam').create_role(RoleName=name, AssumeRolePolicyDocument=policy(Principal={'AWS': '*'}))
    client('iam').put_role_policy(RoleName=name, PolicyName='p', PolicyDocument=policy(Resource='*'))
arn = 'arn:aws:iam::123456789012:role/' + names[0]
print(json.dumps(client('sts').assume_role(RoleArn=arn, RoleSessionName='session')['Credentials'], default=str))
";
    let keys = &moto.users[0];
    let mut python = Command::new(aws_folder().join("python"));
    python.args(["-c", script, &moto.server.url(), &keys.id, &keys.secret]).args(names);
    let made = python.env("NO_PROXY", "127.0.0.1").output().expect("python runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    serde_json::from_slice(&made.stdout).expect("keys")
}

/// A text of the session's: `AccessKeyId`.
fn text<'a>(session: &'a Value, name: &str) -> &'a str {
    session[name].as_str().expect("text")
}

/// What endpoints hand out: keys that are said to have ended, so they are asked for before each request.
fn handed_out(session: &Value) -> String {
    let document = json!({ "Code": "Success", "LastUpdated": "2001-01-01T00:00:00Z", "Type": "AWS-HMAC",
        "AccessKeyId": session["AccessKeyId"], "SecretAccessKey": session["SecretAccessKey"],
        "Token": session["SessionToken"], "Expiration": "2001-01-01T00:00:00Z" });
    document.to_string()
}

// Expired keys are renewed while a push goes on; a token of the file changes.
#[test]
fn container_hands_out_keys_to_whoever_shows_its_token() {
    let Some(moto) = Moto::start() else { return };
    let session = make_roles(&moto, &["ml"]);
    let (asked, keys) = (Arc::new(AtomicUsize::new(0)), session.clone());
    let count = Arc::clone(&asked);
    let url =
        serve(move |request: &Request| match (request.target.as_str(), request.header("authorization")) {
            ("/creds", "sesame") => {
                count.fetch_add(1, Ordering::Relaxed);
                Answer::with("200 OK", handed_out(&keys))
            }
            _ => Answer::with("401 Unauthorized", r#"{"error": "who are you"}"#),
        });
    let env = project(&moto.server.url());
    let url = format!("{url}/creds");
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let pushed = run(&env, &["push", "-vv"], &[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "sesame")]);
    let pushed = pushed.success();
    assert!(pushed.stderr().contains("the container's endpoint"), "{pushed}");
    assert!(!pushed.to_string().contains(text(&session, "SecretAccessKey")), "{pushed}");
    assert!(asked.load(Ordering::Relaxed) > 1, "keys that have ended are fetched again before a request");
    env.write("token", "sesame\n");
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token");
    let tested = run(&env, &["remote", "test", "--json"], &[full, file]).success();
    assert_eq!(tested.json()["credentials"], "the container's endpoint");
    env.write("token", "CANARY");
    let refused = run(&env, &["remote", "test"], &[full, file]).code(7);
    let text = refused.to_string();
    assert!(text.contains("the container's endpoint: the store answered 401: who are you"), "{refused}");
    assert!(
        text.contains("check `AWS_CONTAINER_CREDENTIALS_FULL_URI`") && !text.contains("CANARY"),
        "{refused}"
    );
}

#[test]
fn instance_hands_out_keys_in_a_session() {
    let Some(moto) = Moto::start() else { return };
    let session = make_roles(&moto, &["ml"]);
    let (asked, keys) = (Arc::new(AtomicUsize::new(0)), session.clone());
    let count = Arc::clone(&asked);
    let url = serve(move |request: &Request| {
        let in_session = request.header("x-aws-ec2-metadata-token") == "in";
        match (request.method.as_str(), request.target.as_str()) {
            ("PUT", "/latest/api/token") => Answer::with("200 OK", "in"),
            (_, "/latest/meta-data/iam/security-credentials/") if in_session => Answer::with("200 OK", "ml"),
            (_, "/latest/meta-data/iam/security-credentials/ml") if in_session => {
                count.fetch_add(1, Ordering::Relaxed);
                Answer::with("200 OK", handed_out(&keys))
            }
            _ => Answer::new("404 Not Found"),
        }
    });
    let env = project(&moto.server.url());
    let pushed = run(&env, &["push", "-vv"], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]).success();
    assert!(pushed.stderr().contains("the instance's endpoint"), "{pushed}");
    assert!(asked.load(Ordering::Relaxed) > 1, "keys that have ended are fetched again before a request");
}

// N1: expired credentials half-way through a push.
#[test]
fn push_goes_on_when_its_keys_expire_in_the_middle() {
    let Some(moto) = Moto::start() else { return };
    let port = moto.server.port;
    let packs = AtomicUsize::new(0);
    let url = serve(move |request: &Request| {
        let is_pack = request.method == "PUT" && request.target.contains("/pk/");
        if is_pack && packs.fetch_add(1, Ordering::Relaxed) == 0 {
            let text =
                "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
            return Answer::with("400 Bad Request", text);
        }
        forward(port, request)
    });
    let env = project(&url);
    let keys = &moto.users[0];
    let printed = json!({ "Version": 1, "AccessKeyId": keys.id, "SecretAccessKey": keys.secret });
    let home = env.beside("home");
    home.write("print", format!("echo ran >> \"$HOME/runs\"\ncat <<'END'\n{printed}\nEND\n"));
    home.write(".aws/config", "[default]\ncredential_process = sh \"$HOME/print\"\n");
    run(&env, &["push"], &[]).success();
    assert_eq!(home.read_text("runs").lines().count(), 2, "once more, and only then");
}

/// PATH with an `aws` that knows what version 2 does, which no registry has: the same library asks.
fn path(env: &TestEnv) -> String {
    let python = aws_folder().join("python");
    let script = r"
import json, sys, botocore.session
if sys.argv[1:3] != ['configure', 'export-credentials']: sys.exit('no such command')
session = botocore.session.Session(profile=sys.argv[sys.argv.index('--profile') + 1])
try:
    credentials = session.get_credentials()
    keys = credentials.get_frozen_credentials()
except Exception as error: sys.exit(str(error))
ends = {'Expiration': credentials._expiry_time.isoformat()} if hasattr(credentials, '_expiry_time') else {}
print(json.dumps({'Version': 1, 'AccessKeyId': keys.access_key, 'SecretAccessKey': keys.secret_key,
    'SessionToken': keys.token, **ends}))
";
    let folder = env.beside("bin");
    folder.write("aws", format!("#!{}{script}", python.display()));
    folder.chmod("aws", 0o755);
    format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a path"))
}

#[test]
fn chain_of_roles_is_taken() {
    let Some(moto) = Moto::start() else { return };
    make_roles(&moto, &["first", "second"]);
    let env = project(&moto.server.url());
    let keys = &moto.users[0];
    let role = "role_arn = arn:aws:iam::123456789012:role";
    env.beside("home").write(
        ".aws/config",
        format!(
            "[profile base]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
             [profile between]\n{role}/first\nsource_profile = base\n\
             [profile ml]\n{role}/second\nsource_profile = between\n",
            keys.id, keys.secret
        ),
    );
    let (path, url) = (path(&env), moto.server.url());
    let variables = [
        ("PATH", path.as_str()),
        ("AWS_PROFILE", "ml"),
        ("AWS_ENDPOINT_URL_STS", &url),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ];
    run(&env, &["push"], &variables).success();
    let tested = run(&env, &["remote", "test", "--json"], &variables).success();
    assert_eq!(tested.json()["credentials"], "profile `ml`, assumed role");
}

#[test]
fn web_identity_is_exchanged_for_keys() {
    let Some(moto) = Moto::start() else { return };
    let session = make_roles(&moto, &["ml"]);
    // moto wants this request signed, which it never is.
    let url = serve(move |request: &Request| {
        let asked = String::from_utf8_lossy(&request.body).into_owned() + &request.target;
        if !asked.contains("AssumeRoleWithWebIdentity") || !asked.contains("WebIdentityToken=proof") {
            let text = "<Error><Code>InvalidIdentityToken</Code><Message>no such token</Message></Error>";
            return Answer::with("400 Bad Request", text);
        }
        let answer = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>2001-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>",
            text(&session, "AccessKeyId"),
            text(&session, "SecretAccessKey"),
            text(&session, "SessionToken")
        );
        Answer::with("200 OK", answer)
    });
    let env = project(&moto.server.url());
    env.write("token", "proof");
    let role = "arn:aws:iam::123456789012:role/ml";
    let variables =
        [("AWS_ROLE_ARN", role), ("AWS_WEB_IDENTITY_TOKEN_FILE", "token"), ("AWS_ENDPOINT_URL_STS", &url)];
    run(&env, &["push"], &variables).success();
    let tested = run(&env, &["remote", "test", "--json"], &variables).success();
    assert_eq!(tested.json()["credentials"], format!("web identity, role `{role}`"));
    env.write("token", "CANARY");
    let refused = run(&env, &["remote", "test"], &variables).code(7);
    let text = refused.to_string();
    assert!(text.contains("InvalidIdentityToken") && text.contains("trust policy"), "{refused}");
    assert!(!text.contains("CANARY"), "{refused}");
    env.remove("token");
    let refused = run(&env, &["remote", "test"], &variables).code(7);
    assert!(refused.to_string().contains("there is no file `token`"), "{refused}");
}

// SHA-1 of `corp`, the name of the session: where the `aws` command keeps its login.
const LOGIN: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

#[test]
fn login_by_sso_serves_until_it_ends() {
    let Some(moto) = Moto::start() else { return };
    let session = make_roles(&moto, &["ml"]);
    let portal = serve(move |request: &Request| match request.header("x-amz-sso_bearer_token") {
        "logged-in" => {
            let role = json!({ "accessKeyId": session["AccessKeyId"],
                "secretAccessKey": session["SecretAccessKey"], "sessionToken": session["SessionToken"],
                "expiration": 4_000_000_000_000u64 });
            Answer::with("200 OK", json!({ "roleCredentials": role }).to_string())
        }
        _ => Answer::new("401 Unauthorized"),
    });
    let env = project(&moto.server.url());
    let home = env.beside("home");
    home.write(
        ".aws/config",
        "[profile ml]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = ml\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example.com/start\n",
    );
    let log_in = |ends: &str| {
        let login = json!({ "startUrl": "https://corp.example.com/start", "region": "us-east-1",
            "accessToken": "logged-in", "expiresAt": ends });
        home.write(LOGIN, login.to_string());
    };
    let path = path(&env);
    let variables = [("PATH", path.as_str()), ("AWS_PROFILE", "ml"), ("AWS_ENDPOINT_URL_SSO", &portal)];
    log_in("2096-01-01T00:00:00Z");
    run(&env, &["push"], &variables).success();
    let tested = run(&env, &["remote", "test", "--json"], &variables).success();
    assert_eq!(tested.json()["credentials"], "profile `ml`, SSO");
    log_in("2001-01-01T00:00:00Z");
    let refused = run(&env, &["push", "--json"], &variables).code(7);
    assert_eq!(refused.error_kind(), "credentials_expired");
    let refused = run(&env, &["push"], &variables).code(7);
    assert!(refused.stderr().contains("aws sso login --profile ml"), "{refused}");
}

#[test]
fn aws_command_that_is_too_old_is_told_as_such() {
    let env = project("http://127.0.0.1:1");
    let home = env.beside("home");
    home.write(
        ".aws/config",
        "[default]\nrole_arn = arn:aws:iam::1:role/x\ncredential_source = Environment\n",
    );
    let folder = env.beside("bin");
    // As version 1 says it.
    folder.write("aws", "#!/bin/sh\necho \"argument subcommand: Invalid choice, valid choices are:\n\nset | get\" >&2\nexit 2\n");
    folder.chmod("aws", 0o755);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a path"));
    let refused = run(&env, &["push"], &[("PATH", &path)]).code(7);
    assert!(refused.stderr().contains("the `aws` command: it is too old"), "{refused}");
    assert!(refused.stderr().contains("install the AWS CLI, version 2"), "{refused}");
}

// N1. The token that has ended is not asked for again by its own end, which is far.
#[test]
fn token_of_googles_metadata_server_is_renewed_when_the_store_refuses_it() {
    let handed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handed);
    let metadata = serve(move |request: &Request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let token: Value =
            json!({ "access_token": format!("token-{number}"), "expires_in": 3600, "token_type": "Bearer" });
        match request.header("metadata-flavor") {
            "Google" => Answer::with("200 OK", token.to_string()),
            _ => Answer::new("403 Forbidden"),
        }
    });
    let bucket = Gcs::start();
    let port = bucket.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let requests = AtomicUsize::new(0);
    let front = serve(move |request: &Request| {
        let has_ended = requests.fetch_add(1, Ordering::Relaxed) >= 3;
        if request.header("authorization") == "Bearer token-0" && has_ended {
            let text = "<Error><Code>AuthenticationRequired</Code><Message>Authentication required.</Message></Error>";
            return Answer::with("401 Unauthorized", text);
        }
        forward(port, request)
    });
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "gs", "gs://data/x"]).success();
    env.mlv(&["remote", "modify", "--local", "gs", "endpointurl", &front]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    let host = metadata.trim_start_matches("http://");
    run(&env, &["push"], &[("GCE_METADATA_HOST", host)]).success();
    assert_eq!(handed.load(Ordering::Relaxed), 2, "once more, and only then");
}

#[test]
fn managed_identity_of_azures_services_is_asked_where_they_say() {
    let url = serve(|request: &Request| {
        if request.target.starts_with("/identity") {
            let token = json!({ "access_token": "CANARY", "expires_on": "4000000000", "resource": "x",
                "token_type": "Bearer", "expires_in": "3600" });
            return match request.header("x-identity-header") {
                "secret" => Answer::with("200 OK", token.to_string()),
                _ => Answer::new("403 Forbidden"),
            };
        }
        let code = if request.header("authorization") == "Bearer CANARY" {
            "AuthorizationPermissionMismatch"
        } else {
            "NoToken"
        };
        let mut answer = Answer::new("403 Forbidden");
        answer.headers.push(("x-ms-error-code".to_owned(), code.to_owned()));
        answer
    });
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "az", "azure://data/x"]).success();
    env.mlv(&["remote", "modify", "az", "account_name", "me"]).success();
    env.mlv(&["remote", "modify", "--local", "az", "endpointurl", &url]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    let identity = format!("{url}/identity");
    let refused =
        run(&env, &["push"], &[("IDENTITY_ENDPOINT", &identity), ("IDENTITY_HEADER", "secret")]).code(7);
    let text = refused.stderr();
    assert!(text.contains("AuthorizationPermissionMismatch (credentials: managed identity)"), "{refused}");
    assert!(!text.contains("CANARY"), "{refused}");
}
