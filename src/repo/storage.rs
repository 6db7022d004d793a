//! The cache and the stat index of a project.

use std::path::Path;

use super::{Error, Repo};
use crate::config::Level;
use crate::fs::dir::Dir;
use crate::fs::link::LinkMode;
use crate::model::digest::Digest;
use crate::model::path::RepoPath;
use crate::store::statindex::{StatIndex, StatIndexUpdate};
use crate::store::{Cache, CacheOptions, Trust};

/// The stat index, below mlv's own folder.
const INDEX_FILE: &str = "index";
/// Files under construction, below mlv's own folder.
const TEMPORARY_FOLDER: &str = "tmp";

/// The file, below mlv's own folder, that says that a cache was in the folder `place`.
fn seen_name(place: &Path) -> String {
    let digest = Digest::of(place.as_os_str().as_encoded_bytes()).to_string();
    format!("cache-seen-{}", &digest[..16])
}

impl Repo {
    /// The cache, opened when it is first asked for; made by the first write into it.
    pub fn cache(&self) -> Result<&Cache, Error> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let cache = Cache::open(&self.cache_dir()?, self.cache_options()?)?;
        Ok(self.cache.get_or_init(|| cache))
    }

    /// The cache's options as the configuration has them.
    pub(super) fn cache_options(&self) -> Result<CacheOptions, Error> {
        let mut options = CacheOptions::default();
        if let Some(pack_below) = self.config.pack_below()? {
            options.pack_below = pack_below;
        }
        let links: Vec<LinkMode> =
            self.config.link_types()?.iter().filter_map(|word| word.parse().ok()).collect();
        if !links.is_empty() {
            options.links = links;
        }
        if self.config.is_cache_shared()? {
            options.trust = Trust::Group;
        }
        // A variable is for one run, a tracked folder lies in the work tree.
        let own = [Level::System, Level::User, Level::Local];
        if self.config.cache_dir()?.is_some_and(|(_, origin)| own.contains(&origin.level())) {
            options.seen = Some(self.mlv.path().join(seen_name(&self.cache_dir()?)));
        }
        Ok(options)
    }

    /// Lets a cache begin anew in the folder `place`, also if there was one before.
    pub fn forget_cache(&self, place: &Path) -> Result<(), Error> {
        let name = RepoPath::own(&seen_name(place));
        if self.mlv.stat(&name)?.is_some() {
            self.mlv.remove_file(&name)?;
        }
        Ok(())
    }

    /// The folder for files under construction, on the file system of the work tree.
    pub fn temporary(&self) -> Result<Dir, Error> {
        let folder = RepoPath::own(TEMPORARY_FOLDER);
        self.mlv.create_dir_all(&folder)?;
        Ok(self.mlv.open_dir(&folder)?)
    }

    /// What is known of the files of the work tree; empty where nothing is.
    pub fn stat_index(&self) -> StatIndex {
        StatIndex::load(&self.mlv, &RepoPath::own(INDEX_FILE))
    }

    /// Merges what a command learned into the stat index.
    pub fn save_stat_index(&self, old: &StatIndex, update: StatIndexUpdate) -> Result<(), Error> {
        Ok(update.save(old, &self.mlv, &RepoPath::own(INDEX_FILE))?)
    }
}
