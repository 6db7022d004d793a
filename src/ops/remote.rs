//! `remote add`, `modify`, `default`, `list` and `remove`: remotes in the configuration.
//!
//! Nothing here contacts a remote.

use std::path::Path;

use crate::config::{self, Config, ConfigFile, Edit, Key, Level};
use crate::model::resolve::resolve;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, surroundings::Surroundings};
use crate::remote::registry::{RemoteSpec, SpecError};
use crate::repo::Repo;
use crate::report::Event;

/// What to change. No `Debug`: a value may be a credential.
#[derive(Clone, PartialEq, Eq)]
pub enum RemoteAction {
    /// Configure a new remote.
    Add {
        /// Its name.
        name: String,
        /// Its URL, or a folder relative to the current one.
        url: String,
        /// Whether it becomes the default.
        default: bool,
        /// Whether one of that name is replaced.
        force: bool,
    },
    /// Set an option of a remote; with no value, take it out.
    Modify {
        /// The remote's name.
        name: String,
        /// The option.
        option: String,
        /// Its new value.
        value: Option<String>,
    },
    /// Name the default remote; with no name, take it out.
    Default {
        /// The remote's name.
        name: Option<String>,
    },
    /// Take a remote with all its options out.
    Remove {
        /// The remote's name.
        name: String,
    },
}

/// What to change, and at which level.
#[derive(Clone)]
pub struct RemoteOptions {
    /// What to change.
    pub action: RemoteAction,
    /// The level that is written; if none, the project's, and for `remove` all of the project.
    pub level: Option<Level>,
    /// Check only.
    pub dry_run: bool,
}

/// What was changed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RemoteReport {
    /// The remote's name; none if the default was taken out.
    pub name: Option<String>,
    /// Where it lies now, to be shown; none if it has no place.
    pub url: Option<String>,
    /// Whether it is the default now.
    pub default: bool,
    /// The files that were changed, or would be.
    pub files: Vec<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// A configured remote.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RemoteRow {
    /// Its name.
    pub name: String,
    /// Where it lies, to be shown; none if that cannot be used.
    pub url: Option<String>,
    /// Whether it is used where none is named.
    pub default: bool,
    /// The level that names its place.
    pub level: Option<Level>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// All configured remotes, sorted by name.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RemoteListReport {
    /// The remotes.
    pub remotes: Vec<RemoteRow>,
}

/// Lists the remotes of all levels, or of one.
pub fn list(around: &Surroundings<'_>, level: Option<Level>) -> Result<RemoteListReport, OpError> {
    let config = load(around)?;
    let default = config.default_remote().ok().flatten();
    let mut remotes = Vec::new();
    for name in config.remote_names() {
        let key = Key::of_remote(name, "url")?;
        let entry = match level {
            Some(level) => config.get_at(&key, level),
            None => config.get(&key),
        };
        if entry.is_none() && level.is_some() {
            continue;
        }
        let without = || config::Error::RemoteWithoutUrl { name: name.to_owned() };
        let shown = entry.ok_or_else(without).and_then(config::Entry::shown);
        remotes.push(RemoteRow {
            name: name.to_owned(),
            default: default.as_deref() == Some(name),
            level: entry.map(|entry| entry.origin().level()),
            problem: shown.as_ref().err().map(ToString::to_string),
            url: shown.ok(),
        });
    }
    Ok(RemoteListReport { remotes })
}

/// The default remote's name and place; `NoDefaultRemote` or `NoSuchRemote` if there is none.
pub fn show_default(around: &Surroundings<'_>) -> Result<RemoteRow, OpError> {
    let config = load(around)?;
    let remote = config.remote(None)?;
    Ok(RemoteRow {
        url: Some(remote.shown_url()),
        level: Some(remote.origin.level()),
        name: remote.name,
        default: true,
        problem: None,
    })
}

