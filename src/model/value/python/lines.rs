//! Python's logical lines: brackets, quotes and backslashes join lines, comments go.

use crate::model::value::python::{PythonProblem, Refusal};

/// A logical line that is not blank.
pub(super) struct Line {
    /// Of its first line, from 1.
    pub(super) number: u32,
    /// Columns in front of it; a tab goes to the next multiple of eight.
    pub(super) indent: usize,
    /// Without comments and line ends outside of texts.
    pub(super) code: String,
}

pub(super) fn logical(text: &str) -> Result<Vec<Line>, Refusal> {
    let mut scanner = Scanner { rest: text, number: 1 };
    let mut lines = Vec::new();
    while !scanner.rest.is_empty() {
        let line = scanner.line()?;
        if !line.code.is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}

struct Scanner<'a> {
    rest: &'a str,
    number: u32,
}

impl Scanner<'_> {
    fn line(&mut self) -> Result<Line, Refusal> {
        let mut line = Line { number: self.number, indent: 0, code: String::new() };
        while let Some(c) = self.rest.chars().next().filter(|c| matches!(c, ' ' | '\t' | '\u{c}')) {
            line.indent = if c == '\t' { (line.indent / 8 + 1) * 8 } else { line.indent + 1 };
            self.rest = &self.rest[1..];
        }
        let mut brackets = 0_usize;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '#' => {
                    self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
                    continue;
                }
                '"' | '\'' => {
                    let length = self.quoted(c)?;
                    let (quoted, rest) = self.rest.split_at(length);
                    line.code.push_str(quoted);
                    self.number += quoted.matches('\n').count() as u32;
                    self.rest = rest;
                    continue;
                }
                '(' | '[' | '{' => brackets += 1,
                ')' | ']' | '}' => {
                    brackets = brackets.checked_sub(1).ok_or((self.number, PythonProblem::ClosingBracket))?;
                }
                '\n' => {
                    self.number += 1;
                    self.rest = &self.rest[1..];
                    if brackets == 0 {
                        line.code.truncate(line.code.trim_end().len());
                        return Ok(line);
                    }
                    line.code.push(' ');
                    continue;
                }
                '\\' if self.rest[1..].trim_start_matches('\r').starts_with('\n') => {
                    self.number += 1;
                    self.rest = &self.rest[self.rest.find('\n').map_or(self.rest.len(), |at| at + 1)..];
                    line.code.push(' ');
                    continue;
                }
                _ => {}
            }
            line.code.push(c);
            self.rest = &self.rest[c.len_utf8()..];
        }
        if brackets > 0 {
            return Err((line.number, PythonProblem::OpenBracket));
        }
        line.code.truncate(line.code.trim_end().len());
        Ok(line)
    }

    /// The length of the text that starts here, quotes included.
    fn quoted(&self, quote: char) -> Result<usize, Refusal> {
        let triple = quote.to_string().repeat(3);
        let end = if self.rest.starts_with(&triple) { triple.as_str() } else { &triple[..1] };
        let mut at = end.len();
        loop {
            let rest = &self.rest[at..];
            if rest.starts_with(end) {
                return Ok(at + end.len());
            }
            match rest.chars().next() {
                // Also in raw texts a quote behind a backslash does not end them.
                Some('\\') => at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
                Some('\n') if end.len() == 1 => return Err((self.number, PythonProblem::OpenText)),
                Some(c) => at += c.len_utf8(),
                None => return Err((self.number, PythonProblem::OpenText)),
            }
        }
    }
}
