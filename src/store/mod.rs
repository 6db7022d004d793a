//! The local content-addressed cache, and what is known about the files made from it.
//!
//! [`Cache`] hands out verified bytes, [`CacheWriter`] stores and makes durable,
//! [`materialize`] turns objects into files of the work tree. [`statindex`] and [`here`]
//! remember what the work tree holds. Small objects lie in packs, large ones in files of their
//! own; who asks does not notice (docs/formats.md, "Local cache").

mod cache;
mod check;
mod copy;
mod error;
mod hash;
pub mod here;
mod ingest;
mod layout;
mod linked;
mod load;
pub mod materialize;
mod own_packs;
mod packed;
mod presence;
mod publish;
pub mod statindex;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use cache::{Cache, CacheOptions};
pub use check::CacheReport;
pub use error::Error;
pub use hash::hash_all;
pub use ingest::Ingested;
pub use layout::Trust;
pub use linked::LinkedObject;
pub use presence::Presence;
pub use writer::{CacheWriter, WriteStats};
