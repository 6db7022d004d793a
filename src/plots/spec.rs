//! Drawings as specifications for Vega-Lite.
//!
//! Columns are called `x`, `y`, `rev` and `series` in it, whatever they are called in files: no name from
//! outside is part of an expression. What people named is in texts only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::plots::series::{Coordinate, Drawing};
use crate::plots::template::Template;

/// DVC's colours of revisions.
const COLOURS: [&str; 7] = ["#945dd6", "#13adc7", "#f46837", "#48bb78", "#4299e1", "#ed8936", "#f56565"];

/// Most points that a browser smoothes while somebody waits: it takes their square.
const MOST_SMOOTHED: usize = 3_000;

/// How many points of a revision have a pair of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// Which revision.
    pub revision: usize,
    /// Which series.
    pub series: usize,
    /// The value to the right.
    pub x: String,
    /// The value up.
    pub y: String,
    /// How many.
    pub count: u64,
    /// Which part they are of all with this `y`.
    pub share: f64,
}

/// The pairs of values of each revision and series, those that no point has too, sorted.
pub fn counts(drawing: &Drawing) -> Vec<Count> {
    let text = |coordinate: &Coordinate| match coordinate {
        Coordinate::Number(number) => Some(number.to_string()),
        Coordinate::Text(text) => Some(text.clone()),
        Coordinate::Gap => None,
    };
    let mut groups: BTreeMap<(usize, usize), BTreeMap<(String, String), u64>> = BTreeMap::new();
    for point in &drawing.points {
        if let (Some(x), Some(y)) = (text(&point.x), text(&point.y)) {
            *groups.entry((point.revision, point.series)).or_default().entry((y, x)).or_default() += 1;
        }
    }
    let mut all = Vec::new();
    for ((revision, series), pairs) in groups {
        let mut xs: Vec<&String> = pairs.keys().map(|(_, x)| x).collect();
        let mut ys: Vec<&String> = pairs.keys().map(|(y, _)| y).collect();
        xs.sort();
        xs.dedup();
        ys.dedup();
        for y in ys {
            let of = |x: &String| pairs.get(&(y.clone(), x.clone())).copied().unwrap_or(0);
            let sum: u64 = xs.iter().map(|x| of(x)).sum();
            for x in &xs {
                let count = of(x);
                let (x, y, share) = ((*x).clone(), y.clone(), count as f64 / sum.max(1) as f64);
                all.push(Count { revision, series, x, y, count, share });
            }
        }
    }
    all
}

/// The specification that draws it, with its points.
pub fn spec(drawing: &Drawing) -> Value {
    let mut spec = match drawing.template {
        Template::Confusion | Template::ConfusionNormalized => confusion(drawing),
        Template::BarHorizontal | Template::BarHorizontalSorted => bars(drawing),
        Template::Scatter | Template::ScatterJitter => scatter(drawing),
        Template::Linear | Template::Smooth | Template::Simple => lines(drawing),
    };
    spec["$schema"] = json!("https://vega.github.io/schema/vega-lite/v6.json");
    if let Some(title) = &drawing.title {
        spec["title"] = json!({ "text": title, "anchor": "middle" });
    }
    spec
}

/// The points as rows.
fn rows(drawing: &Drawing) -> Value {
    let rows = drawing.points.iter().map(|point| {
        let (revision, series) = (&drawing.revisions[point.revision], &drawing.series[point.series]);
        json!({ "rev": revision, "series": series, "x": point.x, "y": point.y })
    });
    json!({ "values": rows.collect::<Vec<_>>() })
}

/// Whether what goes to the right is to be taken for names.
fn x_kind(drawing: &Drawing) -> &'static str {
    let is_text = drawing.points.iter().any(|point| matches!(point.x, Coordinate::Text(_)));
    if is_text { "ordinal" } else { "quantitative" }
}

fn has_series(drawing: &Drawing) -> bool {
    drawing.series.len() > 1
}

fn axis(field: &str, kind: &str, title: &str) -> Value {
    let mut axis = json!({ "field": field, "type": kind, "title": title });
    if kind == "quantitative" {
        axis["scale"] = json!({ "zero": false });
    } else {
        // In the order of the file.
        axis["sort"] = Value::Null;
    }
    axis
}

fn colour(drawing: &Drawing) -> Value {
    let range: Vec<&str> = (0..drawing.revisions.len()).map(|at| COLOURS[at % COLOURS.len()]).collect();
    json!({
        "field": "rev", "type": "nominal", "title": "revision",
        "scale": { "domain": drawing.revisions, "range": range },
    })
}

fn tooltip(drawing: &Drawing) -> Value {
    let mut tips = vec![json!({ "field": "rev", "type": "nominal", "title": "revision" })];
    if has_series(drawing) {
        tips.push(json!({ "field": "series", "type": "nominal" }));
    }
    tips.push(json!({ "field": "x", "type": x_kind(drawing).replace("ordinal", "nominal"), "title": drawing.x_label }));
    tips.push(json!({ "field": "y", "type": "quantitative", "title": drawing.y_label }));
    Value::Array(tips)
}

fn encoding(drawing: &Drawing, apart: &str) -> Value {
    let mut encoding = json!({
        "x": axis("x", x_kind(drawing), &drawing.x_label),
        "y": axis("y", "quantitative", &drawing.y_label),
        "color": colour(drawing),
        "tooltip": tooltip(drawing),
    });
    if has_series(drawing) {
        encoding[apart] = json!({ "field": "series", "type": "nominal", "title": "series" });
    }
    encoding
}

