use std::time::Duration;

use serde_json::Value;

use crate::cli::args::ExitCodeArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, columns, thousands};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::ByteSize;
use crate::ops::compare::ChangeCounts;
use crate::ops::diff::{self, DiffOptions, OutputStat, Row, RowHash, RowPath};
use crate::ops::targets::TargetOptions;

/// Show which files differ between two states of the data
///
/// Without revisions HEAD and the work tree; with one, that and the work tree; `A..B` or two, these;
/// `A...B` what B changed since it left A. Needs only lists of files, not the data.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv diff", "what changed since the last commit"),
    ("mlv diff main --targets data/train", "in one output, since `main`"),
    ("mlv diff v1..v2 --stat", "how many files and bytes, by output"),
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
    /// Show how many files and bytes differ, output by output
    #[arg(long)]
    stat: bool,
    /// Show only counts
    #[arg(long, conflicts_with = "stat")]
    summary: bool,
    /// Print only the paths that differ
    #[arg(long, conflicts_with_all = ["stat", "summary"])]
    name_only: bool,
    /// Print a table in Markdown
    #[arg(long, conflicts_with_all = ["stat", "summary", "name_only"])]
    md: bool,
    /// Leave out what is neither here nor in the cache
    #[arg(long)]
    hide_missing: bool,
    #[command(flatten)]
    exit_code: ExitCodeArgs,
}

/// What to print of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Stat,
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
        _ if args.stat => Form::Stat,
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
    let mut report = diff::run(repo, &options, cx.reporter())?;
    if args.hide_missing {
        report.not_in_cache.clear();
    }
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

    fn stat(&self, out: &mut Text) {
        let row = |output: &OutputStat| [self.view.path(&output.path), entries(output), bytes(output)];
        columns(&self.report.outputs.iter().map(row).collect::<Vec<_>>(), out);
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

/// `2 added, 1 modified`.
fn entries(output: &OutputStat) -> String {
    let ChangeCounts { added, modified, deleted, renamed } = output.entries;
    let counts = [(added, "added"), (modified, "modified"), (deleted, "deleted"), (renamed, "renamed")];
    let told = counts.iter().filter(|(number, _)| *number > 0);
    told.map(|(number, what)| format!("{} {what}", thousands(*number))).collect::<Vec<_>>().join(", ")
}

/// `+1.2 MiB -3 B`.
fn bytes(output: &OutputStat) -> String {
    let (more, less) = (ByteSize(output.bytes_in), ByteSize(output.bytes_out));
    match (output.bytes_in, output.bytes_out) {
        (0, 0) => "0 B".to_owned(),
        (_, 0) => format!("+{more}"),
        (0, _) => format!("-{less}"),
        _ => format!("+{more} -{less}"),
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
            Form::Stat => {
                self.stat(out);
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
        if self.report.is_empty() && self.report.failed.is_empty() {
            out.put("No differences.").end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }

    // DVC's form: an empty document where nothing differs, else every list.
    fn json(&self) -> Value {
        if self.report.is_empty() {
            return Value::Object(serde_json::Map::new());
        }
        let expected = "reports have text keys and finite numbers";
        let mut document = serde_json::to_value(self).expect(expected);
        if self.form == Form::Stat {
            document["stat"] = serde_json::to_value(&self.report.outputs).expect(expected);
        }
        document
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.tells_differences && !self.report.is_empty())
    }
}
