//! The credentials that the `aws` command would use, in its order.
//!
//! Keys are read here where they stand: options of the remote, the environment, the shared
//! files, a `credential_process`. Profiles that log in first (SSO, a role, a chain of them) are
//! asked of the `aws` command itself, which keeps their tokens; the alternative, its SDK,
//! would double the crates of mlv. Endpoints (container, instance, web identity) are
//! named, and asked by the one who speaks HTTP.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::model::secret::Secret;
use profile::Profile;

pub(crate) use process::in_path;
pub(crate) use profile::read_file;

mod process;
mod profile;

/// An access key, with the token and the end of a temporary one.
#[derive(Clone)]
pub(crate) struct AwsKeys {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) token: Option<Secret>,
    pub(crate) expires: Option<SystemTime>,
}

/// What a search for credentials ended at.
pub(crate) enum Found {
    /// Keys, and where they come from.
    Keys { keys: AwsKeys, source: String },
    /// A token in a file is exchanged for keys of a role.
    WebIdentity { role: String, token: PathBuf, session: Option<String> },
    /// The endpoint of a container.
    Container,
    /// The endpoint of a machine at Amazon's, if this is one.
    Instance,
}

impl Found {
    /// Where they come from, never what they are.
    pub(crate) fn source(&self) -> String {
        match self {
            Found::Keys { source, .. } => source.clone(),
            Found::WebIdentity { role, .. } => format!("web identity, role `{role}`"),
            Found::Container => "the container's endpoint".to_owned(),
            Found::Instance => "the instance's endpoint".to_owned(),
        }
    }

    /// What to look at where an endpoint that was named gives nothing; a machine may be none of Amazon's.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Found::WebIdentity { .. } => Some(
                "check the role's trust policy, and the file that `AWS_WEB_IDENTITY_TOKEN_FILE` or the profile names",
            ),
            Found::Container => Some(
                "check `AWS_CONTAINER_CREDENTIALS_FULL_URI` (or `_RELATIVE_URI`) and the token that it wants",
            ),
            Found::Keys { .. } | Found::Instance => None,
        }
    }
}

/// Why there are no credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CredentialsError {
    /// Nobody has any.
    #[error(
        "looked in the remote's options, the environment, the profile `{profile}` and the endpoints of containers and instances"
    )]
    Nothing { profile: String, remote: String },
    /// A profile that was asked for is not there.
    #[error("there is no profile `{profile}` in `{files}`")]
    NoProfile { profile: String, files: String },
    /// A file that cannot be read.
    #[error("`{file}` cannot be read: {reason}")]
    File { file: String, reason: String },
    /// A command that should print credentials.
    #[error("profile `{profile}`, {kind}: {reason}")]
    Process { profile: String, kind: &'static str, reason: String, remedy: Option<String> },
}

impl CredentialsError {
    /// Whether there were some once: a login that has ended.
    pub(crate) fn has_expired(&self) -> bool {
        matches!(self, CredentialsError::Process { kind: "SSO", .. })
    }

    /// What the user can do.
    pub(crate) fn remedy(&self) -> Option<String> {
        match self {
            CredentialsError::Nothing { remote, .. } => Some(format!(
                "log in with `aws configure` or `aws sso login`, or name a profile: \
                 `mlv remote modify --local {remote} profile NAME`"
            )),
            CredentialsError::NoProfile { profile, .. } => {
                Some(format!("make it: `aws configure --profile {profile}`"))
            }
            CredentialsError::File { .. } => None,
            CredentialsError::Process { remedy, .. } => remedy.clone(),
        }
    }
}

/// Where to look.
pub(crate) struct AwsSearch {
    /// The remote's name, for hints.
    pub(crate) remote: String,
    /// Keys that stand in the remote's options.
    pub(crate) keys: Option<AwsKeys>,
    /// The profile that the remote names; it goes before the environment, as `--profile` does.
    pub(crate) profile: Option<String>,
    /// Another file than `~/.aws/config`.
    pub(crate) config_file: Option<PathBuf>,
    /// Another file than `~/.aws/credentials`.
    pub(crate) credentials_file: Option<PathBuf>,
}

