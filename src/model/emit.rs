//! YAML scalars as mlv writes them: plain where every YAML reader sees the same text, else quoted.

use std::borrow::Cow;
use std::fmt::Write;

use crate::model::value::{Value, float_text, resolve};

/// `text` as a key or a value of block style.
pub fn scalar(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

/// Whether `text` can stand without quotes as a key or value of block style, and reads back as
/// itself with any YAML reader, be it of version 1.1 (where `no` and `12:30` are no texts) or 1.2.
pub fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if first.is_ascii_punctuation() && !matches!(first, '_' | '/' | '.' | '$' | '(' | '+' | '\\') {
        return false;
    }
    let ok = |c: char| (' '..='~').contains(&c) || (!c.is_ascii() && c.is_alphanumeric());
    text.chars().all(ok)
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !looks_like_a_number(text)
        && !is_word_of_yaml_1_1(text)
        && matches!(resolve(text), Value::Text(_))
}

/// Numbers, dates and times of any YAML version: digits and what goes between them.
fn looks_like_a_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let based = unsigned.starts_with("0x") || unsigned.starts_with("0X") || unsigned.starts_with("0b");
    let part =
        |c: char| c.is_ascii_digit() || "+-.:_eEoTtZ ".contains(c) || (based && c.is_ascii_alphanumeric());
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(part)
}

fn is_word_of_yaml_1_1(text: &str) -> bool {
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    text.len() <= 3 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `text` in double quotes on one line.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ if !c.is_ascii() && c.is_alphanumeric() => out.push(c),
            _ => {
                // Writing to a String cannot fail.
                let _ = match u32::from(c) {
                    code @ ..=0xff => write!(out, "\\x{code:02x}"),
                    code @ ..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// A value on one line, map keys sorted: equal values give equal bytes.
pub fn value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Text(text) => out.push_str(&scalar(text)),
        Value::List(_) | Value::Map(_) => flow(value, out),
    }
}

fn flow(inner: &Value, out: &mut String) {
    match inner {
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (index, (key, item)) in sorted.into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow_text(key, out);
                out.push_str(": ");
                flow(item, out);
            }
            out.push('}');
        }
        Value::Text(text) => flow_text(text, out),
        _ => value(inner, out),
    }
}

/// Within brackets, commas and colons would end a plain text.
fn flow_text(text: &str, out: &mut String) {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ');
    if is_plain(text) && text.chars().all(safe) { out.push_str(text) } else { out.push_str(&quoted(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml::{Limits, load};

    fn read(text: &str) -> Value {
        Value::of(&load("f", text, Limits::PIPELINE).unwrap())
    }

    #[test]
    fn texts_that_some_reader_takes_for_something_else_are_quoted() {
        for plain in [
            "train.csv",
            "a b",
            "data/x",
            "python3 a.py --lr 0.1 > o",
            "b3:0",
            "é",
            ".x",
            "$A",
            "2a-q",
            "2f5e3b1c",
            "..",
            "3.csv",
        ] {
            assert_eq!(scalar(plain), plain);
        }
        for text in [
            "",
            "1",
            "1.5",
            "1e3",
            "0x1f",
            "null",
            "~",
            "true",
            "no",
            "ON",
            "y",
            "2026-11-20",
            "12:30",
            "1_000",
            "-",
            "- a",
            "? a",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "'a'",
            "\"",
            "%a",
            "@a",
            "`a",
            " a",
            "a ",
            "a\nb",
            "a\tb",
            "\u{1b}[0m",
            "\u{202e}x",
            "\u{85}",
            "[a]",
            "{a}",
            ",a",
            "<<",
            "=",
            "---",
        ] {
            assert!(scalar(text).starts_with('"'), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn texts_read_back_as_keys_values_and_in_brackets(text: String, key in ".{1,20}") {
            let node = format!("{}:\n  {}\n", scalar(&key), scalar(&text));
            let pair = (key.as_str().into(), Value::Text(text.as_str().into()));
            proptest::prop_assert_eq!(read(&node), Value::Map(vec![pair.clone()]));
            let mut out = String::from("- ");
            let list = Value::List(vec![Value::Map(vec![pair]), Value::Text(text.into())]);
            value(&list, &mut out);
            out.push('\n');
            proptest::prop_assert_eq!(read(&out), Value::List(vec![list]));
        }
    }
}
