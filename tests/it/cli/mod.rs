//! The built program, run as a user would: one file a command or rule.

mod add_out;
mod commit_stages;
mod config;
mod demo;
mod init;
mod json;
mod relink;
mod remote;
mod remove_parts;
mod repro_together;
mod root;
mod usage;
mod values;
mod waiting;
