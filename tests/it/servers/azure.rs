//! Azure: tokens and signatures that end in the middle. Azurite checks signatures; what it cannot check
//! without HTTPS, tokens, is checked before it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::http::{Answer, Request, forward, serve};
use crate::support::servers::{Azurite, azurite};
use crate::support::{Output, TestEnv};

const FAR: &str = "2096-01-01T00:00:00Z";
const PAST: &str = "2001-01-01T00:00:00Z";

/// A project with something to push, and no credentials.
fn project(endpoint: &str) -> TestEnv {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "az", "azure://data/x"]).success();
    env.mlv(&["remote", "modify", "az", "account_name", azurite::ACCOUNT]).success();
    env.mlv(&["remote", "modify", "--local", "az", "endpointurl", endpoint]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env
}

fn run(env: &TestEnv, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command: Command = env.mlv_command();
    env.run(command.args(args).envs(variables.iter().copied()))
}

/// The request as one that is signed until `end` and carries no other credentials.
fn signed(request: &Request, end: &str) -> Request {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let own = ["sv=", "ss=", "srt=", "sp=", "se=", "sig="];
    let mut query: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !own.iter().any(|name| pair.starts_with(name)))
        .collect();
    let signature = Azurite::signature(end);
    query.push(&signature);
    let mut headers = request.headers.clone();
    headers.remove("authorization");
    let target = format!("{path}?{}", query.join("&"));
    Request { method: request.method.clone(), target, headers, body: request.body.clone() }
}

fn refusal(status: &str, code: &str, detail: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Server failed to authenticate the request.</Message>\
         <AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
    );
    let mut answer = Answer::with(status, body);
    answer.headers.push(("x-ms-error-code".to_owned(), code.to_owned()));
    answer
}

// N1. The identity's token ends before the time that came with it.
#[test]
fn token_of_a_managed_identity_is_renewed_once() {
    let Some(server) = Azurite::start() else { return };
    let handed = Arc::new(AtomicUsize::new(0));
    let (requests, count, port) = (AtomicUsize::new(0), Arc::clone(&handed), server.port());
    let url = serve(move |request: &Request| {
        if request.target.starts_with("/identity") {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let token = json!({ "access_token": format!("CANARY-{number}"), "expires_on": "4000000000",
                "resource": "x", "token_type": "Bearer", "expires_in": "3600" });
            return Answer::with("200 OK", token.to_string());
        }
        let late = requests.fetch_add(1, Ordering::SeqCst) >= 3;
        match request.header("authorization") {
            "Bearer CANARY-0" if late => refusal(
                "401 Unauthorized",
                "InvalidAuthenticationInfo",
                "Lifetime validation failed. The token is expired.",
            ),
            "Bearer CANARY-0" | "Bearer CANARY-1" => forward(port, &signed(request, FAR)),
            _ => refusal("401 Unauthorized", "InvalidAuthenticationInfo", "The token is expired."),
        }
    });
    let env = project(&format!("{url}/{}", azurite::ACCOUNT));
    let identity = format!("{url}/identity");
    let variables = [("IDENTITY_ENDPOINT", identity.as_str()), ("IDENTITY_HEADER", "secret")];
    run(&env, &["push"], &variables).success();
    assert_eq!(handed.load(Ordering::SeqCst), 2, "once more, and only then");
    // From here on no token serves: it is asked for one more, and then told.
    env.write("a", "two");
    env.mlv(&["add", "a"]).success();
    let refused = run(&env, &["push", "--json"], &variables).code(7);
    assert_eq!(refused.error_kind(), "credentials_expired");
    assert_eq!(handed.load(Ordering::SeqCst), 4);
    let refused = run(&env, &["push"], &variables).code(7);
    assert!(refused.stderr().contains("(credentials: managed identity)"), "{refused}");
    assert!(refused.stderr().contains("az login") && !refused.to_string().contains("CANARY"), "{refused}");
}

#[test]
fn signature_that_has_ended_is_refused_by_its_source() {
    let Some(server) = Azurite::start() else { return };
    let signature = Azurite::signature(FAR);
    let (requests, port) = (AtomicUsize::new(0), server.port());
    let url = serve(move |request: &Request| match requests.fetch_add(1, Ordering::SeqCst) {
        0..3 => forward(port, request),
        // As Azurite has it,
        3..30 => forward(port, &signed(request, PAST)),
        // and as Azure itself.
        _ => refusal(
            "403 Forbidden",
            "AuthenticationFailed",
            "Signature not valid in the specified time frame: Start [x] - Expiry [y] - Current [z]",
        ),
    });
    let env = project(&format!("{url}/{}", azurite::ACCOUNT));
    let variable = [("AZURE_STORAGE_SAS_TOKEN", signature.as_str())];
    let refused = run(&env, &["push"], &variable).code(7);
    assert!(refused.stderr().contains("(credentials: environment)"), "{refused}");
    let secret = signature.rsplit('=').next().expect("a signature");
    assert!(!refused.to_string().contains(secret), "{refused}");
    while run(&env, &["push", "--json"], &variable).code(7).error_kind() != "credentials_expired" {}
    let refused = run(&env, &["push"], &variable).code(7);
    assert!(refused.stderr().contains("into `AZURE_STORAGE_SAS_TOKEN`"), "{refused}");
    env.mlv(&["remote", "modify", "--local", "az", "sas_token", &signature]).success();
    let refused = run(&env, &["push"], &[]).code(7);
    assert!(refused.stderr().contains("(credentials: options of the remote)"), "{refused}");
    assert!(refused.stderr().contains("mlv remote modify --local az sas_token TOKEN"), "{refused}");
}
