use std::path::Path;
use std::time::Duration;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::shell;
use crate::ops::init::{self, InitOptions};

/// Set up mlv in a git repository
///
/// Writes `.mlv/config.toml`, `.mlv/.gitignore`, `.mlvignore` and `.gitattributes`, and tells what to
/// `git add`. Has git run mlv to merge pointers and locks, as `mlv install` does in a clone. Works in a subfolder of a git repository, too. Nothing that is there is replaced, and no
/// cache is ever removed.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv init", "in the current folder"),
    ("mlv init --no-scm", "in a folder without git"),
    ("mlv init -f", "add what is missing in a repository that is set up"),
], &[4]))]
pub(crate) struct InitArgs {
    /// The folder to set up, which exists
    #[arg(value_name = "DIR")]
    folder: Option<String>,
    /// Do without git
    #[arg(long)]
    no_scm: bool,
    /// Set up a repository of its own inside of another one
    #[arg(long)]
    subdir: bool,
    /// Also where mlv is set up already: what is missing is added, nothing is removed
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was set up, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct InitReport {
    #[serde(flatten)]
    report: init::InitReport,
    #[serde(skip)]
    folder: String,
}

pub(crate) fn run(cx: &Context, args: InitArgs) -> Result<InitReport, CliError> {
    let options = InitOptions {
        folder: args.folder,
        no_scm: args.no_scm,
        subdir: args.subdir,
        force: args.force,
        dry_run: args.dry_run.dry_run,
    };
    let report = init::run(&cx.around(), &options)?;
    Ok(InitReport { folder: cx.shown(&report.root), report })
}

impl Report for InitReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let InitReport { report, folder } = self;
        if report.dry_run {
            let files = report.created.join("`, `");
            out.put(format!("Would write {} in `", count(report.created.len() as u64, "file")));
            out.name(folder).put(if files.is_empty() { "`." } else { "`: `" });
            if !files.is_empty() {
                out.put(files).put("`");
            }
            out.end();
            return;
        }
        match (report.existed, report.created.is_empty()) {
            (false, _) => out.put("Set up mlv in `").name(folder).put("`.").end(),
            (true, false) => out.put("Completed mlv in `").name(folder).put("`.").end(),
            (true, true) => out.put("mlv is set up in `").name(folder).put("`; nothing was missing.").end(),
        };
        if !report.git_add.is_empty() {
            let below = |file: &String| match folder.as_str() {
                "." => shell::path(file),
                folder => shell::path(&Path::new(folder).join(file).display().to_string()),
            };
            let files: Vec<String> = report.git_add.iter().map(below).collect();
            out.hint(format!("git add {}", files.join(" ")));
        }
    }
}
