use std::time::Duration;

use serde_json::Value;

use crate::cli::args::{RemoteArgs, RevArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::ByteSize;
use crate::ops::ls::{self, LsOptions, Row};

/// List what is tracked, at any revision
///
/// Shows what pointers and locks name, whether it is here or not; of tracked folders only the lists of
/// files are fetched, and only those that are needed. What git tracks itself is listed by `git ls-tree`.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv ls", "what is tracked in the current folder"),
    ("mlv ls data/train --rev v1", "a tracked folder as it was at a tag"),
    ("mlv ls -R --size", "every file, with its size"),
    ("mlv ls -R --json", "for scripts: path, isout, isdir, isexec, size, hash"),
], &[3, 4, 5, 7]))]
pub(crate) struct LsArgs {
    /// A folder or file; the current folder if none
    #[arg(value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    rev: RevArgs,
    /// List every file below instead of the names in the folder
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Show sizes
    #[arg(long)]
    size: bool,
    /// Show hashes
    #[arg(long)]
    show_hash: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// The list, and how to show it.
#[derive(serde::Serialize)]
#[serde(transparent)]
pub(crate) struct LsReport {
    rows: Vec<Row>,
    #[serde(skip)]
    size: bool,
    #[serde(skip)]
    show_hash: bool,
    #[serde(skip)]
    failures: Vec<Failure>,
}

pub(crate) fn run(cx: &Context, args: LsArgs) -> Result<LsReport, CliError> {
    let options = LsOptions {
        path: args.path,
        rev: args.rev.rev,
        remote: args.remote.remote,
        recursive: args.recursive,
    };
    let report = ls::run(cx.repo()?, &options, cx.reporter())?;
    let failures = report.failed.iter().map(|(path, error)| Failure::at(path, error)).collect();
    Ok(LsReport { rows: report.rows, size: args.size, show_hash: args.show_hash, failures })
}

impl Report for LsReport {
    fn text(&self, out: &mut Text) {
        for row in &self.rows {
            if self.size {
                let size = row.size.map_or_else(|| "-".to_owned(), |size| ByteSize(size).to_string());
                out.put(format!("{size:>10}  "));
            }
            if self.show_hash {
                out.faint(format!("{:77}", row.hash.as_deref().unwrap_or("-"))).put("  ");
            }
            let slash = if row.isdir { "/" } else { "" };
            let path = format!("{}{slash}", row.path);
            match row.isdir {
                true => out.name(path).end(),
                false => out.put(path).end(),
            };
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.rows.is_empty() && self.failures.is_empty() {
            out.put("Nothing is tracked here.").end();
        }
    }

    fn json(&self) -> Value {
        serde_json::to_value(&self.rows).unwrap_or_default()
    }

    fn failures(&self) -> Vec<Failure> {
        self.failures.clone()
    }
}
