mod add;
mod list;

use crate::cli::context::Context;
use crate::cli::report::finish;

/// Add and list stages
#[derive(clap::Args)]
pub(crate) struct StageArgs {
    #[command(subcommand)]
    command: StageCommand,
}

#[derive(clap::Subcommand)]
enum StageCommand {
    Add(Box<add::AddArgs>),
    List(list::ListArgs),
}

impl StageArgs {
    /// Runs the subcommand and returns the process's exit code.
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            StageCommand::Add(args) => finish(cx, add::run(cx, *args)),
            StageCommand::List(args) => finish(cx, list::run(cx, args)),
        }
    }
}
