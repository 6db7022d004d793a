//! Builds the pages of a tree from its entries in one pass.

use crate::model::digest::{Digest, Domain, TreeId};
use crate::model::tree::page::{self, Child};
use crate::model::tree::{
    EntryKind, MAX_ENTRIES, MAX_LEVEL, MAX_SIZE, MAX_TARGET, OrderCheck, OrderFault, TreeEntry, is_right_path,
};

/// A page is not cut below this size, in bytes.
const MIN_CUT: usize = 16 << 10;
/// A page is cut before it would pass this size, in bytes.
const MAX_CUT: usize = 256 << 10;
/// 2^32 / 48 KiB: an entry of n bytes ends a page with probability n / 48 KiB, so that pages close on
/// average 48 KiB after their first 16, however long the paths.
const CUT_PER_BYTE: u64 = 87_381;

/// What a whole tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSummary {
    /// The tree's name: that of its root page.
    pub id: TreeId,
    /// Entries of all kinds.
    pub entries: u64,
    /// Files.
    pub nfiles: u64,
    /// Bytes of those files.
    pub size: u64,
    /// Pages.
    pub pages: u64,
}

/// Why entries make no tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError<E> {
    /// A path that is not stored in trees, or not of this kind of entry.
    #[error("`{path}` cannot stand in a directory")]
    Path {
        /// The path.
        path: Box<str>,
    },
    /// An entry that is not behind the one before it.
    #[error("`{path}` is out of order")]
    Order {
        /// The path.
        path: Box<str>,
    },
    /// An entry below another that is no folder.
    #[error("`{path}` lies below another entry")]
    BelowEntry {
        /// The path.
        path: Box<str>,
    },
    /// A size, count or depth over the limits.
    #[error("`{path}` passes a limit of directories")]
    Limit {
        /// The path.
        path: Box<str>,
    },
    /// The page could not be handed on.
    #[error(transparent)]
    Sink(E),
}

/// Receives each finished page and its name.
pub type PageSink<'a, E> = dyn FnMut(TreeId, &[u8]) -> Result<(), E> + 'a;

/// Takes entries in rising order of path and hands each finished page to a sink.
pub struct TreeBuilder<'a, E> {
    sink: &'a mut PageSink<'a, E>,
    levels: Vec<Level>,
    order: OrderCheck,
    summary: TreeSummary,
}

/// The page being filled on one level.
struct Level {
    page: Vec<u8>,
    count: u32,
    first: Box<str>,
    sums: (u64, u64, u64),
    closed: u64,
    last_closed: TreeId,
}

impl Level {
    fn new(level: u8) -> Level {
        let mut page = Vec::with_capacity(MAX_CUT);
        page::put_header(&mut page, level);
        Level {
            page,
            count: 0,
            first: "".into(),
            sums: (0, 0, 0),
            closed: 0,
            last_closed: TreeId(Digest::ZERO),
        }
    }
}

/// What goes into a page: an entry into a leaf, a child into an inner page.
enum Item<'i> {
    /// With the number of bytes that its path shares with the one before.
    Entry(&'i TreeEntry, usize),
    Child(&'i Child),
}

impl Item<'_> {
    fn path(&self) -> &str {
        match self {
            Item::Entry(entry, _) => &entry.path,
            Item::Child(child) => &child.first,
        }
    }

    fn sums(&self) -> (u64, u64, u64) {
        match self {
            Item::Entry(entry, _) if entry.kind.is_file() => (1, 1, entry.size),
            Item::Entry(..) => (1, 0, 0),
            Item::Child(child) => (child.entries, child.files, child.bytes),
        }
    }

    fn put(&self, level: &mut Level) {
        match self {
            Item::Entry(entry, shared) => {
                let shared = if level.count == 0 { 0 } else { *shared };
                page::put_leaf_entry(&mut level.page, shared, entry);
            }
            Item::Child(child) => page::put_child(&mut level.page, child),
        }
    }
}

