//! Profiles in the shared files of Amazon's tools.

use std::collections::BTreeMap;
use std::path::Path;

use super::{AwsKeys, CredentialsError, Found};
use crate::fs::{self, dir::Dir};
use crate::model::path::RepoPath;
use crate::model::secret::Secret;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The settings of one profile. No `Debug`: some are secret.
pub(super) struct Profile {
    name: String,
    settings: BTreeMap<String, String>,
}

impl Profile {
    /// The profile `name` as both files have it; `None` if neither does.
    pub(super) fn read(
        name: &str,
        config: &Path,
        credentials: &Path,
    ) -> Result<Option<Profile>, CredentialsError> {
        let mut settings = BTreeMap::new();
        let mut is_there = false;
        // The credentials file goes before, so it comes last.
        for (path, is_config) in [(config, true), (credentials, false)] {
            let Some(text) = read_file(path)? else { continue };
            for (section, found) in sections(&text) {
                let section = match is_config {
                    true if section == "default" => section,
                    true => section.strip_prefix("profile ").map(str::trim).unwrap_or_default(),
                    false => section,
                };
                if section.trim_matches(['"', '\'']) == name {
                    is_there = true;
                    settings.extend(found);
                }
            }
        }
        Ok(is_there.then(|| Profile { name: name.to_owned(), settings }))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn is_sso(&self) -> bool {
        ["sso_session", "sso_start_url", "login_session"].into_iter().any(|name| self.get(name).is_some())
    }

    /// How the profile logs in, if it does.
    pub(super) fn login(&self) -> Option<&'static str> {
        match self.get("role_arn") {
            Some(_) => Some("assumed role"),
            None => self.is_sso().then_some("SSO"),
        }
    }

    pub(super) fn web_identity(&self) -> Option<Found> {
        Some(Found::WebIdentity {
            role: self.get("role_arn")?.to_owned(),
            token: self.get("web_identity_token_file")?.into(),
            session: self.get("role_session_name").map(str::to_owned),
        })
    }

    pub(super) fn keys(&self) -> Option<AwsKeys> {
        let secret = |name| self.get(name).map(Secret::new);
        Some(AwsKeys {
            id: secret("aws_access_key_id")?,
            secret: secret("aws_secret_access_key")?,
            token: secret("aws_session_token"),
            expires: None,
        })
    }
}

/// The text of a file of the user's, which may be a link; `None` if there is none.
pub(crate) fn read_file(path: &Path) -> Result<Option<String>, CredentialsError> {
    let failed = |reason: String| CredentialsError::File { file: path.display().to_string(), reason };
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let name = real.file_name().and_then(|name| RepoPath::parse(name.to_str()?).ok());
    let (Some(folder), Some(name)) = (real.parent(), name) else {
        return Err(failed("mlv opens no file of such a name".to_owned()));
    };
    match Dir::open(folder).and_then(|folder| folder.read_file(&name, MAX_FILE)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(fs::Error::Io { source, .. }) => Err(failed(source.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Sections and their settings, in order. Settings that nest (`s3 =` and indented lines below)
/// are named with a dot: `s3.addressing_style`.
fn sections(text: &str) -> Vec<(&str, BTreeMap<String, String>)> {
    let mut all: Vec<(&str, BTreeMap<String, String>)> = Vec::new();
    let mut above = "";
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            all.push((name.trim(), BTreeMap::new()));
            continue;
        }
        let Some((name, value)) = trimmed.split_once('=') else { continue };
        let Some((_, settings)) = all.last_mut() else { continue };
        let name = name.trim();
        if line.starts_with([' ', '\t']) && settings.get(above).is_some_and(String::is_empty) {
            settings.insert(format!("{above}.{name}"), value.trim().to_owned());
        } else {
            above = name;
            settings.insert(name.to_owned(), value.trim().to_owned());
        }
    }
    all
}
