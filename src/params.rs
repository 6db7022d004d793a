//! Parameter files: the values that stages read and people change.
//!
//! Which files and keys is in the stages; what they hold now or held at a revision is read from
//! bytes that the caller passes in.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::path::RepoPath;
use crate::model::stage::{ParamKeys, Pipeline};

pub use crate::model::values::{ChangesByFile, ValuesByFile, ValuesError, changes, is_json, read};

/// The file that `params` without a file means.
pub const DEFAULT_FILE: &str = "params.yaml";

/// The parameter files of `pipelines`, sorted: those of stages, those listed at the top, those that
/// templates take values from, and the `params.yaml` beside each pipeline, whether it is there or not.
pub fn files<'a>(pipelines: impl IntoIterator<Item = &'a Pipeline>) -> BTreeSet<RepoPath> {
    let mut files = BTreeSet::new();
    for pipeline in pipelines {
        files.extend(pipeline.params.iter().cloned());
        files.extend(pipeline.values.iter().cloned());
        files.extend(pipeline.file.with_file_name(DEFAULT_FILE));
        let read = pipeline.stages.iter().flat_map(|stage| &stage.params);
        files.extend(read.map(|params| params.file.clone()));
    }
    files
}

/// What the stages of `pipelines` read of each parameter file: for `params diff --deps`.
pub fn read_by_stages<'a>(
    pipelines: impl IntoIterator<Item = &'a Pipeline>,
) -> BTreeMap<RepoPath, ParamKeys> {
    let mut keys: BTreeMap<RepoPath, ParamKeys> = BTreeMap::new();
    let stages = pipelines.into_iter().flat_map(|pipeline| &pipeline.stages);
    for params in stages.flat_map(|stage| &stage.params) {
        let known = keys.entry(params.file.clone()).or_insert_with(|| ParamKeys::Named(Vec::new()));
        match (known, &params.keys) {
            (ParamKeys::Named(known), ParamKeys::Named(more)) => {
                known.extend(more.iter().cloned());
                known.sort();
                known.dedup();
            }
            (known, ParamKeys::All) => *known = ParamKeys::All,
            (ParamKeys::All, ParamKeys::Named(_)) => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::parse::parse;
    use crate::pipeline::template::NoValues;

    #[test]
    fn files_and_keys_of_all_stages_are_joined() {
        let text = "\
params: [top.yaml]
stages:
  a: {cmd: x, params: [lr, other.json: ]}
  b: {cmd: x, wdir: sub, params: [../params.yaml: [lr, epochs], ../other.json: [k]]}
";
        let file = RepoPath::parse("mlv.yaml").unwrap();
        let pipeline = parse(&file, text.as_bytes(), &NoValues).unwrap();
        let names: Vec<String> = files([&pipeline]).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["other.json", "params.yaml", "top.yaml"]);
        let keys = read_by_stages([&pipeline]);
        let path = |name: &str| RepoPath::parse(name).unwrap();
        assert_eq!(keys[&path("other.json")], ParamKeys::All);
        let named = ["epochs", "lr"].map(|key| key.parse().unwrap()).to_vec();
        assert_eq!(keys[&path("params.yaml")], ParamKeys::Named(named));
    }
}
