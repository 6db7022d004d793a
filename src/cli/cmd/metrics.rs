use serde_json::json;

use crate::cli::args::{ExitCodeArgs, ScopeArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::values::{Table, markdown, sides};
use crate::cli::render::{Viewpoint, columns};
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::model::value::Value;
use crate::model::values::ValuesByFile;
use crate::ops::values::{self, Kind, ValuesAt, ValuesDiff, ValuesOptions, ValuesShown, rounded};

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

/// Print metrics
///
/// Those in the work tree, and with `-a`, `-T` and `-A` those of commits. Metrics that mlv keeps are read
/// from the cache.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv metrics show", "all of them"),
    ("mlv metrics show eval/metrics.json", "those of one file"),
    ("mlv metrics show -a --md", "also those of each branch, as a table in Markdown"),
], &[3, 4, 5]))]
struct ShowArgs {
    #[command(flatten)]
    values: ShowValuesArgs,
    /// Significant digits of fractions
    #[arg(long, value_name = "N", default_value_t = 5)]
    precision: usize,
}

/// Which values to show, and how.
#[derive(clap::Args)]
pub(crate) struct ShowValuesArgs {
    /// Files, or folders with some
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Take all files below a target that is a folder, as without this
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Print a table in Markdown
    #[arg(long)]
    md: bool,
}

/// Compare metrics of two states
///
/// Without revisions HEAD and the work tree; with one, that and the work tree; `A..B` or two, these;
/// `A...B` what B changed since it left A. Metrics that mlv keeps are read from the cache.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv metrics diff", "what the last run changed since the last commit"),
    ("mlv metrics diff main --md --no-path", "since `main`, for a pull request, without the files"),
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
    /// Leave out the column of files; in JSON they stay
    #[arg(long)]
    no_path: bool,
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
    has_path: bool,
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
        let options = ValuesOptions {
            revisions: self.revisions,
            targets: self.targets,
            all: self.all,
            ..ValuesOptions::default()
        };
        Ok(DiffReport {
            diff: values::diff(repo, kind, &options)?,
            view: Viewpoint::of(repo),
            sides,
            noun,
            digits,
            has_path: !self.no_path,
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
        let sides = self.sides.clone();
        let table = Table { noun: self.noun, sides, show: &show, has_path: self.has_path, has_diff };
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
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}

/// What the files hold, and how to show it.
pub(crate) struct ShowReport {
    shown: ValuesShown,
    view: Viewpoint,
    noun: &'static str,
    digits: Option<usize>,
    is_markdown: bool,
}

fn show(cx: &Context, args: ShowArgs) -> Result<ShowReport, CliError> {
    args.values.run(cx, (Kind::Metrics, "Metric"), Some(args.precision))
}

impl ShowValuesArgs {
    /// Reads the files; `noun` heads the column of names, fractions have `digits` significant ones.
    pub(crate) fn run(
        self,
        cx: &Context,
        (kind, noun): (Kind, &'static str),
        digits: Option<usize>,
    ) -> Result<ShowReport, CliError> {
        let repo = cx.repo()?;
        let scope = self.scope.scope();
        let options = ValuesOptions { targets: self.targets, scope, ..ValuesOptions::default() };
        let shown = values::show(repo, kind, &options, cx.reporter())?;
        Ok(ShowReport { shown, view: Viewpoint::of(repo), noun, digits, is_markdown: self.md })
    }
}

impl ShowReport {
    /// The states with what they are called: the work tree has no name where it is alone.
    fn states(&self, of_commit: fn(&ValuesAt) -> String) -> impl Iterator<Item = (String, &ValuesByFile)> {
        let here = if self.shown.commits.is_empty() { "" } else { "workspace" };
        let commits = self.shown.commits.iter().map(move |at| (name_of(at, of_commit), &at.values));
        std::iter::once((here.to_owned(), &self.shown.here)).chain(commits)
    }

    fn rows(&self) -> Vec<[String; 4]> {
        let mut rows = Vec::new();
        for (state, files) in self.states(|at| at.commit.short()) {
            for (file, values) in files {
                for (key, value) in values.flatten() {
                    let value = match self.digits {
                        Some(digits) => rounded(value, digits),
                        None => value.to_string(),
                    };
                    rows.push([state.clone(), self.view.path(file.as_str()), key, value]);
                }
            }
        }
        rows
    }
}

/// The names that lead to a commit, as DVC joins them, or what it is called itself.
fn name_of(at: &ValuesAt, of_commit: fn(&ValuesAt) -> String) -> String {
    if at.names.is_empty() { of_commit(at) } else { at.names.join(",") }
}

impl serde::Serialize for ShowReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // DVC's form.
        let states = self.states(|at| at.commit.to_string()).map(|(state, files)| {
            let files = files.iter().map(|(file, values)| (file.to_string(), json!({ "data": values })));
            (state, json!({ "data": files.collect::<serde_json::Map<_, _>>() }))
        });
        serializer.collect_map(states)
    }
}

impl Report for ShowReport {
    fn text(&self, out: &mut Text) {
        let rows = self.rows();
        if rows.is_empty() {
            return;
        }
        let head = ["Revision", "Path", self.noun, "Value"].map(str::to_owned);
        let rows: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
        let is_one = self.shown.commits.is_empty();
        match (self.is_markdown, is_one) {
            (true, _) => markdown(rows.iter().map(|row| &row[usize::from(is_one)..]), out),
            (false, false) => columns(&rows, out),
            (false, true) => {
                let rows: Vec<[String; 3]> = rows.into_iter().map(|[_, a, b, c]| [a, b, c]).collect();
                columns(&rows, out);
            }
        }
    }

    fn summary(&self, _took: std::time::Duration, out: &mut Text) {
        if self.shown.failed.is_empty() && self.states(|_| String::new()).all(|(_, files)| files.is_empty()) {
            out.put(format!("There are no {}s.", self.noun.to_lowercase())).end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.shown.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}
