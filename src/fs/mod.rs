//! The only part of mlv that changes a file system.
//!
//! Everything that is created, written, renamed or removed in a work tree, in `.mlv/` or in
//! a cache goes through this module: relative to a [`dir::Dir`], no symlink followed (R3),
//! by temporary file and rename (R1), and past one [`fault::step`] for each system call, so
//! that the tests can stop the process at every one of them. It knows paths and bytes, but
//! nothing of objects, caches or git.

pub mod atomic;
mod beneath;
mod copy;
pub mod dir;
mod error;
pub mod fault;
pub mod file;
mod folders;
mod hands_on;
pub mod ignore;
pub mod journal;
pub mod link;
pub mod lock;
pub mod orphans;
pub mod owner;
pub mod place;
mod random;
pub mod rescue;
pub mod staging;
pub mod stamp;
mod sys;
pub mod walk;

pub use error::{Error, at};
pub use random::random_bytes;
#[cfg(feature = "fault")]
pub use random::with_seed;
