//! From a definition and rows to points.

use std::collections::BTreeMap;

use crate::model::path::RepoPath;
use crate::model::stage::{Axis, Plot};
use crate::model::value::{Entries, Value};
use crate::plots::error::PlotError;
use crate::plots::{Defined, MAX_POINTS, Rows, Template};

/// The column that stands for the number of a point, where no other is named for `x`.
const STEP: &str = "step";

/// The files with points in one state of the project.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What the state is called.
    pub revision: String,
    /// Rows by file; files that are not there are left out.
    pub files: BTreeMap<RepoPath, Rows>,
}

/// A coordinate.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Coordinate {
    /// A finite number.
    Number(f64),
    /// A text.
    Text(String),
    /// Nothing that can be drawn.
    Gap,
}

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which of [`Drawing::revisions`].
    pub revision: usize,
    /// Which of [`Drawing::series`].
    pub series: usize,
    /// To the right.
    pub x: Coordinate,
    /// Up.
    pub y: Coordinate,
}

/// Points, and how they are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// The plot's name.
    pub id: String,
    /// What stands above.
    pub title: Option<String>,
    /// How it is drawn.
    pub template: Template,
    /// What stands at the axis to the right.
    pub x_label: String,
    /// What stands at the axis up.
    pub y_label: String,
    /// The states that have points, the oldest first.
    pub revisions: Vec<String>,
    /// Files and columns that are drawn beside each other; one without a name if there is no choice.
    pub series: Vec<String>,
    /// The points, by revision and series, in the order of the files.
    pub points: Vec<Point>,
    /// How many values are gaps: no finite numbers.
    pub gaps: usize,
}

/// A column of a file.
type Column = (RepoPath, Box<str>);

/// What is drawn of `defined`; nothing if no source has a file of it.
pub fn draw(defined: &Defined, sources: &[Source]) -> Result<Option<Drawing>, PlotError> {
    let plot = &defined.plot;
    let template = match &plot.template {
        None => Template::default(),
        Some(name) => Template::of(name)
            .ok_or_else(|| PlotError::Template { plot: defined.id.clone(), template: name.clone() })?,
    };
    let ys = ys(plot, sources)?;
    let xs = xs(defined, &ys)?;
    let mut drawing = Drawing {
        id: defined.id.clone(),
        title: plot.title.as_deref().map(str::to_owned),
        template,
        x_label: label(plot.x_label.as_deref(), xs.iter().flatten(), STEP, "x"),
        y_label: label(plot.y_label.as_deref(), ys.iter(), "y", "y"),
        revisions: Vec::new(),
        series: names(&ys),
        points: Vec::new(),
        gaps: 0,
    };
    for source in sources {
        let before = drawing.points.len();
        for (series, (y, x)) in ys.iter().zip(&xs).enumerate() {
            add(&mut drawing, source, series, (x.as_ref(), y))?;
        }
        if drawing.points.len() > before {
            drawing.revisions.push(source.revision.clone());
        }
    }
    Ok((!drawing.points.is_empty()).then_some(drawing))
}

/// The columns that go up. Where none is named, the last one of the file.
fn ys(plot: &Plot, sources: &[Source]) -> Result<Vec<Column>, PlotError> {
    let own: Vec<RepoPath> = match (&plot.file, &plot.x) {
        (Some(file), _) => vec![file.clone()],
        (None, Axis::Files(files)) => files.iter().map(|(file, _)| file.clone()).collect(),
        (None, _) => Vec::new(),
    };
    let named = |columns: &[Box<str>]| {
        let of = |file: &RepoPath| columns.iter().map(move |column| (file.clone(), column.clone())).collect();
        own.iter().flat_map(|file| -> Vec<Column> { of(file) }).collect()
    };
    Ok(match &plot.y {
        Axis::Columns(columns) => named(columns),
        Axis::Files(files) => {
            let of = |(file, columns): &(RepoPath, Vec<Box<str>>)| {
                columns.iter().map(|column| (file.clone(), column.clone())).collect::<Vec<Column>>()
            };
            files.iter().flat_map(of).collect()
        }
        Axis::Unset => {
            let last = |file: &RepoPath| {
                let rows = sources.iter().rev().find_map(|source| source.files.get(file))?;
                rows.first()?.last().map(|(column, _)| (file.clone(), column.clone()))
            };
            own.iter().filter_map(last).collect()
        }
    })
}

/// The column that goes to the right for each of `ys`; none: the number of the point.
fn xs(defined: &Defined, ys: &[Column]) -> Result<Vec<Option<Column>>, PlotError> {
    let spread = |columns: Vec<Column>| match columns.len() {
        1 => Ok(vec![Some(columns[0].clone()); ys.len()]),
        number if number == ys.len() => Ok(columns.into_iter().map(Some).collect()),
        number => Err(PlotError::Axes { plot: defined.id.clone(), x: number, y: ys.len() }),
    };
    match &defined.plot.x {
        Axis::Unset => Ok(vec![None; ys.len()]),
        Axis::Columns(columns) => match &columns[..] {
            [column] => Ok(ys.iter().map(|(file, _)| Some((file.clone(), column.clone()))).collect()),
            columns if columns.len() == ys.len() => Ok(ys
                .iter()
                .zip(columns)
                .map(|((file, _), column)| Some((file.clone(), column.clone())))
                .collect()),
            columns => Err(PlotError::Axes { plot: defined.id.clone(), x: columns.len(), y: ys.len() }),
        },
        Axis::Files(files) => {
            let of = |(file, columns): &(RepoPath, Vec<Box<str>>)| {
                columns.iter().map(|column| (file.clone(), column.clone())).collect::<Vec<Column>>()
            };
            spread(files.iter().flat_map(of).collect())
        }
    }
}

