//! Values of parameter and metrics files: what YAML and JSON have in common.

use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};

use crate::model::yaml::{Data, Node};

pub use crate::model::value::keypath::{KeyPath, KeyPathError};

mod json;
mod keypath;
mod python;
mod toml;

pub use crate::model::value::json::{JsonProblem, parse_json};
pub use crate::model::value::python::{PythonProblem, parse_python};
pub use crate::model::value::toml::{TomlProblem, parse_toml};

/// Keys and their values: each key once.
pub type Entries = Vec<(Box<str>, Value)>;

/// Null, a truth value, a number, a text, a list or a map.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number, or a whole one that does not fit.
    Float(f64),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Vec<Value>),
    /// A map in the order of the file, each key once.
    Map(Entries),
}

impl Value {
    /// What YAML's core schema makes of a node. Keys become their text, whatever they would be.
    pub fn of(node: &Node<'_>) -> Value {
        match &node.data {
            Data::Scalar { text, plain: true } => resolve(text),
            Data::Scalar { text, plain: false } => Value::Text(text.as_ref().into()),
            Data::List(items) => Value::List(items.iter().map(Value::of).collect()),
            Data::Map(map) => Value::Map(
                map.entries.iter().map(|(key, value)| (key.text.as_ref().into(), Value::of(value))).collect(),
            ),
        }
    }

    /// Whether nothing that depends on this value would notice a change to `other`: 2 is 2.0, the
    /// order of a map's keys does not matter, and NaN is itself.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => same_map(a, b),
            (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Value::Int(int), Value::Float(float)) | (Value::Float(float), Value::Int(int)) => {
                // Exact both ways: 2^53 + 1 is not the float that it rounds to.
                *int as f64 == *float && *float as i128 == *int
            }
            (a, b) => a == b,
        }
    }

    /// The value of a map's key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(found, _)| &**found == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Leaves with their dotted keys, in the order of the file. Lists and empty maps are leaves.
    pub fn flatten(&self) -> Vec<(String, &Value)> {
        let mut leaves = Vec::new();
        flatten_into(self, String::new(), &mut leaves);
        leaves
    }

    /// This number as a float; `None` if it is none.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(int) => Some(*int as f64),
            Value::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// `self - old` where both are numbers and the result is one.
    pub fn minus(&self, old: &Value) -> Option<Value> {
        match (self, old) {
            (Value::Int(new), Value::Int(old)) => new.checked_sub(*old).map(Value::Int),
            _ => Some(self.as_f64()? - old.as_f64()?).filter(|diff| diff.is_finite()).map(Value::Float),
        }
    }
}

fn same_map(a: &[(Box<str>, Value)], b: &[(Box<str>, Value)]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Nearly always in the same order; sorted only if not.
    if a.iter().zip(b).all(|(a, b)| a.0 == b.0) {
        return a.iter().zip(b).all(|(a, b)| a.1.same(&b.1));
    }
    let (a, b) = (by_key(a), by_key(b));
    a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && a.1.same(&b.1))
}

fn by_key(entries: &[(Box<str>, Value)]) -> Vec<&(Box<str>, Value)> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted
}

fn flatten_into<'a>(value: &'a Value, prefix: String, leaves: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let path = if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
                flatten_into(value, path, leaves);
            }
        }
        _ => leaves.push((prefix, value)),
    }
}

/// What YAML 1.2's core schema makes of text without quotes.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::Text(text.into()))
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
            return Some(Value::Float(sign * f64::INFINITY));
        }
        _ if matches!(text, ".nan" | ".NaN" | ".NAN") => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    let radix = |prefix, radix| {
        let digits: &str = text.strip_prefix(prefix)?;
        let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        valid.then(|| i128::from_str_radix(digits, radix).ok()).flatten().map(Value::Int)
    };
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(value);
    }
    if !is_decimal(unsigned) {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(int) = text.parse()
    {
        return Some(Value::Int(int));
    }
    text.parse().ok().map(Value::Float)
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, with an exponent or not.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

impl fmt::Display for Value {
    /// As in a table: texts without quotes, lists and maps as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) if !value.is_finite() => f.write_str(no_number(*value)),
            Value::Float(value) => f.write_str(&float_text(*value)),
            Value::Text(value) => f.write_str(value),
            Value::List(_) | Value::Map(_) => {
                f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
            }
        }
    }
}

/// What tables and JSON call a float that is no finite number: the words of Python's `json`, which its
/// `float` and those of most languages read.
fn no_number(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// The shortest text that YAML reads back as this number, and as a float.
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_f64(*value as f64),
            },
            // JSON has neither NaN nor infinities; a text says more than null.
            Value::Float(value) if !value.is_finite() => serializer.serialize_str(no_number(*value)),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// A leaf that differs between two values.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ValueChange {
    /// The value before; null if there was none.
    pub old: Value,
    /// The value after; null if there is none.
    pub new: Value,
    /// `new - old`, where both are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<Value>,
}

/// The leaves that differ, by dotted key, sorted. `None` stands for a file that is not there.
/// With `all`, also those that do not differ.
pub fn diff(old: Option<&Value>, new: Option<&Value>, all: bool) -> Vec<(String, ValueChange)> {
    let leaves = |value: Option<&Value>| -> std::collections::BTreeMap<String, Value> {
        let leaves = value.map(Value::flatten).unwrap_or_default();
        leaves.into_iter().map(|(key, value)| (key, value.clone())).collect()
    };
    let (mut old, new) = (leaves(old), leaves(new));
    let mut changes = Vec::new();
    for (key, new) in new {
        let before = old.remove(&key);
        let unchanged = before.as_ref().is_some_and(|old| old.same(&new));
        if unchanged && !all {
            continue;
        }
        let diff = before.as_ref().filter(|_| !unchanged).and_then(|old| new.minus(old));
        changes.push((key, ValueChange { old: before.unwrap_or(Value::Null), new, diff }));
    }
    let gone = old.into_iter().map(|(key, old)| (key, ValueChange { old, new: Value::Null, diff: None }));
    changes.extend(gone);
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    changes
}

#[cfg(test)]
mod tests;
