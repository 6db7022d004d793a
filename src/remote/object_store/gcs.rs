//! Google Cloud Storage, by its XML interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;

use super::access::{Access, Asked, Renewable, Unmanaged};
use super::s3::no_retry;
use super::{BucketBackend, bucket_and_prefix, check_endpoint, line_options, open_line};
use crate::remote::credentials::{read_file, variable};
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
        check_endpoint(spec, &endpoint)?;
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    let file = credentials_file(spec).filter(|_| !is_anonymous);
    let (builder, source) = match &file {
        _ if is_anonymous => (builder.with_skip_signature(true).with_bearer_token(""), "none: anonymous"),
        Some(file) if file.is_account => {
            (builder.with_service_account_path(&file.path), "the service account of `credentialpath`")
        }
        Some(file) => (builder.with_application_credentials(&file.path), file.named_by),
        None => (builder, "application default credentials"),
    };
    let unreadable = || match &file {
        Some(file) => spec.unusable("credentialpath", file.complaint()),
        None => spec.unusable("credentialpath", "the application default credentials cannot be read"),
    };
    let (store, access): (_, Box<dyn Access>) = match is_anonymous {
        true => (builder.build().map_err(|_| unreadable())?, Box::new(Unmanaged(source))),
        false => {
            let hint = match &file {
                Some(file) if file.named_by != LOGIN => {
                    format!("get a new key file; this one is `{}`", file.path)
                }
                _ => "log in with `gcloud auth application-default login`".to_owned(),
            };
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

/// What is said of credentials that `gcloud` left.
const LOGIN: &str = "application default credentials";

/// A file that holds credentials, and who names it.
struct CredentialsFile {
    path: String,
    named_by: &'static str,
    /// Whether it can only be a service account's.
    is_account: bool,
}

fn credentials_file(spec: &RemoteSpec) -> Option<CredentialsFile> {
    let named = |path: String, named_by, is_account| CredentialsFile { path, named_by, is_account };
    if let Some(path) = spec.option("credentialpath") {
        return Some(named(path.to_owned(), "`credentialpath`", true));
    }
    if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
        return Some(named(path, "GOOGLE_APPLICATION_CREDENTIALS", false));
    }
    let folder = match variable("CLOUDSDK_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(variable("HOME")?).join(".config/gcloud"),
    };
    let path = folder.join("application_default_credentials.json");
    path.is_file().then(|| named(path.display().to_string(), LOGIN, false))
}

impl CredentialsFile {
    /// Why it cannot be used. The crate's message may quote the file, which is a private key.
    fn complaint(&self) -> String {
        let text = read_file(Path::new(&self.path)).ok().flatten();
        let document = text.as_deref().map(serde_json::from_str::<serde_json::Value>);
        let kind = match &document {
            Some(Ok(document)) => document["type"].as_str().unwrap_or_default(),
            _ => "",
        };
        let reason = match (&document, kind) {
            (None, _) => "it cannot be read".to_owned(),
            (_, "external_account" | "impersonated_service_account" | "gdch_service_account") => {
                format!("mlv does not understand credentials of the kind `{kind}`")
            }
            _ if self.is_account => "it is no service account".to_owned(),
            _ => "it is no service account, nor what `gcloud` leaves after a login".to_owned(),
        };
        format!("`{}`, which {} names: {reason}", self.path, self.named_by)
    }
}
