//! Google Cloud Storage as far as doubles can show: who asks, and how.
//!
//! The store and Google's endpoints are doubles; signatures are checked by openssl.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::http::{Answer, Request, forward, serve};
use crate::support::http_proxy::HttpProxy;
use crate::support::servers::{Authority, Gcs, Nginx};
use crate::support::{Output, TestEnv};

const MAIL: &str = "ml@project.iam.gserviceaccount.com";

/// A request as it arrived: method and target, and its headers.
type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

/// The double, and what it was asked.
fn bucket() -> (String, Seen) {
    let bucket = Gcs::start();
    let port = bucket.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let url = serve(move |request: &Request| {
        let line = (request.method.clone(), request.target.clone(), json!(request.headers));
        log.lock().expect("no thread panics").push(line);
        forward(port, request)
    });
    (url, seen)
}

/// A project with something to push, and no credentials.
fn project(endpoint: Option<&str>) -> TestEnv {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "gs", "gs://data/x"]).success();
    if let Some(endpoint) = endpoint {
        env.mlv(&["remote", "modify", "--local", "gs", "endpointurl", endpoint]).success();
    }
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

fn openssl(folder: &Path, args: &[&str]) -> Vec<u8> {
    let made = Command::new("openssl").args(args).current_dir(folder).output().expect("openssl runs");
    assert!(made.status.success(), "{args:?}: {}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

/// The file that Google's console hands out; `public.pem` is put beside it.
fn service_account(folder: &Path) -> String {
    openssl(folder, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"]);
    openssl(folder, &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    let key = fs::read_to_string(folder.join("key.pem")).expect("it was made");
    let account = json!({ "type": "service_account", "project_id": "project", "private_key_id": "key-1",
        "private_key": key, "client_email": MAIL, "client_id": "1", "universe_domain": "googleapis.com",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://oauth2.googleapis.com/token" });
    fs::write(folder.join("account.json"), account.to_string()).expect("written");
    folder.join("account.json").display().to_string()
}

/// Base64 for URLs, without its padding, by openssl.
fn decoded(folder: &Path, text: &str) -> Vec<u8> {
    let padded = text.replace('-', "+").replace('_', "/") + &"=".repeat((4 - text.len() % 4) % 4);
    fs::write(folder.join("text"), padded).expect("written");
    openssl(folder, &["base64", "-d", "-A", "-in", "text"])
}

/// The header and the claims of a token, whose signature is checked.
fn claims(folder: &Path, authorization: &str) -> (Value, Value) {
    let token = authorization.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no token: {authorization}"));
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    fs::write(folder.join("signature"), decoded(folder, signature)).expect("written");
    fs::write(folder.join("signed"), signed).expect("written");
    openssl(folder, &["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"]);
    let (header, claims) = signed.split_once('.').expect("two parts");
    let parse = |text: &str| serde_json::from_slice(&decoded(folder, text)).expect("a document");
    (parse(header), parse(claims))
}

#[test]
fn service_account_signs_its_own_token() {
    let (url, seen) = bucket();
    let env = project(Some(&url));
    let keys = tempfile::tempdir().expect("a folder");
    let account = service_account(keys.path());
    let named = ("GOOGLE_APPLICATION_CREDENTIALS", account.as_str());
    let pushed = run(&env, &["push", "-vv"], &[named]).success();
    assert!(!pushed.to_string().contains("PRIVATE KEY"), "{pushed}");
    let tested = run(&env, &["remote", "test", "--json"], &[named]).success();
    assert_eq!(tested.json()["credentials"], "GOOGLE_APPLICATION_CREDENTIALS");
    env.mlv(&["remote", "modify", "--local", "gs", "credentialpath", &account]).success();
    let tested = run(&env, &["remote", "test", "--json"], &[]).success();
    assert_eq!(tested.json()["credentials"], "the service account of `credentialpath`");
    let seen = seen.lock().expect("no thread panics");
    let mut tokens: Vec<&str> =
        seen.iter().map(|(_, _, headers)| headers["authorization"].as_str().expect("a token")).collect();
    tokens.dedup();
    assert!((1..=3).contains(&tokens.len()), "one token for a command: {}", tokens.len());
    for token in tokens {
        let (header, claims) = claims(keys.path(), token);
        assert_eq!((header["alg"].as_str(), header["kid"].as_str()), (Some("RS256"), Some("key-1")));
        assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(MAIL), Some(MAIL)));
        assert!(
            claims["scope"].as_str().expect("a scope").contains("https://www.googleapis.com/auth/"),
            "{claims}"
        );
        let life = claims["exp"].as_i64().expect("an end") - claims["iat"].as_i64().expect("a start");
        assert_eq!(life, 3600);
    }
}

// Google's clients write `type` into the file; the key in it never shows.
#[test]
fn credentials_that_cannot_be_read_are_named() {
    let (url, _) = bucket();
    let env = project(Some(&url));
    env.write("federated.json", r#"{"type": "external_account", "audience": "CANARY"}"#);
    env.write("half.json", r#"{"type": "service_account", "private_key": "CANARY"}"#);
    for (file, reason) in [
        ("nosuch.json", "it cannot be read"),
        ("federated.json", "of the kind `external_account`"),
        ("half.json", "it is no service account"),
    ] {
        let path = env.path().join(file).display().to_string();
        let refused = run(&env, &["push"], &[("GOOGLE_APPLICATION_CREDENTIALS", &path)]);
        assert_ne!(refused.exit_code(), 0, "{refused}");
        let text = refused.stderr();
        assert!(text.contains(reason) && text.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{refused}");
        assert!(text.contains(file) && !text.contains("CANARY"), "{refused}");
    }
}

// What `gcloud auth application-default login` left is exchanged at Google's own address.
#[test]
fn application_default_credentials_are_exchanged_for_a_token() {
    let exchanged = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&exchanged);
    let google = serve(move |request: &Request| {
        let asked = String::from_utf8_lossy(&request.body).into_owned();
        log.lock().expect("no thread panics").push(format!("{} {}", request.header("host"), request.target));
        if !asked.contains("refresh_token=LEFT") {
            return Answer::with(
                "400 Bad Request",
                r#"{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}"#,
            );
        }
        let token = json!({ "access_token": "exchanged", "expires_in": 3600, "token_type": "Bearer" });
        Answer::with("200 OK", token.to_string())
    });
    let port: u16 = google.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let authority = Authority::new();
    let Some(front) = Nginx::before(port, &authority) else { return };
    let proxy = HttpProxy::start(port, front.port());
    let (url, seen) = bucket();
    let env = project(Some(&url));
    let home = env.beside("home");
    let left = |token: &str| {
        let login = json!({ "type": "authorized_user", "client_id": "id", "client_secret": "CANARY",
            "refresh_token": token });
        home.write(".config/gcloud/application_default_credentials.json", login.to_string());
    };
    let authority = authority.path("authority.pem").display().to_string();
    let proxy = proxy.url();
    let variables =
        [("SSL_CERT_FILE", authority.as_str()), ("HTTPS_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")];
    left("LEFT");
    run(&env, &["push"], &variables).success();
    assert_eq!(*exchanged.lock().expect("no panic"), ["accounts.google.com /o/oauth2/token"], "once");
    let seen = seen.lock().expect("no thread panics").clone();
    assert!(seen.iter().all(|(_, _, headers)| headers["authorization"] == "Bearer exchanged"), "{seen:?}");
    left("REVOKED");
    let refused = run(&env, &["push"], &variables).code(7);
    let text = refused.stderr();
    assert!(
        text.contains("application default credentials") && text.contains("expired or revoked"),
        "{refused}"
    );
    assert!(text.contains("gcloud auth application-default login"), "{refused}");
    assert!(!text.contains("CANARY") && !text.contains("REVOKED"), "{refused}");
}

// As the documentation of the XML interface has it: conditions by generation, the second kind of listing, pages,
// ranges; no upload in parts.
#[test]
fn requests_are_those_of_the_xml_interface() {
    let (url, seen) = bucket();
    let env = project(None);
    let keys = tempfile::tempdir().expect("a folder");
    let account = service_account(keys.path());
    env.mlv(&["remote", "modify", "--local", "gs", "credentialpath", &account]).success();
    // As Google's own clients take it: with and without the scheme.
    let emulator = [("STORAGE_EMULATOR_HOST", url.trim_start_matches("http://"))];
    run(&env, &["push"], &emulator).success();
    // More packs than the double has in a page.
    for number in 0..12 {
        env.write("d/more", format!("{number}"));
        env.mlv(&["add", "d"]).success();
        run(&env, &["push"], &emulator).success();
    }
    run(&env, &["fsck", "--remote", "--read-data"], &emulator).success();
    let all: Vec<_> = std::mem::take(&mut *seen.lock().expect("no thread panics"));
    let mut conditional = Vec::new();
    for (method, target, headers) in &all {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        assert!(path.starts_with("/data"), "{target}");
        assert!(!query.contains("upload"), "no parts: {target}");
        match (method.as_str(), path) {
            ("GET", "/data" | "/data/") => {
                assert!(query.contains("list-type=2") && query.contains("prefix=x%2F"), "{target}");
            }
            ("PUT", _) if headers["x-goog-if-generation-match"].is_string() => {
                assert_eq!(headers["x-goog-if-generation-match"], "0");
                conditional.push(path);
            }
            ("PUT", _) => assert!(headers["content-length"].is_string(), "{headers}"),
            ("GET" | "HEAD", _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(conditional, ["/data/x%2Fmlv%2Dremote"], "the one name that two may want at once");
    assert!(all.iter().any(|(_, target, _)| target.contains("continuation-token=")), "pages were turned");
    // A public bucket is read without any token.
    env.commit("data");
    let clone = env.clone_to("clone");
    clone.mlv(&["remote", "modify", "gs", "allow_anonymous_login", "true"]).success();
    run(&clone, &["fetch"], &emulator).success();
    let seen = seen.lock().expect("no thread panics");
    let is_range =
        |headers: &Value| headers["range"].as_str().is_some_and(|range| range.starts_with("bytes="));
    assert!(seen.iter().any(|(_, _, headers)| is_range(headers)), "{seen:?}");
    assert!(seen.iter().all(|(_, _, headers)| headers["authorization"].is_null()), "{seen:?}");
}
