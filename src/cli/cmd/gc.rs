use std::time::Duration;

use crate::cli::args::{JobsArgs, RemoteArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::units::{ByteSize, Span};
use crate::ops::gc::{self, Fate, GcOptions, GcReport, Kept, OtherProject, Scope};

/// Delete from a remote what nobody needs any more
///
/// Kept is what the work tree names, what any commit names that can be reached (branches, tags,
/// other references, reflogs, the stash, other work trees), what any clone pushed in the last 30 days,
/// what each clone pushed last, for 90 days, and what other projects pushed. With `-w`, `-a`, `-T`,
/// `-A`, `--rev` or `--date` only those commits count instead of all; pins (`mlv remote pin`) always do.
///
/// It takes two runs: the first marks what can go; one that runs more than 7 days later looks again and
/// deletes it. Nobody has to stop pushing or pulling. Where anything that says what is needed cannot be
/// read, nothing is deleted. The remote is collected instead of the local cache, never both at once.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv gc -c --dry-run", "what can go from the default remote, and why"),
    ("mlv gc -c", "mark it, and delete what was marked a week ago"),
    ("mlv gc -c -a -T -r backup", "keep what branches and tags name, on another remote"),
    ("mlv gc -c --now --keep 0d", "make room at once: old pushes do not count"),
    ("mlv gc -c --date 2026-01-01", "keep what commits of this year and pushes of the last 30 days need"),
], &[3, 4, 5, 7]))]
pub(crate) struct GcArgs {
    /// Collect the remote
    #[arg(long, short, required = true)]
    cloud: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Of commits, keep nothing: only what the work tree names
    #[arg(long, short)]
    workspace: bool,
    /// Of commits, keep what the newest of each local branch names
    #[arg(long, short = 'a')]
    all_branches: bool,
    /// Of commits, keep what that of each tag names
    #[arg(long, short = 'T')]
    all_tags: bool,
    /// Of commits, keep what any names that a reference or HEAD leads to
    #[arg(long, short = 'A')]
    all_commits: bool,
    /// Of commits, keep what REVISION names; may be repeated
    #[arg(long, value_name = "REVISION")]
    rev: Vec<String>,
    /// Keep so many commits of each --rev, the one that it names and those before
    #[arg(long, short, value_name = "N", requires = "rev", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    num: u32,
    /// Of commits, keep what those name that were made on DATE (YYYY-MM-DD, in UTC) or later
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    date: Option<i64>,
    /// Keep nothing for what cannot be read of a commit, instead of giving up
    #[arg(long)]
    skip_failed: bool,
    /// Keep what clones pushed in the last SPAN, instead of 30d; what each pushed last stays 90 days
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    keep: Option<Span>,
    /// Delete at once what is marked, however young
    #[arg(long)]
    now: bool,
    /// Forget what another project pushed, which else counts for ever: in 30 days, unless it pushes again
    #[arg(long, value_name = "ID")]
    forget_project: Option<String>,
    #[command(flatten)]
    jobs: JobsArgs,
    /// Report what would be done and why, and do nothing
    #[arg(long, visible_alias = "dry")]
    dry_run: bool,
}

impl GcArgs {
    fn kept(&self) -> Kept {
        let scope = Scope { branches: self.all_branches, tags: self.all_tags, all_commits: self.all_commits };
        if !self.workspace && scope.is_empty() && self.rev.is_empty() && self.date.is_none() {
            return Kept::Everything;
        }
        Kept::Only { scope, revisions: self.rev.clone(), number: self.num, since: self.date }
    }
}

pub(crate) fn run(cx: &Context, args: GcArgs) -> Result<GcReport, CliError> {
    let options = GcOptions {
        kept: args.kept(),
        remote: args.remote.remote,
        skip_failed: args.skip_failed,
        keep: args.keep.map(|Span(keep)| keep),
        now: args.now,
        forget_project: args.forget_project,
        dry_run: args.dry_run,
    };
    Ok(gc::run(cx.repo_with(args.jobs.number())?, &options, cx.reporter())?)
}

