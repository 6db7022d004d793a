use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::escape::visible;
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::logs::{self, LogsOptions};
use crate::ops::targets::TargetOptions;

/// Show what the last run of a stage printed
///
/// mlv keeps the output of the last run of each stage on this machine, also of one that failed:
/// up to 64 MiB in a file of its own, which `--json` names.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv logs train", "all of it"),
    ("mlv logs train --lines 20", "the end of it"),
], &[3, 4, 5]))]
pub(crate) struct LogsArgs {
    /// Stages, groups of stages, outputs of stages
    #[arg(value_name = "STAGE", required = true)]
    stages: Vec<String>,
    /// Only the last N lines
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<usize>,
}

/// What was printed.
#[derive(serde::Serialize)]
pub(crate) struct LogsReport(logs::LogsReport);

pub(crate) fn run(cx: &Context, args: LogsArgs) -> Result<LogsReport, CliError> {
    let targets = TargetOptions { targets: args.stages, glob: false, with_deps: false };
    Ok(LogsReport(logs::run(cx.repo()?, &LogsOptions { targets, last: args.lines })?))
}

impl Report for LogsReport {
    fn text(&self, out: &mut Text) {
        let several = self.0.stages.len() + self.0.failed.len() > 1;
        for stage in &self.0.stages {
            for line in &stage.lines {
                if several {
                    out.name(&stage.stage).put(" | ");
                }
                out.put(visible(line).replace('\t', "    ")).end();
            }
        }
    }

    fn failures(&self) -> Vec<Failure> {
        self.0.failed.iter().map(|(stage, error)| Failure::of(stage, error)).collect()
    }

    fn error(&self) -> Option<CliError> {
        match &self.0.failed[..] {
            [] => None,
            [(_, error)] => Some(CliError::of(error).with_failures(self.failures())),
            _ => Some(CliError::several(self.failures())),
        }
    }
}
