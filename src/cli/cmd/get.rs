use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::args::{DryRun, JobsArgs, RemoteArgs, RevArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::error::ErrorKind;
use crate::model::shell;
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
    /// What `dvc get REPOSITORY PATH` has here, for a hint
    #[arg(hide = true)]
    more: Option<String>,
    /// Where the copy goes: a new name, or a folder that is there; the current one if none
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    rev: RevArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was copied.
#[derive(serde::Serialize)]
pub(crate) struct GetReport {
    #[serde(flatten)]
    report: get::GetReport,
}

pub(crate) fn run(cx: &Context, args: GetArgs) -> Result<GetReport, CliError> {
    if let Some(more) = &args.more {
        return Err(one_path(&args.path, more));
    }
    let (rev, remote, dry_run) = (args.rev.rev, args.remote.remote, args.dry_run.dry_run);
    let options = GetOptions { path: args.path, out: args.out, rev, remote, dry_run };
    let mut report = get::run(cx.repo_with(args.jobs.number())?, &options, cx.reporter())?;
    report.out = cx.shown(&report.out);
    Ok(GetReport { report })
}

/// Says that nothing is fetched from other repositories, to who types it as for `dvc get`.
fn one_path(first: &str, second: &str) -> CliError {
    let (from, path) = (shell::path(first), shell::path(second));
    let error = CliError::new(ErrorKind::Usage, "`mlv get` takes one path, of the repository it is run in");
    if first == "." {
        return error.hint(format!("mlv get {path}"));
    }
    if first.contains("://") || first.ends_with(".git") || Path::new(first).join(".git").exists() {
        return error.hint(format!("in a clone of `{first}`: mlv get {path}"));
    }
    error.hint(format!("mlv get {from} -o {path}"))
}

impl Report for GetReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        let report = &self.report;
        let files = count(report.files, "file");
        if report.dry_run {
            let (bytes, fetched) = (ByteSize(report.bytes), ByteSize(report.fetched_bytes));
            out.put(format!("Would copy {files} ({bytes}, {fetched} of it to be fetched) to `"));
            out.name(&report.out).put("`.").end();
        } else if report.files > 0 || report.failed.is_empty() {
            out.good("Copied").put(format!(" {files} ({}) to `", ByteSize(report.bytes)));
            out.name(&report.out).put(format!("` in {}.", Span(took))).end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        self.report.failed.iter().map(|(path, error)| Failure::of(path, error)).collect()
    }
}
