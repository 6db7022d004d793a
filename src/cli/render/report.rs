//! The page of `report`, for terminals and in Markdown.

use std::time::Duration;

use crate::cli::render::values::{Table, cell, markdown};
use crate::cli::render::{Viewpoint, columns, count, reasons, thousands};
use crate::cli::ui::Text;
use crate::error::{Advice, ErrorKind};
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::model::units::{ByteSize, Span, size_change};
use crate::model::value::Value;
use crate::ops::compare::ChangeCounts;
use crate::ops::report::{OutputChange, ProjectReport, StageLine, StageState};
use crate::ops::values::{ValuesDiff, rounded};

/// Most bytes of a page in Markdown: GitHub refuses comments of more than 65,536 characters.
const MAX_PAGE: usize = 60_000;
/// Most characters of a cell.
const MAX_CELL: usize = 200;
/// Significant digits of metrics.
const DIGITS: usize = 5;

/// What a page shows, and from where.
pub(crate) struct Page {
    pub(crate) report: ProjectReport,
    pub(crate) view: Viewpoint,
    /// What the two states are called.
    pub(crate) sides: [String; 2],
    /// The two states as the user named them, for commands to paste.
    pub(crate) revisions: Vec<String>,
}

/// A table of the page.
struct Section {
    title: &'static str,
    /// Said above the rows.
    note: Option<String>,
    /// The first is the head.
    rows: Vec<Vec<String>>,
    /// The command that shows all rows.
    command: &'static str,
}

impl Page {
    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.sections().iter().all(|section| section.rows.len() < 2) && self.not_downloaded().next().is_none()
    }

    /// Files of values that only a remote has.
    pub(crate) fn not_downloaded(&self) -> impl Iterator<Item = &RepoPath> {
        let failed = self.report.failed.iter();
        failed.filter(|(_, error)| error.kind() == ErrorKind::NotDownloaded).map(|(path, _)| path)
    }

    fn sections(&self) -> Vec<Section> {
        let [old, new] = &self.sides.each_ref().map(|side| commit(side).to_owned());
        let ProjectReport { metrics, params, data, stages, .. } = &self.report;
        let mut outputs = vec![["Output", "Files", "Size"].map(str::to_owned).to_vec()];
        outputs.extend(data.iter().map(|output| self.output(output)));
        let mut lines = vec![["Stage", "State", "Why"].map(str::to_owned).to_vec()];
        let mut told: Vec<&StageLine> =
            stages.iter().filter(|stage| stage.state != StageState::Skipped).collect();
        told.sort_by_key(|stage| stage.state);
        lines.extend(told.into_iter().map(stage_row));
        let section = |title, command, rows| Section { title, note: None, rows, command };
        vec![
            section("Metrics", "mlv metrics diff", self.values("Metric", metrics, [old, new], true)),
            section("Parameters", "mlv params diff", self.values("Param", params, [old, new], false)),
            section("Data", "mlv diff --stat", outputs),
            Section { note: counts(stages), ..section("Stages", "mlv status --only pipeline", lines) },
        ]
    }

    fn values(
        &self,
        noun: &'static str,
        diff: &ValuesDiff,
        [old, new]: [&String; 2],
        is_metric: bool,
    ) -> Vec<Vec<String>> {
        let show = |value: &Value| if is_metric { rounded(value, DIGITS) } else { value.to_string() };
        let table = Table {
            noun,
            sides: [old.clone(), new.clone()],
            show: &show,
            has_path: true,
            has_diff: is_metric,
        };
        table.rows(&diff.changes, &self.view)
    }

    fn output(&self, output: &OutputChange) -> Vec<String> {
        let files = match &output.entries {
            Some(entries) => entries_of(entries),
            None => match (output.before, output.after) {
                (Some(before), Some(after)) if before.files == after.files => {
                    format!("{} (not downloaded)", count(after.files, "file"))
                }
                (before, after) => {
                    let number = |side: Option<_>| {
                        side.map_or("0".to_owned(), |total: crate::ops::diff::Total| thousands(total.files))
                    };
                    format!("{} → {} (not downloaded)", number(before), number(after))
                }
            },
        };
        let size = match (output.before, output.after) {
            (None, None) => String::new(),
            (None, Some(new)) => format!("new, {}", ByteSize(new.bytes)),
            (Some(old), None) => format!("gone, was {}", ByteSize(old.bytes)),
            (Some(old), Some(new)) => size_change(old.bytes, new.bytes),
        };
        vec![self.view.path(&output.path), files, size]
    }

    /// For a terminal: all of it.
    pub(crate) fn text(&self, out: &mut Text) {
        for section in self.sections() {
            let note = section.note.filter(|_| !self.report.stages.is_empty());
            if section.rows.len() < 2 && note.is_none() {
                continue;
            }
            out.strong(section.title);
            if let Some(note) = note {
                out.put(": ").put(note);
            }
            out.end();
            if section.rows.len() > 1 {
                columns(&section.rows, out);
            }
        }
        if let Some(line) = self.absent() {
            out.put(line).end();
        }
    }

    /// In Markdown, at most [`MAX_PAGE`] bytes.
    pub(crate) fn markdown(&self, out: &mut Text) {
        let [old, new] = &self.sides;
        out.put(format!("## {} → {}", cell(&short(commit(old))), cell(&short(commit(new))))).end();
        if self.is_empty() {
            out.end().put("No differences.").end();
        }
        let mut room = MAX_PAGE - 4_000;
        let sections = self.sections();
        let mut sizes: Vec<usize> = sections.iter().map(size_of).collect();
        sizes.sort_unstable();
        // What the small ones leave is for the large ones.
        let mut share = room;
        for (at, size) in sizes.iter().enumerate() {
            share = room / (sizes.len() - at);
            if *size > share {
                break;
            }
            room -= size;
        }
        for section in &sections {
            self.section(section, share, out);
        }
        if let Some(line) = self.absent() {
            out.end().put(cell(&short(&line))).end();
        }
    }

    fn section(&self, section: &Section, room: usize, out: &mut Text) {
        if section.rows.len() < 2 && section.note.is_none() {
            return;
        }
        out.end().put(format!("### {}", section.title)).end().end();
        if let Some(note) = &section.note {
            out.put(note).end().end();
        }
        if section.rows.len() < 2 {
            return;
        }
        let mut used = 0;
        let fitting = section.rows.iter().take_while(|row| {
            used += row_size(row);
            used <= room
        });
        let shown: Vec<Vec<String>> =
            fitting.map(|row| row.iter().map(|cell| short(cell)).collect()).collect();
        markdown(shown.iter().map(Vec::as_slice), out);
        let (shown, all) = (shown.len() - 1, section.rows.len() - 1);
        if shown < all {
            let command = self.command(section.command);
            let (shown, all) = (thousands(shown as u64), thousands(all as u64));
            out.end()
                .put(format!("Only the first {shown} of {all} rows are here; `{command}` has all."))
                .end();
        }
    }

    /// A command with the revisions behind it; the state of the stages is that of the work tree.
    fn command(&self, command: &str) -> String {
        let revisions = self.revisions.iter().filter(|_| !command.contains("status"));
        let words = revisions.map(|revision| format!(" {}", shell::path(revision)));
        short(&format!("{command}{}", words.collect::<String>())).replace('`', "")
    }

    fn absent(&self) -> Option<String> {
        let files: Vec<String> =
            self.not_downloaded().map(|path| shell::path(&self.view.path(path.as_str()))).collect();
        if files.is_empty() {
            return None;
        }
        let number = count(files.len() as u64, "file");
        // Of more a line that can be pasted says all.
        let named = if files.len() > 5 { String::new() } else { format!(" {}", files.join(" ")) };
        Some(format!("Not compared, because not downloaded: {number} of values (mlv fetch{named})"))
    }
}

