//! The ends of the help texts, and the manual that is generated from the definitions.
//!
//! docs/commands.md and docs/errors.md are what [`commands_md`] and [`errors_md`] return; a test
//! compares them, and rewrites them when `UPDATE_DOCS=1` is set.

use std::fmt::Write as _;

use crate::config::keys::KeyInfo;
use crate::error::KINDS;

/// The order of `mlv --help`: a heading and the commands under it.
const GROUPS: &[(&str, &[&str])] = &[
    ("Set up", &["init", "config", "remote", "cache", "demo"]),
    ("Track data", &["add", "status", "diff", "commit", "checkout", "remove", "data"]),
    ("Share data", &["push", "fetch", "pull", "ls", "cat", "get", "gc"]),
    ("Merge branches", &["resolve", "install", "merge-driver"]),
    (
        "Run pipelines",
        &[
            "repro", "explain", "verify", "stage", "freeze", "unfreeze", "dag", "logs", "metrics", "params",
            "plots", "report",
        ],
    ),
    ("Look and repair", &["root", "fsck", "rescue", "version"]),
];

/// The end of `mlv --help`.
const TOP: &str = "\
Start with `mlv demo`, or in a git repository with `mlv init`. `mlv COMMAND --help` shows the
arguments, examples and exit codes of a command.";

/// Gives the command the list of its subcommands in groups instead of clap's in one.
pub(super) fn group(root: clap::Command) -> clap::Command {
    let mut list = String::new();
    for (heading, names) in GROUPS {
        let commands: Vec<_> = names.iter().filter_map(|name| root.find_subcommand(name)).collect();
        if commands.is_empty() {
            continue;
        }
        push(&mut list, format_args!("{heading}:\n"));
        for command in commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            push(&mut list, format_args!("  {:13}{about}\n", command.get_name()));
        }
        list.push('\n');
    }
    root.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}\n\n{TOP}"
    ))
}

/// The exit codes, in order: the code and what it means.
const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "differences or no match, where asked to tell; or several failures of different kinds"),
    (2, "usage or configuration"),
    (3, "not an mlv repository"),
    (4, "invalid or unsafe input: pointer, pipeline, lock, path"),
    (5, "data missing or damaged"),
    (6, "busy: another process holds it"),
    (7, "remote, network or credentials"),
    (8, "a stage's command failed"),
    (9, "local input or output, no space, anything else"),
    (130, "interrupted"),
];

/// Exit codes that any command may have.
const COMMON_CODES: &[u8] = &[0, 2, 9, 130];

/// The end of a command's help: examples with what they do, and the exit codes, of which `codes`
/// are those that not every command has.
pub(crate) fn after(examples: &[(&str, &str)], codes: &[u8]) -> String {
    let mut text = String::from("Examples:\n");
    let width = examples.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    for (command, what) in examples {
        push(&mut text, format_args!("  {command:width$}  {what}\n"));
    }
    text.push_str("\nExit codes:\n");
    for (code, meaning) in EXIT_CODES {
        if COMMON_CODES.contains(code) || codes.contains(code) {
            push(&mut text, format_args!("  {code:>3}  {meaning}\n"));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// A list of known settings with what they do.
pub(crate) fn settings(heading: &str, table: &[KeyInfo]) -> String {
    let mut text = format!("{heading}:\n");
    let offered = || table.iter().filter(|info| info.is_offered());
    let width = offered().map(|info| info.name.len()).max().unwrap_or(0);
    for info in offered() {
        push(&mut text, format_args!("  {:width$}  {}\n", info.name, info.meaning));
    }
    text
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("writing to a String cannot fail");
}

/// docs/commands.md: every command with its help text.
pub fn commands_md() -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Generated from the program's definitions; `UPDATE_DOCS=1 cargo test --test it generated` \
         writes it anew.\nWhat the kinds of errors mean: [errors.md](errors.md).\n",
    );
    let mut root = super::command().term_width(100).bin_name("mlv");
    root.build();
    section(&mut text, &root, 2);
    text
}

/// Adds the help of `command` and of its subcommands.
fn section(text: &mut String, command: &clap::Command, level: usize) {
    let name = command.get_bin_name().unwrap_or("mlv");
    push(text, format_args!("\n{} `{name}`\n\n", "#".repeat(level)));
    let mut shown = command.clone().term_width(100);
    // Every command takes the global options: they stand once, under `mlv`.
    if level > 2 {
        shown = shown.mut_args(|arg| {
            let is_hidden = arg.is_global_set() || arg.get_id() == "help" || arg.is_hide_set();
            arg.hide(is_hidden)
        });
    }
    let help = shown.render_long_help().to_string();
    push(text, format_args!("```text\n{}\n```\n", trim_lines(&help)));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        section(text, sub, 3);
    }
}

fn trim_lines(text: &str) -> String {
    text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// docs/errors.md: exit codes, kinds, and the JSON form of a failure.
pub fn errors_md() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Generated from the program's definitions; `UPDATE_DOCS=1 cargo test --test it generated` \
         writes it anew.\n\n\
         A failed command prints to stderr what happened (`error:`), why (`cause:`) and what to do \
         (`hint:`), and exits with one of these codes. With `--json` it prints a document to stdout \
         instead:\n\n\
         ```json\n\
         {\"error\": {\"kind\": \"not_downloaded\", \"message\": \"…\", \"path\": \"data/train\", \
         \"hints\": [\"…\"], \"retry\": false},\n \
         \"failed\": [{\"path\": \"data/train/7.png\", \"kind\": \"not_downloaded\", \"message\": \"…\"}]}\n\
         ```\n\n\
         `kind` is stable. `path` may be null. `retry` says whether the same command may succeed later \
         unchanged. `failed` lists what failed one by one, and is empty where the whole command did; where \
         the rest was done, the document holds its report too.\n\n\
         ## Exit codes\n\n| code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in EXIT_CODES {
        push(&mut text, format_args!("| {code} | {meaning} |\n"));
    }
    text.push_str("\n## Kinds\n\n| kind | exit code | retry | when |\n|---|---|---|---|\n");
    for info in KINDS {
        let retry = if info.retry { "yes" } else { "no" };
        push(
            &mut text,
            format_args!("| `{}` | {} | {retry} | {} |\n", info.name, info.exit_code, info.meaning),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let root = crate::cli::command();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        grouped.sort_unstable();
        assert!(grouped.is_sorted_by(|one, next| one < next), "a name twice: {grouped:?}");
        for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(grouped.contains(&name), "`{name}` is in no group of help::GROUPS");
        }
    }
}
