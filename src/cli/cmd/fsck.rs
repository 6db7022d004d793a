use std::time::Duration;

use crate::cli::args::JobsArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, count};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::fsck;

/// Check that everything is what its name says
///
/// Reads the whole cache, all pointers, pipelines and locks, and the lists of files that they name.
/// Damaged data is taken out of use, so that `mlv fetch` or `mlv commit` stores it anew. What was
/// never downloaded is no damage.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv fsck", "read everything"),
    ("mlv fsck && mlv push", "before other copies are deleted"),
], &[3, 4, 5]))]
pub(crate) struct FsckArgs {
    #[command(flatten)]
    jobs: JobsArgs,
}

/// What was found, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct FsckReport {
    #[serde(flatten)]
    report: fsck::FsckReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: &FsckArgs) -> Result<FsckReport, CliError> {
    let repo = cx.repo_with(args.jobs.number())?;
    Ok(FsckReport { report: fsck::run(repo, cx.reporter())?, view: Viewpoint::of(repo) })
}

impl Report for FsckReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        let report = &self.report;
        if report.adopted > 0 {
            out.put(format!("Indexed {} that had no index.", count(report.adopted, "pack"))).end();
        }
        for path in &report.unknown {
            out.put("not a file of the cache: ").put(path).end();
        }
        for hash in &report.damaged {
            out.bad("damaged").put(" blake3:").put(hash).end();
        }
        for path in &report.not_downloaded {
            out.put("not downloaded: `").name(self.view.path(path)).put("`").end();
        }
        let records = count(report.loose + report.packed, "record");
        let (packs, outputs) = (count(report.packs, "pack"), count(report.outputs, "output"));
        let bytes = ByteSize(report.bytes);
        let end = if report.failed.is_empty() { ": no damage." } else { "." };
        out.put(format!("Checked {records} ({bytes}), {packs}, {outputs} in {}{end}", Span(took))).end();
        if !report.damaged.is_empty() {
            out.hint("`mlv fetch` brings back what a remote has, `mlv commit` what the work tree has");
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::of(self.view.path(path.as_str()), error)).collect()
    }
}
