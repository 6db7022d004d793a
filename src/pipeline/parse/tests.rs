use super::*;
use crate::model::place::Problem;
use crate::model::stage::{Axis, Command, ParamKeys, Role, Shell};
use crate::pipeline::template::NoValues;

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

fn read(text: &str) -> Result<Pipeline, PipelineError> {
    parse(&at("p/mlv.yaml"), text.as_bytes(), &NoValues)
}

fn error(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

/// The refusal of a stage `s` with `cmd: x` and these further lines.
fn stage_error(lines: &str) -> String {
    error(&format!("stages:\n  s:\n    cmd: x\n{lines}"))
}

#[test]
fn the_demo_is_a_pipeline() {
    let bytes = include_bytes!("../../../fixtures/demo/project/mlv.yaml");
    let pipeline = parse(&at("mlv.yaml"), bytes, &NoValues).unwrap();
    let names: Vec<&str> = pipeline.stages.iter().map(|stage| &*stage.name).collect();
    assert_eq!(
        names,
        ["prepare-train", "prepare-test", "train@slow", "train@medium", "train@fast", "evaluate"]
    );
    let evaluate = &pipeline.stages[5];
    assert!(evaluate.outs[0].is_metric() && !evaluate.outs[0].cache);
    assert_eq!(evaluate.places.of_stage().mark.line, 39);
}

#[test]
fn every_supported_key_is_read() {
    let pipeline = read(
        "\
params: [all.yaml]
metrics:
- eval/m.json
stages:
  a b:
    desc: text
    meta: {any: [thing]}
    wdir: sub
    cmd:
    - echo a
    - |
      if true; then
        echo b
      fi
    deps: [../x, y/, y]
    params:
    - lr
    - epochs
    - other.json:
      - a.b[0]
    - whole.yaml:
    - lr
    outs:
    - o1
    - o2: {cache: false, push: false, remote: r, desc: d, type: model, labels: [l], meta: 1, persist: false}
    - o3:
    metrics:
    - m.json: {cache: false}
    frozen: true
    always_changed: true
",
    )
    .unwrap();
    assert_eq!(pipeline.params, [at("p/all.yaml")]);
    assert_eq!(pipeline.metrics, [at("p/eval/m.json")]);
    let stage = &pipeline.stages[0];
    assert_eq!(stage.wdir, at("p/sub"));
    assert_eq!(stage.deps, [at("p/sub/y"), at("p/x")]);
    let Command::List(items) = &stage.command else { panic!("a list") };
    assert_eq!(&*items[1], "if true; then\n  echo b\nfi\n");
    let files: Vec<_> = stage.params.iter().map(|params| params.file.as_str()).collect();
    assert_eq!(files, ["p/sub/other.json", "p/sub/params.yaml", "p/sub/whole.yaml"]);
    assert_eq!(
        stage.params[1].keys,
        ParamKeys::Named(vec!["epochs".parse().unwrap(), "lr".parse().unwrap()])
    );
    assert_eq!(stage.params[2].keys, ParamKeys::All);
    let outs: Vec<_> = stage.outs.iter().map(|out| (out.path.as_str(), out.is_metric())).collect();
    assert_eq!(outs, [("p/sub/m.json", true), ("p/sub/o1", false), ("p/sub/o2", false), ("p/sub/o3", false)]);
    let o2 = &stage.outs[2];
    assert!(!o2.cache && !o2.push && o2.remote.as_deref() == Some("r"));
    assert!(stage.frozen && stage.always_changed);
}

#[test]
fn empty_files_are_empty_pipelines() {
    for text in ["", "# nothing\n", "stages:\n", "stages: {}\n", "---\n"] {
        assert_eq!(read(text).unwrap().stages, [], "{text:?}");
    }
}

#[test]
fn unknown_keys_are_refused_with_line_and_the_nearest_key() {
    let error = read("stages:\n  s:\n    cmd: x\n    dep: [a]\n").unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"p/mlv.yaml:4:5: a stage has no key `dep`");
    insta::assert_snapshot!(std::error::Error::source(&error).unwrap().to_string(), @"line 4 reads `    dep: [a]`");
    insta::assert_snapshot!(error.problem.hint().unwrap(), @"did you mean `deps`");
    insta::assert_snapshot!(self::error("stage: {}\n"), @"p/mlv.yaml:1:1: a pipeline has no key `stage`");
    insta::assert_snapshot!(stage_error("    outs:\n    - o: {cached: false}\n"), @"p/mlv.yaml:5:11: an output has no key `cached`");
}

