//! The one suite of `remote::conformance`, on every backend that needs a server.

use std::path::Path;

use mlv::model::secret::Secret;
use mlv::remote::conformance::check;
use mlv::remote::registry::{RemoteSpec, SpecOption};
use mlv::remote::retry::{Patience, Retrying};

use crate::support::servers::Moto;

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
