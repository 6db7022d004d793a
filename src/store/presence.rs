//! What a cache holds, asked about many records at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fs::dir::Dir;
use crate::model::digest::Digest;
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::store::layout::{self, loose_path};
use crate::store::packed::{self, Packed};

/// The contents of a cache at one moment.
///
/// Packed records are looked up in the segments as they were read, with nothing allocated for
/// each. Of loose ones the first few are looked for one by one; then the folder that each would
/// lie in is listed once, if there is one.
pub struct Presence {
    dir: Option<Arc<Dir>>,
    packed: Option<Arc<Packed>>,
    loose: Mutex<Loose>,
}

#[derive(Debug, Default)]
struct Loose {
    asked: usize,
    /// By folder: the first bytes that there are folders for.
    folders: HashMap<&'static str, HashSet<u8>>,
    /// By folder and first byte of the hash: the rest of the hashes.
    listed: HashMap<(&'static str, u8), HashSet<[u8; 31]>>,
}

/// So many loose records are looked for one by one: listing a folder costs about as much.
const ONE_BY_ONE: usize = 16;

impl Presence {
    pub(super) fn new(dir: Option<Arc<Dir>>, packed: Option<Arc<Packed>>) -> Presence {
        Presence { dir, packed, loose: Mutex::default() }
    }

    /// Whether the cache held the record, or one that serves for it.
    pub fn has(&self, key: RecordKey) -> bool {
        self.packed.as_ref().is_some_and(|packed| packed.contains(key)) || self.has_loose(key)
    }

    /// Whether it held the object with these bytes.
    pub fn has_object(&self, hash: Digest) -> bool {
        self.has(RecordKey { hash, kind: RecordKind::File })
    }

    /// Whether it held the record, and if in a file of its own, one of `len` bytes: a crash of the
    /// machine may have cut it short.
    pub fn has_whole(&self, key: RecordKey, len: u64) -> bool {
        if self.packed.as_ref().is_some_and(|packed| packed.contains(key)) {
            return true;
        }
        let Some(dir) = &self.dir else { return false };
        self.has_loose(key) && matches!(dir.stat(&loose_path(key)), Ok(Some(stamp)) if stamp.size == len)
    }

    fn has_loose(&self, key: RecordKey) -> bool {
        let Some(dir) = &self.dir else { return false };
        let mut loose = self.loose.lock().unwrap_or_else(PoisonError::into_inner);
        loose.asked += 1;
        if loose.asked <= ONE_BY_ONE {
            return matches!(dir.stat(&loose_path(key)), Ok(Some(_)));
        }
        let (first, rest) = key.hash.as_bytes().split_first().unwrap_or((&0, &[]));
        let folder = layout::folder(key.kind);
        let Loose { folders, listed, .. } = &mut *loose;
        folders.entry(folder).or_insert_with(|| first_bytes(dir, folder)).contains(first)
            && listed.entry((folder, *first)).or_insert_with(|| list(dir, folder, *first)).contains(rest)
    }
}

fn first_bytes(dir: &Dir, folder: &str) -> HashSet<u8> {
    let names = packed::names(dir, &RepoPath::own(folder));
    names.iter().filter_map(|name| u8::from_str_radix(name, 16).ok()).collect()
}

fn list(dir: &Dir, folder: &str, first: u8) -> HashSet<[u8; 31]> {
    let names = packed::names(dir, &RepoPath::own(&format!("{folder}/{first:02x}")));
    let rest_of = |name: &String| -> Option<[u8; 31]> {
        let digest: Digest = format!("{first:02x}{name}").parse().ok()?;
        digest.as_bytes()[1..].try_into().ok()
    };
    names.iter().filter_map(rest_of).collect()
}
