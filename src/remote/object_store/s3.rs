//! Amazon S3, and the stores that speak its language.

use std::sync::Arc;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};

use super::access::{Access, AwsAccess, Unmanaged};
use super::line::{Bundle, Line, LineOptions};
use super::{BucketBackend, bucket_and_prefix, check_endpoint, line_options, open_line};
use crate::model::secret::Secret;
use crate::remote::credentials::{AwsKeys, AwsSearch, Found, variable};
use crate::remote::registry::{RemoteSpec, SpecError};

/// The options that are understood, besides those of every remote.
pub(super) const OPTIONS: &[&str] = &[
    "access_key_id",
    "addressing_style",
    "allow_anonymous_login",
    "cache_regions",
    "checksum",
    "configpath",
    "connect_timeout",
    "credentialpath",
    "endpointurl",
    "profile",
    "read_timeout",
    "region",
    "secret_access_key",
    "session_token",
    "sse",
    "sse_customer_algorithm",
    "sse_customer_key",
    "sse_kms_key_id",
    "ssl_verify",
    "use_ssl",
];

/// The backend of `s3://bucket/prefix`. Nothing is sent yet.
pub(crate) fn open_s3(spec: &RemoteSpec) -> Result<BucketBackend, SpecError> {
    spec.check_options("S3", OPTIONS)?;
    let (bucket, prefix) = bucket_and_prefix(spec)?;
    let search = search(spec)?;
    let bundle = bundle(&search);
    let line = open_line(spec, &line_options(spec, bundle.clone()))?;
    let region = region(spec, &search);
    let endpoint = endpoint(spec, &search, &region, &bucket)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket)
        .with_region(&region)
        .with_endpoint(&endpoint)
        // The endpoint above has the bucket in it.
        .with_virtual_hosted_style_request(true)
        .with_retry(no_retry())
        // `DeleteObjects` is a right and a request form of its own, which some stores lack.
        .with_disable_bulk_delete(true)
        .with_http_connector(line.clone());
    builder = encryption(spec, builder)?;
    if let Some(checksum) = spec.option("checksum") {
        builder = set(builder, "aws_checksum_algorithm", checksum);
    }
    let (builder, access): (_, Box<dyn Access>) = match spec.flag("allow_anonymous_login") {
        true => (builder.with_skip_signature(true), Box::new(Unmanaged("none: anonymous"))),
        false => {
            let access = AwsAccess::new(
                search,
                Box::new(move |found| endpoint_client(found, &region, bundle.as_ref())),
            );
            (builder.with_credentials(Arc::clone(&access.signer) as AwsCredentialProvider), Box::new(access))
        }
    };
    let store = builder.build().map_err(|error| spec.unusable("url", error.to_string()))?;
    Ok(BucketBackend::new(Box::new(store), line, access, prefix, spec))
}

/// The authorities that Amazon's tools trust besides the system's.
fn bundle(search: &AwsSearch) -> Option<Bundle> {
    let environment = variable("AWS_CA_BUNDLE").map(|file| Bundle { named_by: "AWS_CA_BUNDLE", file });
    let of_profile = |file| Bundle { named_by: "`ca_bundle` of the profile", file };
    environment.or_else(|| search.setting("ca_bundle").map(of_profile))
}

/// What is repeated is decided in one place, and not here.
pub(super) fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn search(spec: &RemoteSpec) -> Result<AwsSearch, SpecError> {
    // A file of profiles names commands to run, so no repository may choose it (R11).
    for option in ["configpath", "credentialpath"] {
        if spec.is_tracked(option) {
            return Err(spec.only_private(option));
        }
    }
    let secret = |name| spec.option(name).map(Secret::new);
    let keys = match (secret("access_key_id"), secret("secret_access_key")) {
        (Some(id), Some(secret_key)) => {
            Some(AwsKeys { id, secret: secret_key, token: secret("session_token"), expires: None })
        }
        (None, None) => None,
        (Some(_), None) => return Err(spec.unusable("access_key_id", "`secret_access_key` is missing")),
        (None, Some(_)) => return Err(spec.unusable("secret_access_key", "`access_key_id` is missing")),
    };
    Ok(AwsSearch {
        remote: spec.name.clone(),
        keys,
        profile: spec.option("profile").map(str::to_owned),
        config_file: spec.option("configpath").map(Into::into),
        credentials_file: spec.option("credentialpath").map(Into::into),
    })
}

fn region(spec: &RemoteSpec, search: &AwsSearch) -> String {
    let named = spec.option("region").map(str::to_owned);
    let named = named.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    named.or_else(|| search.setting("region")).unwrap_or_else(|| "us-east-1".to_owned())
}

