//! How running operations are shown: bars, lines, JSON objects, or not at all.
//!
//! Meters are counters that threads add to without a lock. One thread per command, started with
//! the first meter, looks at them: every 50 ms where there are bars, every second otherwise. So
//! nothing is drawn more often than 20 times a second however fast the work is, and a stalled
//! transfer still shows.

mod lines;
mod stages;
mod terminal;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::lines::{line_of, with_last_lines};
use self::stages::Stages;
use self::terminal::Terminal;
use crate::cli::render::thousands;
use crate::cli::ui::Ui;
use crate::model::units::{ByteSize, Seconds};
use crate::report::{Event, Meter, NoReport, Reporter, Task, Unit};

/// Work that is done sooner shows no bar.
const BAR_AFTER: Duration = Duration::from_millis(250);
/// 20 Hz.
const BAR_EVERY: Duration = Duration::from_millis(50);
/// Without a terminal: seldom enough for a log file.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// With `--json`: often enough for a program that draws bars itself.
const OBJECT_EVERY: Duration = Duration::from_secs(1);

/// A reporter that may draw.
pub(crate) trait Progress: Reporter {
    /// Takes all that was drawn away, for good: what is printed from now on stays.
    fn end(&self);
}

impl Progress for NoReport {
    fn end(&self) {}
}

/// The reporter that fits the arguments and the terminal. Who asks for a log sees lines, also on a
/// terminal: bars would be drawn over it.
pub(crate) fn reporter(ui: Ui, is_logged: bool) -> Box<dyn Progress> {
    if ui.is_quiet() {
        return Box::new(NoReport);
    }
    let display = if ui.is_json() {
        Display::Objects
    } else if std::io::stderr().is_terminal() && !is_logged {
        Display::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()))
    } else {
        Display::Lines
    };
    Box::new(Live {
        shared: Arc::new(Shared {
            ui,
            display,
            meters: Mutex::default(),
            stages: Mutex::default(),
            is_ended: AtomicBool::new(false),
        }),
        clock: OnceLock::new(),
    })
}

enum Display {
    Bars(MultiProgress),
    Lines,
    Objects,
}

impl Display {
    /// How often the meters are looked at, and how often each is shown.
    fn period(&self) -> (Duration, Duration) {
        match self {
            Display::Bars(_) => (BAR_EVERY, BAR_EVERY),
            Display::Lines => (OBJECT_EVERY, LINE_EVERY),
            Display::Objects => (OBJECT_EVERY, OBJECT_EVERY),
        }
    }
}

struct Live {
    shared: Arc<Shared>,
    clock: OnceLock<Clock>,
}

struct Shared {
    ui: Ui,
    display: Display,
    meters: Mutex<Vec<Weak<Counter>>>,
    /// Those that run; only where there are bars.
    stages: Mutex<Stages>,
    is_ended: AtomicBool,
}

/// The thread that looks at the meters; it ends when this is dropped.
struct Clock {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The state of a meter.
struct Counter {
    task: Task,
    done: AtomicU64,
    /// `u64::MAX` while it is not known.
    total: AtomicU64,
    started: Instant,
    view: Mutex<View>,
}

struct View {
    finished: bool,
    shown: Instant,
    bar: Option<ProgressBar>,
}

struct LiveMeter {
    counter: Arc<Counter>,
}

impl Reporter for Live {
    fn meter(&self, task: Task) -> Box<dyn Meter> {
        let now = Instant::now();
        let counter = Arc::new(Counter {
            task,
            done: AtomicU64::new(0),
            total: AtomicU64::new(task.total.unwrap_or(u64::MAX)),
            started: now,
            view: Mutex::new(View { finished: false, shown: now, bar: None }),
        });
        lock(&self.shared.meters).push(Arc::downgrade(&counter));
        self.start_clock();
        Box::new(LiveMeter { counter })
    }

    fn event(&self, event: &Event) {
        let ui = self.shared.ui;
        match &self.shared.display {
            // A log would have as many lines as there were states.
            Display::Objects | Display::Lines if matches!(event, Event::StageProgress { .. }) => {}
            Display::Objects => ui.note_json(event),
            Display::Lines => ui.note(&line_of(event, ui)),
            Display::Bars(bars) => {
                let shown = lock(&self.shared.stages).hear(event);
                if let Some(last_lines) = shown {
                    bars.suspend(|| ui.note(&with_last_lines(event, &last_lines, ui)));
                } else {
                    self.start_clock();
                }
            }
        }
    }
}

impl Progress for Live {
    fn end(&self) {
        let Shared { display, stages, is_ended, .. } = &*self.shared;
        if let Display::Bars(bars) = display {
            let mut stages = lock(stages);
            // Under the lock, so that the clock draws no stage after this.
            is_ended.store(true, Ordering::Relaxed);
            stages.end_all();
            drop(stages);
            self.shared.meters().iter().for_each(|counter| counter.finish());
            // Nobody can be told if the terminal is gone.
            let _ = bars.clear();
        }
    }
}

impl Live {
    fn start_clock(&self) {
        self.clock.get_or_init(|| Clock::start(Arc::clone(&self.shared)));
    }
}

impl Clock {
    fn start(shared: Arc<Shared>) -> Clock {
        let (stop, stopped) = mpsc::channel();
        let (period, _) = shared.display.period();
        let run = move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                shared.tick();
            }
        };
        // Without a thread there is no progress to see, and no harm.
        let thread = std::thread::Builder::new().name("progress".into()).spawn(run).ok();
        Clock { stop: Some(stop), thread }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It printed; if it panicked the work is none the worse.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tick(&self) {
        if let Display::Bars(bars) = &self.display {
            let mut stages = lock(&self.stages);
            if self.is_ended.load(Ordering::Relaxed) {
                return;
            }
            if stages.is_any_running() {
                show_bars(bars);
            }
            stages.tick(bars, BAR_AFTER);
        }
        for counter in self.meters() {
            let mut view = lock(&counter.view);
            if !view.finished && view.shown.elapsed() >= self.display.period().1 {
                self.show(&counter, &mut view);
            }
        }
    }

