//! Changing a configuration file: the user's comments, order and spelling stay.

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table};

use super::load::{self, Sources};
use super::{Error, Key, Level, Value};
use crate::fs::lock::{MetaLock, Patience};
use crate::fs::{atomic, dir::Dir};
use crate::model::path::RepoPath;

/// One change of a configuration file.
pub enum Edit {
    /// Gives a key a value.
    Set(Key, Value),
    /// Takes a key out; no error if it is not there.
    Unset(Key),
    /// Takes a remote with all its options out; no error if it is not there.
    RemoveRemote(String),
    /// Gives a remote with all its options another name, which is free; no error if it is not there.
    RenameRemote {
        /// Its name.
        old: String,
        /// What it is called then.
        new: String,
    },
}

/// The file of one level.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    level: Level,
    folder: PathBuf,
    name: &'static str,
}

/// The lock beside a file, held while it is read again, changed and replaced.
const LOCK_NAME: &str = "config.lock";

impl ConfigFile {
    /// The file of `level`; fails with `NoFolder` if there is no folder for it.
    pub fn of(sources: &Sources, level: Level) -> Result<ConfigFile, Error> {
        let (folder, name) = sources.place_of(level).ok_or(Error::NoFolder { level })?;
        Ok(ConfigFile { level, folder: folder.to_path_buf(), name })
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// Checks that `text` can be the value of `key` in this file.
    pub fn check(&self, key: &Key, text: &str) -> Result<Value, Error> {
        let checked = Value::from_text(key.info(), text).and_then(|value| {
            if self.level == Level::Project {
                value.check_tracked(key.info())?;
            }
            Ok(value)
        });
        checked.map_err(|problem| Error::CannotSet { key: key.to_string(), level: self.level, problem })
    }

    fn read(&self) -> Result<DocumentMut, Error> {
        let text = load::read(&self.folder, self.name, self.level)?.unwrap_or_default();
        text.parse().map_err(|error| load::syntax_error(&self.path(), &text, &error))
    }

    /// The file behind the user's links: a rename must replace the file, not the link.
    fn real(&self) -> Result<(PathBuf, RepoPath), Error> {
        if self.level < Level::Project
            && let Ok(path) = self.path().canonicalize()
            && let (Some(folder), Some(name)) =
                (path.parent(), path.file_name().and_then(|name| name.to_str()))
            && let Ok(name) = RepoPath::parse(name)
        {
            return Ok((folder.to_path_buf(), name));
        }
        Ok((self.folder.clone(), own_path(self.name)))
    }

    fn write(&self, text: &str) -> Result<(), Error> {
        let (folder, path) = self.real()?;
        let dir = Dir::open(&folder)?;
        let mode = match self.level {
            _ if dir.stat(&path)?.is_some() => None,
            Level::Project => None,
            Level::System => Some(0o644),
            // What only this user reads may hold credentials.
            _ => Some(0o600),
        };
        Ok(atomic::write(&dir, &path, text.as_bytes(), mode)?)
    }

    fn lock(&self, patience: &Patience<'_>) -> Result<MetaLock, Error> {
        create_folder(&self.folder)?;
        Ok(MetaLock::acquire(&Dir::open(&self.folder)?, &own_path(LOCK_NAME), patience)?)
    }
}

/// Applies edits to one or more files: all are read and changed before the first is written,
/// so that a file which cannot be changed leaves the others as they were.
///
/// Returns for each file whether it was written; each write is atomic and durable. The files of
/// one folder share a lock.
pub fn apply(changes: &[(ConfigFile, Vec<Edit>)], patience: &Patience<'_>) -> Result<Vec<bool>, Error> {
    let mut locks: Vec<(&Path, MetaLock)> = Vec::new();
    for (file, _) in changes {
        if locks.iter().all(|(folder, _)| *folder != file.folder) {
            locks.push((&file.folder, file.lock(patience)?));
        }
    }
    let mut texts = Vec::new();
    for (file, edits) in changes {
        let mut document = file.read()?;
        let before = document.to_string();
        for edit in edits {
            edit.apply(document.as_table_mut());
        }
        let after = document.to_string();
        texts.push((after != before).then_some(after));
    }
    for ((file, _), text) in changes.iter().zip(&texts) {
        if let Some(text) = text {
            file.write(text)?;
        }
    }
    Ok(texts.iter().map(Option::is_some).collect())
}

/// A new file: `comment`, and below it what the edits set.
pub fn edited(comment: &str, edits: &[Edit]) -> String {
    let mut document = DocumentMut::new();
    for edit in edits {
        edit.apply(document.as_table_mut());
    }
    format!("{comment}{document}")
}

impl Edit {
    fn apply(&self, root: &mut Table) {
        match self {
            Edit::Set(key, value) => set(root, &key.parts(), value),
            Edit::Unset(key) => {
                unset(root, &key.parts());
            }
            Edit::RemoveRemote(name) => {
                unset(root, &["remote", name]);
            }
            Edit::RenameRemote { old, new } => {
                if let Some(remotes) = root.get_mut("remote") {
                    rename(remotes, old, new);
                }
            }
        }
    }
}

fn set(table: &mut Table, parts: &[&str], value: &Value) {
    let Some((last, sections)) = parts.split_last() else { return };
    let mut table: &mut dyn toml_edit::TableLike = table;
    for (at, section) in sections.iter().enumerate() {
        let is_innermost = at + 1 == sections.len();
        let entry = table.entry(section).or_insert_with(|| {
            let mut new = Table::new();
            // `[remote.a]` alone, without an empty `[remote]` above it.
            new.set_implicit(!is_innermost);
            Item::Table(new)
        });
        if !entry.is_table_like() {
            *entry = Item::Table(Table::new());
        }
        let Some(inner) = entry.as_table_like_mut() else { return };
        table = inner;
    }
    let new = value.to_toml();
    match table.get_mut(last).and_then(Item::as_value_mut) {
        // The comment behind the old value stays.
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(last, Item::Value(new));
        }
    }
}

