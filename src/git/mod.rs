//! What mlv reads of git, and the ignore lines that it keeps for the user.
//!
//! The only importer of gix, whose interface changes with every release. Nothing here changes
//! refs, the index, the object database or git's configuration (R20), and nothing runs a program (R11),
//! but `add` and the registration of the merge driver, which the user has to ask for, `reachable`, which
//! asks git's own remotes, and `promised`, which has git bring what a partial clone left with one. Paths are relative to the folder that the repository was
//! discovered from, usually mlv's root, which may lie below git's.

mod add;
pub mod conflicts;
mod entries;
mod error;
pub mod ignore;
pub mod index;
pub mod merge_driver;
mod objects;
mod promised;
mod reach;
pub mod repo;
pub mod revision;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use entries::EntryAt;
pub use error::{Error, NoCommit};
