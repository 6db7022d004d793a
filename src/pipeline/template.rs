//! `${}` in a pipeline: nodes with templates become nodes without.
//!
//! The step before a stage is built, so that the builder knows nothing of templates. One pass: what
//! a template stands for is never looked at again, so no value can grow by naming itself. All that
//! is made counts against one budget.

use std::borrow::Cow;
use std::cell::Cell;

use crate::model::place::{Mark, short};
use crate::model::value::{KeyPath, Value, float_text};
use crate::model::yaml::{Data, Key, Map, Node};
use crate::pipeline::parse::problem::{PipelineProblem, Refusal};

pub(super) mod expand;
mod near;
mod text;
mod unpack;
mod vars;

pub(in crate::pipeline) use crate::pipeline::template::near::closest;
pub use crate::pipeline::template::vars::{NoValues, ValueFiles};
pub(super) use crate::pipeline::template::vars::{Values, VarsReader};

use text::{Part, parts};

/// How much the templates of one file may make.
pub(super) struct Budget {
    stages: Cell<usize>,
    bytes: Cell<usize>,
    nodes: Cell<usize>,
    steps: Cell<usize>,
}

/// Stages that `foreach` and `matrix` make.
const MAX_STAGES: usize = 10_000;
/// Bytes of text that templates make, of all stages.
const MAX_BYTES: usize = 8 << 20;
/// Values and keys of all definitions after `foreach` and `matrix`.
const MAX_NODES: usize = 500_000;
/// Keys and values that are looked at to find what templates name.
const MAX_STEPS: usize = 50_000_000;

impl Budget {
    pub(super) fn new() -> Budget {
        Budget {
            stages: Cell::new(MAX_STAGES),
            bytes: Cell::new(MAX_BYTES),
            nodes: Cell::new(MAX_NODES),
            steps: Cell::new(MAX_STEPS),
        }
    }

    fn stages(&self, mark: Mark, count: usize) -> Result<(), Refusal> {
        spend(&self.stages, count, mark, (MAX_STAGES, "generated stages"))
    }

    fn bytes(&self, mark: Mark, count: usize) -> Result<(), Refusal> {
        spend(&self.bytes, count, mark, (MAX_BYTES, "bytes made by templates"))
    }

    pub(super) fn steps(&self, mark: Mark, count: usize) -> Result<(), Refusal> {
        spend(&self.steps, count, mark, (MAX_STEPS, "values looked at for templates"))
    }
}

fn spend(
    left: &Cell<usize>,
    count: usize,
    mark: Mark,
    (limit, what): (usize, &'static str),
) -> Result<(), Refusal> {
    let rest = left.get().checked_sub(count).ok_or((mark, PipelineProblem::TooMany { limit, what }))?;
    left.set(rest);
    Ok(())
}

/// What `${item}` and `${key}` stand for in a generated stage.
#[derive(Clone, Copy)]
pub(super) struct Local<'v> {
    item: Item<'v>,
    key: Option<&'v str>,
}

#[derive(Clone, Copy)]
enum Item<'v> {
    One(&'v Value),
    /// Of a matrix: the values by the names of their lists.
    Combination(&'v [(&'v str, &'v Value)]),
}

/// All that templates of one place may name.
#[derive(Clone, Copy)]
pub(super) struct Scope<'v> {
    pub(super) values: &'v Values,
    pub(super) local: Option<Local<'v>>,
    pub(super) budget: &'v Budget,
}

/// Whether any of a pipeline's text may be a template.
pub(super) fn is_templated(text: &str) -> bool {
    text.contains("${")
}

