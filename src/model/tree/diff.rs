//! Compares two trees and skips what they share.

use std::cmp::Ordering;

use crate::model::digest::TreeId;
use crate::model::tree::TreeEntry;
use crate::model::tree::page::{Child, Page};
use crate::model::tree::read::{LoadPage, Pages, TreeError};

/// A path on which two trees differ; at least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeChange {
    /// The entry before, if there was one.
    pub old: Option<TreeEntry>,
    /// The entry after, if there is one.
    pub new: Option<TreeEntry>,
}

/// What comes next on one side: an entry, or a page not opened yet.
enum Head {
    Entry(TreeEntry),
    Page(Child, u8),
}

/// One side of the comparison.
struct Side {
    /// What is still to come, nearest last.
    heads: Vec<Head>,
    pages: Pages,
}

impl Side {
    fn open<E>(root: TreeId, load: &mut LoadPage<'_, E>) -> Result<Side, TreeError<E>> {
        let mut side = Side { heads: Vec::new(), pages: Pages::default() };
        let page = side.pages.root(root, load)?;
        side.push(page);
        Ok(side)
    }

    fn push(&mut self, page: Page) {
        match page {
            Page::Leaf(entries) => self.heads.extend(entries.into_iter().rev().map(Head::Entry)),
            Page::Inner { level, children } => {
                self.heads.extend(children.into_iter().rev().map(|child| Head::Page(child, level - 1)));
            }
        }
    }

    /// Replaces the page at the head by what it holds.
    fn expand<E>(&mut self, load: &mut LoadPage<'_, E>) -> Result<(), TreeError<E>> {
        if let Some(Head::Page(child, level)) = self.heads.pop() {
            let page = self.pages.child(&child, level, load)?;
            self.push(page);
        }
        Ok(())
    }

    fn entry(&mut self) -> Option<TreeEntry> {
        match self.heads.pop()? {
            Head::Entry(entry) => Some(entry),
            page => {
                self.heads.push(page);
                None
            }
        }
    }
}

/// What to do with the two heads.
enum Step {
    Done,
    SkipBoth,
    ExpandOld,
    ExpandNew,
    TakeOld,
    TakeNew,
    TakeBoth,
}

fn step(old: Option<&Head>, new: Option<&Head>) -> Step {
    match (old, new) {
        (None, None) => Step::Done,
        (Some(Head::Page(..)), None) => Step::ExpandOld,
        (None, Some(Head::Page(..))) => Step::ExpandNew,
        (Some(Head::Entry(_)), None) => Step::TakeOld,
        (None, Some(Head::Entry(_))) => Step::TakeNew,
        (Some(Head::Page(a, _)), Some(Head::Page(b, _))) if a.id == b.id => Step::SkipBoth,
        // The higher page first, else the one that starts first: the other may equal a page inside it.
        (Some(Head::Page(a, up)), Some(Head::Page(b, down))) => {
            match up.cmp(down).then_with(|| b.first.cmp(&a.first)) {
                Ordering::Less => Step::ExpandNew,
                _ => Step::ExpandOld,
            }
        }
        (Some(Head::Entry(a)), Some(Head::Page(b, _))) if a.path < b.first => Step::TakeOld,
        (Some(Head::Entry(_)), Some(Head::Page(..))) => Step::ExpandNew,
        (Some(Head::Page(a, _)), Some(Head::Entry(b))) if b.path < a.first => Step::TakeNew,
        (Some(Head::Page(..)), Some(Head::Entry(_))) => Step::ExpandOld,
        (Some(Head::Entry(a)), Some(Head::Entry(b))) => match a.path.cmp(&b.path) {
            Ordering::Less => Step::TakeOld,
            Ordering::Greater => Step::TakeNew,
            Ordering::Equal => Step::TakeBoth,
        },
    }
}

/// Calls `each` with every path on which the trees differ, in order; equal pages are not loaded.
pub fn diff<E>(
    old: TreeId,
    new: TreeId,
    load: &mut LoadPage<'_, E>,
    each: &mut dyn FnMut(TreeChange) -> Result<(), E>,
) -> Result<(), TreeError<E>> {
    if old == new {
        return Ok(());
    }
    let mut left = Side::open(old, load)?;
    let mut right = Side::open(new, load)?;
    loop {
        let change = match step(left.heads.last(), right.heads.last()) {
            Step::Done => return Ok(()),
            Step::SkipBoth => {
                left.heads.pop();
                right.heads.pop();
                continue;
            }
            Step::ExpandOld => {
                left.expand(load)?;
                continue;
            }
            Step::ExpandNew => {
                right.expand(load)?;
                continue;
            }
            Step::TakeOld => TreeChange { old: left.entry(), new: None },
            Step::TakeNew => TreeChange { old: None, new: right.entry() },
            Step::TakeBoth => TreeChange { old: left.entry(), new: right.entry() },
        };
        if change.old != change.new {
            each(change).map_err(TreeError::Load)?;
        }
    }
}
