//! Metrics files: numbers that stages made, and what changed between two states of them.
//!
//! They are read and compared as parameter files are; only what is a metrics file differs.

use std::collections::BTreeSet;

use crate::model::path::RepoPath;
use crate::model::stage::Pipeline;
use crate::model::value::Value;

pub use crate::model::values::{ChangesByFile, ValuesByFile, ValuesError, changes, read};

/// The metrics files of `pipelines`: outputs under `metrics`, and files listed at the top. Sorted.
pub fn files<'a>(pipelines: impl IntoIterator<Item = &'a Pipeline>) -> BTreeSet<RepoPath> {
    let mut files = BTreeSet::new();
    for pipeline in pipelines {
        files.extend(pipeline.metrics.iter().cloned());
        let outs = pipeline.stages.iter().flat_map(|stage| &stage.outs);
        files.extend(outs.filter(|out| out.is_metric()).map(|out| out.path.clone()));
    }
    files
}

/// `value` with numbers rounded to `digits` significant ones, as tables show them.
pub fn rounded(value: &Value, digits: usize) -> String {
    match value {
        Value::Float(float) if float.is_finite() && *float != 0.0 => {
            // Significant digits, not decimals: 0.000012345 keeps its meaning.
            let short: f64 = format!("{float:.*e}", digits.saturating_sub(1)).parse().unwrap_or(*float);
            Value::Float(short).to_string()
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::parse::parse;
    use crate::pipeline::template::NoValues;

    #[test]
    fn metrics_files_are_outputs_and_those_listed_at_the_top() {
        let text =
            "metrics: [top.json]\nstages:\n  s: {cmd: x, outs: [o], metrics: [m.json: {cache: false}]}\n";
        let file = RepoPath::parse("p/mlv.yaml").unwrap();
        let pipeline = parse(&file, text.as_bytes(), &NoValues).unwrap();
        let names: Vec<String> = files([&pipeline]).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["p/m.json", "p/top.json"]);
    }

    #[test]
    fn tables_show_few_digits_of_fractions_and_all_of_whole_numbers() {
        assert_eq!(rounded(&Value::Float(0.912345678), 5), "0.91235");
        assert_eq!(rounded(&Value::Float(1.2345678e-5), 5), "1.2346e-5");
        assert_eq!(rounded(&Value::Float(-0.25), 5), "-0.25");
        assert_eq!(rounded(&Value::Int(123_456_789), 5), "123456789");
        assert_eq!(rounded(&Value::Float(0.0), 5), "0.0");
    }
}
