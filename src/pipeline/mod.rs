//! Pipelines: from the text of `mlv.yaml` to commands that run.
//!
//! [`parse`] reads the definition, [`template`] fills in values, [`graph`] orders the stages by
//! their paths, [`plan`] decides what to do with each, [`schedule`] when, and [`exec`] runs one
//! command. Only `exec` touches the world; none of them reads data or writes outputs, which is the
//! caller's.

pub mod critical_path;
pub mod edit;
pub mod exec;
pub mod graph;
#[cfg(test)]
mod hostile;
pub mod parse;
mod paths;
pub mod plan;
pub mod schedule;
pub mod template;
