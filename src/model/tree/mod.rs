//! Directories as search trees of pages, keyed by relative path and cut by content.
//!
//! The same set of entries always gives the same pages whatever the history, a change rewrites
//! one page and those above it, a path prefix is one contiguous range, and two trees are compared
//! by skipping equal pages (a "prolly tree", after Noms). The bytes are in docs/formats.md, "Trees".
//! Nothing here does input or output: pages come from and go to closures.

mod builder;
mod diff;
mod page;
mod read;
#[cfg(test)]
mod tests;

pub use builder::{BuildError, TreeBuilder, TreeSummary};
pub use diff::{TreeChange, diff};
pub use page::{Child, MAX_PAGE, Page, PageError, decode_page};
pub use read::{LoadPage, TreeError, find, page_ids, read_all, read_below, visit};

use crate::model::digest::Digest;

/// What an entry of a directory is. The numbers are the format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// A file that its owner may not execute.
    File = 0,
    /// A file that its owner may execute.
    Executable = 1,
    /// A symbolic link; size and hash are those of its target text.
    Symlink = 2,
    /// A folder without entries; it has no size and no hash.
    EmptyDir = 3,
}

impl EntryKind {
    fn from_byte(byte: u8) -> Option<EntryKind> {
        match byte {
            0 => Some(EntryKind::File),
            1 => Some(EntryKind::Executable),
            2 => Some(EntryKind::Symlink),
            3 => Some(EntryKind::EmptyDir),
            _ => None,
        }
    }

    /// Whether entries of this kind count in `nfiles` and `size`.
    pub fn is_file(self) -> bool {
        matches!(self, EntryKind::File | EntryKind::Executable)
    }

    /// Whether entries of this kind have contents, and so an object.
    pub fn has_object(self) -> bool {
        self != EntryKind::EmptyDir
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Path relative to the directory; of an empty folder with a slash at the end.
    pub path: Box<str>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of the file or of the target text; 0 for an empty folder.
    pub size: u64,
    /// Hash of the file or of the target text; zero for an empty folder.
    pub hash: Digest,
}

impl TreeEntry {
    /// The path without the slash that marks an empty folder.
    pub fn bare_path(&self) -> &str {
        self.path.strip_suffix('/').unwrap_or(&self.path)
    }
}

/// Most bytes of a symlink's target text.
pub const MAX_TARGET: u64 = 4095;
/// Most entries of a directory.
pub const MAX_ENTRIES: u64 = 50_000_000;
/// Largest size of a file, and largest sum of sizes.
pub const MAX_SIZE: u64 = i64::MAX as u64;
const MAX_LEVEL: u8 = 7;

/// Checks the order of paths and that none is a folder of another, over a rising sequence.
///
/// Only the lengths of earlier paths that are prefixes of the last one are kept: all strings that
/// start with `p` are neighbours in the order, so a path that stopped being a prefix never matters
/// again; and of the kept ones only one as long as the common part can newly be followed by a slash.
#[derive(Default)]
struct OrderCheck {
    last: String,
    any: bool,
    prefixes: Vec<usize>,
}

enum OrderFault {
    NotRising,
    BelowEntry,
}

impl OrderCheck {
    /// Takes the next path, of which the first `shared` bytes are known to equal the last path's
    /// and the byte after them to differ.
    fn accept(&mut self, path: &str, shared: usize) -> Result<(), OrderFault> {
        let (old, new) = (self.last.as_bytes(), path.as_bytes());
        if self.any {
            match (old.get(shared), new.get(shared)) {
                (None, Some(_)) => {}
                (Some(a), Some(b)) if a < b => {}
                _ => return Err(OrderFault::NotRising),
            }
        }
        while self.prefixes.last().is_some_and(|&len| len > shared) {
            self.prefixes.pop();
        }
        if self.prefixes.last() == Some(&shared)
            && shared > 0
            && (new[shared] == b'/' || new[shared - 1] == b'/')
        {
            return Err(OrderFault::BelowEntry);
        }
        self.prefixes.push(path.len());
        self.last.truncate(0);
        self.last.push_str(path);
        self.any = true;
        Ok(())
    }

    fn shared_with(&self, path: &str) -> usize {
        common(self.last.as_bytes(), path.as_bytes())
    }
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// Whether a stored path is right for its kind: checked, with a slash at the end only for an empty folder.
fn is_right_path(path: &str, kind: EntryKind) -> bool {
    let bare = match (kind, path.strip_suffix('/')) {
        (EntryKind::EmptyDir, Some(bare)) => bare,
        (EntryKind::EmptyDir, None) => return false,
        (_, _) => path,
    };
    crate::model::path::check_stored(bare).is_ok()
}
