use super::*;
use crate::pipeline::parse::parse;
use crate::pipeline::template::NoValues;

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

fn pipeline(file: &str, text: &str) -> Pipeline {
    parse(&at(file), text.as_bytes(), &NoValues).unwrap()
}

/// Stages as `name: inputs > outputs`, one a line.
fn build(lines: &str) -> Result<Graph, GraphError> {
    let mut text = String::from("stages:\n");
    for line in lines.lines() {
        let (name, rest) = line.split_once(':').unwrap();
        let (deps, outs) = rest.split_once('>').unwrap();
        let list = |paths: &str| paths.split_whitespace().collect::<Vec<_>>().join(", ");
        text += &format!("  {name}:\n    cmd: x\n    deps: [{}]\n    outs: [{}]\n", list(deps), list(outs));
    }
    Graph::build(vec![pipeline("mlv.yaml", &text)])
}

fn names(graph: &Graph, indexes: impl IntoIterator<Item = StageIndex>) -> String {
    indexes.into_iter().map(|index| graph.address(index).to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn stages_come_after_those_that_make_what_they_read() {
    let graph = build("c: b > c\na: in > a\nb: a > b\nz: > z").unwrap();
    assert_eq!(names(&graph, graph.order()), "a b c z");
    let b = graph.find(&at("mlv.yaml"), "b").unwrap();
    assert_eq!(names(&graph, graph.upstream(b)), "a");
    assert_eq!(names(&graph, graph.downstream(b)), "c");
    assert_eq!(names(&graph, graph.select(&[b], Selection::WithUpstream)), "a b");
    assert_eq!(names(&graph, graph.select(&[b], Selection::Single)), "b");
    assert_eq!(names(&graph, graph.select(&[b], Selection::WithDownstream)), "b c");
    assert_eq!(graph.maker(&at("b/inside")), Some(b));
    assert_eq!(graph.maker(&at("bb")), None);
}

#[test]
fn a_pipeline_is_all_that_is_linked_and_a_frozen_stage_is_not_linked_upwards() {
    let graph = build("a: > a\nb: a > b\nc: b > c\nz: > z\ny: z > y").unwrap();
    let at_name = |graph: &Graph, name: &str| graph.find(&at("mlv.yaml"), name).unwrap();
    assert_eq!(names(&graph, graph.select(&[at_name(&graph, "b")], Selection::Pipeline)), "a b c");
    let text = "stages:\n  a: {cmd: x, outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b], frozen: true}\n  \
                c: {cmd: x, deps: [b]}\n";
    let graph = Graph::build(vec![pipeline("mlv.yaml", text)]).unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| at_name(&graph, name));
    assert_eq!(names(&graph, graph.select(&[c], Selection::WithUpstream)), "b c");
    assert_eq!(names(&graph, graph.select(&[a], Selection::WithDownstream)), "a");
    assert_eq!(names(&graph, graph.select(&[b], Selection::Pipeline)), "b c");
}

#[test]
fn a_dependency_may_be_inside_an_output_or_contain_some() {
    let graph = build("last: d > x\ninner: big/part > y\none: > d/1\ntwo: > d/2 d.b\nbig: > big").unwrap();
    assert_eq!(names(&graph, graph.order()), "one two last big inner");
    let root = pipeline("mlv.yaml", "stages:\n  all: {cmd: x, deps: [.]}\n  one: {cmd: x, outs: [o]}\n");
    let graph = Graph::build(vec![root]).unwrap();
    assert_eq!(names(&graph, graph.order()), "one all");
}

#[test]
fn pipelines_in_other_folders_are_part_of_the_graph() {
    let root = pipeline("mlv.yaml", "stages:\n  a: {cmd: x, deps: [sub/o]}\n");
    let sub = pipeline("sub/mlv.yaml", "stages:\n  a: {cmd: x, outs: [o]}\n");
    let graph = Graph::build(vec![root, sub]).unwrap();
    assert_eq!(names(&graph, graph.order()), "sub/mlv.yaml:a a");
}

#[test]
fn contradictions_name_the_stages() {
    let error = |lines: &str| build(lines).unwrap_err().to_string();
    insta::assert_snapshot!(error("a: > x\nb: > x"), @"mlv.yaml:9:12: the stages `a` and `b` both make `x`");
    insta::assert_snapshot!(error("a: > d/x\nb: > d"), @"mlv.yaml:5:12: `d/x` of stage `a` lies inside `d` of stage `b`");
    insta::assert_snapshot!(error("a: > d d.x\nb: > d/x"), @"mlv.yaml:9:12: `d/x` of stage `b` lies inside `d` of stage `a`");
    insta::assert_snapshot!(error("a: > model\nb: > Model"), @"mlv.yaml:9:12: `model` of stage `a` and `Model` of stage `b` are the same name on macOS and Windows");
    insta::assert_snapshot!(error("a: z > x\nb: x > y\nc: y > z\nd: z > e"), @"mlv.yaml:8:12: the stages wait for each other: `b` → `c` → `a` → `b`: `b` reads `x`, `c` reads `y` (mlv.yaml:12:12), `a` reads `z` (mlv.yaml:4:12)");
    insta::assert_snapshot!(error("a: y > x\nb: x > y"), @"mlv.yaml:8:12: the stages wait for each other: `b` → `a` → `b`: `b` reads `x`, `a` reads `y` (mlv.yaml:4:12)");
}

#[test]
fn cycle_says_where_each_stage_stands_and_what_it_waits_for() {
    let said = |text: &str| {
        let error = Graph::build(vec![pipeline("mlv.yaml", text)]).unwrap_err();
        error.to_string()
    };
    let read = "stages:\n  a: {cmd: x, deps: [d/y], outs: [x]}\n\n  b: {cmd: x, needs: [a], outs: [d]}\n";
    insta::assert_snapshot!(said(read), @"mlv.yaml:4:23: the stages wait for each other: `b` → `a` → `b`: `b` needs `a`, `a` reads `d/y` (mlv.yaml:2:22)");
    let long: String =
        (0..9).map(|at| format!("  s{at}: {{cmd: x, deps: [o{}], outs: [o{at}]}}\n", (at + 1) % 9)).collect();
    insta::assert_snapshot!(said(&format!("stages:\n{long}")), @"mlv.yaml:10:23: the stages wait for each other: `s8` → `s7` → `s6` → `s5` → `s4` → `s3` → `s2` → `s1` → `s0` → `s8`: `s8` reads `o0`, `s7` reads `o8` (mlv.yaml:9:23), `s6` reads `o7` (mlv.yaml:8:23), `s5` reads `o6` (mlv.yaml:7:23), `s4` reads `o5` (mlv.yaml:6:23), `s3` reads `o4` (mlv.yaml:5:23), and 3 more");
}

#[test]
fn ten_thousand_stages_in_a_chain_are_ordered_without_recursion() {
    let lines: Vec<String> =
        (0..10_000).map(|index| format!("s{index}: o{} > o{index}", index + 1)).collect();
    let mut stages = Vec::new();
    for line in &lines {
        // Built without text: the parser's limit on nodes is lower than this.
        let (name, rest) = line.split_once(": ").unwrap();
        let (dep, out) = rest.split_once(" > ").unwrap();
        let text = format!("stages:\n  {name}: {{cmd: x, deps: [{dep}], outs: [{out}]}}\n");
        stages.extend(pipeline("mlv.yaml", &text).stages);
    }
    let all = Pipeline { stages, ..Pipeline::empty(&at("mlv.yaml")) };
    let graph = Graph::build(vec![all]).unwrap();
    assert_eq!(graph.order().next(), Some(StageIndex(9_999)));
}

#[test]
fn links_are_counted() {
    let text: String =
        (0..1_200).map(|index| format!("r{index}: d > e{index}\nm{index}: > d/{index}\n")).collect();
    assert_eq!(build(&text).unwrap_err().problem, GraphProblem::TooManyLinks { limit: MAX_LINKS });
}

#[test]
fn patterns_make_a_stage_build_on_what_may_match() {
    let text = "stages:\n  r: {cmd: x, deps: ['d/*.csv', '**/*.py'], outs: [o]}\n  a: {cmd: x, outs: [d/1.csv]}\n  \
                b: {cmd: x, outs: [d/2.bin]}\n  c: {cmd: x, outs: [gen]}\n  e: {cmd: x, outs: [src/gen.py]}\n";
    let graph = Graph::build(vec![pipeline("mlv.yaml", text)]).unwrap();
    let reader = graph.find(&at("mlv.yaml"), "r").unwrap();
    let above: Vec<_> = graph.upstream(reader).map(|index| graph.address(index).to_string()).collect();
    assert_eq!(above, ["e", "a"]);
    let text =
        "stages:\n  a: {cmd: x, deps: ['d/*'], outs: [e/1]}\n  b: {cmd: x, deps: ['e/?'], outs: [d/1]}\n";
    let error = Graph::build(vec![pipeline("mlv.yaml", text)]).unwrap_err();
    let said = error.to_string();
    insta::assert_snapshot!(said, @"mlv.yaml:3:22: the stages wait for each other: `b` → `a` → `b`: `b` reads `e/?`, `a` reads `d/*` (mlv.yaml:2:22)");
}

#[test]
fn outputs_that_patterns_are_held_against_are_counted() {
    let stages: String =
        (0..2_001).map(|at| format!("  s{at}: {{cmd: x, deps: ['no*/x'], outs: [d{at}]}}\n")).collect();
    let all = pipeline("mlv.yaml", &format!("stages:\n{stages}"));
    assert_eq!(Graph::build(vec![all]).unwrap_err().problem, GraphProblem::TooManyLinks { limit: MAX_LOOKS });
}
