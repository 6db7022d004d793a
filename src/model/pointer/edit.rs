//! Changing what a pointer says of its contents, and nothing else.
//!
//! The bytes of the values are replaced where they stand. That it worked is not believed but
//! checked: the result is parsed again and compared.

use std::ops::Range;

use crate::model::emit;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::place::{Located, Mark};
use crate::model::pointer::{Pointer, PointerError, PointerProblem, write};
use crate::model::value::Value;
use crate::model::yaml::{Data, Limits, Map, Node, load, text_of};

const KEYS: [&str; 4] = ["hash", "size", "nfiles", "isexec"];

pub(super) fn update(file: &RepoPath, bytes: &[u8], content: &ContentInfo) -> Result<Vec<u8>, PointerError> {
    let old = Pointer::parse(file, bytes)?;
    if old.content == *content {
        return Ok(bytes.to_vec());
    }
    let wanted = Pointer { content: *content, ..old };
    edited(file, bytes, &wanted, &KEYS, |text, root| Some(edits(text, output(root)?, content)))
}

pub(super) fn with_remote(file: &RepoPath, bytes: &[u8], remote: &str) -> Result<Vec<u8>, PointerError> {
    let old = Pointer::parse(file, bytes)?;
    if old.remote.as_deref().is_none_or(|named| named == remote) {
        return Ok(bytes.to_vec());
    }
    let wanted = Pointer { remote: Some(remote.into()), ..old };
    edited(file, bytes, &wanted, &["remote"], |_, root| {
        let value = root.map()?.get("remote").or_else(|| output(root)?.get("remote"))?;
        Some(vec![(value.mark.start as usize..value.mark.end as usize, emit::scalar(remote).into_owned())])
    })
}

/// The text after `edits`, if it means `wanted` then and differs in the values of `keys` alone.
fn edited(
    file: &RepoPath,
    bytes: &[u8],
    wanted: &Pointer,
    keys: &[&str],
    edits: impl FnOnce(&str, &Node<'_>) -> Option<Vec<Edit>>,
) -> Result<Vec<u8>, PointerError> {
    let name = file.as_str();
    let text = text_of(name, bytes, Limits::POINTER).map_err(|error| error.map(Into::into))?;
    let text = text.replace("\r\n", "\n");
    let root = load(name, &text, Limits::POINTER).map_err(|error| error.map(Into::into))?;
    let cannot = || Located::new(name, &text, Mark::default(), PointerProblem::CannotEdit);
    let edited = edits(&text, &root).and_then(|edits| apply(&text, edits)).ok_or_else(cannot)?;
    let new = Pointer::parse(file, edited.as_bytes()).map_err(|_| cannot())?;
    let reread = load(name, &edited, Limits::POINTER).map_err(|_| cannot())?;
    let as_meant = new == *wanted && rest(&root, keys) == rest(&reread, keys);
    if as_meant { Ok(edited.into_bytes()) } else { Err(cannot()) }
}

fn output<'a, 'b>(root: &'b Node<'a>) -> Option<&'b Map<'a>> {
    root.map()?.get("outs")?.list()?.first()?.map()
}

/// All but the values of `keys`.
fn rest(root: &Node<'_>, keys: &[&str]) -> Option<Value> {
    let mut root = root.clone();
    let Data::Map(top) = &mut root.data else { return None };
    top.entries.retain(|(key, _)| !keys.contains(&key.text.as_ref()));
    let (_, outs) = top.entries.iter_mut().find(|(key, _)| key.text == "outs")?;
    let Data::List(items) = &mut outs.data else { return None };
    let Data::Map(item) = &mut items.first_mut()?.data else { return None };
    item.entries.retain(|(key, _)| !keys.contains(&key.text.as_ref()));
    Some(Value::of(&root))
}

type Edit = (Range<usize>, String);

/// Replacements of values that are there, lines for those that are not, removals of those that
/// do not apply any more.
fn edits(text: &str, output: &Map<'_>, content: &ContentInfo) -> Vec<Edit> {
    let fields = write::fields(content);
    let mut edits = Vec::new();
    let mut missing = Vec::new();
    for (key, value) in &fields {
        match output.get(key) {
            Some(node) => edits.push((node.mark.start as usize..node.mark.end as usize, value.clone())),
            None => missing.push((*key, value)),
        }
    }
    // `size` is there in every valid pointer; what is new goes behind it, in canonical order.
    if let Some((key, size)) = output.entry("size") {
        let column = key.mark.column as usize - 1;
        let mut added = String::new();
        for (key, value) in missing {
            added += &if output.flow {
                format!(", {key}: {value}")
            } else {
                format!("\n{:column$}{key}: {value}", "")
            };
        }
        let at = if output.flow { size.mark.end as usize } else { end_of_line(text, size.mark.end as usize) };
        if !added.is_empty() {
            edits.push((at..at, added));
        }
    }
    for key in KEYS.iter().filter(|key| !fields.iter().any(|(field, _)| field == *key)) {
        edits.extend(removal(text, output, key));
    }
    edits
}

/// The line of `key`, or in braces the key, its value and the comma in front of or behind it.
fn removal(text: &str, output: &Map<'_>, key: &str) -> Option<Edit> {
    let index = output.entries.iter().position(|(found, _)| found.text == key)?;
    let (found, value) = &output.entries[index];
    let range = match (output.flow, index.checked_sub(1), output.entries.get(index + 1)) {
        (true, Some(before), _) => output.entries[before].1.mark.end as usize..value.mark.end as usize,
        (true, None, Some((next, _))) => found.mark.start as usize..next.mark.start as usize,
        (true, None, None) => found.mark.start as usize..value.mark.end as usize,
        // The first key of an item stands behind its dash, on a line with it: the next key moves up.
        (false, None, Some((next, _))) => found.mark.start as usize..next.mark.start as usize,
        (false, ..) => {
            let start = text[..found.mark.start as usize].rfind('\n').map_or(0, |newline| newline + 1);
            start..(end_of_line(text, value.mark.end as usize) + 1).min(text.len())
        }
    };
    Some((range, String::new()))
}

fn end_of_line(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |newline| from + newline)
}

/// `text` with all edits made; `None` if they overlap.
fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (range, new) in edits {
        out.push_str(text.get(done..range.start)?);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}
