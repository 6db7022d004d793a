use std::time::Duration;

use crate::cli::args::{DryRun, IncludeOutputsArgs, JobsArgs, RemoteArgs, ScopeArgs, TargetArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::push::{self, PushOptions, PushReport};
use crate::ops::share::gather::Selection;

/// Upload tracked data to a remote
///
/// Sends only what the remote lacks, and verifies: when it succeeds, another clone can fetch
/// everything. Safe to interrupt and to repeat: what has arrived is not sent again.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv push", "everything that pointers and locks name"),
    ("mlv push data -r backup", "one output, to another remote"),
    ("mlv push -a -T", "what branches and tags name, too"),
    ("mlv push --dry-run", "how much that would be"),
], &[3, 4, 5, 7]))]
pub(crate) struct PushArgs {
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    include: IncludeOutputsArgs,
    /// Begin anew where this clone knows a remote that is gone
    #[arg(long)]
    create: bool,
    /// Leave out what tells others which inputs the outputs of stages were made from
    #[arg(long)]
    no_run_cache: bool,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(cx: &Context, args: PushArgs) -> Result<PushReport, CliError> {
    let options = PushOptions {
        selection: Selection { targets: args.targets.into_options(), scope: args.scope.scope() },
        remote: args.remote.remote,
        filter: args.include.into_options(),
        create: args.create,
        no_run_cache: args.no_run_cache,
        dry_run: args.dry_run.dry_run,
        renew: false,
    };
    Ok(push::run(cx.repo_with(args.jobs.number())?, &options, cx.reporter())?)
}

impl Report for PushReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        for to in &self.remotes {
            match &to.would_send {
                Some(counts) if counts.objects + counts.pages == 0 => {
                    out.put("Nothing to push to `").name(&to.remote).put("`.").end();
                }
                Some(counts) => {
                    let objects = count(counts.objects, "object");
                    out.put(format!(
                        "Would push {objects} ({} before compression) to `",
                        ByteSize(counts.bytes)
                    ));
                    out.name(&to.remote)
                        .put(format!("` in about {}.", count(counts.requests, "request")))
                        .end();
                }
                // What could not be looked at is not known to be there.
                None if to.sent.packs == 0 && !self.failed.is_empty() => {}
                None if to.sent.packs == 0 && to.sent.indexes_restored > 0 => {
                    let indexes = count(to.sent.indexes_restored, "lost index");
                    out.put(format!("Wrote {indexes} again to `")).name(&to.remote).put("`.").end();
                }
                None if to.sent.packs == 0 => {
                    out.put("Everything up to date on `").name(&to.remote).put("`.").end();
                }
                None => {
                    let sent = match to.sent.objects {
                        0 => count(to.sent.records + to.sent.pages, "record"),
                        objects => count(objects, "object"),
                    };
                    let packs = count(to.sent.packs, "pack");
                    out.good("Pushed")
                        .put(format!(" {sent} ({}, {packs}) to `", ByteSize(to.sent.bytes_sent)));
                    out.name(&to.remote).put(format!("` in {}.", Span(took))).end();
                }
            }
        }
    }

    fn failures(&self) -> Vec<Failure> {
        self.failed.iter().map(|(path, error)| Failure::at(path, error)).collect()
    }
}
