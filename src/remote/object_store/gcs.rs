//! Google Cloud Storage, by its XML interface.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;

use super::access::{Access, Asked, Unmanaged};
use super::line::Line;
use super::s3::no_retry;
use super::{BucketBackend, bucket_and_prefix, line_options};
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
    let line =
        Line::new(&line_options(spec, None)?).map_err(|error| spec.unusable("url", error.to_string()))?;
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
    let store =
        builder.build().map_err(|_| spec.unusable("credentialpath", "the credentials cannot be read"))?;
    let access: Box<dyn Access> = match is_anonymous {
        true => Box::new(Unmanaged(source)),
        false => {
            let hint = "log in with `gcloud auth application-default login`".to_owned();
            Box::new(Asked { provider: Arc::clone(store.credentials()), source, hint })
        }
    };
    Ok(BucketBackend::new(Box::new(store), line, access, prefix, spec))
}
