//! The local content-addressed cache, and what is known about the files made from it.

pub mod here;
pub mod statindex;
