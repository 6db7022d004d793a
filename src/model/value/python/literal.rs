//! One Python literal.

use crate::model::value::python::is_word;
use crate::model::value::{Entries, Value};

/// More values than were left.
pub(super) struct TooMany;

/// Why there is no value.
enum Stop {
    /// It is no literal, which is nothing wrong.
    NoLiteral,
    TooMany,
}

/// The value of `written`; nothing if it is anything but a literal, or nested too deep.
pub(super) fn read(written: &str, depth: usize, left: &mut usize) -> Result<Option<Value>, TooMany> {
    let mut reader = Reader { rest: written, left };
    let value = reader.value(depth);
    match value {
        Ok(value) if reader.rest.trim().is_empty() => Ok(Some(value)),
        Err(Stop::TooMany) => Err(TooMany),
        _ => Ok(None),
    }
}

struct Reader<'a, 'l> {
    rest: &'a str,
    left: &'l mut usize,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        *self.left = self.left.checked_sub(1).ok_or(Stop::TooMany)?;
        let depth = depth.checked_sub(1).ok_or(Stop::NoLiteral)?;
        self.rest = self.rest.trim_start();
        match self.rest.chars().next().ok_or(Stop::NoLiteral)? {
            '[' => self.items(depth, ']').map(|(items, _)| Value::List(items)),
            '(' => match self.items(depth, ')')? {
                // Brackets around one value alone are no tuple.
                (mut items, false) if items.len() == 1 => items.pop().ok_or(Stop::NoLiteral),
                (items, _) => Ok(Value::List(items)),
            },
            '{' => self.braces(depth),
            '-' | '+' => self.signed(),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            _ => self.word_or_text(),
        }
    }

    fn take(&mut self, mark: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Items up to `end`, and whether there was a comma.
    fn items(&mut self, depth: usize, end: char) -> Result<(Vec<Value>, bool), Stop> {
        self.rest = &self.rest[1..];
        self.items_from(depth, end, Vec::new())
    }

    fn items_from(
        &mut self,
        depth: usize,
        end: char,
        mut items: Vec<Value>,
    ) -> Result<(Vec<Value>, bool), Stop> {
        let mut has_comma = false;
        while !self.take(end) {
            items.push(self.value(depth)?);
            if self.take(',') {
                has_comma = true;
            } else if self.take(end) {
                break;
            } else {
                return Err(Stop::NoLiteral);
            }
        }
        Ok((items, has_comma))
    }

    /// A dictionary, or a set.
    fn braces(&mut self, depth: usize) -> Result<Value, Stop> {
        self.rest = &self.rest[1..];
        let mut entries = Entries::new();
        while !self.take('}') {
            let key = self.value(depth)?;
            if !self.take(':') {
                let is_set = entries.is_empty() && (self.take(',') || self.rest.starts_with('}'));
                let items =
                    if is_set { self.items_from(depth, '}', vec![key]) } else { Err(Stop::NoLiteral) };
                return items.map(|(items, _)| Value::List(items));
            }
            let key: Box<str> = match key {
                Value::Text(text) => text,
                Value::List(_) | Value::Map(_) => return Err(Stop::NoLiteral),
                other => other.to_string().into(),
            };
            entries.push((key, self.value(depth)?));
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err(Stop::NoLiteral);
            }
        }
        Ok(Value::Map(last_of_each(entries)))
    }

    fn signed(&mut self) -> Result<Value, Stop> {
        let is_negative = self.rest.starts_with('-');
        self.rest = self.rest[1..].trim_start();
        match self.number()? {
            Value::Int(number) if is_negative => Ok(Value::Int(-number)),
            Value::Float(number) if is_negative => Ok(Value::Float(-number)),
            value => Ok(value),
        }
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let is_part = |(at, c): (usize, char)| {
            let exponent = matches!(self.rest[..at].chars().next_back(), Some('e' | 'E'));
            is_word(c) || c == '.' || (exponent && matches!(c, '+' | '-') && !self.rest.starts_with("0x"))
        };
        let end =
            self.rest.char_indices().find(|found| !is_part(*found)).map_or(self.rest.len(), |(at, _)| at);
        let (written, rest) = self.rest.split_at(end);
        let digits = written.replace('_', "").to_lowercase();
        let radix = |prefix: &str, radix| {
            let digits = digits.strip_prefix(prefix).filter(|digits| !digits.starts_with(['+', '-']))?;
            i128::from_str_radix(digits, radix).ok()
        };
        let whole = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).or(radix("", 10));
        let is_float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-'));
        let value = match whole {
            Some(number) => Value::Int(number),
            None if is_float => Value::Float(digits.parse().map_err(|_| Stop::NoLiteral)?),
            None => return Err(Stop::NoLiteral),
        };
        self.rest = rest;
        Ok(value)
    }

    /// `True`, `False`, `None`, or texts one behind the other.
    fn word_or_text(&mut self) -> Result<Value, Stop> {
        let mut text = String::new();
        let mut is_text = false;
        loop {
            let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            if !rest.starts_with(['"', '\'']) {
                break;
            }
            let prefix = word.to_lowercase();
            if !matches!(prefix.as_str(), "" | "r" | "u") {
                return Err(Stop::NoLiteral);
            }
            self.rest = rest;
            text.push_str(&self.text(prefix == "r")?);
            self.rest = self.rest.trim_start();
            is_text = true;
        }
        if is_text {
            return Ok(Value::Text(text.into()));
        }
        let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        let value = match &self.rest[..end] {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" => Value::Null,
            _ => return Err(Stop::NoLiteral),
        };
        self.rest = &self.rest[end..];
        Ok(value)
    }

    /// A text in quotes; the line reader has checked that it ends.
    fn text(&mut self, is_raw: bool) -> Result<String, Stop> {
        let is_triple = self.rest.starts_with("\"\"\"") || self.rest.starts_with("'''");
        let quote = self.rest.get(..if is_triple { 3 } else { 1 }).ok_or(Stop::NoLiteral)?;
        let mut rest = &self.rest[quote.len()..];
        let mut text = String::new();
        loop {
            if let Some(behind) = rest.strip_prefix(quote) {
                self.rest = behind;
                return Ok(text);
            }
            let c = rest.chars().next().ok_or(Stop::NoLiteral)?;
            rest = &rest[c.len_utf8()..];
            if c != '\\' {
                text.push(c);
                continue;
            }
            let escaped = rest.chars().next().ok_or(Stop::NoLiteral)?;
            rest = &rest[escaped.len_utf8()..];
            match (is_raw, escaped) {
                (false, 'n') => text.push('\n'),
                (false, 't') => text.push('\t'),
                (false, 'r') => text.push('\r'),
                (false, '\n') => {}
                (false, '\\' | '\'' | '"') => text.push(escaped),
                // Codes of characters are rare in parameters: rather no value than a wrong one.
                (false, 'x' | 'u' | 'U' | 'N' | '0'..='7' | 'a' | 'b' | 'f' | 'v') => {
                    return Err(Stop::NoLiteral);
                }
                (_, other) => {
                    text.push('\\');
                    text.push(other);
                }
            }
        }
    }
}

/// Python lets a key stand twice: the last holds.
fn last_of_each(entries: Entries) -> Entries {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Entries = entries.into_iter().rev().filter(|(key, _)| seen.insert(key.clone())).collect();
    kept.reverse();
    kept
}
