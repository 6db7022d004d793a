use crate::cli::cmd::metrics::{ComparisonArgs, DiffReport, ShowReport, ShowValuesArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::finish;
use crate::ops::values::Kind;

/// Show parameters, and what changed in them
#[derive(clap::Args)]
pub(crate) struct ParamsArgs {
    #[command(subcommand)]
    command: ParamsCommand,
}

#[derive(clap::Subcommand)]
enum ParamsCommand {
    Show(ShowArgs),
    Diff(DiffArgs),
}

impl ParamsArgs {
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            ParamsCommand::Show(args) => finish(cx, show(cx, args)),
            ParamsCommand::Diff(args) => finish(cx, diff(cx, args)),
        }
    }
}

/// Print parameters
///
/// Those in the files that stages read parameters from, and in `params.yaml` beside each pipeline: in
/// the work tree, and with `-a`, `-T` and `-A` those of commits.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv params show", "all of them"),
    ("mlv params show -T --json", "also those of each tag, for scripts"),
], &[3, 4, 5]))]
struct ShowArgs {
    #[command(flatten)]
    values: ShowValuesArgs,
}

fn show(cx: &Context, args: ShowArgs) -> Result<ShowReport, CliError> {
    args.values.run(cx, (Kind::Params, "Param"), None)
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
    ("mlv params diff --deps --no-path", "only what stages read, without the files"),
], &[1, 3, 4, 5]))]
struct DiffArgs {
    #[command(flatten)]
    comparison: ComparisonArgs,
    /// Only parameters that stages read, at each state those that its own stages do
    #[arg(long)]
    deps: bool,
}

fn diff(cx: &Context, args: DiffArgs) -> Result<DiffReport, CliError> {
    let kind = if args.deps { Kind::StageParams } else { Kind::Params };
    args.comparison.run(cx, (kind, "Param"), None)
}
