//! Makes text from outside harmless on a terminal (R16).
//!
//! File names, configuration, remotes and other programs may contain anything. What could
//! steer a terminal or reorder what a reader sees is shown as an escape: C0 and C1 controls,
//! DEL, the bidirectional controls, the line and paragraph separators, bytes that are not
//! UTF-8. Everything that is printed goes through here; JSON through [`JsonFormatter`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use crate::model::secret::has_credential;

/// Whether `c` must not reach a terminal as it is.
fn is_harmful(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Bidirectional marks, embeddings, overrides and isolates (UAX #9 §2).
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}')
}

/// The text on one line, with everything harmful as an escape: `\n`, `\x1b`, `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if c.is_ascii() && is_harmful(c) => push(&mut safe, format_args!("\\x{:02x}", u32::from(c))),
            c if is_harmful(c) => push(&mut safe, format_args!("\\u{{{:x}}}", u32::from(c))),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Bytes that ought to be text, escaped as [`escape`] does; what is not UTF-8 becomes `\xff`.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        safe.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            push(&mut safe, format_args!("\\x{byte:02x}"));
        }
    }
    safe
}

/// The text with credentials in URLs taken out (R12): `https://***@host/`.
///
/// Errors of other libraries may quote a URL; none of them is trusted to leave them out.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme_at = rest[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |before| before + rest[before..].chars().next().map_or(0, char::len_utf8));
        let authority = at + 3;
        let end = rest[authority..].find(ends_authority).map_or(rest.len(), |end| authority + end);
        let kept = if has_credential(&rest[scheme_at..end]) { rest[..end].rfind('@') } else { None };
        safe.push_str(&rest[..authority]);
        safe.push_str(if kept.is_some() { "***" } else { "" });
        safe.push_str(&rest[kept.unwrap_or(authority)..end]);
        rest = &rest[end..];
    }
    safe.push_str(rest);
    Cow::Owned(safe)
}

fn ends_authority(c: char) -> bool {
    matches!(c, '/' | '?' | '#' | '"' | '\'' | '`') || c.is_whitespace()
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("writing to a String cannot fail");
}

/// Writes compact JSON in which everything harmful is `\u…`: equal in meaning, safe to print.
pub(crate) struct JsonFormatter;

impl serde_json::ser::Formatter for JsonFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_harmful) {
            let c = rest[at..].chars().next().expect("a match is a character");
            writer.write_all(&rest.as_bytes()[..at])?;
            // Every harmful character is in the basic plane: four digits hold it.
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// The value as one line of JSON, safe to print, without a line end.
pub(crate) fn json_line(value: &impl serde::Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, JsonFormatter);
    value.serialize(&mut serializer).expect("reports have text keys and finite numbers");
    String::from_utf8(bytes).expect("the serializer writes UTF-8")
}

/// What a terminal would show of a line in the end: what a progress bar overwrote is left out,
/// and so are the sequences that paint.
pub(crate) fn visible(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or_default();
    let mut pieces = line.split("\x1b[");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // ECMA-48 §5.4: parameters and intermediates, then one final byte from `@` to `~`.
        let end = piece.find(|c: char| ('@'..='~').contains(&c)).map_or(piece.len(), |at| at + 1);
        text.push_str(&piece[end..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_controls_as_escapes() {
        assert_eq!(escape("plain ü 語 \u{1f600}"), "plain ü 語 \u{1f600}");
        assert_eq!(escape("a\x1b[31mb\nc\x7f\u{9b}d"), "a\\x1b[31mb\\nc\\x7f\\u{9b}d");
        assert_eq!(escape("exe\u{202e}gnp"), "exe\\u{202e}gnp");
        assert_eq!(escape_bytes(b"a\xff\x1bb\xc3"), "a\\xff\\x1bb\\xc3");
    }

    #[test]
    fn takes_credentials_out_of_urls() {
        assert_eq!(redact("get https://me:pw@host/x failed"), "get https://***@host/x failed");
        assert_eq!(redact("`s3://k:a@b@host` and http://x/y@z"), "`s3://***@host` and http://x/y@z");
        assert_eq!(redact("https://host/a https://u@h"), "https://host/a https://***@h");
        assert_eq!(redact("no url, x:y@z"), "no url, x:y@z");
        assert_eq!(redact("`ssh://me@host` ü://a:b@c"), "`ssh://me@host` ü://***@c");
        assert_eq!(redact("abfss://box@account.example/x"), "abfss://box@account.example/x");
    }

    proptest! {
        // R16: nothing harmful comes out, whatever goes in.
        #[test]
        fn nothing_harmful_is_left(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "\\PC*|.*") {
            prop_assert!(!escape_bytes(&bytes).contains(is_harmful));
            prop_assert!(!escape(&text).contains(is_harmful));
        }

        // R16: JSON stays valid and says the same.
        #[test]
        fn json_is_safe_and_means_the_same(text in any::<String>()) {
            let text = format!("{text}\u{9b}\x1b\u{202e}");
            let line = json_line(&text);
            prop_assert!(!line.contains(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(&line).expect("valid"), text);
        }

        #[test]
        fn redaction_leaves_no_password(user in "[a-z]{1,8}", word in "[a-zA-Z0-9:@]{1,12}") {
            let text = format!("cannot reach https://{user}:{word}SECRET@host.example/path");
            prop_assert!(!redact(&text).contains("SECRET"));
        }
    }

    #[test]
    fn output_of_a_stage_is_shown_as_it_ended() {
        assert_eq!(visible("10 %\r50 %\r\x1b[32m100 %\x1b[0m\r"), "100 %");
        assert_eq!(visible("cut \x1b[31"), "cut ");
    }
}
