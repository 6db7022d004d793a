//! `cache dir`: where the cache lies.

use crate::config::{self, Edit, Key, Level};
use crate::ops::remote::stored_place;
use crate::ops::{OpError, surroundings::Surroundings};

/// What to do with the cache folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheDirAction {
    /// Say where it is.
    #[default]
    Show,
    /// Set it to this folder, relative to the current one.
    Set(String),
    /// Go back to the default.
    Unset,
}

/// What to do, and at which level.
#[derive(Clone, Debug, Default)]
pub struct CacheDirOptions {
    /// What to do.
    pub action: CacheDirAction,
    /// The level that is written; the project's if none.
    pub level: Option<Level>,
    /// Check only.
    pub dry_run: bool,
}

/// Where the cache lies.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CacheDirReport {
    /// The folder, absolute; after a change the new one. Data is not moved.
    pub dir: String,
    /// The file that was changed, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Shows or changes the cache folder.
pub fn run(around: &Surroundings<'_>, options: &CacheDirOptions) -> Result<CacheDirReport, OpError> {
    let repo = around.repo()?;
    let shown = |dir: std::path::PathBuf| dir.display().to_string();
    let key = Key::parse("cache.dir")?;
    let file = around.config_file(options.level)?;
    let edit = match &options.action {
        CacheDirAction::Show => {
            return Ok(CacheDirReport { dir: shown(repo.cache_dir()?), file: None, dry_run: false });
        }
        CacheDirAction::Set(folder) => {
            let place = stored_place(&repo, folder);
            Edit::Set(key.clone(), file.check(&key, &place)?)
        }
        CacheDirAction::Unset => Edit::Unset(key),
    };
    let path = Some(file.path().display().to_string());
    if !options.dry_run {
        around.patiently(|patience| config::apply(&[(file, vec![edit])], patience))?;
        // Who names the folder means it as it is.
        if let CacheDirAction::Set(folder) = &options.action {
            repo.forget_cache(&repo.place(stored_place(&repo, folder)))?;
        }
    }
    let dir = match &options.action {
        CacheDirAction::Set(folder) if options.dry_run => shown(repo.place(stored_place(&repo, folder))),
        // Read again: a stronger layer may still decide otherwise.
        _ => shown(around.repo()?.cache_dir()?),
    };
    Ok(CacheDirReport { dir, file: path, dry_run: options.dry_run })
}
