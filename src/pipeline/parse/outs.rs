//! What a stage makes: `outs`, `metrics` and `plots`.

use std::collections::BTreeMap;

use crate::model::path::{RepoPath, check_output_name};
use crate::model::pattern::PathPattern;
use crate::model::place::{Mark, short};
use crate::model::stage::{Notes, Out, Role, Stage};
use crate::model::yaml::{Map, Node};
use crate::pipeline::parse::problem::{PipelineProblem, Refusal};
use crate::pipeline::parse::{bool, keys, list, map_of, path, plots, refused_name, text, text_at, value};
use crate::pipeline::paths::PathMap;

pub(super) fn outs(file: &RepoPath, stage: &mut Stage, map: &Map<'_>) -> Result<Vec<Out>, Refusal> {
    let mut inputs = PathMap::default();
    for input in stage.deps.iter().chain(stage.params.iter().map(|params| &params.file)) {
        inputs.insert(input.clone(), input.clone());
    }
    let patterns = &stage.patterns;
    let place = Place { file, stage: &stage.name, wdir: &stage.wdir, inputs, patterns };
    let (mut outs, mut marks) = (BTreeMap::new(), Vec::new());
    for key in ["outs", "metrics", "plots"] {
        for item in list(map, key)? {
            let (mark, out) = self::out(&place, item, key)?;
            let path = out.path.clone();
            marks.push((path.clone(), mark));
            if outs.insert(path.clone(), out).is_some() {
                return Err((mark, PipelineProblem::OutTwice { path: short(path.as_str()) }));
            }
        }
    }
    marks.iter().for_each(|(path, mark)| stage.places.add_out(path, *mark));
    Ok(outs.into_values().collect())
}

/// What an output must not collide with.
struct Place<'a> {
    file: &'a RepoPath,
    stage: &'a str,
    wdir: &'a RepoPath,
    inputs: PathMap<RepoPath>,
    patterns: &'a [PathPattern],
}

fn out(place: &Place<'_>, node: &Node<'_>, key: &'static str) -> Result<(Mark, Out), Refusal> {
    const EXPECTED: &str = "a list of paths, each with options or not";
    let (mark, written, options) = match node.map() {
        None => (node.mark, text_at(node, key, EXPECTED)?, None),
        Some(map) => match &map.entries[..] {
            [(path, options)] => (path.mark, path.text.as_ref(), Some(options)),
            _ => return Err(value(node, key, EXPECTED)),
        },
    };
    let path = path(place.wdir, mark, written)?;
    check_output_name(&path).map_err(|error| refused_name(mark, written, error))?;
    check_place(place, &path, written).map_err(|problem| (mark, problem))?;
    let role = match key {
        "metrics" => Role::Metric,
        "plots" => Role::Plot(Box::new(plots::of_file(written, &path))),
        _ => Role::Data,
    };
    let mut out = Out {
        path,
        cache: true,
        push: true,
        remote: None,
        optional: false,
        persist: false,
        role,
        notes: Notes::default(),
    };
    if let Some(options) = options.filter(|options| !options.is_null()) {
        out_options(&mut out, options, place.wdir)?;
    }
    Ok((mark, out))
}

fn check_place(place: &Place<'_>, path: &RepoPath, written: &str) -> Result<(), PipelineProblem> {
    if place.wdir.starts_with(path) {
        return Err(PipelineProblem::RunsInside { path: short(written) });
    }
    if place.file.starts_with(path) {
        return Err(PipelineProblem::ContainsPipeline { path: short(written) });
    }
    let pattern = || place.patterns.iter().find(|one| one.touches(path)).map(PathPattern::as_path);
    match place.inputs.overlapping(path).or_else(pattern) {
        Some(input) => Err(PipelineProblem::OwnInput {
            stage: place.stage.into(),
            out: path.clone(),
            input: input.clone(),
        }),
        None => Ok(()),
    }
}

fn out_options(out: &mut Out, node: &Node<'_>, wdir: &RepoPath) -> Result<(), Refusal> {
    let map = map_of(node, "what follows an output")?;
    match &mut out.role {
        Role::Plot(plot) => {
            keys::check(map, &keys::PLOT_OUT)?;
            plots::options(plot, map, wdir)?;
        }
        _ => keys::check(map, &keys::OUT)?,
    }
    out.cache = bool(map, "cache")?.unwrap_or(true);
    out.push = bool(map, "push")?.unwrap_or(true);
    out.persist = bool(map, "persist")?.unwrap_or(false);
    out.optional = bool(map, "optional")?.unwrap_or(false);
    out.remote = text(map, "remote")?;
    out.notes = notes(map)?;
    Ok(())
}

/// What people wrote about an output.
pub(super) fn notes(map: &Map<'_>) -> Result<Notes, Refusal> {
    let mut notes = Notes { desc: text(map, "desc")?, kind: text(map, "type")?, labels: Vec::new() };
    for label in list(map, "labels")? {
        notes.labels.push(text_at(label, "labels", "a list of texts")?.into());
    }
    Ok(notes)
}
