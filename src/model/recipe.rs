//! Recipes: a large file as the ordered list of its chunks (docs/formats.md, "Recipes").
//!
//! ```text
//! "MLVR" | u16 version | u16 profile | u64 file_len | u32 count | u32 flag | file hash[32] (zero in a page)
//! flag 0: count x (chunk hash[32], u32 len)    flag 1: count x (page hash[32], u32 chunks, u64 bytes)
//! last 32 bytes: derive_key(recipe, all before)
//! ```
//! A file of more than 65,536 chunks has a recipe of pages; a page is a recipe of flag 0 over 65,536
//! chunks (the last over the rest), named by its own last 32 bytes. Pages do not nest.

use crate::model::digest::{ChunkId, Digest, Domain, ObjectId};
use crate::model::object::{ChunkRef, RecordKey, RecordKind};

/// Most chunks that a recipe lists itself; above, it lists pages.
pub const CHUNKS_A_PAGE: usize = 65_536;
/// The largest file, in bytes.
pub const MAX_FILE: u64 = i64::MAX as u64;

const MAGIC: &[u8; 4] = b"MLVR";
const VERSION: u16 = 1;
const HEADER: usize = 56;
const CHUNK: usize = 36;
const PAGE: usize = 44;

/// A large file as the ordered list of its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The file.
    pub file: ObjectId,
    /// Its length in bytes.
    pub file_len: u64,
    /// Which rule cut it; see `chunk::cdc::Profile`.
    pub profile: u16,
    /// Its chunks in the order of the file; their lengths add up to `file_len`.
    pub chunks: Vec<ChunkRef>,
}

/// One page that a recipe names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRef {
    /// The page's name.
    pub id: Digest,
    /// Chunks that it lists.
    pub chunks: u32,
    /// Their bytes.
    pub bytes: u64,
}

/// A decoded recipe record: either the whole list, or the pages to read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// All chunks of the file (or, in a page, of a part of it).
    Chunks(Recipe),
    /// A recipe of pages.
    Pages {
        /// The file.
        file: ObjectId,
        /// Its length in bytes.
        file_len: u64,
        /// Which rule cut it.
        profile: u16,
        /// The pages in the order of the file.
        pages: Vec<PageRef>,
    },
}

/// Why bytes are no recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Other bytes than a recipe's, or its checksum does not fit.
    #[error("not a recipe")]
    Malformed,
    /// A version that this mlv does not know.
    #[error("recipe of version {0}, which this mlv does not know")]
    Version(u16),
    /// Lengths or counts that do not add up.
    #[error("the lengths in a recipe do not add up")]
    Sums,
}

impl Recipe {
    /// The records that store this recipe: its pages, if it needs any, then the recipe itself.
    pub fn encode(&self) -> Vec<(RecordKey, Vec<u8>)> {
        let key = RecordKey { hash: self.file.digest(), kind: RecordKind::Recipe };
        if self.chunks.len() <= CHUNKS_A_PAGE {
            let head = (self.profile, self.file_len, self.file.digest());
            return vec![(key, encode_chunks(head, &self.chunks))];
        }
        let mut records = Vec::new();
        let mut body = header((self.profile, self.file_len, self.file.digest()), 0, 1);
        let mut count = 0u32;
        for part in self.chunks.chunks(CHUNKS_A_PAGE) {
            let bytes: u64 = part.iter().map(|chunk| u64::from(chunk.len)).sum();
            let page = encode_chunks((self.profile, bytes, Digest::ZERO), part);
            let id = own_name(&page);
            body.extend_from_slice(id.as_bytes());
            body.extend_from_slice(&(part.len() as u32).to_le_bytes());
            body.extend_from_slice(&bytes.to_le_bytes());
            records.push((RecordKey { hash: id, kind: RecordKind::Recipe }, page));
            count += 1;
        }
        body[16..20].copy_from_slice(&count.to_le_bytes());
        seal(&mut body);
        records.push((key, body));
        records
    }
}

/// Profile, length in bytes, and the file's hash.
type Head = (u16, u64, Digest);

fn header((profile, len, file): Head, count: u32, flag: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + count as usize * CHUNK + Digest::LEN);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&profile.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&flag.to_le_bytes());
    out.extend_from_slice(file.as_bytes());
    out
}

fn encode_chunks(head: Head, chunks: &[ChunkRef]) -> Vec<u8> {
    let mut out = header(head, chunks.len() as u32, 0);
    for chunk in chunks {
        out.extend_from_slice(chunk.id.digest().as_bytes());
        out.extend_from_slice(&chunk.len.to_le_bytes());
    }
    seal(&mut out);
    out
}

fn seal(out: &mut Vec<u8>) {
    let seal = Digest::of_domain(Domain::Recipe, out);
    out.extend_from_slice(seal.as_bytes());
}

/// The last 32 bytes.
fn own_name(bytes: &[u8]) -> Digest {
    let mut name = [0; 32];
    name.copy_from_slice(&bytes[bytes.len() - 32..]);
    Digest::from_bytes(name)
}

