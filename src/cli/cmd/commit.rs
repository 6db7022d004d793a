use std::time::Duration;

use crate::cli::args::{DryRun, JobsArgs, TargetArgs};
use crate::cli::cmd::add;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, count, git_error, git_files};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::commit::{self, CommitOptions};

/// Record all changes to data that is tracked already
///
/// As `mlv add` for everything that changed, and for data that `mlv add` or `mlv repro` with
/// `--no-commit` left unstored. A stage that would run again is left alone; named, or with `--force`,
/// its outputs, inputs and parameters are accepted as they are, as if it had just run. Runs nothing.
/// What is not here stays recorded as it is.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv commit", "everything that changed"),
    ("mlv commit data", "one output"),
    ("mlv commit train", "a stage whose files are right as they are"),
], &[3, 4, 5, 6]))]
pub(crate) struct CommitArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// Accept stages that would run, and record files over changes that came with git and are not
    /// checked out
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// What was recorded, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct CommitReport {
    #[serde(flatten)]
    report: commit::CommitReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: CommitArgs) -> Result<CommitReport, CliError> {
    let repo = cx.repo_with(args.jobs.number())?;
    let options = CommitOptions { force: args.force, dry_run: args.dry_run.dry_run };
    let report = commit::run(repo, &args.targets.into_options(), options, cx.reporter())?;
    Ok(CommitReport { report, view: Viewpoint::of(repo) })
}

impl Report for CommitReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        let CommitReport { report, view } = self;
        for output in &report.outputs {
            add::line(output, view, report.dry_run, out);
        }
        for stage in &report.stages {
            let verb = if report.dry_run { "Would accept" } else { "Accepted" };
            out.good(verb).put(" stage `").name(stage).put("`").end();
        }
        if report.outputs.is_empty() && report.stages.is_empty() && report.stored.records == 0 {
            if report.failed.is_empty() && report.left.is_empty() {
                out.put("Everything up to date.").end();
            }
        } else {
            add::stored(&report.stored, report.dry_run, took, out);
        }
        if report.not_here > 0 {
            out.put(format!("{} not here, left as recorded.", count(report.not_here, "output"))).end();
        }
        if !report.left.is_empty() {
            let stages = report.left.join(" ");
            out.put(format!(
                "{} would run again, and stayed as recorded: {stages}",
                count(report.left.len() as u64, "stage")
            ));
            out.end();
            out.hint(format!("run `mlv repro`; or `mlv commit {stages}` to accept them as they are"));
        }
        git_files(&report.git, view, out);
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, self.failures())
    }
}