    /// Those that are in use.
    fn meters(&self) -> Vec<Arc<Counter>> {
        let mut meters = lock(&self.meters);
        meters.retain(|meter| meter.strong_count() > 0);
        meters.iter().filter_map(Weak::upgrade).collect()
    }

    fn show(&self, counter: &Counter, view: &mut View) {
        match &self.display {
            Display::Bars(bars) => {
                if counter.started.elapsed() >= BAR_AFTER {
                    counter.update(view.bar.get_or_insert_with(|| counter.bar(bars)));
                }
                return;
            }
            Display::Lines => {
                let mut text = self.ui.note_text();
                text.put(counter.task.verb).put(": ").put(counter.amounts()).end();
                self.ui.note(&text);
            }
            Display::Objects => self.ui.note_json(&counter.object()),
        }
        view.shown = Instant::now();
    }
}

impl Counter {
    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total != u64::MAX)
    }

    fn bar(&self, bars: &MultiProgress) -> ProgressBar {
        show_bars(bars);
        let template = match self.total() {
            Some(_) => "{prefix} [{bar:24}] {msg}",
            None => "{prefix} {spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates are constants");
        let bar = match self.total() {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let bar = bars.add(bar);
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(self.task.verb);
        bar
    }

    fn update(&self, bar: &ProgressBar) {
        if let Some(total) = self.total() {
            bar.set_length(total);
        }
        bar.set_position(self.done.load(Ordering::Relaxed));
        bar.set_message(self.amounts());
        bar.tick();
    }

    fn finish(&self) {
        let mut view = lock(&self.view);
        view.finished = true;
        if let Some(bar) = view.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// `1.2 GiB of 4 GiB, 85 MiB/s, 33s left`, the rate since the start: one over a few seconds
    /// makes the time left jump.
    fn amounts(&self) -> String {
        let done = self.done.load(Ordering::Relaxed);
        let show = |amount| match self.task.unit {
            Unit::Bytes => ByteSize(amount).to_string(),
            Unit::Items => thousands(amount),
        };
        let rate = done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let Some(total) = self.total() else { return format!("{}, {}/s", show(done), show(rate as u64)) };
        let mut text = format!("{} of {}, {}/s", show(done), show(total), show(rate as u64));
        if rate >= 1.0 && total > done {
            let left = Duration::from_secs_f64((total - done) as f64 / rate);
            text.push_str(&format!(", {} left", Seconds(left.as_secs() + 1)));
        }
        text
    }

    fn object(&self) -> serde_json::Value {
        serde_json::json!({
            "event": "progress",
            "verb": self.task.verb,
            "unit": match self.task.unit { Unit::Bytes => "bytes", Unit::Items => "items" },
            "done": self.done.load(Ordering::Relaxed),
            "total": self.total(),
        })
    }
}

impl Meter for LiveMeter {
    fn inc(&self, amount: u64) {
        self.counter.done.fetch_add(amount, Ordering::Relaxed);
    }

    fn set_total(&self, total: u64) {
        self.counter.total.store(total, Ordering::Relaxed);
    }

    fn finish(&self) {
        self.counter.finish();
    }
}

impl Drop for LiveMeter {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A meter whose thread panicked in the middle still counts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The target is set with the first bar, so that commands without one do not ask the terminal.
fn show_bars(bars: &MultiProgress) {
    if bars.is_hidden() {
        bars.set_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::stderr()), 20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_amount_rate_and_time_left() {
        let counter = Counter {
            task: Task { verb: "Uploading", unit: Unit::Bytes, total: Some(4 << 30) },
            done: AtomicU64::new(1 << 30),
            total: AtomicU64::new(4 << 30),
            started: Instant::now() - Duration::from_secs(10),
            view: Mutex::new(View { finished: false, shown: Instant::now(), bar: None }),
        };
        assert_eq!(counter.amounts(), "1 GiB of 4 GiB, 102 MiB/s, 31s left");
    }
}
