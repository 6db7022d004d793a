//! Reading a lock file through YAML, whatever its form, and the checks of every entry.

use std::collections::BTreeMap;

use crate::model::lockfile::{
    LockDep, LockError, LockOut, LockProblem, LockSum, Lockfile, RefusedEntry, StageLock, write,
};
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::{RepoPath, check_output_name};
use crate::model::place::{Located, Mark, short};
use crate::model::resolve::{ResolveError, resolve};
use crate::model::stage::{Command, ENV, ENV_DEPS, SHELL, check_stage_name};
use crate::model::value::{Entries, Value};
use crate::model::yaml::{Map, Node};

/// The keys of an entry.
const KNOWN: [&str; 5] = ["cmd", "deps", "params", "outs", "sum"];
/// And those that are there if a stage has such settings.
const SETTINGS: [&str; 3] = [ENV, ENV_DEPS, SHELL];

type Refusal = (Mark, LockProblem);

pub(super) fn lockfile(file: &RepoPath, text: &str, root: &Node<'_>) -> Result<Lockfile, LockError> {
    let fail = |(mark, problem)| Located::new(file.as_str(), text, mark, problem);
    let top = map_of(root, "a lock file").map_err(fail)?;
    check_version(root.mark, top).map_err(fail)?;
    let folder = file.parent().unwrap_or_else(RepoPath::root);
    let mut lock = Lockfile {
        unknown: entries(top, |key| !["version", "stages"].contains(&key)),
        ..Lockfile::default()
    };
    let Some(stages) = top.get("stages").filter(|stages| !stages.is_null()) else { return Ok(lock) };
    for (key, node) in &map_of(stages, "`stages`").map_err(fail)?.entries {
        let name: Box<str> = key.text.as_ref().into();
        let entry = check_name(&name)
            .map_err(|problem| (key.mark, problem))
            .and_then(|()| stage(&folder, &name, node));
        match entry {
            Ok(entry) => {
                lock.stages.insert(name, entry);
            }
            Err(refusal) => {
                let entry = RefusedEntry { error: fail(refusal), value: Value::of(node) };
                lock.refused.insert(name, entry);
            }
        }
    }
    Ok(lock)
}

fn check_version(mark: Mark, top: &Map<'_>) -> Result<(), Refusal> {
    let version = top.get("version").ok_or((mark, LockProblem::Missing { key: "version" }))?;
    match version.count() {
        Some(1) => Ok(()),
        Some(other) => Err((version.mark, LockProblem::Version { found: other.to_string().into() })),
        None => Err(value(version, "version", "a bare whole number")),
    }
}

pub(super) fn check_name(name: &str) -> Result<(), LockProblem> {
    check_stage_name(name).map_err(|reason| LockProblem::Name { name: short(name), reason })
}

fn stage(folder: &RepoPath, name: &str, node: &Node<'_>) -> Result<StageLock, Refusal> {
    let map = map_of(node, "a stage")?;
    let command = map.get("cmd").ok_or((node.mark, LockProblem::Missing { key: "cmd" }))?;
    let mut entry = StageLock::new(
        self::command(command)?,
        items(folder, map, "deps", dep)?,
        params(folder, map)?,
        items(folder, map, "outs", out)?,
    );
    entry.settings = entries(map, |key| SETTINGS.contains(&key));
    entry.unknown = entries(map, |key| !KNOWN.contains(&key) && !SETTINGS.contains(&key));
    check_twice(&entry).map_err(|problem| (node.mark, problem))?;
    let written = map.get("sum").and_then(Node::text);
    let mut text = String::new();
    write::body(&mut text, folder, name, &entry);
    if written != Some(&write::sum(&text)) {
        entry.sum = LockSum::Stale { written: written.map(Into::into) };
    }
    Ok(entry)
}

/// Refuses a path that stands in one list twice.
pub(super) fn check_twice(entry: &StageLock) -> Result<(), LockProblem> {
    let twice = |path: &RepoPath| Err(LockProblem::Twice { path: short(path.as_str()) });
    if let Some(pair) = entry.deps.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return twice(&pair[0].path);
    }
    if let Some(pair) = entry.params.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return twice(&pair[0].0);
    }
    match entry.outs.windows(2).find(|pair| pair[0].path == pair[1].path) {
        Some(pair) => twice(&pair[0].path),
        None => Ok(()),
    }
}

fn command(node: &Node<'_>) -> Result<Command, Refusal> {
    let wrong = || value(node, "cmd", "a text or a list of texts");
    if let Some(text) = node.text() {
        return Ok(Command::Script(text.into()));
    }
    let items = node.list().ok_or_else(wrong)?;
    let texts: Option<Vec<Box<str>>> = items.iter().map(|item| item.text().map(Into::into)).collect();
    Ok(Command::List(texts.ok_or_else(wrong)?))
}

fn items<T>(
    folder: &RepoPath,
    map: &Map<'_>,
    key: &'static str,
    read: fn(&RepoPath, &Node<'_>) -> Result<T, Refusal>,
) -> Result<Vec<T>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(Vec::new()) };
    let items = node.list().ok_or_else(|| value(node, key, "a list"))?;
    items.iter().map(|item| read(folder, item)).collect()
}

