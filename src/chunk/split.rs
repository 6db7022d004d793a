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

/// Chunks of the largest size that the buffer holds at least: less moving of bytes than with one.
const WINDOW: usize = 4;

/// Hands every chunk of a file of `size` bytes to `sink`, in order, and gives its recipe.
///
/// The file is hashed in the same pass: the recipe names what was read, and the caller compares it
/// with what it wanted. Memory is four times the profile's largest chunk, at most 16 MiB.
pub fn split<E>(
    reader: &mut dyn Read,
    size: u64,
    sink: &mut dyn FnMut(ChunkRef, &[u8]) -> Result<(), E>,
) -> Result<Recipe, Error<E>> {
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
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::model::object::RecordKind;
    use crate::model::recipe::{self, Decoded};

    /// Bytes that do not repeat and do not compress, from BLAKE3 of a counter.
    fn noise(len: usize) -> Vec<u8> {
        (0..len.div_ceil(32) as u64)
            .flat_map(|at| *Digest::of(&at.to_le_bytes()).as_bytes())
            .take(len)
            .collect()
    }

    fn cuts(data: &[u8]) -> (Recipe, Vec<u8>) {
        let mut again = Vec::new();
        let recipe = split::<Infallible>(&mut &*data, data.len() as u64, &mut |_, bytes| {
            again.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        (recipe, again)
    }

    #[test]
    fn chunks_add_up_to_the_file_whatever_the_reader_hands_out() {
        let data = noise(700_000);
        let (recipe, again) = cuts(&data);
        assert_eq!(again, data);
        assert_eq!(recipe.file, ObjectId(Digest::of(&data)));
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let len = out.len().min(777);
                self.0.read(&mut out[..len])
            }
        }
        let slow = split::<Infallible>(&mut Slow(&data), data.len() as u64, &mut |_, _| Ok(())).unwrap();
        assert_eq!(slow, recipe);
        // The crate's own cuts over the whole file are the specification.
        let whole: Vec<_> = Profile::for_size(1).lengths(&data).collect();
        assert_eq!(recipe.chunks.iter().map(|chunk| chunk.len as usize).collect::<Vec<_>>(), whole);
    }

    #[test]
    fn cuts_are_pinned_for_ever() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/formats/recipes.json")).unwrap();
        let mut checked = 0;
        for case in golden["cuts"].as_array().unwrap() {
            let data = noise(case["bytes"].as_u64().unwrap() as usize);
            let number = case["profile"].as_u64().unwrap() as u16;
            let profile =
                PROFILE_SIZES.iter().map(|&size| Profile::for_size(size)).find(|p| p.number == number);
            let lengths: Vec<u64> = profile.unwrap().lengths(&data).map(|len| len as u64).collect();
            let expected: Vec<u64> =
                case["lengths"].as_array().unwrap().iter().map(|len| len.as_u64().unwrap()).collect();
            assert_eq!(lengths, expected, "profile {number}");
            checked += 1;
        }
        assert_eq!(checked, 4);
        let (recipe, _) = cuts(&noise(300_000));
        let records = recipe.encode();
        let hex: String = records[0].1.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden["recipe"]["bytes"].as_str().unwrap());
    }

    const PROFILE_SIZES: [u64; 4] = [1, (4 << 30) + 1, (64 << 30) + 1, (1 << 40) + 1];

    #[test]
    fn borders_of_profiles_are_inclusive() {
        assert_eq!(Profile::for_size(4 << 30).number, 1);
        assert_eq!(Profile::for_size((4 << 30) + 1).number, 2);
        assert_eq!(Profile::for_size(64 << 30).number, 2);
        assert_eq!(Profile::for_size(1 << 40).number, 3);
        assert_eq!(Profile::for_size((1 << 40) + 1).number, 4);
    }

    #[test]
    fn an_edit_changes_few_chunks() {
        let mut data = noise(2_000_000);
        let (before, _) = cuts(&data);
        data.splice(1_000_000..1_000_000, *b"inserted");
        let (after, _) = cuts(&data);
        let fresh = after.chunks.iter().filter(|chunk| !before.chunks.contains(chunk)).count();
        assert!(fresh <= 2, "{fresh} chunks changed");
    }

    #[test]
    fn recipes_of_pages_come_back_and_damage_is_refused() {
        let (mut recipe, _) = cuts(&noise(70_000));
        let small = recipe.encode();
        let (key, bytes) = &small[0];
        assert_eq!(key.kind, RecordKind::Recipe);
        for cut in 0..bytes.len() {
            assert!(recipe::decode(key.hash, &bytes[..cut], &Profile::bounds_of).is_err());
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(recipe::decode(key.hash, &flipped, &Profile::bounds_of).is_err(), "byte {at}");
        }
        // More chunks than one list holds; made up, of the least length.
        let chunk = ChunkRef { id: ChunkId(Digest::of(b"c")), len: 4096 };
        recipe.chunks = vec![chunk; recipe::CHUNKS_A_PAGE + 3];
        recipe.file_len = 4096 * recipe.chunks.len() as u64;
        let records = recipe.encode();
        assert_eq!(records.len(), 3);
        let (key, bytes) = &records[2];
        let Ok(Decoded::Pages { pages, .. }) = recipe::decode(key.hash, bytes, &Profile::bounds_of) else {
            panic!("a recipe of pages")
        };
        let mut chunks = Vec::new();
        for (page, (key, bytes)) in pages.iter().zip(&records) {
            assert_eq!(page.id, key.hash);
            let Ok(Decoded::Chunks(part)) = recipe::decode(key.hash, bytes, &Profile::bounds_of) else {
                panic!("a page")
            };
            chunks.extend(part.chunks);
        }
        assert_eq!(chunks, recipe.chunks);
    }
}
