use super::*;
use crate::model::digest::Digest;
use crate::model::value::Value;
use crate::pipeline::parse::parse;
use crate::pipeline::template::NoValues;

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

fn plots(text: &str) -> Vec<Defined> {
    defined([&parse(&path("mlv.yaml"), text.as_bytes(), &NoValues).unwrap()])
}

fn rows(file: &str, text: &str) -> Rows {
    let Some(FileKind::Table(table)) = FileKind::of(&path(file)) else { panic!("{file}") };
    read(&path(file), table, true, text.as_bytes()).unwrap()
}

fn source(revision: &str, files: &[(&str, &str)]) -> Source {
    let files = files.iter().map(|(file, text)| (path(file), rows(file, text))).collect();
    Source { revision: revision.into(), files }
}

fn drawn(text: &str, sources: &[Source]) -> Drawing {
    let plots = plots(text);
    assert_eq!(plots.len(), 1);
    draw(&plots[0], sources).unwrap().unwrap()
}

fn refused(text: &str, sources: &[Source]) -> String {
    draw(&plots(text)[0], sources).unwrap_err().to_string()
}

fn ys(drawing: &Drawing) -> Vec<Coordinate> {
    drawing.points.iter().map(|point| point.y.clone()).collect()
}

#[test]
fn plots_are_outputs_and_those_at_the_top_which_say_how() {
    let text = "plots:\n- a.csv: {x: s, y: [l, m]}\n- many: {y: {a.csv: l, d/b.csv: l}}\n\
                stages:\n  t: {cmd: x, plots: [a.csv: {y: k}, z]}\n";
    let found = plots(text);
    let ids: Vec<&str> = found.iter().map(|one| &*one.id).collect();
    assert_eq!(ids, ["a.csv", "many", "z"]);
    assert_eq!(found[0].plot.y, Axis::Columns(vec!["l".into(), "m".into()]));
    assert_eq!(files_of(&found[1].plot), [path("a.csv"), path("d/b.csv")]);
}

#[test]
fn tables_are_read_with_quotes_line_ends_and_a_byte_order_mark() {
    let read = rows("a.csv", "\u{feff}step,name\r\n0,\"a, \"\"b\"\"\nc\"\r\n\r\n1,\n");
    let text = |at: usize, column: usize| read[at][column].1.to_string();
    assert_eq!(
        (read.len(), text(0, 1), text(1, 0), text(1, 1)),
        (2, "a, \"b\"\nc".into(), "1".into(), "".into())
    );
    assert_eq!(rows("a.tsv", "a\tb\n1\t2,5").len(), 1);
    let plain = super::read(&path("a.csv"), Table::Separated(','), false, b"1,2\n3,4\n").unwrap();
    assert_eq!((plain.len(), &*plain[0][1].0), (2, "1"));
}

