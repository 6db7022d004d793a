use std::time::Duration;

use crate::cli::args::{DryRun, IncludeArgs, JobsArgs, RemoteArgs, ScopeArgs, TargetArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::fetch::{self, FetchCounts, FetchOptions, FetchReport, FetchedFrom};
use crate::ops::share::gather::Selection;

/// Download tracked data into the cache
///
/// The work tree stays as it is: `mlv checkout` puts the data there, and `mlv pull` does both.
/// Everything is verified on the way in. Safe to interrupt and to repeat.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv fetch", "everything that pointers and locks name"),
    ("mlv fetch -A", "what any commit names"),
    ("mlv fetch data/train/007.png", "one file of a tracked folder"),
    ("mlv fetch --include '*.csv' --exclude data/old", "files by patterns"),
    ("mlv fetch --dry-run", "how much that would be"),
], &[3, 4, 5, 7]))]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    include: IncludeArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Bring also what tells which inputs the outputs of stages were made from
    #[arg(long)]
    run_cache: bool,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(cx: &Context, args: FetchArgs) -> Result<FetchReport, CliError> {
    let selection = Selection { targets: args.targets.into_options(), scope: args.scope.scope() };
    let options = FetchOptions {
        selection,
        remote: args.remote.remote,
        run_cache: args.run_cache,
        filter: args.include.into_options(),
        dry_run: args.dry_run.dry_run,
    };
    Ok(fetch::run(cx.repo_with(args.jobs.number())?, &options, cx.reporter())?)
}

impl Report for FetchReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        line(self, took, out);
        if self.total.would_fetch.is_none()
            && self.total.files + self.total.pages == 0
            && self.failed.is_empty()
        {
            out.put("Everything up to date.").end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        self.failed.iter().map(|(path, error)| Failure::at(path, error)).collect()
    }
}

/// What came, if anything did; in a dry run, what would come. A line for each remote.
pub(crate) fn line(report: &FetchReport, took: Duration, out: &mut Text) {
    let is_nothing = |row: &FetchedFrom| row.what.would_fetch.is_some_and(|would| would.objects == 0);
    if let Some(first) = report.remotes.first()
        && report.remotes.iter().all(is_nothing)
    {
        out.put("Nothing to fetch from `").name(&first.remote).put("`.").end();
    }
    for row in &report.remotes {
        if let Some(FetchCounts { objects, bytes, requests }) =
            row.what.would_fetch.filter(|_| !is_nothing(row))
        {
            let objects = count(objects, "object");
            out.put(format!("Would fetch {objects} ({}) from `", ByteSize(bytes)));
            out.name(&row.remote).put(format!("` in about {}.", count(requests, "request"))).end();
        } else if row.what.files + row.what.pages > 0 {
            let files = count(row.what.files, "file");
            out.good("Fetched").put(format!(" {files} ({}) from `", ByteSize(row.what.bytes)));
            out.name(&row.remote).put(format!("` in {}.", Span(took))).end();
        }
    }
}
