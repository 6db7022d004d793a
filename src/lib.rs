//! mlv: Git-native versioning of data and models.
//!
//! Six nouns carry the crate. An **object** is the full contents of a file, named by its
//! BLAKE3. A **tree** is a directory as a search tree of pages. A **pointer** is the small
//! file that stands in git for an output. The **cache** holds objects and pages on this
//! machine, a **remote** holds them for everybody. A **stage** is a command with its inputs
//! and outputs, and the **lock** records what it last consumed and produced.
//!
//! Layers, lowest first; each may name those below it (`tests/it/layers.rs` checks it):
//! `model` · `fs`, `par`, `report`, `error`, `config` · `chunk`, `pack`, `store`, `remote`,
//! `git` · `pipeline`, `params`, `metrics`, `plots` · `repo` · `ops` · `cli`.
//!
//! Four invariants, I1 to I4, are stated in docs/formats.md and cited in the code.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod chunk;
pub mod cli;
pub mod config;
pub mod error;
pub mod fs;
pub mod git;
pub mod metrics;
pub mod model;
pub mod ops;
pub mod pack;
pub mod par;
pub mod params;
pub mod pipeline;
pub mod plots;
pub mod remote;
pub mod repo;
pub mod report;
pub mod store;