#[test]
fn lists_are_found_wherever_they_are_and_joined() {
    let read =
        rows("a.json", r#"{"meta": 1, "deep": {"l": [{"a": 1}, {"a": 2}]}, "m": [{"b": 3}, {"b": 4}]}"#);
    assert_eq!((read.len(), read[1].len()), (2, 2));
    assert_eq!(read[1][1], ("b".into(), Value::Int(4)));
    assert_eq!(rows("a.yaml", "- {x: 1, y: 2}\n- {y: 3, x: 4}\n").len(), 2);
}

#[test]
fn tables_that_are_none_are_refused_with_file_and_line() {
    let error = |file: &str, bytes: &[u8]| {
        let Some(FileKind::Table(table)) = FileKind::of(&path(file)) else { panic!("{file}") };
        read(&path(file), table, true, bytes).unwrap_err().to_string()
    };
    assert_eq!(error("d/a.csv", b"a,b\n1,2\n3\n"), "d/a.csv:3: there are more or fewer fields than columns");
    assert_eq!(error("a.csv", b"a\n\"1\n2"), "a.csv:2: a field in quotes does not end");
    assert_eq!(error("a.csv", b"a\n\"1\"x\n"), "a.csv:2: something stands behind a field in quotes");
    assert_eq!(error("a.csv", b"a,a\n"), "a.csv:1: two columns have one name");
    assert_eq!(error("a.csv", b"a\n\xff\n"), "a.csv:2: the file is not UTF-8 text");
    for (file, bytes) in [("a.csv", &b""[..]), ("a.csv", b"a,b\n"), ("a.json", b"[1, 2]"), ("a.json", b"{}")]
    {
        assert_eq!(error(file, bytes), format!("`{file}` has no points: no list of maps with the same keys"));
    }
    assert!(error("a.json", b"[{]").starts_with("a.json:1:3: "), "{}", error("a.json", b"[{]"));
}

#[test]
fn what_is_not_said_is_guessed_as_dvc_does() {
    let drawing = drawn("plots: [a.csv]\n", &[source("HEAD", &[("a.csv", "step,acc,loss\n5,1,2\n6,3,4\n")])]);
    assert_eq!((&*drawing.x_label, &*drawing.y_label, drawing.template), ("step", "loss", Template::Linear));
    assert_eq!(drawing.points[1].x, Coordinate::Number(1.0), "the number of the point, no column");
    assert_eq!(ys(&drawing), [Coordinate::Number(2.0), Coordinate::Number(4.0)]);
    assert_eq!(drawing.series, [""]);
}

#[test]
fn series_are_called_by_what_tells_them_apart() {
    let files = source("r", &[("d/a.csv", "s,l,m\n1,2,3\n"), ("d/e/b.csv", "s,l,m\n1,2,3\n")]);
    let series = |text: &str| drawn(text, std::slice::from_ref(&files)).series;
    assert_eq!(series("plots: [p: {x: s, y: {d/a.csv: [l, m]}}]\n"), ["l", "m"]);
    assert_eq!(series("plots: [p: {x: s, y: {d/a.csv: l, d/e/b.csv: l}}]\n"), ["a.csv", "e/b.csv"]);
    assert_eq!(series("plots: [p: {y: {d/a.csv: l, d/e/b.csv: m}}]\n"), ["a.csv::l", "e/b.csv::m"]);
    let drawing =
        drawn("plots: [p: {x: {d/a.csv: s}, y: {d/e/b.csv: [l, m]}}]\n", std::slice::from_ref(&files));
    assert_eq!((&*drawing.x_label, &*drawing.y_label, drawing.points.len()), ("s", "y", 2));
}

#[test]
fn revisions_without_a_file_have_no_points() {
    let text = "plots: [a.csv]\n";
    let sources = [source("old", &[]), source("new", &[("a.csv", "l\n1\n")])];
    assert_eq!(drawn(text, &sources).revisions, ["new"]);
    assert_eq!(draw(&plots(text)[0], &[source("old", &[])]).unwrap(), None);
}

#[test]
fn values_that_are_no_finite_numbers_are_gaps() {
    let drawing = drawn(
        "plots: [a.csv: {y: l}]\n",
        &[source("r", &[("a.csv", "l\n1\nnan\n inf \n\"\"\n1e400\n-2\n")])],
    );
    assert_eq!(drawing.gaps, 4);
    assert_eq!(ys(&drawing)[5], Coordinate::Number(-2.0));
    let json = r#"[{"l": 1}, {"l": null}, {"l": true}]"#;
    assert_eq!(drawn("plots: [a.json]\n", &[source("r", &[("a.json", json)])]).gaps, 1);
    assert_eq!(spark(&ys(&drawing), 40), "█    ▁");
}

#[test]
fn what_cannot_be_drawn_is_refused_by_name() {
    let one = |text: &str| [source("r", &[("a.csv", text), ("b.csv", "s\n1\n")])];
    let text = "plots: [a.csv: {x: s, y: l}]\n";
    assert_eq!(refused(text, &one("s,l\n1,high\n")), "`a.csv`: point 1: `l` is no number: `high`");
    assert_eq!(refused(text, &one("s,k\n1,2\n")), "`a.csv` has no column `l`");
    let joined = "plots: [p: {x: {b.csv: s}, y: {a.csv: l}}]\n";
    assert_eq!(
        refused(joined, &one("l\n1\n2\n")),
        "`b.csv` has 1 points and `a.csv` has 2: they cannot be one plot"
    );
    assert_eq!(
        refused("plots: [p: {x: {a.csv: [l, m]}, y: {a.csv: l, b.csv: [s, t]}}]\n", &one("l,m\n1,2\n")),
        "the plot `p` has 2 columns for `x` and 3 for `y`"
    );
    assert_eq!(
        refused("plots: [a.csv: {template: pie}]\n", &one("l\n1\n")),
        "the plot `a.csv` has the template `pie`, which is not known"
    );
    let many = "l\n".to_owned() + &"1\n".repeat(MAX_POINTS + 1);
    assert_eq!(
        refused("plots: [a.csv]\n", &one(&many)),
        "the plot `a.csv` has 200001 points, more than the limit of 200000"
    );
}

#[test]
fn pairs_are_counted_with_those_that_do_not_occur() {
    let json = r#"[{"a": "x", "p": "x"}, {"a": "x", "p": "y"}, {"a": "y", "p": "y"}, {"a": "x", "p": "x"}]"#;
    let text = "plots: [a.json: {x: a, y: p, template: confusion}]\n";
    let found = counts(&drawn(text, &[source("r", &[("a.json", json)])]));
    let table: Vec<(&str, &str, u64)> = found.iter().map(|one| (&*one.y, &*one.x, one.count)).collect();
    assert_eq!(table, [("x", "x", 2), ("x", "y", 0), ("y", "x", 1), ("y", "y", 1)]);
    assert_eq!(found[2].share, 0.5);
}

#[test]
fn curves_are_cut_to_the_width_and_huge_numbers_have_a_place() {
    let numbers = |values: &[f64]| values.iter().map(|value| Coordinate::Number(*value)).collect::<Vec<_>>();
    assert_eq!(spark(&numbers(&[0.0, 1.0, 2.0, 3.0]), 40), "▁▃▆█");
    assert_eq!(spark(&numbers(&[0.0, 0.0, 7.0, 7.0]), 2), "▁█");
    assert_eq!(spark(&numbers(&[1.0, 1.0]), 40), "▄▄");
    assert_eq!(spark(&numbers(&[f64::MIN, f64::MAX]), 40), "▁█");
    assert_eq!(spark(&[], 40), "");
    assert_eq!(summary(&[Coordinate::Gap]), None);
}

#[test]
fn page_has_what_draws_it_and_its_licences_and_lets_nothing_out() {
    let text = "plots: [a.csv: {title: '</script><b>', y_label: '<!--'}]\n";
    let drawing = drawn(text, &[source("</script>&", &[("a.csv", "l\n1\n")])]);
    let picture = Picture {
        id: "<img src=x onerror='a\"'>".into(),
        revision: "<r>".into(),
        media_type: "image/png",
        bytes: b"\x89PNG".to_vec(),
    };
    let html = page(&[drawing], &[picture]);
    assert_eq!((html.matches("<script").count(), html.matches("</script>").count()), (3, 3));
    assert!(
        !html.contains("<b>")
            && !html.contains("<!--")
            && !html.contains("<img src=x")
            && !html.contains("<r>")
    );
    assert!(html.contains("data:image/png;base64,iVBORw=="));
    assert!(html.contains("default-src 'none'") && html.contains(MARK));
    assert!(!html.contains(" src=\"http") && !html.contains("<link"));
    assert!(html.contains("Permission to use, copy, modify") && html.contains("University of Washington"));
    assert!(page(&[], &[]).len() < 2_000, "nothing is drawn by nothing");
}

/// vendor/README.md says what it is made of.
#[test]
fn bundle_is_the_one_that_was_reviewed() {
    let expected = "ffe5514347efef7adb48afcd081bc5345bcad7dac493dc51d7e43bcbbba79c0c";
    assert_eq!(Digest::of(super::page::bundle().as_bytes()).to_string(), expected);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[a-z,\"\\r\\n\\t0-9.]{0,60}", header: bool) {
        for table in [Table::Separated(','), Table::Separated('\t'), Table::Values] {
            let _ = read(&path("f.json"), table, header, &bytes);
            if let Ok(rows) = read(&path("f.csv"), table, header, text.as_bytes()) {
                let files = BTreeMap::from([(path("f.csv"), rows)]);
                let source = Source { revision: "r".into(), files };
                let _ = draw(&plots("plots: [f.csv]\n")[0], &[source]);
            }
        }
    }

    /// What was written with quotes around everything is read as it was.
    #[test]
    fn quoted_fields_are_read_as_they_were(fields in proptest::collection::vec("[a-z,\"\\n ]{0,8}", 1..5)) {
        let quoted: Vec<String> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        let text = quoted.join(",") + "\nend" + &",".repeat(fields.len() - 1) + "\n";
        let rows = read(&path("f.csv"), Table::Separated(','), false, text.as_bytes()).unwrap();
        let read: Vec<String> = rows[0].iter().map(|(_, value)| value.to_string()).collect();
        proptest::prop_assert_eq!(read, fields);
    }
}
