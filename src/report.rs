//! How running operations tell what they do, without printing.
//!
//! The library gets a `&dyn Reporter` and knows no terminal; `cli/progress.rs` has the
//! implementations. A meter is a number that grows; an event is something that happened.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// The unit that a meter counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Files, objects, stages.
    Items,
}

/// A piece of work with a measurable size.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// What is being done, as a participle: "Hashing", "Uploading".
    pub verb: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// How much there is, if known.
    pub total: Option<u64>,
}

/// Counts the progress of one [`Task`]; shared by the threads that work on it.
pub trait Meter: Send + Sync {
    /// Adds `amount` units of finished work.
    fn inc(&self, amount: u64);
    /// Corrects the total when more is known.
    fn set_total(&self, total: u64);
    /// Removes the display. Dropping the meter does the same.
    fn finish(&self);
}

/// A piece of a task that is counted while it is done: a large file. What was not counted by then
/// is at its end, so that the sum is right whichever way it was done.
pub struct Portion<'m> {
    meter: &'m dyn Meter,
    counted: AtomicU64,
}

impl<'m> Portion<'m> {
    /// A piece of what `meter` counts.
    pub fn of(meter: &'m dyn Meter) -> Portion<'m> {
        Portion { meter, counted: AtomicU64::new(0) }
    }

    /// Ends the piece, which was of `size` units, and begins another.
    pub fn end(&self, size: u64) {
        let counted = self.counted.swap(0, Ordering::Relaxed);
        self.meter.inc(size.saturating_sub(counted));
    }
}

impl Meter for Portion<'_> {
    fn inc(&self, amount: u64) {
        self.counted.fetch_add(amount, Ordering::Relaxed);
        self.meter.inc(amount);
    }
    fn set_total(&self, _total: u64) {}
    fn finish(&self) {}
}

/// Something that happened and that a user may want to see at once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A condition worth a line, with the operation going on.
    Warning {
        /// The text, without control characters from outside escaped yet.
        message: String,
    },
    /// What to do next.
    Hint {
        /// A sentence with a command to paste.
        message: String,
    },
    /// The operation waits for another process.
    Waiting {
        /// Who holds it: `pid 4242 (mlv repro)`.
        holder: String,
    },
    /// What an interrupted transfer sent is there, and is not sent again.
    Resuming {
        /// Bytes that are there, before compression.
        already: u64,
        /// Bytes that the interrupted transfer was about.
        total: u64,
    },
    /// A stage's command starts.
    StageStarted {
        /// The stage's name as a target.
        stage: String,
        /// The command, as it will be run.
        command: String,
    },
    /// A line that a stage's command printed.
    StageOutput {
        /// The stage's name as a target.
        stage: String,
        /// The line without its end.
        line: String,
    },
    /// What a stage's command shows on a line that it has not ended: for those who watch, and no line.
    StageProgress {
        /// The stage's name as a target.
        stage: String,
        /// What stands there now.
        line: String,
    },
    /// A stage's command ended well and its outputs are in place.
    StageFinished {
        /// The stage's name as a target.
        stage: String,
        /// Run time in milliseconds.
        millis: u64,
    },
    /// A stage did not need to run.
    StageSkipped {
        /// The stage's name as a target.
        stage: String,
        /// Why: "unchanged", "frozen".
        why: String,
    },
    /// A stage's outputs were brought back without running it.
    StageRestored {
        /// The stage's name as a target.
        stage: String,
        /// Where from: "cache", "run cache".
        from: String,
    },
    /// A stage's command failed.
    StageFailed {
        /// The stage's name as a target.
        stage: String,
        /// Its exit code, if it had one.
        code: Option<i32>,
    },
    /// A stage was ended because the user asked to stop; its outputs are what they were.
    StageInterrupted {
        /// The stage's name as a target.
        stage: String,
    },
}

/// Receives progress and events. All methods may be called from any thread.
pub trait Reporter: Send + Sync {
    /// Starts to show the progress of `task`.
    fn meter(&self, task: Task) -> Box<dyn Meter>;
    /// Tells that something happened.
    fn event(&self, event: &Event);
}

/// A reporter that shows nothing: for tests and for callers that do not care.
pub struct NoReport;

/// A meter that shows nothing.
pub struct NoMeter;

impl Meter for NoMeter {
    fn inc(&self, _amount: u64) {}
    fn set_total(&self, _total: u64) {}
    fn finish(&self) {}
}

impl Reporter for NoReport {
    fn meter(&self, _task: Task) -> Box<dyn Meter> {
        Box::new(NoMeter)
    }
    fn event(&self, _event: &Event) {}
}

/// How often the user asked to stop.
static REQUESTS: AtomicU8 = AtomicU8::new(0);
/// Whether commands run or ran, which hear of requests through [`urgency`].
static RUNS_COMMANDS: AtomicBool = AtomicBool::new(false);

/// How the process is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its loops and those who run commands hear of it.
    Orderly,
    /// It has been asked often enough.
    AtOnce,
}

/// Notes that the user asks to stop: once more, if it is not the first time.
pub fn request_stop() -> Stop {
    let requests = REQUESTS.fetch_add(1, Ordering::SeqCst).saturating_add(1);
    // Commands are to be ended before the process is.
    let orderly = if RUNS_COMMANDS.load(Ordering::SeqCst) { 2 } else { 1 };
    if requests <= orderly { Stop::Orderly } else { Stop::AtOnce }
}

/// Whether the user asked to stop. Loops ask between two files or two chunks.
pub fn interrupted() -> bool {
    REQUESTS.load(Ordering::Relaxed) > 0
}

/// Whether running commands are to be ended, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// They are not.
    None,
    /// They get time to end.
    Stop,
    /// At once.
    Kill,
}

/// What the user asked for so far, for those who run commands and ask while these run.
pub fn urgency() -> Urgency {
    RUNS_COMMANDS.store(true, Ordering::SeqCst);
    match REQUESTS.load(Ordering::SeqCst) {
        0 => Urgency::None,
        1 => Urgency::Stop,
        _ => Urgency::Kill,
    }
}
