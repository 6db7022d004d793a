use std::num::NonZeroUsize;
use std::time::Duration;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{NOT_DOWNLOADED_HINT, Viewpoint, count, git_error, git_files, reasons, rescued};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::error::{Advice, ErrorKind};
use crate::model::units::Span;
use crate::model::words;
use crate::ops::repro::{self, Action, OnFailure, Provision, ReproOptions};
use crate::ops::targets::TargetOptions;

/// Run the stages whose inputs changed, in dependency order
///
/// A stage runs if its command, a dependency, a parameter or an output is not what `mlv.lock`
/// says. Outputs that are missing come from the cache where it has them. A stage that fails, is
/// interrupted or does not make all its outputs leaves those of before in place.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv repro", "all stages that are not up to date"),
    ("mlv repro train", "one stage and all that it builds on"),
    ("mlv repro --force --single train", "run one stage whether anything changed or not"),
    ("mlv repro --resources gpu=0,2", "which devices stages may use that take a `gpu`"),
    ("mlv repro --dry-run", "what would run, and why"),
], &[3, 4, 5, 6, 8]))]
pub(crate) struct ReproArgs {
    /// Stages, outputs of stages, pipeline files; all stages of the repository if none
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Read targets as patterns: `*`, `**`, `?`, `[a-z]`
    #[arg(long)]
    glob: bool,
    /// Run whether anything changed or not
    #[arg(long, short)]
    force: bool,
    /// Only the targets, not what they build on
    #[arg(long, short, conflicts_with_all = ["downstream", "all_pipelines"])]
    single: bool,
    /// The targets and what builds on them, not what they build on
    #[arg(long, conflicts_with = "all_pipelines")]
    downstream: bool,
    /// All that the targets are linked with: what they build on, what builds on them, and so on
    #[arg(long, short, conflicts_with_all = ["single", "downstream", "all_pipelines"])]
    pipeline: bool,
    /// All stages of the repository, as without targets
    #[arg(long, short = 'P', conflicts_with = "targets")]
    all_pipelines: bool,
    /// Take all stages below a target that is a folder, as without this
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Run also what builds on a stage that runs, whether its output changed or not
    #[arg(long)]
    force_downstream: bool,
    /// Fetch outputs from the remote instead of making them, and inputs that are not here
    #[arg(long)]
    pull: bool,
    /// After a failure go on with what does not depend on it
    #[arg(long, short)]
    keep_going: bool,
    /// After a failure go on with everything, and exit with 0
    #[arg(long, conflicts_with = "keep_going")]
    ignore_errors: bool,
    /// How many stages to run at once; one for each processor if it is not given
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Run also what has run with the same inputs before, instead of taking what that made
    #[arg(long)]
    no_run_cache: bool,
    /// How many there are of a thing that stages take (`gpu=4`), or which (`gpu=0,2,5`)
    #[arg(long, value_name = "NAME=N")]
    resources: Vec<Provision>,
    /// Keep what a command made until it failed, for a day, in .mlv/tmp/failed
    #[arg(long)]
    keep_failed: bool,
    /// Take data that is not here for unchanged where its pointer or lock entry is
    #[arg(long)]
    allow_missing: bool,
    /// Leave storing the outputs in the cache to `mlv commit`
    #[arg(long)]
    no_commit: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl ReproArgs {
    fn on_failure(&self) -> OnFailure {
        match (self.keep_going, self.ignore_errors) {
            (_, true) => OnFailure::Ignore,
            (true, _) => OnFailure::KeepGoing,
            _ => OnFailure::Stop,
        }
    }
}

/// What was run, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct ReproReport {
    #[serde(flatten)]
    report: repro::ReproReport,
    #[serde(skip)]
    ignores_errors: bool,
    #[serde(skip)]
    is_single: bool,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: ReproArgs) -> Result<ReproReport, CliError> {
    let repo = cx.repo()?;
    let ignores_errors = args.ignore_errors;
    let options = ReproOptions {
        on_failure: args.on_failure(),
        jobs: args.jobs.and_then(|number| NonZeroUsize::new(number.into())),
        targets: TargetOptions { targets: args.targets, glob: args.glob, with_deps: false },
        force: args.force,
        single: args.single,
        downstream: args.downstream,
        pipeline: args.pipeline,
        force_downstream: args.force_downstream,
        pull: args.pull,
        allow_missing: args.allow_missing,
        no_commit: args.no_commit,
        no_run_cache: args.no_run_cache,
        keep_failed: args.keep_failed,
        resources: args.resources.into_iter().collect(),
    };
    let report = if args.dry_run.dry_run {
        repro::dry_run(repo, &options, cx.reporter())?
    } else {
        repro::run(repo, &options, cx.reporter())?
    };
    Ok(ReproReport { report, ignores_errors, is_single: options.single, view: Viewpoint::of(repo) })
}

