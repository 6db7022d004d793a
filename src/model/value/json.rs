//! JSON text as a [`Value`], within the limits that hold for YAML.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::model::place::{Located, Mark, Problem, short};
use crate::model::value::{Entries, Value};
use crate::model::yaml::Limits;

/// Why a JSON text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no JSON that mlv reads: {detail}")]
pub struct JsonProblem {
    /// What the parser says, without the place.
    pub detail: Box<str>,
}

impl Problem for JsonProblem {}

/// Stands, in a text of its own, for a number that JSON has no word for.
const MARK: char = '\u{7f}';

/// The words that Python's `json` writes for such numbers, and JavaScript calls them by.
const WORDS: [(&str, f64); 3] =
    [("-Infinity", f64::NEG_INFINITY), ("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// Reads one JSON value from `text`, within `limits`. NaN and the infinities are numbers, as Python's
/// `json` writes them: a loss that diverged must not hide all other metrics.
pub fn parse_json(file: &str, text: &str, limits: Limits) -> Result<Value, Located<JsonProblem>> {
    let left = Cell::new(limits.nodes);
    let marked = mark_words(text);
    let mut reader = serde_json::Deserializer::from_str(&marked);
    let has_marks = matches!(marked, Cow::Owned(_));
    let seed = Seed { left: &left, depth: limits.depth, has_marks };
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let mark = Mark { line: error.line() as u32, column: error.column() as u32, ..Mark::default() };
        let full = error.to_string();
        let detail = short(full.split(" at line ").next().unwrap_or(&full));
        Located::new(file, text, mark, JsonProblem { detail })
    })
}

/// The text with each of [`WORDS`] that stands outside of a text as a text of the same length, so that
/// places stay: [`MARK`], its letter and blanks. Untouched if there are none, or if the mark stands in it.
fn mark_words(text: &str) -> Cow<'_, str> {
    let has_words = text.contains("NaN") || text.contains("Infinity");
    if !has_words || text.contains(MARK) || text.contains("\\u007") {
        return Cow::Borrowed(text);
    }
    let mut marked = String::with_capacity(text.len());
    let (mut rest, mut is_text) = (text, false);
    while let Some(first) = rest.chars().next() {
        let word = WORDS.iter().find(|(word, _)| !is_text && rest.starts_with(word));
        let len = match (word, first) {
            (Some((word, _)), _) => word.len(),
            // With the character behind it, which ends no text.
            (None, '\\') if is_text => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => first.len_utf8(),
        };
        match word {
            // `NaN` leaves room for the mark alone; the others are told by the blanks behind it.
            Some((word, _)) => marked.push_str(&format!("\"{MARK}{:1$}\"", "", word.len() - 3)),
            None => marked.push_str(&rest[..len]),
        }
        is_text ^= first == '"';
        rest = &rest[len..];
    }
    Cow::Owned(marked)
}

/// The number that a text of [`mark_words`] stands for.
fn marked_number(text: &str) -> Option<f64> {
    let blanks = text.strip_prefix(MARK)?.len();
    WORDS.iter().find(|(word, _)| word.len() == blanks + 3).map(|(_, number)| *number)
}

/// Counts what it reads: a list of 8 M zeros fits in the bytes, not in the nodes.
#[derive(Clone, Copy)]
struct Seed<'a> {
    left: &'a Cell<usize>,
    depth: usize,
    has_marks: bool,
}

impl Seed<'_> {
    fn spend<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| E::custom("more values than the limit"))?;
        self.left.set(left);
        Ok(())
    }

    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        let depth =
            self.depth.checked_sub(1).ok_or_else(|| E::custom("lists and maps are nested too deep"))?;
        Ok(Seed { depth, ..*self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        let number = marked_number(value).filter(|_| self.has_marks);
        Ok(number.map_or_else(|| Value::Text(value.into()), Value::Float))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let seed = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let seed = self.inner()?;
        let mut entries = Entries::new();
        let mut keys = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<Box<str>>()? {
            if self.has_marks && key.starts_with(MARK) {
                return Err(A::Error::custom("a key is a text in quotes"));
            }
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands here a second time")));
            }
            self.spend()?;
            entries.push((key, map.next_value_seed(seed)?));
        }
        Ok(Value::Map(entries))
    }
}
