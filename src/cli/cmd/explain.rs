use std::time::Duration;

use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{NOT_DOWNLOADED_HINT, columns, reasons};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::explain::{self, Change, Explained};
use crate::ops::repro::Action;
use crate::ops::targets::TargetOptions;

/// Say why a stage would run, input by input
///
/// Shows what `mlv.lock` has of each input, what it is now, and what `mlv repro` would do: the same
/// plan as `mlv repro --dry-run`. It needs no data: of what is not downloaded the pointer or the lock tells.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv explain train", "why one stage would run"),
    ("mlv explain --json", "all stages, for scripts"),
], &[3, 4]))]
pub(crate) struct ExplainArgs {
    /// Stages, outputs of stages, pipeline files; all stages of the repository if none
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Read targets as patterns: `*`, `**`, `?`, `[a-z]`
    #[arg(long)]
    glob: bool,
}

/// The stages, explained.
#[derive(serde::Serialize)]
pub(crate) struct ExplainReport {
    stages: Vec<Explained>,
}

pub(crate) fn run(cx: &Context, args: ExplainArgs) -> Result<ExplainReport, CliError> {
    let options = TargetOptions { targets: args.targets, glob: args.glob, with_deps: false };
    Ok(ExplainReport { stages: explain::run(cx.repo()?, options, cx.reporter())? })
}

impl Report for ExplainReport {
    fn text(&self, out: &mut Text) {
        for stage in &self.stages {
            let verdict =
                if stage.is_frozen() { "frozen, whatever its inputs are" } else { verdict(stage.action) };
            out.name(&stage.stage).put(": ").put(verdict);
            let says_why = !matches!(stage.action, Action::Skipped | Action::NotDownloaded);
            if says_why && !stage.reasons.is_empty() {
                out.put(": ").put(reasons(&stage.reasons));
            }
            out.end();
            let rows: Vec<[String; 5]> = stage
                .inputs
                .iter()
                .map(|input| {
                    let name = input.name.clone();
                    let [old, new] = [&input.recorded, &input.current].map(shown);
                    [change(input.change).to_owned(), input.kind.to_owned(), name, old, new]
                })
                .collect();
            columns(&rows, out);
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.stages.is_empty() {
            out.put("There are no stages.").end();
        }
        if self.stages.iter().any(Explained::is_not_downloaded) {
            out.hint(NOT_DOWNLOADED_HINT);
        }
    }
}

fn verdict(action: Action) -> &'static str {
    match action {
        Action::WouldRun => "would run",
        Action::MayRun => "may run, by what comes out above it",
        Action::WouldRestore => "would bring its outputs back",
        Action::NotDownloaded => "as recorded, not downloaded",
        Action::Failed | Action::NotRun => "cannot run",
        _ => "up to date",
    }
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Same => "same",
        Change::Modified => "modified",
        Change::New => "new",
        Change::Gone => "gone",
        Change::Missing => "missing",
        Change::Unknown => "unknown",
    }
}

/// A value as a cell; of a hash its start.
fn shown(value: &Value) -> String {
    const MOST: usize = 40;
    let text = match value {
        Value::Null => return "-".to_owned(),
        Value::String(text) => match text.split_once(':') {
            Some((algorithm @ ("blake3" | "blake3-tree"), hash)) => format!("{algorithm}:{:.12}", hash),
            _ => text.clone(),
        },
        other => other.to_string(),
    };
    if text.chars().count() <= MOST {
        text
    } else {
        format!("{}…", text.chars().take(MOST).collect::<String>())
    }
}
