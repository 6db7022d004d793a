//! Putting large files together from their chunks.
//!
//! The chunks of all files, in order, are one stream. It is cut into windows of neighbours; a
//! window is read by one thread, in as few reads as its places allow, some windows ahead of
//! the file that is being written. So many files of some megabytes come as fast as one large
//! file, and memory is bounded by the windows that are under way.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{self, Read};
use std::ops::Range;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::chunk::cdc::Profile;
use crate::error::ErrorKind;
use crate::model::digest::{Digest, ObjectId, PackId};
use crate::model::object::{ChunkRef, RecordKey, RecordKind};
use crate::model::recipe::{self, Decoded};
use crate::remote::backend::RoundTrip;
use crate::remote::catalog::{Place, SortedKeys};
use crate::remote::error::Error;
use crate::remote::transfer::fetch::{Bad, FetchReport, Fetching};
use crate::remote::transfer::ranges::{Located, plan_reads};
use crate::remote::transfer::recipes::{is_absence, read_record};
use crate::remote::transfer::stream::read_records;
use crate::report::interrupted;

/// Bytes of a window of a remote where requests are dear, and how many are under way.
const NETWORK: (u64, usize) = (32 << 20, 2);
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
struct File {
    index: u32,
    id: ObjectId,
    len: u64,
    /// Where its recipe was read, to be blamed if the chunks do not make the file.
    recipe: PackId,
    /// Its first chunk in the stream, and the one behind its last.
    chunks: Range<usize>,
}

/// A chunk of the stream.
#[derive(Clone, Copy)]
struct Piece {
    chunk: ChunkRef,
    place: Place,
}

impl Piece {
    fn key(&self) -> RecordKey {
        RecordKey { hash: self.chunk.id.digest(), kind: RecordKind::Chunk }
    }
}

/// Fetches the files at `files`, positions in `keys`, and hands each to the sink.
pub(super) fn fetch_files(
    on: &Fetching<'_>,
    keys: &SortedKeys,
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
        Batch { on, keys, bad, outcome: &mut outcome, pieces: Vec::new(), files: Vec::new() }.run(located)?;
    }
    Ok(outcome)
}

struct Batch<'a, 'b> {
    on: &'a Fetching<'b>,
    keys: &'a SortedKeys,
    bad: &'a mut Bad,
    outcome: &'a mut Files,
    pieces: Vec<Piece>,
    files: Vec<File>,
}

