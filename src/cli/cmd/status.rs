use std::time::Duration;

use crate::cli::args::{ExitCodeArgs, NotInRemoteArgs, RemoteArgs, TargetArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{self, Viewpoint};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::install;
use crate::ops::status::{self, Section, StatusOptions};

/// Show what changed, what is stale, and what is not here
///
/// Compares stages with the lock, the data in the work tree with pointers and lock, and these
/// with HEAD. What was never downloaded is shown and is no difference. Contacts a remote only with `-c`,
/// `--only remote` or `--not-in-remote`, and then looks for each file: `new` is in the cache and not on the
/// remote, `deleted` on the remote and not in the cache (no difference), `missing` on neither. With `-q` the
/// exit code alone says whether anything differs, as with `--exit-code`.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv status", "of the whole repository"),
    ("mlv status data --granular", "every file that changed in one output"),
    ("mlv status --only pipeline --exit-code", "in CI: is anything stale? Needs no data"),
    ("mlv status -c", "beside the remote, too"),
    ("mlv status --only remote --exit-code", "in CI: was everything pushed?"),
], &[1, 3, 4, 7]))]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// Look at one part only
    #[arg(long, value_name = "SECTION", value_enum)]
    only: Option<Part>,
    /// List every file that differs instead of its folder
    #[arg(long)]
    granular: bool,
    /// List outputs without any difference, too
    #[arg(long)]
    unchanged: bool,
    /// Compare the cache with the remote, too
    #[arg(long, short = 'c')]
    cloud: bool,
    #[command(flatten)]
    not_in_remote: NotInRemoteArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    exit_code: ExitCodeArgs,
}

/// A part of the answer.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    /// Stages against the lock
    Pipeline,
    /// Data against pointers, pointers against HEAD
    Data,
    /// What is not here
    Cache,
    /// The cache against the remote
    Remote,
}

/// The answer, and how to show it.
#[derive(serde::Serialize)]
pub(crate) struct StatusReport {
    #[serde(flatten)]
    pub(crate) report: status::StatusReport,
    #[serde(skip)]
    pub(crate) view: Viewpoint,
    #[serde(skip)]
    tells_differences: bool,
    #[serde(skip)]
    is_quiet: bool,
    #[serde(skip)]
    lacks_driver: bool,
}

pub(crate) fn run(cx: &Context, args: StatusArgs) -> Result<StatusReport, CliError> {
    let repo = cx.repo()?;
    let only = args.only.map(|part| match part {
        Part::Pipeline => Section::Pipeline,
        Part::Data => Section::Data,
        Part::Cache => Section::Cache,
        Part::Remote => Section::Remote,
    });
    let section = only.map_or(args.cloud, |only| only == Section::Remote);
    let options = StatusOptions {
        targets: args.targets.into_options(),
        only,
        granular: args.granular,
        unchanged: args.unchanged,
        remote: args.not_in_remote.question(section, args.remote),
    };
    let report = status::run(repo, &options, cx.reporter())?;
    // `-q` has nothing else to say, as with DVC and git.
    let is_quiet = cx.ui().is_quiet();
    let tells_differences = args.exit_code.exit_code || is_quiet;
    let lacks_driver = install::is_missing(repo);
    Ok(StatusReport { report, view: Viewpoint::of(repo), tells_differences, is_quiet, lacks_driver })
}

impl Report for StatusReport {
    fn text(&self, out: &mut Text) {
        if !self.is_quiet {
            render::status::status(&self.report, &self.view, out);
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        let report = &self.report;
        if !report.has_outputs && report.failed.is_empty() {
            out.put("Nothing is tracked yet.").end();
            out.hint("mlv add FILE_OR_FOLDER");
        } else if report.is_empty() && report.failed.is_empty() {
            out.put("Everything up to date.").end();
        }
        if self.lacks_driver {
            out.hint("to have git merge pointers and locks by mlv: mlv install");
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.tells_differences && self.report.has_differences())
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}