/// Changes the configuration; all files that are concerned, or none.
pub fn run(around: &Surroundings<'_>, options: &RemoteOptions) -> Result<RemoteReport, OpError> {
    let config = load(around)?;
    let changes = match &options.action {
        RemoteAction::Add { .. } => add(around, options, &config)?,
        RemoteAction::Modify { name, option, value } => {
            check_exists(&config, name)?;
            let key = Key::of_remote(name, option)?;
            let file = around.config_file(options.level)?;
            let edit = match value {
                Some(value) => {
                    let value = place_or_text(around, option, value)?;
                    if option == "url" {
                        check_place(around, name, &value)?;
                    }
                    Edit::Set(key.clone(), file.check(&key, &value)?)
                }
                None => unset(&config, key, options.level.unwrap_or(Level::Project))?,
            };
            vec![(file, vec![edit])]
        }
        RemoteAction::Default { name } => {
            let key = Key::parse("core.remote")?;
            let file = around.config_file(options.level)?;
            let edit = match name {
                Some(name) => {
                    check_exists(&config, name)?;
                    Edit::Set(key.clone(), file.check(&key, name)?)
                }
                None => unset(&config, key, options.level.unwrap_or(Level::Project))?,
            };
            vec![(file, vec![edit])]
        }
        RemoteAction::Remove { name } => remove(around, options, &config, name)?,
    };
    let files = changes.iter().map(|(file, _)| file.path().display().to_string()).collect();
    if !options.dry_run {
        around.patiently(|patience| config::apply(&changes, patience))?;
    }
    if let RemoteAction::Remove { name } = &options.action {
        warn_of_outputs(around, options, name)?;
    }
    report(around, options, files)
}

/// Names the outputs that belong to the remote `name`, which nobody knows any more.
fn warn_of_outputs(around: &Surroundings<'_>, options: &RemoteOptions, name: &str) -> Result<(), OpError> {
    let Some(repo) = around.repo_if_any()? else { return Ok(()) };
    if !options.dry_run && load(around)?.remote_names().contains(&name) {
        return Ok(());
    }
    // What cannot be read does not keep a remote from going.
    let Ok(tracked) = Tracked::load(&repo) else { return Ok(()) };
    for out in tracked.outs().iter().filter(|out| out.remote.as_deref() == Some(name)) {
        let (path, file) = (&out.path, out.source.file());
        let message =
            format!("`{path}` still belongs to the remote `{name}`: take `remote: {name}` out of `{file}`");
        around.reporter.event(&Event::Warning { message });
    }
    Ok(())
}

/// What the configuration says after the change.
fn report(
    around: &Surroundings<'_>,
    options: &RemoteOptions,
    files: Vec<String>,
) -> Result<RemoteReport, OpError> {
    let name = match &options.action {
        RemoteAction::Add { name, .. }
        | RemoteAction::Modify { name, .. }
        | RemoteAction::Remove { name } => Some(name.clone()),
        RemoteAction::Default { name } => name.clone(),
    };
    let config = load(around)?;
    let remote = name.as_deref().and_then(|name| config.remote(Some(name)).ok());
    let default = config.default_remote().ok().flatten();
    Ok(RemoteReport {
        default: name.is_some() && default == name,
        url: remote.map(|remote| remote.shown_url()),
        name,
        files,
        dry_run: options.dry_run,
    })
}

/// Edits, by file.
pub(super) type Changes = Vec<(ConfigFile, Vec<Edit>)>;

/// Fails if there are no remotes of the kind that `url`, as it is stored, names, or if none may lie
/// there: told at once, not at the first push.
fn check_place(around: &Surroundings<'_>, name: &str, url: &str) -> Result<(), OpError> {
    let spec =
        RemoteSpec { name: name.to_owned(), url: url.to_owned(), is_url_tracked: false, options: Vec::new() };
    if let Err(error @ SpecError::Scheme { .. }) = spec.place(Path::new("/")) {
        return Err(Box::new(error).into());
    }
    if let Some(repo) = around.repo_if_any()? {
        spec.check_folder(repo.root()).map_err(Box::new)?;
    }
    Ok(())
}

fn add(around: &Surroundings<'_>, options: &RemoteOptions, config: &Config) -> Result<Changes, OpError> {
    let RemoteAction::Add { name, url, default, force } = &options.action else { return Ok(Vec::new()) };
    let key = Key::of_remote(name, "url")?;
    let file = around.config_file(options.level)?;
    let level = options.level.unwrap_or(Level::Project);
    if let Some(there) = config.get_at(&key, level).filter(|_| !force) {
        return Err(config::Error::RemoteExists { name: name.clone(), origin: there.origin().clone() }.into());
    }
    let place = place_or_text(around, "url", url)?;
    check_place(around, name, &place)?;
    let value = file.check(&key, &place)?;
    let mut edits = Vec::new();
    if *force {
        edits.push(Edit::RemoveRemote(name.clone()));
    }
    edits.push(Edit::Set(key, value));
    if *default {
        let key = Key::parse("core.remote")?;
        edits.push(Edit::Set(key.clone(), file.check(&key, name)?));
    }
    Ok(vec![(file, edits)])
}

