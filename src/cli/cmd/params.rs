use crate::cli::args::ExitCodeArgs;
use crate::cli::cmd::metrics::DiffReport;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::Viewpoint;
use crate::cli::render::values::sides;
use crate::cli::report::finish;
use crate::ops::values::{self, Kind, ValuesOptions};

/// Show what changed in parameters
#[derive(clap::Args)]
pub(crate) struct ParamsArgs {
    #[command(subcommand)]
    command: ParamsCommand,
}

#[derive(clap::Subcommand)]
enum ParamsCommand {
    Diff(DiffArgs),
}

impl ParamsArgs {
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            ParamsCommand::Diff(args) => finish(cx, diff(cx, args)),
        }
    }
}

/// Compare parameters of two states
///
/// Looks at the files that stages read parameters from, and `params.yaml` beside each pipeline.
/// Without revisions HEAD and the work tree; with one, that and the work tree; `A..B` or two, these;
/// `A...B` what B changed since it left A.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv params diff", "what changed since the last commit"),
    ("mlv params diff v1 v2 --md", "between two revisions, for a pull request"),
], &[1, 3, 4, 5]))]
struct DiffArgs {
    /// What to compare
    #[arg(value_name = "REVISION", num_args = 0..=2)]
    revisions: Vec<String>,
    /// Only these parameter files, or folders with some
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

fn diff(cx: &Context, args: DiffArgs) -> Result<DiffReport, CliError> {
    let repo = cx.repo()?;
    let sides = sides(&args.revisions);
    let options = ValuesOptions { revisions: args.revisions, targets: args.targets, all: args.all };
    Ok(DiffReport {
        diff: values::diff(repo, Kind::Params, &options)?,
        view: Viewpoint::of(repo),
        sides,
        noun: "Param",
        digits: None,
        is_markdown: args.md,
        tells_differences: args.exit_code.exit_code,
    })
}
