//! Cuts large files into content-defined chunks, so that an edit sends only what it touched.

pub mod cdc;
pub mod split;
