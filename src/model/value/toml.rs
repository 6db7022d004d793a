//! TOML text as a [`Value`], within the limits that hold for YAML.

use toml_edit::{Document, Item, TableLike};

use crate::model::place::{Located, Mark, Problem, short};
use crate::model::value::{Entries, Value};
use crate::model::yaml::Limits;

/// Why a TOML text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no TOML that mlv reads: {detail}")]
pub struct TomlProblem {
    /// What the parser says.
    pub detail: Box<str>,
}

impl Problem for TomlProblem {}

/// Reads a TOML document. Dates and times become their text.
pub fn parse_toml(file: &str, text: &str, limits: Limits) -> Result<Value, Located<TomlProblem>> {
    let refused = |mark, detail: &str| Located::new(file, text, mark, TomlProblem { detail: short(detail) });
    let document = Document::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        refused(mark_at(text, start), error.message())
    })?;
    let mut left = limits.nodes;
    let value = table(document.as_table(), limits.depth, &mut left);
    value.map(Value::Map).ok_or_else(|| {
        refused(Mark::default(), "more values than the limit, or tables that are nested too deep")
    })
}

fn mark_at(text: &str, start: usize) -> Mark {
    let before = text.get(..start).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
    let line = before.matches('\n').count() as u32 + 1;
    Mark { line, column, start: start as u32, end: start as u32 }
}

/// The entries of a table; nothing beyond the limits.
fn table(table: &dyn TableLike, depth: usize, left: &mut usize) -> Option<Entries> {
    let depth = depth.checked_sub(1)?;
    let entries = table.iter().filter(|(_, item)| !item.is_none());
    entries.map(|(key, found)| Some((key.into(), item(found, depth, left)?))).collect()
}

fn item(found: &Item, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(2)?;
    match found {
        Item::None => Some(Value::Null),
        Item::Value(found) => value(found, depth, left),
        Item::Table(found) => table(found, depth, left).map(Value::Map),
        Item::ArrayOfTables(tables) => {
            let depth = depth.checked_sub(1)?;
            tables
                .iter()
                .map(|found| table(found, depth, left).map(Value::Map))
                .collect::<Option<_>>()
                .map(Value::List)
        }
    }
}

fn value(found: &toml_edit::Value, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    Some(match found {
        toml_edit::Value::String(text) => Value::Text(text.value().as_str().into()),
        toml_edit::Value::Integer(number) => Value::Int((*number.value()).into()),
        toml_edit::Value::Float(number) => Value::Float(*number.value()),
        toml_edit::Value::Boolean(truth) => Value::Bool(*truth.value()),
        toml_edit::Value::Datetime(time) => Value::Text(time.value().to_string().into()),
        toml_edit::Value::Array(items) => {
            let depth = depth.checked_sub(1)?;
            Value::List(items.iter().map(|item| value(item, depth, left)).collect::<Option<_>>()?)
        }
        toml_edit::Value::InlineTable(found) => Value::Map(table(found, depth, left)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        parse_toml("p.toml", text, Limits::PIPELINE).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = "a = 1\nf = 0.5\nt = \"x\"\nd = 2026-01-02\nb = true\nl = [1, {c = 2}]\n[s.u]\nk = 3\n[[m]]\nn = 4\n";
        let json = serde_json::to_string(&read(text).unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"a":1,"f":0.5,"t":"x","d":"2026-01-02","b":true,"l":[1,{"c":2}],"s":{"u":{"k":3}},"m":[{"n":4}]}"#
        );
        assert_eq!(read("").unwrap(), Value::Map(Vec::new()));
    }

    #[test]
    fn what_is_refused_is_refused_with_its_line() {
        let error = read("a = 1\na = 2\n").unwrap_err();
        assert!(error.starts_with("p.toml:2:1: this is no TOML that mlv reads: "), "{error}");
        assert!(read(&format!("a = {}", "[".repeat(100_000))).is_err());
        assert!(read(&format!("a = [{}]", "1,".repeat(200_000))).unwrap_err().contains("more values"));
    }
}
