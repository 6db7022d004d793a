//! Pure data and algebra: no input or output, no clock, no environment, no threads.

pub mod digest;
pub mod emit;
pub mod lockfile;
pub mod merge;
pub mod object;
pub mod path;
pub mod pattern;
pub mod place;
pub mod pointer;
pub mod recipe;
pub mod resolve;
pub mod run;
pub mod secret;
pub mod shell;
pub mod stage;
pub mod tree;
pub mod units;
pub mod value;
pub mod values;
pub mod words;
pub mod yaml;
