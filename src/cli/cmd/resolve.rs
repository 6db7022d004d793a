use std::time::Duration;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, git_error, git_files};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::merge::Favour;
use crate::ops::resolve::{self, ResolveOptions};

/// End merge conflicts in pointers and locks
///
/// Merges the files that git left in conflict: directories path by path, locks stage by stage. What only
/// one side changed is taken from it; where both changed the same, `--ours` or `--theirs` decides, for all
/// of it. Works after a merge that git made without mlv, too, also from conflict markers alone. Writes the
/// files and leaves git's index, and the data, as they are.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv resolve", "all that can be merged"),
    ("mlv resolve --theirs data/train", "their version of the files that both sides changed"),
    ("mlv resolve --ours && git add -u && git commit", "ours of everything, and the end of the merge"),
], &[1, 3, 4, 5, 6, 7]))]
pub(crate) struct ResolveArgs {
    /// Outputs, pointers, locks, folders with some; all if none
    #[arg(value_name = "PATH")]
    targets: Vec<String>,
    /// Take our side of what both changed
    #[arg(long, conflicts_with = "theirs")]
    ours: bool,
    /// Take their side of what both changed
    #[arg(long)]
    theirs: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was done, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct ResolveReport {
    #[serde(flatten)]
    report: resolve::ResolveReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: ResolveArgs) -> Result<ResolveReport, CliError> {
    let repo = cx.repo()?;
    let favour = match (args.ours, args.theirs) {
        (true, _) => Some(Favour::Ours),
        (_, true) => Some(Favour::Theirs),
        _ => None,
    };
    let options = ResolveOptions { targets: args.targets, favour, dry_run: args.dry_run.dry_run };
    Ok(ResolveReport { report: resolve::run(repo, &options, cx.reporter())?, view: Viewpoint::of(repo) })
}

impl Report for ResolveReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let ResolveReport { report, view } = self;
        if report.resolved.is_empty() && report.failed.is_empty() {
            let more = if report.git.git_add.is_empty() {
                "No pointer or lock is in conflict."
            } else {
                "All conflicts are resolved."
            };
            out.put(more).end();
        }
        for file in &report.resolved {
            let verb = match (report.dry_run, file.removed) {
                (false, false) => "Resolved",
                (false, true) => "Removed",
                (true, false) => "Would resolve",
                (true, true) => "Would remove",
            };
            out.good(verb).put(" `").name(view.path(&file.path)).put("`");
            if !file.stale.is_empty() {
                out.put(", to run again: ").put(file.stale.join(", "));
            }
            out.end();
        }
        git_files(&report.git, view, out);
        let is_done = !report.dry_run && report.failed.is_empty();
        if is_done && report.resolved.iter().any(|file| !file.removed && !file.path.ends_with(".lock")) {
            out.hint("the data: mlv pull");
        }
        if is_done && report.resolved.iter().any(|file| !file.stale.is_empty()) {
            out.hint("mlv repro");
        }
        if report.lacks_driver && !report.resolved.is_empty() {
            out.hint("to have git do this: mlv install");
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, self.failures())
    }
}