/// `+200 −3 ~10`, and what was renamed.
fn entries_of(entries: &ChangeCounts) -> String {
    let ChangeCounts { added, deleted, modified, renamed } = *entries;
    let counts = [(added, "+"), (deleted, "−"), (modified, "~"), (renamed, "→")];
    let told = counts.iter().filter(|(number, _)| *number > 0);
    told.map(|(number, sign)| format!("{sign}{}", thousands(*number))).collect::<Vec<_>>().join(" ")
}

fn stage_row(stage: &StageLine) -> Vec<String> {
    let state = match (stage.state, stage.seconds) {
        (StageState::Run, Some(seconds)) => {
            format!("run ({})", Span(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
        }
        (StageState::Run, None) => "run".to_owned(),
        (StageState::Restored, _) => "restored".to_owned(),
        (StageState::Skipped, _) => "skipped".to_owned(),
        (StageState::Stale, _) => "stale".to_owned(),
    };
    vec![stage.stage.clone(), state, reasons(&stage.reasons)]
}

/// `1 run, 2 restored, 3 skipped, 1 stale`.
fn counts(stages: &[StageLine]) -> Option<String> {
    let number = |state| stages.iter().filter(|stage| stage.state == state).count() as u64;
    let words = [
        (StageState::Run, "run"),
        (StageState::Restored, "restored"),
        (StageState::Skipped, "skipped"),
        (StageState::Stale, "stale"),
    ];
    let told = words.map(|(state, word)| format!("{} {word}", thousands(number(state))));
    (!stages.is_empty()).then(|| told.join(", "))
}

/// A revision as it is shown: of a commit's whole name the start.
fn commit(revision: &str) -> &str {
    let is_name = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_name { &revision[..7] } else { revision }
}

/// The text, cut where it is too long for a cell.
fn short(text: &str) -> String {
    if text.chars().count() <= MAX_CELL {
        return text.to_owned();
    }
    text.chars().take(MAX_CELL).collect::<String>() + "…"
}

fn row_size(row: &[String]) -> usize {
    let mut text = Text::new(false);
    for part in row {
        text.put(cell(&short(part)));
    }
    text.as_str().len() + 3 * row.len() + 2
}

/// Bytes of a section in Markdown, or some more.
fn size_of(section: &Section) -> usize {
    section.rows.iter().map(|row| row_size(row)).sum::<usize>()
        + section.rows.first().map_or(0, |head| row_size(head))
}
