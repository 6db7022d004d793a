use std::time::Duration;

use crate::cli::args::{DryRun, LevelArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::ops::cache_dir::{self, CacheDirAction, CacheDirOptions, CacheDirReport};

/// Show and change where data is kept on this machine
#[derive(clap::Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(clap::Subcommand)]
enum CacheCommand {
    Dir(CacheDirArgs),
}

impl CacheArgs {
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            CacheCommand::Dir(args) => finish(cx, dir(cx, args)),
        }
    }
}

/// Print or set the folder of the cache
///
/// Data that is in the old folder stays there. A folder outside of the repository has to be set
/// with --local or --global: what is tracked by git may not lead out of it.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv cache dir", "where the cache is"),
    ("mlv cache dir --local /data/mlv-cache", "keep the data of this clone on another disk"),
    ("mlv cache dir -u --local", "back to the default"),
], &[3, 4, 6]))]
struct CacheDirArgs {
    /// The new folder, relative to the current one
    #[arg(value_name = "DIR", conflicts_with = "unset")]
    folder: Option<String>,
    /// Go back to the default
    #[arg(long, short)]
    unset: bool,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

fn dir(cx: &Context, args: CacheDirArgs) -> Result<CacheDirReport, CliError> {
    cx.repo()?;
    let action = match args.folder {
        Some(folder) => CacheDirAction::Set(folder),
        None if args.unset => CacheDirAction::Unset,
        None => CacheDirAction::Show,
    };
    let options = CacheDirOptions { action, level: args.level.level(), dry_run: args.dry_run.dry_run };
    let mut report = cache_dir::run(&cx.around(), &options)?;
    report.file = report.file.map(|file| cx.shown(&file));
    Ok(report)
}

impl Report for CacheDirReport {
    fn text(&self, out: &mut Text) {
        if self.file.is_none() {
            out.put(&self.dir).end();
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        let Some(file) = &self.file else { return };
        out.put(if self.dry_run { "The cache would be `" } else { "The cache is `" });
        out.name(&self.dir).put("` by `").name(file).put("`. Data was not moved.").end();
    }
}
