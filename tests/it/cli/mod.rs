//! The built program, run as a user would: one file a command or rule.

mod demo;
mod usage;
