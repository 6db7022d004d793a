//! `mlv plots show` and `mlv plots diff`.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{TestEnv, servers};

const PIPELINE: &str = "\
stages:
  train:
    cmd: cp sources/* .
    deps: [sources]
    plots:
    - train.csv: {x: step, y: loss}
    - pred.json: {cache: false, template: confusion, x: actual, y: predicted}
    - pics.svg
plots:
- both: {x: step, y: {train.csv: [loss, acc]}, template: simple}
- weights.csv: {template: bar_horizontal, x: weight, y: name}
";

/// One run, committed, and another in the work tree.
fn ran_twice() -> TestEnv {
    let env = TestEnv::ready();
    env.write("mlv.yaml", PIPELINE);
    env.write("weights.csv", "name,weight\nage,0.5\n\"a, b\",0.25\n");
    for (loss, name) in [("0.5", "first"), ("0.25", "second")] {
        env.write("sources/train.csv", format!("step,loss,acc\n0,1.5,0.1\n1,{loss},0.9\n"));
        env.write(
            "sources/pred.json",
            r#"[{"actual": "a", "predicted": "b"}, {"actual": "b", "predicted": "b"}]"#,
        );
        env.write(
            "sources/pics.svg",
            format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><text>{name}</text></svg>"),
        );
        env.mlv(&["repro"]).success();
        if name == "first" {
            env.commit(name);
        }
    }
    env
}

fn plot<'d>(document: &'d Value, id: &str) -> &'d Value {
    let plots = document["plots"].as_array().expect("a list");
    plots.iter().find(|plot| plot["id"] == id).unwrap_or_else(|| panic!("no {id}: {document}"))
}

#[test]
fn points_of_the_work_tree_and_of_revisions_are_given_to_scripts() {
    let env = ran_twice();
    let document = env.json(&["plots", "show"]);
    assert_eq!(document["plots"].as_array().map(Vec::len), Some(4));
    let train = plot(&document, "train.csv");
    assert_eq!((&train["x_label"], &train["y_label"]), (&json!("step"), &json!("loss")));
    assert_eq!(train["points"][1], json!({"rev": "workspace", "series": "", "x": 1.0, "y": 0.25}));
    assert_eq!(plot(&document, "both")["series"], json!(["loss", "acc"]));
    assert_eq!((&document["page"], env.exists("mlv_plots")), (&json!(null), false));
    let document = env.json(&["plots", "diff"]);
    let train = plot(&document, "train.csv");
    assert_eq!(train["revisions"], json!(["HEAD", "workspace"]));
    let losses: Vec<&Value> =
        train["points"].as_array().expect("a list").iter().map(|point| &point["y"]).collect();
    assert_eq!(losses, [&json!(1.5), &json!(0.5), &json!(1.5), &json!(0.25)]);
    assert_eq!(document["pictures"].as_array().map(Vec::len), Some(2));
    env.commit("second");
    env.git(&["branch", "old", "HEAD~1"]);
    let named = env.json(&["plots", "diff", "old", "main", "--targets", "train.csv"]);
    assert_eq!(plot(&named, "train.csv")["revisions"], json!(["old", "main"]));
    assert_eq!(named["plots"].as_array().map(Vec::len), Some(1), "a name means one plot");
    let range = env.json(&["plots", "diff", "old...main", "--targets", "both"]);
    assert_eq!(plot(&range, "both")["revisions"], json!(["old", "main"]));
    let three = env.json(&["plots", "diff", "old", "main", "HEAD", "--targets", "both"]);
    assert_eq!(plot(&three, "both")["revisions"], json!(["old", "main", "HEAD"]));
}

#[test]
fn page_is_one_file_that_git_leaves_alone() {
    let env = ran_twice();
    let output = env.mlv(&["plots", "diff"]).success();
    assert_eq!(output.stdout(), "file://$ENV/repo/mlv_plots/index.html\n");
    let page = env.read_text("mlv_plots/index.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("data:image/svg+xml;base64,"));
    assert!(!env.git(&["status", "--short"]).contains("mlv_plots"));
    // Again over its own page, and into another folder; never over what is somebody else's.
    env.mlv(&["plots", "show"]).success();
    env.mlv(&["plots", "show", "-o", "public/plots"]).success();
    assert!(env.exists("public/plots/index.html") && !env.exists("public/plots/.gitignore"));
    env.write("site/index.html", "<p>mine</p>");
    assert_eq!(env.json_error(&["plots", "show", "-o", "site"], 2).0, "would_overwrite");
    assert_eq!(env.read_text("site/index.html"), "<p>mine</p>");
    assert_eq!(env.json_error(&["plots", "show", "-o", ".git/x"], 4).0, "unsafe_path");
    let empty = TestEnv::ready();
    let output = empty.mlv(&["plots", "show"]).success();
    assert!(output.stderr().contains("There are no plots.") && !empty.exists("mlv_plots"), "{output}");
}

#[test]
fn curves_in_a_terminal() {
    let env = ran_twice();
    insta::assert_snapshot!(env.mlv(&["plots", "diff", "--text"]).success().stdout(), @r"
    both (y by step)
      HEAD       loss  █▁  1.5 → 0.5, 0.5 to 1.5, 2 points
      HEAD       acc   ▁█  0.1 → 0.9, 0.1 to 0.9, 2 points
      workspace  loss  █▁  1.5 → 0.25, 0.25 to 1.5, 2 points
      workspace  acc   ▁█  0.1 → 0.9, 0.1 to 0.9, 2 points
    pred.json (predicted by actual)
      HEAD  a  b
      b     1  1
      workspace  a  b
      b          1  1
    train.csv (loss by step)
      HEAD       █▁  1.5 → 0.5, 0.5 to 1.5, 2 points
      workspace  █▁  1.5 → 0.25, 0.25 to 1.5, 2 points
    weights.csv (name by weight)
      HEAD       age   0.5   ████████████████████
      HEAD       a, b  0.25  ██████████
      workspace  age   0.5   ████████████████████
      workspace  a, b  0.25  ██████████
      pics.svg  HEAD       image/svg+xml  64 B
      pics.svg  workspace  image/svg+xml  65 B
    ");
    assert!(!env.exists("mlv_plots"));
}

#[test]
fn any_file_can_be_drawn_with_columns_of_choice() {
    let env = ran_twice();
    env.write("logs/x.tsv", "a\tb\n1\t2\n3\t4\n");
    env.write("logs/readme.txt", "");
    let document =
        env.json(&["plots", "show", "logs/x.tsv", "-x", "a", "-y", "b", "--title", "T", "-t", "scatter"]);
    let drawn = plot(&document, "logs/x.tsv");
    assert_eq!((&drawn["points"][1]["x"], &drawn["points"][1]["y"]), (&json!(3.0), &json!(4.0)));
    assert_eq!((&drawn["title"], &drawn["template"]), (&json!("T"), &json!("scatter")));
    let document =
        env.json(&["plots", "show", "logs/x.tsv", "--no-header", "-y", "1", "-t", "scatter_jitter"]);
    assert_eq!(plot(&document, "logs/x.tsv")["points"].as_array().map(Vec::len), Some(3));
    assert_eq!(env.json_error(&["plots", "show", "nosuch.csv"], 2).0, "no_such_target");
    // A folder: each file in it that can be drawn.
    env.write("mlv.yaml", "plots: [logs]\n");
    let document = env.json(&["plots", "show"]);
    assert_eq!(document["plots"].as_array().map(Vec::len), Some(1));
    let below = env.at("logs").json(&["plots", "show", "x.tsv"]);
    assert_eq!(plot(&below, "logs/x.tsv")["gaps"], 0);
}

#[test]
fn one_bad_file_keeps_no_other_from_being_drawn() {
    let env = ran_twice();
    let bad: [(&str, &str, &str); 5] = [
        ("step,loss\n0,high\n", "`loss` is no number: `high`", "draw another column"),
        ("step,cost\n0,1\n", "no column `loss`", "name one of `step`, `cost`"),
        ("step,loss\n0\n", "train.csv:2: there are more or fewer fields than columns", "double quotes"),
        ("", "has no points", "as a table (.csv, .tsv)"),
        ("step,loss\n0,\"1\n", "train.csv:2: a field in quotes does not end", "double quotes"),
    ];
    for (text, message, remedy) in bad {
        env.write("train.csv", text);
        let output = env.mlv(&["plots", "show", "-o", "page"]).code(4);
        assert!(output.stderr().contains(message) && output.stderr().contains(remedy), "{output}");
        assert!(env.read_text("page/index.html").contains("weights.csv"));
        let (kind, document) = env.json_error(&["plots", "show"], 4);
        assert_eq!((kind.as_str(), document["plots"].as_array().map(Vec::len)), ("invalid_file", Some(2)));
    }
    env.write("train.csv", "step,loss,acc\n0,nan,1\n1,</script>,1\n");
    let (_, document) = env.json_error(&["plots", "show", "train.csv"], 4);
    assert!(document.to_string().contains("</script>"), "{document}");
    env.write("train.csv", "step,loss,acc\n0,nan,1\n1,2,1\n");
    let output = env.mlv(&["plots", "show", "--text", "train.csv"]).success();
    assert!(output.stderr().contains("warning: `train.csv`: left out, no finite numbers: 1"), "{output}");
    let (kind, document) = env.json_error(&["plots", "show", "-t", "pie", "weights.csv"], 4);
    assert_eq!(kind, "invalid_pipeline");
    assert!(document.to_string().contains("bar_horizontal"), "{document}");
    env.mlv(&["plots", "show", "--text", "-o", "x"]).code(2);
}

#[test]
fn files_that_are_not_here_are_named_and_those_of_the_cache_are_read() {
    let env = ran_twice();
    env.add_remote();
    env.mlv(&["push"]).success();
    env.commit("second");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    let (kind, document) = clone.json_error(&["plots", "diff", "HEAD~1"], 5);
    assert_eq!(kind, "not_downloaded");
    assert_eq!(document["plots"].as_array().map(Vec::len), Some(2), "what git has is drawn: {document}");
    clone.mlv(&["fetch"]).success();
    let document = clone.json(&["plots", "show"]);
    assert_eq!(plot(&document, "train.csv")["points"][1]["y"], 0.25);
    // What no state has is told, and is no failure: the pipeline may not have run.
    let fresh = TestEnv::ready();
    fresh.write("mlv.yaml", "stages:\n  s: {cmd: x, plots: [never.csv]}\n");
    let output = fresh.mlv(&["plots", "diff"]).success();
    assert!(output.stderr().contains("No file is there of `never.csv`."), "{output}");
    assert_eq!(fresh.json(&["plots", "show"])["absent"], json!(["never.csv"]));
    let plain = TestEnv::new();
    plain.mlv(&["init", "--no-scm"]).success();
    plain.write("a.csv", "l\n1\n");
    assert_eq!(plain.json(&["plots", "show", "a.csv"])["plots"].as_array().map(Vec::len), Some(1));
    assert_eq!(plain.json_error(&["plots", "diff"], 2).0, "needs_git");
}

/// The program in the page itself draws: each template, with several revisions and series, and with names
/// that mean something elsewhere.
#[test]
fn what_is_in_the_page_draws_every_template() {
    let Some(node) = servers::node() else { return };
    let env = ran_twice();
    let hostile = "</script><script>alert(1)</script> ' + datum.x[0]";
    env.write(
        "odd.json",
        json!([{"a.b[0]": 1, hostile: 2}, {"a.b[0]": 2, hostile: null}, {"a.b[0]": 3, hostile: 1e300}])
            .to_string(),
    );
    env.write(
        "mlv.yaml",
        PIPELINE.to_owned()
            + &format!("- odd.json: {{x: 'a.b[0]', y: {}, title: {}}}\n", json!(hostile), json!(hostile)),
    );
    for template in
        ["linear", "simple", "smooth", "scatter", "scatter_jitter", "confusion", "confusion_normalized"]
    {
        env.mlv(&["plots", "diff", "-t", template, "--targets", "both", "odd.json"]).success();
        draws(&env, &node, 2);
    }
    for template in ["bar_horizontal", "bar_horizontal_sorted"] {
        env.mlv(&["plots", "diff", "-t", template, "--targets", "weights.csv"]).success();
        draws(&env, &node, 1);
    }
    env.mlv(&["plots", "diff"]).success();
    draws(&env, &node, 5);
}

/// Runs the first script of the page, and draws the specifications in it as a browser would.
#[track_caller]
fn draws(env: &TestEnv, node: &Path, number: usize) {
    env.write(
        "draw.cjs",
        "const page = require('fs').readFileSync('mlv_plots/index.html', 'utf8');\n\
         const scripts = [...page.matchAll(/<script([^>]*)>([^]*?)<\\/script>/g)];\n\
         require('vm').runInThisContext(scripts[0][2]);\n\
         const warnings = [];\n\
         const logger = { warn: (...text) => /event source: window/.test(text) || warnings.push(text.join(' ')), info() {}, debug() {}, error() {}, level() { return this } };\n\
         (async () => {\n\
           for (const [, kind, text] of scripts.slice(1, -1)) {\n\
             if (!kind.includes('application/json')) throw new Error(kind);\n\
             const lite = JSON.parse(text);\n\
             const spec = vegaLite.compile(lite, { logger }).spec;\n\
             const svg = await new vega.View(vega.parse(spec), { renderer: 'none', logger }).toSVG();\n\
             console.log((svg.match(/<path/g) || []).length, /NaN|undefined|<script/.test(svg), warnings.splice(0).join('; '));\n\
           }\n\
         })();\n",
    );
    let output = env.run(env.command(node.to_str().expect("our paths are text")).arg("draw.cjs")).success();
    let lines: Vec<String> = output.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), number, "{output}");
    for line in &lines {
        let (marks, rest) = line.split_once(' ').expect("a number");
        assert!(marks.parse::<u32>().expect("a number") > 5, "{output}");
        assert_eq!(rest.trim(), "false", "neither odd text nor a warning of Vega's: {output}");
    }
}