/// The start of a day in UTC, in seconds since 1970.
fn parse_date(text: &str) -> Result<i64, String> {
    let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d");
    let day = day.map_err(|_| "expected a day such as 2026-01-31".to_owned())?;
    Ok(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
}

impl Report for GcReport {
    fn text(&self, out: &mut Text) {
        for project in self.collected.projects.iter().filter(|_| self.dry_run) {
            other_project(project, out);
        }
        for (what, fates) in [("delete", &self.collected.deleted), ("mark", &self.collected.marked)] {
            for fate in fates {
                out.put(what).tab().put(&fate.pack[..16]).tab().put(ByteSize(fate.bytes));
                out.tab().put(fate.why.text()).end();
            }
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let done = &self.collected;
        let bytes = |fates: &[Fate]| ByteSize(fates.iter().map(|fate| fate.bytes).sum());
        let is_gone = |fate: &&Fate| done.deleted.iter().any(|gone| gone.pack == fate.pack);
        let left: Vec<Fate> = done.marked.iter().filter(|fate| !is_gone(fate)).cloned().collect();
        let (deleted, marked) = (done.deleted.len() as u64, left.len() as u64);
        if !done.kept.is_empty() {
            let packs = count(done.kept.len() as u64, "marked pack");
            out.put(format!("Somebody needs a part of {packs} after all: it was copied.")).end();
        }
        if let Some(forgotten) = &done.forgotten {
            let (roots, clones) = (count(forgotten.roots, "output"), count(forgotten.clones, "clone"));
            let verb = if self.dry_run { "Would forget" } else { "Will forget" };
            let bytes = ByteSize(forgotten.bytes);
            out.put(format!("{verb} {roots} of {clones} of project `")).name(&forgotten.project);
            let days = count(forgotten.kept_days, "day");
            out.put(format!("` in {days}, {bytes} that nobody else needs; its next push takes that back."))
                .end();
        }
        if done.absent > 0 {
            let outputs = count(done.absent, "output");
            out.put(format!("{outputs} of commits were never pushed to `"))
                .name(&self.remote)
                .put("`.")
                .end();
        }
        if done.rewritten_segments > 0 {
            let segments = count(done.rewritten_segments, "index segment");
            let verb = if self.dry_run { "Would write" } else { "Wrote" };
            out.put(format!("{verb} {segments} anew: most of what they named is gone.")).end();
        }
        if deleted + marked == 0 {
            let (young, waiting) = (done.young, done.waiting);
            let needed = done.packs.saturating_sub(young + waiting);
            let packs = count(done.packs, "pack");
            out.put("Nothing can go from `").name(&self.remote);
            out.put(format!("`: of {packs} ({}) ", ByteSize(done.bytes)));
            out.put(format!("{needed} needed, {young} too young, {waiting} marked already.")).end();
        } else {
            let verbs = if self.dry_run { ("Would delete", "mark") } else { ("Deleted", "marked") };
            out.put(format!("{} {} ({})", verbs.0, count(deleted, "pack"), bytes(&done.deleted)));
            // Those that go in the same run are said once.
            if marked > 0 {
                out.put(format!(", {} {marked} ({})", verbs.1, bytes(&left)));
            }
            out.put(format!(" of {} on `", done.packs))
                .name(&self.remote)
                .put(format!("` in {}.", Span(took)))
                .end();
        }
        if done.waiting > 0 {
            let packs = count(done.waiting, "marked pack");
            let days = count(done.waiting_seconds.div_ceil(24 * 3600), "day");
            let wait = if done.waiting == 1 { "waits" } else { "wait" };
            let bytes = ByteSize(done.waiting_bytes);
            out.put(format!("{packs} ({bytes}) {wait}; the first can go in {days}."));
            out.end().hint("mlv gc --cloud, then");
        }
    }
}

fn other_project(project: &OtherProject, out: &mut Text) {
    out.put("keep").tab().put(&project.id).tab();
    out.put(format!("{} of {} ", count(project.roots, "output"), count(project.clones, "clone")));
    out.put(format!("of another project, the last pushed {} ago", count(project.idle_days, "day")));
    if let Some(days) = project.forgotten_in_days {
        out.put(format!("; forgotten in {}", count(days, "day")));
    }
    out.end();
}
