//! What the tests stand on: a machine of their own for each, and trees to compare.
//!
//! ```ignore
//! let env = TestEnv::ready();                    // git repository, `mlv init`, committed
//! env.write("data/a.txt", "hello");
//! env.mlv(&["add", "data"]).success();
//! assert_eq!(env.mlv(&["status", "--json"]).success().json(), json!({}));
//! let other = env.clone_to("other");             // a second clone, same machine
//! insta::assert_snapshot!(other.mlv(&["pull"]).success(), @"…");
//! ```

// A helper that only one kind of test needs is still part of the harness.
#![allow(dead_code, unused_imports)]

mod env;
pub(crate) mod http;
pub(crate) mod http_proxy;
mod project;
pub(crate) mod proxy;
mod rng;
pub(crate) mod servers;
mod tree;

pub(crate) use env::{Output, TestEnv, os};
pub(crate) use project::{Pointer, actions, files_below, hash_of, stage_actions, texts};
pub(crate) use rng::{Rng, seed};
pub(crate) use tree::{differences, random_bytes, snapshot, source_files};

/// Says, in the output of the test, that it looked at nothing here and why.
#[expect(clippy::print_stdout, reason = "the output of a test is its report")]
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
}