impl Batch<'_, '_> {
    fn run(&mut self, recipes: Vec<Located>) -> Result<(), Error> {
        let read = std::sync::Mutex::new(BTreeMap::new());
        let key_of = |record: &Located| RecordKey {
            kind: RecordKind::Recipe,
            ..self.keys.keys()[record.index as usize]
        };
        let places: HashMap<u32, Place> = recipes.iter().map(|record| (record.index, record.place)).collect();
        let brought = self.on.records(&key_of, recipes, &|record, raw| {
            read.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(record.index, raw.to_vec());
            Ok(())
        })?;
        self.bad.extend(brought.bad);
        self.outcome.again.extend(brought.failed);
        for (index, bytes) in read.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            self.add(index, places[&index], &bytes)?;
        }
        self.stream()
    }

    /// Appends the chunks of a file to the stream, if all of them are somewhere.
    fn add(&mut self, index: u32, place: Place, recipe: &[u8]) -> Result<(), Error> {
        let id = ObjectId(self.keys.keys()[index as usize].hash);
        let recipe_pack = self.on.catalog.pack(place.pack).0;
        let Some((len, chunks)) = self.chunks(id.digest(), recipe)? else {
            self.blame(index, id, recipe_pack);
            return Ok(());
        };
        let start = self.pieces.len();
        for chunk in chunks {
            let key = RecordKey { hash: chunk.id.digest(), kind: RecordKind::Chunk };
            let Some(place) = self.on.good_place(self.bad, key) else {
                self.pieces.truncate(start);
                self.outcome.nowhere.push(index);
                return Ok(());
            };
            self.pieces.push(Piece { chunk, place });
        }
        self.files.push(File { index, id, len, recipe: recipe_pack, chunks: start..self.pieces.len() });
        Ok(())
    }

    /// The length and the chunks that a recipe gives; `None` if it, or a page of it, is no recipe.
    fn chunks(&self, name: Digest, bytes: &[u8]) -> Result<Option<(u64, Vec<ChunkRef>)>, Error> {
        let (file_len, pages) = match recipe::decode(name, bytes, &Profile::bounds_of) {
            Ok(Decoded::Chunks(recipe)) => return Ok(Some((recipe.file_len, recipe.chunks))),
            Ok(Decoded::Pages { file_len, pages, .. }) => (file_len, pages),
            Err(_) => return Ok(None),
        };
        let mut chunks = Vec::new();
        for page in pages {
            let key = RecordKey { hash: page.id, kind: RecordKind::Recipe };
            let read = read_record(self.on.backend, self.on.catalog, self.on.catalog.places(key), key)?;
            match read.map(|(bytes, _)| recipe::decode(page.id, &bytes, &Profile::bounds_of)) {
                Some(Ok(Decoded::Chunks(part)))
                    if part.file_len == page.bytes && part.chunks.len() == page.chunks as usize =>
                {
                    chunks.extend(part.chunks);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some((file_len, chunks)))
    }

    /// Notes that the recipe in this pack does not make the file.
    fn blame(&mut self, index: u32, id: ObjectId, pack: PackId) {
        self.bad.insert((RecordKey { hash: id.digest(), kind: RecordKind::Recipe }, pack));
        self.outcome.again.push(index);
    }

    fn stream(&mut self) -> Result<(), Error> {
        let (limit, ahead) = match self.on.backend.round_trip() {
            RoundTrip::Local => LOCAL,
            RoundTrip::Network => NETWORK,
        };
        let pieces = std::mem::take(&mut self.pieces);
        let windows = windows(&pieces, limit);
        let (jobs, todo) = unbounded::<Job>();
        let (spare, buffers) = unbounded();
        std::thread::scope(|scope| {
            for _ in 0..ahead.min(windows.len()) {
                let (todo, on, pieces, bad, buffers) =
                    (todo.clone(), self.on, &pieces, &*self.bad, buffers.clone());
                scope.spawn(move || {
                    for job in todo {
                        let buffer = buffers.try_recv().unwrap_or_default();
                        // The receiver is gone when the file's sink failed.
                        drop(job.done.send(read_window(on, &pieces[job.pieces], bad, buffer)));
                    }
                });
            }
            let stream = Stream {
                pieces: &pieces,
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
            write_files(self.on, &self.files, stream)
        })
        .map(|written| self.settle(written))
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

/// What became of one file.
enum Written {
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
        let mut reader = OneFile { stream: &mut stream, end: file.chunks.end, lost: Vec::new() };
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
        on.meter.inc(file.len);
    }
    Ok(all)
}

/// Cuts the stream into runs of at most `limit` bytes.
///
/// A run ends early where the stream goes on in another pack, once it has a quarter of the
/// limit: the chunks of a file that was sent at once are then one read a pack.
fn windows(pieces: &[Piece], limit: u64) -> Vec<Range<usize>> {
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

struct Job {
    pieces: Range<usize>,
    done: Sender<Result<Window, Error>>,
}

/// The bytes of some neighbouring chunks.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where each chunk starts.
    starts: Vec<usize>,
    /// Chunks that did not come, by their position in the window, and where they were looked for.
    lost: HashMap<usize, Vec<PackId>>,
}

/// Reads the chunks of a window to their places in `buffer`.
fn read_window(on: &Fetching<'_>, pieces: &[Piece], bad: &Bad, mut buffer: Vec<u8>) -> Result<Window, Error> {
    let mut starts = Vec::with_capacity(pieces.len());
    let mut len = 0;
    for piece in pieces {
        starts.push(len);
        len += piece.chunk.len as usize;
    }
    buffer.clear();
    buffer.resize(len, 0);
    // A chunk that repeats (a hole of zeros) is read once.
    let mut firsts: HashMap<Digest, usize> = HashMap::new();
    let mut records = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        firsts.entry(piece.chunk.id.digest()).or_insert_with(|| {
            records.push(Located { index: at as u32, place: piece.place });
            at
        });
    }
    let mut came = HashSet::new();
    let key_of = |record: &Located| pieces[record.index as usize].key();
    for read in plan_reads(records.clone(), on.backend.round_trip(), u64::MAX) {
        let pack = on.catalog.pack(read.pack).0;
        let ended = read_records(on.backend, pack, &read, &key_of, &mut |record, raw| {
            let at = record.index as usize;
            if let Some(raw) = raw.filter(|raw| raw.len() == pieces[at].chunk.len as usize) {
                buffer[starts[at]..starts[at] + raw.len()].copy_from_slice(raw);
                came.insert(at);
            }
            true
        });
        match ended {
            Err(error) if !is_absence(&error) => return Err(error.into()),
            _ => {}
        }
    }
    let mut lost: HashMap<usize, Vec<PackId>> = HashMap::new();
    for record in records.iter().filter(|record| !came.contains(&(record.index as usize))) {
        let at = record.index as usize;
        let elsewhere = elsewhere(on, bad, &pieces[at])?;
        match elsewhere {
            Ok(raw) => buffer[starts[at]..starts[at] + raw.len()].copy_from_slice(&raw),
            Err(tried) => drop(lost.insert(at, tried)),
        }
    }
    for (at, piece) in pieces.iter().enumerate() {
        let first = firsts[&piece.chunk.id.digest()];
        if first != at {
            let len = piece.chunk.len as usize;
            buffer.copy_within(starts[first]..starts[first] + len, starts[at]);
            if let Some(tried) = lost.get(&first).cloned() {
                lost.insert(at, tried);
            }
        }
    }
    Ok(Window { bytes: buffer, starts, lost })
}

/// A chunk from another place than the one where it was not; or all packs where it is not.
fn elsewhere(on: &Fetching<'_>, bad: &Bad, piece: &Piece) -> Result<Result<Vec<u8>, Vec<PackId>>, Error> {
    let key = piece.key();
    let pack_of = |place: &Place| on.catalog.pack(place.pack).0;
    let others =
        on.catalog.places(key).filter(|place| *place != piece.place && !bad.contains(&(key, pack_of(place))));
    let others: Vec<Place> = others.collect();
    let read = read_record(on.backend, on.catalog, others.iter().copied(), key)?;
    Ok(match read {
        Some((raw, _)) if raw.len() == piece.chunk.len as usize => Ok(raw),
        _ => Err(others.iter().chain([&piece.place]).map(pack_of).collect()),
    })
}

/// The bytes of all files, one after the other.
struct Stream<'a> {
    pieces: &'a [Piece],
    windows: std::slice::Iter<'a, Range<usize>>,
    jobs: Sender<Job>,
    spare: Sender<Vec<u8>>,
    ahead: usize,
    under_way: VecDeque<(Range<usize>, Receiver<Result<Window, Error>>)>,
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
        if stream.offset == len {
            (stream.next, stream.offset) = (stream.next + 1, 0);
        }
        Ok(count)
    }
}
