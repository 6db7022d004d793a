//! Files of values, YAML, JSON, TOML or Python: reading them, and what changed between two states of them.
//!
//! Parameters and metrics are both such files. The bytes are passed in, from the work tree or
//! from a revision.

use std::collections::BTreeMap;

use crate::model::path::RepoPath;
use crate::model::place::{Located, Problem};
use crate::model::value::{
    JsonProblem, PythonProblem, TomlProblem, Value, ValueChange, diff, parse_json, parse_python, parse_toml,
};
use crate::model::yaml::{Limits, YamlProblem, load, text_of};

/// Why a file of values cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesProblem {
    /// It is refused as YAML, or as text at all.
    #[error(transparent)]
    Yaml(#[from] YamlProblem),
    /// It is refused as JSON.
    #[error(transparent)]
    Json(#[from] JsonProblem),
    /// It is refused as TOML.
    #[error(transparent)]
    Toml(#[from] TomlProblem),
    /// It is refused as Python.
    #[error(transparent)]
    Python(#[from] PythonProblem),
}

impl Problem for ValuesProblem {
    fn hint(&self) -> Option<String> {
        match self {
            ValuesProblem::Yaml(problem) => problem.hint(),
            ValuesProblem::Json(problem) => problem.hint(),
            ValuesProblem::Toml(problem) => problem.hint(),
            ValuesProblem::Python(problem) => problem.hint(),
        }
    }
}

/// A problem of a file of values at its place.
pub type ValuesError = Located<ValuesProblem>;

/// Values by file.
pub type ValuesByFile = BTreeMap<RepoPath, Value>;

/// What changed, by file and key: DVC's `{file: {key: {old, new, diff}}}`.
pub type ChangesByFile = BTreeMap<RepoPath, BTreeMap<String, ValueChange>>;

/// The values of `file` with the contents `bytes`: JSON, TOML or Python by its name (`.json`, `.toml`,
/// `.py`), otherwise YAML.
/// A file without a value is null.
pub fn read(file: &RepoPath, bytes: &[u8]) -> Result<Value, ValuesError> {
    read_within(file, bytes, Limits::PIPELINE)
}

/// The same within other limits.
pub fn read_within(file: &RepoPath, bytes: &[u8], limits: Limits) -> Result<Value, ValuesError> {
    let name = file.as_str();
    let text = text_of(name, bytes, limits).map_err(|error| error.map(Into::into))?;
    if is_json(file) {
        return parse_json(name, text, limits).map_err(|error| error.map(Into::into));
    }
    if has_suffix(file, ".toml") {
        return parse_toml(name, text, limits).map_err(|error| error.map(Into::into));
    }
    if has_suffix(file, ".py") {
        return parse_python(name, text, limits).map_err(|error| error.map(Into::into));
    }
    match load(name, text, limits) {
        Ok(root) => Ok(Value::of(&root)),
        Err(error) if error.problem == YamlProblem::Empty => Ok(Value::Null),
        Err(error) => Err(error.map(Into::into)),
    }
}

/// Whether the file is read as JSON.
pub fn is_json(file: &RepoPath) -> bool {
    has_suffix(file, ".json")
}

fn has_suffix(file: &RepoPath, suffix: &str) -> bool {
    file.file_name().to_ascii_lowercase().ends_with(suffix)
}

/// What differs between two states; files and keys without a difference only with `all`.
pub fn changes(old: &ValuesByFile, new: &ValuesByFile, all: bool) -> ChangesByFile {
    let files: std::collections::BTreeSet<&RepoPath> = old.keys().chain(new.keys()).collect();
    let mut changes = ChangesByFile::new();
    for file in files {
        let keys: BTreeMap<String, ValueChange> =
            diff(old.get(file), new.get(file), all).into_iter().collect();
        if !keys.is_empty() {
            changes.insert(file.clone(), keys);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> RepoPath {
        RepoPath::parse(path).unwrap()
    }

    fn one(file: &str, text: &str) -> ValuesByFile {
        BTreeMap::from([(at(file), read(&at(file), text.as_bytes()).unwrap())])
    }

    #[test]
    fn files_are_read_by_their_name() {
        assert_eq!(read(&at("p.yaml"), b"a: 1\n").unwrap().get("a"), Some(&Value::Int(1)));
        assert_eq!(read(&at("p.JSON"), b"{\"a\": 1}").unwrap().get("a"), Some(&Value::Int(1)));
        assert_eq!(read(&at("p.yaml"), b"").unwrap(), Value::Null);
        assert_eq!(read(&at("p.toml"), b"a = 1\n").unwrap().get("a"), Some(&Value::Int(1)));
        assert_eq!(read(&at("p.py"), b"a = 1\n").unwrap().get("a"), Some(&Value::Int(1)));
        assert_eq!(read(&at("p.yaml"), b"\xef\xbb\xbfa: 1\r\n").unwrap().get("a"), Some(&Value::Int(1)));
    }

    #[test]
    fn refusals_name_file_and_line() {
        let error = |file: &str, text: &str| read(&at(file), text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("d/p.yaml", "a: 1\na: 2\n"), "d/p.yaml:2:1: the key `a` stands here a second time");
        let json = error("d/p.json", "{\n\"a\": }");
        assert!(json.starts_with("d/p.json:2:6: this is no JSON that mlv reads: "), "{json}");
        let not_utf8 = read(&at("p.yaml"), b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!(not_utf8.to_string(), "p.yaml:2: the file is not UTF-8 text");
    }

    #[test]
    fn changes_have_the_shape_of_dvc() {
        let old = one("params.yaml", "train: {lr: 0.5, epochs: 2}\nseed: 1\n");
        let new = one("params.yaml", "train: {lr: 0.25, epochs: 2.0}\nname: x\n");
        let changes = serde_json::to_string(&changes(&old, &new, false)).unwrap();
        let expected = concat!(
            r#"{"params.yaml":{"name":{"old":null,"new":"x"},"seed":{"old":1,"new":null},"#,
            r#""train.lr":{"old":0.5,"new":0.25,"diff":-0.25}}}"#
        );
        assert_eq!(changes, expected);
        assert!(super::changes(&old, &old, false).is_empty());
        assert_eq!(super::changes(&old, &old, true)[&at("params.yaml")].len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[\\[\\]{}:,\"0-9eE.+a-z \\n-]{0,80}") {
            for file in ["p.json", "p.yaml"] {
                let _ = read(&at(file), &bytes);
                let _ = read(&at(file), text.as_bytes());
            }
        }

        /// What JSON reads, YAML reads alike: it is nearly a part of it.
        #[test]
        fn json_and_yaml_agree(value in "[a-z]{1,8}", number: i32, fraction in -1e9..1e9) {
            let text = format!("{{\"{value}\": [{number}, {fraction:?}, \"{value}\", null, true, {{}}]}}");
            let json = read(&at("p.json"), text.as_bytes()).unwrap();
            proptest::prop_assert!(json.same(&read(&at("p.yaml"), text.as_bytes()).unwrap()));
        }
    }
}
