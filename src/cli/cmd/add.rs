use std::time::Duration;

use crate::cli::args::{DryRun, JobsArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, count, git_error, git_files, thousands};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::error::ErrorKind;
use crate::model::units::{ByteSize, Span};
use crate::ops::add::{self, AddOptions, AddedOutput, StoredCounts};

/// Track files and folders, or record what changed in them
///
/// Stores the bytes in the cache, writes a pointer (`data.mlv` for `data`) and makes git ignore
/// the data. A file or folder inside a tracked folder updates that folder's pointer only, also
/// where the rest was never downloaded. Entries that are not here and never were are kept.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv add data", "a folder, or what changed in it"),
    ("mlv add data/new.png", "one file of a tracked folder"),
    ("mlv add -o raw /mnt/share/raw", "a copy of what lies elsewhere"),
    ("mlv add --glob 'models/*.bin'", "every file that matches, each by itself"),
], &[3, 4, 5, 6]))]
pub(crate) struct AddArgs {
    /// Files and folders
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// Read targets as patterns: `*`, `**`, `?`, `[a-z]`
    #[arg(long)]
    glob: bool,
    /// Copy the target, which may lie outside the repository, to this name, and track the copy
    #[arg(long, short, value_name = "NAME", conflicts_with = "glob")]
    out: Option<String>,
    /// Write pointers, and leave storing the bytes to `mlv commit`
    #[arg(long)]
    no_commit: bool,
    /// Record files as they stand, also over changes that came with git and are not checked out
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was recorded, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct AddReport {
    #[serde(flatten)]
    report: add::AddReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: AddArgs) -> Result<AddReport, CliError> {
    let repo = cx.repo_with(args.jobs.number())?;
    if args.out.is_some() && args.targets.len() > 1 {
        return Err(CliError::new(ErrorKind::Usage, "`--out` takes one target"));
    }
    let options = AddOptions {
        targets: args.targets,
        glob: args.glob,
        no_commit: args.no_commit,
        force: args.force,
        dry_run: args.dry_run.dry_run,
        out: args.out,
    };
    let report = add::run(repo, &options, cx.reporter())?;
    Ok(AddReport { report, view: Viewpoint::of(repo) })
}

impl Report for AddReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        for output in &self.report.outputs {
            line(output, &self.view, self.report.dry_run, out);
        }
        let AddReport { report, view } = self;
        if report.outputs.iter().all(|output| output.state == "unchanged") && report.stored.records == 0 {
            out.put("Everything up to date.").end();
        } else {
            stored(&report.stored, report.dry_run, took, out);
        }
        git_files(&report.git, view, out);
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, Vec::new())
    }
}

/// What is new in the cache, or would be.
pub(crate) fn stored(counts: &StoredCounts, dry_run: bool, took: Duration, out: &mut Text) {
    let (records, bytes) = (counts.records, ByteSize(counts.bytes));
    if dry_run {
        out.put(format!("Would store {} ({bytes}).", count(records, "new file"))).end();
    } else {
        out.put(format!("Stored {} ({bytes}) in {}.", count(records, "new record"), Span(took))).end();
    }
}

/// What became of one output.
pub(crate) fn line(output: &AddedOutput, view: &Viewpoint, dry_run: bool, out: &mut Text) {
    let verb = match (dry_run, output.state) {
        (_, "unchanged") => "Unchanged",
        (true, "added") => "Would track",
        (false, "added") => "Tracking",
        (true, _) => "Would update",
        (false, _) => "Updated",
    };
    out.good(verb).put(" `").name(view.path(&output.path)).put("`");
    let files = output.nfiles.map(|files| format!("{}, ", count(files, "file"))).unwrap_or_default();
    out.put(format!(" ({files}{})", ByteSize(output.size)));
    if output.state == "updated" && output.nfiles.is_some() && output.changes.is_none() {
        out.put(": what changed cannot be counted, for the list of before is lost");
    }
    if let Some(changes) = output.changes.filter(|_| output.state == "updated" && output.nfiles.is_some()) {
        out.put(format!(
            ": {} added, {} modified, {} deleted",
            changes.added, changes.modified, changes.deleted
        ));
        if changes.renamed > 0 {
            out.put(format!(", {} renamed", changes.renamed));
        }
    }
    out.end();
    if output.kept > 0 {
        let files = if output.kept == 1 { "file that is" } else { "files that are" };
        let kept = thousands(output.kept);
        out.put(format!("kept {kept} {files} not downloaded; to delete: mlv rm PATH")).end();
    }
    if output.ignored > 0 && output.state != "unchanged" {
        out.put(format!("left out {}, as `.mlvignore` says", count(output.ignored, "path"))).end();
    }
}
