use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../fixtures/formats/recipes.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Profiles 1 and 5: an average of 16 KiB; it matters for these alone here.
fn bounds(profile: u16) -> Option<(u32, u32)> {
    matches!(profile, 1 | 5).then_some((4 << 10, 64 << 10))
}

/// A file of so many chunks that nobody has, as fixtures/formats/recipes.py makes it up.
fn made_up(count: u64) -> Recipe {
    let chunk = |i: u64| ChunkRef {
        id: ChunkId(Digest::of(&i.to_le_bytes())),
        len: 4096 + (i * 7919 % 20_000) as u32,
    };
    let chunks: Vec<_> = (0..count).map(chunk).collect();
    let file_len = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
    Recipe { file: ObjectId(Digest::of(b"made up")), file_len, profile: 1, chunks }
}

/// The chunks that the records of a file list, read as a fetch does.
fn read_back(records: &[(RecordKey, Vec<u8>)]) -> Result<Recipe, RecipeError> {
    let (key, bytes) = records.last().unwrap();
    let (file, file_len, profile, pages) = match decode(key.hash, bytes, &bounds)? {
        Decoded::Chunks(recipe) => return Ok(recipe),
        Decoded::Pages { file, file_len, profile, pages } => (file, file_len, profile, pages),
    };
    let mut chunks = Vec::new();
    for page in pages {
        let (_, bytes) = records.iter().find(|(key, _)| key.hash == page.id).unwrap();
        let Decoded::Chunks(part) = decode(page.id, bytes, &bounds)? else { panic!("pages do not nest") };
        assert_eq!((part.chunks.len(), part.file_len), (page.chunks as usize, page.bytes));
        assert_eq!((part.file.digest(), part.profile), (Digest::ZERO, profile));
        chunks.extend(part.chunks);
    }
    Ok(Recipe { file, file_len, profile, chunks })
}

#[test]
fn golden_recipes_are_read_and_written_byte_for_byte() {
    for vector in vectors()["recipes"].as_array().unwrap() {
        let bytes = hex(vector["bytes"].as_str().unwrap());
        let name = vector["name"].as_str().unwrap().parse().unwrap();
        let Ok(Decoded::Chunks(recipe)) = decode(name, &bytes, &bounds) else { panic!("{name}") };
        assert_eq!(recipe.file_len, vector["bytes_of_file"].as_u64().unwrap());
        assert_eq!(recipe.encode(), [(RecordKey { hash: name, kind: RecordKind::Recipe }, bytes)]);
    }
}

#[test]
fn golden_pages_begin_above_65_536_chunks() {
    let vectors = vectors();
    for vector in vectors["pages"].as_array().unwrap() {
        let recipe = made_up(vector["chunks"].as_u64().unwrap());
        let records = recipe.encode();
        let expected = vector["records"].as_array().unwrap();
        assert_eq!(records.len(), expected.len());
        for ((key, bytes), expected) in records.iter().zip(expected) {
            assert_eq!(key.hash.to_string(), expected["name"].as_str().unwrap());
            assert_eq!(bytes.len() as u64, expected["length"].as_u64().unwrap());
            assert_eq!(Digest::of(bytes).to_string(), expected["blake3"].as_str().unwrap());
            assert!(is_named(key.hash, bytes));
        }
        assert_eq!(read_back(&records), Ok(recipe));
    }
}

#[test]
fn golden_refusals_are_refused() {
    let vectors = vectors();
    let refused = vectors["refused"].as_array().unwrap();
    assert!(refused.len() >= 33);
    for vector in refused {
        let name = vector["name"].as_str().unwrap().parse().unwrap();
        assert!(decode(name, &hex(vector["bytes"].as_str().unwrap()), &bounds).is_err(), "{}", vector["why"]);
    }
}

proptest! {
    #[test]
    fn recipes_come_back_and_no_prefix_or_flip_passes(
        lens in proptest::collection::vec(4096u32..=65_536, 0..60), last in 1u32..=65_536,
        file in any::<[u8; 32]>(), cut in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let chunk = |len: u32| ChunkRef { id: ChunkId(Digest::of(&len.to_le_bytes())), len };
        let chunks: Vec<_> = lens.into_iter().chain([last]).map(chunk).collect();
        let file_len = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
        let recipe = Recipe { file: ObjectId(Digest::from_bytes(file)), file_len, profile: 1, chunks };
        let records = recipe.encode();
        prop_assert_eq!(read_back(&records), Ok(recipe));
        let (key, bytes) = &records[0];
        let at = cut.index(bytes.len());
        prop_assert!(decode(key.hash, &bytes[..at], &bounds).is_err());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        prop_assert!(decode(key.hash, &flipped, &bounds).is_err());
        prop_assert!(!is_named(key.hash, &flipped));
    }

    /// Behind a right seal anything may stand: an honest hash over a hostile recipe.
    #[test]
    fn no_sealed_bytes_make_the_decoder_panic_or_promise_what_does_not_add_up(
        mut head in proptest::collection::vec(any::<u8>(), HEADER), rows in 0usize..9, flag in 0u8..3,
        row in any::<[u8; 44]>()
    ) {
        head[..8].copy_from_slice(b"MLVR\x01\0\x01\0");
        head[16..24].copy_from_slice(&[rows as u8, 0, 0, 0, flag, 0, 0, 0]);
        let width = if flag == 1 { PAGE } else { CHUNK };
        head.extend(row[..width].repeat(rows));
        seal(&mut head);
        let name = digest_at(&head, 24);
        match decode(name, &head, &bounds) {
            Ok(Decoded::Chunks(recipe)) => {
                let sum: u64 = recipe.chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
                prop_assert_eq!(sum, recipe.file_len);
            }
            Ok(Decoded::Pages { pages, file_len, .. }) => {
                prop_assert_eq!(pages.iter().map(|page| page.bytes).sum::<u64>(), file_len);
            }
            Err(_) => {}
        }
    }
}
