//! The format of packs and of the index segments over them. No network, no paths.
//!
//! A pack is many records in one file: whole small files, chunks, recipes, tree pages, run
//! records. The cache and the remotes use the same format (docs/formats.md, "Packs" and
//! "Index segments"). Writers take any `std::io::Write`; readers take byte slices.

mod codec;
mod error;
pub mod format;
pub mod reader;
pub mod segment;
#[cfg(test)]
mod tests;
pub mod writer;

pub use error::Error;
