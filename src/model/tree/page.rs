//! The bytes of one page: encoding of entries, and decoding with every check that one page allows.

use crate::model::digest::{Digest, TreeId};
use crate::model::path::check_stored;
use crate::model::tree::{
    EntryKind, MAX_ENTRIES, MAX_LEVEL, MAX_SIZE, MAX_TARGET, OrderCheck, OrderFault, TreeEntry, is_right_path,
};

/// Largest page that is read, in bytes.
pub const MAX_PAGE: usize = 1 << 20;
pub(super) const HEADER: usize = 12;
const MAGIC: &[u8; 4] = b"MLVT";
const VERSION: u8 = 1;

/// What an inner page says of one page below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The first path in the page.
    pub first: Box<str>,
    /// The page's name.
    pub id: TreeId,
    /// Entries below, of all kinds.
    pub entries: u64,
    /// Files below.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// A decoded page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Entries of the directory, sorted by path.
    Leaf(Vec<TreeEntry>),
    /// Pages one level down, sorted by first path.
    Inner {
        /// Height above the leaves, 1 to 7.
        level: u8,
        /// The pages.
        children: Vec<Child>,
    },
}

impl Page {
    /// Height above the leaves; 0 for a leaf.
    pub fn level(&self) -> u8 {
        match self {
            Page::Leaf(_) => 0,
            Page::Inner { level, .. } => *level,
        }
    }

    /// Entries, files and bytes in or below the page; `None` if a sum passes the limits.
    pub(super) fn sums(&self) -> Option<(u64, u64, u64)> {
        let mut sums = (0u64, 0u64, 0u64);
        let mut add = |entries, files, bytes| {
            sums = (sums.0.checked_add(entries)?, sums.1.checked_add(files)?, sums.2.checked_add(bytes)?);
            (sums.0 <= MAX_ENTRIES && sums.2 <= MAX_SIZE).then_some(())
        };
        match self {
            Page::Leaf(entries) => {
                for entry in entries {
                    let file = entry.kind.is_file();
                    add(1, u64::from(file), if file { entry.size } else { 0 })?;
                }
            }
            Page::Inner { children, .. } => {
                for child in children {
                    add(child.entries, child.files, child.bytes)?;
                }
            }
        }
        Some(sums)
    }

    pub(super) fn first_path(&self) -> Option<&str> {
        match self {
            Page::Leaf(entries) => entries.first().map(|entry| &*entry.path),
            Page::Inner { children, .. } => children.first().map(|child| &*child.first),
        }
    }
}

/// Why bytes are no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Another magic, reserved bytes that are not zero, a kind or level that does not exist.
    #[error("not a tree page")]
    Header,
    /// A version that this mlv does not know.
    #[error("tree page of version {0}, which this mlv does not know")]
    Version(u8),
    /// The bytes end early, go on after the end, or a number is not in its shortest form.
    #[error("malformed tree page")]
    Malformed,
    /// A number over its limit.
    #[error("a number in a tree page is over its limit")]
    Limit,
    /// A path that mlv does not store.
    #[error("a path in a tree page is unsafe")]
    Path,
    /// Entries out of order, or one below another.
    #[error("entries of a tree page are out of order")]
    Order,
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_header(out: &mut Vec<u8>, level: u8) {
    out.clear();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[VERSION, level, 0, 0, 0, 0, 0, 0]);
}

pub(super) fn set_count(page: &mut [u8], count: u32) {
    page[8..12].copy_from_slice(&count.to_le_bytes());
}

pub(super) fn put_leaf_entry(out: &mut Vec<u8>, shared: usize, entry: &TreeEntry) {
    put_varint(out, shared as u64);
    put_varint(out, (entry.path.len() - shared) as u64);
    out.extend_from_slice(&entry.path.as_bytes()[shared..]);
    out.push(entry.kind as u8);
    if entry.kind.has_object() {
        put_varint(out, entry.size);
        out.extend_from_slice(entry.hash.as_bytes());
    }
}

pub(super) fn put_child(out: &mut Vec<u8>, child: &Child) {
    put_varint(out, child.first.len() as u64);
    out.extend_from_slice(child.first.as_bytes());
    out.extend_from_slice(child.id.digest().as_bytes());
    put_varint(out, child.entries);
    put_varint(out, child.files);
    put_varint(out, child.bytes);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], PageError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(PageError::Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, PageError> {
        Ok(self.take(1)?[0])
    }

    /// LEB128, 64 bits, shortest form.
    fn varint(&mut self) -> Result<u64, PageError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(PageError::Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(PageError::Malformed) } else { Ok(value) };
            }
        }
        Err(PageError::Malformed)
    }

    fn length(&mut self) -> Result<usize, PageError> {
        usize::try_from(self.varint()?).map_err(|_| PageError::Malformed)
    }

    fn digest(&mut self) -> Result<Digest, PageError> {
        let bytes = self.take(Digest::LEN)?.try_into().map_err(|_| PageError::Malformed)?;
        Ok(Digest::from_bytes(bytes))
    }

    fn bounded(&mut self, limit: u64) -> Result<u64, PageError> {
        let value = self.varint()?;
        if value > limit { Err(PageError::Limit) } else { Ok(value) }
    }
}

