//! `config`: shows and changes the configuration.

use std::collections::BTreeMap;

use crate::config::{self, Config, Edit, Entry, Key, Level};
use crate::model::path::RepoPath;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, pointers, surroundings, surroundings::Surroundings};

/// What to do with which key. No `Debug`: the value may be a credential.
#[derive(Clone, PartialEq, Eq)]
pub enum ConfigAction {
    /// Show one value.
    Get(String),
    /// Give a key a value.
    Set(String, String),
    /// Take a key out of a file.
    Unset(String),
    /// Show all values.
    List,
}

/// What to do, and at which level.
#[derive(Clone)]
pub struct ConfigOptions {
    /// What to do.
    pub action: ConfigAction,
    /// The level; if none, reading looks at all of them, and writing takes the project's.
    pub level: Option<Level>,
    /// Check only.
    pub dry_run: bool,
}

/// A value and its place.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ConfigValue {
    /// The key.
    pub key: String,
    /// The value as it stands there; secrets masked, variables not expanded.
    pub value: String,
    /// The level.
    pub level: Level,
    /// The place: `FILE:LINE`, or the name of a variable.
    pub origin: String,
    /// Why the value cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What was shown or changed.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ConfigReport {
    /// What was asked for, sorted by key; of a change nothing.
    pub values: Vec<ConfigValue>,
    /// The file that was changed, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether the file differs from before.
    pub changed: bool,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Shows or changes the configuration.
///
/// Unknown keys are refused with near names, for reading too; a key without a value is `NotSet`.
pub fn run(around: &Surroundings<'_>, options: &ConfigOptions) -> Result<ConfigReport, OpError> {
    match &options.action {
        ConfigAction::List => {
            let config = load(around, options.level)?;
            Ok(ConfigReport { values: list(&config, options.level), ..ConfigReport::default() })
        }
        ConfigAction::Get(key) => {
            let key = Key::parse(key)?;
            let config = load(around, options.level)?;
            let entry = match options.level {
                Some(level) => config.get_at(&key, level),
                None => config.get(&key),
            };
            let unset = || config::Error::NotSet { key: key.to_string(), level: options.level };
            let entry = entry.ok_or_else(unset)?;
            entry.shown()?;
            Ok(ConfigReport { values: vec![value_of(entry)], ..ConfigReport::default() })
        }
        ConfigAction::Set(key, text) => {
            let key = Key::parse(key)?;
            let value = around.config_file(options.level)?.check(&key, text)?;
            change(around, options, Edit::Set(key, value))
        }
        ConfigAction::Unset(key) => {
            let key = Key::parse(key)?;
            let level = options.level.unwrap_or(Level::Project);
            if load(around, Some(level))?.get_at(&key, level).is_none() {
                return Err(config::Error::NotSet { key: key.to_string(), level: Some(level) }.into());
            }
            change(around, options, Edit::Unset(key))
        }
    }
}

/// The layers that are there; a project is needed only if one of its levels was asked for.
fn load(around: &Surroundings<'_>, level: Option<Level>) -> Result<Config, OpError> {
    match around.repo_if_any()? {
        Some(repo) => Ok(repo.config().clone()),
        None if matches!(level, Some(Level::Project | Level::Local)) => Ok(around.repo()?.config().clone()),
        None => Ok(Config::load(&around.sources)?),
    }
}

fn change(around: &Surroundings<'_>, options: &ConfigOptions, edit: Edit) -> Result<ConfigReport, OpError> {
    let is_about_git =
        matches!(&edit, Edit::Set(key, _) | Edit::Unset(key) if key.to_string() == "core.no_scm");
    let file = around.config_file(options.level)?;
    let path = Some(file.path().display().to_string());
    if options.dry_run {
        return Ok(ConfigReport { file: path, changed: true, dry_run: true, ..ConfigReport::default() });
    }
    let written = around.patiently(|patience| config::apply(&[(file, vec![edit])], patience))?;
    if is_about_git {
        hide_from_git(around)?;
    }
    Ok(ConfigReport { file: path, changed: written.contains(&true), ..ConfigReport::default() })
}

/// Makes git ignore what mlv keeps: a project that begins with git has outputs that were recorded without,
/// and `git add .` would take them.
fn hide_from_git(around: &Surroundings<'_>) -> Result<(), OpError> {
    let Some(repo) = around.repo_if_any()?.filter(|repo| repo.git().is_some()) else { return Ok(()) };
    let tracked = Tracked::load(&repo)?;
    let held = surroundings::lock(&repo, around.reporter)?;
    let kept: Vec<&RepoPath> = tracked.outs().iter().filter(|out| out.cache).map(|out| &out.path).collect();
    pointers::ignore_outputs(&repo, &kept, &held)?;
    Ok(())
}

/// The values that count, sorted by key.
fn list(config: &Config, level: Option<Level>) -> Vec<ConfigValue> {
    let of_level = |entry: &&Entry| level.is_none_or(|level| entry.origin().level() == level);
    let entries = config.entries().iter().filter(of_level);
    // Later entries are stronger and replace those before them.
    let by_key: BTreeMap<String, &Entry> = entries.map(|entry| (entry.key().to_string(), entry)).collect();
    by_key.into_values().map(value_of).collect()
}

fn value_of(entry: &Entry) -> ConfigValue {
    let shown = entry.shown();
    ConfigValue {
        key: entry.key().to_string(),
        value: shown.as_deref().unwrap_or_default().to_owned(),
        level: entry.origin().level(),
        origin: entry.origin().to_string(),
        problem: shown.err().map(|error| error.to_string()),
    }
}
