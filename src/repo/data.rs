//! What a project knows of its data: the cache, the stat index, how long to wait for others.

use crate::fs::link::LinkMode;
use crate::model::path::RepoPath;
use crate::repo::{Error, Repo, own};
use crate::store::statindex::{StatIndex, StatIndexUpdate};
use crate::store::{Cache, CacheOptions, Trust};

/// The stat index, below mlv's own folder.
const INDEX_FILE: &str = "index";

impl Repo {
    /// The cache, opened when it is first asked for; the first write makes its folder.
    pub fn cache(&self) -> Result<&Cache, Error> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let cache = Cache::open(&self.cache_dir()?, self.cache_options()?).map_err(Box::new)?;
        Ok(self.cache.get_or_init(|| cache))
    }

    fn cache_options(&self) -> Result<CacheOptions, Error> {
        let defaults = CacheOptions::default();
        let words = self.config.link_types()?;
        let links: Vec<LinkMode> = words.iter().filter_map(|word| word.parse().ok()).collect();
        Ok(CacheOptions {
            pack_below: self.config.pack_below()?.unwrap_or(defaults.pack_below),
            links: if links.is_empty() { defaults.links } else { links },
            trust: if self.config.is_cache_shared()? { Trust::Group } else { Trust::Own },
            ..defaults
        })
    }

    /// What is remembered of the hashes of files; empty if that cannot be read.
    pub fn stat_index(&self) -> StatIndex {
        StatIndex::load(&self.mlv, &index_path())
    }

    /// Merges `update` into `old` and replaces the stat index.
    ///
    /// It only saves time: in a work tree that cannot be written, the failure is the caller's to ignore.
    pub fn save_stat_index(&self, old: &StatIndex, update: StatIndexUpdate) -> Result<(), Error> {
        Ok(update.save(old, &self.mlv, &index_path())?)
    }
}

fn index_path() -> RepoPath {
    own(INDEX_FILE)
}
