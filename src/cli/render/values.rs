//! Tables of values that changed, for terminals and in Markdown.

use crate::cli::render::{Viewpoint, columns};
use crate::cli::ui::Text;
use crate::model::value::{Value, ValueChange};
use crate::model::values::ChangesByFile;

/// What a table of changes shows.
pub(crate) struct Table<'a> {
    /// What a key is called: `Metric`.
    pub(crate) noun: &'static str,
    /// What the two states are called.
    pub(crate) sides: [String; 2],
    /// A value as it is shown.
    pub(crate) show: &'a dyn Fn(&Value) -> String,
    /// Whether files have a column.
    pub(crate) has_path: bool,
    /// Whether differences have a column.
    pub(crate) has_diff: bool,
}

impl Table<'_> {
    /// Columns for a terminal; nothing for no changes.
    pub(crate) fn text(&self, changes: &ChangesByFile, view: &Viewpoint, out: &mut Text) {
        let rows = self.rows(changes, view);
        if rows.len() > 1 {
            columns(&rows, out);
        }
    }

    /// A table in Markdown.
    pub(crate) fn markdown(&self, changes: &ChangesByFile, view: &Viewpoint, out: &mut Text) {
        markdown(self.rows(changes, view).iter().map(Vec::as_slice), out);
    }

    /// The rows, the first of which is the head: key and both values, before them the file, after them the
    /// difference, where these have a column.
    pub(crate) fn rows(&self, changes: &ChangesByFile, view: &Viewpoint) -> Vec<Vec<String>> {
        let [old, new] = self.sides.clone();
        let mut rows =
            vec![self.row(["Path".to_owned(), self.noun.to_owned(), old, new, "Change".to_owned()])];
        for (file, keys) in changes {
            for (key, change) in keys {
                rows.push(self.row(self.cells(view.path(file.as_str()), key, change)));
            }
        }
        rows
    }

    /// The cells that have a column.
    fn row(&self, [file, key, old, new, diff]: [String; 5]) -> Vec<String> {
        let (file, diff) = (self.has_path.then_some(file), self.has_diff.then_some(diff));
        file.into_iter().chain([key, old, new]).chain(diff).collect()
    }

    fn cells(&self, file: String, key: &str, change: &ValueChange) -> [String; 5] {
        let show = |value: &Value| if *value == Value::Null { "-".to_owned() } else { (self.show)(value) };
        let diff = change.diff.as_ref().map_or("-".to_owned(), |diff| (self.show)(diff));
        [file, key.to_owned(), show(&change.old), show(&change.new), diff]
    }
}

/// A table in Markdown, whose first row is its head.
pub(crate) fn markdown<'r>(rows: impl Iterator<Item = &'r [String]>, out: &mut Text) {
    for (at, row) in rows.enumerate() {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        out.put(format!("| {} |", cells.join(" | "))).end();
        if at == 0 {
            let lines: Vec<String> = cells.iter().map(|cell| "-".repeat(cell.chars().count() + 2)).collect();
            out.put(format!("|{}|", lines.join("|"))).end();
        }
    }
}

/// The text for a cell: nothing in it is Markdown or HTML.
pub(crate) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '[' | ']' => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
}

/// What the two states of a comparison are called: as the user named them.
pub(crate) fn sides(revisions: &[String]) -> [String; 2] {
    const WORK_TREE: &str = "work tree";
    let name = |text: &str| if text.is_empty() { "HEAD".to_owned() } else { text.to_owned() };
    match revisions {
        [] => ["HEAD".to_owned(), WORK_TREE.to_owned()],
        [one] => match one.split_once("...").or_else(|| one.split_once("..")) {
            Some((a, b)) => [name(a), name(b)],
            None => [one.clone(), WORK_TREE.to_owned()],
        },
        [a, b, ..] => [a.clone(), b.clone()],
    }
}
