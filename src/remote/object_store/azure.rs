//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::MicrosoftAzureBuilder;

use super::access::{Access, Asked, Renewable, Unmanaged};
use super::s3::no_retry;
use super::{BucketBackend, bucket_and_prefix, check_endpoint, line_options, open_line};
use crate::remote::credentials::{in_path, variable};
use crate::remote::registry::{RemoteSpec, SpecError};

/// The options that are understood, besides those of every remote.
const OPTIONS: &[&str] = &[
    "account_key",
    "account_name",
    "allow_anonymous_login",
    "client_id",
    "client_secret",
    "connect_timeout",
    "connection_string",
    "connection_timeout",
    "endpointurl",
    "exclude_environment_credential",
    "exclude_managed_identity_credential",
    "exclude_shared_token_cache_credential",
    "exclude_visual_studio_code_credential",
    "read_timeout",
    "sas_token",
    "ssl_verify",
    "tenant_id",
];

/// The account and its credentials, as options, connection string and environment have them.
#[derive(Default)]
struct Account {
    name: Option<String>,
    endpoint: Option<String>,
    key: Option<String>,
    sas: Option<String>,
    source: &'static str,
}

/// The backend of `azure://container/prefix`. Nothing is sent yet.
pub(crate) fn open_azure(spec: &RemoteSpec) -> Result<BucketBackend, SpecError> {
    spec.check_options("Azure", OPTIONS)?;
    let (container, prefix) = bucket_and_prefix(spec)?;
    let line = open_line(spec, &line_options(spec, None))?;
    let account = account(spec)?;
    let name = account
        .name
        .clone()
        .ok_or_else(|| spec.unusable("account_name", "it is needed: set it, or `AZURE_STORAGE_ACCOUNT`"))?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(name)
        .with_container_name(container)
        .with_retry(no_retry())
        .with_http_connector(line.clone());
    if let Some(endpoint) = &account.endpoint {
        check_endpoint(spec, endpoint)?;
        builder = builder.with_endpoint(endpoint.clone());
    }
    // R12: whoever writes the tracked file would be sent what opens the account. A key only signs.
    let is_bearer = account.key.is_none() && !spec.flag("allow_anonymous_login");
    if is_bearer && spec.is_tracked("endpointurl") {
        return Err(spec.only_private("endpointurl"));
    }
    let (builder, source) = log_in(spec, builder, &account);
    let unusable = || spec.unusable("account_key", "the credentials have no such form");
    let (store, access): (_, Box<dyn Access>) = match spec.flag("allow_anonymous_login") {
        true => (builder.build().map_err(|_| unusable())?, Box::new(Unmanaged(source))),
        false => {
            let hint = hint(spec, &account);
            let plain = builder.clone();
            let make = move || Some(Arc::clone(plain.clone().build().ok()?.credentials()));
            let provider = Renewable::new(Box::new(make)).ok_or_else(unusable)?;
            let store =
                builder.with_credentials(Arc::clone(&provider) as _).build().map_err(|_| unusable())?;
            (store, Box::new(Asked::new(provider, source, hint)))
        }
    };
    Ok(BucketBackend::new(Box::new(store), line, access, prefix, spec))
}

/// What to do where the credentials do not serve, or there are none.
fn hint(spec: &RemoteSpec, account: &Account) -> String {
    let modify = format!("mlv remote modify --local {}", spec.name);
    match account {
        Account { key: None, sas: Some(_), source: "environment", .. } => {
            "put a new signature into `AZURE_STORAGE_SAS_TOKEN`".to_owned()
        }
        Account { key: None, sas: Some(_), .. } => {
            format!("get a new signature: `{modify} sas_token TOKEN`")
        }
        _ => format!("log in with `az login`, or `{modify} account_key KEY`"),
    }
}

