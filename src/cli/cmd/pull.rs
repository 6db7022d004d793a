use std::time::Duration;

use serde_json::Value;

use crate::cli::args::{DryRun, IncludeArgs, JobsArgs, RemoteArgs, ScopeArgs, TargetArgs};
use crate::cli::cmd::checkout::CheckoutReport;
use crate::cli::cmd::fetch;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::Viewpoint;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::checkout::CheckoutOptions;
use crate::ops::fetch::{FetchOptions, FetchReport};
use crate::ops::pull;
use crate::ops::share::gather::Selection;

/// Download tracked data and put it into the work tree
///
/// As `mlv fetch`, then `mlv checkout`. A path inside a tracked folder brings that path only.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv pull", "everything that pointers and locks name"),
    ("mlv pull data/train", "one output, or a part of it"),
    ("mlv pull --include '*.csv' --exclude data/old", "files by patterns"),
    ("mlv pull --dry-run", "how much that would be, and what would change"),
], &[3, 4, 5, 6, 7]))]
pub(crate) struct PullArgs {
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    include: IncludeArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Put changes that are not recorded into rescue instead of refusing
    #[arg(long, short)]
    force: bool,
    /// What the remote lacks is no failure
    #[arg(long)]
    allow_missing: bool,
    /// Bring also what tells which inputs the outputs of stages were made from
    #[arg(long)]
    run_cache: bool,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was brought and put in place.
#[derive(serde::Serialize)]
pub(crate) struct PullReport {
    fetched: FetchReport,
    checked_out: CheckoutReport,
    #[serde(skip)]
    allow_missing: bool,
}

pub(crate) fn run(cx: &Context, args: PullArgs) -> Result<PullReport, CliError> {
    let repo = cx.repo_with(args.jobs.number())?;
    let targets = args.targets.into_options();
    let selection = Selection { targets: targets.clone(), scope: args.scope.scope() };
    let filter = args.include.into_options();
    let fetching = FetchOptions {
        selection,
        remote: args.remote.remote,
        run_cache: args.run_cache,
        filter: filter.clone(),
        dry_run: args.dry_run.dry_run,
    };
    let checking = CheckoutOptions {
        targets,
        force: args.force,
        allow_missing: args.allow_missing,
        whole: true,
        filter,
        dry_run: args.dry_run.dry_run,
        ..CheckoutOptions::default()
    };
    let report = pull::run(repo, &fetching, &checking, cx.reporter())?;
    let counts_only = cx.ui().is_quiet();
    let checked_out = CheckoutReport { report: report.checked_out, view: Viewpoint::of(repo), counts_only };
    Ok(PullReport { fetched: report.fetched, checked_out, allow_missing: args.allow_missing })
}

impl Report for PullReport {
    fn text(&self, out: &mut Text) {
        self.checked_out.text(out);
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        fetch::line(&self.fetched, took, out);
        let outputs = &self.checked_out.report.outputs;
        let is_idle = outputs.iter().all(|output| output.deleted.is_empty() && output.extra.is_empty());
        // What did not come is told below: that nothing was to be done is not true then.
        if self.failures().is_empty() || self.checked_out.report.files > 0 || !is_idle {
            self.checked_out.summary(took, out);
        }
    }

    fn json(&self) -> Value {
        serde_json::json!({ "fetched": self.fetched, "checked_out": self.checked_out.json() })
    }

    fn failures(&self) -> Vec<Failure> {
        let fetched = if self.allow_missing { Vec::new() } else { self.fetched.failures() };
        fetched.into_iter().chain(self.checked_out.failures()).collect()
    }
}
