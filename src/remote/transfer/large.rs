//! Putting large files together from their chunks.
//!
//! The chunks of all files, in order, are one stream. It is cut into windows of neighbours; a
//! window is read by one thread, in as few reads as its places allow, some windows ahead of
//! the file that is being written. So many files of some megabytes come as fast as one large
//! file, and memory is bounded by the windows that are under way.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::error::ErrorKind;
use crate::model::digest::{ObjectId, PackId};
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::RoundTrip;
use crate::remote::catalog::{Place, SortedKeys};
use crate::remote::error::Error;
use crate::remote::transfer::fetch::{Bad, FetchReport, Fetching};
use crate::remote::transfer::ranges::Located;
use crate::remote::transfer::recipes::{ALL, expand};
use crate::remote::transfer::windows::{Piece, Window, read_window, windows};
use crate::report::{Meter, Portion, interrupted};

/// Bytes of a window of a remote where requests are dear, and how many are under way.
///
/// A pack as a push fills it is one window: its target and the last parcel of 4 MiB.
const NETWORK: (u64, usize) = (36 << 20, 2);
/// The same of a folder: small enough that a window stays in the processor's cache for a while.
const LOCAL: (u64, usize) = (4 << 20, 3);
/// Bytes of recipes that are read at once.
const RECIPES: u64 = 8 << 20;

/// What became of the files that were to be fetched.
#[derive(Default)]
pub(super) struct Files {
    pub(super) report: FetchReport,
    /// Something of them was not where it should be; it may be elsewhere.
    pub(super) again: Vec<u32>,
    /// Something of them is nowhere.
    pub(super) nowhere: Vec<u32>,
}

/// A file whose recipe was read.
pub(super) struct File {
    pub(super) index: u32,
    pub(super) id: ObjectId,
    pub(super) len: u64,
    /// Where its recipe was read, to be blamed if the chunks do not make the file.
    pub(super) recipe: PackId,
    /// Its first chunk in the stream, and the one behind its last.
    pub(super) chunks: Range<usize>,
}

/// Fetches the files at `files`, positions in `keys` and `sizes`, and hands each to the sink.
pub(super) fn fetch_files(
    on: &Fetching<'_>,
    (keys, sizes): (&SortedKeys, &[u64]),
    files: &[u32],
    bad: &mut Bad,
) -> Result<Files, Error> {
    let mut outcome = Files::default();
    let mut rest = files;
    while !rest.is_empty() {
        let mut located = Vec::new();
        let mut bytes = 0;
        let mut taken = 0;
        for index in rest {
            taken += 1;
            let key = RecordKey { kind: RecordKind::Recipe, ..keys.keys()[*index as usize] };
            match on.good_place(bad, key) {
                Some(place) => {
                    located.push(Located { index: *index, place });
                    bytes += u64::from(place.raw_len);
                }
                None => outcome.nowhere.push(*index),
            }
            if bytes > RECIPES {
                break;
            }
        }
        rest = &rest[taken..];
        let outcome = &mut outcome;
        Batch { on, keys, sizes, bad, outcome, pieces: Vec::new(), files: Vec::new() }.run(located)?;
    }
    Ok(outcome)
}

struct Batch<'a, 'b> {
    on: &'a Fetching<'b>,
    keys: &'a SortedKeys,
    sizes: &'a [u64],
    bad: &'a mut Bad,
    outcome: &'a mut Files,
    pieces: Vec<Piece>,
    files: Vec<File>,
}