fn account(spec: &RemoteSpec) -> Result<Account, SpecError> {
    let option = |name: &str| spec.option(name).map(str::to_owned);
    let mut account = Account {
        name: option("account_name").or_else(|| variable("AZURE_STORAGE_ACCOUNT")),
        endpoint: option("endpointurl"),
        key: option("account_key"),
        sas: option("sas_token"),
        source: "options of the remote",
    };
    if let Some(text) = option("connection_string") {
        connect(&mut account, &text)
            .ok_or_else(|| spec.unusable("connection_string", "it has no `AccountName`"))?;
    }
    let has_login = account.key.is_some() || account.sas.is_some() || spec.option("client_secret").is_some();
    if !has_login && !spec.flag("exclude_environment_credential") {
        account.source = "environment";
        account.key = variable("AZURE_STORAGE_KEY");
        account.sas = variable("AZURE_STORAGE_SAS_TOKEN");
        if let Some(text) = variable("AZURE_STORAGE_CONNECTION_STRING") {
            connect(&mut account, &text).ok_or_else(|| {
                spec.unusable("connection_string", "that of the environment has no `AccountName`")
            })?;
        }
    }
    Ok(account)
}

/// Reads `Name=value;…` into `account`; `None` if no account is named.
fn connect(account: &mut Account, text: &str) -> Option<()> {
    let parts: Vec<(&str, &str)> = text.split(';').filter_map(|part| part.split_once('=')).collect();
    let get =
        |wanted: &str| parts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
    let name = get("AccountName")?;
    let suffix = get("EndpointSuffix").map(|suffix| format!("https://{name}.blob.{suffix}"));
    account.endpoint = get("BlobEndpoint").or(suffix).or(account.endpoint.take());
    account.key = get("AccountKey").or(account.key.take());
    account.sas = get("SharedAccessSignature").or(account.sas.take());
    account.name = Some(name);
    Some(())
}

fn log_in(
    spec: &RemoteSpec,
    builder: MicrosoftAzureBuilder,
    account: &Account,
) -> (MicrosoftAzureBuilder, &'static str) {
    if spec.flag("allow_anonymous_login") {
        return (builder.with_skip_signature(true), "none: anonymous");
    }
    if let Some(key) = &account.key {
        return (builder.with_access_key(key), account.source);
    }
    if let Some(sas) = &account.sas {
        let pairs = sas.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        return (builder.with_sas_authorization(pairs), account.source);
    }
    let setting =
        |option: &str, name: &str| spec.option(option).map(str::to_owned).or_else(|| variable(name));
    let client = setting("client_id", "AZURE_CLIENT_ID");
    let tenant = setting("tenant_id", "AZURE_TENANT_ID");
    let secret = setting("client_secret", "AZURE_CLIENT_SECRET");
    let with = |builder: MicrosoftAzureBuilder,
                set: fn(MicrosoftAzureBuilder, String) -> MicrosoftAzureBuilder,
                value: &Option<String>| match value {
        Some(value) => set(builder, value.clone()),
        None => builder,
    };
    let builder = with(builder, MicrosoftAzureBuilder::with_client_id, &client);
    let builder = with(builder, MicrosoftAzureBuilder::with_tenant_id, &tenant);
    if secret.is_some() {
        return (
            with(builder, MicrosoftAzureBuilder::with_client_secret, &secret),
            "the application's secret",
        );
    }
    if let Some(file) = variable("AZURE_FEDERATED_TOKEN_FILE") {
        return (builder.with_federated_token_file(file), "workload identity");
    }
    match variable("IDENTITY_ENDPOINT").or_else(|| variable("MSI_ENDPOINT")) {
        Some(endpoint) => (builder.with_msi_endpoint(endpoint), "managed identity"),
        None if in_path("az").is_some() => (builder.with_use_azure_cli(true), "the `az` command"),
        None => (builder, "managed identity"),
    }
}

/// A signature comes percent-encoded, and is encoded again when it is sent.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_read_whole() {
        let mut account = Account::default();
        let text =
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5==;EndpointSuffix=core.windows.net";
        assert!(connect(&mut account, text).is_some());
        assert_eq!(account.endpoint.as_deref(), Some("https://a.blob.core.windows.net"));
        assert_eq!(account.key.as_deref(), Some("a2V5=="));
        assert!(connect(&mut account, "AccountKey=x").is_none());
        assert_eq!(decoded("a%2Fb%3D%zz%"), "a/b=%zz%");
    }
}
