use std::time::Duration;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, git_error, git_files};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::freeze::{self, FreezeOptions};
use crate::ops::targets::TargetOptions;

/// Keep stages from running because of changed inputs
///
/// Writes `frozen: true` into their definitions; all else in `mlv.yaml` stays as it is written.
/// What builds on a frozen stage reads what it made the last time.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv freeze download", "it runs again when its command changes, or by `mlv repro --force`"),
    ("mlv freeze train", "all stages that one `foreach` or `matrix` makes"),
], &[3, 4]))]
pub(crate) struct FreezeArgs {
    #[command(flatten)]
    stages: StagesArgs,
}

/// Let stages run because of changed inputs again
///
/// Takes `frozen: true` out of their definitions.
#[derive(clap::Args)]
#[command(after_help = help::after(&[("mlv unfreeze download", "as before `mlv freeze`")], &[3, 4]))]
pub(crate) struct UnfreezeArgs {
    #[command(flatten)]
    stages: StagesArgs,
}

#[derive(clap::Args)]
struct StagesArgs {
    /// Stages, groups of stages, outputs of stages
    #[arg(value_name = "STAGE", required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was done, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct FreezeReport {
    #[serde(flatten)]
    report: freeze::FreezeReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn freeze(cx: &Context, args: FreezeArgs) -> Result<FreezeReport, CliError> {
    args.stages.run(cx, true)
}

pub(crate) fn unfreeze(cx: &Context, args: UnfreezeArgs) -> Result<FreezeReport, CliError> {
    args.stages.run(cx, false)
}

impl StagesArgs {
    fn run(self, cx: &Context, frozen: bool) -> Result<FreezeReport, CliError> {
        let repo = cx.repo()?;
        let targets = TargetOptions { targets: self.targets, ..TargetOptions::default() };
        let options = FreezeOptions { targets, frozen, dry_run: self.dry_run.dry_run };
        Ok(FreezeReport { report: freeze::run(repo, &options, cx.reporter())?, view: Viewpoint::of(repo) })
    }
}

impl Report for FreezeReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let FreezeReport { report, view } = self;
        let verb = match (report.frozen, report.dry_run) {
            (true, false) => "Froze",
            (true, true) => "Would freeze",
            (false, false) => "Unfroze",
            (false, true) => "Would unfreeze",
        };
        for stage in &report.changed {
            out.put(verb).put(" stage `").name(stage).put("`").end();
        }
        let state = if report.frozen { "is frozen already" } else { "is not frozen" };
        for stage in &report.unchanged {
            out.put("Stage `").name(stage).put("` ").put(state).put(".").end();
        }
        git_files(&report.git, view, out);
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, Vec::new())
    }
}
