//! Whether a file of the work tree is linked as a new one would be.

use std::os::unix::fs::MetadataExt;

use super::{Item, Materializer};
use crate::fs::link::LinkMode;
use crate::fs::stamp::FileKind;
use crate::model::object::{RecordKey, RecordKind};
use crate::store::layout::loose_path;

impl Materializer<'_> {
    /// Whether what was found at the item's path, whose bytes are right, is what putting the item
    /// there would make: a name of the cache's file, a link to it, or bytes of its own.
    ///
    /// Which bytes share blocks no system call tells: where `reflink` is in use the answer is no.
    pub fn is_linked_right(&self, item: &Item) -> bool {
        let Some(found) = item.old.as_ref().map(|old| old.stamp) else { return false };
        let key = RecordKey { hash: item.hash, kind: RecordKind::File };
        // What is packed can only be copied.
        let Ok(Some(source)) = self.cache.open_loose(key) else { return found.kind == FileKind::File };
        let is_same = source.metadata().is_ok_and(|it| (it.dev(), it.ino()) == (found.dev, found.inode));
        match self.link_of(item.kind, &source) {
            LinkMode::Copy => found.kind == FileKind::File && !is_same,
            LinkMode::Hardlink => is_same,
            LinkMode::Symlink => {
                let object =
                    self.cache.dir().and_then(|dir| std::path::absolute(dir.full(&loose_path(key))).ok());
                let target = self.work.read_link(&item.path).ok();
                object
                    .is_some_and(|object| target.is_some_and(|target| object.as_os_str() == target.as_str()))
            }
            LinkMode::Reflink => false,
        }
    }
}
