//! Directories as search trees of pages, keyed by relative path and cut by content.
//!
//! The same set of entries always gives the same pages whatever the history, a change rewrites
//! one page and those above it, a path prefix is one contiguous range, and two trees are compared
//! by skipping equal pages (a "prolly tree", after Noms). The bytes are in docs/formats.md, "Trees".
//! Nothing here does input or output: pages come from and go to closures.

mod builder;
mod diff;
mod merge;
mod page;
mod read;
#[cfg(test)]
mod tests;

pub use builder::{BuildError, PageSink, TreeBuilder, TreeSummary};
pub use diff::{TreeChange, diff};
pub use merge::{MergedTree, merge};
pub use page::{Child, MAX_PAGE, Page, PageError, decode_page};
pub use read::{LoadPage, TreeError, children_below, find, page_ids, read_all, read_below, visit};

use crate::model::digest::Digest;
use crate::model::path::check_stored_after;

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
    last: Vec<u8>,
    prefixes: Vec<usize>,
}

enum OrderFault {
    NotRising,
    BelowEntry,
}

impl OrderCheck {
    /// Takes the next path: the first `shared` bytes of the last one, then `rest`, which differs from
    /// what followed them. It is the last path even if it is refused.
    fn push(&mut self, shared: usize, rest: &[u8]) -> Result<(), OrderFault> {
        let rising = match (self.last.get(shared), rest.first()) {
            (old, Some(new)) => old.is_none_or(|old| old < new),
            (_, None) => false,
        };
        while self.prefixes.pop_if(|len| *len > shared).is_some() {}
        let on_path = shared > 0 && self.prefixes.last() == Some(&shared);
        let below = on_path && (rest.first() == Some(&b'/') || self.last[shared - 1] == b'/');
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.prefixes.push(self.last.len());
        match (rising, below) {
            (false, _) => Err(OrderFault::NotRising),
            (true, true) => Err(OrderFault::BelowEntry),
            (true, false) => Ok(()),
        }
    }

    /// Bytes that `path` has in common with the last one.
    fn shared_with(&self, path: &[u8]) -> usize {
        common(&self.last, path)
    }
}

/// Bytes that `a` and `b` have in common from the start, compared eight at a time: paths of one folder
/// share most of theirs.
fn common(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = 8;
    let (words_a, words_b) = (a.chunks_exact(WORD), b.chunks_exact(WORD));
    let words = words_a.zip(words_b).take_while(|(x, y)| x == y).count() * WORD;
    words + a[words..].iter().zip(&b[words..]).take_while(|(x, y)| x == y).count()
}

/// Whether a stored path is right for its kind: checked, with a slash at the end only for an empty folder.
/// Its first `known` bytes start a path that has passed.
fn is_right_path(path: &str, known: usize, kind: EntryKind) -> bool {
    let bare = match (kind, path.strip_suffix('/')) {
        (EntryKind::EmptyDir, Some(bare)) => bare,
        (EntryKind::EmptyDir, None) => return false,
        (_, _) => path,
    };
    check_stored_after(bare, known.min(bare.len())).is_ok()
}
