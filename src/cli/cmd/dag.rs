use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, dag as render};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::dag::{self, Collapse, DagOptions};
use crate::ops::targets::TargetOptions;

/// Show which stages build on which
///
/// One line a stage, behind those that it builds on; pointers that stages read are there too.
/// With more than 50 of them all stages of one `foreach` or `matrix` are one line, but not in JSON.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv dag", "all stages"),
    ("mlv dag evaluate", "one stage and what it builds on"),
    ("mlv dag --outs model.bin", "outputs instead of stages"),
    ("mlv dag --md >> README.md", "a picture, for GitHub and GitLab"),
    ("mlv dag --dot | dot -Tsvg > dag.svg", "a picture, by Graphviz"),
], &[3, 4]))]
pub(crate) struct DagArgs {
    /// Stages, outputs, pointers: these and what they build on; all stages if none
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Also what builds on the targets, and all that is linked with that
    #[arg(long, requires = "targets")]
    full: bool,
    /// Show outputs instead of stages
    #[arg(long, short)]
    outs: bool,
    /// Print it in the language of Graphviz
    #[arg(long, conflicts_with_all = ["mermaid", "md"])]
    dot: bool,
    /// Print it in the language of Mermaid
    #[arg(long, conflicts_with = "md")]
    mermaid: bool,
    /// Print it in the language of Mermaid, as a block of Markdown
    #[arg(long)]
    md: bool,
    /// Show all stages of one `foreach` or `matrix` as one
    #[arg(long, visible_alias = "collapse-foreach-matrix", conflicts_with = "no_collapse")]
    collapse: bool,
    /// Show each stage, however many there are
    #[arg(long)]
    no_collapse: bool,
}

/// The graph, and how to show it.
#[derive(serde::Serialize)]
pub(crate) struct DagReport {
    #[serde(flatten)]
    report: dag::DagReport,
    #[serde(skip)]
    form: Form,
    #[serde(skip)]
    view: Viewpoint,
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Dot,
    Mermaid,
    Markdown,
}

pub(crate) fn run(cx: &Context, args: DagArgs) -> Result<DagReport, CliError> {
    let repo = cx.repo()?;
    let collapse = match (args.collapse, args.no_collapse || cx.ui().is_json()) {
        (true, _) => Collapse::Always,
        (_, true) => Collapse::Never,
        _ => Collapse::Large,
    };
    let form = match (args.dot, args.mermaid, args.md) {
        (true, ..) => Form::Dot,
        (_, true, _) => Form::Mermaid,
        (.., true) => Form::Markdown,
        _ => Form::Text,
    };
    let targets = TargetOptions { targets: args.targets, ..TargetOptions::default() };
    let options = DagOptions { targets, full: args.full, outs: args.outs, collapse };
    Ok(DagReport { report: dag::run(repo, &options)?, form, view: Viewpoint::of(repo) })
}

impl Report for DagReport {
    fn text(&self, out: &mut Text) {
        match self.form {
            Form::Text => render::text(&self.report, &self.view, out),
            Form::Dot => render::dot(&self.report, &self.view, out),
            Form::Mermaid => render::mermaid(&self.report, &self.view, false, out),
            Form::Markdown => render::mermaid(&self.report, &self.view, true, out),
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.report.nodes.is_empty() && self.report.failed.is_empty() {
            out.put("There are no stages.").end();
        }
        if self.report.is_collapsed {
            out.put("Groups of stages are shown as one; `--no-collapse` shows each.").end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}
