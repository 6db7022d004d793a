//! Reads trees page by page, with the checks that only several pages together allow.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::model::digest::TreeId;
use crate::model::tree::page::{Child, Page, PageError, decode_page, decode_page_after};
use crate::model::tree::{OrderCheck, TreeEntry};

/// Hands out the bytes of a page whose hash is right.
pub type LoadPage<'a, E> = dyn FnMut(TreeId) -> Result<Vec<u8>, E> + 'a;

/// Why a tree cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError<E> {
    /// A page's bytes are no page.
    #[error("tree page {page}: {source}")]
    Page {
        /// The page.
        page: TreeId,
        /// What is wrong.
        source: PageError,
    },
    /// A page does not fit the page above it: level, first path, sums, or order between pages.
    #[error("tree page {page} does not fit the page above it")]
    Misfit {
        /// The page.
        page: TreeId,
    },
    /// The page could not be had.
    #[error(transparent)]
    Load(E),
}

/// The pages of one tree, loaded in order; each leaf's entries have to follow those of the leaves before.
#[derive(Default)]
pub(super) struct Pages {
    order: OrderCheck,
}

impl Pages {
    fn load<E>(&mut self, id: TreeId, load: &mut LoadPage<'_, E>) -> Result<Page, TreeError<E>> {
        let bytes = load(id).map_err(TreeError::Load)?;
        decode_page_after(&mut self.order, &bytes).map_err(|source| match source {
            PageError::Order if decode_page(&bytes).is_ok() => TreeError::Misfit { page: id },
            _ => TreeError::Page { page: id, source },
        })
    }

    /// The root page; an inner one has at least two entries.
    pub(super) fn root<E>(&mut self, id: TreeId, load: &mut LoadPage<'_, E>) -> Result<Page, TreeError<E>> {
        let page = self.load(id, load)?;
        let lonely = matches!(&page, Page::Inner { children, .. } if children.len() < 2);
        if lonely || page.sums().is_none() { Err(TreeError::Misfit { page: id }) } else { Ok(page) }
    }

    /// The page `child`, of which the page above says what it holds.
    pub(super) fn child<E>(
        &mut self,
        child: &Child,
        level: u8,
        load: &mut LoadPage<'_, E>,
    ) -> Result<Page, TreeError<E>> {
        let page = self.load(child.id, load)?;
        let fits = page.level() == level
            && page.first_path() == Some(&*child.first)
            && page.sums() == Some((child.entries, child.files, child.bytes));
        if fits { Ok(page) } else { Err(TreeError::Misfit { page: child.id }) }
    }
}

/// What a walk over a tree meets.
enum Found {
    Page(TreeId),
    Entries(Vec<TreeEntry>),
}

struct Walk<'w, 'l, E> {
    load: &'w mut LoadPage<'l, E>,
    pages: Pages,
    /// Pages wholly before this text are skipped.
    low: &'w str,
    /// Pages wholly at or behind this text are skipped; `None`: no upper bound.
    high: Option<&'w str>,
}

impl<E> Walk<'_, '_, E> {
    fn page(
        &mut self,
        id: TreeId,
        page: Page,
        found: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), TreeError<E>> {
        found(Found::Page(id)).map_err(TreeError::Load)?;
        match page {
            Page::Leaf(entries) => found(Found::Entries(entries)).map_err(TreeError::Load),
            Page::Inner { level, children } => {
                for child in &children[overlapping(&children, (self.low, self.high))] {
                    let below = self.pages.child(child, level - 1, self.load)?;
                    self.page(child.id, below, found)?;
                }
                Ok(())
            }
        }
    }
}

/// Where among `children` something from `low` on and before `high` may be.
fn overlapping(children: &[Child], (low, high): (&str, Option<&str>)) -> Range<usize> {
    let start = children.partition_point(|child| &*child.first <= low).saturating_sub(1);
    let end = high.map_or(children.len(), |high| children.partition_point(|child| &*child.first < high));
    start..end
}

/// The children that may hold an entry at or below one of `paths`; all of them if there is none.
pub fn children_below<'c>(children: &'c [Child], paths: &[Box<str>]) -> Vec<&'c Child> {
    let mut wanted = BTreeSet::new();
    for path in paths {
        wanted.extend(overlapping(children, (path, Some(&format!("{path}{AFTER_SLASH}")))));
    }
    if paths.is_empty() {
        wanted.extend(0..children.len());
    }
    wanted.into_iter().map(|at| &children[at]).collect()
}

/// The character after the slash: whatever lies below a path comes before the path with it.
const AFTER_SLASH: char = '0';

fn walk<E>(
    root: TreeId,
    (low, high): (&str, Option<&str>),
    load: &mut LoadPage<'_, E>,
    found: &mut dyn FnMut(Found) -> Result<(), E>,
) -> Result<(), TreeError<E>> {
    let mut pages = Pages::default();
    let page = pages.root(root, load)?;
    Walk { load, pages, low, high }.page(root, page, found)
}

/// Calls `each` with every entry, in order.
pub fn visit<E>(
    root: TreeId,
    load: &mut LoadPage<'_, E>,
    each: &mut dyn FnMut(TreeEntry) -> Result<(), E>,
) -> Result<(), TreeError<E>> {
    walk(root, ("", None), load, &mut |found| match found {
        Found::Page(_) => Ok(()),
        Found::Entries(entries) => entries.into_iter().try_for_each(&mut *each),
    })
}

/// All entries, sorted by path.
pub fn read_all<E>(root: TreeId, load: &mut LoadPage<'_, E>) -> Result<Vec<TreeEntry>, TreeError<E>> {
    let mut all = Vec::new();
    walk(root, ("", None), load, &mut |found| {
        if let Found::Entries(entries) = found {
            all.extend(entries);
        }
        Ok(())
    })?;
    Ok(all)
}

/// The entries at or below `path`, sorted; only the pages that can hold them are loaded.
///
/// A file at `path` gives that entry; a folder gives what it holds, an empty folder its own entry;
/// the empty path gives everything.
pub fn read_below<E>(
    root: TreeId,
    path: &str,
    load: &mut LoadPage<'_, E>,
) -> Result<Vec<TreeEntry>, TreeError<E>> {
    if path.is_empty() {
        return read_all(root, load);
    }
    let high = format!("{path}{AFTER_SLASH}");
    let mut below = Vec::new();
    walk(root, (path, Some(&high)), load, &mut |found| {
        if let Found::Entries(entries) = found {
            below.extend(entries.into_iter().filter(|entry| {
                entry.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }));
        }
        Ok(())
    })?;
    Ok(below)
}

/// The entry at exactly `path` (an empty folder's ends with a slash), if there is one.
pub fn find<E>(
    root: TreeId,
    path: &str,
    load: &mut LoadPage<'_, E>,
) -> Result<Option<TreeEntry>, TreeError<E>> {
    let mut hit = None;
    let high = format!("{path}\0");
    walk(root, (path, Some(&high)), load, &mut |found| {
        if let Found::Entries(entries) = found {
            hit = hit.take().or_else(|| entries.into_iter().find(|entry| &*entry.path == path));
        }
        Ok(())
    })?;
    Ok(hit)
}

/// The names of all pages, root first.
pub fn page_ids<E>(root: TreeId, load: &mut LoadPage<'_, E>) -> Result<Vec<TreeId>, TreeError<E>> {
    let mut ids = Vec::new();
    walk(root, ("", None), load, &mut |found| {
        if let Found::Page(id) = found {
            ids.push(id);
        }
        Ok(())
    })?;
    Ok(ids)
}
