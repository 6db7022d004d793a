//! Reading a part of one file from a remote, without storing it: only the chunks that hold it come.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::{Advice, ErrorKind};
use crate::model::digest::{Digest, Hasher, ObjectId};
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::error::{Cause, Error};
use crate::remote::mend::index_unknown_packs;
use crate::remote::open::Remote;
use crate::remote::transfer::RecordSink;
use crate::remote::transfer::fetch::{Bad, Fetching};
use crate::remote::transfer::large::{File, Written, stream_files};
use crate::remote::transfer::losses::{Loss, Losses};
use crate::remote::transfer::recipes::{Found, expand, read_record};
use crate::remote::transfer::windows::Piece;
use crate::report::{Meter, Reporter, Task, Unit};

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The file.
    pub id: ObjectId,
    /// Its length in bytes.
    pub size: u64,
    /// Which of its bytes.
    pub range: Range<u64>,
}

/// How reading a part of a file ended, where nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceOutcome {
    /// All of it was written.
    Done,
    /// The remote does not have the file.
    Missing,
    /// It is named in packs that are not there any more.
    Gone,
    /// The remote has it only damaged; what was written before that is not to be used.
    Damaged,
}

/// Why nothing more is written.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the bytes are not those of the file")]
    OtherContent,
    #[error("cannot write")]
    Write(#[source] io::Error),
}

impl Advice for Stop {
    fn kind(&self) -> ErrorKind {
        match self {
            Stop::OtherContent => ErrorKind::Damaged,
            Stop::Write(error) => ErrorKind::of_io(error),
        }
    }
}

/// Writes the bytes of `slice` to `out`, each checked against the hash of its chunk.
///
/// A record that is damaged at one place is taken from others. That the chunks make the file is known
/// only when all of it was read: of a part it is what the remote's recipe says. Memory is bounded by
/// the read-ahead.
pub fn read_slice(
    remote: &mut Remote,
    slice: &Slice,
    out: &mut (dyn Write + Send),
    reporter: &dyn Reporter,
) -> Result<SliceOutcome, Error> {
    if !remote.catalog.is_known() {
        remote.refresh(reporter)?;
    }
    let total = Some(slice.range.end - slice.range.start);
    let meter = reporter.meter(Task { verb: "Downloading", unit: Unit::Bytes, total });
    let sink = Tail { left: Mutex::new(Left::new(slice, out)), meter: &*meter };
    let mut bad = Bad::new();
    let mut is_done = false;
    for round in 0..3 {
        let knows_more = match round {
            0 => true,
            // What others wrote or merged meanwhile may tell more,
            1 => remote.refresh(reporter).map(|_| true)?,
            // or, where an index is damaged or lost, the packs themselves.
            _ => index_unknown_packs(remote)?,
        };
        if !knows_more {
            break;
        }
        let on = Fetching {
            backend: remote.backend(),
            catalog: &remote.catalog,
            sink: &sink,
            meter: &*meter,
            threads: remote.threads(),
        };
        is_done = on.slice(slice, &sink, &mut bad)?;
        if is_done {
            break;
        }
    }
    meter.finish();
    let mut losses = Losses::of(remote, bad);
    let key = RecordKey { hash: slice.id.digest(), kind: RecordKind::File };
    let outcome = match (is_done, &mut losses) {
        (true, _) => SliceOutcome::Done,
        (false, losses) => match losses.of_record(key, slice.size) {
            Loss::Missing => SliceOutcome::Missing,
            Loss::Gone => SliceOutcome::Gone,
            Loss::Damaged => SliceOutcome::Damaged,
        },
    };
    losses.note();
    Ok(outcome)
}