#[test]
fn what_a_later_version_brings_is_refused_by_name() {
    insta::assert_snapshot!(stage_error("    deps: ['s3://b/k']\n"), @"p/mlv.yaml:4:12: the external path `s3://b/k` is not supported by this version of mlv");
    let escaped = read("stages:\n  s:\n    cmd: echo \\${HOME} $HOME\n").unwrap();
    assert_eq!(escaped.stages[0].command, Command::Script("echo ${HOME} $HOME".into()));
}

#[test]
fn plots_of_stages_are_outputs_with_a_way_to_draw_them() {
    let lines = "    plots:\n    - p.csv\n    - d/q.json: {x: a, y: [b, c], x_label: A, y_label: B, title: T, template: smooth, header: false, cache: false, persist: true}\n";
    let pipeline = read(&format!("stages:\n  s:\n    cmd: x\n{lines}")).unwrap();
    let [q, p] = &pipeline.stages[0].outs[..] else { panic!("two") };
    assert_eq!((p.path.as_str(), q.path.as_str()), ("p/p.csv", "p/d/q.json"));
    assert!(p.cache && !p.persist && !q.cache && q.persist && !q.is_metric());
    let Role::Plot(plain) = &p.role else { panic!("a plot") };
    assert_eq!((&*plain.id, plain.file.as_ref(), plain.header), ("p.csv", Some(&at("p/p.csv")), true));
    let Role::Plot(plot) = &q.role else { panic!("a plot") };
    assert_eq!(plot.x, Axis::Columns(vec!["a".into()]));
    assert_eq!(plot.y, Axis::Columns(vec!["b".into(), "c".into()]));
    assert_eq!(
        (plot.title.as_deref(), plot.template.as_deref(), plot.header),
        (Some("T"), Some("smooth"), false)
    );
    insta::assert_snapshot!(stage_error("    plots: [p.csv: {z: a}]\n"), @"p/mlv.yaml:4:21: a plot has no key `z`");
    insta::assert_snapshot!(stage_error("    plots: [p.csv: {x: {q: }}]\n"), @"p/mlv.yaml:4:26: `x` must be a column, a list of columns, or a map of files to columns, this is nothing");
    insta::assert_snapshot!(stage_error("    outs: [o: {x: a}]\n"), @"p/mlv.yaml:4:16: an output has no key `x`");
    insta::assert_snapshot!(stage_error("    outs: [o]\n    plots: [o]\n"), @"p/mlv.yaml:5:13: the output `p/o` stands here a second time");
}

#[test]
fn plots_and_artifacts_at_the_top_are_named() {
    let text = "\
vars: [n: model]
plots:
- a.csv
- logs/: {x: step}
- roc:
    x: fpr
    y: {t.csv: tpr, u.csv: [k, l]}
    title: ${n}
artifacts:
  ${n}/b: {path: m.bin, type: model, desc: d, labels: [x]}
  a: {path: ../a}
";
    let pipeline = read(text).unwrap();
    let ids: Vec<_> =
        pipeline.plots.iter().map(|plot| (&*plot.id, plot.file.as_ref().map(RepoPath::as_str))).collect();
    assert_eq!(ids, [("a.csv", Some("p/a.csv")), ("logs/", Some("p/logs")), ("roc", None)]);
    let roc = &pipeline.plots[2];
    assert_eq!((&roc.x, roc.title.as_deref()), (&Axis::Columns(vec!["fpr".into()]), Some("model")));
    let files = vec![(at("p/t.csv"), vec!["tpr".into()]), (at("p/u.csv"), vec!["k".into(), "l".into()])];
    assert_eq!(roc.y, Axis::Files(files));
    let artifacts: Vec<_> = pipeline.artifacts.iter().map(|one| (&*one.name, one.path.as_str())).collect();
    assert_eq!(artifacts, [("a", "a"), ("model/b", "p/m.bin")]);
    assert_eq!(pipeline.artifacts[1].notes.kind.as_deref(), Some("model"));
    assert_eq!(read("plots: {a.csv: {x: q}, b.csv: }\n").unwrap().plots.len(), 2);
    insta::assert_snapshot!(error("plots: [../../x.csv]\n"), @"p/mlv.yaml:1:9: the path `../../x.csv` is refused: it lies outside the repository");
    insta::assert_snapshot!(error("plots: [r: {y: {../../x.csv: a}}]\n"), @"p/mlv.yaml:1:17: the path `../../x.csv` is refused: it lies outside the repository");
    insta::assert_snapshot!(error("artifacts: {a: {type: model}}\n"), @"p/mlv.yaml:1:13: `path` is missing");
    insta::assert_snapshot!(error("artifacts: {'a b': {path: m}}\n"), @"p/mlv.yaml:1:13: the artifact's name `a b` is refused: one has letters, digits, `_`, `-`, `.` and `/`, once");
    insta::assert_snapshot!(error("artifacts: {a: {path: /etc}}\n"), @"p/mlv.yaml:1:23: the path `/etc` is refused: it is absolute; paths here are relative");
}

