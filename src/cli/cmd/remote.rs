use std::time::Duration;

use crate::cli::args::{DryRun, LevelArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::model::shell;
use crate::model::units::{ByteSize, Span};
use crate::ops::remote::{self, RemoteAction, RemoteListReport, RemoteOptions, RemoteReport, RemoteRow};
use crate::ops::remote_reindex::{self, RemoteReindexReport};
use crate::ops::remote_test::{self, Outcome, RemoteTestReport};

mod pin;
mod rename;

/// Show and change the places where data is shared
#[derive(clap::Args)]
pub(crate) struct RemoteArgs {
    #[command(subcommand)]
    command: RemoteCommand,
}

#[derive(clap::Subcommand)]
enum RemoteCommand {
    Add(AddArgs),
    Modify(ModifyArgs),
    Default(DefaultArgs),
    List(ListArgs),
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    Rename(rename::RenameArgs),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    Reindex(ReindexArgs),
    Test(TestArgs),
}

impl RemoteArgs {
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            RemoteCommand::Add(args) => finish(cx, add(cx, args)),
            RemoteCommand::Modify(args) => finish(cx, modify(cx, args)),
            RemoteCommand::Default(args) => match args {
                DefaultArgs { name: None, unset: false, .. } => finish(cx, show_default(cx)),
                args => finish(cx, set_default(cx, args)),
            },
            RemoteCommand::List(args) => finish(cx, list(cx, &args)),
            RemoteCommand::Remove(args) => finish(cx, remove(cx, args)),
            RemoteCommand::Rename(args) => finish(cx, rename::run(cx, args)),
            RemoteCommand::Pin(args) => pin::pin(cx, args),
            RemoteCommand::Unpin(args) => finish(cx, pin::unpin(cx, &args)),
            RemoteCommand::Reindex(args) => finish(cx, reindex(cx, &args)),
            RemoteCommand::Test(args) => finish(cx, test(cx, &args)),
        }
    }
}

/// Add a remote
///
/// A remote is a URL, or a folder relative to the current one. Nothing is contacted.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote add -d storage /mnt/share/mlv", "a folder, used where no remote is named"),
    ("mlv remote add -d storage s3://bucket/project", "a bucket, with the credentials of the `aws` command"),
    ("mlv remote add --local mine ../mine", "for this clone alone"),
], &[3, 4, 6]))]
struct AddArgs {
    /// What to call it
    name: String,
    /// Where it is
    url: String,
    /// Use it where no remote is named
    #[arg(long, short)]
    default: bool,
    /// Replace a remote of that name
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

fn add(cx: &Context, args: AddArgs) -> Result<Changed, CliError> {
    let AddArgs { name, url, default, force, level, dry_run } = args;
    change(cx, RemoteAction::Add { name, url, default, force }, &level, &dry_run, Done::Added)
}

const MODIFY_EXAMPLES: &[(&str, &str)] = &[
    ("mlv remote modify storage url ../other", "move it"),
    ("mlv remote modify --local storage profile work", "an option for this clone alone"),
    ("mlv remote modify -u storage jobs", "take an option out"),
];

/// Set or unset an option of a remote
///
/// Credentials go to --local or --global: what is tracked by git may not hold them.
#[derive(clap::Args)]
#[command(
    after_help = help::after(MODIFY_EXAMPLES, &[3, 4, 6]),
    after_long_help = help::settings("Options of remotes", crate::config::keys::REMOTE_OPTIONS) + "\n" + &help::after(MODIFY_EXAMPLES, &[3, 4, 6]),
)]
struct ModifyArgs {
    /// The remote
    name: String,
    /// The option: `url`, `jobs`, `profile`
    option: String,
    /// Its new value
    #[arg(required_unless_present = "unset", conflicts_with = "unset", allow_negative_numbers = true)]
    value: Option<String>,
    /// Take the option out
    #[arg(long, short)]
    unset: bool,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

fn modify(cx: &Context, args: ModifyArgs) -> Result<Changed, CliError> {
    let ModifyArgs { name, option, value, level, dry_run, .. } = args;
    change(cx, RemoteAction::Modify { name, option, value }, &level, &dry_run, Done::Changed)
}

/// Print or set the remote that is used where none is named
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote default", "which one it is"),
    ("mlv remote default storage", "use another one"),
    ("mlv remote default -u", "have none"),
], &[3, 4, 6]))]
struct DefaultArgs {
    /// The remote
    #[arg(conflicts_with = "unset")]
    name: Option<String>,
    /// Have no default
    #[arg(long, short)]
    unset: bool,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

fn set_default(cx: &Context, args: DefaultArgs) -> Result<Changed, CliError> {
    change(cx, RemoteAction::Default { name: args.name }, &args.level, &args.dry_run, Done::Default)
}

fn show_default(cx: &Context) -> Result<RemoteRow, CliError> {
    Ok(remote::show_default(&cx.around())?)
}

/// List the remotes
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote list", "name, place, and which one is the default"),
    ("mlv remote list --local", "those of this clone alone"),
], &[3, 4]))]
struct ListArgs {
    #[command(flatten)]
    level: LevelArgs,
}

