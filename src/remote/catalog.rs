//! The catalogue: the index segments of one remote that a clone holds, as one view.
//!
//! A catalogue is advisory: what it says is checked by whoever relies on it, a push by
//! asking for the packs, a fetch by verifying what comes. It may be old; `refresh` brings
//! it up to date by one listing and the segments that are new.
//!
//! A segment that was merged into others is superseded only when the readable ones that
//! list it cover its whole range of hashes; until then it counts.
//!

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::Codec;
use crate::pack::reader::serves;
use crate::pack::segment::{MAX_SEGMENT, Segment, SegmentId, SegmentName};
use crate::remote::backend::{Backend, BackendError, list_sorted, read};
use crate::remote::names::{SEGMENTS, parse_segment_key, segment_key};
use crate::remote::state::State;
use crate::remote::wants::order_by_digest;

/// A pack's number in one catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackNo(u32);

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The pack.
    pub pack: PackNo,
    /// The record's header starts here, in bytes from the start of the pack.
    pub offset: u32,
    /// Bytes behind the header.
    pub stored_len: u32,
    /// Bytes after decompression.
    pub raw_len: u32,
    /// How the bytes are stored.
    pub codec: Codec,
}

/// Which packs of a catalogue may be relied on.
pub struct Usable(Vec<bool>);

impl Usable {
    /// Whether this pack may.
    pub fn has(&self, pack: PackNo) -> bool {
        self.0.get(pack.0 as usize).copied().unwrap_or(false)
    }
}

/// What a refresh found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Segments that are new to this catalogue.
    pub added: usize,
    /// Segments that are listed but cannot be read as such.
    pub unreadable: Vec<SegmentName>,
    /// Segments that are gone from the remote though no other covers them; still held.
    pub orphaned: Vec<SegmentName>,
}

struct Held {
    name: SegmentName,
    segment: Segment,
    /// The catalogue's number of each of the segment's packs.
    packs: Vec<PackNo>,
}

/// Keys with the order of their hashes, so that it is found once for several questions.
pub struct SortedKeys {
    keys: Vec<RecordKey>,
    order: Vec<u32>,
}

impl SortedKeys {
    /// Sorts `keys`; the answers of [`Catalog::locate`] keep the order in which they come here.
    pub fn new(keys: Vec<RecordKey>) -> SortedKeys {
        let order = order_by_digest(keys.len(), |index| &keys[index as usize].hash);
        SortedKeys { keys, order }
    }

    /// The keys in the order in which they came.
    pub fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    /// For each key whether one that came before it is the same.
    pub fn repeated(&self) -> Vec<bool> {
        let mut repeated = vec![false; self.keys.len()];
        for same in self.order.chunk_by(|a, b| self.keys[*a as usize].hash == self.keys[*b as usize].hash) {
            for (at, index) in same.iter().enumerate().skip(1) {
                let key = self.keys[*index as usize];
                repeated[*index as usize] = same[..at].iter().any(|other| self.keys[*other as usize] == key);
            }
        }
        repeated
    }
}

/// The union of the segments that a clone holds of one remote.
#[derive(Default)]
pub struct Catalog {
    held: Vec<Held>,
    packs: Vec<(PackId, u64)>,
    numbers: HashMap<PackId, PackNo>,
    /// Whether the whole list of segments was ever seen.
    is_known: bool,
    /// When each segment that the last refresh listed was written, by the store's clock.
    listed: BTreeMap<SegmentName, SystemTime>,
}

impl Catalog {
    /// The catalogue that was remembered.
    pub(crate) fn load(state: &State) -> Catalog {
        let mut catalog = Catalog::default();
        for (name, segment) in state.segments() {
            catalog.hold(name, segment);
        }
        catalog.is_known = !catalog.held.is_empty();
        catalog
    }

    /// The catalogue of a remote that was just made.
    pub(crate) fn of_new_remote() -> Catalog {
        Catalog { is_known: true, ..Catalog::default() }
    }

    /// Whether there is anything to plan with: a remembered or a listed state.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The number of segments.
    pub fn segments(&self) -> usize {
        self.held.len()
    }

    /// The number of packs that it names, present or not.
    pub fn pack_count(&self) -> usize {
        self.packs.len()
    }

    /// The number of the pack `id`, if a segment names it.
    pub fn number_of(&self, id: PackId) -> Option<PackNo> {
        self.numbers.get(&id).copied()
    }

    /// The id and length in bytes of a pack.
    pub fn pack(&self, number: PackNo) -> (PackId, u64) {
        self.packs[number.0 as usize]
    }

