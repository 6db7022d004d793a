//! Moving records between a caller's store and a remote.
//!
//! The store is seen only through [`RecordSource`] and [`RecordSink`]. A push is planned
//! first ([`plan`]), which reads but changes nothing, then carried out ([`push`]) in the
//! order of docs/formats.md: packs, segment, root record, verification (I2). A fetch
//! ([`fetch`]) verifies every record before it hands it on.

use std::io::Read;

use crate::model::digest::ObjectId;
use crate::model::object::RecordKey;
use crate::remote::error::Cause;

pub mod fetch;
pub mod foresee;
mod large;
mod losses;
mod packing;
mod packs;
mod parcel;
pub mod plan;
pub mod presence;
pub mod push;
mod ranges;
pub(crate) mod reading;
pub(crate) mod recipes;
pub mod settle;
pub mod slice;
mod stream;
mod windows;
mod worker;

/// What a source hands records to: the position of the key in the list, and the bytes.
pub type RecordReceiver<'a> = dyn FnMut(usize, &[u8]) + 'a;

/// Where a push takes records from: the cache of the caller. Called from several threads.
pub trait RecordSource: Sync {
    /// Whether the record, or the file of any size, is held here.
    fn holds(&self, key: RecordKey) -> bool;

    /// Hands the raw bytes of each of `keys` to `each`, in any order.
    ///
    /// The bytes need not be verified: the push does that, in the pass in which it copies
    /// them. A record that vanished, or is known to be damaged, is left out. The keys are
    /// neighbours in the list that the caller made, so that a source that keeps them together
    /// can read them at once.
    fn load(&self, keys: &[RecordKey], each: &mut RecordReceiver<'_>) -> Result<(), Cause>;

    /// Opens a file that is too large for one record; `None` if it is not held here. The bytes need
    /// not be verified, as in [`load`](Self::load).
    fn open(&self, id: ObjectId) -> Result<Option<Box<dyn Read + Send + '_>>, Cause>;

    /// Tells that bytes that came under `key` are not those that it names (R4). The record is asked
    /// for once more: it may be held at another place too.
    fn found_damaged(&self, key: RecordKey);
}

/// Where a fetch puts what it brings: the cache of the caller. Called from several threads.
pub trait RecordSink: Sync {
    /// Stores a record whose bytes were verified.
    fn put(&self, key: RecordKey, raw: &[u8]) -> Result<(), Cause>;

    /// Stores a large file from `bytes`, and verifies that they hash to `id` as a whole.
    ///
    /// Fails with the kind `Damaged` if they do not; a failed read is passed on as it is.
    fn put_file(&self, id: ObjectId, size: u64, bytes: &mut dyn Read) -> Result<(), Cause>;
}

#[cfg(test)]
mod tests;
