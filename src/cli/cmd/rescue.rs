use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{LISTED, Viewpoint, count, rescued};
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::rescue::{self, Dropped, RestoreOptions};

/// Look at what commands displaced, and bring it back
///
/// Nothing that is not saved is ever deleted: `--force` and `--clean` put it into `.mlv/rescue`.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv rescue list", "what lies in rescue"),
    ("mlv rescue restore", "bring back what the last command displaced"),
], &[2, 3]))]
pub(crate) struct RescueArgs {
    #[command(subcommand)]
    command: RescueCommand,
}

#[derive(clap::Subcommand)]
enum RescueCommand {
    List(ListArgs),
    Restore(RestoreArgs),
    Drop(DropArgs),
}

impl RescueArgs {
    /// Runs the subcommand and returns the process's exit code.
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            RescueCommand::List(_) => finish(cx, list(cx)),
            RescueCommand::Restore(args) => finish(cx, restore(cx, args)),
            RescueCommand::Drop(args) => finish(cx, drop_operations(cx, args)),
        }
    }
}

/// List what commands displaced
#[derive(clap::Args)]
#[command(after_help = help::after(&[("mlv rescue list --json", "for scripts")], &[3]))]
struct ListArgs {}

/// Bring displaced files back to where they were
///
/// What stands there now stops it unless the cache has it; with `--force` that goes to rescue itself.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv rescue restore", "all that the last command displaced"),
    ("mlv rescue restore 20261121T101500.250000Z-1a2b3c4d data/a.csv", "one file of an earlier one"),
], &[2, 3]))]
struct RestoreArgs {
    /// The operation, as `mlv rescue list` names it; the last one if none is given
    #[arg(value_name = "OPERATION")]
    operation: Option<String>,
    /// Only what was at or below these paths
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Put what stands at a path now into rescue
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

/// Delete all that operations displaced, for good
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("dropped").required(true))]
#[command(after_help = help::after(&[
    ("mlv rescue drop 20261121T101500.250000Z-1a2b3c4d", "its bytes are gone"),
    ("mlv rescue drop --older-than 30d", "what nobody missed in a month"),
    ("mlv rescue drop --all --dry-run", "how much that would be"),
], &[2, 3]))]
struct DropArgs {
    /// The operations, as `mlv rescue list` names them
    #[arg(value_name = "OPERATION", group = "dropped")]
    operations: Vec<String>,
    /// All that were displaced longer ago than TIME: `90m`, `12h`, `30d`
    #[arg(long, value_name = "TIME", group = "dropped")]
    older_than: Option<Span>,
    /// All
    #[arg(long, group = "dropped")]
    all: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What lies in rescue.
#[derive(serde::Serialize)]
struct ListReport {
    #[serde(flatten)]
    report: rescue::RescueListReport,
    #[serde(skip)]
    view: Viewpoint,
}

fn list(cx: &Context) -> Result<ListReport, CliError> {
    let repo = cx.repo()?;
    Ok(ListReport { report: rescue::list(repo)?, view: Viewpoint::of(repo) })
}

impl Report for ListReport {
    fn text(&self, out: &mut Text) {
        for operation in &self.report.operations {
            out.strong(&operation.name);
            if let Some(command) = &operation.command {
                out.put("  ").put(command);
            }
            out.end();
            for file in &operation.files {
                out.put("  ")
                    .name(self.view.path(&file.path))
                    .put(format!("  {}", ByteSize(file.size)))
                    .end();
            }
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.report.operations.is_empty() {
            out.put("Nothing is in rescue.").end();
        }
    }
}

/// What was brought back.
#[derive(serde::Serialize)]
struct RestoreReport {
    #[serde(flatten)]
    report: rescue::RestoreReport,
    #[serde(skip)]
    view: Viewpoint,
}

fn restore(cx: &Context, args: RestoreArgs) -> Result<RestoreReport, CliError> {
    let repo = cx.repo()?;
    let RestoreArgs { operation, paths, force, dry_run: DryRun { dry_run } } = args;
    let options = RestoreOptions { operation, paths, force, dry_run };
    Ok(RestoreReport { report: rescue::restore(repo, &options, cx.reporter())?, view: Viewpoint::of(repo) })
}

impl Report for RestoreReport {
    fn failures(&self) -> Vec<Failure> {
        self.report.failed.iter().map(|(path, error)| Failure::at(path, error)).collect()
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        rescued(&self.report.rescued, &self.view, out);
        let restored = &self.report.restored;
        let verb = if self.report.dry_run { "would restore" } else { "restored" };
        for path in restored.iter().take(LISTED) {
            out.good(verb).put(" `").name(self.view.path(path)).put("`").end();
        }
        if restored.len() > LISTED {
            let more = count((restored.len() - LISTED) as u64, "more path");
            out.good(verb).put(format!(" … and {more}")).end();
        }
    }
}

fn drop_operations(cx: &Context, args: DropArgs) -> Result<rescue::DropReport, CliError> {
    let DropArgs { operations, older_than, all, dry_run: DryRun { dry_run } } = args;
    let dropped = match older_than {
        // Longer ago than time began lies nothing.
        Some(Span(age)) => Dropped::Before(SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH)),
        None if all => Dropped::All,
        None => Dropped::Operations(operations),
    };
    Ok(rescue::drop_operations(cx.repo()?, &dropped, dry_run)?)
}

impl Report for rescue::DropReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let of = match &self.operations[..] {
            [] => {
                out.put("Nothing of that is in rescue.").end();
                return;
            }
            [one] => format!("`{one}`"),
            many => count(many.len() as u64, "operation"),
        };
        let verb = if self.dry_run { "Would delete" } else { "Deleted" };
        out.put(format!("{verb} {} ({}) of {of}.", count(self.files, "file"), ByteSize(self.bytes))).end();
    }
}
