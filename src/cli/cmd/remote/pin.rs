use std::time::Duration;

use crate::cli::args::{DryRun, RemoteArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::model::units::ByteSize;
use crate::ops::remote_pin::{self, Pin, PinReport, PinsReport, UnpinReport};

/// Keep what a commit names on a remote, or list what is kept so
///
/// `mlv gc --cloud` deletes what no commit in its scope and no recent push needs. What is pinned stays,
/// whoever collects and whatever becomes of the branch, until `mlv remote unpin`. What the remote lacks
/// is sent first.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote pin v1.0", "what the tag names, on the default remote and those that outputs name"),
    ("mlv remote pin HEAD -r backup", "what HEAD names, on another remote"),
    ("mlv remote pin", "all pins of the default remote"),
], &[3, 4, 5, 7]))]
pub(super) struct PinArgs {
    /// The commit: a branch, a tag, a hash
    revision: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// Take pins away
///
/// What only they kept goes with one of the next runs of `mlv gc --cloud`. Needs the right to delete.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv remote unpin v1.0", "those that were made for the tag's commit"),
    ("mlv remote unpin 0f3a55d1c2b4e697", "one by its id, as `mlv remote pin` lists it"),
], &[3, 4, 7]))]
pub(super) struct UnpinArgs {
    /// Ids of pins, or the commits that they were made for
    #[arg(value_name = "PIN", required = true)]
    pins: Vec<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(super) fn pin(cx: &Context, args: PinArgs) -> u8 {
    let remote = args.remote.remote.as_deref();
    match &args.revision {
        None => finish(cx, list(cx, remote)),
        Some(revision) => finish(cx, make(cx, revision, remote, args.dry_run.dry_run)),
    }
}

fn list(cx: &Context, remote: Option<&str>) -> Result<PinsReport, CliError> {
    Ok(remote_pin::list(cx.repo()?, remote, cx.reporter())?)
}

fn make(cx: &Context, revision: &str, remote: Option<&str>, dry_run: bool) -> Result<PinReport, CliError> {
    Ok(remote_pin::pin(cx.repo()?, revision, remote, dry_run, cx.reporter())?)
}

pub(super) fn unpin(cx: &Context, args: &UnpinArgs) -> Result<UnpinReport, CliError> {
    let remote = args.remote.remote.as_deref();
    Ok(remote_pin::unpin(cx.repo()?, &args.pins, remote, args.dry_run.dry_run, cx.reporter())?)
}

fn summary(pin: &Pin, verb: &str, id: Option<&str>, out: &mut Text) {
    let outputs = count(pin.outputs, "output");
    out.put(format!("{verb} {outputs} ({}) on `", ByteSize(pin.bytes))).name(&pin.remote).put("`");
    if let Some(id) = id {
        out.put(" as ").put(id);
    }
    out.put(".").end();
}

impl Report for PinReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        for pin in &self.made {
            match self.dry_run {
                true => summary(pin, "Would pin", None, out),
                false => summary(pin, "Pinned", Some(&pin.id), out),
            }
        }
        for pin in &self.known {
            summary(pin, "Pinned already:", Some(&pin.id), out);
        }
    }
}

impl Report for UnpinReport {
    fn summary(&self, _took: Duration, out: &mut Text) {
        for pin in &self.removed {
            summary(pin, if self.dry_run { "Would unpin" } else { "Unpinned" }, Some(&pin.id), out);
        }
    }
}

impl Report for PinsReport {
    fn text(&self, out: &mut Text) {
        for pin in &self.pins {
            out.put(&pin.id).tab().put(&pin.time).tab();
            out.put(format!("{} ({})", count(pin.outputs, "output"), ByteSize(pin.bytes))).tab();
            out.put(pin.commits.join(" ")).end();
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        if self.pins.is_empty() {
            out.put("Nothing is pinned on `").name(&self.remote).put("`.").end();
            out.hint("mlv remote pin REVISION");
        }
    }
}