fn list(cx: &Context, args: &ListArgs) -> Result<RemoteListReport, CliError> {
    Ok(remote::list(&cx.around(), args.level.level())?)
}

/// Remove a remote from the settings
///
/// Takes all its options out, at every level of this repository or at the one that is named.
/// The data in the remote is not touched.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote remove storage", "forget it, with its credentials in this clone"),
], &[3, 4, 6]))]
struct RemoveArgs {
    /// The remote
    name: String,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

fn remove(cx: &Context, args: RemoveArgs) -> Result<Changed, CliError> {
    change(cx, RemoteAction::Remove { name: args.name }, &args.level, &args.dry_run, Done::Removed)
}

/// Make the index of a remote again from its packs
///
/// For a remote whose index was lost or is damaged, or names much that was deleted. Reads the table of
/// every pack, and puts a new index in place of the old one, which `mlv gc --cloud` deletes a day later.
/// Others may push and pull meanwhile.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote reindex", "the default remote"),
    ("mlv remote reindex storage --dry-run", "whether the tables of all packs can be read"),
], &[3, 4, 5, 7]))]
struct ReindexArgs {
    /// The remote
    name: Option<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

fn reindex(cx: &Context, args: &ReindexArgs) -> Result<RemoteReindexReport, CliError> {
    Ok(remote_reindex::run(cx.repo()?, args.name.as_deref(), args.dry_run.dry_run, cx.reporter())?)
}

impl Report for RemoteReindexReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        for pack in &self.index.unreadable {
            out.warn("warning").put(": the table of pack ").put(pack).put(" cannot be read").end();
        }
        if !self.index.unreadable.is_empty() {
            out.hint("what the old index says of them goes on to count; for the rest: `mlv push -A` where the data is");
        }
        let (records, packs) = (count(self.index.records, "record"), count(self.index.packs, "pack"));
        let verb = if self.dry_run { "Would index" } else { "Indexed" };
        let replaced = count(self.index.replaced, "index segment");
        out.put(format!("{verb} {records} in {packs} of `")).name(&self.name);
        out.put(format!("` in place of {replaced} in {}.", Span(took))).end();
    }
}

/// Try out what a remote can do
///
/// Proves that the place keeps what mlv relies on, measures it, and says what follows, in about 20
/// requests. Writes one object of 1 MiB under a name of its own, to a bucket a few bytes more, and
/// removes them again, where that is allowed. Fails where something does not hold that mlv needs;
/// rights that are not given are findings, and `unknown` is what this place does not show.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote test", "the default remote: credentials, rights, clock, speed"),
    ("mlv remote test storage --json", "for a script"),
], &[3, 4, 7]))]
struct TestArgs {
    /// The remote
    name: Option<String>,
}

fn test(cx: &Context, args: &TestArgs) -> Result<RemoteTestReport, CliError> {
    Ok(remote_test::run(cx.repo()?, args.name.as_deref())?)
}

