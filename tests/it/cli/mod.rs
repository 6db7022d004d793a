//! The built program, run as a user would: one file a command or rule.

mod add;
mod add_directory;
mod add_out;
<<<<<<< HEAD
mod all_commits;
=======
mod advice;
>>>>>>> 2d0fbe8 (cli: refusals name paths as they are typed here, and the remedy that fits)
mod autostage;
mod checkout;
mod commit;
mod commit_stages;
mod config;
mod demo;
mod diff;
mod fsck;
mod init;
mod jobs;
mod json;
mod metrics;
mod other_file_system;
mod places;
mod push_pull;
mod relink;
mod remote;
mod remove;
mod remove_parts;
mod repro;
mod repro_together;
mod rescue;
mod root;
mod status;
mod templates;
mod usage;
mod values;
mod waiting;