#[test]
fn stages_say_how_they_are_run() {
    let text = "\
shell: bash
stages:
  a:
    cmd: x
    env: {B: 2, A: '${v}', E: }
    env_deps: [TOKEN, HOME, TOKEN]
    timeout: 1.5h
    retries: 2
    resources: {gpu: 1}
    outs: [o: {optional: true}, p]
  b: {cmd: x, shell: sh, needs: [a]}
vars: [v: one]
";
    let pipeline = read(text).unwrap();
    let [a, b] = &pipeline.stages[..] else { panic!("two") };
    let env: Vec<_> = a.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env, [("A", "one"), ("B", "2"), ("E", "")]);
    assert_eq!(a.env_deps, ["HOME".into(), "TOKEN".into()]);
    assert_eq!((a.shell, b.shell), (Shell::Bash, Shell::Sh));
    assert_eq!((a.timeout, a.retries), (Some(std::time::Duration::from_secs(5400)), 2));
    assert_eq!((&a.resources[..], &b.needs[..]), (&[("gpu".into(), 1)][..], &["a".into()][..]));
    assert_eq!(a.outs.iter().map(|out| out.optional).collect::<Vec<_>>(), [true, false]);
    insta::assert_snapshot!(stage_error("    shell: zsh\n"), @"p/mlv.yaml:4:12: `shell` must be `sh` or `bash`, this is the text `zsh`");
    insta::assert_snapshot!(stage_error("    env: {A=B: 1}\n"), @"p/mlv.yaml:4:11: the name `A=B` is refused: one has letters, digits and `_`, starts with no digit and no `MLV_`, and stands once");
    insta::assert_snapshot!(stage_error("    env: {A: [1]}\n"), @"p/mlv.yaml:4:14: `env` must be a map of names to texts, this is a list");
    insta::assert_snapshot!(stage_error("    env_deps: [MLV_ROOT]\n"), @"p/mlv.yaml:4:16: the name `MLV_ROOT` is refused: one has letters, digits and `_`, starts with no digit and no `MLV_`, and stands once");
    insta::assert_snapshot!(stage_error("    timeout: 0\n"), @"p/mlv.yaml:4:14: `timeout` must be a length of time such as `90s`, `30m` or `2h`, this is `0`");
    insta::assert_snapshot!(stage_error("    retries: 101\n"), @"p/mlv.yaml:4:14: `retries` must be a whole number from 0 to 100, this is `101`");
    insta::assert_snapshot!(stage_error("    resources: {gpu: 0}\n"), @"p/mlv.yaml:4:22: `resources` must be a map of names to whole numbers from 1 to 1024, this is `0`");
}

#[test]
fn stages_wait_for_stages_and_groups_and_read_what_they_make() {
    let text = "\
stages:
  all: {cmd: x, deps: [{stage: train@*}, in]}
  train:
    foreach: [a, b]
    do: {cmd: x, outs: ['${item}', '${item}.log': {optional: true}]}
  then: {cmd: x, needs: [train@b, all]}
";
    let pipeline = read(text).unwrap();
    let all = &pipeline.stages[0];
    assert_eq!(all.deps, [at("p/a"), at("p/b"), at("p/in")]);
    assert_eq!(all.needs, ["train@a".into(), "train@b".into()]);
    assert_eq!(pipeline.stages[3].needs, ["all".into(), "train@b".into()]);
    insta::assert_snapshot!(stage_error("    needs: [nosuch]\n"), @"p/mlv.yaml:4:13: this file has no stage or group `nosuch`");
    insta::assert_snapshot!(stage_error("    needs: [s]\n"), @"p/mlv.yaml:4:13: the stage `s` would wait for itself");
    insta::assert_snapshot!(stage_error("    deps: [{stage: t@*}]\n"), @"p/mlv.yaml:4:20: this file has no stage or group `t@*`");
}

