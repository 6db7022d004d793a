use std::path::PathBuf;
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::Viewpoint;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::shell;
use crate::ops::merge_driver::{self, MergeDriverOptions};

/// Merge one pointer or lock: what git runs after `mlv install`
///
/// Puts the merged version into the file of OURS. Directories are merged path by path, locks stage by stage
/// and input by input; only lists of files are fetched. Where both sides changed the same, both versions are
/// put there between conflict markers, for `mlv resolve`, and the exit code is not 0.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv merge-driver base ours theirs data.mlv", "as git runs it, with files of its own"),
], &[1, 4, 5, 7]))]
pub(crate) struct MergeDriverArgs {
    /// The file with the version that both started from
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The file with our version
    #[arg(value_name = "OURS")]
    ours: PathBuf,
    /// The file with their version
    #[arg(value_name = "THEIRS")]
    theirs: PathBuf,
    /// The path that is merged
    #[arg(value_name = "PATH")]
    path: String,
}

/// What was merged.
#[derive(serde::Serialize)]
pub(crate) struct MergeDriverReport {
    #[serde(flatten)]
    report: merge_driver::MergeDriverReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: MergeDriverArgs) -> Result<MergeDriverReport, CliError> {
    let MergeDriverArgs { base, ours, theirs, path } = args;
    let options = MergeDriverOptions { base, ours, theirs, path };
    let report = merge_driver::run(&cx.around(), &options)?;
    Ok(MergeDriverReport { report, view: cx.viewpoint() })
}

impl Report for MergeDriverReport {
    /// git says itself what it merges: only what is left to do is told.
    fn summary(&self, _took: Duration, out: &mut Text) {
        for stage in &self.report.stale {
            out.put("both sides changed stage `").name(stage).put("` of `");
            out.name(self.view.path(&self.report.path));
            out.put("`: it is to run").end();
        }
        if !self.report.stale.is_empty() {
            let stages: Vec<String> = self.report.stale.iter().map(|stage| shell::word(stage)).collect();
            out.hint(format!("after the merge: mlv repro {}", stages.join(" ")));
        }
    }
}
