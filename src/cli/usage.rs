//! What happens when the arguments do not name a command to run: help, version, or an error.

use std::ffi::OsString;

use clap::error::ErrorKind as Clap;

use crate::cli::cmd::version::VersionReport;
use crate::cli::error::CliError;
use crate::cli::ui::{Colour, Ui};
use crate::error::ErrorKind;

/// Prints what clap stopped for and returns the exit code.
pub(crate) fn finish(stop: &clap::Error, args: &[OsString]) -> u8 {
    let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let ui = Ui::new(Colour::Auto, json, false);
    let shown = match stop.kind() {
        Clap::DisplayVersion if json => ui.document(&VersionReport::current()),
        Clap::DisplayVersion | Clap::DisplayHelp => {
            let mut text = ui.text();
            text.lines(&stop.render().to_string(), 0).end();
            ui.data(&text)
        }
        _ => Err(usage_error(stop)),
    };
    shown.map_or_else(|error| ui.fail(&error), |()| 0)
}

/// Clap's error in the form of all others: its first paragraph, its tips as hints, and where
/// to read more.
fn usage_error(stop: &clap::Error) -> CliError {
    let text = stop.render().to_string();
    let paragraphs: Vec<&str> = text.trim().split("\n\n").collect();
    let message = match stop.kind() {
        Clap::DisplayHelpOnMissingArgumentOrSubcommand | Clap::MissingSubcommand => "a command is missing",
        _ => paragraphs[0].strip_prefix("error: ").unwrap_or(paragraphs[0]),
    };
    let message: Vec<&str> = message.lines().map(str::trim).collect();
    let mut error = CliError::new(ErrorKind::Usage, message.join(" "));
    for tip in text.lines().filter_map(|line| line.trim().strip_prefix("tip: ")) {
        error = error.hint(tip);
    }
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let command = usage.map_or("mlv", command_of);
    error.hint(format!("`{command} --help` lists the arguments and examples"))
}

/// `mlv remote add` out of `mlv remote add [OPTIONS] <NAME> <URL>`.
fn command_of(usage: &str) -> &str {
    let end = usage.find(['[', '<', '-']).unwrap_or(usage.len());
    usage[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::command_of;

    #[test]
    fn command_is_what_stands_before_the_arguments() {
        assert_eq!(command_of("mlv remote add [OPTIONS] <NAME> <URL>"), "mlv remote add");
        assert_eq!(command_of("mlv"), "mlv");
        assert_eq!(command_of("mlv cache dir --json <X>"), "mlv cache dir");
    }
}
