//! The remotes that outputs of stages name.

use std::collections::BTreeSet;

use crate::model::emit;
use crate::model::path::RepoPath;
use crate::model::yaml::{Data, Map, Node};
use crate::pipeline::edit::{root, text, without_lines};
use crate::pipeline::parse::{PipelineError, parse};
use crate::pipeline::template::ValueFiles;

/// The text with `new` wherever an output names the remote `old`; nothing if an edit of these words would
/// change anything else, or does not reach a template that makes one.
///
/// Fails if the file cannot be read as it is.
pub fn with_remote(
    file: &RepoPath,
    bytes: &[u8],
    (old, new): (&str, &str),
    files: &dyn ValueFiles,
) -> Result<Option<Vec<u8>>, PipelineError> {
    let mut wanted = parse(file, bytes, files)?;
    let text = text(file, bytes)?.replace("\r\n", "\n");
    let root = root(file, &text)?;
    // An alias stands where its anchor does.
    let mut places = BTreeSet::new();
    for (_, stage) in
        root.map().and_then(|top| top.get("stages")?.map()).into_iter().flat_map(|all| &all.entries)
    {
        let stage = stage.map().and_then(|map| map.get("do")).unwrap_or(stage);
        places.extend(stage.map().into_iter().flat_map(|stage| named(stage, old)));
    }
    let mut edited = text.clone();
    // From the last to the first: an edit moves only what is behind it.
    for (start, end) in places.into_iter().rev() {
        let Some(_) = edited.get(start..end) else { return Ok(None) };
        edited.replace_range(start..end, &emit::scalar(new));
    }
    for out in wanted.stages.iter_mut().flat_map(|stage| &mut stage.outs) {
        if out.remote.as_deref() == Some(old) {
            out.remote = Some(new.into());
        }
    }
    let found = parse(file, edited.as_bytes(), files);
    let is_exact = found.is_ok_and(|found| without_lines(found) == without_lines(wanted));
    Ok(is_exact.then(|| edited.into_bytes()))
}

/// Where the outputs of a definition say `remote: old`: the first byte and that behind the last.
fn named<'n>(stage: &'n Map<'_>, old: &str) -> Vec<(usize, usize)> {
    let lists = ["outs", "metrics", "plots"].into_iter().filter_map(|key| stage.get(key)?.list());
    let options = lists.flatten().filter_map(|item: &'n Node<'_>| match &item.data {
        Data::Map(map) => map.entries.first().and_then(|(_, options)| options.map()),
        _ => None,
    });
    let values = options.filter_map(|options| options.get("remote"));
    let values = values.filter(|value| value.text() == Some(old));
    values.map(|value| (value.mark.start as usize, value.mark.end as usize)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::template::NoValues;

    fn renamed(text: &str, new: &str) -> Option<String> {
        let file = RepoPath::parse("mlv.yaml").unwrap();
        let edited = with_remote(&file, text.as_bytes(), ("old", new), &NoValues).unwrap();
        edited.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_that_remote_is_renamed_and_comments_stay() {
        let text = "# old\nstages:\n  a:\n    cmd: echo old\n    outs:\n    - x: {remote: old, push: true} # old\n    - y:\n        remote: other\n    metrics:\n    - m:\n        remote: \"old\"  # quoted\n  g:\n    foreach: [1, 2]\n    do:\n      cmd: x\n      outs:\n      - z${item}: {remote: old}\n";
        let new = text.replace("remote: old", "remote: new").replace("\"old\"", "new");
        assert_eq!(renamed(text, "new").as_deref(), Some(&*new));
        assert_eq!(
            renamed("stages: {a: {cmd: x, outs: [{x: {remote: old}}]}}\n", "1").as_deref(),
            Some("stages: {a: {cmd: x, outs: [{x: {remote: \"1\"}}]}}\n")
        );
        let none = "stages:\n  a:\n    cmd: x\n";
        assert_eq!(renamed(none, "new").as_deref(), Some(none));
    }

    #[test]
    fn one_behind_an_anchor_is_renamed_once_and_a_template_is_left() {
        let text = "stages:\n  a:\n    cmd: x\n    outs:\n    - x: &o {remote: old}\n    - y: *o\n";
        assert_eq!(renamed(text, "new"), Some(text.replace("old", "new")));
        assert_eq!(
            renamed("vars: [{r: old}]\nstages:\n  a: {cmd: x, outs: [{x: {remote: \"${r}\"}}]}\n", "new"),
            None
        );
    }
}
