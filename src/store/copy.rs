//! One pass over a large file: read, hashed and written, with its holes kept.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use crate::fs::file::{OutFile, next_data};
use crate::model::digest::{Digest, Hasher};
use crate::report::interrupted;

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

/// Copies the `size` bytes of `source` to `out`, an empty file, and returns their hash.
///
/// `share` asks to share blocks instead of copying, where the file system can; it is set to
/// false where it cannot. Then the hash is that of the copy's bytes, which nobody else changes.
/// `block` is working memory, kept from file to file.
pub(super) fn copy_hashing(
    source: &File,
    size: u64,
    out: &mut OutFile,
    share: &mut bool,
    block: &mut Vec<u8>,
) -> Result<Digest, CopyError> {
    *share = *share && out.clone_from(source).is_ok();
    block.resize(BLOCK, 0);
    let (mut hasher, mut position) = (Hasher::new(), 0);
    while let Some((start, end)) = next_data(source, position, size).map_err(CopyError::Read)? {
        hash_zeros(&mut hasher, start - position);
        if !*share && start > position {
            out.seek_to(start).map_err(CopyError::Write)?;
        }
        position = start;
        while position < end {
            let room = block.len().min((end - position) as usize);
            let room = &mut block[..room];
            let count = if *share { out.read_at(room, position) } else { source.read_at(room, position) };
            let bytes = &room[..count.map_err(CopyError::Read)?];
            if bytes.is_empty() {
                return Err(CopyError::Short);
            }
            hasher.update(bytes);
            if !*share {
                out.write_all(bytes).map_err(CopyError::Write)?;
            }
            position += bytes.len() as u64;
            if interrupted() {
                return Err(CopyError::Interrupted);
            }
        }
    }
    if position < size && !*share {
        out.set_len(size).map_err(CopyError::Write)?;
    }
    hash_zeros(&mut hasher, size - position);
    Ok(hasher.finish())
}

fn hash_zeros(hasher: &mut Hasher, mut count: u64) {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while count > 0 {
        let part = count.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..part as usize]);
        count -= part;
    }
}
