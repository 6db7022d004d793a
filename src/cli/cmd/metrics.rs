use serde_json::{Value as Json, json};

use crate::cli::args::ExitCodeArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::values::{Table, sides};
use crate::cli::render::{Viewpoint, columns};
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::model::value::Value;
use crate::ops::values::{self, Kind, ValuesDiff, ValuesOptions, ValuesShown, rounded};

/// Show metrics, and what changed in them
#[derive(clap::Args)]
pub(crate) struct MetricsArgs {
    #[command(subcommand)]
    command: MetricsCommand,
}

#[derive(clap::Subcommand)]
enum MetricsCommand {
    Show(ShowArgs),
    Diff(DiffArgs),
}

impl MetricsArgs {
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            MetricsCommand::Show(args) => finish(cx, show(cx, args)),
            MetricsCommand::Diff(args) => finish(cx, diff(cx, args)),
        }
    }
}

/// Print the metrics in the work tree
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv metrics show", "all of them"),
    ("mlv metrics show eval/metrics.json", "those of one file"),
], &[3, 4]))]
struct ShowArgs {
    /// Metrics files, or folders with some
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Significant digits of fractions
    #[arg(long, value_name = "N", default_value_t = 5)]
    precision: usize,
}

/// Compare metrics of two states
///
/// Without revisions HEAD and the work tree; with one, that and the work tree; `A..B` or two, these;
/// `A...B` what B changed since it left A. Metrics that mlv keeps are read from the cache.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv metrics diff", "what the last run changed since the last commit"),
    ("mlv metrics diff main --md", "since `main`, for a pull request"),
    ("mlv metrics diff v1 v2 --json", "of two revisions, for scripts"),
], &[1, 3, 4, 5]))]
struct DiffArgs {
    #[command(flatten)]
    comparison: ComparisonArgs,
    /// Significant digits of fractions
    #[arg(long, value_name = "N", default_value_t = 5)]
    precision: usize,
}

/// Which values to compare, and how to show what differs.
#[derive(clap::Args)]
pub(crate) struct ComparisonArgs {
    /// What to compare
    #[arg(value_name = "REVISION", num_args = 0..=2)]
    revisions: Vec<String>,
    /// Only these files, or folders with some
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    targets: Vec<String>,
    /// Show values that did not change, too
    #[arg(long)]
    all: bool,
    /// Print a table in Markdown
    #[arg(long)]
    md: bool,
    #[command(flatten)]
    exit_code: ExitCodeArgs,
}

/// What changed, and how to show it.
pub(crate) struct DiffReport {
    diff: ValuesDiff,
    view: Viewpoint,
    sides: [String; 2],
    noun: &'static str,
    digits: Option<usize>,
    is_markdown: bool,
    tells_differences: bool,
}

fn diff(cx: &Context, args: DiffArgs) -> Result<DiffReport, CliError> {
    args.comparison.run(cx, (Kind::Metrics, "Metric"), Some(args.precision))
}

impl ComparisonArgs {
    /// Compares; `noun` heads the column of names, fractions have `digits` significant ones.
    pub(crate) fn run(
        self,
        cx: &Context,
        (kind, noun): (Kind, &'static str),
        digits: Option<usize>,
    ) -> Result<DiffReport, CliError> {
        let repo = cx.repo()?;
        let sides = sides(&self.revisions);
        let options = ValuesOptions { revisions: self.revisions, targets: self.targets, all: self.all };
        Ok(DiffReport {
            diff: values::diff(repo, kind, &options)?,
            view: Viewpoint::of(repo),
            sides,
            noun,
            digits,
            is_markdown: self.md,
            tells_differences: self.exit_code.exit_code,
        })
    }
}

impl serde::Serialize for DiffReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let files = self.diff.changes.iter().map(|(file, keys)| (file.as_str(), keys));
        serializer.collect_map(files)
    }
}

impl Report for DiffReport {
    fn text(&self, out: &mut Text) {
        let show = |value: &Value| match self.digits {
            Some(digits) => rounded(value, digits),
            None => value.to_string(),
        };
        let has_diff = self.digits.is_some();
        let table = Table { noun: self.noun, sides: self.sides.clone(), show: &show, has_diff };
        if self.is_markdown {
            table.markdown(&self.diff.changes, &self.view, out);
        } else {
            table.text(&self.diff.changes, &self.view, out);
        }
    }

    fn summary(&self, _took: std::time::Duration, out: &mut Text) {
        if self.diff.changes.is_empty() && self.diff.failed.is_empty() {
            out.put("No differences.").end();
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.tells_differences && !self.diff.changes.is_empty())
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.diff.failed.iter();
        failed.map(|(path, error)| Failure::of(self.view.path(path.as_str()), error)).collect()
    }
}

/// What the files hold, and how to show it.
struct ShowReport {
    shown: ValuesShown,
    view: Viewpoint,
    digits: usize,
}

fn show(cx: &Context, args: ShowArgs) -> Result<ShowReport, CliError> {
    let repo = cx.repo()?;
    let options = ValuesOptions { targets: args.targets, ..ValuesOptions::default() };
    let shown = values::show(repo, Kind::Metrics, &options)?;
    Ok(ShowReport { shown, view: Viewpoint::of(repo), digits: args.precision })
}

impl serde::Serialize for ShowReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // DVC's form: the work tree is the revision without a name.
        let files = self.shown.values.iter();
        let files: serde_json::Map<String, Json> =
            files.map(|(file, values)| (file.to_string(), json!({ "data": values }))).collect();
        json!({ "": { "data": files } }).serialize(serializer)
    }
}

impl Report for ShowReport {
    fn text(&self, out: &mut Text) {
        let mut rows = vec![["Path".to_owned(), "Metric".to_owned(), "Value".to_owned()]];
        for (file, values) in &self.shown.values {
            for (key, value) in values.flatten() {
                rows.push([self.view.path(file.as_str()), key, rounded(value, self.digits)]);
            }
        }
        if rows.len() > 1 {
            columns(&rows, out);
        }
    }

    fn summary(&self, _took: std::time::Duration, out: &mut Text) {
        if self.shown.values.is_empty() && self.shown.failed.is_empty() {
            out.put("There are no metrics.").end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.shown.failed.iter();
        failed.map(|(path, error)| Failure::of(self.view.path(path.as_str()), error)).collect()
    }
}
