use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::ops::root::{self, RootReport};

/// Print the way from the current folder to the repository's root
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv root", "`../..` two folders below the root"),
    ("cd \"$(mlv root)\"", "go there"),
], &[3, 4]))]
pub(crate) struct RootArgs {}

pub(crate) fn run(cx: &Context, _args: &RootArgs) -> Result<RootReport, CliError> {
    Ok(root::run(cx.repo()?)?)
}

impl Report for RootReport {
    fn text(&self, out: &mut Text) {
        out.put(&self.relative).end();
    }
}