impl Batch<'_, '_> {
    fn run(&mut self, recipes: Vec<Located>) -> Result<(), Error> {
        let read = Mutex::new(BTreeMap::new());
        let key_of = |record: &Located| RecordKey {
            kind: RecordKind::Recipe,
            ..self.keys.keys()[record.index as usize]
        };
        let places: HashMap<u32, Place> = recipes.iter().map(|record| (record.index, record.place)).collect();
        let brought = self.on.records(&key_of, recipes, &|record, raw| {
            read.lock().unwrap_or_else(PoisonError::into_inner).insert(record.index, raw.to_vec());
            Ok(())
        })?;
        self.bad.extend(brought.bad);
        self.outcome.again.extend(brought.failed);
        for (index, bytes) in read.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.add(index, places[&index], &bytes)?;
        }
        self.stream()
    }

    /// Appends the chunks of a file to the stream, if all of them are somewhere.
    fn add(&mut self, index: u32, place: Place, recipe: &[u8]) -> Result<(), Error> {
        let id = ObjectId(self.keys.keys()[index as usize].hash);
        let recipe_pack = self.on.catalog.pack(place.pack).0;
        let size = self.sizes[index as usize];
        let places = |key| self.on.catalog.places(key);
        let Some(found) = expand((self.on.backend, self.on.catalog), &places, (id, size), recipe, ALL)?
        else {
            self.blame(index, id, recipe_pack);
            return Ok(());
        };
        let start = self.pieces.len();
        for chunk in found.chunks {
            let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
            let Some(place) = self.on.good_place(self.bad, key) else {
                self.pieces.truncate(start);
                self.outcome.nowhere.push(index);
                return Ok(());
            };
            self.pieces.push(Piece { chunk, place });
        }
        let chunks = start..self.pieces.len();
        self.files.push(File { index, id, len: found.len, recipe: recipe_pack, chunks });
        Ok(())
    }

    /// Notes that the recipe in this pack does not make the file.
    fn blame(&mut self, index: u32, id: ObjectId, pack: PackId) {
        self.bad.insert((RecordKey { hash: id.digest(), kind: RecordKind::Recipe }, pack));
        self.outcome.again.push(index);
    }

    fn stream(&mut self) -> Result<(), Error> {
        let pieces = std::mem::take(&mut self.pieces);
        let written = stream_files(self.on, &pieces, &self.files, self.bad)?;
        self.settle(written);
        Ok(())
    }

    fn settle(&mut self, written: Vec<Written>) {
        let files = std::mem::take(&mut self.files);
        for (file, written) in files.into_iter().zip(written) {
            match written {
                Written::Done => {
                    self.outcome.report.files += 1;
                    self.outcome.report.chunks += file.chunks.len() as u64;
                    self.outcome.report.bytes += file.len;
                }
                Written::Lost(lost) => {
                    self.bad.extend(lost);
                    self.outcome.again.push(file.index);
                }
                Written::OtherContent => self.blame(file.index, file.id, file.recipe),
            }
        }
    }
}

fn window(round_trip: RoundTrip) -> (u64, usize) {
    match round_trip {
        RoundTrip::Local => LOCAL,
        RoundTrip::Network => NETWORK,
    }
}

/// Bytes of a large file that one read brings at most.
pub(super) fn window_bytes(round_trip: RoundTrip) -> u64 {
    window(round_trip).0
}

/// Hands the chunks `pieces` of `files` to the sink, file by file, read ahead by several threads.
pub(super) fn stream_files(
    on: &Fetching<'_>,
    pieces: &[Piece],
    files: &[File],
    bad: &Bad,
) -> Result<Vec<Written>, Error> {
    let (limit, ahead) = window(on.backend.round_trip());
    let windows = windows(pieces, limit);
    let (jobs, todo) = unbounded::<Job>();
    let (spare, buffers) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..ahead.min(windows.len()) {
            let (todo, buffers) = (todo.clone(), buffers.clone());
            scope.spawn(move || {
                for job in todo {
                    let buffer = buffers.try_recv().unwrap_or_default();
                    // The receiver is gone when the file's sink failed.
                    drop(job.done.send(read_window(on, &pieces[job.pieces], bad, buffer)));
                }
            });
        }
        let stream = Stream {
            pieces,
            windows: windows.iter(),
            jobs,
            spare,
            ahead,
            under_way: VecDeque::new(),
            current: Window::default(),
            range: 0..0,
            next: 0,
            offset: 0,
            error: None,
        };
        write_files(on, files, stream)
    })
}

/// What became of one file.
pub(super) enum Written {
    Done,
    /// These chunks are not where they should be.
    Lost(Vec<(RecordKey, PackId)>),
    /// The chunks are right, and make another file.
    OtherContent,
}

