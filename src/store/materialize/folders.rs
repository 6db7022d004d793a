//! Which new folders are filled out of sight and put into place as a whole.
//!
//! A rename of each new file is a fifth of what a checkout of small files costs. A folder that is not
//! there, gets many small files and no folders is made in the staging folder, its files under the names
//! that they keep; the last of them brings it into place. What stands in its way then, or stops the
//! command before, has its files go into place one by one, as all others do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::fs::place::{NewFolder, Placer, Spot};
use crate::model::path::RepoPath;
use crate::store::materialize::{Item, Materializer, Outcome};

/// Fewer files are not worth a folder of their own.
const LEAST: usize = 16;
/// A folder of more files is not kept back until the last: a crash would take all of them away.
const MOST: usize = 10_000;

/// The folders of one run.
#[derive(Default)]
pub(super) struct NewFolders {
    folders: Vec<Filling>,
    /// By item: which of them it goes to. Empty if there are none.
    of_item: Vec<Option<u32>>,
}

struct Filling {
    folder: NewFolder,
    /// Items that nothing was tried for yet.
    left: AtomicUsize,
    is_placed: AtomicBool,
}

impl NewFolders {
    /// Begins the folders that are worth it. Where one cannot be, its files tell why.
    pub(super) fn begin(owner: &Materializer<'_>, items: &[Item]) -> NewFolders {
        let mut new = NewFolders::default();
        for (path, indexes) in candidates(items, owner.cache.options().pack_below) {
            let begun = NewFolder::begin(owner.work, owner.staging, &RepoPath::own(path));
            let Ok(Some(folder)) = begun else { continue };
            new.of_item.resize(items.len(), None);
            let number = u32::try_from(new.folders.len()).ok();
            indexes.iter().for_each(|index| new.of_item[*index] = number);
            let left = AtomicUsize::new(indexes.len());
            new.folders.push(Filling { folder, left, is_placed: AtomicBool::new(false) });
        }
        new
    }

    fn filling(&self, index: usize) -> Option<&Filling> {
        let number = self.of_item.get(index).copied().flatten()?;
        self.folders.get(number as usize)
    }

    /// Where the draft of the item is made.
    pub(super) fn spot<'s>(&'s self, index: usize, item: &'s Item) -> Spot<'s> {
        self.filling(index).map_or(Spot::Alone, |filling| Spot::In(&filling.folder, &item.path))
    }

    /// Counts an item that was tried; the last of a folder brings that into place.
    pub(super) fn count(&self, owner: &Materializer<'_>, index: usize) {
        let Some(filling) = self.filling(index) else { return };
        if filling.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let is_placed = filling.folder.put(owner.work, owner.staging).is_ok();
            filling.is_placed.store(is_placed, Ordering::Release);
        }
    }

    /// Puts the files into place whose folders are not, one by one.
    pub(super) fn end(&self, owner: &Materializer<'_>, items: &[Item], outcome: &mut Outcome) {
        let is_left =
            |index: usize| self.filling(index).filter(|filling| !filling.is_placed.load(Ordering::Acquire));
        let mut placer = Placer::new(owner.work, owner.staging, owner.rescue);
        let (mut failed, mut buffer) = (Vec::new(), Vec::new());
        outcome.done.retain_mut(|(index, stamp)| {
            let Some(filling) = is_left(*index) else { return true };
            let item = &items[*index];
            let placed = placer.put_from(&filling.folder, &item.path);
            match placed.or_else(|error| owner.found(item, &mut buffer).ok_or(error)) {
                Ok(placed) => *stamp = placed,
                Err(error) => {
                    failed.push((*index, error.into()));
                    return false;
                }
            }
            true
        });
        outcome.failed.append(&mut failed);
        outcome.failed.sort_unstable_by_key(|(index, _)| *index);
    }
}

/// Folders that get only new small files, enough of them, with the indexes of these, in the order in
/// which they come first.
fn candidates(items: &[Item], pack_below: u64) -> Vec<(&str, Vec<usize>)> {
    let mut at: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<(&str, Option<Vec<usize>>)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some((folder, _)) = item.path.as_str().rsplit_once('/') else { continue };
        let number = *at.entry(folder).or_insert_with(|| {
            found.push((folder, Some(Vec::new())));
            found.len() - 1
        });
        let is_fit = item.old.is_none() && item.kind.is_file() && item.size < pack_below;
        match &mut found[number].1 {
            Some(indexes) if is_fit => indexes.push(index),
            indexes => *indexes = None,
        }
    }
    let folders: Vec<&str> = found.iter().map(|(folder, _)| *folder).collect();
    for folder in folders {
        let mut inner = folder;
        while let Some((above, _)) = inner.rsplit_once('/') {
            if let Some(number) = at.get(above) {
                found[*number].1 = None;
            }
            inner = above;
        }
    }
    let is_worth = |indexes: &Vec<usize>| (LEAST..=MOST).contains(&indexes.len());
    found.into_iter().filter_map(|(folder, indexes)| Some((folder, indexes.filter(is_worth)?))).collect()
}
