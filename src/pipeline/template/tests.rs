//! What templates, `foreach` and `matrix` make of a pipeline; how much they may make.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;
use crate::model::path::RepoPath;
use crate::model::stage::Pipeline;
use crate::pipeline::parse::{PipelineError, parse};

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

/// Files by path, and which of them were read.
#[derive(Default)]
struct Files(BTreeMap<&'static str, String>, RefCell<Vec<String>>);

impl ValueFiles for Files {
    fn read(&self, file: &RepoPath) -> Result<Option<Vec<u8>>, Box<str>> {
        self.1.borrow_mut().push(file.to_string());
        Ok(self.0.get(file.as_str()).map(|text| text.clone().into_bytes()))
    }
}

fn files<const N: usize>(files: [(&'static str, &str); N]) -> Files {
    Files(files.into_iter().map(|(path, text)| (path, text.to_owned())).collect(), RefCell::default())
}

fn read_with(text: &str, files: &Files) -> Result<Pipeline, PipelineError> {
    parse(&at("p/mlv.yaml"), text.as_bytes(), files)
}

/// Names and commands, one stage a line.
fn stages(pipeline: &Pipeline) -> String {
    let mut out = String::new();
    for stage in &pipeline.stages {
        let _ = writeln!(out, "{}: {}", stage.name, stage.command.summary());
    }
    out
}

fn made(text: &str) -> String {
    stages(&read_with(text, &files([])).unwrap())
}

fn error(text: &str) -> String {
    read_with(text, &files([])).unwrap_err().to_string()
}

const PARAMS: &str = "train: {lr: 0.5, layers: [64, 32], deep: {er: x}}\nname: a b\ndone: true\nnone:\n";

/// The command that a stage with `cmd` has, with [`PARAMS`] as values.
fn command(cmd: &str) -> Result<String, String> {
    let text = format!("stages:\n  s:\n    cmd: '{cmd}'\n");
    let pipeline =
        read_with(&text, &files([("p/params.yaml", PARAMS)])).map_err(|error| error.to_string())?;
    Ok(pipeline.stages[0].command.summary())
}

#[test]
fn values_of_the_parameter_file_are_filled_in() {
    assert_eq!(command("x ${train.lr} ${ name }!"), Ok("x 0.5 a b!".into()));
    assert_eq!(
        command("x ${train.layers[1]} ${train.deep.er} ${done} ${none}"),
        Ok("x 32 x true None".into())
    );
    assert_eq!(command(r"x \${HOME} $HOME ${name}"), Ok("x ${HOME} $HOME a b".into()));
    insta::assert_snapshot!(command("x ${train.rate}").unwrap_err(), @"p/mlv.yaml:3:13: `${train.rate}` has no value");
    insta::assert_snapshot!(command("x ${train.layers}").unwrap_err(), @"p/mlv.yaml:3:13: `${train.layers}` is a list, which is no text");
    insta::assert_snapshot!(command("x ${HOME:-y}").unwrap_err(), @"p/mlv.yaml:3:13: `${HOME:-y}` has no value");
    insta::assert_snapshot!(command("x ${a").unwrap_err(), @"p/mlv.yaml:3:13: `${a` is no template: one is `${key}` or `${key.sub[0]}`");
    insta::assert_snapshot!(command("x ${a[}").unwrap_err(), @"p/mlv.yaml:3:13: `${a[}` is no template: one is `${key}` or `${key.sub[0]}`");
    let error =
        read_with("stages:\n  s: {cmd: '${nane}'}\n", &files([("p/params.yaml", PARAMS)])).unwrap_err();
    insta::assert_snapshot!(crate::model::place::Problem::hint(&error.problem).unwrap(), @r"did you mean `${name}`; for the shell's own variable write `\${`");
    insta::assert_snapshot!(std::error::Error::source(&error).unwrap().to_string(), @"line 2 reads `  s: {cmd: '${nane}'}`");
}

#[test]
fn maps_become_options_of_a_command_and_of_nothing_else() {
    assert_eq!(command("x ${train} -v"), Ok("x --lr 0.5 --layers 64 32 --deep.er 'x' -v".into()));
    let text = "vars: [o: {yes: true, no: false, n: , t: \"it's\", 'k;l': 1, e: []}]\nstages:\n  s: {cmd: 'x ${o}'}\n";
    assert_eq!(made(text), "s: x --yes --n None --t 'it'\\''s' '--k;l' 1\n".replace("'--k;l'", "--'k;l'"));
    insta::assert_snapshot!(error("vars: [o: {a: [[1]]}]\nstages:\n  s: {cmd: 'x ${o}'}\n"), @"p/mlv.yaml:3:12: `a` of the map is a list, which is no option of a command");
    insta::assert_snapshot!(error("vars: [o: {a: 1}]\nstages:\n  s: {cmd: x, deps: ['${o}']}\n"), @"p/mlv.yaml:3:23: `${o}` is a map, which is no text");
}

#[test]
fn every_part_of_a_stage_may_be_a_template_and_a_value_alone_keeps_its_kind() {
    let text = "\
vars:
- v: {dir: sub, file: f.json, yes: true, push: false}
params: ['${v.dir}/top.yaml']
metrics: ['${v.file}']
stages:
  s:
    cmd: ['a ${v.dir}', b]
    wdir: ${v.dir}
    desc: of ${v.dir}
    frozen: ${v.yes}
    deps: ['${v.file}x']
    params: ['${v.dir}.k', '${v.file}': ['${v.dir}']]
    outs: ['o-${v.dir}': {push: '${v.push}'}]
    meta: {text: '${nothing}'}
";
    let pipeline = read_with(text, &files([])).unwrap();
    assert_eq!(
        (&pipeline.params[..], &pipeline.metrics[..]),
        (&[at("p/sub/top.yaml")][..], &[at("p/f.json")][..])
    );
    let stage = &pipeline.stages[0];
    assert_eq!((stage.wdir.as_str(), stage.desc.as_deref(), stage.frozen), ("p/sub", Some("of sub"), true));
    assert_eq!(stage.deps, [at("p/sub/f.jsonx")]);
    let params: Vec<&str> = stage.params.iter().map(|params| params.file.as_str()).collect();
    assert_eq!(params, ["p/sub/f.json", "p/sub/params.yaml"]);
    assert!(!stage.outs[0].push && stage.outs[0].path == at("p/sub/o-sub"));
    assert_eq!(stages(&pipeline), "s: a sub; b\n");
}

#[test]
fn values_come_from_files_and_maps_of_the_file_and_of_the_stage() {
    let all = files([
        ("p/params.yaml", "m: {a: 1}\n"),
        ("p/more.json", r#"{"m": {"b": 2}, "x": 3, "y": {"z": 4}}"#),
        ("p/w/own.yaml", "own: 5\n"),
    ]);
    let text = "\
vars: ['more.json:m,y.z', params.yaml, {k: v}]
stages:
  one: {cmd: '${m.a} ${m.b} ${k} ${y.z}'}
  two: {cmd: '${own} ${mine} ${k}', wdir: w, vars: [own.yaml, {mine: 6}]}
";
    let pipeline = read_with(text, &all).unwrap();
    assert_eq!(stages(&pipeline), "one: 1 2 v 4\ntwo: 5 6 v\n");
    assert_eq!(pipeline.values, [at("p/more.json"), at("p/params.yaml"), at("p/w/own.yaml")]);
    let error = |text: &str| read_with(text, &all).unwrap_err().to_string();
    insta::assert_snapshot!(error("vars: [more.json]\nstages:\n  s: {cmd: '${own}'}\n"), @"p/mlv.yaml:3:13: `${own}` has no value");
    insta::assert_snapshot!(error("vars: [nosuch.yaml]\n"), @"p/mlv.yaml:1:8: the file `p/nosuch.yaml` is not there");
    insta::assert_snapshot!(error("vars: ['more.json:q']\n"), @"p/mlv.yaml:1:8: `p/more.json` has no `q`");
    insta::assert_snapshot!(error("vars: [../../x.yaml]\n"), @"p/mlv.yaml:1:8: the path `../../x.yaml` is refused: it lies outside the repository");
    insta::assert_snapshot!(error("vars: [{k: 1}, {k: 1}]\n"), @"p/mlv.yaml:1:16: `k` is set here and by line 1");
    insta::assert_snapshot!(error("vars: [m: {a: 2}]\nstages:\n  s: {cmd: '${m}'}\n"), @"p/mlv.yaml:1:8: `m.a` is set here and by `p/params.yaml`");
}

#[test]
fn file_of_values_that_cannot_be_read_is_named_with_its_line() {
    let bad = files([("p/params.yaml", "a: 1\na: 2\n")]);
    let error = read_with("stages:\n  s: {cmd: '${a}'}\n", &bad).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"p/params.yaml:2:1: the key `a` stands here a second time");
    // Without a template nobody asks.
    assert!(read_with("stages:\n  s: {cmd: a}\n", &bad).unwrap().values.is_empty());
    assert_eq!(bad.1.borrow().len(), 1);
}

#[test]
fn foreach_makes_a_stage_of_each_item() {
    assert_eq!(
        made("stages:\n  b:\n    foreach: [us, 2, 0.5, true]\n    do: {cmd: 'x ${item}'}\n"),
        "b@us: x us\nb@2: x 2\nb@0.5: x 0.5\nb@true: x true\n"
    );
    assert_eq!(
        made(
            "stages:\n  b:\n    foreach: [{a: 1}, {a: 2}]\n    do: {cmd: 'x ${item.a}', outs: ['o${item.a}']}\n"
        ),
        "b@0: x 1\nb@1: x 2\n"
    );
    assert_eq!(
        made("stages:\n  b:\n    foreach: {us: {n: 1}, eu: 2}\n    do: {cmd: '${key}'}\n"),
        "b@us: us\nb@eu: eu\n"
    );
    let given = "vars: [l: [{a: [7]}], m: {k: 3}, item: other]\nstages:\n  b:\n    foreach: ${l}\n    do: {cmd: '${item.a[0]}'}\n  \
                 c:\n    foreach: ${m}\n    do: {cmd: '${key} ${item}'}\n  d: {cmd: '${item}'}\n  e:\n    foreach: ['${m.k}']\n    do: {cmd: x}\n";
    assert_eq!(made(given), "b@0: 7\nc@k: k 3\nd: other\ne@3: x\n");
    assert_eq!(made("stages:\n  b:\n    foreach: []\n    do: {cmd: x}\n"), "");
    let line =
        &read_with("stages:\n  b:\n    foreach: [1]\n    do:\n      cmd: x\n", &files([])).unwrap().stages[0];
    assert_eq!(line.places.of_stage().mark.line, 2);
}

#[test]
fn matrix_makes_a_stage_of_each_combination() {
    let text = "\
stages:
  t:
    matrix:
      model: [cnn, {name: big, deep: [1, 2]}]
      seed: [1, 2]
    cmd: x ${item.model} ${item.seed} ${key}
    outs: ['${key}']
";
    let text = text.replace("${item.model} ", "");
    assert_eq!(
        made(&text),
        "t@cnn-1: x 1 cnn-1\nt@cnn-2: x 2 cnn-2\nt@model1-1: x 1 model1-1\nt@model1-2: x 2 model1-2\n"
    );
    let whole = "stages:\n  t:\n    matrix: {m: [{name: big, deep: [1, 2]}]}\n    cmd: x ${item.m} ${item.m.deep[1]} ${item}\n";
    assert_eq!(made(whole), "t@m0: x --name 'big' --deep 1 2 2 --m.name 'big' --m.deep 1 2\n");
    assert_eq!(made("vars: [l: [1]]\nstages:\n  t:\n    matrix: {a: '${l}', b: []}\n    cmd: x\n"), "");
}

#[test]
fn groups_that_make_no_sense_are_refused() {
    let group = |lines: &str| error(&format!("stages:\n  b:\n{lines}"));
    insta::assert_snapshot!(group("    foreach: x\n    do: {cmd: x}\n"), @"p/mlv.yaml:3:14: `foreach` must be a list or a map, this is the text `x`");
    insta::assert_snapshot!(group("    foreach: [x]\n"), @"p/mlv.yaml:2:3: `do` is missing");
    insta::assert_snapshot!(group("    foreach: [x]\n    do: {cmd: x}\n    outs: [y]\n"), @"p/mlv.yaml:5:5: a stage with `foreach` has no key `outs`");
    insta::assert_snapshot!(group("    foreach: [x]\n    do: {foreach: [y], do: {cmd: x}}\n"), @"p/mlv.yaml:4:10: a stage has no key `foreach`");
    insta::assert_snapshot!(group("    do: {cmd: x}\n"), @"p/mlv.yaml:3:5: a stage has no key `do`");
    insta::assert_snapshot!(group("    matrix: {a: x}\n    cmd: x\n"), @"p/mlv.yaml:3:17: `matrix` must be a map of lists, this is the text `x`");
    insta::assert_snapshot!(group("    matrix: {}\n    cmd: x\n"), @"p/mlv.yaml:3:13: `matrix` must be a map of lists, not empty, this is a map");
    insta::assert_snapshot!(group("    foreach: [a, a]\n    do: {cmd: x}\n"), @"p/mlv.yaml:3:14: the stage `b@a` is generated twice");
    insta::assert_snapshot!(group("    matrix: {a: [x-y, x], b: [z, y-z]}\n    cmd: x\n"), @"p/mlv.yaml:3:13: the stage `b@x-y-z` is generated twice");
    insta::assert_snapshot!(group("    foreach: [\"a\\nb\"]\n    do: {cmd: x}\n"), @"p/mlv.yaml:3:14: the stage name `b@a\nb` is refused: a name has letters, digits, `_`, `-` and single spaces");
    insta::assert_snapshot!(group("    foreach: [a]\n    do: {cmd: '${item.b}'}\n"), @"p/mlv.yaml:4:16: `${item.b}` has no value");
    insta::assert_snapshot!(group("    foreach: [a]\n    do: {cmd: '${key}'}\n"), @"p/mlv.yaml:4:16: `${key}` has no value");
}

/// What is small as text and would be large as stages, in any direction.
#[test]
fn what_templates_make_is_bounded() {
    let refused = |text: String, expected: &str| {
        let error = error(&text);
        assert!(error.contains(expected), "{error}");
    };
    let axis = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]";
    let axes: String = (0..20).map(|at| format!("      v{at}: {axis}\n")).collect();
    refused(
        format!("stages:\n  s:\n    matrix:\n{axes}    cmd: x\n"),
        "more than the limit of 10000 generated stages",
    );
    let items = (0..10_001).map(|at| at.to_string()).collect::<Vec<_>>().join(", ");
    refused(format!("stages:\n  s:\n    foreach: [{items}]\n    do: {{cmd: x}}\n"), "10000 generated stages");
    let items = &items[..items.find("5000").unwrap()];
    let long = "y".repeat(10_000);
    let groups = format!("stages:\n  s:\n    foreach: [{items}0]\n    do: {{cmd: 'x");
    refused(format!("vars: [l: {long}]\n{groups} ${{l}}'}}\n"), "bytes made by templates");
    refused(
        format!("{groups} ${{item}}', deps: [{}]}}\n", "a, ".repeat(1000)),
        "keys and values of generated stages",
    );
    let many = (0..20_000).map(|at| format!("k{at}: 1")).collect::<Vec<_>>().join(", ");
    refused(format!("vars: [{{{many}}}]\n{groups} ${{k19999}}'}}\n"), "values looked at for templates");
    refused(format!("vars: [{{{many}}}]\n{groups}', vars: [a: 1]}}\n"), "values looked at for templates");
    let twice = "${l}".repeat(200);
    refused(
        format!("vars: [l: {long}]\nstages:\n  s: {{cmd: '{twice}'}}\n"),
        "more than the limit of 1048576 bytes in a command",
    );
    let combination = format!(
        "vars: [l: [{{{many}}}]]\nstages:\n  s:\n    matrix: {{a: '${{l}}', b: [{items}0]}}\n    cmd: x ${{item}}\n"
    );
    refused(combination, "more than the limit of");
    // A value is never looked at again: 40 doublings are 40 texts.
    let doublings: String =
        (1..40).map(|at| format!("- a{at}: '${{a{}}}${{a{}}}'\n", at - 1, at - 1)).collect();
    assert_eq!(
        made(&format!("vars:\n- a0: x\n{doublings}stages:\n  s: {{cmd: 'e ${{a39}}'}}\n")),
        "s: e ${a38}${a38}\n"
    );
}

proptest::proptest! {
    #[test]
    fn any_template_is_read_or_refused(text in "[${}\\\\a-c.\\[\\]0-9 ]{0,30}") {
        let text = format!("vars: [a: {{b: [1, {{c: x}}]}}]\nstages:\n  s: {{cmd: \"x {}\"}}\n", text.replace('\\', "\\\\"));
        let _ = read_with(&text, &files([]));
    }
}

#[test]
fn a_template_is_named_where_it_stands_also_in_further_lines() {
    let text = "stages:\n  s:\n    cmd: |\n      first\n      é ${no} ${no}\n";
    insta::assert_snapshot!(error(text), @"p/mlv.yaml:5:9: `${no}` has no value");
}