fn write_files(on: &Fetching<'_>, files: &[File], mut stream: Stream<'_>) -> Result<Vec<Written>, Error> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        if interrupted() {
            return Err(Error::Interrupted);
        }
        stream.skip_to(file.chunks.start);
        let portion = Portion::of(on.meter);
        let end = file.chunks.end;
        let mut reader = OneFile { stream: &mut stream, end, lost: Vec::new(), meter: &portion };
        let outcome = on.sink.put_file(file.id, file.len, &mut reader);
        let lost = std::mem::take(&mut reader.lost);
        if let Some(error) = stream.error.take() {
            return Err(error);
        }
        all.push(match outcome {
            _ if !lost.is_empty() => Written::Lost(lost),
            Ok(()) => Written::Done,
            Err(cause) if cause.advice().kind() == ErrorKind::Damaged => Written::OtherContent,
            Err(cause) => return Err(Error::Sink(cause)),
        });
        portion.end(file.len);
    }
    Ok(all)
}

struct Job {
    pieces: Range<usize>,
    done: Sender<Outcome>,
}

/// A window that was read, or why the remote stopped.
type Outcome = Result<Window, Error>;

/// The bytes of all files, one after the other.
struct Stream<'a> {
    pieces: &'a [Piece],
    windows: std::slice::Iter<'a, Range<usize>>,
    jobs: Sender<Job>,
    spare: Sender<Vec<u8>>,
    ahead: usize,
    under_way: VecDeque<(Range<usize>, Receiver<Outcome>)>,
    current: Window,
    /// The pieces of the current window.
    range: Range<usize>,
    /// The piece that comes next, and how much of it was handed out.
    next: usize,
    offset: usize,
    /// What stopped the stream for good.
    error: Option<Error>,
}

impl Stream<'_> {
    fn skip_to(&mut self, piece: usize) {
        (self.next, self.offset) = (piece, 0);
    }

    /// Makes the window of the next piece the current one.
    fn load(&mut self) -> Result<(), Error> {
        while !self.range.contains(&self.next) {
            while self.under_way.len() < self.ahead
                && let Some(window) = self.windows.next()
            {
                let (done, result) = bounded(1);
                // The readers live as long as this sender.
                drop(self.jobs.send(Job { pieces: window.clone(), done }));
                self.under_way.push_back((window.clone(), result));
            }
            let Some((range, result)) = self.under_way.pop_front() else { return Err(Error::Interrupted) };
            let window = result.recv().map_err(|_| Error::Interrupted)??;
            let old = std::mem::replace(&mut self.current, window);
            drop(self.spare.send(old.bytes));
            self.range = range;
        }
        Ok(())
    }
}

/// Reads one file of the stream.
struct OneFile<'s, 'a> {
    stream: &'s mut Stream<'a>,
    /// The piece behind its last.
    end: usize,
    lost: Vec<(RecordKey, PackId)>,
    /// Counts what was read.
    meter: &'s dyn Meter,
}

impl Read for OneFile<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let stream = &mut *self.stream;
        if stream.next >= self.end || out.is_empty() {
            return Ok(0);
        }
        if let Err(error) = stream.load() {
            stream.error = Some(error);
            return Err(io::Error::other("the remote stopped"));
        }
        let at = stream.next - stream.range.start;
        if stream.current.lost.contains_key(&at) {
            let of_file = at..self.end.min(stream.range.end) - stream.range.start;
            for (lost, packs) in stream.current.lost.iter().filter(|(lost, _)| of_file.contains(lost)) {
                let key = stream.pieces[stream.range.start + lost].key();
                self.lost.extend(packs.iter().map(|pack| (key, *pack)));
            }
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is damaged on the remote"));
        }
        let len = stream.pieces[stream.next].chunk.len as usize;
        let start = stream.current.starts[at];
        let rest = &stream.current.bytes[start + stream.offset..start + len];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        stream.offset += count;
        self.meter.inc(count as u64);
        if stream.offset == len {
            (stream.next, stream.offset) = (stream.next + 1, 0);
        }
        Ok(count)
    }
}
