use std::time::Duration;

use crate::cli::args::JobsArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, count};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::path::RepoPath;
use crate::model::units::{ByteSize, Span};
use crate::ops::fsck_remote::{self, FsckRemoteOptions, FsckRemoteReport};
use crate::ops::{OpError, fsck};

/// Check that everything is what its name says
///
/// Reads the whole cache, all pointers, pipelines and locks, the lists of files that they name, and
/// the files of the work tree that count as unchanged. What was changed there is no damage.
/// Damaged data is taken out of use, so that `mlv fetch` or `mlv commit` stores it anew. What was
/// never downloaded is no damage.
///
/// With `--remote` it checks a remote instead: its indexes, what each clone said it needs, the lists of
/// files, and that every file is there; with `--read-data` also every byte.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv fsck", "read everything"),
    ("mlv fsck && mlv push", "before other copies are deleted"),
    ("mlv fsck --remote", "whether the default remote holds all that was pushed"),
    ("mlv fsck --remote storage --read-data=5%", "and whether a part of the data, chosen by lot, is right"),
    ("mlv fsck --remote --read-data --repair", "read all, and send again what this clone has"),
], &[3, 4, 5, 7]))]
pub(crate) struct FsckArgs {
    /// Check the remote NAME, or the default one, instead of the cache
    #[arg(long, short, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    remote: Option<String>,
    /// Read the data on the remote too, all or so many percent of the packs
    #[arg(
        long,
        value_name = "PERCENT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "100",
        requires = "remote",
        value_parser = percent
    )]
    read_data: Option<u8>,
    /// Index again what no index names, copy what is good in damaged packs, and send again what is lost and
    /// this clone has
    #[arg(long, requires = "remote")]
    repair: bool,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// `5`, `5%`.
fn percent(text: &str) -> Result<u8, String> {
    let number: Option<u8> = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|number| (1..=100).contains(number)).ok_or_else(|| "from 1% to 100%".to_owned())
}

/// What was found in the cache or on a remote.
#[derive(serde::Serialize)]
#[serde(untagged)]
pub(crate) enum FsckReport {
    Cache(CacheReport),
    Remote(RemoteReport),
}

/// What was found in the cache, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct CacheReport {
    #[serde(flatten)]
    report: fsck::FsckReport,
    #[serde(skip)]
    view: Viewpoint,
}

pub(crate) fn run(cx: &Context, args: &FsckArgs) -> Result<FsckReport, CliError> {
    let repo = cx.repo_with(args.jobs.number())?;
    let Some(remote) = &args.remote else {
        return Ok(FsckReport::Cache(CacheReport {
            report: fsck::run(repo, cx.reporter())?,
            view: Viewpoint::of(repo),
        }));
    };
    let options = FsckRemoteOptions {
        remote: Some(remote.clone()).filter(|name| !name.is_empty()),
        read_data: args.read_data.unwrap_or_default(),
        repair: args.repair,
    };
    let report = fsck_remote::run(repo, &options, cx.reporter())?;
    Ok(FsckReport::Remote(RemoteReport { report }))
}

impl Report for FsckReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        match self {
            FsckReport::Cache(report) => report.summary(took, out),
            FsckReport::Remote(report) => report.summary(took, out),
        }
    }

    fn failures(&self) -> Vec<Failure> {
        match self {
            FsckReport::Cache(report) => report.failures(),
            FsckReport::Remote(report) => report.failures(),
        }
    }
}

impl CacheReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        let report = &self.report;
        if report.adopted > 0 {
            out.put(format!("Indexed {} that had no index.", count(report.adopted, "pack"))).end();
        }
        for path in &report.unknown {
            out.put("not a file of the cache: ").put(path).end();
        }
        for path in &report.broken {
            out.bad("broken").put(" file of the cache: ").put(path).end();
        }
        for hash in &report.damaged {
            out.bad("damaged").put(" blake3:").put(hash).end();
        }
        for path in &report.not_downloaded {
            out.put("not downloaded: `").name(self.view.path(path)).put("`").end();
        }
        if let Some(first) = report.changed.first() {
            let outputs = count(report.changed.len() as u64, "output");
            out.put(format!("changed in the work tree: {outputs}, first `")).name(self.view.path(first));
            out.put("` (mlv status)").end();
        }
        let files = count(report.files, "file");
        let records = count(report.loose + report.packed, "record");
        let (packs, outputs) = (count(report.packs, "pack"), count(report.outputs, "output"));
        let bytes = ByteSize(report.bytes);
        let end = if report.failed.is_empty() { ": no damage." } else { "." };
        out.put(format!(
            "Checked {records} ({bytes}), {packs}, {outputs}, {files} of the work tree in {}{end}",
            Span(took)
        ))
        .end();
        if !report.damaged.is_empty() || !report.broken.is_empty() {
            out.hint("`mlv fetch` brings back what a remote has, `mlv commit` what the work tree has");
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(path, error)| Failure::at(path, error)).collect()
    }
}

/// What was found on a remote, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct RemoteReport {
    #[serde(flatten)]
    report: FsckRemoteReport,
}

impl RemoteReport {
    fn summary(&self, took: Duration, out: &mut Text) {
        let report = &self.report;
        if report.sent > 0 {
            out.good("Sent").put(format!(" {} again.", count(report.sent, "record"))).end();
        }
        if report.copied > 0 {
            let records = count(report.copied, "record");
            out.good("Copied").put(format!(" {records} out of damaged packs.")).end();
        }
        for object in &report.damaged {
            out.bad("damaged").put(" ").name(&object.key).put(": ").put(&object.why).end();
        }
        for (pack, records) in &report.bad_packs {
            out.bad("damaged").put(" ").name(pack);
            out.put(format!(": {} of it", count(*records, "record"))).end();
        }
        for before in &report.unknown_before {
            out.put("What `").name(&before.key).put("` named is not known: ");
            out.put(format!("`mlv gc --cloud` deletes nothing until {}.", &before.until[..10])).end();
        }
        let others = report.damaged.len() + report.bad_packs.len() - report.unknown_before.len();
        if report.failed.is_empty() && others > 0 {
            out.put("What is damaged is not needed, or can be read elsewhere.").end();
            out.hint("`mlv gc --cloud` deletes it when nothing else in it is needed");
        }
        if report.unindexed > 0 {
            let packs = count(report.unindexed, "pack");
            let whence = match report.failed.is_empty() {
                true => ", from a push that was cut off: `mlv gc -c` removes such",
                false => "",
            };
            out.put(format!("{packs} without an index{whence}.")).end();
        }
        let (packs, roots) = (count(report.packs, "pack"), count(report.roots, "output"));
        let records = count(report.records, "record");
        out.put(format!("Checked {packs}, {roots}, {records} on `")).name(&report.remote);
        let read = match report.packs_read {
            0 => String::new(),
            packs => format!(", read {} ({})", count(packs, "pack"), ByteSize(report.bytes_read)),
        };
        let end = if report.failed.is_empty() { ": all can be fetched." } else { "." };
        out.put(format!("`{read} in {}{end}", Span(took))).end();
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        // What is wrong with the remote as a whole has no path.
        let failure = |(path, error): &(RepoPath, OpError)| match path.is_root() {
            true => Failure::of(&self.report.remote, error),
            false => Failure::at(path, error),
        };
        failed.map(failure).collect()
    }
}
