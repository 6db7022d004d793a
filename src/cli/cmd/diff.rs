use std::time::Duration;

use serde_json::Value;

use crate::cli::args::ExitCodeArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, thousands};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::diff::{self, DiffOptions, Row, RowHash, RowPath};
use crate::ops::targets::TargetOptions;

/// Show which files differ between two states of the data
///
/// Without revisions HEAD and the work tree; with one, that and the work tree; `A..B` or two, these;
/// `A...B` what B changed since it left A. Needs only lists of files, not the data.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv diff", "what changed since the last commit"),
    ("mlv diff main --targets data/train", "in one output, since `main`"),
    ("mlv diff v1..v2 --summary", "how many files"),
], &[1, 2, 3, 4, 5]))]
pub(crate) struct DiffArgs {
    /// What to compare
    #[arg(value_name = "REVISION", num_args = 0..=2)]
    revisions: Vec<String>,
    /// Only these outputs, or paths inside of them
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    targets: Vec<String>,
    /// Show hashes
    #[arg(long)]
    show_hash: bool,
    /// Show only counts
    #[arg(long)]
    summary: bool,
    /// Print only the paths that differ
    #[arg(long, conflicts_with = "summary")]
    name_only: bool,
    /// Print a table in Markdown
    #[arg(long, conflicts_with_all = ["summary", "name_only"])]
    md: bool,
    #[command(flatten)]
    exit_code: ExitCodeArgs,
}

/// What to print of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Counts,
    Names,
    Markdown,
}

/// What differs, and how to show it.
#[derive(serde::Serialize)]
pub(crate) struct DiffReport {
    #[serde(flatten)]
    report: diff::DiffReport,
    #[serde(skip)]
    view: Viewpoint,
    #[serde(skip)]
    form: Form,
    #[serde(skip)]
    tells_differences: bool,
}

pub(crate) fn run(cx: &Context, args: DiffArgs) -> Result<DiffReport, CliError> {
    let repo = cx.repo()?;
    let form = match (args.summary, args.name_only, args.md) {
        (true, _, _) => Form::Counts,
        (_, true, _) => Form::Names,
        (_, _, true) => Form::Markdown,
        _ => Form::List,
    };
    let options = DiffOptions {
        revisions: args.revisions,
        targets: TargetOptions { targets: args.targets, ..TargetOptions::default() },
        show_hash: args.show_hash,
    };
    let report = diff::run(repo, &options, cx.reporter())?;
    let tells_differences = args.exit_code.exit_code;
    Ok(DiffReport { report, view: Viewpoint::of(repo), form, tells_differences })
}

impl DiffReport {
    fn groups(&self) -> [(&'static str, &[Row]); 5] {
        let report = &self.report;
        [
            ("Added", &report.added),
            ("Deleted", &report.deleted),
            ("Renamed", &report.renamed),
            ("Modified", &report.modified),
            ("Not in cache", &report.not_in_cache),
        ]
    }

    fn path(&self, row: &Row) -> String {
        match &row.path {
            RowPath::One(path) => self.view.path(path),
            RowPath::Two { old, new } => format!("{} -> {}", self.view.path(old), self.view.path(new)),
        }
    }

    fn list(&self, out: &mut Text) {
        for (title, rows) in self.groups().into_iter().filter(|(_, rows)| !rows.is_empty()) {
            out.strong(title).put(":").end();
            for row in rows {
                out.put("    ");
                if let Some(hash) = &row.hash {
                    out.faint(short(hash)).put("  ");
                }
                out.name(self.path(row)).end();
            }
            out.end();
        }
    }

    fn counts(&self, out: &mut Text) {
        let counts: Vec<String> = self
            .groups()
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(title, rows)| format!("{} {}", thousands(rows.len() as u64), title.to_lowercase()))
            .collect();
        out.put("files summary: ").put(counts.join(", ")).end();
    }

    fn markdown(&self, out: &mut Text) {
        out.put("| Status | Path |").end().put("|--------|------|").end();
        for (title, rows) in self.groups() {
            for row in rows {
                out.put(format!("| {} | {} |", title.to_lowercase(), self.path(row).replace('|', "\\|")))
                    .end();
            }
        }
    }
}

fn short(hash: &RowHash) -> String {
    let digits = |text: &str| text.rsplit(':').next().unwrap_or_default().chars().take(8).collect::<String>();
    match hash {
        RowHash::One(one) => digits(one),
        RowHash::Two { old, new } => format!("{}..{}", digits(old), digits(new)),
    }
}

impl Report for DiffReport {
    fn text(&self, out: &mut Text) {
        if self.report.is_empty() {
            return;
        }
        match self.form {
            Form::List => {
                self.list(out);
                self.counts(out);
            }
            Form::Counts => self.counts(out),
            Form::Names => {
                for row in self.groups().into_iter().flat_map(|(_, rows)| rows) {
                    out.put(self.path(row)).end();
                }
            }
            Form::Markdown => self.markdown(out),
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.report.is_empty() {
            out.put("No differences.").end();
        }
    }

    // DVC's form: an empty document where nothing differs, else every list.
    fn json(&self) -> Value {
        if self.report.is_empty() {
            return Value::Object(serde_json::Map::new());
        }
        serde_json::to_value(self).expect("reports have text keys and finite numbers")
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.tells_differences && !self.report.is_empty())
    }
}
