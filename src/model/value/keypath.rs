//! `a.b[0]`: the place of a value within a parameter file.

use std::fmt;
use std::str::FromStr;

use crate::model::value::Value;

/// A dotted key with list indexes, as stages and commands name parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(Box<str>);

/// Why a text is no [`KeyPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPathError {
    /// Nothing, or nothing between two dots.
    #[error("a key has no empty parts")]
    EmptyPart,
    /// A bracket without its partner, or without a number inside.
    #[error("an index is written `[0]`")]
    Index,
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

impl KeyPath {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value at this place of `root`; `None` if there is none. A number as a part also names
    /// an item of a list (`a.0`), as DVC has it.
    pub fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.find_counting(root).0
    }

    /// As [`KeyPath::find`], and how many keys were looked at: what a search may cost is bounded
    /// where files from other people say what is searched.
    pub fn find_counting<'a>(&self, root: &'a Value) -> (Option<&'a Value>, usize) {
        let mut looked = 0;
        // Checked when it was parsed.
        let Ok(parts) = parse(&self.0) else { return (None, 0) };
        let found = parts.iter().try_fold(root, |value, part| {
            looked += 1;
            match (value, part) {
                (Value::Map(entries), Part::Key(key)) => {
                    looked += entries.len();
                    value.get(key)
                }
                (Value::List(items), Part::Index(index)) => items.get(*index),
                (Value::List(items), Part::Key(key)) => items.get(key.parse::<usize>().ok()?),
                _ => None,
            }
        });
        (found, looked)
    }
}

impl FromStr for KeyPath {
    type Err = KeyPathError;

    fn from_str(text: &str) -> Result<KeyPath, KeyPathError> {
        parse(text)?;
        Ok(KeyPath(text.into()))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse(text: &str) -> Result<Vec<Part<'_>>, KeyPathError> {
    let mut parts = Vec::new();
    for dotted in text.split('.') {
        let (key, mut indexes) = match dotted.find('[') {
            Some(at) => dotted.split_at(at),
            None => (dotted, ""),
        };
        match (key, parts.is_empty() && !indexes.is_empty()) {
            ("", false) => return Err(KeyPathError::EmptyPart),
            ("", true) => {}
            _ => parts.push(Part::Key(key)),
        }
        while !indexes.is_empty() {
            let (index, rest) =
                indexes.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or(KeyPathError::Index)?;
            parts.push(Part::Index(index.parse().map_err(|_| KeyPathError::Index)?));
            indexes = rest;
        }
    }
    Ok(parts)
}
