//! `remote rename`: another name for a remote, wherever this project says the old one.
//!
//! The files that name it are written before the settings: after a crash the old name is still
//! configured, and the same command goes on (R15). What this clone remembers of a remote is kept by
//! its place, not by its name, and needs no change.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{self, Config, Edit, Entry, Key, Level};
use crate::fs::atomic;
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::model::yaml::Limits;
use crate::ops::OpError;
use crate::ops::edit_error::EditError;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::lock_entries::Updates;
use crate::ops::pointers::MAX_POINTER;
use crate::ops::remote::{check_exists, load, stands_at};
use crate::ops::surroundings::{self, Surroundings};
use crate::ops::tracked::{Source, Tracked, TrackedPipeline, WorkTreeValues};
use crate::pipeline::edit;
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// Which remote, and what it is to be called.
#[derive(Clone, Debug)]
pub struct RenameOptions {
    /// Its name.
    pub old: String,
    /// Its new name.
    pub new: String,
    /// The one level that is written; if none, all of the project, with the files that name the remote.
    pub level: Option<Level>,
    /// Check only.
    pub dry_run: bool,
}

/// What was changed.
#[derive(Debug, Default, serde::Serialize)]
pub struct RenameReport {
    /// What the remote was called.
    pub old: String,
    /// Its name now.
    pub name: String,
    /// Where it lies, to be shown; none if it has no place.
    pub url: Option<String>,
    /// Whether it is the default.
    pub default: bool,
    /// The configuration files that were changed, or would be.
    pub files: Vec<String>,
    /// Pointers, pipelines and locks that named it, likewise, relative to the repository's root; sorted.
    pub named_in: Vec<String>,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Renames a remote. All files are read and edited before the first is written.
pub fn run(around: &Surroundings<'_>, options: &RenameOptions) -> Result<RenameReport, OpError> {
    let config = load(around)?;
    let levels = levels(&config, options)?;
    let repo = around.repo_if_any()?.filter(|_| options.level.is_none());
    let changes = changes(around, &config, options, &levels)?;
    let mut report = RenameReport {
        old: options.old.clone(),
        name: options.new.clone(),
        files: changes.iter().map(|(file, _)| file.path().display().to_string()).collect(),
        dry_run: options.dry_run,
        ..RenameReport::default()
    };
    let mut written = Vec::new();
    if let Some(repo) = &repo {
        written = rename_in_files(repo, options, around.reporter)?;
        report.named_in = written.iter().map(ToString::to_string).collect();
    }
    if !options.dry_run {
        around.patiently(|patience| config::apply(&changes, patience))?;
    }
    let after = load(around)?;
    let name = if options.dry_run { &options.old } else { &options.new };
    report.url = after.remote(Some(name)).ok().map(|remote| remote.shown_url());
    report.default = after.default_remote().ok().flatten().as_ref() == Some(name);
    warn_of_rest(&after, options, around.reporter);
    if let Some(repo) = repo.filter(|_| !options.dry_run) {
        report.git = git_files::of_changes(&repo, written, around.reporter)?;
    }
    Ok(report)
}

/// The levels at which the remote gets its new name: the local one first, so that the project's file,
/// which others see, is the last that says the old one.
fn levels(config: &Config, options: &RenameOptions) -> Result<Vec<Level>, OpError> {
    let RenameOptions { old, new, level, .. } = options;
    check_exists(config, old)?;
    config::keys::check_remote_name(new)?;
    let levels = level.map_or_else(|| vec![Level::Local, Level::Project], |level| vec![level]);
    let there: Vec<Level> = levels.into_iter().filter(|level| stands_at(config, old, *level)).collect();
    if there.is_empty() {
        let level = [Level::User, Level::System].into_iter().find(|level| stands_at(config, old, *level));
        return Err(match (options.level, level) {
            (None, Some(level)) => {
                let (name, names) = (old.clone(), format!("{old} {new}"));
                OpError::RemoteElsewhere { name, level, verb: "rename", names }
            }
            _ => config::Error::NoSuchRemote { name: old.clone(), near: Vec::new() }.into(),
        });
    }
    // Options for a name that others have given already may join it; two places may not.
    let has_place = |name: &str| Ok::<_, OpError>(config.get(&Key::of_remote(name, "url")?).cloned());
    let both = if level.is_none() { has_place(old)?.and(has_place(new)?) } else { None };
    let of_new =
        |entry: &&Entry| entry.key().remote() == Some(new) && there.contains(&entry.origin().level());
    match both.or_else(|| config.entries().iter().find(of_new).cloned()) {
        None => Ok(there),
        Some(entry) => {
            Err(config::Error::RemoteNameTaken { name: new.clone(), origin: entry.origin().clone() }.into())
        }
    }
}

/// The edits of the configuration: the remote, and the default that names it.
fn changes(
    around: &Surroundings<'_>,
    config: &Config,
    options: &RenameOptions,
    there: &[Level],
) -> Result<super::remote::Changes, OpError> {
    let RenameOptions { old, new, level, .. } = options;
    let default = Key::parse("core.remote")?;
    let mut changes = Vec::new();
    for level in level.map_or_else(|| vec![Level::Local, Level::Project], |level| vec![level]) {
        let file = around.config_file(Some(level))?;
        let mut edits = Vec::new();
        if there.contains(&level) {
            edits.push(Edit::RenameRemote { old: old.clone(), new: new.clone() });
        }
        if names(config.get_at(&default, level), old) {
            edits.push(Edit::Set(default.clone(), file.check(&default, new)?));
        }
        if !edits.is_empty() {
            changes.push((file, edits));
        }
    }
    Ok(changes)
}

fn names(entry: Option<&Entry>, remote: &str) -> bool {
    entry.is_some_and(|entry| entry.shown().is_ok_and(|shown| shown == remote))
}

/// Says what else still has the old name, where other projects read it too.
fn warn_of_rest(
    config: &Config,
    RenameOptions { old, new, level, dry_run }: &RenameOptions,
    reporter: &dyn Reporter,
) {
    if *dry_run || level.is_some() {
        return;
    }
    let mut told = BTreeSet::new();
    for entry in config.entries() {
        let is_default = entry.key().to_string() == "core.remote" && names(Some(entry), old);
        if entry.key().remote() != Some(old) && !is_default {
            continue;
        }
        let origin = entry.origin();
        let remedy = match (origin.level(), is_default) {
            (Level::User, false) => format!("`mlv remote rename --global {old} {new}`"),
            (Level::System, false) => format!("`mlv remote rename --system {old} {new}`"),
            (Level::User, true) => format!("`mlv remote default --global {new}`"),
            (Level::System, true) => format!("`mlv remote default --system {new}`"),
            _ => continue,
        };
        let what = if is_default { "the default remote" } else { "options of the remote" };
        if told.insert((origin.level(), is_default)) {
            let message =
                format!("{origin}: {what} `{old}` stay, for other projects; {remedy} renames them there");
            reporter.event(&Event::Warning { message });
        }
    }
}

/// Renames the remote in pointers, pipelines and locks; returns those, sorted.
///
/// Fails, and changes nothing, where one cannot be read, and may name it, or cannot be edited.
fn rename_in_files(
    repo: &Repo,
    options: &RenameOptions,
    reporter: &dyn Reporter,
) -> Result<Vec<RepoPath>, OpError> {
    // Under the lock already while they are read: what somebody records meanwhile would be lost.
    let held = if options.dry_run { None } else { Some(surroundings::lock(repo, reporter)?) };
    let tracked = Tracked::load(repo)?.complete()?;
    let is_named = |remote: &Option<Box<str>>| remote.as_deref() == Some(&*options.old);
    let mut files: BTreeMap<RepoPath, Box<str>> = BTreeMap::new();
    for out in tracked.outs().iter().filter(|out| is_named(&out.remote)) {
        let stage = match &out.source {
            Source::Pointer { .. } => "".into(),
            Source::Stage { stage, .. } => stage.clone(),
        };
        files.entry(out.source.file().clone()).or_insert(stage);
    }
    let mut edits = Vec::new();
    for (file, stage) in &files {
        let edited = if stage.is_empty() {
            edited_pointer(repo, file, options)?
        } else {
            edited_pipeline(repo, file, stage, options)?
        };
        edits.push((file.clone(), edited));
    }
    let locks = lock_entries(&tracked, options);
    let mut changed: BTreeSet<RepoPath> = files.into_keys().collect();
    let Some(held) = held else {
        changed.extend(locks.files().cloned());
        return Ok(changed.into_iter().collect());
    };
    changed.extend(locks.write(repo, |_, _| true, &held)?);
    for (file, bytes) in edits {
        atomic::write(repo.dir(), &file, &bytes, None)?;
    }
    Ok(changed.into_iter().collect())
}

fn edited_pointer(repo: &Repo, file: &RepoPath, options: &RenameOptions) -> Result<Vec<u8>, OpError> {
    let bytes = repo.dir().read_file(file, MAX_POINTER)?;
    Ok(Pointer::with_remote(file, &bytes, &options.new)?)
}

fn edited_pipeline(
    repo: &Repo,
    file: &RepoPath,
    stage: &str,
    options: &RenameOptions,
) -> Result<Vec<u8>, OpError> {
    let bytes = repo.dir().read_file(file, Limits::PIPELINE.bytes as u64)?;
    let names = (&*options.old, &*options.new);
    let edited = edit::with_remote(file, &bytes, names, &WorkTreeValues(repo))?;
    Ok(edited.ok_or_else(|| EditError::Entangled { path: file.clone(), stage: stage.into() })?)
}

/// The lock entries of stages that name the remote, as the next `repro` would have them.
fn lock_entries(tracked: &Tracked, options: &RenameOptions) -> Updates {
    let mut updates = Updates::default();
    for one in tracked.pipelines() {
        let TrackedPipeline { pipeline: _, lock, lock_file } = one;
        for (name, entry) in &lock.stages {
            let mut entry = entry.clone();
            let mut is_named = false;
            for out in entry.outs.iter_mut().filter(|out| out.remote.as_deref() == Some(&*options.old)) {
                out.remote = Some(options.new.as_str().into());
                is_named = true;
            }
            if is_named {
                updates.put(lock_file, name, entry);
            }
        }
    }
    updates
}
