//! The values that a stage reads from parameter files, and what of its inputs is not there.

use std::borrow::Cow;

use crate::model::path::RepoPath;
use crate::model::stage::{ParamDep, ParamKeys, Stage};
use crate::model::value::{Entries, KeyPath, Value};
use crate::pipeline::plan::{Current, CurrentParams, State};

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
    /// A value of a parameter file that is there.
    Param {
        /// The file.
        file: RepoPath,
        /// The key.
        key: Box<str>,
    },
}

/// What `stage` reads and is not there: to be asked before anything is touched for a run.
pub fn missing_inputs<S: State>(stage: &Stage, state: &S) -> Result<Vec<MissingInput>, S::Error> {
    let mut missing = Vec::new();
    for path in &stage.deps {
        if state.content(path)? == Current::Missing {
            missing.push(MissingInput::File { path: path.clone() });
        }
    }
    for wanted in &stage.params {
        match state.params(&wanted.file)? {
            CurrentParams::Unknown => {}
            CurrentParams::Missing | CurrentParams::AsRecorded => {
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