/// Whether `bytes` are a sealed recipe that may be stored under `name`: that of its file, or its own
/// for a page.
pub fn is_named(name: Digest, bytes: &[u8]) -> bool {
    let Some(end) = bytes.len().checked_sub(Digest::LEN).filter(|&end| end >= HEADER) else { return false };
    let seal = own_name(bytes);
    let file = digest_at(bytes, 24);
    Digest::of_domain(Domain::Recipe, &bytes[..end]) == seal
        && if file == Digest::ZERO { seal == name } else { file == name }
}

fn digest_at(bytes: &[u8], at: usize) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[at..at + 32]);
    Digest::from_bytes(out)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Decodes a recipe or a page of one, stored under `name`, and checks seal, counts and sums.
///
/// `bounds` gives the least and most bytes of a chunk under a profile, `None` for a profile that does
/// not exist. The last chunk of a file may be shorter than the least.
pub fn decode(
    name: Digest,
    bytes: &[u8],
    bounds: &dyn Fn(u16) -> Option<(u32, u32)>,
) -> Result<Decoded, RecipeError> {
    if bytes.len() < HEADER + Digest::LEN || &bytes[..4] != MAGIC {
        return Err(RecipeError::Malformed);
    }
    let version = u16::from_le_bytes(number(bytes, 4));
    if version != VERSION {
        return Err(RecipeError::Version(version));
    }
    if !is_named(name, bytes) {
        return Err(RecipeError::Malformed);
    }
    let profile = u16::from_le_bytes(number(bytes, 6));
    let file_len = u64::from_le_bytes(number(bytes, 8));
    let count = u32::from_le_bytes(number(bytes, 16)) as usize;
    let flag = u32::from_le_bytes(number(bytes, 20));
    let file = ObjectId(digest_at(bytes, 24));
    let rows = &bytes[HEADER..bytes.len() - Digest::LEN];
    let width = match flag {
        0 => CHUNK,
        1 => PAGE,
        _ => return Err(RecipeError::Malformed),
    };
    let bounds = bounds(profile).ok_or(RecipeError::Malformed)?;
    if count == 0 || count.checked_mul(width) != Some(rows.len()) || file_len > MAX_FILE {
        return Err(RecipeError::Malformed);
    }
    if flag == 0 {
        let chunks = decode_chunks(rows, file_len, bounds)?;
        return Ok(Decoded::Chunks(Recipe { file, file_len, profile, chunks }));
    }
    // Pages do not nest, and stand exactly where one list would be too long.
    if file.digest() == Digest::ZERO || count < 2 {
        return Err(RecipeError::Malformed);
    }
    Ok(Decoded::Pages { file, file_len, profile, pages: decode_pages(rows, file_len, bounds)? })
}

fn decode_chunks(rows: &[u8], file_len: u64, (min, max): (u32, u32)) -> Result<Vec<ChunkRef>, RecipeError> {
    let count = rows.len() / CHUNK;
    if count > CHUNKS_A_PAGE {
        return Err(RecipeError::Malformed);
    }
    let mut chunks = Vec::with_capacity(count);
    let mut sum = 0u64;
    for (at, row) in rows.chunks_exact(CHUNK).enumerate() {
        let len = u32::from_le_bytes(number(row, 32));
        let least = if at + 1 == count { 1 } else { min };
        if !(least..=max).contains(&len) {
            return Err(RecipeError::Sums);
        }
        sum += u64::from(len);
        chunks.push(ChunkRef { id: ChunkId(digest_at(row, 0)), len });
    }
    if sum == file_len { Ok(chunks) } else { Err(RecipeError::Sums) }
}

fn decode_pages(rows: &[u8], file_len: u64, (min, max): (u32, u32)) -> Result<Vec<PageRef>, RecipeError> {
    let count = rows.len() / PAGE;
    let mut pages = Vec::with_capacity(count);
    const FULL: u32 = CHUNKS_A_PAGE as u32;
    let mut sum = 0u64;
    for (at, row) in rows.chunks_exact(PAGE).enumerate() {
        let chunks = u32::from_le_bytes(number(row, 32));
        let bytes = u64::from_le_bytes(number(row, 36));
        let is_last = at + 1 == count;
        let right = if is_last { 1..=FULL } else { FULL..=FULL };
        // All chunks have the least length at least, but for the last of the file.
        let short = u32::from(is_last);
        let least = u64::from(chunks.saturating_sub(short)) * u64::from(min) + u64::from(short);
        let most = u64::from(chunks) * u64::from(max);
        if !right.contains(&chunks) || !(least..=most).contains(&bytes) {
            return Err(RecipeError::Sums);
        }
        sum = sum.checked_add(bytes).ok_or(RecipeError::Sums)?;
        pages.push(PageRef { id: digest_at(row, 0), chunks, bytes });
    }
    if sum == file_len { Ok(pages) } else { Err(RecipeError::Sums) }
}

#[cfg(test)]
mod tests;
