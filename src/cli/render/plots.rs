//! Plots for terminals and scripts.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::render::columns;
use crate::cli::ui::Text;
use crate::model::units::ByteSize;
use crate::model::value;
use crate::ops::plots::{self, Coordinate, Count, Drawing, Picture};
use crate::ops::values::rounded;

/// Most bars of a curve.
const WIDTH: usize = 40;
/// Most values of an axis that a table in a terminal has.
const MOST_VALUES: usize = 12;
/// Significant digits.
const DIGITS: usize = 5;

/// The drawing for scripts.
pub(crate) fn document(drawing: &Drawing) -> Value {
    let points = drawing.points.iter().map(|point| {
        let (revision, series) = (&drawing.revisions[point.revision], &drawing.series[point.series]);
        json!({ "rev": revision, "series": series, "x": point.x, "y": point.y })
    });
    json!({
        "id": drawing.id,
        "title": drawing.title,
        "template": drawing.template,
        "x_label": drawing.x_label,
        "y_label": drawing.y_label,
        "revisions": drawing.revisions,
        "series": drawing.series,
        "gaps": drawing.gaps,
        "points": points.collect::<Vec<_>>(),
    })
}

/// `file:///…` for a browser.
pub(crate) fn address(page: &Path) -> String {
    use std::fmt::Write as _;
    let mut address = String::from("file://");
    for byte in page.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => {
                address.push(char::from(*byte));
            }
            byte => drop(write!(address, "%{byte:02X}")),
        }
    }
    address
}

/// All drawings as text, and what pictures there are.
pub(crate) fn curves(drawings: &[Drawing], pictures: &[Picture], out: &mut Text) {
    for drawing in drawings {
        out.strong(&drawing.id).put(format!(" ({} by {})", drawing.y_label, drawing.x_label)).end();
        if drawing.template.is_confusion() {
            confusion(drawing, out);
        } else if drawing.template.is_bar() {
            bars(drawing, out);
        } else {
            lines(drawing, out);
        }
    }
    let row = |picture: &Picture| {
        let size = ByteSize(picture.bytes.len() as u64).to_string();
        [picture.id.clone(), picture.revision.clone(), picture.media_type.to_owned(), size]
    };
    columns(&pictures.iter().map(row).collect::<Vec<_>>(), out);
}

fn number(number: f64) -> String {
    let text = rounded(&value::Value::Float(number), DIGITS);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn lines(drawing: &Drawing, out: &mut Text) {
    let mut rows = Vec::new();
    for (revision, name) in drawing.revisions.iter().enumerate() {
        for (series, label) in drawing.series.iter().enumerate() {
            let of = drawing.points.iter().filter(|one| one.revision == revision && one.series == series);
            let ys: Vec<Coordinate> = of.map(|point| point.y.clone()).collect();
            let told =
                plots::summary(&ys).map_or("no numbers".to_owned(), |[first, last, least, greatest]| {
                    let [first, last, least, greatest] = [first, last, least, greatest].map(number);
                    format!("{first} → {last}, {least} to {greatest}, {} points", ys.len())
                });
            rows.push([name.clone(), label.clone(), plots::spark(&ys, WIDTH), told]);
        }
    }
    if drawing.series.len() > 1 {
        columns(&rows, out);
    } else {
        columns(&rows.into_iter().map(|[name, _, spark, told]| [name, spark, told]).collect::<Vec<_>>(), out);
    }
}

fn bars(drawing: &Drawing, out: &mut Text) {
    let width = |x: &Coordinate| match x {
        Coordinate::Number(number) => number.abs(),
        _ => 0.0,
    };
    let most = drawing.points.iter().map(|point| width(&point.x)).fold(0.0, f64::max);
    let rows = drawing.points.iter().map(|point| {
        let part = if most > 0.0 { width(&point.x) / most } else { 0.0 };
        let bar = "█".repeat((part * WIDTH as f64 / 2.0).round() as usize);
        let name = drawing.revisions[point.revision].clone();
        [name, shown(&point.y), shown(&point.x), bar]
    });
    columns(&rows.collect::<Vec<_>>(), out);
}

fn shown(coordinate: &Coordinate) -> String {
    match coordinate {
        Coordinate::Number(value) => number(*value),
        Coordinate::Text(text) => text.clone(),
        Coordinate::Gap => "-".to_owned(),
    }
}

/// A table of each revision: `y` down, `x` to the right.
fn confusion(drawing: &Drawing, out: &mut Text) {
    let counts = plots::counts(drawing);
    let is_share = drawing.template == plots::Template::ConfusionNormalized;
    for (revision, name) in drawing.revisions.iter().enumerate() {
        for (series, label) in drawing.series.iter().enumerate() {
            let of = |one: &&Count| one.revision == revision && one.series == series;
            let mine: Vec<&Count> = counts.iter().filter(of).collect();
            let mut xs: Vec<String> = mine.iter().map(|one| one.x.clone()).collect();
            xs.sort();
            xs.dedup();
            let lines = mine.len() / xs.len().max(1);
            let title = if label.is_empty() { name.clone() } else { format!("{name} {label}") };
            if xs.len() > MOST_VALUES || lines > MOST_VALUES {
                out.put(format!("  {title}: {} × {lines} values", xs.len())).end();
                continue;
            }
            let mut rows = vec![[vec![title], xs.clone()].concat()];
            for line in mine.chunks(xs.len().max(1)) {
                let cell = |one: &&Count| match is_share {
                    true => format!("{:.2}", one.share),
                    false => one.count.to_string(),
                };
                let first = line.first().map(|one| one.y.clone()).unwrap_or_default();
                rows.push([vec![first], line.iter().map(cell).collect()].concat());
            }
            columns(&rows, out);
        }
    }
}
