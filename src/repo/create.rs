//! Making a folder a project.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, ProjectId, find_root};
use crate::config::{ConfigFile, Edit, FILE_NAME, Key, Level, Sources, Value, apply};
use crate::fs::dir::{Dir, OWN_FOLDER};
use crate::fs::lock::Patience;
use crate::fs::{atomic, ignore::IGNORE_FILE};
use crate::git::merge_driver::{self, ATTRIBUTES_FILE};
use crate::git::repo::GitRepo;
use crate::model::path::RepoPath;

/// How a project is made.
#[derive(Clone, Debug, Default)]
pub struct Creation {
    /// Without git.
    pub no_scm: bool,
    /// As a project of its own inside of another.
    pub subdir: bool,
    /// Also where there is one: what is missing is added, nothing is replaced.
    pub force: bool,
    /// Whether only to say what would be made.
    pub dry_run: bool,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The project's root, absolute.
    pub root: PathBuf,
    /// The files that were written, relative to the root, sorted.
    pub files: Vec<String>,
    /// Whether the project was there before.
    pub existed: bool,
    /// Whether a git repository tracks the files.
    pub has_git: bool,
}

const GITIGNORE: &str = "\
# Everything here belongs to this clone alone, but for the project's configuration.
/*
!/.gitignore
!/config.toml
";

const CONFIG: &str = "\
# mlv's settings for everybody who works on this project. Settings of your own, and
# credentials, go into config.local.toml: mlv config --local KEY VALUE
";

const MLVIGNORE: &str = "\
# What mlv leaves out of tracked directories; the patterns of gitignore(5).
.DS_Store
Thumbs.db
.ipynb_checkpoints/
__pycache__/
";

/// Makes the existing folder `folder` a project.
///
/// The configuration is written last: a project that has one is complete, and after a crash the
/// same call finishes the work. Fails with `AlreadyInitialized` or `InsideAnother`, with `NoGit`
/// outside of git, and with `Bare` in a repository without a work tree.
pub fn create(folder: &Path, creation: &Creation, sources: Sources) -> Result<Created, Error> {
    let root = folder.canonicalize().map_err(crate::fs::at(folder, "open"))?;
    let existed = root.join(OWN_FOLDER).join(FILE_NAME).is_file();
    check_place(&root, existed, creation)?;
    let has_git = check_git(&root, creation)?;
    let sources = Sources { project: Some(root.join(OWN_FOLDER)), ..sources };
    let settings = missing_settings(creation, &sources)?;
    if creation.dry_run {
        let mut files = missing_files(&root, !settings.is_empty());
        if has_git && merge_driver::missing_attributes(&Dir::open(&root)?)?.is_some() {
            files.insert(0, ATTRIBUTES_FILE.to_owned());
        }
        return Ok(Created { root, files, existed, has_git });
    }
    let dir = Dir::open(&root)?;
    let mlv = Arc::new(dir.create_own()?);
    let dir = dir.with_temp_home(mlv.clone());
    let mut files = Vec::new();
    if write_new(&mlv, &RepoPath::own(crate::git::ignore::FILE_NAME), GITIGNORE)? {
        files.push(format!("{OWN_FOLDER}/{}", crate::git::ignore::FILE_NAME));
    }
    if write_new(&dir, &RepoPath::own(IGNORE_FILE), MLVIGNORE)? {
        files.push(IGNORE_FILE.to_owned());
    }
    if has_git && merge_driver::complete_attributes(&dir)? {
        files.push(ATTRIBUTES_FILE.to_owned());
    }
    if write_config(&mlv, settings, &sources)? {
        files.push(format!("{OWN_FOLDER}/{FILE_NAME}"));
    }
    files.sort();
    Ok(Created { root, files, existed, has_git })
}

fn check_place(root: &Path, existed: bool, creation: &Creation) -> Result<(), Error> {
    if existed {
        return if creation.force {
            Ok(())
        } else {
            Err(Error::AlreadyInitialized { root: root.to_path_buf() })
        };
    }
    match root.parent().map(find_root) {
        Some(Ok(outer)) if !creation.subdir => {
            Err(Error::InsideAnother { folder: root.to_path_buf(), root: outer })
        }
        _ => Ok(()),
    }
}

/// Whether git is there; an error if it should be and is not.
fn check_git(root: &Path, creation: &Creation) -> Result<bool, Error> {
    if creation.no_scm {
        return Ok(false);
    }
    match GitRepo::discover(root)? {
        None => Err(Error::NoGit { folder: root.to_path_buf() }),
        Some(git) if git.is_bare() => Err(Error::Bare { git_dir: git.git_dir().to_path_buf() }),
        Some(_) => Ok(true),
    }
}

/// Writes a file unless there is one.
fn write_new(dir: &Dir, path: &RepoPath, text: &str) -> Result<bool, Error> {
    if dir.stat(path)?.is_some() {
        return Ok(false);
    }
    atomic::write(dir, path, text.as_bytes(), None)?;
    Ok(true)
}

/// The files that would be written, relative to the root, sorted.
fn missing_files(root: &Path, lacks_settings: bool) -> Vec<String> {
    let (config, ignore) =
        (format!("{OWN_FOLDER}/{FILE_NAME}"), format!("{OWN_FOLDER}/{}", crate::git::ignore::FILE_NAME));
    let is_missing = |file: &String| root.join(file).symlink_metadata().is_err();
    let mut files = vec![ignore, config.clone(), IGNORE_FILE.to_owned()];
    files.retain(|file| is_missing(file) || *file == config && lacks_settings);
    files
}

/// What the project's configuration lacks.
fn missing_settings(creation: &Creation, sources: &Sources) -> Result<Vec<Edit>, Error> {
    let config = crate::config::Config::load(sources)?;
    let mut edits = Vec::new();
    let mut set = |key: &str, value: Value| -> Result<(), Error> {
        let key = Key::parse(key)?;
        if config.get_at(&key, Level::Project).is_none() {
            edits.push(Edit::Set(key, value));
        }
        Ok(())
    };
    set("project.version", Value::Integer(1))?;
    set("project.id", Value::Text(ProjectId::random().to_string()))?;
    if creation.no_scm {
        set("core.no_scm", Value::Bool(true))?;
    }
    Ok(edits)
}

/// Writes the configuration, or adds to it what it lacks.
fn write_config(mlv: &Dir, edits: Vec<Edit>, sources: &Sources) -> Result<bool, Error> {
    let path = RepoPath::own(FILE_NAME);
    if mlv.stat(&path)?.is_none() {
        // One write, so that no crash leaves a configuration without an id.
        let text = crate::config::edited(CONFIG, &edits);
        atomic::write(mlv, &path, text.as_bytes(), None)?;
        return Ok(true);
    }
    let file = ConfigFile::of(sources, Level::Project)?;
    Ok(apply(&[(file, edits)], &Patience::NONE)?.contains(&true))
}
