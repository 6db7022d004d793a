//! Whose certificates are trusted.

use std::process::Command;

use crate::support::servers::{Authority, Moto, Nginx};
use crate::support::{Output, TestEnv};

/// A project with something to push to S3 by HTTPS.
fn project(moto: &Moto, front: &Nginx) -> TestEnv {
    let env = TestEnv::ready();
    moto.add_remote(&env);
    env.mlv(&["remote", "modify", "s3", "endpointurl", &front.url()]).success();
    env
}

fn with(env: &TestEnv, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command: Command = env.mlv_command();
    env.run(command.args(args).envs(variables.iter().copied()))
}

fn refused(output: Output) {
    let output = output.code(7);
    let text = output.stderr();
    assert!(text.contains("the server's certificate is not trusted"), "{output}");
    assert!(text.contains("SSL_CERT_FILE=/path/to/ca.pem"), "what to do: {output}");
}

#[test]
fn servers_are_trusted_by_the_authorities_that_the_environment_names() {
    let Some(moto) = Moto::start() else { return };
    let authority = Authority::new();
    let Some(front) = Nginx::before(moto.server.port, &authority) else { return };
    let env = project(&moto, &front);
    let [good, stranger] = ["authority.pem", "stranger.pem"].map(|name| authority.path(name));
    let (good, stranger) = (good.to_str().expect("plain"), stranger.to_str().expect("plain"));
    let mut version = 0;
    let mut push = |variables: &[(&str, &str)]| {
        version += 1;
        env.write("a", format!("version {version}"));
        env.mlv(&["add", "a"]).success();
        with(&env, &["push"], variables)
    };
    refused(push(&[]));
    refused(push(&[("SSL_CERT_FILE", stranger)]));
    refused(push(&[("AWS_CA_BUNDLE", stranger)]));
    assert!(!moto.requests().iter().any(|line| line.contains("project")), "nothing was sent");
    push(&[("SSL_CERT_FILE", good)]).success();
    // It adds to the others.
    push(&[("SSL_CERT_FILE", stranger), ("AWS_CA_BUNDLE", good)]).success();
    env.mlv(&["remote", "modify", "--local", "s3", "ssl_verify", good]).success();
    push(&[]).success();
    env.mlv(&["remote", "modify", "--local", "s3", "ssl_verify", stranger]).success();
    refused(push(&[]));
    env.mlv(&["remote", "modify", "--local", "s3", "ssl_verify", "false"]).success();
    push(&[]).success();
    env.mlv(&["remote", "modify", "--local", "s3", "ssl_verify", good]).success();
    // The certificate is for a name, and not for the address.
    let address = format!("https://127.0.0.1:{}", front.port());
    env.mlv(&["remote", "modify", "s3", "endpointurl", &address]).success();
    refused(push(&[]));
}

#[test]
fn bundle_of_a_profile_is_used_too() {
    let Some(moto) = Moto::start() else { return };
    let authority = Authority::new();
    let Some(front) = Nginx::before(moto.server.port, &authority) else { return };
    let env = project(&moto, &front);
    let bundle = authority.path("authority.pem");
    env.beside("home").write(".aws/config", format!("[profile work]\nca_bundle = {}\n", bundle.display()));
    refused(with(&env, &["remote", "test"], &[]));
    with(&env, &["remote", "test"], &[("AWS_PROFILE", "work")]).success();
}

#[test]
fn unusable_bundles_are_named() {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "s3", "s3://data/x"]).success();
    env.write("empty.pem", "");
    env.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (variable, file, reason) in [
        ("AWS_CA_BUNDLE", "none.pem", "there is no such file"),
        ("AWS_CA_BUNDLE", "empty.pem", "no certificate"),
        ("AWS_CA_BUNDLE", "broken.pem", "certificate"),
        ("SSL_CERT_FILE", "none.pem", "there is no such file"),
    ] {
        let failed = with(&env, &["push"], &[(variable, file)]).code(2);
        let text = failed.stderr();
        assert!(text.contains(variable) && text.contains(file) && text.contains(reason), "{failed}");
    }
    // Others beside it would do, but it was meant to be used.
    let system = "/etc/ssl/certs/ca-certificates.crt";
    for beside in [("SSL_CERT_DIR", "/etc/ssl/certs"), ("AWS_CA_BUNDLE", system)] {
        if !std::path::Path::new(beside.1).exists() {
            continue;
        }
        for (file, reason) in [("none.pem", "there is no such file"), ("empty.pem", "no certificate")] {
            let failed = with(&env, &["push"], &[("SSL_CERT_FILE", file), beside]).code(2);
            let text = failed.stderr();
            assert!(
                text.contains("SSL_CERT_FILE") && text.contains(file) && text.contains(reason),
                "{failed}"
            );
        }
    }
}

#[test]
fn web_servers_are_read_by_https() {
    let authority = Authority::new();
    let Some(server) = Nginx::with_tls(&authority) else { return };
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "folder", &server.path().display().to_string()]).success();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.commit("add data");
    env.mlv(&["push"]).success();
    super::http::make_listing(&server.path());
    let clone = env.clone_to("clone");
    clone.mlv(&["remote", "add", "-d", "web", &server.url()]).success();
    refused(clone.mlv(&["pull"]));
    let file = authority.path("authority.pem");
    with(&clone, &["pull"], &[("SSL_CERT_FILE", file.to_str().expect("plain"))]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}
