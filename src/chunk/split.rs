//! Splits a file into chunks while it is read once, in bounded memory.

use std::io::{self, Read};

use crate::chunk::cdc::Profile;
use crate::error::{Advice, ErrorKind};
use crate::model::digest::{ChunkId, Digest, Hasher, ObjectId};
use crate::model::object::ChunkRef;
use crate::model::recipe::Recipe;

/// Why a file could not be split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The file could not be read.
    #[error("cannot read the file to split")]
    Read(#[source] io::Error),
    /// The file has another length than was said.
    #[error("the file has {found} bytes instead of {expected}")]
    Length {
        /// Bytes that were announced.
        expected: u64,
        /// Bytes that were read.
        found: u64,
    },
    /// A chunk could not be handed on.
    #[error(transparent)]
    Sink(E),
}

impl<E: Advice + 'static> Advice for Error<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Read(source) => ErrorKind::of_io(source),
            Error::Length { .. } => ErrorKind::ChangedMeanwhile,
            Error::Sink(error) => error.kind(),
        }
    }
}

/// Receives each chunk and its bytes.
pub type ChunkSink<'a, E> = dyn FnMut(ChunkRef, &[u8]) -> Result<(), E> + 'a;

/// Chunks of the largest size that the buffer holds at least: less moving of bytes than with one.
const WINDOW: usize = 4;

/// Hands every chunk of a file of `size` bytes to `sink`, in order, and gives its recipe.
///
/// The file is hashed in the same pass: the recipe names what was read, and the caller compares it
/// with what it wanted. Memory is four times the profile's largest chunk, at most 16 MiB.
pub fn split<E>(reader: &mut dyn Read, size: u64, sink: &mut ChunkSink<'_, E>) -> Result<Recipe, Error<E>> {
    let profile = Profile::for_size(size);
    let (_, max) = profile.bounds();
    let mut buffer = vec![0; max as usize * WINDOW];
    let mut filled = 0;
    let mut whole = Hasher::new();
    let mut chunks = Vec::new();
    let mut total = 0u64;
    loop {
        let read = fill(reader, &mut buffer[filled..]).map_err(Error::Read)?;
        whole.update(&buffer[filled..filled + read]);
        filled += read;
        total += read as u64;
        if total > size {
            // Not to its end: a file that grows as fast as it is read has none.
            break;
        }
        let at_end = filled < buffer.len();
        let mut start = 0;
        for len in profile.lengths(&buffer[..filled]) {
            if start + len == filled && !at_end {
                break;
            }
            let data = &buffer[start..start + len];
            let chunk = ChunkRef { id: ChunkId(Digest::of(data)), len: len as u32 };
            sink(chunk, data).map_err(Error::Sink)?;
            chunks.push(chunk);
            start += len;
        }
        if at_end {
            break;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
    if total != size {
        return Err(Error::Length { expected: size, found: total });
    }
    Ok(Recipe { file: ObjectId(whole.finish()), file_len: size, profile: profile.number, chunks })
}

/// Reads until the buffer is full or the file ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
