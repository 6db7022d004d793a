//! What the commands do, one file a verb: options in, a report or an error out.

pub mod cache_dir;
pub mod config;
pub mod demo;
mod error;
pub mod init;
pub mod remote;
pub mod root;
pub mod surroundings;
#[cfg(test)]
mod tests;
pub mod tracked;

pub use error::OpError;
