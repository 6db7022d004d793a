//! Numbers with units, as people read and write them: byte counts and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes; prints as `64 MiB`, `3.2 KiB`, `17 B`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Why a text is no [`ByteSize`] or [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseUnitError {
    /// It does not start with a decimal number.
    #[error("there is no number in front")]
    Number,
    /// The unit is not known.
    #[error("the unit is not known")]
    Unit,
    /// It does not fit.
    #[error("the number is too large")]
    Overflow,
}

const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut unit = 1;
        let mut value = self.0 as f64 / 1024.0;
        // 1023.95 would print as 1024.0 of the smaller unit.
        while value >= 1023.95 && unit + 1 < BINARY.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = if value < 99.95 { 1 } else { 0 };
        let text = format!("{value:.digits$}");
        write!(f, "{} {}", text.strip_suffix(".0").unwrap_or(&text), BINARY[unit])
    }
}

/// Two numbers of bytes, with as many digits as it takes to tell them apart, but three at most behind
/// the point: `1 GiB → 41 GiB`, `41.00 → 41.03 GiB`.
pub fn size_change(old: u64, new: u64) -> String {
    let [before, after] = [old, new].map(|bytes| ByteSize(bytes).to_string());
    if old == new || before != after {
        return if old == new { after } else { format!("{before} → {after}") };
    }
    let (mut unit, mut scale) = (0, 1.0);
    while old.max(new) as f64 / scale >= 1023.95 && unit + 1 < BINARY.len() {
        (unit, scale) = (unit + 1, scale * 1024.0);
    }
    let shown = |bytes: u64, digits: usize| format!("{:.digits$}", bytes as f64 / scale);
    let digits = (1..3).find(|digits| shown(old, *digits) != shown(new, *digits)).unwrap_or(3);
    format!("{} → {} {}", shown(old, digits), shown(new, digits), BINARY[unit])
}

impl FromStr for ByteSize {
    type Err = ParseUnitError;

    /// Reads `64 MiB`, `64M`, `1.5 GB`, `4096`: K, M, G, T and KiB… are powers of 1024, KB… of 1000.
    fn from_str(text: &str) -> Result<ByteSize, ParseUnitError> {
        let (number, unit) = split(text)?;
        let lower = unit.to_ascii_lowercase();
        let (base, letter) = match lower.strip_suffix("ib") {
            Some(letter) => (1024u64, letter),
            None => match lower.strip_suffix('b') {
                Some(letter) => (1000, letter),
                None => (1024, lower.as_str()),
            },
        };
        let power = match letter {
            "" => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            "p" => 5,
            "e" => 6,
            _ => return Err(ParseUnitError::Unit),
        };
        scale(number, base.pow(power)).map(ByteSize)
    }
}

/// A length of time; prints as `340 ms`, `3.2s`, `2m05s`, `1h02m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        // Rounded first, so that 59.96 s does not print as 60.0s.
        let seconds = (millis + 500) / 1000;
        match millis {
            0..1000 => write!(f, "{millis} ms"),
            1000..59_950 => write!(f, "{:.1}s", millis as f64 / 1000.0),
            _ if seconds < 3600 => write!(f, "{}m{:02}s", seconds / 60, seconds % 60),
            _ => write!(f, "{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        }
    }
}

/// A time that goes on, in whole seconds: `7s`, `1m07s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ 0..60 => write!(f, "{seconds}s"),
            seconds => Span(Duration::from_secs(seconds)).fmt(f),
        }
    }
}

impl FromStr for Span {
    type Err = ParseUnitError;

    /// Reads one number with one unit: `500ms`, `30s`, `10m`, `2h`, `14d`, `3w`; without a unit, seconds.
    fn from_str(text: &str) -> Result<Span, ParseUnitError> {
        let (number, unit) = split(text)?;
        let millis = match unit {
            "ms" => 1,
            "" | "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(ParseUnitError::Unit),
        };
        scale(number, millis).map(|millis| Span(Duration::from_millis(millis)))
    }
}

/// The decimal number in front, and the unit behind it.
fn split(text: &str) -> Result<(&str, &str), ParseUnitError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(ParseUnitError::Number);
    }
    Ok((&text[..end], text[end..].trim_start()))
}

fn scale(number: &str, factor: u64) -> Result<u64, ParseUnitError> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or(ParseUnitError::Overflow);
    }
    let value: f64 = number.parse().map_err(|_| ParseUnitError::Number)?;
    let scaled = value * factor as f64;
    if scaled < u64::MAX as f64 { Ok(scaled as u64) } else { Err(ParseUnitError::Overflow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_differ_a_little_are_told_apart() {
        let gib = |size: f64| (size * f64::from(1 << 30)) as u64;
        assert_eq!(size_change(gib(41.0), gib(41.03)), "41.00 → 41.03 GiB");
        assert_eq!(size_change(gib(1.0), gib(41.0)), "1 GiB → 41 GiB");
        assert_eq!(size_change(17, 900), "17 B → 900 B");
        assert_eq!(size_change(17, 2048), "17 B → 2 KiB");
        assert_eq!(size_change(gib(41.0), gib(41.0) + 1), "41.000 → 41.000 GiB");
        assert_eq!(size_change(2048, 2048), "2 KiB");
    }

    #[test]
    fn sizes_print_short_and_parse_back() {
        let print = |bytes| ByteSize(bytes).to_string();
        assert_eq!(print(0), "0 B");
        assert_eq!(print(1023), "1023 B");
        assert_eq!(print(1024), "1 KiB");
        assert_eq!(print(3300), "3.2 KiB");
        assert_eq!(print(14_445_097), "13.8 MiB");
        assert_eq!(print((1 << 20) - 1), "1 MiB");
        assert_eq!(print(340 << 20), "340 MiB");
        assert_eq!(print(u64::MAX), "16 EiB");
        for (text, bytes) in [("64 MiB", 64 << 20), ("64M", 64 << 20), ("1.5kb", 1500), ("7", 7), ("7 B", 7)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "-1", "x", "1 X", "1.2.3", "99999999999999 EiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_print_short_and_parse_back() {
        let print = |millis| Span(Duration::from_millis(millis)).to_string();
        assert_eq!(print(340), "340 ms");
        assert_eq!(print(3210), "3.2s");
        assert_eq!(print(59_960), "1m00s");
        assert_eq!(print(125_000), "2m05s");
        assert_eq!(print(3_720_000), "1h02m");
        assert_eq!("14d".parse(), Ok(Span(Duration::from_secs(14 * 86_400))));
        assert_eq!("0.5s".parse(), Ok(Span(Duration::from_millis(500))));
        assert_eq!("1y".parse::<Span>(), Err(ParseUnitError::Unit));
    }
}