fn dep(folder: &RepoPath, node: &Node<'_>) -> Result<LockDep, Refusal> {
    let map = map_of(node, "an item of `deps`")?;
    let (mark, written) = path_of(node, map)?;
    let path = input_path(folder, written).map_err(|problem| (mark, problem))?;
    Ok(LockDep { path, content: content(node, map)? })
}

fn out(folder: &RepoPath, node: &Node<'_>) -> Result<LockOut, Refusal> {
    let map = map_of(node, "an item of `outs`")?;
    let (mark, written) = path_of(node, map)?;
    let path = output_path(folder, written).map_err(|problem| (mark, problem))?;
    Ok(LockOut {
        path,
        content: content(node, map)?,
        cache: bool(map, "cache")?.unwrap_or(true),
        push: bool(map, "push")?.unwrap_or(true),
        remote: text(map, "remote")?,
    })
}

fn path_of<'b>(node: &Node<'_>, map: &'b Map<'_>) -> Result<(Mark, &'b str), Refusal> {
    let path = map.get("path").ok_or((node.mark, LockProblem::Missing { key: "path" }))?;
    Ok((path.mark, path.text().ok_or_else(|| value(path, "path", "a single value"))?))
}

pub(super) fn input_path(folder: &RepoPath, written: &str) -> Result<RepoPath, LockProblem> {
    resolve(folder, written).map_err(|reason| LockProblem::Path { path: short(written), reason })
}

pub(super) fn output_path(folder: &RepoPath, written: &str) -> Result<RepoPath, LockProblem> {
    let path = input_path(folder, written)?;
    let refused = |error| LockProblem::Path { path: short(written), reason: ResolveError::Path(error) };
    check_output_name(&path).map_err(refused)?;
    if folder.starts_with(&path) {
        return Err(LockProblem::Path { path: short(written), reason: ResolveError::ContainsItself });
    }
    Ok(path)
}

fn content(node: &Node<'_>, map: &Map<'_>) -> Result<ContentInfo, Refusal> {
    let hash = map.get("hash").ok_or((node.mark, LockProblem::Missing { key: "hash" }))?;
    let text = hash.text().ok_or_else(|| value(hash, "hash", "a single value"))?;
    let id: ContentId = text.parse().map_err(|error| (hash.mark, LockProblem::Hash(error)))?;
    let info = ContentInfo {
        id,
        size: count(map, "size")?.ok_or((node.mark, LockProblem::Missing { key: "size" }))?,
        nfiles: count(map, "nfiles")?,
        executable: bool(map, "isexec")?.unwrap_or(false),
    };
    check_content(&info).map_err(|problem| (node.mark, problem))?;
    Ok(info)
}

/// A directory has a number of files and is not executable; a file has none.
pub(super) fn check_content(info: &ContentInfo) -> Result<(), LockProblem> {
    match (info.id.is_tree(), info.nfiles, info.executable) {
        (true, None, _) => Err(LockProblem::Missing { key: "nfiles" }),
        (false, Some(_), _) => Err(LockProblem::Misplaced { key: "nfiles", of: "a directory" }),
        (true, _, true) => Err(LockProblem::Misplaced { key: "isexec", of: "a file" }),
        _ => Ok(()),
    }
}

fn params(folder: &RepoPath, map: &Map<'_>) -> Result<Vec<(RepoPath, Entries)>, Refusal> {
    let Some(node) = map.get("params") else { return Ok(Vec::new()) };
    let mut params = Vec::new();
    for (file, values) in &map_of(node, "`params`")?.entries {
        let path = input_path(folder, &file.text).map_err(|problem| (file.mark, problem))?;
        let values = map_of(values, "`params`")?.entries.iter();
        params
            .push((path, values.map(|(key, value)| (key.text.as_ref().into(), Value::of(value))).collect()));
    }
    Ok(params)
}

/// The entries that `wanted` picks, sorted by key.
fn entries(map: &Map<'_>, wanted: impl Fn(&str) -> bool) -> Entries {
    let mut entries: BTreeMap<Box<str>, Value> = BTreeMap::new();
    for (key, value) in map.entries.iter().filter(|(key, _)| wanted(&key.text)) {
        entries.insert(key.text.as_ref().into(), Value::of(value));
    }
    entries.into_iter().collect()
}

fn value(node: &Node<'_>, key: &'static str, expected: &'static str) -> Refusal {
    (node.mark, LockProblem::Value { key, expected })
}

fn map_of<'a, 'b>(node: &'b Node<'a>, what: &'static str) -> Result<&'b Map<'a>, Refusal> {
    node.map().ok_or((node.mark, LockProblem::NotAMap { what }))
}

fn text(map: &Map<'_>, key: &'static str) -> Result<Option<Box<str>>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.text().map(|text| Some(text.into())).ok_or_else(|| value(node, key, "a single value"))
}

fn bool(map: &Map<'_>, key: &'static str) -> Result<Option<bool>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.bool().map(Some).ok_or_else(|| value(node, key, "true or false"))
}

fn count(map: &Map<'_>, key: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.count().map(Some).ok_or_else(|| value(node, key, "a whole number from 0 to 2^63 - 1"))
}
