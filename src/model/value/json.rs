//! JSON text as a [`Value`], within the limits that hold for YAML.

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

/// Reads one JSON value from `text`, within `limits`.
pub fn parse_json(file: &str, text: &str, limits: Limits) -> Result<Value, Located<JsonProblem>> {
    let left = Cell::new(limits.nodes);
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Seed { left: &left, depth: limits.depth };
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let mark = Mark { line: error.line() as u32, column: error.column() as u32, ..Mark::default() };
        let full = error.to_string();
        let detail = short(full.split(" at line ").next().unwrap_or(&full));
        Located::new(file, text, mark, JsonProblem { detail })
    })
}

/// Counts what it reads: a list of 8 M zeros fits in the bytes, not in the nodes.
#[derive(Clone, Copy)]
struct Seed<'a> {
    left: &'a Cell<usize>,
    depth: usize,
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
        Ok(Seed { left: self.left, depth })
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
        Ok(Value::Text(value.into()))
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
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands here a second time")));
            }
            self.spend()?;
            entries.push((key, map.next_value_seed(seed)?));
        }
        Ok(Value::Map(entries))
    }
}
