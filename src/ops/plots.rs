//! `plots`: points and pictures of states of the project, read and drawn.

mod collect;
mod place;

use std::collections::BTreeMap;

use crate::model::path::RepoPath;
use crate::model::stage::{Axis, Plot};
use crate::ops::OpError;
use crate::ops::revisions::{self, At};
use crate::ops::targets;
use crate::plots::{self, Defined, FileKind, PlotError};
use crate::repo::Repo;

pub use crate::plots::{Coordinate, Count, Drawing, Picture, Template, counts, page, spark, spec, summary};
pub use place::{DEFAULT_FOLDER, write};

use collect::State;

/// What the work tree is called among revisions, as DVC calls it.
pub const WORKSPACE: &str = "workspace";

/// What to draw, and how.
#[derive(Clone, Debug, Default)]
pub struct PlotsOptions {
    /// Names of plots, files, or folders with some; all plots if none is named.
    pub targets: Vec<String>,
    /// What counts instead of what the pipelines say.
    pub instead: Instead,
}

/// What the user says of all plots that are drawn.
#[derive(Clone, Debug, Default)]
pub struct Instead {
    /// The column to the right.
    pub x: Option<String>,
    /// The columns up.
    pub y: Vec<String>,
    /// The template.
    pub template: Option<String>,
    /// What stands above.
    pub title: Option<String>,
    /// What stands at the axis to the right.
    pub x_label: Option<String>,
    /// What stands at the axis up.
    pub y_label: Option<String>,
    /// The first line of tables is a point.
    pub no_header: bool,
}

/// What was drawn.
#[derive(Debug, Default)]
pub struct PlotsReport {
    /// Points, by the plots' names.
    pub drawings: Vec<Drawing>,
    /// Pictures, by the plots' names and then by state.
    pub pictures: Vec<Picture>,
    /// Plots of which no state has a file.
    pub absent: Vec<String>,
    /// Plots and files that could not be drawn, and why.
    pub failed: Vec<(String, OpError)>,
}

/// The states that `plots diff` compares: HEAD and the work tree; one revision and the work tree; those
/// that are named; those of `A..B`; and of `A...B` B and where it left A.
pub fn states(repo: &Repo, named: &[String]) -> Result<Vec<(String, At)>, OpError> {
    let name = |text: &str| if text.is_empty() { "HEAD".to_owned() } else { text.to_owned() };
    match named {
        [] | [_] => {
            let (old, new) = revisions::pair(repo, named)?;
            let (older, newer) = match named.first().map(|one| (one, one.split_once(".."))) {
                None => ("HEAD".to_owned(), WORKSPACE.to_owned()),
                Some((_, Some((a, b)))) => (name(a), name(b.trim_start_matches('.'))),
                Some((one, None)) => (one.clone(), WORKSPACE.to_owned()),
            };
            Ok(vec![(older, old), (newer, new)])
        }
        several => {
            let git = repo.require_git()?;
            let resolved = several.iter().map(|text| Ok((text.clone(), At::Commit(git.resolve(text)?))));
            resolved.collect()
        }
    }
}

/// Reads and draws `states`, the oldest first; the newest that defines a plot says how it is drawn.
pub fn draw(repo: &Repo, states: &[(String, At)], options: &PlotsOptions) -> Result<PlotsReport, OpError> {
    let mut loaded = Vec::new();
    for (name, at) in states.iter().filter(|(_, at)| *at != At::Nothing) {
        loaded.push(State { repo, name: name.clone(), at: *at, tracked: revisions::tracked(repo, *at)? });
    }
    let mut report = PlotsReport::default();
    for mut defined in chosen(repo, &loaded, &options.targets)? {
        options.instead.apply(&mut defined.plot);
        let id = defined.id.clone();
        if let Err(error) = one(&loaded, &defined, &mut report) {
            report.failed.push((id, error));
        }
    }
    Ok(report)
}

