//! Python text as a [`Value`]: the literals that are assigned at the top and in classes.
//!
//! As DVC reads them: `NAME = 1`, in a class `name = 1`, and in its `__init__` `self.name = 1`. What
//! is no literal, and all other code, is passed over; nothing is run. A reader of our own: the
//! crates that parse Python bring all of its grammar, and a tenth of it will do.

use std::collections::HashMap;

use crate::model::place::{Located, Mark, Problem};
use crate::model::value::{Entries, Value};
use crate::model::yaml::Limits;

mod lines;
mod literal;

use lines::Line;

/// Why a Python text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PythonProblem {
    /// A text without its end.
    #[error("this is no Python: a text does not end")]
    OpenText,
    /// Brackets without their ends.
    #[error("this is no Python: a bracket is not closed")]
    OpenBracket,
    /// A closing bracket without its partner.
    #[error("this is no Python: a bracket closes nothing")]
    ClosingBracket,
    /// More values than the limit.
    #[error("more values than the limit of {limit}")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Nesting beyond the limit.
    #[error("classes are nested deeper than the limit of {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

impl Problem for PythonProblem {}

type Refusal = (u32, PythonProblem);

/// Reads the literals of a Python source.
pub fn parse_python(file: &str, text: &str, limits: Limits) -> Result<Value, Located<PythonProblem>> {
    let entries = lines::logical(text).and_then(|lines| {
        let mut reader = Reader { lines: &lines, limits, left: limits.nodes };
        reader.body(None, limits.depth, Within::Class)
    });
    entries.map(Value::Map).map_err(|(line, problem)| {
        Located::new(file, text, Mark { line, column: 1, ..Mark::default() }, problem)
    })
}

/// Where assignments stand.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// At the top or in a class: `name = …`.
    Class,
    /// In `__init__`: `self.name = …`.
    Init,
}

struct Reader<'a> {
    lines: &'a [Line],
    limits: Limits,
    left: usize,
}

impl Reader<'_> {
    /// The assignments of a block: of all lines that are indented deeper than `outer`.
    fn body(&mut self, outer: Option<usize>, depth: usize, within: Within) -> Result<Entries, Refusal> {
        let mut found = Found::default();
        let mut own = None;
        while let Some((line, rest)) = self.lines.split_first() {
            if outer.is_some_and(|outer| line.indent <= outer) {
                break;
            }
            let own = *own.get_or_insert(line.indent);
            self.lines = rest;
            if line.indent > own {
                // The body of a loop or of a function.
                continue;
            }
            let too_deep = (line.number, PythonProblem::TooDeep { limit: self.limits.depth });
            let inner = depth.checked_sub(1).ok_or(too_deep)?;
            let is_class = within == Within::Class;
            if let Some(name) = word_after(&line.code, "class ").filter(|_| is_class) {
                let entries = self.body(Some(own), inner, Within::Class)?;
                found.put(name, Value::Map(entries));
            } else if word_after(&line.code, "def ") == Some("__init__") && outer.is_some() && is_class {
                for (name, value) in self.body(Some(own), inner, Within::Init)? {
                    found.put(&name, value);
                }
            } else if let Some((name, written)) = assignment(&line.code, within) {
                let too_many = (line.number, PythonProblem::TooMany { limit: self.limits.nodes });
                if let Some(value) = literal::read(written, inner, &mut self.left).map_err(|_| too_many)? {
                    found.put(name, value);
                }
            }
        }
        Ok(found.entries)
    }
}

/// Values by name: of two the later holds.
#[derive(Default)]
struct Found {
    entries: Entries,
    places: HashMap<Box<str>, usize>,
}

impl Found {
    fn put(&mut self, name: &str, value: Value) {
        match self.places.get(name) {
            Some(&at) => self.entries[at].1 = value,
            None => {
                self.places.insert(name.into(), self.entries.len());
                self.entries.push((name.into(), value));
            }
        }
    }
}

/// The name behind `keyword`, if the line starts so.
fn word_after<'c>(code: &'c str, keyword: &str) -> Option<&'c str> {
    let rest = code.strip_prefix(keyword)?.trim_start();
    let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

/// The name and what is assigned to it: `name = …` or `name: type = …`.
fn assignment(code: &str, within: Within) -> Option<(&str, &str)> {
    let target = if within == Within::Init { code.strip_prefix("self.")? } else { code };
    let end = target.find(|c: char| !is_word(c))?;
    let (name, rest) = target.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let value = match rest.strip_prefix(':') {
        // A type has no `=` of its own but in brackets, which nobody needs here.
        Some(annotated) => annotated.split_once('=')?.1,
        None => rest.strip_prefix('=')?,
    };
    (!value.starts_with('=')).then_some((name, value.trim()))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests;