impl<'a, E> TreeBuilder<'a, E> {
    /// A builder of an empty directory; pages go to `sink` with their names.
    pub fn new(sink: &'a mut PageSink<'a, E>) -> TreeBuilder<'a, E> {
        let summary = TreeSummary { id: TreeId(Digest::ZERO), entries: 0, nfiles: 0, size: 0, pages: 0 };
        TreeBuilder { sink, levels: vec![Level::new(0)], order: OrderCheck::default(), summary }
    }

    /// Adds the next entry.
    ///
    /// Fails if its path is unsafe, not behind the last one, or below an entry that is no folder.
    pub fn push(&mut self, entry: &TreeEntry) -> Result<(), BuildError<E>> {
        let path = || entry.path.clone();
        let shared = self.order.shared_with(entry.path.as_bytes());
        if !is_right_path(&entry.path, shared, entry.kind) {
            return Err(BuildError::Path { path: path() });
        }
        self.order.push(shared, &entry.path.as_bytes()[shared..]).map_err(|fault| match fault {
            OrderFault::NotRising => BuildError::Order { path: path() },
            OrderFault::BelowEntry => BuildError::BelowEntry { path: path() },
        })?;
        let target_fits = entry.kind != EntryKind::Symlink || (1..=MAX_TARGET).contains(&entry.size);
        self.summary.entries += 1;
        if entry.kind.is_file() {
            self.summary.nfiles += 1;
            self.summary.size = self.summary.size.saturating_add(entry.size);
        }
        if !target_fits || self.summary.entries > MAX_ENTRIES || self.summary.size > MAX_SIZE {
            return Err(BuildError::Limit { path: path() });
        }
        self.put(0, &Item::Entry(entry, shared))
    }

    /// Ends the tree, hands on the pages still open, and tells the tree's name.
    pub fn finish(mut self) -> Result<TreeSummary, BuildError<E>> {
        let mut at = 0;
        loop {
            let level = &self.levels[at];
            if level.closed > 0 && level.count > 0 {
                self.close(at)?;
            }
            let level = &mut self.levels[at];
            match level.closed {
                0 => {
                    self.summary.id = emit(level, self.sink)?;
                    self.summary.pages += 1;
                    return Ok(self.summary);
                }
                // A level of one page is the root: the level above was opened for nothing.
                1 => {
                    self.summary.id = level.last_closed;
                    return Ok(self.summary);
                }
                _ => at += 1,
            }
        }
    }

    fn put(&mut self, at: usize, item: &Item<'_>) -> Result<(), BuildError<E>> {
        let before = self.levels[at].page.len();
        item.put(&mut self.levels[at]);
        if self.levels[at].page.len() > MAX_CUT {
            self.levels[at].page.truncate(before);
            self.close(at)?;
            return self.put(at, item);
        }
        let level = &mut self.levels[at];
        if level.count == 0 {
            level.first = item.path().into();
        }
        level.count += 1;
        let sums = item.sums();
        level.sums = (level.sums.0 + sums.0, level.sums.1 + sums.1, level.sums.2 + sums.2);
        let len = level.page.len();
        // The hash is asked for only where the size allows a cut at all.
        if len >= MIN_CUT && u64::from(cut_word(item.path(), at)) < CUT_PER_BYTE * (len - before) as u64 {
            self.close(at)?;
        }
        Ok(())
    }

    /// Ends the page of a level and records it one level up.
    fn close(&mut self, at: usize) -> Result<(), BuildError<E>> {
        let level = &mut self.levels[at];
        let id = emit(level, self.sink)?;
        level.closed += 1;
        level.last_closed = id;
        let (entries, files, bytes) = std::mem::take(&mut level.sums);
        let child = Child { first: std::mem::take(&mut level.first), id, entries, files, bytes };
        level.count = 0;
        page::put_header(&mut level.page, at as u8);
        self.summary.pages += 1;
        if self.levels.len() == at + 1 {
            if at == usize::from(MAX_LEVEL) {
                return Err(BuildError::Limit { path: child.first });
            }
            self.levels.push(Level::new(at as u8 + 1));
        }
        self.put(at + 1, &Item::Child(&child))
    }
}

fn emit<E>(level: &mut Level, sink: &mut PageSink<'_, E>) -> Result<TreeId, BuildError<E>> {
    page::set_count(&mut level.page, level.count);
    let id = TreeId(Digest::of_domain(Domain::TreePage, &level.page));
    sink(id, &level.page).map_err(BuildError::Sink)?;
    Ok(id)
}

fn cut_word(path: &str, level: usize) -> u32 {
    let hash = Digest::of(path.as_bytes());
    let bytes = &hash.as_bytes()[4 * level..4 * level + 4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