/// The URL that keys are appended to: the bucket is in its host or in its path.
fn endpoint(spec: &RemoteSpec, search: &AwsSearch, region: &str, bucket: &str) -> Result<String, SpecError> {
    let named = spec.option("endpointurl").map(str::to_owned);
    let named = named.or_else(|| variable("AWS_ENDPOINT_URL_S3")).or_else(|| variable("AWS_ENDPOINT_URL"));
    let named = named.or_else(|| search.setting("endpoint_url"));
    let style = spec.option("addressing_style").map(str::to_owned);
    if style.as_deref().is_some_and(|style| !matches!(style, "virtual" | "path" | "auto")) {
        return Err(spec.unusable("addressing_style", "it is `virtual`, `path` or `auto`"));
    }
    let style = style.or_else(|| search.setting("s3.addressing_style")).unwrap_or_default();
    let is_virtual = match style.as_str() {
        "virtual" => true,
        "path" => false,
        // A dot in the bucket's name is one label too many for the certificate.
        _ => named.is_none() && !bucket.contains('.'),
    };
    let scheme = if spec.option("use_ssl") == Some("false") { "http" } else { "https" };
    let server = named.unwrap_or_else(|| {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{scheme}://s3.{region}.{suffix}")
    });
    let server = server.trim_end_matches('/');
    let (scheme, host) = server.split_once("://").unwrap_or((scheme, server));
    check_endpoint(spec, &format!("{scheme}://{host}"))?;
    let endpoint = match is_virtual {
        true => format!("{scheme}://{bucket}.{host}"),
        false => format!("{scheme}://{host}/{bucket}"),
    };
    match reqwest::Url::parse(&endpoint) {
        Ok(_) => Ok(endpoint),
        Err(error) if is_virtual => {
            let reason =
                format!("`virtual` puts the bucket before the host, which takes none ({error}): `path`");
            Err(spec.unusable("addressing_style", reason))
        }
        Err(error) => Err(spec.unusable("endpointurl", error.to_string())),
    }
}

fn encryption(spec: &RemoteSpec, builder: AmazonS3Builder) -> Result<AmazonS3Builder, SpecError> {
    let builder = match spec.option("sse_customer_key") {
        Some(key) => builder.with_ssec_encryption(key),
        None => builder,
    };
    let key = spec.option("sse_kms_key_id");
    match spec.option("sse") {
        None if key.is_some() => Err(spec.unusable("sse_kms_key_id", "it needs `sse` to be `aws:kms`")),
        None => Ok(builder),
        Some(kind @ ("AES256" | "aws:kms" | "aws:kms:dsse")) => {
            let builder = set(builder, "aws_server_side_encryption", kind);
            Ok(match key {
                Some(key) => set(builder, "aws_sse_kms_key_id", key),
                None => builder,
            })
        }
        Some(_) => Err(spec.unusable("sse", "it is `AES256`, `aws:kms` or `aws:kms:dsse`")),
    }
}

fn set(builder: AmazonS3Builder, key: &str, value: &str) -> AmazonS3Builder {
    let key: AmazonS3ConfigKey = key.parse().expect("a name of the crate's own: a test uses each");
    builder.with_config(key, value)
}

/// The client that asks one of Amazon's endpoints; `None` if it lacks what that takes.
fn endpoint_client(found: &Found, region: &str, bundle: Option<&Bundle>) -> Option<AwsCredentialProvider> {
    let builder = AmazonS3Builder::new().with_bucket_name("none").with_region(region).with_retry(no_retry());
    let options = match found {
        Found::WebIdentity { .. } => LineOptions { bundle: bundle.cloned(), ..LineOptions::default() },
        // Local, or not there at all.
        _ => LineOptions { connect: super::NEAR, stall: super::NEAR, proxy: false, ..LineOptions::default() },
    };
    let builder = match found {
        Found::Keys { .. } | Found::Container => return None,
        Found::WebIdentity { role, token, session } => {
            let builder = set(builder, "aws_web_identity_token_file", token.to_str()?);
            let builder = set(builder, "aws_role_arn", role);
            let builder = match session {
                Some(session) => set(builder, "aws_role_session_name", session),
                None => builder,
            };
            match variable("AWS_ENDPOINT_URL_STS") {
                Some(endpoint) => set(builder, "aws_endpoint_url_sts", &endpoint),
                None => builder,
            }
        }
        Found::Instance => match variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            Some(endpoint) => builder.with_metadata_endpoint(endpoint),
            None => builder,
        },
    };
    let line = Line::new(&options).ok()?;
    Some(Arc::clone(builder.with_http_connector(line).build().ok()?.credentials()))
}

#[cfg(test)]
mod tests;
