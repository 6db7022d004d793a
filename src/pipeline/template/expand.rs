//! `foreach` and `matrix`: one definition, many stages.

use std::collections::HashSet;

use crate::model::place::{Mark, short};
use crate::model::stage::check_stage_name;
use crate::model::value::Value;
use crate::model::yaml::{Map, Node};
use crate::pipeline::parse::problem::{Failure, PipelineProblem, Refusal};
use crate::pipeline::parse::{keys, map_of, value};
use crate::pipeline::template::{Item, Local, Scope, scalar_text};

/// Calls `build` with the name, the definition and the scope of each stage that `map`, the
/// definition of the group `group`, stands for.
pub(in crate::pipeline) fn each<'a>(
    (mark, group): (Mark, &str),
    map: &Map<'a>,
    scope: Scope<'_>,
    build: &mut dyn FnMut(&str, &Map<'a>, Scope<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let Some(node) = map.get("foreach") {
        keys::check(map, &keys::FOREACH)?;
        let body = map.get("do").ok_or((mark, PipelineProblem::Missing { key: "do" }))?;
        return foreach((node, group), map_of(body, "`do`")?, scope, build);
    }
    if let Some(node) = map.get("matrix") {
        let entries = map.entries.iter().filter(|(key, _)| key.text != "matrix").cloned().collect();
        return matrix((node, group), &Map { entries, flow: map.flow }, scope, build);
    }
    build(group, map, scope)
}

fn foreach<'a>(
    (node, group): (&Node<'a>, &str),
    body: &Map<'a>,
    scope: Scope<'_>,
    build: &mut dyn FnMut(&str, &Map<'a>, Scope<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let data = scope.value(node)?;
    let mut names = Names::new(node.mark, group);
    match &data {
        Value::List(items) => {
            scope.budget.stages(node.mark, items.len())?;
            // As DVC has it: a list with anything but single values in it is numbered.
            let is_simple = items.iter().all(|item| scalar_text(item).is_some());
            for (at, item) in items.iter().enumerate() {
                let text = scalar_text(item).filter(|_| is_simple);
                let name = names.next(&text.unwrap_or_else(|| at.to_string().into()))?;
                let local = Some(Local { item: Item::One(item), key: None });
                build(&name, body, Scope { local, ..scope })?;
            }
            Ok(())
        }
        Value::Map(entries) => {
            scope.budget.stages(node.mark, entries.len())?;
            for (key, item) in entries {
                let name = names.next(key)?;
                let local = Some(Local { item: Item::One(item), key: Some(key) });
                build(&name, body, Scope { local, ..scope })?;
            }
            Ok(())
        }
        _ => Err(value(node, "foreach", "a list or a map").into()),
    }
}

fn matrix<'a>(
    (node, group): (&Node<'a>, &str),
    body: &Map<'a>,
    scope: Scope<'_>,
    build: &mut dyn FnMut(&str, &Map<'a>, Scope<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut axes: Vec<(Box<str>, Vec<Value>)> = Vec::new();
    for (key, list) in &map_of(node, "`matrix`")?.entries {
        match scope.value(list)? {
            Value::List(items) => axes.push((key.text.as_ref().into(), items)),
            _ => return Err(value(list, "matrix", "a map of lists").into()),
        }
    }
    if axes.is_empty() {
        return Err(value(node, "matrix", "a map of lists, not empty").into());
    }
    let count = axes.iter().try_fold(1_usize, |count, (_, items)| count.checked_mul(items.len()));
    scope.budget.stages(node.mark, count.unwrap_or(usize::MAX))?;
    let mut names = Names::new(node.mark, group);
    for number in 0..count.unwrap_or_default() {
        // The last list turns fastest.
        let (mut rest, mut chosen) = (number, Vec::with_capacity(axes.len()));
        for (name, items) in axes.iter().rev() {
            chosen.push((&**name, rest % items.len(), &items[rest % items.len()]));
            rest /= items.len();
        }
        chosen.reverse();
        let words: Vec<String> = chosen.iter().map(|(name, at, item)| word(name, *at, item)).collect();
        let key = words.join("-");
        let name = names.next(&key)?;
        let values: Vec<(&str, &Value)> = chosen.iter().map(|(name, _, item)| (*name, *item)).collect();
        let local = Some(Local { item: Item::Combination(&values), key: Some(&key) });
        build(&name, body, Scope { local, ..scope })?;
    }
    Ok(())
}

/// What a value adds to the name of a stage.
fn word(axis: &str, at: usize, item: &Value) -> String {
    scalar_text(item).map_or_else(|| format!("{axis}{at}"), |text| text.into_owned())
}

/// The names of a group's stages.
struct Names<'g> {
    mark: Mark,
    group: &'g str,
    seen: HashSet<String>,
}

impl<'g> Names<'g> {
    fn new(mark: Mark, group: &'g str) -> Names<'g> {
        Names { mark, group, seen: HashSet::new() }
    }

    fn next(&mut self, word: &str) -> Result<String, Refusal> {
        let name = format!("{}@{word}", self.group);
        check_stage_name(&name)
            .map_err(|reason| (self.mark, PipelineProblem::Name { name: short(&name), reason }))?;
        if !self.seen.insert(name.clone()) {
            return Err((self.mark, PipelineProblem::GeneratedTwice { name: short(&name) }));
        }
        Ok(name)
    }
}
