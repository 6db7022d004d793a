//! The stages that run, on a terminal: a line each, with its time and the last that it printed.
//!
//! All of the output is in the stage's log; what a stage that fails printed last is shown then.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::escape::{escape, visible};
use crate::model::units::Seconds;
use crate::report::Event;

/// How many lines of a stage that failed are shown.
const LAST_LINES: usize = 20;

/// The stages that run, by name.
#[derive(Default)]
pub(super) struct Stages {
    running: BTreeMap<String, Running>,
}

struct Running {
    started: Instant,
    last: VecDeque<String>,
    /// A line that has no end yet.
    open: Option<String>,
    bar: Option<ProgressBar>,
}

impl Stages {
    /// Whether there are any.
    pub(super) fn is_any_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Takes an event in; returns what else is to be shown of it: nothing of what only changes the
    /// line of a stage, and of a failure the last lines that the stage printed.
    pub(super) fn hear(&mut self, event: &Event) -> Option<Vec<String>> {
        match event {
            Event::StageStarted { stage, .. } => {
                let running =
                    Running { started: Instant::now(), last: VecDeque::new(), open: None, bar: None };
                self.running.insert(stage.clone(), running);
                None
            }
            Event::StageOutput { stage, line } => {
                if let Some(running) = self.running.get_mut(stage) {
                    running.hear(visible(line));
                }
                None
            }
            Event::StageProgress { stage, line } => {
                if let Some(running) = self.running.get_mut(stage) {
                    running.open = Some(visible(line)).filter(|line| !line.trim().is_empty());
                }
                None
            }
            Event::StageFinished { stage, .. } | Event::StageInterrupted { stage } => {
                self.end(stage);
                Some(Vec::new())
            }
            Event::StageFailed { stage, .. } => Some(self.end(stage)),
            _ => Some(Vec::new()),
        }
    }

    /// Takes all lines away.
    pub(super) fn end_all(&mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        names.iter().for_each(|stage| drop(self.end(stage)));
    }

    fn end(&mut self, stage: &str) -> Vec<String> {
        let Some(running) = self.running.remove(stage) else { return Vec::new() };
        if let Some(bar) = running.bar {
            bar.finish_and_clear();
        }
        running.last.into()
    }

    /// Brings the lines up to date; those of stages that run for less than `after` are not shown yet.
    pub(super) fn tick(&mut self, bars: &MultiProgress, after: Duration) {
        for (stage, running) in &mut self.running {
            let time = running.started.elapsed();
            if time >= after {
                // Whole seconds: more would only flicker.
                let message = format!("{}  {}", Seconds(time.as_secs()), escape(running.shown()));
                let bar = running.bar.get_or_insert_with(|| bar(bars, stage));
                bar.set_message(message);
                bar.tick();
            }
        }
    }
}

impl Running {
    /// What was printed last.
    fn shown(&self) -> &str {
        self.open.as_ref().or(self.last.back()).map(String::as_str).unwrap_or_default()
    }

    fn hear(&mut self, line: String) {
        self.open = None;
        if line.trim().is_empty() {
            return;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.replace('\t', "    "));
    }
}

fn bar(bars: &MultiProgress, stage: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}");
    let bar = bars.add(ProgressBar::no_length());
    bar.set_style(style.expect("the template is a constant"));
    bar.set_prefix(escape(stage).into_owned());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_has_one_line_and_what_it_printed_last_is_told_when_it_fails() {
        let mut stages = Stages::default();
        let stage = || "train".to_owned();
        assert_eq!(stages.hear(&Event::StageStarted { stage: stage(), command: "x".into() }), None);
        for number in 0..30 {
            let line = format!("line {number}\x1b[31m\x07");
            assert_eq!(stages.hear(&Event::StageOutput { stage: stage(), line }), None);
        }
        stages.hear(&Event::StageOutput { stage: stage(), line: "  ".into() });
        assert_eq!(stages.running["train"].shown(), "line 29\x07");
        let percent = Event::StageProgress { stage: stage(), line: "1 %\r\x1b[32m2 %".into() };
        assert_eq!(stages.hear(&percent), None);
        assert_eq!(stages.running["train"].shown(), "2 %");
        let shown = stages.hear(&Event::StageFailed { stage: stage(), code: Some(1) }).unwrap();
        assert_eq!((shown.len(), &*shown[0], &*shown[19]), (20, "line 10\x07", "line 29\x07"));
        assert_eq!(stages.hear(&Event::StageFinished { stage: stage(), millis: 1 }), Some(Vec::new()));
        assert!(stages.running.is_empty());
    }
}
