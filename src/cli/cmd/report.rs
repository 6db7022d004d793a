use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::report as render;
use crate::cli::render::values::sides;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::error::{Advice, ErrorKind};
use crate::model::path::RepoPath;
use crate::ops::report::{self, ProjectReport};

/// Sum up what changed, for a pull request
///
/// Metrics with their differences, parameters, how much of each output changed, and what became of
/// the stages: run, restored, skipped (as the older side has them) or stale (`mlv repro` would run
/// them). Without revisions HEAD and the work tree; with one, that and the work tree; `A..B` or two,
/// these; `A...B` what B changed since it left A. It needs no data: what is not here is named.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv report", "what was done since the last commit"),
    ("mlv report origin/main --md > report.md", "since `main`, as a page of at most 60,000 bytes"),
    ("mlv report main...feature --json", "what a branch changed, for scripts"),
], &[3, 4, 5]))]
pub(crate) struct ReportArgs {
    /// What to compare
    #[arg(value_name = "REVISION", num_args = 0..=2)]
    revisions: Vec<String>,
    /// Print it in Markdown, at most 60,000 bytes: forges refuse longer comments
    #[arg(long)]
    md: bool,
}

/// The page, and how to show it.
pub(crate) struct PageReport {
    page: render::Page,
    is_markdown: bool,
}

pub(crate) fn run(cx: &Context, args: ReportArgs) -> Result<PageReport, CliError> {
    let repo = cx.repo()?;
    let report = report::run(repo, &args.revisions, cx.reporter())?;
    let view = cx.viewpoint();
    let page = render::Page { report, view, sides: sides(&args.revisions), revisions: args.revisions };
    Ok(PageReport { page, is_markdown: args.md })
}

impl serde::Serialize for PageReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ProjectReport { metrics, params, data, stages, .. } = &self.page.report;
        let changes = |diff: &crate::ops::values::ValuesDiff| {
            let files = diff.changes.iter().map(|(file, keys)| (file.to_string(), json!(keys)));
            Value::Object(files.collect())
        };
        let absent: Vec<&str> = self.page.not_downloaded().map(RepoPath::as_str).collect();
        let [old, new] = &self.page.sides;
        json!({
            "old": old,
            "new": new,
            "metrics": changes(metrics),
            "params": changes(params),
            "data": data,
            "stages": stages,
            "not_downloaded": absent,
        })
        .serialize(serializer)
    }
}

impl Report for PageReport {
    fn text(&self, out: &mut Text) {
        if self.is_markdown {
            self.page.markdown(out);
        } else {
            self.page.text(out);
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if !self.is_markdown && self.page.is_empty() {
            out.put("No differences.").end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        // What is not downloaded is told in the page: nobody has to have the data.
        let failed =
            self.page.report.failed.iter().filter(|(_, error)| error.kind() != ErrorKind::NotDownloaded);
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}
