//! A list of records and files that somebody needs: what a push must have on the remote, what
//! a fetch must bring.

use std::collections::HashMap;

use crate::chunk::cdc::WHOLE;
use crate::model::digest::{Digest, ObjectId, RunKey, TreeId};
use crate::model::object::{RecordKey, RecordKind};

/// Files of one kind, as far as compression goes: those with one extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

/// One record or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its name. `File` stands for a file of any size, whatever records hold it.
    pub key: RecordKey,
    /// Its length in bytes as its parent has it; 0 where that does not tell (pages).
    pub size: u64,
    /// Its extension, numbered.
    pub class: Class,
}

impl Want {
    /// Whether this is a file that is sent in chunks.
    pub fn is_chunked(&self) -> bool {
        self.key.kind == RecordKind::File && self.size > WHOLE
    }
}

/// Wants in the order in which they were added; one may be added twice.
#[derive(Clone, Debug, Default)]
pub struct WantList {
    wants: Vec<Want>,
    classes: HashMap<Box<str>, Class>,
    /// By number.
    extensions: Vec<Box<str>>,
}

impl WantList {
    /// An empty list.
    pub fn new() -> WantList {
        WantList::default()
    }

    /// Adds a page of a tree.
    pub fn page(&mut self, id: TreeId) {
        self.record(RecordKey { hash: id.digest(), kind: RecordKind::TreePage });
    }

    /// Adds a file or the target text of a symlink; only the extension of `path` matters.
    pub fn file(&mut self, id: ObjectId, size: u64, path: &str) {
        let class = self.class(path);
        self.wants.push(Want { key: RecordKey { hash: id.digest(), kind: RecordKind::File }, size, class });
    }

    /// Adds a run record.
    pub fn run(&mut self, key: RunKey) {
        self.record(RecordKey { hash: key.digest(), kind: RecordKind::RunRecord });
    }

    /// Adds a record of a size that is not known.
    pub fn record(&mut self, key: RecordKey) {
        self.wants.push(Want { key, size: 0, class: Class::default() });
    }

    /// The wants, in order.
    pub fn wants(&self) -> &[Want] {
        &self.wants
    }

    /// The number of wants.
    pub fn len(&self) -> usize {
        self.wants.len()
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }

    /// What a want's sample for compression is kept under: its extension, or its kind.
    pub fn extension(&self, want: &Want) -> &str {
        match (want.key.kind, want.class) {
            (RecordKind::File, Class(0)) => "",
            (RecordKind::File, Class(number)) => {
                self.extensions.get(usize::from(number) - 1).map_or("", |text| text)
            }
            // No extension holds a slash.
            _ => "/structure",
        }
    }

    fn class(&mut self, path: &str) -> Class {
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some((_, extension)) = name.rsplit_once('.') else { return Class::default() };
        if let Some(class) = self.classes.get(extension) {
            return *class;
        }
        // Where there are more extensions than numbers, the last ones share a sample with "none".
        let Ok(number) = u16::try_from(self.classes.len() + 1) else { return Class::default() };
        let class = Class(number);
        self.classes.insert(extension.into(), class);
        self.extensions.push(extension.into());
        class
    }
}

impl FromIterator<RecordKey> for WantList {
    fn from_iter<I: IntoIterator<Item = RecordKey>>(keys: I) -> WantList {
        let mut list = WantList::new();
        keys.into_iter().for_each(|key| list.record(key));
        list
    }
}

/// The positions 0 to `count`, sorted by the digest at each.
///
/// Sorts by the first eight bytes, which decide nearly always: three times as fast as by all.
pub(crate) fn order_by_digest<'a>(count: usize, digest: impl Fn(u32) -> &'a Digest) -> Vec<u32> {
    let start = |digest: &Digest| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_be_bytes(bytes)
    };
    let count = u32::try_from(count).expect("a list of wants has at most 50 M entries, a tree's limit");
    let mut order: Vec<(u64, u32)> = (0..count).map(|index| (start(digest(index)), index)).collect();
    order.sort_unstable();
    // Different digests with one start can be made on purpose, and equal ones must be neighbours.
    for run in order.chunk_by_mut(|a, b| a.0 == b.0).filter(|run| run.len() > 1) {
        run.sort_by_key(|(_, index)| digest(*index));
    }
    order.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_extension_is_one_class() {
        let mut list = WantList::new();
        let id = ObjectId(Digest::of(b""));
        for path in ["a/b.csv", "c.csv", "d.e/plain", "x.CSV", ".hidden"] {
            list.file(id, 1, path);
        }
        let classes: Vec<u16> = list.wants().iter().map(|want| want.class.0).collect();
        assert_eq!(classes, [1, 1, 0, 2, 3]);
        let extensions: Vec<&str> = list.wants().iter().map(|want| list.extension(want)).collect();
        assert_eq!(extensions, ["csv", "csv", "", "CSV", "hidden"]);
    }

    #[test]
    fn order_is_by_all_bytes_also_where_the_first_eight_are_equal() {
        let digest = |last: u8| {
            let mut bytes = [9; 32];
            bytes[31] = last;
            Digest::from_bytes(bytes)
        };
        let digests = [digest(3), digest(1), digest(3), digest(2), digest(1), Digest::from_bytes([8; 32])];
        let order = order_by_digest(digests.len(), |index| &digests[index as usize]);
        assert_eq!(order, [5, 1, 4, 3, 0, 2]);
    }
}
