use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::Text;

/// Print the way from the current folder to the repository's root
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv root", "`../..` two folders below the root"),
    ("cd \"$(mlv root)\"", "go there"),
], &[3]))]
pub(crate) struct RootArgs {}

/// Where the root is.
#[derive(serde::Serialize)]
pub(crate) struct RootReport {
    /// Relative to the current folder: `.`, `../..`.
    root: String,
    /// The absolute path.
    path: String,
}

pub(crate) fn run(cx: &Context, _args: &RootArgs) -> Result<RootReport, CliError> {
    let repo = cx.repo()?;
    let up = vec![".."; repo.prefix().components().count()];
    let root = if up.is_empty() { ".".to_owned() } else { up.join("/") };
    Ok(RootReport { root, path: repo.root().display().to_string() })
}

impl Report for RootReport {
    fn text(&self, out: &mut Text) {
        out.put(&self.root).end();
    }
}
