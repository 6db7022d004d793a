//! The one suite of `remote::conformance`, on every backend that needs a server.

use std::path::Path;

use mlv::model::secret::Secret;
use mlv::remote::backend::{Backend, Key, Situation};
use mlv::remote::conformance::{check, check_reading};
use mlv::remote::folder::FolderBackend;
use mlv::remote::registry::{RemoteSpec, SpecOption};
use mlv::remote::retry::{Patience, Retrying};

use crate::support::servers::{Azurite, Gcs, Moto, Nginx, S3sFs, Sshd, azurite, s3sfs};

fn spec(url: &str, options: &[(&str, &str)]) -> RemoteSpec {
    let option = |(name, value): &(&str, &str)| SpecOption {
        name: (*name).to_owned(),
        value: Secret::new(*value),
        is_tracked: false,
    };
    RemoteSpec {
        name: "store".to_owned(),
        url: url.to_owned(),
        is_url_tracked: false,
        options: options.iter().map(option).collect(),
    }
}

fn conforms(spec: &RemoteSpec) {
    match spec.open(Path::new("/")) {
        // As it is used: moto answers 500 to some of two writes of one name at once.
        Ok(backend) => check(&Retrying::new(backend, Patience::default())),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn s3_conforms() {
    let Some(moto) = Moto::start() else { return };
    let endpoint = moto.server.url();
    let keys = &moto.users[0];
    let options = [
        ("endpointurl", endpoint.as_str()),
        ("access_key_id", &keys.id),
        ("secret_access_key", &keys.secret),
    ];
    conforms(&spec("s3://data", &[&options[..], &[("checksum", "sha256")]].concat()));
    conforms(&spec("s3://data/a/prefix", &options));
}

// Another implementation, so that nothing is relied on that only one has; and without any login.
#[test]
fn a_second_s3_conforms() {
    let (Some(server), Some(public)) = (S3sFs::start(), S3sFs::public()) else { return };
    let endpoint = server.url();
    let key = s3sfs::KEY;
    let options = [("endpointurl", endpoint.as_str()), ("access_key_id", key), ("secret_access_key", key)];
    conforms(&spec("s3://data", &options));
    let wrong = [("endpointurl", endpoint.as_str()), ("access_key_id", key), ("secret_access_key", "CANARY")];
    let refused = match spec("s3://data", &wrong).open(Path::new("/")) {
        Ok(backend) => backend.head(&Key::parse("mlv-remote").expect("a key")).expect_err("refused"),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(refused.situation, Situation::Denied, "signatures count there: {refused:?}");
    let endpoint = public.url();
    let anonymous = [("endpointurl", endpoint.as_str()), ("allow_anonymous_login", "true")];
    conforms(&spec("s3://data/a/prefix", &anonymous));
}

#[test]
fn azure_conforms() {
    let Some(server) = Azurite::start() else { return };
    let endpoint = server.endpoint();
    let options =
        [("account_name", azurite::ACCOUNT), ("account_key", azurite::KEY), ("endpointurl", &endpoint)];
    conforms(&spec("azure://data", &options));
    let text =
        format!("AccountName={};AccountKey={};BlobEndpoint={endpoint}", azurite::ACCOUNT, azurite::KEY);
    conforms(&spec("azure://data/a/prefix", &[("connection_string", &text)]));
}

// A double of our own: see tests/it/support/servers/gcs.rs.
#[test]
fn gcs_conforms_as_far_as_a_double_can_show() {
    let server = Gcs::start();
    let folder = tempfile::tempdir().expect("a folder");
    let account = folder.path().join("account.json");
    let text = r#"{"client_email":"x","private_key":"x","private_key_id":"x","disable_oauth":true}"#;
    std::fs::write(&account, text).expect("written");
    let path = account.to_str().expect("a plain path");
    conforms(&spec("gs://data", &[("endpointurl", &server.url), ("credentialpath", path)]));
    conforms(&spec("gs://data/a/prefix", &[("endpointurl", &server.url), ("allow_anonymous_login", "true")]));
}

#[test]
fn sftp_conforms() {
    let Some(server) = Sshd::start() else { return };
    conforms(&spec(&server.url("new/remote"), &[("ssh_command", &server.ssh())]));
    let left = std::fs::read_dir(server.path("new/remote/.stage")).expect("a folder").count();
    assert_eq!(left, 0, "nothing stays under construction");
}

/// The reading half of the suite: what stands there is made as a folder remote.
#[test]
fn http_conforms_to_be_read() {
    let Some(server) = Nginx::start() else { return };
    let folder = FolderBackend::new(&server.path());
    let web = spec(&server.url(), &[]).open(Path::new("/")).unwrap_or_else(|error| panic!("{error}"));
    check_reading(&folder, &web, &|| super::http::make_listing(&server.path()));
    let key = Key::parse("pk/00/new").expect("a key");
    for refused in [web.put(&key, &[]), web.create(&key, &[]).map(drop), web.delete(&key)] {
        assert_eq!(refused.expect_err("it cannot be written").situation, Situation::ReadOnly);
    }
}
