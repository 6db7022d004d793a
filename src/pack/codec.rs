//! Compression of records: one zstd frame, made and read with contexts that each thread keeps.
//!
//! A context is a megabyte of tables. To set one up for every record cost more than compressing a
//! record of 10 KiB (see benches/formats.rs), so a thread keeps its own; it holds no state from one
//! record to the next.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::pack::Error;

/// zstd's fastest level: 501 MiB/s here at the ratio of level 3 on CSV (docs/performance.md).
const LEVEL: i32 = 1;
/// Largest window of a frame, in bytes: what a reader has to keep of the output at least.
const MAX_WINDOW: u64 = 4 << 20;
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes as one zstd frame if that is at least 5 % smaller.
pub(super) fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    // No room for more than is wanted: what does not shrink is given up where it passes that.
    let mut frame = Vec::with_capacity(raw.len() / 20 * 19);
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL).ok()?),
        };
        compressor.compress_to_buffer(raw, &mut frame).ok()
    })?;
    frame.shrink_to_fit();
    Some(frame)
}

/// The `raw_len` bytes in `frame`, which is exactly one zstd frame of a window of at most 4 MiB.
///
/// One that was made with a dictionary is refused by zstd, which has none.
/// The caller has checked `raw_len` against its limit: so much is allocated.
pub(super) fn decompress(frame: &[u8], raw_len: u32) -> Result<Vec<u8>, Error> {
    let malformed = || Error::record("its compressed bytes are malformed");
    let raw_len = raw_len as usize;
    if zstd_safe::find_frame_compressed_size(frame).ok() != Some(frame.len())
        || window(frame).is_none_or(|window| window > MAX_WINDOW)
    {
        return Err(malformed());
    }
    let mut raw = Vec::with_capacity(raw_len);
    DECOMPRESSOR
        .with_borrow_mut(|kept| {
            let decompressor = match kept {
                Some(decompressor) => decompressor,
                None => kept.insert(Decompressor::new().ok()?),
            };
            decompressor.decompress_to_buffer(frame, &mut raw).ok()
        })
        .ok_or_else(malformed)?;
    if raw.len() == raw_len { Ok(raw) } else { Err(malformed()) }
}

/// The window of a frame in bytes; `None` if this is no zstd frame.
///
/// RFC 8878 §3.1.1.1. zstd's own limit on windows is heeded by its streams only, not by the call
/// that reads a whole frame.
fn window(frame: &[u8]) -> Option<u64> {
    let rest = frame.strip_prefix(&MAGIC)?;
    let (&descriptor, rest) = rest.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if is_single_segment {
        return zstd_safe::get_frame_content_size(frame).ok()?;
    }
    let &window = rest.first()?;
    let base = 1u64 << (10 + (window >> 3));
    Some(base + base / 8 * u64::from(window & 7))
}
