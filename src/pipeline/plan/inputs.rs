//! The values that a stage reads from parameter files, and what of its inputs is not there.

use std::borrow::Cow;

use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::stage::{ParamDep, ParamKeys, Stage};
use crate::model::value::{Entries, KeyPath, Value};
use crate::pipeline::plan::{CurrentParams, Matched, State};

/// The key under which a file is recorded whose values are no map, if a stage reads all of it.
const WHOLE: &str = ".";

/// The values that `wanted` names in the file with the values `root`: sorted by key, ready for the
/// lock. Fails with the keys that are not there.
pub fn param_values(wanted: &ParamDep, root: &Value) -> Result<Entries, Vec<Box<str>>> {
    let mut values = Entries::new();
    let mut missing = Vec::new();
    for (key, value) in find_params(wanted, Some(root)) {
        match value {
            Some(value) => values.push((key.into(), value.clone())),
            None => missing.push(key.into()),
        }
    }
    values.sort_by(|a, b| a.0.cmp(&b.0));
    if missing.is_empty() { Ok(values) } else { Err(missing) }
}

/// Each key that `wanted` names, with its value if there is one.
pub(super) fn find_params<'a>(
    wanted: &'a ParamDep,
    root: Option<&'a Value>,
) -> Vec<(Cow<'a, str>, Option<&'a Value>)> {
    match (&wanted.keys, root) {
        (ParamKeys::Named(keys), _) => {
            let find = |key: &'a KeyPath| root.and_then(|root| key.find(root));
            keys.iter().map(|key| (key.as_str().into(), find(key))).collect()
        }
        (ParamKeys::All, None) => Vec::new(),
        (ParamKeys::All, Some(Value::Map(entries))) => {
            entries.iter().map(|(key, value)| (Cow::Borrowed(&**key), Some(value))).collect()
        }
        (ParamKeys::All, Some(Value::Null)) => Vec::new(),
        (ParamKeys::All, Some(value)) => vec![(WHOLE.into(), Some(value))],
    }
}

/// An input that a stage cannot run without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingInput {
    /// A dependency, or a whole parameter file.
    File {
        /// Its path.
        path: RepoPath,
    },
    /// Anything that a pattern of dependencies matches.
    Match {
        /// The pattern.
        pattern: RepoPath,
    },
    /// A value of a parameter file that is there.
    Param {
        /// The file.
        file: RepoPath,
        /// The key.
        key: Box<str>,
    },
}

impl MissingInput {
    /// The file or directory, if that is what is missing.
    pub fn file(&self) -> Option<&RepoPath> {
        match self {
            MissingInput::File { path } => Some(path),
            MissingInput::Match { .. } | MissingInput::Param { .. } => None,
        }
    }
}

/// The dependencies of a stage now: those that are named, and what its patterns match.
#[derive(Debug, Default)]
pub struct PresentDeps<'a> {
    /// Sorted, without duplicates.
    pub paths: Vec<RepoPath>,
    /// Patterns of which nobody knows yet what they match.
    pub unknown: Vec<&'a PathPattern>,
    /// Patterns that match nothing.
    pub empty: Vec<&'a PathPattern>,
}

/// What `stage` depends on. Of what cannot be known that counts which the lock entry `lock` has.
pub fn present_deps<'a, S: State>(
    stage: &'a Stage,
    lock: Option<&StageLock>,
    state: &S,
) -> Result<PresentDeps<'a>, S::Error> {
    let mut deps = PresentDeps { paths: stage.deps.clone(), ..PresentDeps::default() };
    for pattern in &stage.patterns {
        match state.matched(pattern)? {
            Matched::Paths(paths) if paths.is_empty() => deps.empty.push(pattern),
            Matched::Paths(paths) => deps.paths.extend(paths.iter().cloned()),
            Matched::Unknown => deps.unknown.push(pattern),
            Matched::Unlisted => {
                let recorded = lock.iter().flat_map(|lock| &lock.deps).map(|dep| &dep.path);
                deps.paths.extend(recorded.filter(|path| pattern.may_be(path)).cloned());
                deps.unknown.extend(lock.is_none().then_some(pattern));
            }
        }
    }
    deps.paths.sort();
    deps.paths.dedup();
    Ok(deps)
}

/// What `stage` reads and is not there: to be asked before anything is touched for a run.
pub fn missing_inputs<S: State>(stage: &Stage, state: &S) -> Result<Vec<MissingInput>, S::Error> {
    let deps = present_deps(stage, None, state)?;
    let none = |pattern: &&PathPattern| MissingInput::Match { pattern: pattern.as_path().clone() };
    let mut missing: Vec<MissingInput> = deps.empty.iter().map(none).collect();
    for path in deps.paths {
        if !state.is_there(&path)? && !state.is_left_out(&path) {
            missing.push(MissingInput::File { path });
        }
    }
    for wanted in &stage.params {
        match state.params(&wanted.file)? {
            CurrentParams::Unknown => {}
            CurrentParams::Missing | CurrentParams::NotHere => {
                missing.push(MissingInput::File { path: wanted.file.clone() })
            }
            CurrentParams::Values(root) => {
                let absent = param_values(wanted, &root).err().unwrap_or_default();
                let file = &wanted.file;
                missing.extend(absent.into_iter().map(|key| MissingInput::Param { file: file.clone(), key }));
            }
        }
    }
    Ok(missing)
}
