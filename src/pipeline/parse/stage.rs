//! One stage definition → [`Stage`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::place::{Mark, short};
use crate::model::stage::{Command, ParamDep, ParamKeys, Places, Shell, Stage};
use crate::model::value::KeyPath;
use crate::model::yaml::{Key, Map, Node};
use crate::pipeline::parse::problem::{Failure, PipelineProblem, Refusal};
use crate::pipeline::parse::settings::Reference;
use crate::pipeline::parse::{Parser, bool, keys, list, outs, path, settings, text, text_at, value};
use crate::pipeline::template::Scope;

/// Where parameters without a file come from, in the stage's folder.
pub(super) const DEFAULT_PARAMS: &str = "params.yaml";
/// Longest script, in bytes.
const MAX_COMMAND: usize = 1 << 20;

impl Parser<'_> {
    /// The stage `name`, which the key `key` defines, and which stages it names. `shell` is that of the
    /// file, and `at` the stage's place in it.
    pub(super) fn stage(
        &self,
        (key, name): (&Key<'_>, &str),
        definition: &Map<'_>,
        scope: Scope<'_>,
        (shell, at): (Shell, usize),
    ) -> Result<(Stage, Vec<Reference>), Failure> {
        keys::check(definition, &keys::STAGE)?;
        if !self.is_templated && definition.get("vars").is_none() {
            return Ok(build(self, (key, name), definition, (shell, at))?);
        }
        let mut values = Cow::Borrowed(scope.values);
        if let Some(node) = definition.get("vars") {
            self.budget.steps(node.mark, values.size())?;
            let wdir = match definition.get("wdir") {
                Some(node) => wdir(&self.folder, Some(&scope.node(node, false)?))?,
                None => self.folder.clone(),
            };
            values.to_mut().add(&self.reader, definition, &wdir, &self.budget)?;
        }
        let scope = Scope { values: &values, ..scope };
        let untouched = |key: &Key<'_>| matches!(key.text.as_ref(), "vars" | "meta");
        let entries = definition.entries.iter().filter(|(key, _)| !untouched(key)).cloned().collect();
        let definition = scope.map(&Map { entries, flow: definition.flow })?;
        Ok(build(self, (key, name), &definition, (shell, at))?)
    }
}

fn wdir(folder: &RepoPath, node: Option<&Node<'_>>) -> Result<RepoPath, Refusal> {
    match node.filter(|node| !node.is_null()) {
        Some(node) => path(folder, node.mark, text_at(node, "wdir", "a folder")?),
        None => Ok(folder.clone()),
    }
}

fn build(
    parser: &Parser<'_>,
    (key, name): (&Key<'_>, &str),
    map: &Map<'_>,
    (shell, at): (Shell, usize),
) -> Result<(Stage, Vec<Reference>), Refusal> {
    let wdir = wdir(&parser.folder, map.get("wdir"))?;
    let command = map.get("cmd").ok_or((key.mark, PipelineProblem::Missing { key: "cmd" }))?;
    let mut stage = Stage {
        name: name.into(),
        places: Places::new(&parser.source, key.mark),
        command: self::command(command)?,
        deps: Vec::new(),
        patterns: Vec::new(),
        params: Vec::new(),
        outs: Vec::new(),
        frozen: bool(map, "frozen")?.unwrap_or(false),
        always_changed: bool(map, "always_changed")?.unwrap_or(false),
        desc: text(map, "desc")?,
        wdir,
        shell: settings::shell(map)?.unwrap_or(shell),
        env: settings::env(map)?,
        env_deps: settings::env_deps(map)?,
        timeout: settings::timeout(map)?,
        retries: settings::retries(map)?,
        needs: Vec::new(),
        resources: settings::resources(map)?,
    };
    let mut references = settings::needs(map, at)?;
    stage.params = params(map, &stage.wdir, &mut stage.places)?;
    deps(map, at, &mut stage, &mut references)?;
    stage.outs = outs::outs(parser.file, &mut stage, map)?;
    Ok((stage, references))
}

fn command(node: &Node<'_>) -> Result<Command, Refusal> {
    const EXPECTED: &str = "a text or a list of texts, not empty";
    let script = |node: &Node<'_>| -> Result<Box<str>, Refusal> {
        let text = text_at(node, "cmd", EXPECTED)?;
        if text.len() > MAX_COMMAND {
            let what = "bytes in a command";
            return Err((node.mark, PipelineProblem::TooMany { limit: MAX_COMMAND, what }));
        }
        if text.contains('\0') {
            return Err((node.mark, PipelineProblem::Nul));
        }
        if text.trim().is_empty() {
            return Err(value(node, "cmd", EXPECTED));
        }
        Ok(text.into())
    };
    match node.list() {
        None => script(node).map(Command::Script),
        Some([]) => Err(value(node, "cmd", EXPECTED)),
        Some(items) => items.iter().map(script).collect::<Result<_, _>>().map(Command::List),
    }
}

