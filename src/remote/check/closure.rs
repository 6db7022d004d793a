//! Follows root records down to every file: whatever is needed has a good place.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::model::digest::{ObjectId, PackId, TreeId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::tree::{Page, decode_page};
use crate::remote::backend::Stat;
use crate::remote::catalog::Place;
use crate::remote::check::{Lost, RemoteCheck};
use crate::remote::error::Error;
use crate::remote::open::Remote;
use crate::remote::records::Root;
use crate::remote::transfer::reading::read_placed;
use crate::remote::transfer::recipes::{ALL, expand};
use crate::report::interrupted;

/// Checks what `roots` need, and returns it; records that `found` already knows to be bad count as
/// not there.
pub(crate) fn check(
    remote: &Remote,
    packs: &HashMap<PackId, Stat>,
    roots: &BTreeSet<Root>,
    found: &mut RemoteCheck,
) -> Result<HashSet<RecordKey>, Error> {
    let mut walk = Walk { remote, packs, found, seen: HashSet::new(), large: Vec::new() };
    let mut pages = Vec::new();
    for root in roots {
        match *root {
            Root::File { id, size } => walk.file(Needed { root: *root, id, size, path: "".into() })?,
            Root::Tree { id, .. } => pages.push((id, *root)),
            Root::Run(key) => {
                let key = RecordKey { hash: key.digest(), kind: RecordKind::RunRecord };
                walk.seen.insert(key);
                if !walk.is_there(key)? {
                    walk.lose(*root, key, 0, "", vec![key]);
                }
            }
        }
    }
    while !pages.is_empty() {
        pages = walk.level(pages)?;
    }
    walk.recipes()?;
    Ok(walk.seen)
}

/// A file that a root needs.
struct Needed {
    root: Root,
    id: ObjectId,
    size: u64,
    path: Box<str>,
}

struct Walk<'a> {
    remote: &'a Remote,
    packs: &'a HashMap<PackId, Stat>,
    found: &'a mut RemoteCheck,
    /// What was looked for already; each record is told of once.
    seen: HashSet<RecordKey>,
    /// Files that have to be there in chunks.
    large: Vec<Needed>,
}

impl Walk<'_> {
    /// The places of `key` in packs that are there as a whole, without those that are known to be bad.
    fn places(&self, key: RecordKey) -> Vec<Place> {
        let catalog = &self.remote.catalog;
        let is_good = |place: &Place| {
            let (id, len) = catalog.pack(place.pack);
            self.packs.get(&id).is_some_and(|stat| stat.size == len) && !self.is_bad(key, id)
        };
        catalog.places(key).filter(is_good).collect()
    }

    fn is_bad(&self, key: RecordKey, pack: PackId) -> bool {
        let kinds = match key.kind {
            RecordKind::File | RecordKind::Chunk => &[RecordKind::File, RecordKind::Chunk][..],
            other => &[other],
        };
        kinds.iter().any(|kind| self.found.bad.contains(&(RecordKey { kind: *kind, ..key }, pack)))
    }

    /// Whether the record has a good place. One that somebody noted as damaged is read.
    fn is_there(&mut self, key: RecordKey) -> Result<bool, Error> {
        if self.remote.collection.noted(&key.hash).is_none() {
            return Ok(!self.places(key).is_empty());
        }
        Ok(!self.read(&[key])?.is_empty())
    }

    /// The bytes of those of `keys` that are good somewhere.
    fn read(&mut self, keys: &[RecordKey]) -> Result<HashMap<RecordKey, Vec<u8>>, Error> {
        let mut open: Vec<RecordKey> = keys.to_vec();
        let came = Mutex::new(HashMap::new());
        while !open.is_empty() {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let placed = open.iter().filter_map(|key| Some((*key, *self.places(*key).first()?)));
            let failed = read_placed(self.remote, placed.collect(), &|key, raw| {
                came.lock().unwrap_or_else(PoisonError::into_inner).insert(key, raw.to_vec());
            })?;
            open = failed.iter().map(|(key, _)| *key).collect();
            self.found.bad.extend(failed);
        }
        Ok(came.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn lose(&mut self, root: Root, key: RecordKey, size: u64, path: &str, parts: Vec<RecordKey>) {
        let lost = Lost { key, size, path: path.into(), parts };
        self.found.lost.entry(root).or_default().push(lost);
    }

    /// Checks pages and what they list; returns the pages below.
    fn level(&mut self, mut pages: Vec<(TreeId, Root)>) -> Result<Vec<(TreeId, Root)>, Error> {
        let key_of = |id: TreeId| RecordKey { hash: id.digest(), kind: RecordKind::TreePage };
        pages.retain(|(id, _)| self.seen.insert(key_of(*id)));
        let keys: Vec<RecordKey> = pages.iter().map(|(id, _)| key_of(*id)).collect();
        let came = self.read(&keys)?;
        let mut below = Vec::new();
        for (id, root) in pages {
            let key = key_of(id);
            match came.get(&key).map(|bytes| decode_page(bytes)) {
                Some(Ok(Page::Inner { children, .. })) => {
                    below.extend(children.iter().map(|child| (child.id, root)));
                }
                Some(Ok(Page::Leaf(entries))) => {
                    for entry in entries.into_iter().filter(|entry| entry.kind.has_object()) {
                        self.file(Needed {
                            root,
                            id: entry.hash.into(),
                            size: entry.size,
                            path: entry.path,
                        })?;
                    }
                }
                // The bytes are what the name says, and still no page: whoever wrote it erred.
                Some(Err(_)) | None => self.lose(root, key, 0, "", vec![key]),
            }
        }
        Ok(below)
    }

    fn file(&mut self, needed: Needed) -> Result<(), Error> {
        let key = RecordKey { hash: needed.id.digest(), kind: RecordKind::File };
        if !self.seen.insert(key) || self.is_there(key)? {
            return Ok(());
        }
        self.large.push(needed);
        Ok(())
    }

    /// Checks the files that are not there as one record.
    fn recipes(&mut self) -> Result<(), Error> {
        let large = std::mem::take(&mut self.large);
        let recipe_of = |id: ObjectId| RecordKey { hash: id.digest(), kind: RecordKind::Recipe };
        let keys: Vec<RecordKey> = large.iter().map(|needed| recipe_of(needed.id)).collect();
        let came = self.read(&keys)?;
        for needed in large {
            let recipe = recipe_of(needed.id);
            self.seen.insert(recipe);
            let parts = match came.get(&recipe) {
                Some(bytes) => self.missing_chunks(&needed, bytes)?,
                None => vec![recipe],
            };
            if !parts.is_empty() {
                let key = RecordKey { kind: RecordKind::File, ..recipe };
                self.lose(needed.root, key, needed.size, &needed.path, parts);
            }
        }
        Ok(())
    }

    fn missing_chunks(&mut self, needed: &Needed, recipe: &[u8]) -> Result<Vec<RecordKey>, Error> {
        let on = (self.remote.backend(), &self.remote.catalog);
        let places = |key| self.places(key);
        let Some(whole) = expand(on, &places, (needed.id, needed.size), recipe, ALL)? else {
            return Ok(vec![RecordKey { hash: needed.id.digest(), kind: RecordKind::Recipe }]);
        };
        self.seen.extend(whole.pages.iter().map(|(key, _)| *key));
        let mut missing = Vec::new();
        for chunk in whole.chunks {
            let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
            self.seen.insert(key);
            if !self.is_there(key)? {
                missing.push(key);
            }
        }
        Ok(missing)
    }
}