#[test]
fn unsafe_names_and_paths_are_refused() {
    insta::assert_snapshot!(error("stages:\n  ../x: {cmd: x}\n"), @"p/mlv.yaml:2:3: the stage name `../x` is refused: a name has letters, digits, `_`, `-` and single spaces");
    insta::assert_snapshot!(error("stages:\n  --force: {cmd: x}\n"), @"p/mlv.yaml:2:3: the stage name `--force` is refused: it starts with a dash");
    insta::assert_snapshot!(error("stages:\n  a@b: {cmd: x}\n"), @"p/mlv.yaml:2:3: the stage name `a@b` is refused: a name has letters, digits, `_`, `-` and single spaces");
    insta::assert_snapshot!(stage_error("    outs: [../../x]\n"), @"p/mlv.yaml:4:12: the path `../../x` is refused: it lies outside the repository");
    insta::assert_snapshot!(stage_error("    outs: [/tmp/x]\n"), @"p/mlv.yaml:4:12: the path `/tmp/x` is refused: it is absolute; paths here are relative");
    insta::assert_snapshot!(stage_error("    outs: [.git/hooks/x]\n"), @"p/mlv.yaml:4:12: the path `.git/hooks/x` is refused: a path has no part that means `.git` or `.mlv`");
    insta::assert_snapshot!(stage_error("    wdir: ../..\n"), @"p/mlv.yaml:4:11: the path `../..` is refused: it lies outside the repository");
    insta::assert_snapshot!(stage_error("    deps: [../../x]\n"), @"p/mlv.yaml:4:12: the path `../../x` is refused: it lies outside the repository");
    insta::assert_snapshot!(stage_error("    outs: [mlv.yaml]\n"), @"p/mlv.yaml:4:12: the path `mlv.yaml` is refused: mlv's and git's own files are no outputs");
}

#[test]
fn contradictions_within_a_stage_are_refused() {
    insta::assert_snapshot!(stage_error("    deps: [q]\n    outs: [q]\n"), @"p/mlv.yaml:5:12: the output `p/q` of stage `s` overlaps its own input `p/q`");
    insta::assert_snapshot!(stage_error("    deps: [q/r]\n    outs: [q]\n"), @"p/mlv.yaml:5:12: the output `p/q` of stage `s` overlaps its own input `p/q/r`");
    insta::assert_snapshot!(stage_error("    params: [a]\n    outs: [params.yaml]\n"), @"p/mlv.yaml:5:12: the output `p/params.yaml` of stage `s` overlaps its own input `p/params.yaml`");
    insta::assert_snapshot!(stage_error("    outs: [q]\n    metrics: [q]\n"), @"p/mlv.yaml:5:15: the output `p/q` stands here a second time");
    insta::assert_snapshot!(stage_error("    outs: [../p]\n"), @"p/mlv.yaml:4:12: the stage runs inside its own output `../p`");
    insta::assert_snapshot!(stage_error("    wdir: w\n    outs: [../w]\n"), @"p/mlv.yaml:5:12: the stage runs inside its own output `../w`");
}

#[test]
fn commands_are_texts() {
    insta::assert_snapshot!(error("stages:\n  s: {}\n"), @"p/mlv.yaml:2:3: `cmd` is missing");
    insta::assert_snapshot!(error("stages:\n  s: {cmd: []}\n"), @"p/mlv.yaml:2:12: `cmd` must be a text or a list of texts, not empty, this is a list");
    insta::assert_snapshot!(error("stages:\n  s: {cmd: ' '}\n"), @"p/mlv.yaml:2:12: `cmd` must be a text or a list of texts, not empty, this is the text ` `");
    insta::assert_snapshot!(error("stages:\n  s: {cmd: \"a\\0\"}\n"), @"p/mlv.yaml:2:12: a command has no NUL character");
    let error = read("stages:\n  s:\n    cmd:\n    - echo a: b\n").unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"p/mlv.yaml:4:7: `cmd` must be a text or a list of texts, not empty, this is a map");
    insta::assert_snapshot!(error.problem.hint().unwrap(), @"put the command in quotes: YAML takes `: ` for a key");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = parse(&at("mlv.yaml"), &bytes, &NoValues);
    }

    #[test]
    fn any_damage_is_read_or_refused(place: proptest::sample::Index, with in "[ -~\n]{0,6}") {
        let mut text = include_str!("../../../fixtures/demo/project/mlv.yaml").to_owned();
        let offset = place.index(text.len());
        if text.is_char_boundary(offset) {
            text.insert_str(offset, &with);
        }
        let _ = parse(&at("mlv.yaml"), text.as_bytes(), &NoValues);
    }
}
