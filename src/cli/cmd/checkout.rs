use std::time::Duration;

use crate::cli::args::{DryRun, JobsArgs, TargetArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{LISTED, Viewpoint, count, rescued};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::checkout::{self, CheckoutOptions};
use crate::ops::targets::FilterOptions;
use crate::ops::{OpError, trees};

/// Make the data in the work tree what pointers and locks name
///
/// Writes only what differs, from the cache. Changes that are not recorded are never overwritten
/// without `--force`, and then go to `.mlv/rescue`; files that are not recorded stay.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv checkout", "after `git checkout` or `git pull`"),
    ("mlv checkout data/train", "one output, or a part of it"),
    ("mlv checkout --relink", "after a change of `cache.type`"),
    ("mlv checkout --force data", "put local changes of it into rescue"),
], &[3, 4, 5, 6]))]
pub(crate) struct CheckoutArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// Put changes that are not recorded into rescue instead of refusing
    #[arg(long, short)]
    force: bool,
    /// Put files that are not recorded into rescue instead of leaving them
    #[arg(long)]
    clean: bool,
    /// Check out what is in the cache; what is not is no failure
    #[arg(long)]
    allow_missing: bool,
    /// Put files in place again that are linked otherwise than `cache.type` says now
    #[arg(long)]
    relink: bool,
    /// Print only counts
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What was done, and from where to look at it.
#[derive(serde::Serialize)]
pub(crate) struct CheckoutReport {
    #[serde(flatten)]
    pub(crate) report: checkout::CheckoutReport,
    #[serde(skip)]
    pub(crate) view: Viewpoint,
    #[serde(skip)]
    pub(crate) counts_only: bool,
}

pub(crate) fn run(cx: &Context, args: CheckoutArgs) -> Result<CheckoutReport, CliError> {
    let repo = cx.repo_with(args.jobs.number())?;
    let options = CheckoutOptions {
        targets: args.targets.into_options(),
        force: args.force,
        clean: args.clean,
        allow_missing: args.allow_missing,
        relink: args.relink,
        whole: false,
        filter: FilterOptions::default(),
        dry_run: args.dry_run.dry_run,
    };
    let plan = checkout::plan(repo, &options, cx.reporter())?;
    let report = if args.dry_run.dry_run { plan.into_report() } else { checkout::apply(plan, &options)? };
    // What would be done is what was asked for; what was done is an account.
    let counts_only = args.summary || (cx.ui().is_quiet() && !report.dry_run);
    Ok(CheckoutReport { report, view: Viewpoint::of(repo), counts_only })
}

/// More outputs than this are not named in a remedy.
const HINTED: usize = 5;

/// What comes by name only, and how.
fn by_hand(outputs: &[String], view: &Viewpoint, out: &mut Text) {
    for path in outputs {
        out.put(format!("`{}` is left as it is: it comes by name only (`pull: manual`)", view.path(path)))
            .end();
    }
    if !outputs.is_empty() {
        let words = if outputs.len() > HINTED { "PATH" } else { &*view.words(outputs) };
        out.hint(format!("mlv pull {words}"));
    }
}

impl Report for CheckoutReport {
    fn text(&self, out: &mut Text) {
        for output in self.report.outputs.iter().filter(|_| !self.counts_only) {
            let lists = [
                ("A", &output.added),
                ("M", &output.modified),
                ("D", &output.deleted),
                ("L", &output.relinked),
            ];
            for (letter, paths) in lists {
                for path in paths.iter().take(LISTED) {
                    out.put(letter).put("  ").name(self.view.path(path)).end();
                }
                if paths.len() > LISTED {
                    let more = count((paths.len() - LISTED) as u64, "more file");
                    out.put(format!("{letter}  … and {more} in ")).name(self.view.path(&output.path)).end();
                }
            }
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let CheckoutReport { report, view, .. } = self;
        let extra: Vec<_> = report.outputs.iter().flat_map(|output| &output.extra).collect();
        if let Some(first) = extra.first() {
            let files = count(extra.len() as u64, "file");
            let are = if extra.len() == 1 { "it is" } else { "they are" };
            out.put(format!("{files} not recorded, left as {are}: first `{}`", view.path(first))).end();
        }
        rescued(&report.rescued, view, out);
        by_hand(&report.by_hand, view, out);
        let deleted: usize = report.outputs.iter().map(|output| output.deleted.len()).sum();
        let relinked: usize = report.outputs.iter().map(|output| output.relinked.len()).sum();
        match (report.dry_run, report.files + deleted as u64) {
            (_, 0) if !report.by_hand.is_empty() => out,
            (_, 0) if report.failed.is_empty() => out.put("Everything up to date.").end(),
            (true, _) => {
                let written = count(report.files - relinked as u64, "file");
                out.put(format!("Would write {written} and delete {deleted}"));
                if relinked > 0 {
                    out.put(format!(
                        "; would relink those of {} that are linked otherwise",
                        count(relinked as u64, "file")
                    ));
                }
                out.put(".").end()
            }
            (false, 0) => out,
            (false, _) if report.files == 0 => {
                out.put(format!("Deleted {} in {}.", count(deleted as u64, "file"), Span(took))).end()
            }
            (false, _) => {
                let bytes = ByteSize(report.bytes);
                let deleted = if deleted > 0 { format!(", deleted {deleted}") } else { String::new() };
                let verb = if relinked as u64 == report.files { "Relinked" } else { "Checked out" };
                out.put(format!(
                    "{verb} {} ({bytes}){deleted} in {}.",
                    count(report.files, "file"),
                    Span(took)
                ));
                out.end()
            }
        };
    }

    fn failures(&self) -> Vec<Failure> {
        self.report.failed.iter().map(|(path, error)| Failure::at(path, error)).collect()
    }

    fn error(&self) -> Option<CliError> {
        let failed = &self.report.failed;
        let is_missing = |error: &OpError| error.is_not_downloaded();
        let error = (!failed.is_empty()).then(|| CliError::several(self.failures()))?;
        if failed.len() == 1 || !failed.iter().all(|(_, error)| is_missing(error)) {
            return Some(error);
        }
        let outputs = &self.report.outputs;
        let is_at = |output: &str| failed.iter().any(|(path, _)| trees::is_within(path.as_str(), output));
        let mut words: Vec<String> =
            outputs.iter().map(|one| one.path.clone()).filter(|path| is_at(path)).collect();
        // Of a directory whose list of files is missing nothing was looked at.
        let whole = failed.iter().map(|(path, _)| path.to_string());
        words.extend(whole.filter(|path| !outputs.iter().any(|one| trees::is_within(path, &one.path))));
        words.sort();
        let outputs = words;
        let words = if outputs.len() > HINTED { String::new() } else { self.view.words(&outputs) };
        Some(error.with_hint(format!("mlv pull {words}").trim_end()))
    }
}