/// The local file first: after a crash the project's file still has the whole remote.
fn remove(
    around: &Surroundings<'_>,
    options: &RemoteOptions,
    config: &Config,
    name: &str,
) -> Result<Changes, OpError> {
    check_exists(config, name)?;
    let stands_at = |level: Level| stands_at(config, name, level);
    let default = Key::parse("core.remote")?;
    let levels = match options.level {
        Some(level) => vec![level],
        None => vec![Level::Local, Level::Project],
    };
    if !levels.iter().any(|level| stands_at(*level)) {
        let level = [Level::User, Level::System].into_iter().find(|level| stands_at(*level));
        return Err(match (options.level, level) {
            (None, Some(level)) => {
                let (name, names) = (name.to_owned(), name.to_owned());
                OpError::RemoteElsewhere { name, level, verb: "remove", names }
            }
            _ => config::Error::NoSuchRemote { name: name.to_owned(), near: Vec::new() }.into(),
        });
    }
    let mut changes = Vec::new();
    for level in levels {
        let is_default = config
            .get_at(&default, level)
            .is_some_and(|entry| entry.shown().is_ok_and(|shown| shown == name));
        let mut edits = Vec::new();
        if stands_at(level) {
            edits.push(Edit::RemoveRemote(name.to_owned()));
        }
        if is_default {
            edits.push(Edit::Unset(default.clone()));
        }
        if !edits.is_empty() {
            changes.push((around.config_file(Some(level))?, edits));
        }
    }
    Ok(changes)
}

/// Whether any option of the remote stands at `level`.
pub(super) fn stands_at(config: &Config, name: &str, level: Level) -> bool {
    let is_one =
        |entry: &config::Entry| entry.origin().level() == level && entry.key().remote() == Some(name);
    config.entries().iter().any(is_one)
}

pub(super) fn load(around: &Surroundings<'_>) -> Result<Config, OpError> {
    match around.repo_if_any()? {
        Some(repo) => Ok(repo.config().clone()),
        None => Ok(Config::load(&around.sources)?),
    }
}

pub(super) fn check_exists(config: &Config, name: &str) -> Result<(), OpError> {
    if config.remote_names().contains(&name) {
        return Ok(());
    }
    let near = config::keys::near(name, config.remote_names().into_iter());
    Err(config::Error::NoSuchRemote { name: name.to_owned(), near }.into())
}

fn unset(config: &Config, key: Key, level: Level) -> Result<Edit, OpError> {
    match config.get_at(&key, level) {
        Some(_) => Ok(Edit::Unset(key)),
        None => Err(config::Error::NotSet { key: key.to_string(), level: Some(level) }.into()),
    }
}

fn place_or_text(around: &Surroundings<'_>, option: &str, text: &str) -> Result<String, OpError> {
    match around.repo_if_any()? {
        Some(repo) if option == "url" => Ok(stored_place(&repo, text)),
        _ => Ok(text.to_owned()),
    }
}

/// A place as it is stored: a folder that the user named relative to the current one becomes
/// relative to the repository's root, which may be outside of it; all else stays as it is.
pub(super) fn stored_place(repo: &Repo, text: &str) -> String {
    let is_relative = !text.contains("://") && !text.contains("${") && !text.starts_with('~');
    if !is_relative || text.is_empty() || Path::new(text).is_absolute() {
        return text.to_owned();
    }
    if let Ok(inside) = resolve(repo.prefix(), text) {
        return if inside.is_root() { ".".to_owned() } else { inside.as_str().to_owned() };
    }
    // It leads out of the root, or through a name that RepoPath refuses: by its text alone.
    let mut parts: Vec<&str> = repo.prefix().components().collect();
    let mut up = 0;
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => up += 1,
            ".." => {}
            name => parts.push(name),
        }
    }
    let above = std::iter::repeat_n("..", up);
    above.chain(parts).collect::<Vec<_>>().join("/")
}
