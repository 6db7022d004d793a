//! Reading the layers.

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike};

use super::keys::{KEYS, Kind};
use super::{Config, Entry, Error, FILE_NAME, Key, LOCAL_FILE_NAME, Level, Origin, Place, Value, Warning};
use crate::fs::{self, dir::Dir};
use crate::model::path::RepoPath;
use crate::model::yaml;

/// Largest configuration file, in bytes (docs/formats.md, "Limits").
pub(super) const MAX_SIZE: u64 = 1 << 20;

/// Where the layers are read from. No `Debug`: flags and variables may hold credentials.
#[derive(Clone, Default)]
pub struct Sources {
    /// The machine's configuration folder.
    pub system: Option<PathBuf>,
    /// The user's configuration folder.
    pub user: Option<PathBuf>,
    /// The project's `.mlv` folder.
    pub project: Option<PathBuf>,
    /// Environment variables, of which those that are named after keys count.
    pub environment: Vec<(String, String)>,
    /// Keys that flags of the command set.
    pub flags: Vec<(Key, String)>,
}

impl Sources {
    /// The sources of this process, with the project whose `.mlv` folder is given.
    ///
    /// `MLV_SYSTEM_CONFIG_DIR` and `MLV_GLOBAL_CONFIG_DIR` move the folders, which else are
    /// `/etc/mlv`, and `mlv` in `XDG_CONFIG_HOME` or `~/.config`.
    pub fn of_process(project: Option<&Path>) -> Sources {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let xdg = folder("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let home = xdg.or_else(|| folder("HOME").map(|home| home.join(".config")));
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("MLV_"));
        Sources {
            system: folder("MLV_SYSTEM_CONFIG_DIR").or_else(|| Some("/etc/mlv".into())),
            user: folder("MLV_GLOBAL_CONFIG_DIR").or_else(|| home.map(|home| home.join("mlv"))),
            project: project.map(Path::to_path_buf),
            environment: environment.collect(),
            flags: Vec::new(),
        }
    }

    /// The folder and the name of a level's file.
    pub fn place_of(&self, level: Level) -> Option<(&Path, &'static str)> {
        match level {
            Level::System => Some((self.system.as_deref()?, FILE_NAME)),
            Level::User => Some((self.user.as_deref()?, FILE_NAME)),
            Level::Project => Some((self.project.as_deref()?, FILE_NAME)),
            Level::Local => Some((self.project.as_deref()?, LOCAL_FILE_NAME)),
            Level::Environment | Level::Flag => None,
        }
    }
}

/// `~/` at the start replaced by the user's home.
pub fn expand_home(text: &str) -> String {
    match (text.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) if !home.is_empty() => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => text.to_owned(),
    }
}

pub(super) fn load(sources: &Sources) -> Result<Config, Error> {
    let mut config = Config::default();
    for level in [Level::System, Level::User, Level::Project, Level::Local] {
        let Some((folder, name)) = sources.place_of(level) else { continue };
        if let Some(text) = read(folder, name, level)? {
            read_layer(&mut config, level, &folder.join(name), &text)?;
        }
    }
    read_environment(&mut config, &sources.environment);
    for (key, text) in &sources.flags {
        let origin = Origin { level: Level::Flag, place: Place::Name("a flag".to_owned()) };
        config.add(key.clone(), Value::from_text(key.info(), text), origin);
    }
    Ok(config)
}

/// The text of a layer's file; nothing if there is none.
pub(super) fn read(folder: &Path, name: &str, level: Level) -> Result<Option<String>, Error> {
    let bytes = if level >= Level::Project {
        read_beneath(folder, name)
    } else {
        // The user's own files may be links into a folder of dotfiles.
        match folder.join(name).canonicalize() {
            Ok(path) => match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
                (Some(folder), Some(name)) => read_beneath(folder, name),
                _ => Ok(None),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fs::at(&folder.join(name), "open")(error)),
        }
    }?;
    let Some(bytes) = bytes else { return Ok(None) };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(Error::Syntax { path: folder.join(name), line, column: 1, message: "not UTF-8".to_owned() })
        }
    }
}

