//! Edits of `mlv.yaml` that keep all else that its author wrote: order, comments, quoting.
//!
//! An edit is made line by line and believed only if the file then means what it should: it is parsed
//! again and compared.

mod add;
mod freeze;
mod remote;

use crate::model::path::RepoPath;
use crate::model::stage::{Pipeline, Places, Stage};
use crate::model::yaml::{Limits, Map, Node, load, text_of};
use crate::pipeline::parse::{PipelineError, parse};
use crate::pipeline::template::ValueFiles;

pub use add::{NewOut, NewStage, with_stage};
pub use freeze::with_frozen;
pub use remote::with_remote;

/// The text without the stages `names`, groups with all of their stages; nothing if an edit by lines would change anything else: braces,
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
    let text = text(file, bytes)?;
    let root = root(file, text)?;
    let Some(stages) = definitions(&root) else { return Ok(None) };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut keep = vec![true; lines.len()];
    for (key, _) in
        stages.entries.iter().filter(|(key, _)| names.iter().any(|name| *definition_of(name) == key.text))
    {
        let start = (key.mark.line as usize).saturating_sub(1);
        let end = with_blank_line(&lines, end_of_entry(&lines, start, key.mark.column as usize));
        keep[start.min(lines.len())..end].fill(false);
    }
    let new: String = lines.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(line, _)| *line).collect();
    let wanted = Pipeline {
        stages: old.stages.iter().filter(|stage| !names.contains(&&*stage.name)).cloned().collect(),
        ..old
    };
    // Values that only these stages used are used no more.
    let stripped = |pipeline| Pipeline { values: Vec::new(), ..without_lines(pipeline) };
    let is_exact = parse(file, new.as_bytes(), files).is_ok_and(|found| stripped(found) == stripped(wanted));
    Ok(is_exact.then(|| in_form_of(bytes, &new)))
}

/// The edited text with the byte order mark of `original`, and with its line ends if all are CR LF.
fn in_form_of(original: &[u8], edited: &str) -> Vec<u8> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let mark = if original.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK } else { &[] };
    let mut lines = original.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let is_crlf = original.contains(&b'\r') && lines.all(|line| line.ends_with(b"\r\n"));
    let text = if is_crlf { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited.to_owned() };
    [mark, text.as_bytes()].concat()
}

/// The definition that makes the stage `name`: its own, or that of its group.
pub fn definition_of(name: &str) -> &str {
    name.split_once('@').map_or(name, |(group, _)| group)
}

fn text<'a>(file: &RepoPath, bytes: &'a [u8]) -> Result<&'a str, PipelineError> {
    text_of(file.as_str(), bytes, Limits::PIPELINE).map_err(|error| error.map(Into::into))
}

fn root<'a>(file: &RepoPath, text: &'a str) -> Result<Node<'a>, PipelineError> {
    load(file.as_str(), text, Limits::PIPELINE).map_err(|error| error.map(Into::into))
}

/// The definitions of stages, if they stand one below the other.
fn definitions<'a, 'b>(root: &'b Node<'a>) -> Option<&'b Map<'a>> {
    let stages = root.map()?.get("stages")?.map()?;
    (!stages.flow).then_some(stages)
}

/// Whether the definition `name` made the stage.
fn is_made_by(stage: &Stage, name: &str) -> bool {
    definition_of(&stage.name) == name
}

/// The pipeline without the places of its stages, which move when lines before them go or come.
fn without_lines(mut pipeline: Pipeline) -> Pipeline {
    for stage in &mut pipeline.stages {
        stage.places = Places::default();
    }
    pipeline
}

/// The index behind the last line of the entry whose key stands at `column` (from 1) of line `start`.
fn end_of_entry(lines: &[&str], start: usize, column: usize) -> usize {
    let mut end = start + 1;
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        let rest = line.trim_start_matches(' ');
        if rest.trim().is_empty() {
            continue;
        }
        if line.len() - rest.len() < column {
            break;
        }
        end = index + 1;
    }
    end.min(lines.len())
}

/// The end of an entry that is taken out: one of the blank lines around it goes with it.
fn with_blank_line(lines: &[&str], end: usize) -> usize {
    let is_blank = |line: &&str| line.trim().is_empty();
    let is_last = lines[end..].iter().all(is_blank);
    if !is_last && lines.get(end).is_some_and(is_blank) { end + 1 } else { end }
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
    fn form_of_the_lines_stays() {
        let form = |original: &str| String::from_utf8(in_form_of(original.as_bytes(), "a\nb\n")).unwrap();
        assert_eq!(form("x\n"), "a\nb\n");
        assert_eq!(form("\u{feff}x\r\ny"), "\u{feff}a\r\nb\r\n");
        assert_eq!(form("x\r\ny\n"), "a\nb\n", "a mixture becomes one kind");
    }

    #[test]
    fn what_lines_cannot_do_is_left() {
        assert_eq!(without("stages: {a: {cmd: echo}, b: {cmd: echo}}\n", &["a"]), None);
        let anchored = "stages:\n  a:\n    cmd: echo\n    outs: &o [x]\n  b:\n    cmd: echo\n    deps: *o\n";
        assert_eq!(without(anchored, &["a"]), None);
    }

    #[test]
    fn groups_go_as_a_whole_and_values_with_their_last_user() {
        let text = "vars: [{lr: 1}]\nstages:\n  g:\n    foreach: [1, 2]\n    do:\n      cmd: echo ${item} ${lr}\n  b:\n    cmd: echo\n";
        let new = "vars: [{lr: 1}]\nstages:\n  b:\n    cmd: echo\n";
        assert_eq!(without(text, &["g@1", "g@2"]).as_deref(), Some(new));
        assert_eq!(without(text, &["g@1"]), None);
    }
}
