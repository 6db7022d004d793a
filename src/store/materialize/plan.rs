//! In which order objects are read: by where they lie, so that one read serves many.

use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::store::materialize::Item;
use crate::store::packed::Packed;

/// Records that lie this close are read together with what lies between them.
const GAP: u64 = 64 << 10;
/// Most bytes that are read together, unless one record has more.
const WINDOW: u64 = 1 << 20;

/// Where one item's bytes are in a pack.
#[derive(Clone, Copy)]
pub(super) struct Packing {
    pub(super) item: usize,
    pub(super) pack: PackId,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A piece of work for one thread.
pub(super) enum Task {
    /// Items whose records are read together: a range of the list of packings.
    Window(std::ops::Range<usize>),
    /// An item that is looked up by itself.
    Single(usize),
}

/// Sorts the work: packed items by where they lie, grouped into windows; all others one by one.
pub(super) fn plan(items: &[Item], packed: Option<&Packed>) -> (Vec<Packing>, Vec<Task>) {
    let (mut packings, mut tasks) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let key = RecordKey { hash: item.hash, kind: RecordKind::File };
        let place = item.kind.is_file().then(|| packed?.find(key).next()).flatten();
        match place {
            Some(place) => {
                let range = place.range();
                packings.push(Packing { item: index, pack: place.pack, start: range.start, end: range.end });
            }
            None => tasks.push(Task::Single(index)),
        }
    }
    packings.sort_unstable_by_key(|packing| (packing.pack, packing.start, packing.item));
    let mut begin = 0;
    for index in 1..=packings.len() {
        let goes_on = packings.get(index).is_some_and(|next| {
            let (first, last) = (&packings[begin], &packings[index - 1]);
            next.pack == first.pack && next.start <= last.end + GAP && next.end - first.start <= WINDOW
        });
        if !goes_on {
            tasks.push(Task::Window(begin..index));
            begin = index;
        }
    }
    (packings, tasks)
}
