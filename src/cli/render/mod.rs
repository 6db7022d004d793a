//! Pieces of text that several commands show: counts, sizes, times, columns.

use std::time::Duration;

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

/// `512 B`, `1.5 KiB`, `340 MiB`: three digits at most before the unit.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1024.0;
    let mut unit = 0;
    // 1023.5 would print as 1024.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// `0.3s`, `4.1s`, `2m 05s`, `3h 02m`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Writes rows in columns two spaces apart, the last one not padded. A row is indented by two.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]], out: &mut Text) {
    let width = |row: &[String; N], at: usize| escape(&row[at]).chars().count();
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| width(row, at)).max().unwrap_or(0));
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            out.put("  ").put(cell);
            if at + 1 < N {
                out.put(" ".repeat(widths[at] - width(row, at)));
            }
        }
        out.end();
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
    fn sizes_have_at_most_three_digits() {
        let sizes = [0, 1023, 1024, 1536, 10 << 10, 340 << 20, (1 << 20) - 1, 5 << 30, u64::MAX];
        assert_eq!(
            sizes.map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "340 MiB", "1.0 MiB", "5.0 GiB", "16 EiB"]
        );
    }

    #[test]
    fn times_are_short() {
        let times = [250, 4_100, 125_000, 10_920_000].map(|millis| duration(Duration::from_millis(millis)));
        assert_eq!(times, ["0.2s", "4.1s", "2m 05s", "3h 02m"]);
    }

    #[test]
    fn columns_line_up() {
        let mut text = Text::new(false);
        columns(&[["a".into(), "x".into()], ["long\n".into(), "y".into()]], &mut text);
        assert_eq!(text.as_str(), "  a       x\n  long\\n  y\n");
    }
}