/// Files and directories, and patterns of them; `stage: NAME` goes to the references.
fn deps(map: &Map<'_>, at: usize, stage: &mut Stage, references: &mut Vec<Reference>) -> Result<(), Refusal> {
    for item in list(map, "deps")? {
        if let Some([(key, named)]) = item.map().map(|map| &map.entries[..])
            && key.text == "stage"
        {
            let name = text_at(named, "stage", "the name of a stage or a group")?.into();
            references.push(Reference { stage: at, named: name, mark: named.mark, reads: true });
            continue;
        }
        let written = text_at(item, "deps", "a list of paths")?;
        let path = path(&stage.wdir, item.mark, written)?;
        stage.places.add_input(&path, item.mark);
        if PathPattern::is_one(written) {
            let problem = |error: globset::Error| PipelineProblem::Pattern {
                pattern: short(written),
                reason: error.kind().to_string().into(),
            };
            let pattern = PathPattern::new(path, kept_of(&stage.wdir, written));
            stage.patterns.push(pattern.map_err(|error| (item.mark, problem(error)))?);
        } else {
            stage.deps.push(path);
        }
    }
    stage.deps.sort();
    stage.deps.dedup();
    stage.patterns.sort_by(|a, b| a.as_path().cmp(b.as_path()));
    stage.patterns.dedup();
    Ok(())
}

/// How many parts of `folder` are still in what `written` names from it.
fn kept_of(folder: &RepoPath, written: &str) -> usize {
    let mut depth = folder.components().count();
    let mut kept = depth;
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
        kept = kept.min(depth);
    }
    kept
}

fn params(map: &Map<'_>, wdir: &RepoPath, places: &mut Places) -> Result<Vec<ParamDep>, Refusal> {
    let mut files: BTreeMap<RepoPath, ParamKeys> = BTreeMap::new();
    for item in list(map, "params")? {
        let Some(named) = item.map() else {
            let file = path(wdir, item.mark, DEFAULT_PARAMS)?;
            add(&mut files, item.mark, file, Some(vec![param_key(item)?]), places);
            continue;
        };
        for (file, keys) in &named.entries {
            let path = path(wdir, file.mark, &file.text)?;
            add(&mut files, file.mark, path, param_keys(keys)?, places);
        }
    }
    Ok(files.into_iter().map(|(file, keys)| ParamDep { file, keys }).collect())
}

/// A key, and where it stands.
type WrittenKey = (KeyPath, Mark);

/// The keys of one file; `None` means all.
fn param_keys(node: &Node<'_>) -> Result<Option<Vec<WrittenKey>>, Refusal> {
    if node.is_null() {
        return Ok(None);
    }
    let items = node.list().ok_or_else(|| value(node, "params", "a list of keys, or nothing for all"))?;
    if items.is_empty() {
        return Ok(None);
    }
    items.iter().map(param_key).collect::<Result<_, _>>().map(Some)
}

fn param_key(node: &Node<'_>) -> Result<WrittenKey, Refusal> {
    let text = text_at(node, "params", "a list of keys")?;
    let key = text.parse();
    key.map(|key| (key, node.mark))
        .map_err(|reason| (node.mark, PipelineProblem::ParamKey { key: short(text), reason }))
}

/// Joins what several items say of one file, which is named at `mark`: all of it wins over some keys.
fn add(
    files: &mut BTreeMap<RepoPath, ParamKeys>,
    mark: Mark,
    file: RepoPath,
    keys: Option<Vec<WrittenKey>>,
    places: &mut Places,
) {
    places.add_input(&file, mark);
    for (key, mark) in keys.iter().flatten() {
        places.add_param(&file, key.as_str(), *mark);
    }
    let entry = files.entry(file).or_insert_with(|| ParamKeys::Named(Vec::new()));
    match (entry, keys) {
        (ParamKeys::Named(named), Some(keys)) => {
            named.extend(keys.into_iter().map(|(key, _)| key));
            named.sort();
            named.dedup();
        }
        (entry, None) => *entry = ParamKeys::All,
        (ParamKeys::All, Some(_)) => {}
    }
}