impl Fetching<'_> {
    /// Tries all places at hand, going on where an earlier one ended; whether all of it was written.
    fn slice(&self, slice: &Slice, sink: &Tail<'_>, bad: &mut Bad) -> Result<bool, Error> {
        let key = RecordKey { hash: slice.id.digest(), kind: RecordKind::File };
        if let Some((bytes, _)) = read_record(self.backend, self.catalog, self.catalog.places(key), key)? {
            if bytes.len() as u64 != slice.size {
                return Ok(false);
            }
            sink.put_file(slice.id, slice.size, &mut bytes.get(sink.next()..).unwrap_or_default())
                .map_err(Error::Sink)?;
            return Ok(true);
        }
        let recipe = RecordKey { kind: RecordKind::Recipe, ..key };
        while let Some(place) = self.good_place(bad, recipe) {
            let pack = self.catalog.pack(place.pack).0;
            let rest = sink.next() as u64..slice.range.end;
            let places = |key| self.catalog.places(key);
            let found = match read_record(self.backend, self.catalog, [place], recipe)? {
                Some((bytes, _)) => {
                    let of = (slice.id, slice.size);
                    expand((self.backend, self.catalog), &places, of, &bytes, rest.clone())?
                }
                None => None,
            };
            let Some(found) = found else {
                bad.insert((recipe, pack));
                continue;
            };
            let Some((pieces, skipped)) = self.pieces(&found, &rest, bad) else {
                return Ok(false);
            };
            sink.skip(skipped);
            let file = File { index: 0, id: slice.id, len: 0, recipe: pack, chunks: 0..pieces.len() };
            match stream_files(self, &pieces, &[file], bad)?.pop() {
                Some(Written::Done) | None => return Ok(true),
                Some(Written::Lost(lost)) => bad.extend(lost),
                Some(Written::OtherContent) => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The chunks that hold bytes of `range`, and how many bytes of the first one come before it.
    fn pieces(&self, found: &Found, range: &Range<u64>, bad: &Bad) -> Option<(Vec<Piece>, u64)> {
        let mut pieces = Vec::new();
        let mut skipped = 0;
        let mut start = found.start;
        for chunk in &found.chunks {
            let end = start + u64::from(chunk.len);
            if end > range.start && start < range.end {
                if pieces.is_empty() {
                    skipped = range.start.saturating_sub(start);
                }
                let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
                pieces.push(Piece { chunk: *chunk, place: self.good_place(bad, key)? });
            }
            start = end;
        }
        Some((pieces, skipped))
    }
}

/// Gets the bytes of the part, possibly in several goes.
struct Tail<'a> {
    left: Mutex<Left<'a>>,
    meter: &'a dyn Meter,
}

/// What was not written yet.
struct Left<'a> {
    out: &'a mut (dyn Write + Send),
    rest: Range<u64>,
    /// Bytes to be left out first: they stand in the first chunk.
    skip: u64,
    /// Where all of the file is read: what was read of it so far, and what it has to be.
    hash: Option<(Hasher, Digest)>,
}

impl<'a> Left<'a> {
    fn new(slice: &Slice, out: &'a mut (dyn Write + Send)) -> Left<'a> {
        let is_whole = slice.range == (0..slice.size);
        let hash = is_whole.then(|| (Hasher::new(), slice.id.digest()));
        Left { out, rest: slice.range.clone(), skip: 0, hash }
    }

    fn take(&mut self, bytes: &mut dyn Read, meter: &dyn Meter) -> Result<(), Stop> {
        let mut buffer = vec![0; 256 << 10];
        while !self.rest.is_empty() {
            let count = bytes.read(&mut buffer).map_err(Stop::Write)?;
            if count == 0 {
                return Err(Stop::OtherContent);
            }
            let skipped = self.skip.min(count as u64);
            self.skip -= skipped;
            let wanted = self.rest.end - self.rest.start;
            let fresh = &buffer[skipped as usize..count];
            let fresh = &fresh[..fresh.len().min(usize::try_from(wanted).unwrap_or(usize::MAX))];
            if let Some((hasher, _)) = &mut self.hash {
                hasher.update(fresh);
            }
            self.out.write_all(fresh).map_err(Stop::Write)?;
            self.rest.start += fresh.len() as u64;
            meter.inc(fresh.len() as u64);
        }
        match &self.hash {
            Some((hasher, expected)) if hasher.finish() != *expected => Err(Stop::OtherContent),
            _ => Ok(()),
        }
    }
}

impl Tail<'_> {
    /// The next byte that is wanted, from the start of the file.
    fn next(&self) -> usize {
        self.locked(|left| left.rest.start as usize)
    }

    fn skip(&self, bytes: u64) {
        self.locked(|left| left.skip = bytes);
    }

    fn locked<T>(&self, with: impl FnOnce(&mut Left<'_>) -> T) -> T {
        with(&mut self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RecordSink for Tail<'_> {
    fn put(&self, _key: RecordKey, _raw: &[u8]) -> Result<(), Cause> {
        Ok(())
    }

    fn put_file(&self, _id: ObjectId, _size: u64, bytes: &mut dyn Read) -> Result<(), Cause> {
        self.locked(|left| left.take(bytes, self.meter)).map_err(Cause::new)
    }
}
