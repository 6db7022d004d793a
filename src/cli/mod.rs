//! The command line: arguments in, one operation, one report out.
//!
//! A command is a file in `cmd/`: its arguments as a clap structure whose doc comments are
//! the manual, and a `run` that calls one operation and returns its `report::Report`.
//! Everything shared is here: the repository is opened by `context::Context`, reports and
//! errors are printed by `ui::Ui` and nowhere else, progress by `progress`, exit codes
//! come from the table in [`crate::error`]. No command prints, asks or exits by itself.

mod args;
mod cmd;
mod context;
mod error;
mod escape;
pub mod help;
mod log;
mod progress;
mod render;
mod report;
mod signals;
mod ui;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use self::args::GlobalArgs;
use self::context::Context;

/// Git-native versioning of data and models
///
/// mlv keeps datasets and models beside git: small pointer files are committed, the data goes
/// to a cache and to remotes, and pipelines run again only what changed.
#[derive(Parser)]
#[command(name = "mlv", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: cmd::Command,
}

/// Runs the program on the process's arguments and returns its exit code.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(run(&args))
}

fn run(args: &[OsString]) -> u8 {
    signals::install();
    let parsed = command().try_get_matches_from(args).and_then(|found| Cli::from_arg_matches(&found));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(stop) => return usage::finish(&stop, args),
    };
    log::install(cli.global.verbose);
    let ui = cli.global.ui();
    match Context::new(cli.global, ui) {
        Ok(cx) => cli.command.run(&cx),
        Err(error) => ui.fail(&error),
    }
}

/// The definitions of all commands.
fn command() -> clap::Command {
    help::group(Cli::command())
}

#[cfg(test)]
mod tests {
    #[test]
    fn definitions_of_the_commands_are_consistent() {
        super::command().debug_assert();
    }
}
