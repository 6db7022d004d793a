//! Changing a stat index: gathering what was learnt, merging it, replacing the file.

use std::time::Duration;

use crate::fs::dir::Dir;
use crate::fs::stamp::{FINE_NS, FileStamp};
use crate::fs::{self, atomic};
use crate::model::digest::{Digest, Hasher};
use crate::model::path::RepoPath;
use crate::store::statindex::{HEADER, MAGIC, RECORD, RESTART, Reader, Record, StatIndex, VERSION, now_ns};

/// Longest that writing waits for stamps to come of age.
const MAX_WAIT: Duration = Duration::from_millis(50);

/// Changes to an index, gathered while a command runs.
#[derive(Debug, Default)]
pub struct StatIndexUpdate {
    paths: String,
    puts: Vec<Put>,
    forgotten: Vec<String>,
}

#[derive(Debug)]
struct Put {
    start: usize,
    len: usize,
    record: Record,
}

impl StatIndexUpdate {
    /// No changes.
    pub fn new() -> StatIndexUpdate {
        StatIndexUpdate::default()
    }

    /// Records the hash of the file at `path`, the base and the path below it.
    ///
    /// The stamp must be settled (`is_settled`), or be of a file that this command wrote. Of
    /// two records of one path the later one counts.
    pub fn put(&mut self, base: &str, path: &str, stamp: &FileStamp, hash: Digest) {
        let Some(record) = Record::new(stamp, hash) else { return };
        let start = self.paths.len();
        self.paths.push_str(base);
        if !base.is_empty() && !path.is_empty() {
            self.paths.push('/');
        }
        self.paths.push_str(path);
        self.puts.push(Put { start, len: self.paths.len() - start, record });
    }

    /// Leaves out what the index holds at `path` and below it, except what is put.
    pub fn forget_below(&mut self, path: &str) {
        self.forgotten.push(path.to_owned());
    }

    /// These changes after those of `earlier`.
    pub fn after(self, earlier: StatIndexUpdate) -> StatIndexUpdate {
        let mut all = earlier;
        let shift = all.paths.len();
        all.paths.push_str(&self.paths);
        all.puts.extend(self.puts.into_iter().map(|put| Put { start: put.start + shift, ..put }));
        all.forgotten.extend(self.forgotten);
        all
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.forgotten.is_empty()
    }

    fn path(&self, put: &Put) -> &[u8] {
        &self.paths.as_bytes()[put.start..put.start + put.len]
    }

    /// Merges the changes into `old` and replaces the file at `path` of `dir`.
    ///
    /// Waits for up to 50 ms until the stamps are old enough to be trusted at once. Not
    /// durable: a power loss may leave an index that is refused and counts as empty.
    pub fn save(mut self, old: &StatIndex, dir: &Dir, path: &RepoPath) -> Result<(), fs::Error> {
        if self.is_empty() {
            return Ok(());
        }
        let paths = std::mem::take(&mut self.paths);
        let path_of = |put: &Put| &paths.as_bytes()[put.start..put.start + put.len];
        // Stable: of equal paths the later put stays the later.
        if !self.puts.is_sorted_by(|a, b| path_of(a) < path_of(b)) {
            self.puts.sort_by(|a, b| path_of(a).cmp(path_of(b)));
        }
        self.forgotten.sort_unstable();
        self.paths = paths;
        let mut encoder =
            Encoder::new(old.bytes.len() + self.puts.len() * (RECORD + 24) + self.paths.len() / 2);
        self.merge(old, &mut encoder);
        wait_until_settled(self.puts.iter().map(|put| put.record.mtime_ns.max(put.record.ctime_ns)).max());
        let bytes = encoder.finish();
        atomic::write_hint(dir, path, &[&bytes])
    }

    fn merge(&self, old: &StatIndex, encoder: &mut Encoder) {
        let mut puts = self.puts.iter().peekable();
        let mut reader = Reader::start(old);
        while reader.advance() {
            while let Some(put) = puts.next_if(|put| self.path(put) < &reader.path[..]) {
                encoder.push_last(self.path(put), &put.record, puts.peek().map(|next| self.path(next)));
            }
            let is_replaced = puts.peek().is_some_and(|put| self.path(put) == &reader.path[..]);
            let Some(record) = &reader.record else { break };
            if !is_replaced && !old.is_racy(record) && !self.is_forgotten(&reader.path) {
                encoder.push(&reader.path, record);
            }
        }
        while let Some(put) = puts.next() {
            encoder.push_last(self.path(put), &put.record, puts.peek().map(|next| self.path(next)));
        }
    }

    fn is_forgotten(&self, path: &[u8]) -> bool {
        self.forgotten.iter().any(|folder| {
            folder.is_empty()
                || path
                    .strip_prefix(folder.as_bytes())
                    .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
        })
    }
}

fn wait_until_settled(newest_ns: Option<i64>) {
    // The index's own mtime may lag behind the clock by a tick of up to 10 ms.
    let ready = newest_ns.unwrap_or(i64::MIN).saturating_add(FINE_NS + 10_000_000);
    let missing = ready.saturating_sub(now_ns());
    if missing > 0 {
        std::thread::sleep(Duration::from_nanos(missing.unsigned_abs()).min(MAX_WAIT));
    }
}

/// Builds the file's bytes.
pub(super) struct Encoder {
    bytes: Vec<u8>,
    restarts: Vec<u8>,
    count: usize,
    last: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(capacity: usize) -> Encoder {
        let mut bytes = Vec::with_capacity(capacity + HEADER);
        bytes.resize(HEADER, 0);
        Encoder { bytes, restarts: Vec::new(), count: 0, last: Vec::new() }
    }

    /// Appends an entry unless one of the same path follows.
    fn push_last(&mut self, path: &[u8], record: &Record, next: Option<&[u8]>) {
        if next != Some(path) {
            self.push(path, record);
        }
    }

    pub(super) fn push(&mut self, path: &[u8], record: &Record) {
        if path.len() > usize::from(u16::MAX) {
            return;
        }
        let shared = if self.count.is_multiple_of(RESTART) {
            self.restarts.extend_from_slice(&(self.bytes.len() as u64).to_le_bytes());
            0
        } else {
            self.last.iter().zip(path).take_while(|(a, b)| a == b).count()
        };
        let rest = &path[shared..];
        self.bytes.extend_from_slice(&(shared as u16).to_le_bytes());
        self.bytes.extend_from_slice(&(rest.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(rest);
        self.bytes.extend_from_slice(&record.encode());
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.count += 1;
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let entries = (self.bytes.len() - HEADER) as u64;
        let header = &mut self.bytes[..HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(RESTART as u32).to_le_bytes());
        header[16..24].copy_from_slice(&(self.count as u64).to_le_bytes());
        header[24..32].copy_from_slice(&entries.to_le_bytes());
        self.bytes.append(&mut self.restarts);
        let mut hasher = Hasher::new();
        hasher.update(&self.bytes);
        self.bytes.extend_from_slice(hasher.finish().as_bytes());
        self.bytes
    }
}
