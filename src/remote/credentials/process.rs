//! Commands of the user's that print credentials.
//!
//! They stand in files of the user's outside of any repository (R11): a tracked
//! configuration can name a profile, but neither a file of profiles nor a command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::profile::Profile;
use super::{AwsKeys, CredentialsError};
use crate::model::secret::Secret;

/// The most of a command's complaint that is repeated, in characters.
const MAX_REASON: usize = 300;

/// What version 1 of the `aws` command says of subcommands that it lacks.
const TOO_OLD: &str = "Invalid choice";

/// Runs the profile's `credential_process` by the shell, as Amazon's SDKs do.
pub(super) fn run(profile: &Profile, command: &str) -> Result<AwsKeys, CredentialsError> {
    let kind = "credential_process";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]);
    printed_keys(shell, |reason| CredentialsError::Process {
        profile: profile.name().to_owned(),
        kind,
        reason,
        remedy: Some(format!("run it by hand: it stands in the profile `{}`", profile.name())),
    })
}

/// Asks the `aws` command for the credentials of a profile that logs in.
pub(super) fn export(
    profile: &Profile,
    kind: &'static str,
    config: &Path,
    credentials: &Path,
) -> Result<AwsKeys, CredentialsError> {
    let name = profile.name();
    let failed = |kind, reason: String, remedy: String| CredentialsError::Process {
        profile: name.to_owned(),
        kind,
        reason,
        remedy: Some(remedy),
    };
    let lacking = |reason: &str| {
        failed("the `aws` command", reason.to_owned(), "install the AWS CLI, version 2".to_owned())
    };
    let Some(aws) = in_path("aws") else {
        return Err(lacking("it is what knows how to log in, and is not in PATH"));
    };
    let mut command = Command::new(aws);
    command.args(["configure", "export-credentials", "--format", "process", "--profile", name]);
    command.env("AWS_CONFIG_FILE", config).env("AWS_SHARED_CREDENTIALS_FILE", credentials);
    printed_keys(command, |reason| {
        if reason == TOO_OLD {
            return lacking("it is too old to tell keys");
        }
        let remedy = match kind {
            "SSO" => format!("aws sso login --profile {name}"),
            _ => format!("aws configure export-credentials --profile {name}"),
        };
        failed(kind, reason, remedy)
    })
}

/// The program `name` in an absolute folder of PATH: none is taken from the work tree (R11).
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

fn printed_keys(
    mut command: Command,
    failed: impl Fn(String) -> CredentialsError,
) -> Result<AwsKeys, CredentialsError> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it failed");
        let reason = if said.contains(TOO_OLD) { TOO_OLD } else { last };
        return Err(failed(reason.chars().take(MAX_REASON).collect()));
    }
    // What it printed is never shown: it may hold keys.
    parse(&output.stdout).ok_or_else(|| failed("it printed no credentials".to_owned()))
}

/// The form of `credential_process`, version 1.
pub(super) fn parse(printed: &[u8]) -> Option<AwsKeys> {
    let document: serde_json::Value = serde_json::from_slice(printed).ok()?;
    if document["Version"].as_i64() != Some(1) {
        return None;
    }
    let secret = |name: &str| document[name].as_str().filter(|text| !text.is_empty()).map(Secret::new);
    let expires = match document["Expiration"].as_str() {
        Some(text) => Some(SystemTime::from(chrono::DateTime::parse_from_rfc3339(text).ok()?)),
        None => None,
    };
    Some(AwsKeys {
        id: secret("AccessKeyId")?,
        secret: secret("SecretAccessKey")?,
        token: secret("SessionToken"),
        expires,
    })
}
