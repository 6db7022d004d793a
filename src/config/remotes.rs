//! Remotes as the layers together describe them.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{Kind, near};
use super::load::expand_home;
use super::{Config, Entry, Error, Key, Level, Origin};
use crate::model::secret::{Secret, masked_url};

/// A remote: its place and its options, from whatever layers they come.
pub struct RemoteConfig {
    /// Its name.
    pub name: String,
    /// Its URL, or a folder relative to the repository's root; it may hold a password.
    url: Secret,
    /// Where the URL stands.
    pub origin: Origin,
    /// All options but the URL, sorted by name.
    pub options: Vec<RemoteOption>,
}

/// An option of a remote.
pub struct RemoteOption {
    /// Its name: `endpointurl`.
    pub name: &'static str,
    /// Its value, variables replaced.
    pub value: OptionValue,
    /// The layer that it comes from: what tracked files chose is trusted less.
    pub level: Level,
}

/// The value of an option of a remote.
pub enum OptionValue {
    /// Text that may be shown.
    Plain(String),
    /// A credential.
    Secret(Secret),
}

impl RemoteConfig {
    /// The URL, password included: for the one place that opens it.
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// The URL to be shown.
    pub fn shown_url(&self) -> String {
        masked_url(self.url.expose())
    }
}

impl Config {
    /// The names of all remotes that have a value at any level, sorted.
    pub fn remote_names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.entries.iter().filter_map(|entry| entry.key.remote()).collect();
        names.into_iter().collect()
    }

    /// The names of the remotes that have a URL, in the order in which these stand: in the files of this
    /// machine and user, then the project's, then this clone's own.
    pub fn remotes_in_order(&self) -> Vec<&str> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.key.info().name == "url")
        {
            if let Some(name) = entry.key.remote() {
                places.insert(name, at);
            }
        }
        let mut names: Vec<&str> = places.keys().copied().collect();
        names.sort_by_key(|name| places[name]);
        names
    }

    /// The name of the remote that is used where none is named; it may not exist.
    pub fn default_remote(&self) -> Result<Option<String>, Error> {
        self.text("core.remote")
    }

    /// The remote `name`, or the default one.
    ///
    /// Fails with `NoSuchRemote`, `NoDefaultRemote`, or where one of its values cannot be used.
    pub fn remote(&self, name: Option<&str>) -> Result<RemoteConfig, Error> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.default_remote()?.ok_or_else(|| Error::NoDefaultRemote {
                known: self.remote_names().into_iter().map(str::to_owned).collect(),
            })?,
        };
        let names = self.remote_names();
        if !names.contains(&name.as_str()) {
            let near = near(&name, names.into_iter());
            return Err(Error::NoSuchRemote { name, near });
        }
        let url = self.get(&Key::of_remote(&name, "url")?);
        let url = url.ok_or_else(|| Error::RemoteWithoutUrl { name: name.clone() })?;
        let mut options = Vec::new();
        for info in super::keys::REMOTE_OPTIONS.iter().filter(|info| info.name != "url") {
            if let Some(entry) = self.get(&Key::of_remote(&name, info.name)?) {
                options.push(RemoteOption {
                    name: info.name,
                    value: option_value(entry)?,
                    level: entry.origin.level,
                });
            }
        }
        let origin = url.origin.clone();
        Ok(RemoteConfig { name, url: Secret::new(expand_home(&url.expanded()?)), origin, options })
    }
}

fn option_value(entry: &Entry) -> Result<OptionValue, Error> {
    let text = entry.expanded()?;
    Ok(match entry.key.info().kind {
        Kind::Secret => OptionValue::Secret(Secret::new(text)),
        _ => OptionValue::Plain(text),
    })
}