/// Decodes one page and checks what it alone can show: form, limits, paths, order.
///
/// The caller has checked the page's hash. Sums against the page above are checked by the readers.
pub fn decode_page(bytes: &[u8]) -> Result<Page, PageError> {
    decode_page_after(&mut OrderCheck::default(), bytes)
}

/// As [`decode_page`], for a page behind others: a leaf's entries also have to follow those of `order`,
/// which then stands at the last of them.
pub(super) fn decode_page_after(order: &mut OrderCheck, bytes: &[u8]) -> Result<Page, PageError> {
    if bytes.len() > MAX_PAGE {
        return Err(PageError::Limit);
    }
    let mut input = Input(bytes);
    let header = input.take(HEADER)?;
    if &header[..4] != MAGIC {
        return Err(PageError::Header);
    }
    if header[4] != VERSION {
        return Err(PageError::Version(header[4]));
    }
    let level = header[5];
    if level > MAX_LEVEL || header[6..8] != [0, 0] {
        return Err(PageError::Header);
    }
    let count = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
    // The shortest entry (an empty folder of one letter) has 5 bytes: checked before anything is allocated.
    if count > input.0.len() / 5 {
        return Err(PageError::Malformed);
    }
    let page = match level {
        0 => Page::Leaf(decode_leaf(&mut input, count, order)?),
        _ => Page::Inner { level, children: decode_inner(&mut input, count)? },
    };
    if input.0.is_empty() { Ok(page) } else { Err(PageError::Malformed) }
}

fn decode_leaf(
    input: &mut Input<'_>,
    count: usize,
    order: &mut OrderCheck,
) -> Result<Vec<TreeEntry>, PageError> {
    let mut entries = Vec::with_capacity(count);
    for at in 0..count {
        let mut shared = input.length()?;
        let rest_len = input.length()?;
        let mut rest = input.take(rest_len)?;
        // That no more could be shared follows from the order: the next bytes differ, and rise.
        if shared > if at == 0 { 0 } else { order.last.len() } {
            return Err(PageError::Malformed);
        }
        if at == 0 {
            // Spelled out, whatever the page before ends with.
            shared = order.shared_with(rest);
            rest = &rest[shared..];
        }
        order.push(shared, rest).map_err(|_: OrderFault| PageError::Order)?;
        let kind = EntryKind::from_byte(input.byte()?).ok_or(PageError::Header)?;
        let path = std::str::from_utf8(&order.last).map_err(|_| PageError::Path)?;
        if !is_right_path(path, shared, kind) {
            return Err(PageError::Path);
        }
        let path = path.into();
        let (size, hash) = match kind {
            EntryKind::EmptyDir => (0, Digest::ZERO),
            EntryKind::Symlink => (input.bounded(MAX_TARGET)?, input.digest()?),
            _ => (input.bounded(MAX_SIZE)?, input.digest()?),
        };
        if kind == EntryKind::Symlink && size == 0 {
            return Err(PageError::Limit);
        }
        entries.push(TreeEntry { path, kind, size, hash });
    }
    Ok(entries)
}

fn decode_inner(input: &mut Input<'_>, count: usize) -> Result<Vec<Child>, PageError> {
    let mut children: Vec<Child> = Vec::with_capacity(count);
    for _ in 0..count {
        let len = input.length()?;
        let first = std::str::from_utf8(input.take(len)?).map_err(|_| PageError::Path)?;
        check_stored(first.strip_suffix('/').unwrap_or(first)).map_err(|_| PageError::Path)?;
        if children.last().is_some_and(|last| *last.first >= *first) {
            return Err(PageError::Order);
        }
        let child = Child {
            first: first.into(),
            id: TreeId(input.digest()?),
            entries: input.bounded(MAX_ENTRIES)?,
            files: input.bounded(MAX_ENTRIES)?,
            bytes: input.bounded(MAX_SIZE)?,
        };
        if child.entries == 0 || child.files > child.entries || (child.files == 0 && child.bytes > 0) {
            return Err(PageError::Malformed);
        }
        children.push(child);
    }
    if children.is_empty() { Err(PageError::Malformed) } else { Ok(children) }
}
