//! One pass over a large file: read, hashed and written, with its holes kept.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use crate::fs::file::{OutFile, next_data};
use crate::model::digest::{Digest, Hasher};
use crate::report::{Meter, interrupted};

/// One read, one write.
const BLOCK: usize = 1 << 20;

/// Why a copy came to no end.
#[derive(Debug)]
pub(super) enum CopyError {
    /// The source could not be read.
    Read(io::Error),
    /// The copy could not be written.
    Write(io::Error),
    /// The source is shorter than it was said to be.
    Short,
    /// The user asked to stop.
    Interrupted,
}

/// What is copied.
pub(super) struct Source<'a> {
    pub(super) file: &'a File,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Counts the bytes as they are copied.
    pub(super) meter: &'a dyn Meter,
}

/// Copies `source` to `out`, an empty file, and returns the hash of its bytes.
///
/// `share` asks to share blocks instead of copying, where the file system can; it is set to
/// false where it cannot. Then the hash is that of the copy's bytes, which nobody else changes.
/// `block` is working memory, kept from file to file.
pub(super) fn copy_hashing(
    source: &Source<'_>,
    out: &mut OutFile,
    share: &mut bool,
    block: &mut Vec<u8>,
) -> Result<Digest, CopyError> {
    let Source { file, size, .. } = *source;
    *share = *share && out.clone_from(file).is_ok();
    block.resize(BLOCK, 0);
    let (mut hasher, mut position) = (Hasher::new(), 0);
    while let Some((start, end)) = next_data(file, position, size).map_err(CopyError::Read)? {
        source.hash_zeros(&mut hasher, start - position)?;
        if !*share && start > position {
            out.seek_to(start).map_err(CopyError::Write)?;
        }
        position = start;
        while position < end {
            let room = block.len().min((end - position) as usize);
            let room = &mut block[..room];
            let count = if *share { out.read_at(room, position) } else { file.read_at(room, position) };
            let bytes = &room[..count.map_err(CopyError::Read)?];
            if bytes.is_empty() {
                return Err(CopyError::Short);
            }
            hasher.update(bytes);
            if !*share {
                out.write_all(bytes).map_err(CopyError::Write)?;
            }
            position += bytes.len() as u64;
            source.count(bytes.len())?;
        }
    }
    if position < size && !*share {
        out.set_len(size).map_err(CopyError::Write)?;
    }
    source.hash_zeros(&mut hasher, size - position)?;
    Ok(hasher.finish())
}

impl Source<'_> {
    /// Counts what was copied, unless the user asked to stop.
    fn count(&self, bytes: usize) -> Result<(), CopyError> {
        self.meter.inc(bytes as u64);
        if interrupted() { Err(CopyError::Interrupted) } else { Ok(()) }
    }

    fn hash_zeros(&self, hasher: &mut Hasher, mut count: u64) -> Result<(), CopyError> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while count > 0 {
            let part = count.min(ZEROS.len() as u64) as usize;
            hasher.update(&ZEROS[..part]);
            count -= part as u64;
            self.count(part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Steps(Mutex<Vec<u64>>);

    impl Meter for Steps {
        fn inc(&self, amount: u64) {
            self.0.lock().unwrap().push(amount);
        }
        fn set_total(&self, _total: u64) {}
        fn finish(&self) {}
    }

    #[test]
    fn a_large_file_is_counted_while_it_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source");
        let mut bytes = vec![7; 3 * BLOCK];
        bytes.resize(4 * BLOCK, 0);
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.set_len(6 * BLOCK as u64).unwrap();
        let steps = Steps(Mutex::default());
        let dir = crate::fs::dir::Dir::open(folder.path()).unwrap();
        let mut out = dir.create_file(&"copy".parse().unwrap(), 0o666).unwrap();
        let source = Source { file: &file, size: 6 * BLOCK as u64, meter: &steps };
        let hash = copy_hashing(&source, &mut out, &mut false, &mut Vec::new()).unwrap();
        bytes.resize(6 * BLOCK, 0);
        assert_eq!(hash, Digest::of(&bytes));
        let steps = steps.0.into_inner().unwrap();
        assert_eq!(steps.iter().sum::<u64>(), 6 * BLOCK as u64);
        assert!(steps.iter().all(|step| *step <= BLOCK as u64), "{steps:?}");
    }
}
