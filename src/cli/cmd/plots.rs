use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::help;
use crate::cli::render::{Viewpoint, count, plots as render};
use crate::cli::report::{Report, finish};
use crate::cli::ui::Text;
use crate::model::units::Span;
use crate::ops::plots::{self, Instead, PlotsOptions, PlotsReport, WORKSPACE};
use crate::ops::revisions::At;

/// Draw plots, and what changed in them
#[derive(clap::Args)]
pub(crate) struct PlotsArgs {
    #[command(subcommand)]
    command: PlotsCommand,
}

#[derive(clap::Subcommand)]
enum PlotsCommand {
    Show(ShowArgs),
    Diff(DiffArgs),
}

impl PlotsArgs {
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self.command {
            PlotsCommand::Show(args) => finish(cx, show(cx, args)),
            PlotsCommand::Diff(args) => finish(cx, diff(cx, args)),
        }
    }
}

/// Draw plots
///
/// Writes one page, mlv_plots/index.html, that needs neither network nor other files, and prints its
/// address. What is drawn are the `plots` of stages and those at the top of `mlv.yaml`: tables (`.csv`,
/// `.tsv`), lists (`.json`, `.yaml`) and pictures, as they are in the work tree.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv plots show", "all of them"),
    ("mlv plots show logs/train.csv -x epoch -y loss", "two columns of a file, whether it is called a plot or not"),
    ("mlv plots show --text", "curves in the terminal"),
], &[3, 4, 5]))]
struct ShowArgs {
    /// Names of plots, files, or folders with some
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    how: DrawArgs,
}

/// Draw plots of several states beside each other
///
/// Without revisions HEAD and the work tree; with one, that and the work tree; with several, these;
/// `A..B` those two; `A...B` B and where it left A. Files that mlv keeps are read from the cache.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv plots diff", "the last commit and the work tree"),
    ("mlv plots diff main v1 v2", "three revisions"),
    ("mlv plots diff main --targets logs/train.csv --text", "one plot, in the terminal"),
], &[3, 4, 5]))]
struct DiffArgs {
    /// What to compare
    #[arg(value_name = "REVISION")]
    revisions: Vec<String>,
    /// Only these plots, files, or folders with some
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    targets: Vec<String>,
    #[command(flatten)]
    how: DrawArgs,
}

/// How to draw, and where to.
#[derive(clap::Args)]
struct DrawArgs {
    /// The folder of the page, made if it is not there
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The column to the right; the number of the point if none is named anywhere
    #[arg(short, value_name = "COLUMN")]
    x: Option<String>,
    /// A column up, may be repeated; the last one of a file if none is named anywhere
    #[arg(short, value_name = "COLUMN")]
    y: Vec<String>,
    /// How it is drawn: linear, simple, smooth, scatter, scatter_jitter, confusion,
    /// confusion_normalized, bar_horizontal, bar_horizontal_sorted
    #[arg(long, short, value_name = "NAME")]
    template: Option<String>,
    /// What stands above
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What stands at the axis to the right
    #[arg(long, value_name = "TEXT")]
    x_label: Option<String>,
    /// What stands at the axis up
    #[arg(long, value_name = "TEXT")]
    y_label: Option<String>,
    /// Take the first line of tables for a point; columns are called 0, 1, …
    #[arg(long)]
    no_header: bool,
    /// Draw curves in the terminal and write no page
    #[arg(long, conflicts_with_all = ["out", "show_vega"])]
    text: bool,
    /// Print a line of JSON a plot, for Vega-Lite, and write no page
    #[arg(long, conflicts_with = "out")]
    show_vega: bool,
}

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Curves,
    Vega,
}

/// What was drawn, and how to show it.
struct DrawnReport {
    report: PlotsReport,
    page: Option<PathBuf>,
    form: Form,
    view: Viewpoint,
}

