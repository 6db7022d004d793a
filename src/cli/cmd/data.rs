use std::time::Duration;

use serde_json::Value;

use crate::cli::args::{ExitCodeArgs, NotInRemoteArgs, RemoteArgs, TargetArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{self, Viewpoint};
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::ops::status::{self, Section, StatusOptions};

/// The data part of `mlv status`, in DVC's sections
#[derive(clap::Args)]
#[command(after_help = help::after(&[("mlv data status", "as `mlv status --only data`")], &[3, 4]))]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(clap::Subcommand)]
enum DataCommand {
    Status(DataStatusArgs),
}

impl DataArgs {
    /// Runs the subcommand and returns the process's exit code.
    pub(crate) fn run(self, cx: &Context) -> u8 {
        let DataCommand::Status(args) = self.command;
        finish(cx, run(cx, args))
    }
}

/// Show how data differs from pointers, and pointers from HEAD
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv data status --granular --json", "every file that differs, for scripts"),
    ("mlv data status --not-in-remote", "what was not pushed, too"),
], &[1, 3, 4, 7]))]
struct DataStatusArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// List every file that differs instead of its folder
    #[arg(long)]
    granular: bool,
    /// List outputs without any difference, too
    #[arg(long)]
    unchanged: bool,
    #[command(flatten)]
    not_in_remote: NotInRemoteArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    exit_code: ExitCodeArgs,
}

/// The answer, and how to show it.
#[derive(serde::Serialize)]
struct DataStatusReport {
    #[serde(flatten)]
    report: status::StatusReport,
    #[serde(skip)]
    view: Viewpoint,
    #[serde(skip)]
    tells_differences: bool,
    #[serde(skip)]
    is_quiet: bool,
}

fn run(cx: &Context, args: DataStatusArgs) -> Result<DataStatusReport, CliError> {
    let repo = cx.repo()?;
    let options = StatusOptions {
        targets: args.targets.into_options(),
        only: Some(Section::Data),
        granular: args.granular,
        unchanged: args.unchanged,
        remote: args.not_in_remote.question(false, args.remote),
    };
    let report = status::run(repo, &options, cx.reporter())?;
    let is_quiet = cx.ui().is_quiet();
    let tells_differences = args.exit_code.exit_code || is_quiet;
    Ok(DataStatusReport { report, view: Viewpoint::of(repo), tells_differences, is_quiet })
}

impl Report for DataStatusReport {
    fn text(&self, out: &mut Text) {
        if !self.is_quiet {
            render::status::data(&self.report, &self.view, out);
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if !self.report.has_differences() && self.report.failed.is_empty() {
            out.put("No differences.").end();
        }
    }

    fn json(&self) -> Value {
        serde_json::to_value(&self.report.data).unwrap_or_default()
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.tells_differences && self.report.has_differences())
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}
