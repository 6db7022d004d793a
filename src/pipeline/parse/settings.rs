//! How a stage is run: `shell`, `env`, `timeout` and the like; and which stages it names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::model::place::{Mark, short};
use crate::model::stage::{ENV, ENV_DEPS, MAX_RESOURCE, SHELL, Shell, Stage, Variables, is_resource_name};
use crate::model::units::Span;
use crate::model::yaml::{Map, Node};
use crate::pipeline::parse::problem::{PipelineProblem, Refusal};
use crate::pipeline::parse::{list, map_of, text_at, value};
use crate::pipeline::template::closest;

/// Most times that a command is tried again.
const MAX_RETRIES: u64 = 100;
/// Links that the names of stages may stand for.
const MAX_LINKS: usize = 1_000_000;

pub(super) fn shell(map: &Map<'_>) -> Result<Option<Shell>, Refusal> {
    let Some(node) = map.get(SHELL).filter(|node| !node.is_null()) else { return Ok(None) };
    match node.text() {
        Some("sh") => Ok(Some(Shell::Sh)),
        Some("bash") => Ok(Some(Shell::Bash)),
        _ => Err(value(node, SHELL, "`sh` or `bash`")),
    }
}

pub(super) fn env(map: &Map<'_>) -> Result<Variables, Refusal> {
    let Some(node) = map.get(ENV).filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let mut env = BTreeMap::new();
    for (key, node) in &map_of(node, "`env`")?.entries {
        check_variable(key.mark, &key.text)?;
        let text = node.text().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| value(node, ENV, "a map of names to texts"))?;
        if env.insert(key.text.as_ref().into(), text.into()).is_some() {
            return Err((key.mark, PipelineProblem::Variable { name: short(&key.text) }));
        }
    }
    Ok(env.into_iter().collect())
}

pub(super) fn env_deps(map: &Map<'_>) -> Result<Vec<Box<str>>, Refusal> {
    let mut names = BTreeSet::new();
    for item in list(map, ENV_DEPS)? {
        let name = text_at(item, ENV_DEPS, "a list of names")?;
        check_variable(item.mark, name)?;
        names.insert(name.into());
    }
    Ok(names.into_iter().collect())
}

fn check_variable(mark: Mark, name: &str) -> Result<(), Refusal> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_own = name.starts_with("MLV_");
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !is_word || is_own {
        return Err((mark, PipelineProblem::Variable { name: short(name) }));
    }
    Ok(())
}

pub(super) fn timeout(map: &Map<'_>) -> Result<Option<Duration>, Refusal> {
    const EXPECTED: &str = "a length of time such as `90s`, `30m` or `2h`";
    let Some(node) = map.get("timeout").filter(|node| !node.is_null()) else { return Ok(None) };
    let span = text_at(node, "timeout", EXPECTED)?.parse::<Span>().ok().filter(|span| !span.0.is_zero());
    span.map(|span| Some(span.0)).ok_or_else(|| value(node, "timeout", EXPECTED))
}

pub(super) fn retries(map: &Map<'_>) -> Result<u32, Refusal> {
    let Some(node) = map.get("retries").filter(|node| !node.is_null()) else { return Ok(0) };
    let count =
        node.count().filter(|count| *count <= MAX_RETRIES).and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| value(node, "retries", "a whole number from 0 to 100"))
}

pub(super) fn resources(map: &Map<'_>) -> Result<Vec<(Box<str>, u32)>, Refusal> {
    const EXPECTED: &str = "a map of names to whole numbers from 1 to 1024";
    let Some(node) = map.get("resources").filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let mut resources = BTreeMap::new();
    for (key, node) in &map_of(node, "`resources`")?.entries {
        let count = node.count().and_then(|count| u32::try_from(count).ok());
        let count = count.filter(|count| (1..=MAX_RESOURCE).contains(count));
        let count = count.ok_or_else(|| value(node, "resources", EXPECTED))?;
        if !is_resource_name(&key.text) {
            return Err((key.mark, PipelineProblem::Resource { name: short(&key.text) }));
        }
        resources.insert(key.text.as_ref().into(), count);
    }
    Ok(resources.into_iter().collect())
}

/// A stage that names others of its file.
pub(super) struct Reference {
    /// Which stage, by its place in the file.
    pub(super) stage: usize,
    /// What it says: a stage, a group, or `group@*`.
    pub(super) named: Box<str>,
    /// Where it says so.
    pub(super) mark: Mark,
    /// Whether it reads their outputs, and does not only wait.
    pub(super) reads: bool,
}

/// What `needs` of the stage at `stage` names.
pub(super) fn needs(map: &Map<'_>, stage: usize) -> Result<Vec<Reference>, Refusal> {
    let name = |item: &Node<'_>| {
        let named = text_at(item, "needs", "a list of stages")?.into();
        Ok(Reference { stage, named, mark: item.mark, reads: false })
    };
    list(map, "needs")?.iter().map(name).collect()
}

/// Makes of names what they stand for, once all stages are known.
pub(super) fn resolve(stages: &mut [Stage], references: &[Reference]) -> Result<(), Refusal> {
    let names: Vec<Box<str>> = stages.iter().map(|stage| stage.name.clone()).collect();
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        places.entry(name).or_default().push(at);
        if let Some((group, _)) = name.split_once('@') {
            places.entry(group).or_default().push(at);
        }
    }
    let mut links = MAX_LINKS;
    for reference in references {
        let named = reference.named.strip_suffix("@*").unwrap_or(&reference.named);
        let problem = || {
            let near = closest(places.keys().copied(), named).map(|near| {
                let all = if named.len() < reference.named.len() { "@*" } else { "" };
                format!("{near}{all}").into()
            });
            (reference.mark, PipelineProblem::NoSuchStage { name: short(&reference.named), near })
        };
        let found = places.get(named).ok_or_else(problem)?;
        links = links.checked_sub(found.len()).ok_or((
            reference.mark,
            PipelineProblem::TooMany { limit: MAX_LINKS, what: "links between stages" },
        ))?;
        if found.contains(&reference.stage) {
            let name = names[reference.stage].clone();
            return Err((reference.mark, PipelineProblem::NeedsItself { name }));
        }
        let mut deps = Vec::new();
        for &at in found {
            deps.extend(stages[at].outs.iter().filter(|out| !out.optional).map(|out| out.path.clone()));
            let stage = &mut stages[reference.stage];
            stage.needs.push(names[at].clone());
            stage.places.add_need(&names[at], reference.mark);
        }
        if reference.reads {
            links = links.checked_sub(deps.len()).ok_or((
                reference.mark,
                PipelineProblem::TooMany { limit: MAX_LINKS, what: "links between stages" },
            ))?;
            let stage = &mut stages[reference.stage];
            deps.iter().for_each(|path| stage.places.add_input(path, reference.mark));
            stage.deps.extend(deps);
        }
    }
    let touched: BTreeSet<usize> = references.iter().map(|reference| reference.stage).collect();
    for at in touched {
        stages[at].deps.sort();
        stages[at].deps.dedup();
        stages[at].needs.sort();
        stages[at].needs.dedup();
    }
    Ok(())
}
