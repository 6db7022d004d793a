//! Remotes: places that hold a project's data for everybody.
//!
//! A [`backend::Backend`] moves bytes under names and knows nothing else. What the names and
//! bytes mean is docs/formats.md, "Remote layout and protocol": packs, index segments, root
//! records, marks. This module never sees the local cache: records come from a source and go
//! to a sink that the caller brings.

pub mod backend;

pub mod catalog;
pub mod census;
pub mod check;
mod collection;
#[cfg(any(test, feature = "fault"))]
pub mod conformance;
pub mod counting;
pub(crate) mod credentials;
pub mod error;
pub mod folder;
pub mod gc;
pub mod memory;
pub mod mend;
mod merge;
pub mod names;
pub mod object_store;
pub mod open;
pub mod probe;
mod pushed;
pub mod records;
pub mod registry;
pub mod retry;
pub(crate) mod salvage;
pub mod sftp;
mod state;
pub mod transfer;
mod unfinished;
pub mod wants;

pub use error::Error;
pub use open::{OpenOptions, Remote};