impl Scope<'_> {
    /// `map` without templates; under the key `cmd` maps become options.
    pub(super) fn map<'a>(&self, map: &Map<'a>) -> Result<Map<'a>, Refusal> {
        let mut entries = Vec::with_capacity(map.entries.len());
        for (key, node) in &map.entries {
            entries.push((self.key(key)?, self.node(node, key.text == "cmd")?));
        }
        Ok(Map { entries, flow: map.flow })
    }

    /// `node` without templates.
    pub(super) fn node<'a>(&self, node: &Node<'a>, in_command: bool) -> Result<Node<'a>, Refusal> {
        spend(&self.budget.nodes, 1, node.mark, (MAX_NODES, "keys and values of generated stages"))?;
        let data = match &node.data {
            Data::Scalar { text, plain } => self.scalar(node.mark, text, *plain, in_command)?,
            Data::List(items) => {
                let items = items.iter().map(|item| self.node(item, in_command));
                Data::List(items.collect::<Result<_, _>>()?)
            }
            Data::Map(map) => {
                let entries =
                    map.entries.iter().map(|(key, node)| Ok((self.key(key)?, self.node(node, false)?)));
                Data::Map(Map { entries: entries.collect::<Result<_, Refusal>>()?, flow: map.flow })
            }
        };
        Ok(Node { mark: node.mark, data })
    }

    /// `node` as a value, in which a template may also stand for a list or a map.
    pub(super) fn value(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        spend(&self.budget.nodes, 1, node.mark, (MAX_NODES, "keys and values of generated stages"))?;
        match &node.data {
            Data::Scalar { text, .. } if is_templated(text) => match &self.parts(node.mark, text)?[..] {
                [Part::Template(key)] => {
                    let value = self.lookup(node.mark, key)?.into_owned();
                    self.budget.steps(node.mark, size_of(&value))?;
                    Ok(value)
                }
                parts => Ok(Value::Text(self.join(node.mark, parts, false)?.into())),
            },
            Data::Scalar { .. } => Ok(Value::of(node)),
            Data::List(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::List)
            }
            Data::Map(map) => {
                let entries = map.entries.iter();
                let entries =
                    entries.map(|(key, node)| Ok((self.key(key)?.text.as_ref().into(), self.value(node)?)));
                entries.collect::<Result<_, Refusal>>().map(Value::Map)
            }
        }
    }

    fn key<'a>(&self, key: &Key<'a>) -> Result<Key<'a>, Refusal> {
        if !is_templated(&key.text) {
            return Ok(key.clone());
        }
        let parts = self.parts(key.mark, &key.text)?;
        Ok(Key { mark: key.mark, text: self.join(key.mark, &parts, false)?.into(), plain: false })
    }

    fn scalar<'a>(
        &self,
        mark: Mark,
        text: &Cow<'a, str>,
        plain: bool,
        in_command: bool,
    ) -> Result<Data<'a>, Refusal> {
        if !is_templated(text) {
            return Ok(Data::Scalar { text: text.clone(), plain });
        }
        let parts = self.parts(mark, text)?;
        // Alone, a value keeps its kind: `frozen: ${is_done}` is a truth value.
        if let [Part::Template(key)] = parts[..] {
            let value = self.lookup(mark, key)?;
            if matches!(&*value, Value::Null) && !in_command {
                return Ok(Data::Scalar { text: "".into(), plain: true });
            }
            let plain = !matches!(&*value, Value::Text(_) | Value::Map(_));
            let text = self.join(mark, &parts, in_command)?.into();
            return Ok(Data::Scalar { text, plain });
        }
        Ok(Data::Scalar { text: self.join(mark, &parts, in_command)?.into(), plain })
    }

    fn parts<'t>(&self, mark: Mark, text: &'t str) -> Result<Vec<Part<'t>>, Refusal> {
        parts(text).map_err(|written| (mark, PipelineProblem::TemplateSyntax { written: short(written) }))
    }

    fn join(&self, mark: Mark, parts: &[Part<'_>], in_command: bool) -> Result<String, Refusal> {
        let mut out = String::new();
        for part in parts {
            let before = out.len();
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Template(key) => match &*self.lookup(mark, key)? {
                    Value::Map(entries) if in_command => self.unpack(mark, entries, &mut out)?,
                    value => out.push_str(&scalar_text(value).ok_or_else(|| {
                        (mark, PipelineProblem::NotText { key: short(key), found: kind(value) })
                    })?),
                },
            }
            self.budget.bytes(mark, out.len() - before)?;
        }
        Ok(out)
    }

    /// What `written` names: an item's part, or a value of the pipeline.
    fn lookup(&self, mark: Mark, written: &str) -> Result<Cow<'_, Value>, Refusal> {
        let undefined = || {
            let near = self.near(written);
            (mark, PipelineProblem::Undefined { key: short(written), near })
        };
        let (first, rest) = text::split_first(written);
        let root = match (self.local, first) {
            (Some(Local { key: Some(key), .. }), "key") => {
                return if rest.is_empty() {
                    Ok(Cow::Owned(Value::Text(key.into())))
                } else {
                    Err(undefined())
                };
            }
            (Some(Local { item: Item::One(value), .. }), "item") => Some((value, rest)),
            (Some(Local { item: Item::Combination(values), .. }), "item") => {
                if rest.is_empty() {
                    self.budget.steps(mark, values.iter().map(|(_, value)| size_of(value)).sum())?;
                    let entries = values.iter().map(|(name, value)| ((*name).into(), (*value).clone()));
                    return Ok(Cow::Owned(Value::Map(entries.collect())));
                }
                let (name, rest) = text::split_first(rest);
                let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
                Some((value.ok_or_else(undefined)?, rest))
            }
            _ => None,
        };
        let (root, path) = root.unwrap_or((self.values.root(), written));
        if path.is_empty() {
            return Ok(Cow::Borrowed(root));
        }
        let path: KeyPath = path.parse().map_err(|_| {
            (mark, PipelineProblem::TemplateSyntax { written: short(&format!("${{{written}}}")) })
        })?;
        let (found, steps) = path.find_counting(root);
        self.budget.steps(mark, steps)?;
        found.map(Cow::Borrowed).ok_or_else(undefined)
    }
}

impl Scope<'_> {
    /// A key that has a value and is spelled as `written` is, but for one of its parts.
    fn near(&self, written: &str) -> Option<Box<str>> {
        let item = match self.local.map(|local| local.item) {
            Some(Item::One(value)) => value.clone(),
            Some(Item::Combination(values)) => {
                Value::Map(values.iter().map(|(name, value)| ((*name).into(), (*value).clone())).collect())
            }
            None => return near::near(self.values.root(), written).map(Into::into),
        };
        let local = Value::Map(vec![("item".into(), item), ("key".into(), Value::Null)]);
        let near = near::near(&local, written).or_else(|| near::near(self.values.root(), written));
        near.map(Into::into)
    }
}

/// A scalar as DVC writes it into a text; nothing for lists and maps.
fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => "None".into(),
        Value::Bool(value) => if *value { "true" } else { "false" }.into(),
        Value::Int(value) => value.to_string().into(),
        Value::Float(value) => float_text(*value).into(),
        Value::Text(text) => (&**text).into(),
        Value::List(_) | Value::Map(_) => return None,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        _ => "a single value",
    }
}

/// How many keys and values it has.
fn size_of(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(size_of).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, value)| 1 + size_of(value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
