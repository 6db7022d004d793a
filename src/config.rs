//! The configuration: TOML files in layers, each value with the place that it comes from.
//!
//! system → user → project (tracked by git) → local (ignored) → environment → flags; the later
//! wins, key by key. A bad value or an unknown key is a warning with file and line, and an
//! error only for who asks for that value: a mistake in one line stops no other command.
//! The project's file may have been written by anybody (R3, R11, R12): it cannot name programs,
//! credentials, folders outside of the repository, or environment variables except MLV_VAR_*.

mod edit;
mod error;
mod expand;
pub mod keys;
mod load;
mod remotes;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};

pub use edit::{ConfigFile, Edit, apply, edited};
pub use error::Error;
pub use keys::Key;
pub use load::{Sources, expand_home};
pub use remotes::{OptionValue, RemoteConfig, RemoteOption};
pub use value::{Value, ValueProblem};

use crate::model::secret::masked_url;
use crate::model::units::ByteSize;
use keys::Kind;

/// The name of the configuration file at every level but the local one.
pub const FILE_NAME: &str = "config.toml";
/// The name of the local configuration file.
pub const LOCAL_FILE_NAME: &str = "config.local.toml";

/// Where values come from; the greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// This machine's file.
    System,
    /// The user's file.
    User,
    /// The project's file, tracked by git.
    Project,
    /// The project's file for this clone alone.
    Local,
    /// An environment variable.
    Environment,
    /// A flag of the command.
    Flag,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::System => "system",
            Level::User => "user",
            Level::Project => "project",
            Level::Local => "local",
            Level::Environment => "environment",
            Level::Flag => "flag",
        })
    }
}

/// The place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    level: Level,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Line(PathBuf, usize),
    Name(String),
}

impl Origin {
    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Line(path, _) => Some(path),
            Place::Name(_) => None,
        }
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> Option<usize> {
        match self.place {
            Place::Line(_, line) => Some(line),
            Place::Name(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Name(name) => f.write_str(name),
        }
    }
}

/// A value with its key and its place.
#[derive(Clone)]
pub struct Entry {
    key: Key,
    value: Result<Value, ValueProblem>,
    origin: Origin,
}

impl Entry {
    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where it stands.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The value as it stands there, to be shown: secrets are masked, variables are not expanded.
    pub fn shown(&self) -> Result<String, Error> {
        let value = self.value()?;
        Ok(match self.key.info().kind {
            Kind::Secret => "***".to_owned(),
            _ => masked_url(&value.to_text()),
        })
    }

    fn value(&self) -> Result<&Value, Error> {
        self.value.as_ref().map_err(|problem| Error::InvalidValue {
            key: self.key.to_string(),
            origin: self.origin.clone(),
            problem: problem.clone(),
        })
    }

    /// The text with its variables replaced; of a value that is no text, as a user would type it.
    fn expanded(&self) -> Result<String, Error> {
        let text = self.value()?.to_text();
        let lookup = |name: &str| std::env::var(name).ok();
        let unset = |variable| Error::UnsetVariable {
            key: self.key.to_string(),
            origin: self.origin.clone(),
            variable,
        };
        expand::expand(&text, &lookup).map_err(unset)
    }
}

/// Something in a file that has no effect and should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// The key as it stands there.
    pub key: String,
    /// What is wrong; nothing if the key is not known.
    pub problem: Option<ValueProblem>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Some(problem) => write!(f, "{}: `{}` {problem}", self.origin, self.key),
            None => write!(f, "{}: unknown key `{}`", self.origin, self.key),
        }
    }
}

/// All layers of the configuration, as they were when it was loaded.
#[derive(Clone, Default)]
pub struct Config {
    /// From the weakest layer to the strongest, in each in the order of the file.
    entries: Vec<Entry>,
    warnings: Vec<Warning>,
}

impl Config {
    /// Reads all layers. Fails where a file cannot be read or is no TOML, and for a project of a
    /// newer version.
    pub fn load(sources: &Sources) -> Result<Config, Error> {
        load::load(sources)
    }

    /// Unknown keys and bad values, in the order of the layers.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// All values, those of weaker layers included, from the weakest layer to the strongest.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The value that counts for `key`.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == *key)
    }

    /// The value of `key` at one level.
    pub fn get_at(&self, key: &Key, level: Level) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == *key && entry.origin.level == level)
    }

    fn plain(&self, name: &'static str) -> Option<&Entry> {
        self.get(&Key::plain(name)?)
    }

    /// The text of a plain key, variables replaced.
    fn text(&self, name: &'static str) -> Result<Option<String>, Error> {
        self.plain(name).map(Entry::expanded).transpose()
    }

    fn is_on(&self, name: &'static str) -> Result<bool, Error> {
        match self.plain(name).map(Entry::value).transpose()? {
            Some(Value::Bool(on)) => Ok(*on),
            _ => Ok(false),
        }
    }

    fn number(&self, name: &'static str) -> Result<Option<usize>, Error> {
        match self.plain(name).map(Entry::value).transpose()? {
            Some(Value::Integer(number)) => Ok(usize::try_from(*number).ok()),
            _ => Ok(None),
        }
    }

    /// Whether the project does without git.
    pub fn no_scm(&self) -> Result<bool, Error> {
        self.is_on("core.no_scm")
    }

    /// Whether changed pointers are handed to `git add`.
    pub fn autostage(&self) -> Result<bool, Error> {
        self.is_on("core.autostage")
    }

    /// How many threads hash, if it is set.
    pub fn checksum_jobs(&self) -> Result<Option<usize>, Error> {
        self.number("core.checksum_jobs")
    }

    /// How many transfers run at a time, if it is set.
    pub fn jobs(&self) -> Result<Option<usize>, Error> {
        self.number("core.jobs")
    }

    /// Whether only names that every platform can hold may be added.
    pub fn portable_names(&self) -> Result<bool, Error> {
        Ok(self.text("core.names")?.as_deref() == Some("portable"))
    }

    /// The cache folder, if it is set: absolute, or relative to the repository's root.
    pub fn cache_dir(&self) -> Result<Option<(PathBuf, Origin)>, Error> {
        let Some(entry) = self.plain("cache.dir") else { return Ok(None) };
        Ok(Some((PathBuf::from(expand_home(&entry.expanded()?)), entry.origin.clone())))
    }

    /// The wanted ways to link files out of the cache, best first; empty if not set.
    pub fn link_types(&self) -> Result<Vec<String>, Error> {
        match self.plain("cache.type").map(Entry::value).transpose()? {
            Some(Value::Words(words)) => Ok(words.clone()),
            _ => Ok(Vec::new()),
        }
    }

    /// Below how many bytes files are packed in the cache, if it is set.
    pub fn pack_below(&self) -> Result<Option<u64>, Error> {
        let text = self.text("cache.pack_below")?;
        Ok(text.and_then(|text| text.parse::<ByteSize>().ok()).map(|size| size.0))
    }

    /// Whether the cache belongs to a group of users who trust each other.
    pub fn is_cache_shared(&self) -> Result<bool, Error> {
        Ok(self.text("cache.shared")?.is_some())
    }

    /// The project's random name, if the project has one.
    pub fn project_id(&self) -> Result<Option<String>, Error> {
        self.text("project.id")
    }
}
