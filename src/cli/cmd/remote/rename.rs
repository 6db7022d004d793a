use std::time::Duration;

use crate::cli::args::{DryRun, LevelArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, git_error};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::shell;
use crate::ops::remote_rename::{self, RenameOptions};

/// Give a remote another name
///
/// Renames it with all its options at every level of this repository, makes the default follow, and
/// changes `remote:` in the pointers, pipelines and locks of the work tree that name it. Nothing is
/// contacted, and nothing is sent again: what this clone knows of the remote goes by its URL. With a
/// level only that configuration file is written: what to do for your own options after a colleague
/// renamed the remote. Old commits keep the old name.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote rename storage main", "everywhere in this repository"),
    ("mlv remote rename --local storage main", "only this clone's options, after `git pull` brought the new name"),
], &[3, 4, 6]))]
pub(super) struct RenameArgs {
    /// The remote
    old: String,
    /// What it is to be called
    new: String,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was renamed, and from where to look at it.
#[derive(serde::Serialize)]
pub(super) struct RenameReport {
    #[serde(flatten)]
    report: remote_rename::RenameReport,
    /// The project's settings, if they were changed and git tracks them.
    #[serde(skip)]
    settings: Option<String>,
    #[serde(skip)]
    view: Viewpoint,
}

pub(super) fn run(cx: &Context, args: RenameArgs) -> Result<RenameReport, CliError> {
    let RenameArgs { old, new, level, dry_run } = args;
    let options = RenameOptions { old, new, level: level.level(), dry_run: dry_run.dry_run };
    let mut report = remote_rename::run(&cx.around(), &options)?;
    for file in &mut report.files {
        *file = cx.shown(file);
    }
    let settings = cx.tracked_settings().filter(|file| report.files.contains(file));
    let view = cx.repo().map_or_else(|_| Viewpoint::at_root(), Viewpoint::of);
    Ok(RenameReport { report, settings, view })
}

impl Report for RenameReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        let RenameReport { report, settings, view } = self;
        let named_in = report.named_in.iter().map(|path| view.path(path));
        let files: Vec<String> = report.files.iter().cloned().chain(named_in).collect();
        out.put(if report.dry_run { "Would rename" } else { "Renamed" }).put(" remote `").name(&report.old);
        out.put("` to `").name(&report.name).put("` in `").name(files.join("`, `")).put("`.").end();
        if report.dry_run {
            return;
        }
        if !report.git.staged.is_empty() {
            out.put(format!("Handed to `git add`: {}", view.words(&report.git.staged))).end();
        }
        let mut words: Vec<String> = settings.iter().map(|file| shell::path(file)).collect();
        words.extend((!report.git.git_add.is_empty()).then(|| view.words(&report.git.git_add)));
        if !words.is_empty() {
            out.hint(format!("git add {}", words.join(" ")));
        }
    }

    fn error(&self) -> Option<CliError> {
        git_error(&self.report.git, Vec::new())
    }
}
