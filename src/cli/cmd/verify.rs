use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, columns, count, reasons};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::repro::Provision;
use crate::ops::targets::TargetOptions;
use crate::ops::verify::{self, FileChange, Outcome, OutputReport, VerifyOptions};

/// More files of an output that differ are counted instead of listed; JSON has them all.
const LISTED: usize = 20;

/// Run stages again in a clean work tree and compare what they make
///
/// Shows whether the outputs in `mlv.lock` follow from what the stage declares. Each stage runs in a
/// temporary folder that holds the files that git tracks, as they stand in the work tree, and the
/// stage's dependencies and parameter files as recorded; without git only these. Outputs of other
/// stages are there only if it depends on them. Work tree, `mlv.lock` and the run cache stay as they are.
///
/// Exits with 1 if an output differs.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv verify", "all stages, one after the other"),
    ("mlv verify train", "one stage, not what it builds on"),
    ("mlv verify --pull train", "where its data is not here"),
    ("mlv verify --keep-failed train", "to look at what it made"),
], &[1, 3, 4, 5, 6, 7, 8]))]
pub(crate) struct VerifyArgs {
    /// Stages, outputs of stages, pipeline files; all stages of the repository if none
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Read targets as patterns: `*`, `**`, `?`, `[a-z]`
    #[arg(long)]
    glob: bool,
    /// Fetch inputs that are not here, and the lists of files to compare with
    #[arg(long)]
    pull: bool,
    /// Keep outputs that differ, for a day, in .mlv/tmp/failed
    #[arg(long)]
    keep_failed: bool,
    /// How many there are of a thing that stages take (`gpu=4`), or which (`gpu=0,2,5`)
    #[arg(long, value_name = "NAME=N")]
    resources: Vec<Provision>,
}

/// What was found, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct VerifyReport {
    #[serde(flatten)]
    report: verify::VerifyReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: VerifyArgs) -> Result<VerifyReport, CliError> {
    let repo = cx.repo()?;
    let options = VerifyOptions {
        targets: TargetOptions { targets: args.targets, glob: args.glob, with_deps: false },
        pull: args.pull,
        keep_failed: args.keep_failed,
        resources: args.resources.into_iter().collect(),
    };
    let report = verify::run(repo, &options, cx.reporter())?;
    Ok(VerifyReport { report, view: Viewpoint::of(repo) })
}

impl VerifyReport {
    fn output(&self, output: &OutputReport, out: &mut Text) {
        let rows: Vec<[String; 3]> = match (&output.recorded, &output.made) {
            (Some(_), None) => vec![["not made".into(), self.view.path(&output.path), String::new()]],
            _ if !output.is_list_known => {
                let why = "which files is not known: the list is not here (mlv verify --pull)".to_owned();
                vec![["differs".into(), self.view.path(&output.path), why]]
            }
            _ => output.changes.iter().take(LISTED).map(|change| self.row(change)).collect(),
        };
        columns(&rows, out);
        if output.made.is_some() && output.changes.len() > LISTED {
            out.put(format!("  and {} more", output.changes.len() - LISTED)).end();
        }
    }

    fn row(&self, change: &FileChange) -> [String; 3] {
        let size = |size: Option<u64>| size.map(|size| ByteSize(size).to_string());
        let sizes = match (size(change.old_size), size(change.new_size)) {
            (Some(old), Some(_)) if change.old_size == change.new_size => format!("{old}, other bytes"),
            (Some(old), Some(new)) => format!("{old} → {new}"),
            (one, other) => one.or(other).unwrap_or_default(),
        };
        [change.change.to_owned(), self.view.path(&change.path), sizes]
    }
}

impl Report for VerifyReport {
    fn text(&self, out: &mut Text) {
        for stage in &self.report.stages {
            out.name(&stage.stage).put(": ");
            match stage.result {
                Outcome::Same => out.good("same").put(" as recorded"),
                Outcome::Differs => out.bad("differs").put(" from what is recorded"),
                Outcome::Failed if stage.reasons.is_empty() => out.bad("failed"),
                Outcome::Failed => out.bad("changed").put(" since it ran"),
                Outcome::Frozen => out.put("frozen, and its inputs have changed: not verified"),
                Outcome::NotRun => out.put("not run"),
            };
            if let Some(seconds) = stage.seconds {
                out.put(format!(" ({})", Span(Duration::from_secs_f64(seconds))));
            }
            if !stage.reasons.is_empty() {
                out.put(": ").put(reasons(&stage.reasons));
            }
            out.end();
            stage
                .outputs
                .iter()
                .filter(|output| !output.is_same())
                .for_each(|output| self.output(output, out));
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let report = &self.report;
        for stage in &report.stages {
            if let Some(folder) = &stage.kept {
                out.put("What `").name(&stage.stage).put("` made is in `").name(folder).put("`.").end();
            }
        }
        if report.stages.is_empty() {
            out.put("There are no stages.").end();
            return;
        }
        let (same, differ) = (report.count(Outcome::Same), report.count(Outcome::Differs));
        out.put(format!("Verified {}: {same} the same, {differ} different", count(same + differ, "stage")));
        out.put(format!(" in {}.", Span(took))).end();
    }

    fn error(&self) -> Option<CliError> {
        CliError::of_stages(&self.report.failed)
    }
}
