//! Why something cannot be drawn.

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;
use crate::model::values::ValuesError;
use crate::plots::template::Template;

/// Why a plot, or a file of it, cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// A file that is no JSON or YAML.
    #[error(transparent)]
    Values(#[from] Box<ValuesError>),
    /// A table that cannot be read.
    #[error("{file}:{line}: {what}")]
    Table {
        /// The file.
        file: RepoPath,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A file without points.
    #[error("`{file}` has no points: no list of maps with the same keys")]
    NoPoints {
        /// The file.
        file: RepoPath,
    },
    /// A column that is not there.
    #[error("`{file}` has no column `{column}`")]
    NoColumn {
        /// The file.
        file: RepoPath,
        /// The column.
        column: Box<str>,
        /// The first of those that are there.
        columns: Vec<Box<str>>,
    },
    /// A text where a number is drawn.
    #[error("`{file}`: point {point}: `{column}` is no number: `{value}`")]
    NotANumber {
        /// The file.
        file: RepoPath,
        /// Which, from 1.
        point: usize,
        /// The column.
        column: Box<str>,
        /// The text, or its start.
        value: String,
    },
    /// Two files that give the two axes of the same points.
    #[error("`{x}` has {x_points} points and `{y}` has {y_points}: they cannot be one plot")]
    Lengths {
        /// The file of what goes to the right.
        x: RepoPath,
        /// Its points.
        x_points: usize,
        /// The file of what goes up.
        y: RepoPath,
        /// Its points.
        y_points: usize,
    },
    /// Several columns to the right, and another number up.
    #[error("the plot `{plot}` has {x} columns for `x` and {y} for `y`")]
    Axes {
        /// The plot.
        plot: String,
        /// Columns of `x`.
        x: usize,
        /// Columns of `y`.
        y: usize,
    },
    /// More than a page can show.
    #[error("the plot `{plot}` has {points} points, more than the limit of {limit}")]
    TooMany {
        /// The plot.
        plot: String,
        /// Its points.
        points: usize,
        /// The limit.
        limit: usize,
    },
    /// A template that mlv does not know.
    #[error("the plot `{plot}` has the template `{template}`, which is not known")]
    Template {
        /// The plot.
        plot: String,
        /// The template as it is named.
        template: Box<str>,
    },
    /// A file that is neither points nor a picture.
    #[error("`{file}` is neither a file with points nor a picture, by its name")]
    Kind {
        /// The file.
        file: RepoPath,
    },
}

impl Advice for PlotError {
    fn kind(&self) -> ErrorKind {
        match self {
            PlotError::Values(error) => error.kind(),
            PlotError::Axes { .. } | PlotError::Template { .. } => ErrorKind::InvalidPipeline,
            _ => ErrorKind::InvalidFile,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = |text: String| vec![Hint::new(text)];
        match self {
            PlotError::Values(error) => error.hints(),
            PlotError::Table { .. } => {
                hint("fields with separators, quotes or line ends stand in double quotes".into())
            }
            PlotError::NoPoints { file } => hint(format!(
                "write `{}` as a table (.csv, .tsv) with a row a point, or as a list: [{{\"step\": 0, \"loss\": 1.5}}, …]",
                hint_path(file)
            )),
            PlotError::NoColumn { columns, .. } => {
                let columns: Vec<&str> = columns.iter().map(|column| &**column).collect();
                hint(format!(
                    "name one of `{}`, with `x` and `y` in mlv.yaml or -x and -y",
                    columns.join("`, `")
                ))
            }
            PlotError::NotANumber { .. } => {
                hint("draw another column (`y` in mlv.yaml, or -y), or with the template `confusion`".into())
            }
            PlotError::Lengths { .. } => hint("write both with one row a point".into()),
            PlotError::Axes { .. } => hint("name one column for `x`, or as many as for `y`".into()),
            PlotError::TooMany { .. } => hint("write fewer points, e.g. every tenth".into()),
            PlotError::Template { .. } => hint(format!("name one of `{}`", Template::names().join("`, `"))),
            PlotError::Kind { .. } => {
                hint("points: .csv .tsv .json .yaml; pictures: .png .jpg .gif .svg .webp".into())
            }
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            PlotError::Values(error) => error.subject(),
            PlotError::Axes { plot, .. }
            | PlotError::TooMany { plot, .. }
            | PlotError::Template { plot, .. } => Some(plot.clone()),
            PlotError::Table { file, .. }
            | PlotError::NoPoints { file }
            | PlotError::NoColumn { file, .. }
            | PlotError::NotANumber { file, .. }
            | PlotError::Lengths { y: file, .. }
            | PlotError::Kind { file } => Some(file.to_string()),
        }
    }

    fn quoted(&self) -> Vec<String> {
        self.subject().into_iter().collect()
    }
}