impl Report for RemoteTestReport {
    fn text(&self, out: &mut Text) {
        for finding in &self.probe.checks {
            match finding.result {
                Outcome::Ok => out.put("ok"),
                Outcome::No => out.warn("no"),
                Outcome::Unknown => out.warn("unknown"),
                Outcome::Failed => out.bad("failed"),
            };
            out.tab().put(finding.check);
            // The error below the table says it in full.
            if finding.error.is_none() {
                out.tab().put(&finding.detail);
            }
            out.end();
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        out.put("Remote `").name(&self.name).put("` at `").name(&self.url).put("`");
        if let Some(source) = &self.probe.credentials {
            out.put(", credentials: ").put(source);
        }
        let measured = [("reads", self.probe.read_rate), ("writes", self.probe.write_rate)];
        for (what, rate) in measured {
            if let Some(rate) = rate {
                out.put(format!(", {what} {}/s", ByteSize(rate)));
            }
        }
        if let Some(took) = self.probe.round_trip_us {
            out.put(format!(", round trip {}.{} ms", took / 1_000, took % 1_000 / 100));
        }
        out.put(".").end();
        for advice in &self.probe.advice {
            out.hint(advice);
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed =
            self.probe.checks.iter().filter_map(|finding| Some((finding.check, finding.error.as_ref()?)));
        failed.map(|(check, error)| Failure::of(check, error)).collect()
    }
}

/// A change of the settings.
#[derive(serde::Serialize)]
struct Changed {
    #[serde(flatten)]
    report: RemoteReport,
    #[serde(skip)]
    done: Done,
    /// What to hand to `git add`.
    #[serde(skip)]
    git_add: Option<String>,
}

#[derive(Clone, Copy)]
enum Done {
    Added,
    Changed,
    Default,
    Removed,
}

fn change(
    cx: &Context,
    action: RemoteAction,
    level: &LevelArgs,
    dry_run: &DryRun,
    done: Done,
) -> Result<Changed, CliError> {
    let options = RemoteOptions { action, level: level.level(), dry_run: dry_run.dry_run };
    let mut report = remote::run(&cx.around(), &options)?;
    for file in &mut report.files {
        *file = cx.shown(file);
    }
    Ok(Changed { git_add: cx.tracked_settings().filter(|file| report.files.contains(file)), report, done })
}

impl Report for Changed {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let RemoteReport { name, url, default, files, dry_run } = &self.report;
        let named = name.as_deref().unwrap_or_default();
        let verb = |done: &'static str, would: &'static str| if *dry_run { would } else { done };
        match (self.done, name) {
            (Done::Default, Some(_)) => {
                let verb = verb("Made", "Would make");
                out.put(verb).put(" remote `").name(named).put("` the default in `")
            }
            (Done::Default, None) => out.put(verb("Took", "Would take")).put(" the default remote out of `"),
            (Done::Removed, _) => {
                out.put(verb("Removed", "Would remove")).put(" remote `").name(named).put("` from `")
            }
            (Done::Added | Done::Changed, _) => {
                let verb = match self.done {
                    Done::Added => verb("Added", "Would add"),
                    _ => verb("Changed", "Would change"),
                };
                out.put(verb).put(" remote `").name(named);
                if let Some(url) = url {
                    out.put("` at `").name(url);
                }
                out.put(if *default { "`, the default, in `" } else { "` in `" })
            }
        };
        out.name(files.join("` and `")).put("`.").end();
        if let Some(file) = self.git_add.as_ref().filter(|_| !dry_run) {
            out.hint(format!("git add {}", shell::path(file)));
        }
    }
}

impl Report for RemoteListReport {
    fn text(&self, out: &mut Text) {
        for row in &self.remotes {
            row.text(out);
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.remotes.is_empty() {
            out.put("No remotes.").end().hint("mlv remote add -d NAME FOLDER-OR-URL");
        }
        for row in &self.remotes {
            if let Some(problem) = &row.problem {
                out.warn("warning").put(": ").put(problem).end();
            }
        }
    }
}

impl Report for RemoteRow {
    fn text(&self, out: &mut Text) {
        out.name(&self.name).tab().put(self.url.as_deref().unwrap_or("-"));
        if self.default {
            out.tab().put("(default)");
        }
        out.end();
    }
}