/// What stands at an axis: the column, if there is but one.
fn label<'c>(
    written: Option<&str>,
    columns: impl Iterator<Item = &'c Column>,
    none: &str,
    several: &str,
) -> String {
    let mut names: Vec<&str> = columns.map(|(_, column)| &**column).collect();
    names.sort_unstable();
    names.dedup();
    match (written, &names[..]) {
        (Some(written), _) => written.to_owned(),
        (None, []) => none.to_owned(),
        (None, [one]) => (*one).to_owned(),
        (None, _) => several.to_owned(),
    }
}

/// What tells the columns apart: file, column, or both, without the folders that all files share.
fn names(ys: &[Column]) -> Vec<String> {
    let Some((first, column)) = ys.first() else { return Vec::new() };
    let folder = shared_folder(ys);
    let has_files = ys.iter().any(|(file, _)| file != first);
    let has_columns = ys.iter().any(|(_, other)| other != column);
    let name = |(file, column): &Column| {
        let file = file.as_str()[folder..].to_owned();
        match (has_files, has_columns) {
            (true, true) => format!("{file}::{column}"),
            (true, false) => file,
            (false, true) => column.to_string(),
            (false, false) => String::new(),
        }
    };
    ys.iter().map(name).collect()
}

/// Bytes of the path of the folder that holds all files, with its slash.
fn shared_folder(ys: &[Column]) -> usize {
    let Some((first, _)) = ys.first() else { return 0 };
    let mut folder = first.parent();
    while let Some(path) = folder.filter(|path| !path.is_root()) {
        if ys.iter().all(|(file, _)| file.starts_with(&path)) {
            return path.as_str().len() + 1;
        }
        folder = path.parent();
    }
    0
}

/// Adds the points of one series in one state.
fn add(
    drawing: &mut Drawing,
    source: &Source,
    series: usize,
    (x, y): (Option<&Column>, &Column),
) -> Result<(), PlotError> {
    let Some(rows) = source.files.get(&y.0) else { return Ok(()) };
    let x_rows = match x {
        Some((file, _)) => match source.files.get(file) {
            Some(rows) => Some(rows),
            None => return Ok(()),
        },
        None => None,
    };
    let points = drawing.points.len() + rows.len();
    if points > MAX_POINTS {
        return Err(PlotError::TooMany { plot: drawing.id.clone(), points, limit: MAX_POINTS });
    }
    if let (Some(x_rows), Some((x_file, _))) = (x_rows, x)
        && x_rows.len() != rows.len()
    {
        let (x, y) = (x_file.clone(), y.0.clone());
        return Err(PlotError::Lengths { x, x_points: x_rows.len(), y, y_points: rows.len() });
    }
    check_column(&y.0, &y.1, rows)?;
    if let (Some(x_rows), Some((file, column))) = (x_rows, x) {
        check_column(file, column, x_rows)?;
    }
    let revision = drawing.revisions.len();
    for (at, row) in rows.iter().enumerate() {
        let x_value = match (x_rows, x) {
            (Some(x_rows), Some((file, column))) => {
                let (value, place) = (find(&x_rows[at], column), (file, &**column, at));
                coordinate(value, drawing.template, drawing.template.is_bar(), place)?
            }
            _ => Coordinate::Number(at as f64),
        };
        let wants_number = !drawing.template.is_bar();
        let y_value = coordinate(find(row, &y.1), drawing.template, wants_number, (&y.0, &y.1, at))?;
        let gaps = [&x_value, &y_value].iter().filter(|value| ***value == Coordinate::Gap).count();
        drawing.gaps += gaps;
        drawing.points.push(Point { revision, series, x: x_value, y: y_value });
    }
    Ok(())
}

fn find<'r>(row: &'r Entries, column: &str) -> Option<&'r Value> {
    row.iter().find(|(known, _)| **known == *column).map(|(_, value)| value)
}

/// A column that no row has is a mistake; one that some rows lack has gaps.
fn check_column(file: &RepoPath, column: &str, rows: &Rows) -> Result<(), PlotError> {
    if rows.iter().any(|row| find(row, column).is_some()) {
        return Ok(());
    }
    let columns = rows.first().map_or(&[][..], |row| &row[..]);
    let columns = columns.iter().take(12).map(|(column, _)| column.clone()).collect();
    Err(PlotError::NoColumn { file: file.clone(), column: column.into(), columns })
}

/// What is drawn of a value: a finite number, a text where one may stand, or nothing.
fn coordinate(
    value: Option<&Value>,
    template: Template,
    wants_number: bool,
    (file, column, at): (&RepoPath, &str, usize),
) -> Result<Coordinate, PlotError> {
    let finite = |float: f64| if float.is_finite() { Coordinate::Number(float) } else { Coordinate::Gap };
    let text = match value {
        None | Some(Value::Null) => return Ok(Coordinate::Gap),
        Some(Value::Bool(value)) if !template.takes_names() && wants_number => {
            return Ok(Coordinate::Number(f64::from(u8::from(*value))));
        }
        Some(number @ (Value::Int(_) | Value::Float(_))) => {
            return Ok(finite(number.as_f64().unwrap_or(f64::NAN)));
        }
        Some(Value::Text(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    if text.is_empty() {
        return Ok(Coordinate::Gap);
    }
    if let Ok(float) = text.parse::<f64>() {
        return Ok(finite(float));
    }
    if wants_number && !template.takes_names() {
        let value = text.chars().take(40).collect();
        return Err(PlotError::NotANumber {
            file: file.clone(),
            point: at + 1,
            column: column.into(),
            value,
        });
    }
    Ok(Coordinate::Text(text))
}