/// Runs one stage, if it is not up to date, and not what it builds on.
pub(crate) fn single(cx: &Context, stage: &str) -> Result<ReproReport, CliError> {
    let repo = cx.repo()?;
    let targets = TargetOptions { targets: vec![stage.to_owned()], ..TargetOptions::default() };
    let options = ReproOptions { targets, single: true, ..ReproOptions::default() };
    let report = repro::run(repo, &options, cx.reporter())?;
    Ok(ReproReport { report, ignores_errors: false, is_single: true, view: Viewpoint::of(repo) })
}

impl Report for ReproReport {
    fn text(&self, out: &mut Text) {
        if !self.report.dry_run {
            return;
        }
        for stage in &self.report.stages {
            let verb = match stage.action {
                Action::WouldRun => "would run",
                Action::MayRun => "may run",
                Action::WouldRestore => "would restore",
                Action::Failed | Action::NotRun => "cannot run",
                Action::NotDownloaded => "not downloaded",
                _ => "up to date",
            };
            out.put(format!("{verb:14} ")).name(&stage.stage);
            if let Some(seconds) = stage.last_seconds {
                out.put(format!(" (last time {})", Span(Duration::from_secs_f64(seconds))));
            }
            let says_why = !matches!(stage.action, Action::Skipped | Action::NotDownloaded);
            if says_why && !stage.reasons.is_empty() {
                out.put(": ").put(reasons(&stage.reasons));
            }
            out.end();
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let ReproReport { report, view, .. } = self;
        rescued(&report.rescued, view, out);
        for stage in &report.stages {
            if let Some(folder) = &stage.partial_outputs {
                out.put("What `")
                    .name(&stage.stage)
                    .put("` made until it failed is in `")
                    .name(folder)
                    .put("`.")
                    .end();
            }
        }
        if report.dry_run {
            if report.stages.is_empty() {
                out.put("There are no stages.").end();
            }
            if report.stages.iter().any(|stage| stage.action == Action::NotDownloaded) {
                out.hint(NOT_DOWNLOADED_HINT);
            }
            if let Some(estimate) = &report.estimate {
                let span = |seconds| Span(Duration::from_secs_f64(seconds));
                out.put(format!("One after the other, as long as last time: {}; ", span(estimate.seconds)));
                out.put(format!("the longest chain {}: ", span(estimate.critical_seconds)));
                out.put(estimate.critical_path.join(" → ")).put(".").end();
            }
            return;
        }
        let (ran, restored) = (report.count(Action::Run), report.count(Action::Restored));
        match (ran + restored, report.failed.is_empty()) {
            (0, true) if report.stages.is_empty() => out.put("There are no stages.").end(),
            (0, true) if self.is_single => out.put("Up to date; what it builds on was not looked at.").end(),
            (0, true) => out.put("Everything up to date.").end(),
            _ => {
                let skipped = report.count(Action::Skipped);
                out.put(format!("Ran {}", count(ran, "stage")));
                let (failed, stopped) = (report.count(Action::Failed), report.count(Action::Interrupted));
                for (verb, number) in [("restored", restored), ("failed", failed), ("interrupted", stopped)] {
                    if number > 0 {
                        out.put(format!(", {verb} {number}"));
                    }
                }
                out.put(format!(", skipped {skipped} in {}.", Span(took))).end()
            }
        };
        let left = report.stages.iter().filter(|stage| stage.action == Action::NotRun);
        let left: Vec<&str> = left.map(|stage| &*stage.stage).collect();
        if !left.is_empty() {
            out.put("Not run: ").name(words::listed(left.iter())).put(".").end();
        }
        for (stage, error) in report.failed.iter().filter(|_| self.ignores_errors) {
            out.warn("ignored").put(": ").name(stage).put(": ").put(error).end();
        }
        git_files(&report.git, view, out);
    }

    fn error(&self) -> Option<CliError> {
        let failed = &self.report.failed;
        // The user asked to stop, and no option asks to go on then.
        let stops =
            !self.ignores_errors || failed.iter().any(|(_, error)| error.kind() == ErrorKind::Interrupted);
        let of_stages = CliError::of_stages(failed).filter(|_| stops);
        of_stages.or_else(|| git_error(&self.report.git, Vec::new()))
    }
}
