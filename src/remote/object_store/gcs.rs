//! Google Cloud Storage, by its XML interface.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;

use super::access::{Access, Asked, Renewable, Unmanaged};
use super::s3::no_retry;
use super::{BucketBackend, bucket_and_prefix, line_options, open_line};
use crate::remote::credentials::variable;
use crate::remote::registry::{RemoteSpec, SpecError};

/// The options that are understood, besides those of every remote.
const OPTIONS: &[&str] = &[
    "allow_anonymous_login",
    "connect_timeout",
    "credentialpath",
    "endpointurl",
    "projectname",
    "read_timeout",
    "ssl_verify",
];

/// The backend of `gs://bucket/prefix`. Nothing is sent yet.
pub(crate) fn open_gcs(spec: &RemoteSpec) -> Result<BucketBackend, SpecError> {
    spec.check_options("GCS", OPTIONS)?;
    let (bucket, prefix) = bucket_and_prefix(spec)?;
    let line = open_line(spec, &line_options(spec, None))?;
    let is_anonymous = spec.flag("allow_anonymous_login");
    // R12: tokens open everything that their owner may do, so no repository may say who gets them.
    if spec.is_tracked("endpointurl") && !is_anonymous {
        return Err(spec.only_private("endpointurl"));
    }
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_retry(no_retry())
        .with_http_connector(line.clone());
    let emulator = variable("STORAGE_EMULATOR_HOST").map(|host| match host.contains("://") {
        true => host,
        false => format!("http://{host}"),
    });
    if let Some(endpoint) = spec.option("endpointurl").map(str::to_owned).or(emulator) {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    let (builder, source) = match spec.option("credentialpath") {
        _ if is_anonymous => (builder.with_skip_signature(true).with_bearer_token(""), "none: anonymous"),
        Some(path) => (builder.with_service_account_path(path), "the service account of `credentialpath`"),
        None => match variable("GOOGLE_APPLICATION_CREDENTIALS") {
            Some(path) => (builder.with_application_credentials(path), "GOOGLE_APPLICATION_CREDENTIALS"),
            None => (builder, "application default credentials"),
        },
    };
    // The crate's message may quote the file, which is a private key.
    let unreadable = || spec.unusable("credentialpath", "the credentials cannot be read");
    let (store, access): (_, Box<dyn Access>) = match is_anonymous {
        true => (builder.build().map_err(|_| unreadable())?, Box::new(Unmanaged(source))),
        false => {
            let hint = "log in with `gcloud auth application-default login`".to_owned();
            let plain = builder.clone();
            let make = move || Some(Arc::clone(plain.clone().build().ok()?.credentials()));
            let provider = Renewable::new(Box::new(make)).ok_or_else(unreadable)?;
            let store =
                builder.with_credentials(Arc::clone(&provider) as _).build().map_err(|_| unreadable())?;
            (store, Box::new(Asked::new(provider, source, hint)))
        }
    };
    Ok(BucketBackend::new(Box::new(store), line, access, prefix, spec))
}
