//! Edits of `mlv.yaml` that keep all else that its author wrote: order, comments, quoting.

use crate::model::path::RepoPath;
use crate::model::stage::Pipeline;
use crate::model::yaml::{Limits, load, text_of};
use crate::pipeline::parse::{PipelineError, parse};
use crate::pipeline::template::ValueFiles;

/// The text without the stages `names`; nothing if an edit by lines would change anything else: braces,
/// or an anchor that other stages use.
///
/// Comments between stages stay. Fails if the file cannot be read as it is.
pub fn without_stages(
    file: &RepoPath,
    bytes: &[u8],
    names: &[&str],
    files: &dyn ValueFiles,
) -> Result<Option<Vec<u8>>, PipelineError> {
    let old = parse(file, bytes, files)?;
    let text = text_of(file.as_str(), bytes, Limits::PIPELINE).map_err(|error| error.map(Into::into))?;
    let root = load(file.as_str(), text, Limits::PIPELINE).map_err(|error| error.map(Into::into))?;
    let stages = root.map().and_then(|top| top.get("stages")).and_then(|stages| stages.map());
    let Some(stages) = stages.filter(|stages| !stages.flow) else { return Ok(None) };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut keep = vec![true; lines.len()];
    for (key, _) in stages.entries.iter().filter(|(key, _)| names.contains(&key.text.as_ref())) {
        let start = (key.mark.line as usize).saturating_sub(1);
        let end = end_of_entry(&lines, start, key.mark.column as usize);
        keep[start.min(lines.len())..end].fill(false);
    }
    let new: String = lines.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(line, _)| *line).collect();
    let wanted = Pipeline {
        stages: old.stages.iter().filter(|stage| !names.contains(&&*stage.name)).cloned().collect(),
        ..old
    };
    let is_exact =
        parse(file, new.as_bytes(), files).is_ok_and(|found| without_lines(found) == without_lines(wanted));
    Ok(is_exact.then(|| new.into_bytes()))
}

/// The pipeline without the places of its stages, which move when lines before them go.
fn without_lines(mut pipeline: Pipeline) -> Pipeline {
    for stage in &mut pipeline.stages {
        stage.line = 0;
    }
    pipeline
}

/// The index behind the last line of the entry whose key stands at `column` (from 1) of line `start`.
fn end_of_entry(lines: &[&str], start: usize, column: usize) -> usize {
    let mut end = start + 1;
    let mut is_blank = false;
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        let rest = line.trim_start_matches(' ');
        is_blank = rest.trim().is_empty();
        if is_blank {
            continue;
        }
        if line.len() - rest.len() < column {
            break;
        }
        end = index + 1;
    }
    // One of the blank lines around the entry goes with it.
    let follows = lines.get(end).is_some_and(|line| line.trim().is_empty());
    if follows && !is_blank { end + 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::template::NoValues;

    const TEXT: &str = "# top\nstages:\n  # first\n  a:\n    cmd: |\n      # shell\n      echo a\n    outs: [x]\n\n  # second\n  b: # why\n    cmd: echo b\n    # inner\n    deps:\n    - x\n\nmetrics: [m]\n";

    fn without(text: &str, names: &[&str]) -> Option<String> {
        let file = RepoPath::parse("mlv.yaml").unwrap();
        without_stages(&file, text.as_bytes(), names, &NoValues)
            .unwrap()
            .map(|new| String::from_utf8(new).unwrap())
    }

    #[test]
    fn everything_else_stays() {
        let new = "# top\nstages:\n  # first\n  # second\n  b: # why\n    cmd: echo b\n    # inner\n    deps:\n    - x\n\nmetrics: [m]\n";
        assert_eq!(without(TEXT, &["a"]).as_deref(), Some(new));
        let new = "# top\nstages:\n  # first\n  a:\n    cmd: |\n      # shell\n      echo a\n    outs: [x]\n\n  # second\nmetrics: [m]\n";
        assert_eq!(without(TEXT, &["b"]).as_deref(), Some(new));
        assert_eq!(
            without(TEXT, &["a", "b"]).as_deref(),
            Some("# top\nstages:\n  # first\n  # second\nmetrics: [m]\n")
        );
    }

    #[test]
    fn what_lines_cannot_do_is_left() {
        assert_eq!(without("stages: {a: {cmd: echo}, b: {cmd: echo}}\n", &["a"]), None);
        let anchored = "stages:\n  a:\n    cmd: echo\n    outs: &o [x]\n  b:\n    cmd: echo\n    deps: *o\n";
        assert_eq!(without(anchored, &["a"]), None);
    }
}
