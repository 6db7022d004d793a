//! Plots: points of data files, drawn by Vega-Lite in a page that needs no network.
//!
//! What is drawn stands in the pipelines; the bytes of files, now or at a revision, are passed in. The
//! definitions, and what is guessed where they say nothing, are DVC's.

mod error;
mod page;
mod series;
mod spark;
mod spec;
mod table;
mod template;

use std::collections::BTreeMap;

use crate::model::path::RepoPath;
use crate::model::stage::{Axis, Pipeline, Plot, Role};

pub use error::PlotError;
pub use page::{MARK, Picture, page};
pub use series::{Coordinate, Drawing, Point, Source, draw};
pub use spark::{spark, summary};
pub use spec::{Count, counts, spec};
pub use table::{Rows, Table, read};
pub use template::Template;

/// Most bytes of a file with points, or of a picture.
pub const MAX_FILE: u64 = 16 << 20;
/// Most points of one plot: a page with more is none that a browser shows.
pub const MAX_POINTS: usize = 200_000;

/// A plot that some pipeline defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defined {
    /// Its name: as it is written, in a pipeline that is not at the root behind the file and a `:`.
    pub id: String,
    /// What is drawn, and how.
    pub plot: Plot,
}

/// The plots of `pipelines`: outputs under `plots`, and those defined at the top, which say how outputs
/// of the same path are drawn. Sorted by name.
pub fn defined<'a>(pipelines: impl IntoIterator<Item = &'a Pipeline>) -> Vec<Defined> {
    let mut plots: BTreeMap<String, Defined> = BTreeMap::new();
    for pipeline in pipelines {
        let outs = pipeline.stages.iter().flat_map(|stage| &stage.outs);
        let drawn = outs.filter_map(|out| match &out.role {
            Role::Plot(plot) => Some((out.path.to_string(), (**plot).clone())),
            _ => None,
        });
        for (id, plot) in drawn {
            plots.entry(id.clone()).or_insert(Defined { id, plot });
        }
        for plot in &pipeline.plots {
            let id = match &plot.file {
                Some(file) => file.to_string(),
                None if pipeline.file.as_str().contains('/') => format!("{}:{}", pipeline.file, plot.id),
                None => plot.id.to_string(),
            };
            plots.insert(id.clone(), Defined { id, plot: plot.clone() });
        }
    }
    plots.into_values().collect()
}

/// The files with the points of a plot, each once: its own, and those of its axes.
pub fn files_of(plot: &Plot) -> Vec<RepoPath> {
    let mut files: Vec<RepoPath> = Vec::new();
    let axes = [&plot.y, &plot.x].into_iter().filter_map(|axis| match axis {
        Axis::Files(files) => Some(files.iter().map(|(file, _)| file.clone())),
        _ => None,
    });
    for file in axes.flatten().chain(plot.file.clone()) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// What a file is to a plot, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Points.
    Table(Table),
    /// A picture, of this media type.
    Picture(&'static str),
}

impl FileKind {
    /// Nothing, if it is none that is drawn.
    pub fn of(file: &RepoPath) -> Option<FileKind> {
        let name = file.file_name().to_ascii_lowercase();
        let (_, suffix) = name.rsplit_once('.')?;
        Some(match suffix {
            "csv" => FileKind::Table(Table::Separated(',')),
            "tsv" => FileKind::Table(Table::Separated('\t')),
            "json" | "yaml" | "yml" => FileKind::Table(Table::Values),
            "png" => FileKind::Picture("image/png"),
            "jpg" | "jpeg" => FileKind::Picture("image/jpeg"),
            "gif" => FileKind::Picture("image/gif"),
            "svg" => FileKind::Picture("image/svg+xml"),
            "webp" => FileKind::Picture("image/webp"),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
