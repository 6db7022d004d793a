//! What the commands do, one file a verb: options in, a report or an error out.

pub mod demo;
