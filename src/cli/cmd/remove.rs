use std::time::Duration;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, count, git_error, git_files, rescued};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::remove::{self, RemoveOptions};
use crate::ops::targets::TargetOptions;

/// Stop tracking files and folders; remove stages
///
/// Removes the pointer and its line in `.gitignore`. The data stays, and so do its bytes in the cache
/// and on remotes; `--outs` takes it out of the work tree. A file or folder inside a tracked folder is
/// deleted, here and from the folder's pointer, also where it was never downloaded. A stage is taken out
/// of `mlv.yaml` and `mlv.lock`; all else in them stays as it is written.
#[derive(clap::Args)]
#[command(visible_alias = "rm", after_help = help::after(&[
    ("mlv remove data.mlv", "the data stays, and git sees it again"),
    ("mlv rm --outs data", "the data goes, too"),
    ("mlv rm data/old.png", "one file of a tracked folder"),
    ("mlv remove train", "a stage; what it made stays"),
], &[3, 4]))]
pub(crate) struct RemoveArgs {
    /// Outputs, their pointers, paths inside tracked folders, or stages
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// Take the data out of the work tree, too; what is not saved goes to rescue
    #[arg(long)]
    outs: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was done, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct RemoveReport {
    #[serde(flatten)]
    report: remove::RemoveReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: RemoveArgs) -> Result<RemoveReport, CliError> {
    let repo = cx.repo()?;
    let targets = TargetOptions { targets: args.targets, ..TargetOptions::default() };
    let options = RemoveOptions { targets, outs: args.outs, dry_run: args.dry_run.dry_run };
    Ok(RemoveReport { report: remove::run(repo, &options, cx.reporter())?, view: Viewpoint::of(repo) })
}

impl Report for RemoveReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let RemoveReport { report, view } = self;
        let verb = if report.dry_run { "Would stop tracking" } else { "Stopped tracking" };
        for path in &report.outputs {
            out.put(verb).put(" `").name(view.path(path)).put("`").end();
        }
        let verb = if report.dry_run { "Would delete" } else { "Deleted" };
        for path in &report.entries {
            out.put(verb).put(" `").name(view.path(path)).put("`").end();
        }
        let verb = if report.dry_run { "Would remove" } else { "Removed" };
        for stage in &report.stages {
            out.put(verb).put(" stage `").name(stage).put("`").end();
        }
        rescued(&report.rescued, view, out);
        if report.deleted > 0 {
            out.put(format!("Took {} out of the work tree.", count(report.deleted, "file"))).end();
        }
        git_files(&report.git, view, out);
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, Vec::new())
    }
}