fn show(cx: &Context, args: ShowArgs) -> Result<DrawnReport, CliError> {
    let states = [(WORKSPACE.to_owned(), At::WorkTree)];
    args.how.run(cx, &states, args.targets)
}

fn diff(cx: &Context, args: DiffArgs) -> Result<DrawnReport, CliError> {
    let states = plots::states(cx.repo()?, &args.revisions)?;
    args.how.run(cx, &states, args.targets)
}

impl DrawArgs {
    fn run(
        self,
        cx: &Context,
        states: &[(String, At)],
        targets: Vec<String>,
    ) -> Result<DrawnReport, CliError> {
        let form = match (self.text, self.show_vega) {
            (true, _) => Form::Curves,
            (_, true) => Form::Vega,
            _ => Form::Page,
        };
        let instead = Instead {
            x: self.x,
            y: self.y,
            template: self.template,
            title: self.title,
            x_label: self.x_label,
            y_label: self.y_label,
            no_header: self.no_header,
        };
        let report = plots::draw(cx.repo()?, states, &PlotsOptions { targets, instead })?;
        let is_drawn = !report.drawings.is_empty() || !report.pictures.is_empty();
        // Scripts want the points; a page only where they say so.
        let wants_page = form == Form::Page && (!cx.ui().is_json() || self.out.is_some());
        let page = match wants_page && is_drawn {
            true => {
                let html = plots::page(&report.drawings, &report.pictures);
                Some(plots::write(cx.cwd(), self.out.as_deref(), &html)?)
            }
            false => None,
        };
        Ok(DrawnReport { report, page, form, view: cx.viewpoint() })
    }
}

impl serde::Serialize for DrawnReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PlotsReport { drawings, pictures, absent, .. } = &self.report;
        let pictures = pictures.iter().map(|picture| {
            let (id, revision) = (&picture.id, &picture.revision);
            json!({ "id": id, "rev": revision, "type": picture.media_type, "bytes": picture.bytes.len() })
        });
        let document: Value = json!({
            "plots": drawings.iter().map(render::document).collect::<Vec<_>>(),
            "pictures": pictures.collect::<Vec<_>>(),
            "absent": absent,
            "page": self.page.as_ref().map(|page| page.display().to_string()),
        });
        document.serialize(serializer)
    }
}

impl Report for DrawnReport {
    fn text(&self, out: &mut Text) {
        let PlotsReport { drawings, pictures, .. } = &self.report;
        match self.form {
            Form::Page => {
                if let Some(page) = &self.page {
                    out.put(render::address(page)).end();
                }
            }
            Form::Curves => render::curves(drawings, pictures, out),
            Form::Vega => {
                for drawing in drawings {
                    out.put(plots::spec(drawing)).end();
                }
            }
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let PlotsReport { drawings, pictures, absent, failed } = &self.report;
        if !absent.is_empty() {
            let ids: Vec<String> = absent.iter().map(|id| self.view.path(id)).collect();
            out.put(format!("No file is there of `{}`.", ids.join("`, `"))).end();
        }
        if drawings.is_empty() && pictures.is_empty() {
            if absent.is_empty() && failed.is_empty() {
                out.put("There are no plots.").end();
            }
            return;
        }
        let points: usize = drawings.iter().map(|drawing| drawing.points.len()).sum();
        out.put(format!(
            "Drew {} of {}",
            count(drawings.len() as u64, "plot"),
            count(points as u64, "point")
        ));
        if !pictures.is_empty() {
            out.put(format!(", {}", count(pictures.len() as u64, "picture")));
        }
        out.put(format!(" in {}.", Span(took))).end();
        for drawing in drawings.iter().filter(|drawing| drawing.gaps > 0) {
            out.warn("warning").put(": `").name(self.view.path(&drawing.id));
            out.put(format!("`: left out, no finite numbers: {}", drawing.gaps)).end();
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = self.report.failed.iter();
        failed.map(|(id, error)| Failure::at(id, error)).collect()
    }
}
