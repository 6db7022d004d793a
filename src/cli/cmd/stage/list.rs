use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, columns};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::stage_list::{self, ListedStage, StageListReport};
use crate::ops::targets::TargetOptions;

/// More paths than this are counted instead of listed.
const LISTED: usize = 4;

/// List stages, and what they are for
///
/// A stage without a description is told by what it makes.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv stage list", "all stages"),
    ("mlv stage list sub/mlv.yaml --name-only", "the names of those in one file"),
], &[3, 4]))]
pub(super) struct ListArgs {
    /// Stages, groups of stages, pipeline files, folders, outputs; all stages if none
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// All stages of the repository, as without targets
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Take all stages below a target that is a folder, as without this
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Print names only
    #[arg(long, visible_alias = "names-only")]
    name_only: bool,
    /// List nothing if a file cannot be read
    #[arg(long)]
    fail: bool,
}

/// The stages, and how to show them.
#[derive(serde::Serialize)]
pub(super) struct ListReport {
    #[serde(flatten)]
    report: StageListReport,
    #[serde(skip)]
    name_only: bool,
    #[serde(skip)]
    view: Viewpoint,
}

pub(super) fn run(cx: &Context, args: ListArgs) -> Result<ListReport, CliError> {
    let repo = cx.repo()?;
    let targets = TargetOptions { targets: args.targets, ..TargetOptions::default() };
    let report = stage_list::run(repo, &targets, args.fail)?;
    Ok(ListReport { report, name_only: args.name_only, view: Viewpoint::of(repo) })
}

impl Report for ListReport {
    fn text(&self, out: &mut Text) {
        if self.name_only {
            for stage in &self.report.stages {
                out.put(&stage.name).end();
            }
            return;
        }
        let row = |stage: &ListedStage| [stage.name.clone(), description(stage, &self.view)];
        columns(&self.report.stages.iter().map(row).collect::<Vec<_>>(), out);
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.report.stages.is_empty() && self.report.failed.is_empty() {
            out.put("There are no stages.").end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}

/// The first line of what people wrote, else what the stage makes or reads, in DVC's words.
fn description(stage: &ListedStage, view: &Viewpoint) -> String {
    let frozen = if stage.frozen { " (frozen)" } else { "" };
    if let Some(line) = stage.desc.as_ref().and_then(|desc| desc.lines().next()) {
        return format!("{line}{frozen}");
    }
    let paths = |paths: &[String]| {
        let shown: Vec<String> = paths.iter().take(LISTED).map(|path| view.path(path)).collect();
        let more = paths.len().saturating_sub(LISTED);
        shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
    };
    let reports: Vec<String> = stage.metrics.iter().chain(&stage.plots).cloned().collect();
    let parts = [("Outputs", &stage.outs), ("Reports", &reports)];
    let mut parts: Vec<String> = parts
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(word, list)| format!("{word} {}", paths(list)))
        .collect();
    if parts.is_empty() && !stage.deps.is_empty() {
        parts.push(format!("Depends on {}", paths(&stage.deps)));
    }
    parts.join("; ") + frozen
}