/// The plots that the targets mean, and files that are not among them and are named.
fn chosen(repo: &Repo, states: &[State<'_>], named: &[String]) -> Result<Vec<Defined>, OpError> {
    let mut known: BTreeMap<String, Defined> = BTreeMap::new();
    for state in states.iter().rev() {
        for defined in plots::defined(state.tracked.pipelines().iter().map(|one| &*one.pipeline)) {
            known.entry(defined.id.clone()).or_insert(defined);
        }
    }
    if named.is_empty() {
        return Ok(known.into_values().collect());
    }
    let mut wanted = BTreeMap::new();
    for target in named {
        if let Some(defined) = known.get(target) {
            wanted.insert(defined.id.clone(), defined.clone());
            continue;
        }
        let path = targets::path(repo, target)?;
        let below =
            |defined: &&Defined| plots::files_of(&defined.plot).iter().any(|file| file.starts_with(&path));
        let found: Vec<Defined> = known.values().filter(below).cloned().collect();
        if found.is_empty() {
            let defined =
                undefined(states, &path)?.ok_or_else(|| targets::no_such(target, names_of(repo, &known)))?;
            wanted.insert(defined.id.clone(), defined);
        }
        wanted.extend(found.into_iter().map(|defined| (defined.id.clone(), defined)));
    }
    Ok(wanted.into_values().collect())
}

/// What the plots can be called by.
fn names_of<'k>(repo: &'k Repo, known: &'k BTreeMap<String, Defined>) -> impl Iterator<Item = String> + 'k {
    let files = known.values().flat_map(|defined| plots::files_of(&defined.plot));
    known.keys().cloned().chain(files.map(|file| repo.shown(&file)))
}

/// A file that no pipeline calls a plot, or that is in a folder which one calls so.
fn undefined(states: &[State<'_>], path: &RepoPath) -> Result<Option<Defined>, OpError> {
    if FileKind::of(path).is_none() || path.is_root() {
        return Ok(None);
    }
    for state in states {
        if state.files_at(path)?.contains(path) {
            let plot =
                Plot { id: path.as_str().into(), file: Some(path.clone()), header: true, ..Plot::default() };
            return Ok(Some(Defined { id: path.to_string(), plot }));
        }
    }
    Ok(None)
}

impl Instead {
    fn apply(&self, plot: &mut Plot) {
        let text = |mine: &Option<String>, theirs: &mut Option<Box<str>>| {
            if let Some(mine) = mine {
                *theirs = Some(mine.as_str().into());
            }
        };
        text(&self.template, &mut plot.template);
        text(&self.title, &mut plot.title);
        text(&self.x_label, &mut plot.x_label);
        text(&self.y_label, &mut plot.y_label);
        plot.header &= !self.no_header;
        axis(self.x.as_slice(), &mut plot.x);
        axis(&self.y, &mut plot.y);
    }
}

/// Other columns, of the same files.
fn axis(columns: &[String], axis: &mut Axis) {
    if columns.is_empty() {
        return;
    }
    let columns: Vec<Box<str>> = columns.iter().map(|column| column.as_str().into()).collect();
    *axis = match std::mem::take(axis) {
        Axis::Files(files) => {
            Axis::Files(files.into_iter().map(|(file, _)| (file, columns.clone())).collect())
        }
        _ => Axis::Columns(columns),
    };
}

/// Draws one plot: a file, several files together, or each file of a folder.
fn one(states: &[State<'_>], defined: &Defined, report: &mut PlotsReport) -> Result<(), OpError> {
    let files = plots::files_of(&defined.plot);
    let folder = files.first().filter(|file| files.len() == 1 && FileKind::of(file).is_none());
    let Some(folder) = folder else { return draw_files(states, defined, &files, report) };
    let mut inside: Vec<RepoPath> = Vec::new();
    for state in states {
        inside.extend(state.files_at(folder)?);
    }
    inside.sort();
    inside.dedup();
    if inside.is_empty() {
        report.absent.push(defined.id.clone());
    }
    for file in inside {
        if FileKind::of(&file).is_none() {
            // Other files in a folder are nobody's mistake.
            if file == *folder {
                return Err(PlotError::Kind { file }.into());
            }
            continue;
        }
        let plot = Plot { id: file.as_str().into(), file: Some(file.clone()), ..defined.plot.clone() };
        let part = Defined { id: file.to_string(), plot };
        if let Err(error) = draw_files(states, &part, &[file], report) {
            report.failed.push((part.id, error));
        }
    }
    Ok(())
}

fn draw_files(
    states: &[State<'_>],
    defined: &Defined,
    files: &[RepoPath],
    report: &mut PlotsReport,
) -> Result<(), OpError> {
    if let [file] = files
        && let Some(FileKind::Picture(media_type)) = FileKind::of(file)
    {
        return pictures(states, (&defined.id, file, media_type), report);
    }
    let mut sources = Vec::new();
    for state in states {
        sources.push(state.source(files, defined.plot.header)?);
    }
    match plots::draw(defined, &sources)? {
        Some(drawing) => report.drawings.push(drawing),
        None => report.absent.push(defined.id.clone()),
    }
    Ok(())
}

fn pictures(
    states: &[State<'_>],
    (id, file, media_type): (&str, &RepoPath, &'static str),
    report: &mut PlotsReport,
) -> Result<(), OpError> {
    let before = report.pictures.len();
    for state in states {
        if let Some(bytes) = state.bytes(file)? {
            let (id, revision) = (id.to_owned(), state.name.clone());
            report.pictures.push(Picture { id, revision, media_type, bytes });
        }
    }
    if report.pictures.len() == before {
        report.absent.push(id.to_owned());
    }
    Ok(())
}