    /// Which packs satisfy `test`, given id and length.
    pub fn usable(&self, test: impl Fn(PackId, u64) -> bool) -> Usable {
        Usable(self.packs.iter().map(|(id, len)| test(*id, *len)).collect())
    }

    /// The names of the segments, with the bytes of each.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&SegmentName, &Segment)> {
        self.held.iter().map(|held| (&held.name, &held.segment))
    }

    /// Adds a segment, unless it is held.
    pub(crate) fn hold(&mut self, name: SegmentName, segment: Segment) {
        if self.held.iter().any(|held| held.name == name) {
            return;
        }
        let packs = segment.packs().map(|(id, len)| self.number(id, len)).collect();
        self.held.push(Held { name, segment, packs });
    }

    fn number(&mut self, id: PackId, len: u64) -> PackNo {
        let next = PackNo(self.packs.len() as u32);
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.packs.push((id, len));
        }
        number
    }

    /// The segments that the last refresh listed, and when each was written, by the store's clock.
    pub(crate) fn listed(&self) -> &BTreeMap<SegmentName, SystemTime> {
        &self.listed
    }

    /// All records with their places; a place that several segments name comes several times.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (RecordKey, Place)> {
        self.held.iter().flat_map(|held| (0..held.segment.len()).map(|at| held.place(at)))
    }

    /// All places of a record that serves for `key`.
    pub fn places(&self, key: RecordKey) -> impl Iterator<Item = Place> {
        self.held.iter().flat_map(move |held| {
            let positions = held.segment.positions(key.hash);
            positions
                .map(move |at| held.place(at))
                .filter(move |(found, _)| serves(*found, key))
                .map(|(_, place)| place)
        })
    }

    /// A place of a record that serves for `key`, in a usable pack.
    pub fn place(&self, key: RecordKey, usable: &Usable) -> Option<Place> {
        self.places(key).find(|place| usable.has(place.pack))
    }

    /// A place in a usable pack for each of `count` keys.
    ///
    /// Many keys are sorted and merged with each segment: 100,000 of them take milliseconds.
    pub fn locate(&self, keys: &SortedKeys, usable: &Usable) -> Vec<Option<Place>> {
        let SortedKeys { keys, order } = keys;
        let mut places = vec![None; keys.len()];
        for held in &self.held {
            let mut found = |index: u32, at: usize| {
                let place = &mut places[index as usize];
                if place.is_none() {
                    let (found, there) = held.place(at);
                    if serves(found, keys[index as usize]) && usable.has(there.pack) {
                        *place = Some(there);
                    }
                }
            };
            // Where the segment is much longer than the list, its fan-out is faster than a walk.
            if held.segment.len() / 16 > keys.len() {
                for index in order {
                    held.segment.positions(keys[*index as usize].hash).for_each(|at| found(*index, at));
                }
            } else {
                merge(order, keys, &held.segment, &mut found);
            }
        }
        places
    }
}

/// Calls `found` for every pair of a wanted hash and an entry with this hash.
fn merge(order: &[u32], keys: &[RecordKey], segment: &Segment, found: &mut dyn FnMut(u32, usize)) {
    let mut at = 0;
    for index in order {
        let hash = keys[*index as usize].hash.as_bytes();
        while at < segment.len() && segment.hash_at(at) < hash.as_slice() {
            at += 1;
        }
        // Equal hashes stand together on both sides; the next wanted one may be the same.
        let same = (at..segment.len()).take_while(|at| segment.hash_at(*at).cmp(hash) == Ordering::Equal);
        same.for_each(|at| found(*index, at));
    }
}

impl Held {
    fn place(&self, at: usize) -> (RecordKey, Place) {
        let (key, pack, location) = self.segment.entry_at(at);
        let place = Place {
            pack: self.packs[pack as usize],
            offset: location.offset,
            stored_len: location.stored_len,
            raw_len: location.raw_len,
            codec: location.codec,
        };
        (key, place)
    }
}

/// How often a listing is made again because what it named was gone.
const LISTINGS: usize = 4;

