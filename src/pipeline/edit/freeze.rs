//! The key `frozen` of definitions.

use std::ops::Range;

use crate::model::path::RepoPath;
use crate::model::stage::Pipeline;
use crate::model::yaml::{Map, Node};
use crate::pipeline::edit::{in_form_of, is_made_by, root, text, without_lines};
use crate::pipeline::parse::{PipelineError, parse};
use crate::pipeline::template::ValueFiles;

/// The text with the definitions `names` frozen or not; nothing if an edit by lines would change
/// anything else: an anchor that other stages use, or a template that says it.
///
/// Fails if the file cannot be read as it is.
pub fn with_frozen(
    file: &RepoPath,
    bytes: &[u8],
    names: &[&str],
    frozen: bool,
    files: &dyn ValueFiles,
) -> Result<Option<Vec<u8>>, PipelineError> {
    let old = parse(file, bytes, files)?;
    let text = text(file, bytes)?.replace("\r\n", "\n");
    let root = root(file, &text)?;
    let stages = root.map().and_then(|top| top.get("stages")).and_then(Node::map);
    let Some(edits) = stages.and_then(|stages| edits(&text, stages, names, frozen)) else { return Ok(None) };
    let mut new = text.clone();
    // From the last to the first: an edit moves only what is behind it.
    for (range, with) in edits.into_iter().rev() {
        let Some(_) = new.get(range.clone()) else { return Ok(None) };
        new.replace_range(range, &with);
    }
    let mut wanted: Pipeline = old;
    for stage in &mut wanted.stages {
        if names.iter().any(|name| is_made_by(stage, name)) {
            stage.frozen = frozen;
        }
    }
    let is_exact =
        parse(file, new.as_bytes(), files).is_ok_and(|found| without_lines(found) == without_lines(wanted));
    Ok(is_exact.then(|| in_form_of(bytes, &new)))
}

type Edit = (Range<usize>, String);

/// The edits of all definitions, in the order of the file.
fn edits(text: &str, stages: &Map<'_>, names: &[&str], frozen: bool) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    for name in names {
        let definition = stages.get(name)?.map()?;
        let stage = match definition.get("do") {
            Some(body) => body.map()?,
            None => definition,
        };
        edits.extend(edit(text, stage, frozen)?);
    }
    edits.sort_by_key(|(range, _)| range.start);
    Some(edits)
}

/// What changes in one definition; an edit that changes nothing if it says so already.
fn edit(text: &str, stage: &Map<'_>, frozen: bool) -> Option<Option<Edit>> {
    let (first, _) = stage.entries.first()?;
    let start = first.mark.start as usize;
    let Some((key, value)) = stage.entry("frozen") else {
        let end =
            if stage.flow { ", ".to_owned() } else { format!("\n{:1$}", "", first.mark.column as usize - 1) };
        return Some(frozen.then(|| (start..start, format!("frozen: true{end}"))));
    };
    value.plain()?;
    let range = value.mark.start as usize..value.mark.end as usize;
    let line = text[..key.mark.start as usize].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |newline| range.end + newline + 1);
    let is_alone =
        text[line..key.mark.start as usize].trim().is_empty() && text[range.end..end].trim().is_empty();
    if !frozen && !stage.flow && is_alone && stage.entries.len() > 1 {
        return Some(Some((line..end, String::new())));
    }
    Some(Some((range, frozen.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::template::NoValues;

    fn frozen(text: &str, names: &[&str], frozen: bool) -> Option<String> {
        let file = RepoPath::parse("mlv.yaml").unwrap();
        let edited = with_frozen(&file, text.as_bytes(), names, frozen, &NoValues).unwrap();
        edited.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn freezing_and_unfreezing_gives_the_same_text() {
        let text = "# top\nstages:\n  # first\n  a: # why\n    # what\n    cmd: |\n      echo a\n    outs: [x]\n\n  b: {cmd: x}\n  c:\n    foreach: [1, 2]\n    do:\n      cmd: x\n";
        let changed = "# top\nstages:\n  # first\n  a: # why\n    # what\n    frozen: true\n    cmd: |\n      echo a\n    outs: [x]\n\n  b: {frozen: true, cmd: x}\n  c:\n    foreach: [1, 2]\n    do:\n      frozen: true\n      cmd: x\n";
        assert_eq!(frozen(text, &["c", "a", "b"], true).as_deref(), Some(changed));
        assert_eq!(frozen(changed, &["a", "c"], true).as_deref(), Some(changed));
        let back =
            changed.replace("    frozen: true\n    cmd", "    cmd").replace("      frozen: true\n", "");
        assert_eq!(frozen(changed, &["a", "c"], false).as_deref(), Some(&*back));
        assert_eq!(frozen(&back, &["b"], false), Some(text.replace("{cmd", "{frozen: false, cmd")));
        assert_eq!(frozen(text, &["a"], false).as_deref(), Some(text));
    }

    #[test]
    fn comments_and_other_values_stay() {
        let text = "stages:\n  a:\n    cmd: x\n    frozen: false # later\n    outs: [y]";
        let new = text.replace("false", "true");
        assert_eq!(frozen(text, &["a"], true), Some(new.clone()));
        assert_eq!(frozen(&new, &["a"], false).as_deref(), Some(text));
        let last = "stages:\n  a:\n    cmd: x\n    frozen: true";
        assert_eq!(frozen(last, &["a"], false).as_deref(), Some("stages:\n  a:\n    cmd: x\n"));
    }

    #[test]
    fn what_lines_cannot_do_is_left() {
        let merged = "stages:\n  a: &a\n    cmd: x\n  b:\n    <<: *a\n    desc: y\n";
        assert_eq!(frozen(merged, &["a"], true), None, "it would freeze `b` too");
        assert_eq!(frozen("vars:\n- f: true\nstages:\n  a: {cmd: x, frozen: '${f}'}\n", &["a"], false), None);
        assert_eq!(frozen("stages:\n  a: {cmd: x}\n", &["b"], true), None);
    }
}