fn read_beneath(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, fs::Error> {
    // A link of the user's may lead to a file of any name; mlv opens only those that it could store.
    let Ok(name) = RepoPath::parse(name) else {
        return Err(fs::Error::SymlinkInPath { path: folder.join(name) });
    };
    let found = Dir::open(folder).and_then(|dir| dir.read_file(&name, MAX_SIZE));
    match found {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn syntax_error(path: &Path, text: &str, error: &toml_edit::TomlError) -> Error {
    if let Some(line) = yaml::conflict_marker(text) {
        return Error::Conflict { path: path.to_path_buf(), line };
    }
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..start).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let line = before.matches('\n').count() + 1;
    // The parser's own rendering shows the line, which may hold a secret.
    Error::Syntax { path: path.to_path_buf(), line, column, message: error.message().to_owned() }
}

fn read_layer(config: &mut Config, level: Level, path: &Path, text: &str) -> Result<(), Error> {
    let document = Document::parse(text).map_err(|error| syntax_error(path, text, &error))?;
    let mut layer = Layer { config, level, path, text, document: &document };
    layer.check_version()?;
    layer.read_table(document.as_table(), &mut Vec::new());
    // Tables come section by section, wherever their parts stand.
    config.entries.sort_by_key(|entry| (entry.origin.level, entry.origin.line()));
    config.warnings.sort_by_key(|warning| (warning.origin.level, warning.origin.line()));
    Ok(())
}

/// Reads the tables of one file.
struct Layer<'a> {
    config: &'a mut Config,
    level: Level,
    path: &'a Path,
    text: &'a str,
    document: &'a Document<&'a str>,
}

impl Layer<'_> {
    fn origin(&self, span: Option<std::ops::Range<usize>>) -> Origin {
        let before = self.text.get(..span.map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Origin { level: self.level, place: Place::Line(self.path.to_path_buf(), line) }
    }

    /// A newer project is refused before anything else is read into it.
    fn check_version(&self) -> Result<(), Error> {
        if self.level != Level::Project {
            return Ok(());
        }
        let version = self.document.get("project").and_then(|project| project.get("version"));
        match version.and_then(|version| version.as_integer().map(|number| (version.span(), number))) {
            Some((span, found)) if found > 1 => {
                Err(Error::UnsupportedVersion { origin: self.origin(span), found })
            }
            _ => Ok(()),
        }
    }

    fn read_table(&mut self, table: &dyn TableLike, above: &mut Vec<String>) {
        for (name, item) in table.iter() {
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            above.push(name.to_owned());
            match item.as_table_like() {
                // No key is deeper than `remote.NAME.option`.
                Some(inner) if above.len() < 3 => self.read_table(inner, above),
                _ => self.read_value(above, item, self.origin(span)),
            }
            above.pop();
        }
    }

    fn read_value(&mut self, parts: &[String], item: &Item, origin: Origin) {
        let key = match parts {
            [section, name, option] if section == "remote" => Key::of_remote(name, option).ok(),
            [section, _] if section != "remote" => Key::plain(&parts.join(".")),
            _ => None,
        };
        let Some(key) = key else {
            self.config.warnings.push(Warning { origin, key: parts.join("."), problem: None });
            return;
        };
        let mut value = Value::from_toml(key.info(), item);
        if self.level == Level::Project
            && let Ok(found) = &value
            && let Err(problem) = found.check_tracked(key.info())
        {
            value = Err(problem);
        }
        self.config.add(key, value, origin);
    }
}

impl Config {
    fn add(&mut self, key: Key, value: Result<Value, super::ValueProblem>, origin: Origin) {
        if let Err(problem) = &value {
            let problem = Some(problem.clone());
            self.warnings.push(Warning { origin: origin.clone(), key: key.to_string(), problem });
        }
        self.entries.push(Entry { key, value, origin });
    }
}

/// `MLV_CORE_REMOTE` for `core.remote`, and so on; an empty variable counts as unset.
fn read_environment(config: &mut Config, variables: &[(String, String)]) {
    for info in KEYS.iter().filter(|info| !info.name.starts_with("project.")) {
        let name = format!("MLV_{}", info.name.to_ascii_uppercase().replace('.', "_"));
        let value = variables.iter().find(|(known, value)| *known == name && !value.is_empty());
        if let (Some((_, text)), Some(key)) = (value, Key::plain(info.name)) {
            debug_assert!(!matches!(info.kind, Kind::Secret), "environment values are shown");
            let origin = Origin { level: Level::Environment, place: Place::Name(name) };
            config.add(key, Value::from_text(info, text), origin);
        }
    }
}