impl Catalog {
    /// Lists the segments, reads those that are new, and drops those that are superseded.
    ///
    /// A listed segment that is gone when it is read was merged and purged meanwhile: list again.
    /// Fails only where a call fails for good; a damaged segment is told and left out.
    pub(crate) fn refresh(
        &mut self,
        backend: &dyn Backend,
        state: &State,
    ) -> Result<Refreshed, BackendError> {
        let mut refreshed = Refreshed::default();
        for last in (0..LISTINGS).rev() {
            let listed = list_sorted(backend, SEGMENTS)?;
            self.listed = listed
                .iter()
                .filter_map(|line| Some((parse_segment_key(&line.key)?, line.modified)))
                .collect();
            let listed: BTreeMap<SegmentName, u64> =
                listed.iter().filter_map(|line| Some((parse_segment_key(&line.key)?, line.size))).collect();
            let complete = self.read_new(backend, state, &listed, &mut refreshed)?;
            if complete || last == 0 {
                self.settle(state, &listed, &mut refreshed);
                break;
            }
        }
        // What readable ones replace serves nobody, damaged or not.
        refreshed.unreadable.retain(|name| !self.covers(name));
        self.is_known = true;
        Ok(refreshed)
    }

    /// Reads the listed segments that are not held, higher tiers first; false if one was gone.
    fn read_new(
        &mut self,
        backend: &dyn Backend,
        state: &State,
        listed: &BTreeMap<SegmentName, u64>,
        refreshed: &mut Refreshed,
    ) -> Result<bool, BackendError> {
        let held: BTreeSet<SegmentName> = self.held.iter().map(|held| held.name).collect();
        let mut complete = true;
        // Names sort by tier first: what a merged segment supersedes need not be read.
        for name in listed.keys().rev().filter(|name| !held.contains(name)) {
            if refreshed.unreadable.contains(name) || self.covers(name) {
                continue;
            }
            match read(backend, &segment_key(name), MAX_SEGMENT) {
                Ok(bytes) => match Segment::parse(bytes) {
                    Ok(segment) if segment.has_name(name) => {
                        state.save_segment(name, segment.as_bytes());
                        self.hold(*name, segment);
                        refreshed.added += 1;
                    }
                    _ => refreshed.unreadable.push(*name),
                },
                Err(error) if error.is_not_found() => complete = false,
                Err(error) => return Err(error),
            }
        }
        Ok(complete)
    }

    /// Drops superseded segments, and tells which ones are neither listed nor superseded.
    fn settle(&mut self, state: &State, listed: &BTreeMap<SegmentName, u64>, refreshed: &mut Refreshed) {
        let superseded: Vec<SegmentName> =
            self.held.iter().map(|held| held.name).filter(|name| self.covers(name)).collect();
        self.held.retain(|held| !superseded.contains(&held.name));
        superseded.iter().for_each(|name| state.forget_segment(name));
        let is_there = |held: &Held| {
            // A length that differs is a torn write: for others the segment is not there.
            listed.get(&held.name).is_some_and(|size| *size == held.segment.as_bytes().len() as u64)
        };
        refreshed.orphaned = self.held.iter().filter(|held| !is_there(held)).map(|held| held.name).collect();
    }

    /// Leaves segments out of this view, and keeps what is remembered of them.
    pub(crate) fn leave_out(&mut self, names: &[SegmentName]) {
        self.held.retain(|held| !names.contains(&held.name));
    }

    /// Forgets a segment that is gone from the remote.
    pub(crate) fn forget(&mut self, name: &SegmentName, state: &State) {
        self.held.retain(|held| held.name != *name);
        state.forget_segment(name);
    }

    /// Whether the held segments that list `name` as superseded cover its whole range of hashes.
    fn covers(&self, name: &SegmentName) -> bool {
        self.covers_within(name, &|_| true)
    }

    /// The same with only those of the held segments that `counts`.
    pub(crate) fn covers_within(&self, name: &SegmentName, counts: &dyn Fn(&SegmentName) -> bool) -> bool {
        let listing = self.held.iter().filter(|held| held.name != *name && held.supersedes(name.id));
        let listing = listing.filter(|held| counts(&held.name));
        covers(
            range(name.bits, name.prefix),
            listing.map(|held| range(held.name.bits, held.name.prefix)).collect(),
        )
    }
}

impl Held {
    fn supersedes(&self, id: SegmentId) -> bool {
        self.segment.superseded().any(|superseded| superseded == id)
    }
}

/// The range of 32-bit hash starts that a segment's prefix stands for.
fn range(bits: u8, prefix: u32) -> (u64, u64) {
    let start = u64::from(prefix);
    (start, start + (1 << (32 - u32::from(bits.min(32)))))
}

/// Whether the union of `ranges` covers `whole`.
fn covers(whole: (u64, u64), mut ranges: Vec<(u64, u64)>) -> bool {
    ranges.sort_unstable();
    let mut reached = whole.0;
    for (start, end) in ranges {
        if start <= reached {
            reached = reached.max(end);
        }
    }
    reached >= whole.1
}

#[cfg(test)]
mod tests;
