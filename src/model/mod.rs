//! Pure data and algebra: no input or output, no clock, no environment, no threads.

pub mod digest;
pub mod object;
pub mod path;
pub mod tree;
