//! Deleting from a remote what nobody needs any more (R7), by any number of collectors at once.
//!
//! Nothing is deleted that was not announced: a collector puts a mark that names the packs, and
//! deletes them only when, after the mark was visible, another look finds that no record in them is
//! needed, or that each has another place outside of all marks. A push writes what it needs before it
//! looks for marks; a collector looks for that after its mark was visible: one of the two sees the
//! other. docs/formats.md, "Garbage collection", has the rules; each is `G` and a number here.
//!
//! Silence is not absence (R9): whatever cannot be read, or cannot be right, ends the run.

mod choose;
mod copy;
mod index;
mod look;
mod projects;
mod sweep;

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::error::{Cause, Error};
use crate::remote::names::{ClientId, MarkName, ProjectId};
use crate::remote::open::Remote;
use crate::remote::records::Root;
use crate::remote::transfer::settle::KEEP_WINDOW;
use crate::report::Reporter;

use look::Look;
pub(crate) use look::read_records;
pub use projects::{Forgotten, OtherProject};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the last record of a clone names counts for so long, however short the other windows are.
const LAST_RECORD: Duration = Duration::from_secs(90 * 24 * 3600);

/// How old things must be before a collector touches them, by the store's clock (R22).
///
/// The order of looks and writes is what keeps data safe; these ages keep it convenient: for readers
/// with an old catalogue, for pushes under way, and for people who think again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A mark, before its packs are deleted.
    pub grace: Duration,
    /// A pack, before it is marked.
    pub min_age: Duration,
    /// A pack that no segment names, before it is marked: a push may be about to write that segment.
    pub unindexed_age: Duration,
    /// What a clone said it needs, before it stops to count; the last thing it said counts longer.
    pub keep: Duration,
    /// The segments that replaced another one, before that is deleted.
    pub replaced_age: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            grace: 7 * DAY,
            min_age: 3 * DAY,
            unindexed_age: 3 * DAY,
            keep: KEEP_WINDOW,
            replaced_age: DAY,
        }
    }
}

impl Rules {
    /// Marks and deletes in one run.
    pub fn without_grace(self) -> Rules {
        Rules { grace: Duration::ZERO, min_age: Duration::ZERO, ..self }
    }
}

/// Who collects, and how.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// The clone that collects.
    pub client: ClientId,
    /// Its project: what clones of other projects said they need counts for ever.
    pub project: ProjectId,
    /// How old things must be.
    pub rules: Rules,
    /// The id of a project whose records are to count no longer.
    pub forget: Option<Box<str>>,
    /// This machine's time: one that is far from the store's says that one of the two is wrong.
    pub now: SystemTime,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Why a pack can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No record in it is needed.
    NotNeeded,
    /// No index names it: an interrupted push left it.
    NotIndexed,
    /// What is needed of it stands in other packs too.
    Elsewhere,
    /// More than a fifth of it is not needed; the rest is copied to a new pack.
    Sparse,
}

impl Reason {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Reason::NotNeeded => "nothing in it is needed",
            Reason::NotIndexed => "an interrupted push left it",
            Reason::Elsewhere => "what is needed of it stands in other packs",
            Reason::Sparse => "mostly not needed; the rest is copied",
        }
    }

    /// Why a pack goes as it is.
    fn of(is_indexed: bool, is_dead: bool) -> Reason {
        match (is_indexed, is_dead) {
            (false, _) => Reason::NotIndexed,
            (true, true) => Reason::NotNeeded,
            (true, false) => Reason::Elsewhere,
        }
    }
}

/// What becomes of a pack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fate {
    /// Its id.
    pub pack: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Why.
    pub why: Reason,
}