/// Takes out the last part, and the sections that it leaves empty.
fn unset(table: &mut dyn toml_edit::TableLike, parts: &[&str]) {
    match parts {
        [] => {}
        [last] => {
            table.remove(last);
        }
        [section, rest @ ..] => {
            let Some(inner) = table.get_mut(section).and_then(Item::as_table_like_mut) else { return };
            unset(inner, rest);
            if inner.is_empty() {
                table.remove(section);
            }
        }
    }
}

/// A section keeps its place in the file and the comments above it.
fn rename(remotes: &mut Item, old: &str, new: &str) {
    match remotes {
        Item::Table(table) => {
            if let Some((key, item)) = table.remove_entry(old) {
                table.insert_formatted(&renamed(&key, new), item);
            }
        }
        Item::Value(toml_edit::Value::InlineTable(table)) => {
            if let Some((key, value)) = table.remove_entry(old) {
                table.insert_formatted(&renamed(&key, new), value);
            }
        }
        _ => {}
    }
}

fn renamed(key: &toml_edit::Key, new: &str) -> toml_edit::Key {
    toml_edit::Key::new(new)
        .with_leaf_decor(key.leaf_decor().clone())
        .with_dotted_decor(key.dotted_decor().clone())
}

fn own_path(name: &'static str) -> RepoPath {
    RepoPath::parse(name).expect("names of configuration files are plain")
}

/// Makes the folder of a user's configuration where it is missing.
fn create_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut missing = Vec::new();
    let mut above = folder;
    while !above.is_dir() {
        match (above.parent(), above.file_name().and_then(|name| name.to_str())) {
            (Some(parent), Some(name)) => {
                missing.push(name);
                above = parent;
            }
            _ => break,
        }
    }
    missing.reverse();
    let dir = Dir::open(if above.as_os_str().is_empty() { Path::new(".") } else { above })?;
    match RepoPath::parse(&missing.join("/")) {
        Ok(path) => Ok(dir.create_dir_all(&path)?),
        // Dir speaks only paths that could be stored; a folder of another name is the user's to make.
        Err(_) => {
            Err(crate::fs::at(folder, "create")(std::io::Error::from(std::io::ErrorKind::NotFound)).into())
        }
    }
}