/// A variable of the environment that is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl AwsSearch {
    /// Looks now: files may have changed since the last time.
    pub(crate) fn find(&self) -> Result<Found, CredentialsError> {
        if let Some(keys) = &self.keys {
            return Ok(Found::Keys { keys: keys.clone(), source: "options of the remote".to_owned() });
        }
        if let Some(name) = &self.profile {
            let profile = self.read_profile(name)?;
            let profile = profile.ok_or_else(|| self.no_profile(name))?;
            return self.of_profile(&profile)?.ok_or_else(|| self.nothing());
        }
        if let Some(keys) = environment_keys() {
            return Ok(Found::Keys { keys, source: "environment".to_owned() });
        }
        if let (Some(role), Some(token)) = (variable("AWS_ROLE_ARN"), variable("AWS_WEB_IDENTITY_TOKEN_FILE"))
        {
            let session = variable("AWS_ROLE_SESSION_NAME");
            return Ok(Found::WebIdentity { role, token: token.into(), session });
        }
        let name = self.profile_name();
        match self.read_profile(&name)? {
            Some(profile) => {
                if let Some(found) = self.of_profile(&profile)? {
                    return Ok(found);
                }
            }
            None if named_by_environment().is_some() => return Err(self.no_profile(&name)),
            None => {}
        }
        let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        if container.into_iter().any(|name| variable(name).is_some()) {
            return Ok(Found::Container);
        }
        match variable("AWS_EC2_METADATA_DISABLED") {
            Some(value) if value.eq_ignore_ascii_case("true") => Err(self.nothing()),
            _ => Ok(Found::Instance),
        }
    }

    /// That the search ended at nothing.
    pub(crate) fn nothing(&self) -> CredentialsError {
        CredentialsError::Nothing { profile: self.profile_name(), remote: self.remote.clone() }
    }

    /// What renews credentials that have ended.
    pub(crate) fn renewal(&self) -> Option<String> {
        let name = self.profile_name();
        let profile = self.read_profile(&name).ok().flatten()?;
        profile.is_sso().then(|| format!("aws sso login --profile {name}"))
    }

    /// A setting of the profile in use: `region`, `endpoint_url`, `ca_bundle`.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        self.read_profile(&self.profile_name()).ok().flatten()?.get(name).map(str::to_owned)
    }

    fn profile_name(&self) -> String {
        self.profile.clone().or_else(named_by_environment).unwrap_or_else(|| "default".to_owned())
    }

    fn read_profile(&self, name: &str) -> Result<Option<Profile>, CredentialsError> {
        Profile::read(name, &self.config_path(), &self.credentials_path())
    }

    fn config_path(&self) -> PathBuf {
        self.config_file.clone().unwrap_or_else(|| shared_file("AWS_CONFIG_FILE", "config"))
    }

    fn credentials_path(&self) -> PathBuf {
        let usual = || shared_file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        self.credentials_file.clone().unwrap_or_else(usual)
    }

    fn no_profile(&self, name: &str) -> CredentialsError {
        let files = format!("{}` and `{}", self.config_path().display(), self.credentials_path().display());
        CredentialsError::NoProfile { profile: name.to_owned(), files }
    }

    /// Roles go before keys of the same profile, which then are those that take the role.
    fn of_profile(&self, profile: &Profile) -> Result<Option<Found>, CredentialsError> {
        if let Some(found) = profile.web_identity() {
            return Ok(Some(found));
        }
        if let Some(kind) = profile.login() {
            let keys = process::export(profile, kind, &self.config_path(), &self.credentials_path())?;
            let source = format!("profile `{}`, {kind}", profile.name());
            return Ok(Some(Found::Keys { keys, source }));
        }
        if let Some(keys) = profile.keys() {
            return Ok(Some(Found::Keys { keys, source: format!("profile `{}`", profile.name()) }));
        }
        if let Some(command) = profile.get("credential_process") {
            let keys = process::run(profile, command)?;
            let source = format!("profile `{}`, credential_process", profile.name());
            return Ok(Some(Found::Keys { keys, source }));
        }
        Ok(None)
    }
}

fn named_by_environment() -> Option<String> {
    variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"))
}

fn environment_keys() -> Option<AwsKeys> {
    Some(AwsKeys {
        id: Secret::new(variable("AWS_ACCESS_KEY_ID")?),
        secret: Secret::new(variable("AWS_SECRET_ACCESS_KEY")?),
        token: variable("AWS_SESSION_TOKEN").map(Secret::new),
        expires: None,
    })
}

fn shared_file(name: &str, usual: &str) -> PathBuf {
    let home = variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default();
    match variable(name) {
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => PathBuf::from(home).join(rest),
            None => path.into(),
        },
        None => PathBuf::from(home).join(".aws").join(usual),
    }
}

#[cfg(test)]
mod tests;
