use std::time::Duration;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, git_error, git_files};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::install;

/// Have git run mlv to merge pointers and locks in this clone
///
/// Sets `merge.mlv.driver` in git's configuration of this clone, and writes the lines of `.gitattributes`
/// that say for which files. git runs nothing that came with a repository, so each clone has to be told
/// once; `mlv init` does it where the project was made. What stands there already stays.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv install", "once in each clone"),
    ("mlv install --dry-run", "what it would change"),
], &[3, 4, 6]))]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was set up, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct InstallReport {
    #[serde(flatten)]
    report: install::InstallReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: &InstallArgs) -> Result<InstallReport, CliError> {
    let repo = cx.repo()?;
    let report = install::run(repo, args.dry_run.dry_run, cx.reporter())?;
    Ok(InstallReport { report, view: Viewpoint::of(repo) })
}

impl Report for InstallReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let InstallReport { report, view } = self;
        match (&report.other_driver, report.registered) {
            (Some(command), _) => out
                .put("git runs another command to merge pointers and locks, which stays: ")
                .put(command)
                .end(),
            (None, true) if report.dry_run => out.put("git would run mlv to merge pointers and locks.").end(),
            (None, true) => out.put("git runs mlv to merge pointers and locks in this clone now.").end(),
            (None, false) => out.put("git runs mlv to merge pointers and locks already.").end(),
        };
        for file in &report.written {
            let verb = if report.dry_run { "Would write" } else { "Wrote" };
            out.put(verb).put(" `").name(view.path(file)).put("`").end();
        }
        git_files(&report.git, view, out);
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, Vec::new())
    }
}
