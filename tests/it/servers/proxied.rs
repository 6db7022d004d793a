//! Remotes that are reached through the proxy that the environment names.

use crate::support::TestEnv;
use crate::support::http_proxy::HttpProxy;
use crate::support::servers::{Authority, Moto, Nginx};

fn push(env: &TestEnv, variables: &[(&str, &str)]) {
    env.write("a", format!("{variables:?}"));
    env.mlv(&["add", "a"]).success();
    let mut command = env.mlv_command();
    env.run(command.arg("push").envs(variables.iter().copied())).success();
}

// The bucket stands in the host, as at Amazon's: no resolver here knows such names.
#[test]
fn proxies_of_the_environment_are_used_for_http_and_https() {
    let Some(moto) = Moto::start() else { return };
    let authority = Authority::new();
    let Some(front) = Nginx::before(moto.server.port, &authority) else { return };
    let proxy = HttpProxy::start(moto.server.port, front.port());
    let env = TestEnv::ready();
    moto.add_remote(&env);
    env.mlv(&["remote", "modify", "s3", "addressing_style", "virtual"]).success();
    env.mlv(&["remote", "modify", "s3", "endpointurl", "http://store.test"]).success();
    push(&env, &[("HTTP_PROXY", &proxy.url())]);
    let asked = proxy.asked();
    assert!(
        asked.iter().any(|line| line.starts_with("PUT http://data.store.test/project/pk/")),
        "{asked:#?}"
    );
    env.mlv(&["remote", "modify", "s3", "endpointurl", "https://store.test"]).success();
    let file = authority.path("authority.pem");
    let trusted = ("SSL_CERT_FILE", file.to_str().expect("plain"));
    push(&env, &[("HTTPS_PROXY", &proxy.url()), trusted]);
    let asked = proxy.asked();
    assert!(!asked.is_empty(), "it was used");
    assert!(asked.iter().all(|line| line == "CONNECT data.store.test:443 HTTP/1.1"), "{asked:#?}");
    assert!(
        moto.requests().iter().any(|line| line.starts_with("PUT /project/pk/")),
        "the host had the bucket"
    );
}

#[test]
fn hosts_of_no_proxy_are_asked_themselves() {
    let Some(moto) = Moto::start() else { return };
    let proxy = HttpProxy::start(moto.server.port, moto.server.port);
    let env = TestEnv::ready();
    moto.add_remote(&env);
    push(&env, &[("HTTP_PROXY", &proxy.url()), ("NO_PROXY", "example.com,127.0.0.1")]);
    assert_eq!(proxy.asked(), Vec::<String>::new());
    push(&env, &[("HTTP_PROXY", &proxy.url()), ("NO_PROXY", "example.com")]);
    assert!(!proxy.asked().is_empty(), "it would have been");
}
