use crate::cli::args::{RemoteArgs, RevArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::RawData;
use crate::ops::cat::{self, CatOptions, CatReport};

/// Print a tracked file, or a part of it
///
/// At any revision, without a checkout and in a clone that has pulled nothing: from the cache, or from
/// the remote only the pieces that hold what is asked for. With `--json`, what the file is, and no bytes.
/// Bytes from the cache are checked first; from a remote each piece is checked when it comes, and the
/// file as a whole when all of it is read: exit code 5 says that what came before is not to be used.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv cat data/train.csv | head", "as pointers and locks name it now"),
    ("mlv cat data/train.csv --rev v1 > old.csv", "as it was at a tag"),
    ("mlv cat model.bin --offset 1048576 --length 4096", "4 KiB from the middle"),
    ("mlv cat table.parquet --offset -8", "the last 8 bytes"),
], &[3, 4, 5, 7]))]
pub(crate) struct CatArgs {
    /// The file
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    rev: RevArgs,
    /// Begin at this byte; below zero, so many bytes before the end
    #[arg(long, value_name = "BYTES", default_value_t = 0, allow_negative_numbers = true)]
    offset: i64,
    /// At most so many bytes
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl Report for CatReport {}

pub(crate) fn run(cx: &Context, args: CatArgs) -> Result<CatReport, CliError> {
    let options = CatOptions {
        path: args.path,
        rev: args.rev.rev,
        remote: args.remote.remote,
        offset: args.offset,
        length: args.length,
    };
    let repo = cx.repo()?;
    if cx.ui().is_json() {
        return Ok(cat::run(repo, &options, None, cx.reporter())?);
    }
    let mut out = RawData::default();
    match cat::run(repo, &options, Some(&mut out), cx.reporter()) {
        // Nobody reads on, so nothing is missing.
        Err(_) if out.is_closed => Ok(cat::run(repo, &options, None, cx.reporter())?),
        other => Ok(other?),
    }
}