/// Dragging and the wheel move and widen the axes: of numbers only.
fn zoom(drawing: &Drawing) -> Value {
    let encodings: &[&str] = if x_kind(drawing) == "quantitative" { &["x", "y"] } else { &["y"] };
    json!({ "name": "grid", "select": { "type": "interval", "encodings": encodings }, "bind": "scales" })
}

fn lines(drawing: &Drawing) -> Value {
    let line = |opacity: f64| {
        json!({ "mark": { "type": "line", "point": drawing.points.len() <= 300, "opacity": opacity },
                "encoding": encoding(drawing, "strokeDash") })
    };
    let is_smoothed = drawing.template != Template::Simple
        && x_kind(drawing) == "quantitative"
        && drawing.points.len() <= MOST_SMOOTHED;
    if !is_smoothed {
        let mut plain = line(1.0);
        plain["params"] = json!([zoom(drawing)]);
        return framed(drawing, plain);
    }
    let mut smooth = json!({
        "mark": { "type": "line" },
        "transform": [{ "loess": "y", "on": "x", "groupby": ["rev", "series"], "bandwidth": { "expr": "smooth" } }],
        "encoding": encoding(drawing, "strokeDash"),
        "params": [zoom(drawing)],
    });
    if let Some(encoding) = smooth["encoding"].as_object_mut() {
        encoding.remove("tooltip");
    }
    let control = json!({ "name": "smooth", "value": 0.001,
        "bind": { "input": "range", "min": 0.001, "max": 1, "step": 0.001, "name": "smooth " } });
    framed(drawing, json!({ "params": [control], "layer": [smooth, line(0.3)] }))
}

fn scatter(drawing: &Drawing) -> Value {
    let mut encoding = encoding(drawing, "shape");
    if drawing.template == Template::Scatter {
        return framed(drawing, json!({ "mark": "point", "encoding": encoding, "params": [zoom(drawing)] }));
    }
    let mut transform = Vec::new();
    for (field, title, noise) in [("x", &drawing.x_label, "dx"), ("y", &drawing.y_label, "dy")] {
        encoding[field] = axis(field, "nominal", title);
        encoding[format!("{field}Offset")] = json!({ "field": noise, "type": "quantitative" });
        transform.push(json!({ "calculate": "random()", "as": noise }));
    }
    encoding["tooltip"][1 + usize::from(has_series(drawing))]["type"] = json!("nominal");
    encoding["tooltip"][2 + usize::from(has_series(drawing))]["type"] = json!("nominal");
    framed(drawing, json!({ "mark": "point", "transform": transform, "encoding": encoding }))
}

fn bars(drawing: &Drawing) -> Value {
    let mut encoding = json!({
        "x": { "field": "x", "type": "quantitative", "title": drawing.x_label },
        "y": { "field": "y", "type": "nominal", "title": drawing.y_label, "sort": null },
        "yOffset": { "field": "rev", "sort": drawing.revisions },
        "color": colour(drawing),
        "tooltip": [
            { "field": "rev", "type": "nominal", "title": "revision" },
            { "field": "y", "type": "nominal", "title": drawing.y_label },
            { "field": "x", "type": "quantitative", "title": drawing.x_label },
        ],
    });
    if drawing.template == Template::BarHorizontalSorted {
        encoding["y"]["sort"] = json!("-x");
    }
    if has_series(drawing) {
        encoding["column"] = json!({ "field": "series", "type": "nominal", "title": "series" });
    }
    framed(drawing, json!({ "mark": "bar", "encoding": encoding }))
}

fn framed(drawing: &Drawing, mut spec: Value) -> Value {
    spec["data"] = rows(drawing);
    spec["width"] = json!(420);
    spec["height"] = json!(300);
    spec
}

fn confusion(drawing: &Drawing) -> Value {
    let rows = counts(drawing).into_iter().map(|one| {
        let (revision, series) = (&drawing.revisions[one.revision], &drawing.series[one.series]);
        json!({ "rev": revision, "series": series, "x": one.x, "y": one.y, "count": one.count, "share": one.share })
    });
    let rows: Vec<Value> = rows.collect();
    let is_share = drawing.template == Template::ConfusionNormalized;
    let (shown, format) = if is_share { ("share", ".2f") } else { ("count", "d") };
    let most = rows.iter().filter_map(|row| row[shown].as_f64()).fold(0.0, f64::max);
    let axis = |field: &str, title: &str| json!({ "field": field, "type": "nominal", "sort": "ascending", "title": title });
    let mut facet =
        json!({ "column": { "field": "rev", "type": "nominal", "sort": drawing.revisions, "title": null } });
    if has_series(drawing) {
        facet["row"] = json!({ "field": "series", "type": "nominal", "title": null });
    }
    json!({
        "data": { "values": rows },
        "facet": facet,
        "spec": {
            "width": 300,
            "height": 300,
            "encoding": {
                "x": axis("x", &drawing.x_label),
                "y": axis("y", &drawing.y_label),
                "tooltip": [
                    { "field": "x", "type": "nominal", "title": drawing.x_label },
                    { "field": "y", "type": "nominal", "title": drawing.y_label },
                    { "field": "count", "type": "quantitative" },
                    { "field": "share", "type": "quantitative", "format": ".2f" },
                ],
            },
            "layer": [
                { "mark": "rect", "encoding": { "color": {
                    "field": shown, "type": "quantitative", "title": shown,
                    "scale": { "domain": [0, most], "scheme": "blues" },
                } } },
                { "mark": "text", "encoding": {
                    "text": { "field": shown, "type": "quantitative", "format": format },
                    "color": {
                        "condition": { "test": { "field": shown, "gt": most / 2.0 }, "value": "white" },
                        "value": "black",
                    },
                } },
            ],
        },
    })
}
