use std::convert::Infallible;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// The profiles in use, and the smallest file of each.
const SIZES: [(u16, u64); 4] = [(5, 1), (2, (4 << 30) + 1), (3, (64 << 30) + 1), (4, (1 << 40) + 1)];

/// Bytes that do not repeat and do not compress: BLAKE3 of the little-endian u64 0, 1, 2, ...
fn noise(len: usize) -> Vec<u8> {
    let blocks = 0..len.div_ceil(32) as u64;
    blocks.flat_map(|at| *Digest::of(&at.to_le_bytes()).as_bytes()).take(len).collect()
}

/// Lines of a table.
fn lines(len: usize) -> Vec<u8> {
    (0u64..).flat_map(|i| format!("{i},{}\n", i * 7919 % 4096).into_bytes()).take(len).collect()
}

fn split_all(reader: &mut dyn Read, size: usize) -> (Recipe, Vec<u8>) {
    let mut again = Vec::new();
    let mut sink = |chunk: ChunkRef, bytes: &[u8]| {
        assert_eq!((chunk.id, chunk.len as usize), (ChunkId(Digest::of(bytes)), bytes.len()));
        again.extend_from_slice(bytes);
        Ok::<_, Infallible>(())
    };
    let recipe = split(reader, size as u64, &mut sink).unwrap();
    (recipe, again)
}

fn lengths(recipe: &Recipe) -> Vec<usize> {
    recipe.chunks.iter().map(|chunk| chunk.len as usize).collect()
}

#[test]
fn cuts_are_pinned_for_ever() {
    let golden: Value = serde_json::from_str(include_str!("../../../fixtures/formats/recipes.json")).unwrap();
    let cases = golden["cuts"].as_array().unwrap();
    for case in cases {
        let bytes = case["bytes"].as_u64().unwrap() as usize;
        let data = match case["data"].as_str().unwrap() {
            "noise" => noise(bytes),
            "lines" => lines(bytes),
            _ => vec![0; bytes],
        };
        let number = case["profile"].as_u64().unwrap() as u16;
        let cuts: Value = Profile::numbered(number).unwrap().lengths(&data).collect::<Vec<_>>().into();
        assert_eq!(cuts, case["lengths"], "profile {number}, {bytes} bytes of {}", case["data"]);
    }
    assert_eq!(cases.len(), 20);
    for case in golden["recipes"].as_array().unwrap() {
        let bytes = case["bytes_of_file"].as_u64().unwrap() as usize;
        let data = if case["data"] == "noise" { noise(bytes) } else { vec![0; bytes] };
        let (recipe, _) = split_all(&mut &data[..], bytes);
        assert_eq!(recipe.file.to_string(), case["name"].as_str().unwrap());
        let hex: String = recipe.encode()[0].1.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, case["bytes"].as_str().unwrap());
    }
}

#[test]
fn borders_of_profiles_are_inclusive() {
    let mut before = 5;
    for (number, size) in SIZES {
        assert_eq!(Profile::for_size(size).number, number);
        assert_eq!(Profile::for_size(size - 1).number, before);
        assert_eq!(Profile::numbered(number), Some(Profile::for_size(size)));
        before = number;
    }
    // Recipes that name the first one are on remotes.
    assert_eq!(Profile::bounds_of(1), Some((4 << 10, 64 << 10)));
    assert_eq!((Profile::bounds_of(0), Profile::bounds_of(6)), (None, None));
}

#[test]
fn an_edit_changes_few_chunks() {
    let mut data = noise(2_000_000);
    let (before, _) = split_all(&mut &data[..], data.len());
    data.splice(1_000_000..1_000_000, *b"inserted");
    let (after, _) = split_all(&mut &data[..], data.len());
    let fresh = after.chunks.iter().filter(|chunk| !before.chunks.contains(chunk)).count();
    assert!(fresh <= 2, "{fresh} chunks changed");
}

#[test]
fn a_file_of_another_length_than_announced_is_refused() {
    let data = noise(100_000);
    for expected in [0, 99_999, 100_001, 5_000_000] {
        let refused = split::<Infallible>(&mut &data[..], expected, &mut |_, _| Ok(()));
        assert!(matches!(refused, Err(Error::Length { found: 100_000, .. })), "{expected}");
    }
    // It grows as it is read, for ever.
    let refused = split::<Infallible>(&mut io::repeat(7), 5_000_000, &mut |_, _| Ok(()));
    assert!(matches!(refused, Err(Error::Length { expected: 5_000_000, .. })));
}

/// Hands out a few bytes at a time, as pipes do, and is interrupted before each.
struct InPieces<'a> {
    rest: &'a [u8],
    pieces: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    is_interrupted: bool,
}

impl Read for InPieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let piece = self.pieces.next().copied().unwrap_or(1);
        let len = out.len().min(piece);
        self.rest.read(&mut out[..len])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunks_add_up_to_the_file_and_do_not_depend_on_how_it_is_read(
        len in 0usize..900_000, pieces in proptest::collection::vec(1000usize..200_000, 1..5),
        zeros in 0usize..400_000
    ) {
        // A stretch without cuts, so that chunks of the largest size cross the window at any place.
        let mut data = noise(len);
        data.splice(len / 3..len / 3, std::iter::repeat_n(0, zeros));
        let mut reader = InPieces { rest: &data, pieces: pieces.iter().cycle(), is_interrupted: false };
        let (recipe, again) = split_all(&mut reader, data.len());
        prop_assert!(again == data);
        prop_assert_eq!(recipe.file, ObjectId(Digest::of(&data)));
        // The crate's own cuts over the whole file are the specification.
        let whole: Vec<_> = Profile::for_size(data.len() as u64).lengths(&data).collect();
        prop_assert_eq!(lengths(&recipe), whole);
    }
}
