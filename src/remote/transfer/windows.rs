//! Windows: runs of chunks of large files, each read into one buffer.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::model::digest::{Digest, PackId};
use crate::model::object::{ChunkRef, RecordKey, RecordKind};
use crate::remote::catalog::Place;
use crate::remote::error::Error;
use crate::remote::transfer::fetch::{Bad, Fetching};
use crate::remote::transfer::ranges::{Located, plan_reads};
use crate::remote::transfer::stream::read_records;

/// A chunk of the stream of files.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) chunk: ChunkRef,
    /// Where it is looked for first.
    pub(super) place: Place,
}

impl Piece {
    pub(super) fn key(&self) -> RecordKey {
        RecordKey { hash: self.chunk.id.digest(), kind: RecordKind::Chunk }
    }

    fn len(&self) -> usize {
        self.chunk.len as usize
    }

    fn identity(&self) -> (Digest, u32) {
        (self.chunk.id.digest(), self.chunk.len)
    }
}

/// Cuts the stream into runs of at most `limit` bytes.
///
/// A run ends early where the stream goes on in another pack, once it has a quarter of the
/// limit: the chunks of a file that was sent at once are then one read a pack.
pub(super) fn windows(pieces: &[Piece], limit: u64) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, piece) in pieces.iter().enumerate() {
        let len = u64::from(piece.chunk.len);
        let leaves_pack = at > start && pieces[at - 1].place.pack != piece.place.pack && bytes >= limit / 4;
        if at > start && (bytes + len > limit || leaves_pack) {
            all.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += len;
    }
    if start < pieces.len() {
        all.push(start..pieces.len());
    }
    all
}

/// The bytes of some neighbouring chunks.
#[derive(Default)]
pub(super) struct Window {
    pub(super) bytes: Vec<u8>,
    /// Where each chunk starts.
    pub(super) starts: Vec<usize>,
    /// Chunks that did not come, by their position in the window, and where they were looked for.
    pub(super) lost: HashMap<usize, Vec<PackId>>,
}

/// Reads the chunks of a window into `buffer`; a chunk that repeats (a hole of zeros) is read once.
pub(super) fn read_window(
    on: &Fetching<'_>,
    pieces: &[Piece],
    bad: &Bad,
    mut buffer: Vec<u8>,
) -> Result<Window, Error> {
    let mut starts = Vec::with_capacity(pieces.len());
    let mut len = 0;
    for piece in pieces {
        starts.push(len);
        len += piece.len();
    }
    buffer.clear();
    buffer.resize(len, 0);
    let mut window = Window { bytes: buffer, starts, lost: HashMap::new() };
    // By length too: a recipe may lie about that.
    let mut firsts: HashMap<(Digest, u32), usize> = HashMap::new();
    let mut wanted = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        firsts.entry(piece.identity()).or_insert_with(|| {
            wanted.push(Located { index: at as u32, place: piece.place });
            at
        });
    }
    window.read_anywhere(on, pieces, bad, wanted)?;
    for (at, piece) in pieces.iter().enumerate() {
        window.repeat(firsts[&piece.identity()], at, piece.len());
    }
    Ok(window)
}

impl Window {
    fn put(&mut self, at: usize, raw: &[u8]) {
        self.bytes[self.starts[at]..self.starts[at] + raw.len()].copy_from_slice(raw);
    }

    /// Reads `wanted` from their places, and what is not there from others, as long as there are any.
    ///
    /// All that did not come is asked for together each time: where a pack is gone, that is one request
    /// for each other copy and not one for each chunk.
    fn read_anywhere(
        &mut self,
        on: &Fetching<'_>,
        pieces: &[Piece],
        bad: &Bad,
        mut wanted: Vec<Located>,
    ) -> Result<(), Error> {
        let mut tried: HashMap<usize, Vec<PackId>> = HashMap::new();
        while !wanted.is_empty() {
            let came = self.read(on, pieces, wanted.clone())?;
            let mut others = Vec::new();
            for record in wanted.iter().filter(|record| !came.contains(&(record.index as usize))) {
                let at = record.index as usize;
                let key = pieces[at].key();
                let pack_of = |place: &Place| on.catalog.pack(place.pack).0;
                let tried = tried.entry(at).or_default();
                tried.push(pack_of(&record.place));
                let is_new = |place: &Place| {
                    let pack = pack_of(place);
                    !tried.contains(&pack) && !bad.contains(&(key, pack))
                };
                match on.catalog.places(key).find(is_new) {
                    Some(place) => others.push(Located { place, ..*record }),
                    None => drop(self.lost.insert(at, tried.clone())),
                }
            }
            wanted = others;
        }
        Ok(())
    }

    /// Reads `wanted` from their places; returns the positions of those that came.
    fn read(
        &mut self,
        on: &Fetching<'_>,
        pieces: &[Piece],
        wanted: Vec<Located>,
    ) -> Result<HashSet<usize>, Error> {
        let mut came = HashSet::new();
        let key_of = |record: &Located| pieces[record.index as usize].key();
        for read in plan_reads(wanted, on.backend.round_trip(), u64::MAX) {
            let pack = on.catalog.pack(read.pack).0;
            let ended = read_records(on.backend, pack, &read, &key_of, &mut |record, raw| {
                let at = record.index as usize;
                // A recipe may state another length than the chunk has.
                if let Some(raw) = raw.filter(|raw| raw.len() == pieces[at].len()) {
                    self.put(at, raw);
                    came.insert(at);
                }
                true
            });
            match ended {
                Err(error) if !error.is_absence() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(came)
    }

    /// Copies the chunk at `first` to `at`, where it is wanted again.
    fn repeat(&mut self, first: usize, at: usize, len: usize) {
        if first == at {
            return;
        }
        let start = self.starts[first];
        self.bytes.copy_within(start..start + len, self.starts[at]);
        if let Some(tried) = self.lost.get(&first).cloned() {
            self.lost.insert(at, tried);
        }
    }
}
