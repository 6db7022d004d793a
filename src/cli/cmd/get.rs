use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args::{JobsArgs, RemoteArgs, RevArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::get::{self, GetOptions};

/// Copy a tracked file or folder, at any revision
///
/// Makes an untracked copy and leaves the work tree as it is; works in a clone that has pulled nothing.
/// What the cache lacks of it, and only that, is fetched. Nothing that exists is replaced, and a copy
/// that is interrupted leaves nothing at its place.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv get data/train.csv --rev v1 -o old.csv", "a file as it was at a tag"),
    ("mlv get data/train/images -o /tmp", "a part of a tracked folder, into a folder that is there"),
], &[3, 4, 5, 7]))]
pub(crate) struct GetArgs {
    /// A file or folder
    #[arg(value_name = "PATH")]
    path: String,
    /// Where the copy goes: a new name, or a folder that is there; the current one if none
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    rev: RevArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// What was copied.
#[derive(serde::Serialize)]
pub(crate) struct GetReport {
    #[serde(flatten)]
    report: get::GetReport,
}

pub(crate) fn run(cx: &Context, args: GetArgs) -> Result<GetReport, CliError> {
    let options =
        GetOptions { path: args.path, out: args.out, rev: args.rev.rev, remote: args.remote.remote };
    let mut report = get::run(cx.repo_with(args.jobs.number())?, &options, cx.reporter())?;
    report.out = cx.shown(&report.out);
    Ok(GetReport { report })
}

impl Report for GetReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        let report = &self.report;
        if report.files > 0 || report.failed.is_empty() {
            let files = count(report.files, "file");
            out.good("Copied").put(format!(" {files} ({}) to `", ByteSize(report.bytes)));
            out.name(&report.out).put(format!("` in {}.", Span(took))).end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        self.report.failed.iter().map(|(path, error)| Failure::of(path, error)).collect()
    }
}
