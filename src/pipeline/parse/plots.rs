//! Plots, of a stage or of the whole file; and `artifacts`, which also give names to files.

use std::collections::HashSet;

use crate::model::path::RepoPath;
use crate::model::place::{Mark, short};
use crate::model::stage::{Artifact, Axis, Plot};
use crate::model::yaml::{Map, Node};
use crate::pipeline::parse::outs::notes;
use crate::pipeline::parse::problem::{PipelineProblem, Refusal};
use crate::pipeline::parse::{bool, keys, map_of, path, text, text_at, value};

const EXPECTED: &str = "a list of files or names, each with options or not";
const COLUMNS: &str = "a column, a list of columns, or a map of files to columns";

/// The plot of one file.
pub(super) fn of_file(written: &str, path: &RepoPath) -> Plot {
    Plot { id: written.into(), file: Some(path.clone()), header: true, ..Plot::default() }
}

/// Reads what a definition says of a plot; files are relative to `folder`.
pub(super) fn options(plot: &mut Plot, map: &Map<'_>, folder: &RepoPath) -> Result<(), Refusal> {
    plot.x = axis(map, "x", folder)?;
    plot.y = axis(map, "y", folder)?;
    plot.x_label = text(map, "x_label")?;
    plot.y_label = text(map, "y_label")?;
    plot.title = text(map, "title")?;
    plot.template = text(map, "template")?;
    plot.header = bool(map, "header")?.unwrap_or(true);
    Ok(())
}

fn axis(map: &Map<'_>, key: &'static str, folder: &RepoPath) -> Result<Axis, Refusal> {
    let Some(node) = map.get(key).filter(|node| !node.is_null()) else { return Ok(Axis::Unset) };
    let Some(files) = node.map() else { return columns(node, key).map(Axis::Columns) };
    let mut axis = Vec::new();
    for (file, node) in &files.entries {
        axis.push((path(folder, file.mark, &file.text)?, columns(node, key)?));
    }
    Ok(Axis::Files(axis))
}

fn columns(node: &Node<'_>, key: &'static str) -> Result<Vec<Box<str>>, Refusal> {
    let column = |node| text_at(node, key, COLUMNS).map(Into::into);
    match node.list() {
        None => Ok(vec![column(node)?]),
        Some(items) => items.iter().map(column).collect(),
    }
}

/// The plots that a file defines at the top: a list, or a map.
pub(super) fn plots(node: &Node<'_>, folder: &RepoPath) -> Result<Vec<Plot>, Refusal> {
    let mut plots = Vec::new();
    let mut add = |mark, written: &str, options: Option<&Node<'_>>| {
        plots.push(plot(folder, (mark, written), options)?);
        Ok(())
    };
    if let Some(map) = node.map() {
        for (key, options) in &map.entries {
            add(key.mark, &key.text, Some(options))?;
        }
    } else {
        for item in node.list().ok_or_else(|| value(node, "plots", EXPECTED))? {
            match item.map().map(|map| &map.entries[..]) {
                None => add(item.mark, text_at(item, "plots", EXPECTED)?, None)?,
                Some([(key, options)]) => add(key.mark, &key.text, Some(options))?,
                Some(_) => return Err(value(item, "plots", EXPECTED)),
            }
        }
    }
    Ok(plots)
}

fn plot(
    folder: &RepoPath,
    (mark, written): (Mark, &str),
    definition: Option<&Node<'_>>,
) -> Result<Plot, Refusal> {
    let mut plot = Plot { id: written.into(), header: true, ..Plot::default() };
    if let Some(node) = definition.filter(|node| !node.is_null()) {
        let map = map_of(node, "what follows a plot")?;
        keys::check(map, &keys::PLOT)?;
        options(&mut plot, map, folder)?;
    }
    // With files of its own the name is a name; else it is the file.
    if !matches!((&plot.x, &plot.y), (Axis::Files(_), _) | (_, Axis::Files(_))) {
        plot.file = Some(path(folder, mark, written)?);
    }
    Ok(plot)
}

/// The artifacts of a file, sorted by name.
pub(super) fn artifacts(node: &Node<'_>, folder: &RepoPath) -> Result<Vec<Artifact>, Refusal> {
    let mut artifacts = Vec::new();
    let mut names = HashSet::new();
    for (key, node) in &map_of(node, "`artifacts`")?.entries {
        let name = key.text.as_ref();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
        if name.is_empty() || name.starts_with('-') || !name.chars().all(is_word) || !names.insert(name) {
            return Err((key.mark, PipelineProblem::ArtifactName { name: short(name) }));
        }
        let map = map_of(node, "an artifact")?;
        keys::check(map, &keys::ARTIFACT)?;
        let file = map.get("path").ok_or((key.mark, PipelineProblem::Missing { key: "path" }))?;
        let path = path(folder, file.mark, text_at(file, "path", "a path")?)?;
        artifacts.push(Artifact { name: name.into(), path, notes: notes(map)? });
    }
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(artifacts)
}
