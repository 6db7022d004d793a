//! What the commands do, one file a verb: options in, a report or an error out.

pub mod add;
pub mod cache_dir;
pub mod checkout;
pub mod checkout_plan;
pub mod commit;
pub mod compare;
pub mod config;
pub mod demo;
pub mod diff;
mod error;
pub mod fetch;
pub mod fsck;
pub mod held;
pub mod init;
pub mod links;
pub mod lock_entries;
pub mod names;
mod output_error;
pub mod place;
pub mod pointers;
pub mod present;
pub mod pull;
pub mod push;
pub mod record;
pub mod recover;
pub mod remote;
pub mod remove;
pub mod repro;
pub mod rescue;
pub mod revisions;
pub mod root;
pub mod scan;
pub mod share;
pub mod stage_inputs;
pub mod stage_status;
pub mod state;
pub mod status;
pub mod surroundings;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod tracked;
pub mod trees;
pub mod values;

pub use error::OpError;
pub use output_error::OutputError;