/// What a collection did, or in a dry run would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct GcReport {
    /// Packs that were there.
    pub packs: u64,
    /// Their lengths in bytes.
    pub bytes: u64,
    /// Packs that nobody looked into, being younger than those that may be marked.
    pub young: u64,
    /// What clones and commits need: outputs and runs, each once.
    pub roots: u64,
    /// Outputs of commits that were never pushed to this remote; nothing is kept for them.
    pub absent: u64,
    /// Packs that were marked, to be deleted by a later run.
    pub marked: Vec<Fate>,
    /// Packs that were deleted.
    pub deleted: Vec<Fate>,
    /// Packs that wait for the end of the grace period.
    pub waiting: u64,
    /// Their lengths in bytes.
    pub waiting_bytes: u64,
    /// Seconds until the first of them may be deleted.
    pub waiting_seconds: u64,
    /// Marked packs that hold something that is needed after all; it was copied.
    pub kept: Vec<String>,
    /// Bytes of the packs that were written to keep what is needed.
    pub copied_bytes: u64,
    /// Records of what clones needed long ago that were deleted.
    pub root_records: u64,
    /// Marks that were deleted, their packs being gone.
    pub marks: u64,
    /// Notes of damage that were deleted, what they are about being gone.
    pub notes: u64,
    /// Index segments that were deleted, others having replaced them.
    pub segments: u64,
    /// Index segments that were replaced, more than half of what they name being gone.
    pub rewritten_segments: u64,
    /// The other projects on the remote, sorted by id.
    pub projects: Vec<OtherProject>,
    /// Pins, which keep what they name until they are taken away.
    pub pins: u64,
    /// The project that is to be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Forgotten>,
}

/// Asks for what the commits in scope name, anew each time it is called.
pub type Commits<'a> = dyn FnMut() -> Result<BTreeSet<Root>, Cause> + 'a;

/// Marks what nobody needs, and deletes what was marked long enough ago.
///
/// `commits` is asked at each look, after the records of clones were listed. Fails before anything is
/// deleted where not all that is needed can be found, something cannot be read, or what the store says
/// cannot be right; what was deleted before is gone rightly.
pub fn collect(
    remote: &mut Remote,
    options: &GcOptions,
    commits: &mut Commits<'_>,
    reporter: &dyn Reporter,
) -> Result<GcReport, Error> {
    let report = GcReport::default();
    let mut run = Run { remote, options, commits, reporter, own_marks: Vec::new(), report };
    let mut look = run.look(None)?;
    run.report.packs = look.packs.len() as u64;
    run.report.bytes = look.packs.values().map(|stat| stat.size).sum();
    run.report.roots = look.roots;
    run.report.absent = look.absent;
    run.forget(&look)?;
    // Before their packs go: whoever comes after a crash here does not miss what they name.
    run.delete_aged_records(&look)?;
    run.sweep(&mut look)?;
    run.mark(&mut look)?;
    if options.rules.grace.is_zero() && !run.own_marks.is_empty() {
        look = run.look(Some(&look))?;
        // A push may have replaced its record since.
        run.delete_aged_records(&look)?;
        run.sweep(&mut look)?;
    }
    run.count_waiting(&look);
    run.purge(&look)?;
    run.rewrite_index(&look)?;
    if options.dry_run && options.rules.grace.is_zero() {
        // They would go in the same run.
        run.report.deleted.extend(run.report.marked.clone());
    }
    Ok(run.report)
}

/// One run of a collector.
struct Run<'a> {
    remote: &'a mut Remote,
    options: &'a GcOptions,
    commits: &'a mut Commits<'a>,
    reporter: &'a dyn Reporter,
    own_marks: Vec<MarkName>,
    report: GcReport,
}

impl Run<'_> {
    fn fate(look: &Look, pack: PackId, why: Reason) -> Fate {
        let bytes = look.packs.get(&pack).map_or(0, |stat| stat.size);
        Fate { pack: pack.to_string(), bytes, why }
    }
}

/// The key under which a record counts as needed: a file's bytes and a chunk serve for one another.
fn class(key: RecordKey) -> RecordKey {
    let kind = if key.kind == RecordKind::File { RecordKind::Chunk } else { key.kind };
    RecordKey { kind, ..key }
}

/// How long ago `then` was; what is of the future is young.
fn age(now: SystemTime, then: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

/// Records that are needed.
type Live = HashSet<RecordKey>;
