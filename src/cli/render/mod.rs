//! Pieces of text that several commands show: counts and columns. Sizes and times are
//! [`crate::model::units::ByteSize`] and [`crate::model::units::Span`].

pub(crate) mod dag;
mod git_files;
pub(crate) mod plots;
pub(crate) mod report;
mod rescued;
pub(crate) mod status;
pub(crate) mod values;
mod viewpoint;

pub(crate) use git_files::{git_error, git_files};
pub(crate) use rescued::{LISTED, rescued};
pub(crate) use viewpoint::Viewpoint;

use crate::cli::escape::escape;
use crate::cli::ui::Text;

/// `1 file`, `12 files`, `300,000 entries`: the number with the right plural.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let number_text = thousands(number);
    if number == 1 {
        return format!("{number_text} {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number_text} {stem}ies"),
        _ if noun.ends_with(['s', 'x']) || noun.ends_with("ch") => format!("{number_text} {noun}es"),
        _ => format!("{number_text} {noun}s"),
    }
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes rows in columns two spaces apart, without spaces at the end; all rows have as many cells as the
/// first. A row is indented by two.
pub(crate) fn columns<R: AsRef<[String]>>(rows: &[R], out: &mut Text) {
    let number = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |row: &R, at: usize| row.as_ref().get(at).map_or(0, |cell| escape(cell).chars().count());
    let widths: Vec<usize> =
        (0..number).map(|at| rows.iter().map(|row| width(row, at)).max().unwrap_or(0)).collect();
    for row in rows {
        let filled = row.as_ref().iter().rposition(|cell| !cell.is_empty()).map_or(0, |at| at + 1);
        for (at, cell) in row.as_ref()[..filled].iter().enumerate() {
            out.put("  ").put(cell);
            if at + 1 < filled {
                out.put(" ".repeat(widths[at] - width(row, at)));
            }
        }
        out.end();
    }
}

/// What to do about outputs that were never here.
pub(crate) const NOT_DOWNLOADED_HINT: &str =
    "`mlv repro --pull` or `mlv pull` brings what is not downloaded; `mlv repro` alone makes it again";

/// Why a stage runs, as text: `changed deps: a, b, never run`.
pub(crate) fn reasons(reasons: &[serde_json::Value]) -> String {
    reasons.iter().map(reason).collect::<Vec<_>>().join(", ")
}

/// One reason: `changed deps: a, b`.
fn reason(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(kinds) => {
            let texts = kinds.iter().map(|(kind, paths)| {
                let paths = paths.as_object().map(|paths| paths.keys().cloned().collect::<Vec<_>>());
                format!("{kind}: {}", paths.unwrap_or_default().join(", "))
            });
            texts.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_right_plural() {
        let shown =
            [(0, "file"), (1, "entry"), (2, "entry"), (300_000, "entry"), (1234, "key"), (2, "branch")]
                .map(|(number, noun)| count(number, noun));
        assert_eq!(shown, ["0 files", "1 entry", "2 entries", "300,000 entries", "1,234 keys", "2 branches"]);
    }

    #[test]
    fn columns_line_up() {
        let mut text = Text::new(false);
        columns(&[["a", "x"].map(str::to_owned), ["long\n", "y"].map(str::to_owned)], &mut text);
        assert_eq!(text.as_str(), "  a       x\n  long\\n  y\n");
    }
}
