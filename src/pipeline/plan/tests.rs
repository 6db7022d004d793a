use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::model::digest::{Digest, ObjectId};
use crate::model::lockfile::{LockDep, LockSum};
use crate::model::object::ContentId;
use crate::model::yaml::{Limits, load};
use crate::pipeline::parse::parse;
use crate::pipeline::template::NoValues;

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

fn id(text: &str) -> ContentId {
    ContentId::File(ObjectId(Digest::of(text.as_bytes())))
}

fn info(text: &str) -> ContentInfo {
    ContentInfo { id: id(text), size: text.len() as u64, nfiles: None, executable: false }
}

/// A world of texts: the slow and obvious model.
#[derive(Clone, Default)]
struct World {
    files: BTreeMap<RepoPath, String>,
    cache: Vec<ContentId>,
    variables: HashMap<String, String>,
    past: Vec<StageLock>,
    /// What is known of files in directories.
    parts: HashMap<(ContentId, String), String>,
}

impl World {
    fn put(&mut self, path: &str, text: &str) {
        self.files.insert(at(path), text.to_owned());
    }

    /// Runs a stage: each output becomes a text made of the inputs, or the constant `same`.
    fn run(&mut self, stage: &Stage) -> StageLock {
        let read = |path: &RepoPath| info(&self.files[path]);
        let deps: Vec<LockDep> =
            stage.deps.iter().map(|path| LockDep { path: path.clone(), content: read(path) }).collect();
        let params = stage.params.iter().map(|wanted| {
            let CurrentParams::Values(root) = self.params(&wanted.file).unwrap() else { panic!("no file") };
            (wanted.file.clone(), param_values(wanted, &root).unwrap())
        });
        let params: Vec<_> = params.collect();
        let inputs: String = stage.deps.iter().map(|path| self.files[path].as_str()).collect();
        let mut outs = Vec::new();
        for out in &stage.outs {
            let constant = stage.command.summary() == "constant";
            let text = if constant { "same".to_owned() } else { format!("{} of {inputs}", out.path) };
            outs.push(LockOut {
                path: out.path.clone(),
                content: info(&text),
                cache: out.cache,
                push: true,
                remote: None,
            });
            self.files.insert(out.path.clone(), text.clone());
            if out.cache {
                self.cache.push(id(&text));
            }
        }
        let sum = LockSum::Valid;
        StageLock {
            command: stage.command.clone(),
            deps,
            params,
            outs,
            settings: Vec::new(),
            unknown: Vec::new(),
            sum,
        }
    }
}

impl State for World {
    type Error = Infallible;

    fn content(&self, path: &RepoPath) -> Result<Current, Infallible> {
        Ok(self.files.get(path).map_or(Current::Missing, |text| Current::Present(info(text))))
    }

    fn recorded(&self, _path: &RepoPath) -> Result<Current, Infallible> {
        Ok(Current::Missing)
    }

    fn part(&self, out: &RepoPath, content: &ContentInfo, inside: &str) -> Result<Current, Infallible> {
        let known = self.parts.get(&(content.id, inside.to_owned()));
        assert!(!out.is_root());
        Ok(known.map_or(Current::Unlisted, |text| Current::Present(info(text))))
    }

    fn matched(&self, pattern: &PathPattern) -> Result<Matched, Infallible> {
        Ok(Matched::Paths(self.files.keys().filter(|path| pattern.may_be(path)).cloned().collect()))
    }

    fn params(&self, file: &RepoPath) -> Result<CurrentParams, Infallible> {
        Ok(self.files.get(file).map_or(CurrentParams::Missing, |text| {
            CurrentParams::Values(Arc::new(Value::of(&load("p", text, Limits::PIPELINE).unwrap())))
        }))
    }

    fn is_cached(&self, content: &ContentInfo) -> Result<bool, Infallible> {
        Ok(self.cache.contains(&content.id))
    }

    fn past_run(&self, _stage: &Stage, inputs: &StageLock) -> Result<Option<StageLock>, Infallible> {
        let same = |past: &&StageLock| past.deps == inputs.deps && past.params == inputs.params;
        let past = self.past.iter().find(same);
        Ok(past.filter(|past| past.outs.iter().all(|out| self.cache.contains(&out.content.id))).cloned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn stage(text: &str) -> Stage {
    let yaml = format!("stages:\n  s: {text}\n");
    parse(&at("mlv.yaml"), yaml.as_bytes(), &NoValues).unwrap().stages.remove(0)
}

const STAGE: &str = "{cmd: x, deps: [a, b], params: [p], outs: [o], metrics: [m: {cache: false}]}";

/// A world in which `STAGE` ran, and its entry.
fn ran() -> (World, StageLock) {
    let mut world = World::default();
    world.put("a", "1");
    world.put("b", "2");
    world.put("params.yaml", "{p: 2, q: 1}");
    let lock = world.run(&stage(STAGE));
    (world, lock)
}

fn verdict(world: &World, lock: &StageLock, text: &str) -> Verdict {
    let Ok(verdict) = decide(&stage(text), Some(lock), world, PlanOptions::default());
    verdict
}

fn reasons(world: &World, lock: &StageLock, text: &str) -> Vec<Reason> {
    match verdict(world, lock, text) {
        Verdict::Run { reasons } => reasons,
        other => panic!("{other:?}"),
    }
}

const UNCHANGED: Verdict = Verdict::Skip { why: SkipReason::Unchanged };

fn dep(path: &str, change: InputChange) -> Reason {
    Reason::Dep { path: at(path), change }
}

fn out(path: &str, change: OutChange) -> Reason {
    Reason::Out { path: at(path), change }
}

#[test]
fn nothing_changed_is_skipped_also_with_other_notes_and_number_forms() {
    let (mut world, lock) = ran();
    assert_eq!(verdict(&world, &lock, STAGE), UNCHANGED);
    world.put("params.yaml", "{q: 9, p: 2.0}");
    let noted = STAGE.replace("cmd: x", "desc: new, meta: {a: 1}, cmd: x");
    assert_eq!(verdict(&world, &lock, &noted), UNCHANGED);
}

#[test]
fn each_changed_input_is_a_reason() {
    let (world, lock) = ran();
    let with = |path: &str, text: &str| {
        let mut world = world.clone();
        world.put(path, text);
        reasons(&world, &lock, STAGE)
    };
    assert_eq!(with("a", "9"), [dep("a", InputChange::Modified)]);
    let [Reason::Param { key, change, old, new, .. }] = &with("params.yaml", "{p: 3}")[..] else { panic!() };
    assert_eq!((&**key, *change), ("p", InputChange::Modified));
    assert_eq!((old, new), (&Some(Value::Int(2)), &Some(Value::Int(3))));
    let mut gone = world.clone();
    gone.files.remove(&at("b"));
    assert_eq!(reasons(&gone, &lock, STAGE), [dep("b", InputChange::Deleted)]);
    let allow = PlanOptions { allow_missing: true, ..PlanOptions::default() };
    assert_eq!(decide(&stage(STAGE), Some(&lock), &gone, allow), Ok(UNCHANGED));
}

#[test]
fn added_and_removed_inputs_and_outputs_are_reasons() {
    let (mut world, lock) = ran();
    world.put("c", "3");
    let defined = |from: &str, to: &str| reasons(&world, &lock, &STAGE.replace(from, to));
    assert_eq!(defined("a, b", "a, b, c"), [dep("c", InputChange::Added)]);
    assert_eq!(defined("a, b", "a"), [dep("b", InputChange::Removed)]);
    assert_eq!(defined("[o]", "[o, o2]"), [out("o2", OutChange::Added)]);
    assert_eq!(defined("[o]", "[]"), [out("o", OutChange::Removed)]);
    let changes = |reasons: Vec<Reason>| -> Vec<(Box<str>, InputChange)> {
        let params = reasons.into_iter().map(|reason| match reason {
            Reason::Param { key, change, .. } => (key, change),
            other => panic!("{other:?}"),
        });
        params.collect()
    };
    assert_eq!(changes(defined("[p]", "[p, q]")), [("q".into(), InputChange::Added)]);
    assert_eq!(changes(defined("[p]", "[]")), [("p".into(), InputChange::Removed)]);
    assert_eq!(
        changes(defined("[p]", "[q]")),
        [("q".into(), InputChange::Added), ("p".into(), InputChange::Removed)]
    );
    assert_eq!(changes(defined("[p]", "[p, zz]")), [("zz".into(), InputChange::Deleted)]);
}

#[test]
fn all_of_a_parameter_file_is_compared_key_by_key() {
    let text = "{cmd: x, params: [params.yaml: ], outs: [o]}";
    let mut world = World::default();
    world.put("params.yaml", "{a: 1, b: {c: [1, 2]}}");
    let lock = world.run(&stage(text));
    world.put("params.yaml", "{b: {c: [1, 2.0]}, a: 1}");
    assert_eq!(verdict(&world, &lock, text), UNCHANGED);
    for changed in ["{a: 1}", "{a: 1, b: {c: [1]}}", "{a: 1, b: {c: [1, 2]}, d: 1}"] {
        world.put("params.yaml", changed);
        assert_eq!(reasons(&world, &lock, text).len(), 1, "{changed}");
    }
}

#[test]
fn commands_are_compared_literally() {
    let (world, lock) = ran();
    for command in ["cmd: 'x '", "cmd: [x]", "cmd: y"] {
        assert_eq!(reasons(&world, &lock, &STAGE.replace("cmd: x", command)), [Reason::Command]);
    }
}

#[test]
fn shell_and_variables_are_compared_and_secrets_are_not_recorded() {
    let text = "{cmd: x, deps: [in], outs: [out], shell: bash, env: {A: one}, env_deps: [TOKEN, GONE]}";
    let mut world = World::default();
    world.put("in", "1");
    world.variables.insert("TOKEN".into(), "sesame".into());
    let lock = world.run(&stage(text)).with_settings(stage(text).settings(|name| world.variable(name)));
    let stages = BTreeMap::from([("s".into(), lock.clone())]);
    let written = crate::model::lockfile::Lockfile { stages, ..Default::default() }.write(&at("mlv.lock"));
    assert!(!written.contains("sesame") && written.contains("    env: {A: one}\n"), "{written}");
    let read = crate::model::lockfile::Lockfile::parse(&at("mlv.lock"), written.as_bytes()).unwrap();
    assert_eq!(read.stages["s"], lock);
    assert_eq!(verdict(&world, &lock, text), UNCHANGED);
    let variable = |name: &str, change| Reason::Variable { name: name.into(), change };
    assert_eq!(reasons(&world, &lock, &text.replace("one", "two")), [variable("A", InputChange::Modified)]);
    assert_eq!(
        reasons(&world, &lock, &text.replace("env: {A: one}, ", "")),
        [variable("A", InputChange::Removed)]
    );
    assert_eq!(
        reasons(&world, &lock, &text.replace(", GONE", ", NEW")),
        [variable("GONE", InputChange::Removed), variable("NEW", InputChange::Added)]
    );
    assert_eq!(reasons(&world, &lock, &text.replace("shell: bash, ", "")), [Reason::Shell]);
    world.variables.insert("TOKEN".into(), "other".into());
    world.variables.insert("GONE".into(), String::new());
    let both = ["GONE", "TOKEN"].map(|name| variable(name, InputChange::Modified));
    assert_eq!(reasons(&world, &lock, text), both);
    let frozen = text.replace("outs:", "frozen: true, outs:");
    assert_eq!(verdict(&world, &lock, &frozen), Verdict::Skip { why: SkipReason::Frozen });
}

#[test]
fn optional_output_may_be_left_out() {
    let text = "{cmd: x, deps: [in], outs: [out, may: {optional: true}]}";
    let mut world = World::default();
    world.put("in", "1");
    let mut lock = world.run(&stage(text));
    assert_eq!(verdict(&world, &lock, text), UNCHANGED);
    lock.outs.retain(|made| made.path != at("may"));
    assert_eq!(reasons(&world, &lock, text), [out("may", OutChange::Added)]);
    world.files.remove(&at("may"));
    assert_eq!(verdict(&world, &lock, text), UNCHANGED);
}

#[test]
fn stale_entries_forced_always_changed_and_bare_stages_run() {
    let (world, mut lock) = ran();
    let always = STAGE.replace("cmd: x", "always_changed: true, cmd: x");
    assert_eq!(reasons(&world, &lock, &always), [Reason::AlwaysChanged]);
    let force = PlanOptions { force: true, ..PlanOptions::default() };
    let forced = decide(&stage(STAGE), Some(&lock), &world, force);
    assert_eq!(forced, Ok(Verdict::Run { reasons: vec![Reason::Forced] }));
    lock.sum = LockSum::Stale { written: None };
    assert_eq!(reasons(&world, &lock, STAGE), [Reason::StaleEntry]);
    let bare = stage("{cmd: x}");
    let lock = World::default().run(&bare);
    let verdict = decide(&bare, Some(&lock), &world, PlanOptions::default());
    assert_eq!(verdict, Ok(Verdict::Run { reasons: vec![Reason::NothingDeclared] }));
    let never = decide(&bare, None, &world, PlanOptions::default());
    assert_eq!(never, Ok(Verdict::Run { reasons: vec![Reason::NeverRun] }));
}

#[test]
fn frozen_stages_look_at_their_command_and_outputs_only() {
    let (mut world, lock) = ran();
    let frozen = STAGE.replace("cmd: x", "frozen: true, always_changed: true, cmd: x");
    world.put("a", "9");
    assert_eq!(verdict(&world, &lock, &frozen), Verdict::Skip { why: SkipReason::Frozen });
    assert_eq!(reasons(&world, &lock, &frozen.replace("cmd: x", "cmd: y")), [Reason::Command]);
    world.files.remove(&at("o"));
    assert!(matches!(verdict(&world, &lock, &frozen), Verdict::Restore { .. }));
}

#[test]
fn outputs_come_back_from_the_cache_or_are_made_again() {
    let (world, lock) = ran();
    let repair = |world: &World| match verdict(world, &lock, STAGE) {
        Verdict::Restore { repairs } => repairs[0].change,
        other => panic!("{other:?}"),
    };
    let mut gone = world.clone();
    gone.files.remove(&at("o"));
    assert_eq!(repair(&gone), OutChange::Deleted);
    gone.cache.clear();
    assert_eq!(reasons(&gone, &lock, STAGE), [out("o", OutChange::Deleted)]);
    let mut edited = world.clone();
    edited.put("o", "by hand");
    assert_eq!(repair(&edited), OutChange::Modified);
    edited.cache.clear();
    assert_eq!(reasons(&edited, &lock, STAGE), [out("o", OutChange::Modified)]);
    let mut uncached = world.clone();
    uncached.cache.clear();
    assert_eq!(repair(&uncached), OutChange::NotCached);
    // What mlv does not keep can only be made again.
    let mut metric = world;
    metric.files.remove(&at("m"));
    assert_eq!(reasons(&metric, &lock, STAGE), [out("m", OutChange::Deleted)]);
}

const CHAIN: &str = "\
stages:
  c: {cmd: x, deps: [b], outs: [c]}
  a: {cmd: x, deps: [in], outs: [a]}
  b: {cmd: constant, deps: [a], outs: [b]}
";

/// The graph of `CHAIN`, the world in which it ran, and its locks by index.
fn chain() -> (Graph, World, HashMap<usize, StageLock>) {
    let graph = Graph::build(vec![parse(&at("mlv.yaml"), CHAIN.as_bytes(), &NoValues).unwrap()]).unwrap();
    let mut world = World::default();
    world.put("in", "1");
    let locks = graph.order().map(|index| (index.0, world.run(graph.stage(index)))).collect();
    (graph, world, locks)
}

fn planned(graph: &Graph, world: &World, locks: &HashMap<usize, StageLock>) -> Vec<String> {
    planned_with(graph, world, locks, PlanOptions::default())
}

fn planned_with(
    graph: &Graph,
    world: &World,
    locks: &HashMap<usize, StageLock>,
    options: PlanOptions,
) -> Vec<String> {
    let all: Vec<StageIndex> = graph.order().collect();
    let Ok(actions) = plan(graph, &all, |index| locks.get(&index.0), world, options);
    let word = |verdict: &Verdict| match verdict {
        Verdict::Run { .. } => "run",
        Verdict::Restore { .. } => "restore",
        Verdict::Reuse { .. } => "reuse",
        Verdict::Skip { .. } => "skip",
        Verdict::Waits { .. } => "waits",
    };
    let line = |action: &StageAction| format!("{} {}", graph.address(action.stage), word(&action.verdict));
    actions.iter().map(line).collect()
}

#[test]
fn what_ran_with_these_inputs_before_is_reused_down_the_chain() {
    let (graph, mut world, locks) = chain();
    let options = PlanOptions { run_cache: true, ..PlanOptions::default() };
    world.past = locks.values().cloned().collect();
    let verdicts = |world: &World, locks, options| {
        let words = planned_with(&graph, world, locks, options);
        words.iter().map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let none = HashMap::new();
    assert!(verdicts(&world, &none, options).iter().all(|word| word == "reuse"));
    // Outputs that are not in place count as what they will be.
    let outs: Vec<RepoPath> =
        locks.values().flat_map(|lock| lock.outs.iter().map(|out| out.path.clone())).collect();
    outs.iter().for_each(|path| drop(world.files.remove(path)));
    assert!(verdicts(&world, &none, options).iter().all(|word| word == "reuse"));
    assert_eq!(verdicts(&world, &none, PlanOptions::default())[0], "run");
    assert_eq!(verdicts(&world, &none, PlanOptions { force: true, ..options })[0], "run");
    world.cache.clear();
    assert_eq!(verdicts(&world, &none, options)[0], "run");
}

#[test]
fn a_plan_says_what_waits_for_what() {
    let (graph, mut world, mut locks) = chain();
    assert_eq!(planned(&graph, &world, &locks), ["a skip", "b skip", "c skip"]);
    world.files.remove(&at("a"));
    assert_eq!(planned(&graph, &world, &locks), ["a restore", "b skip", "c skip"]);
    world.put("in", "2");
    assert_eq!(planned(&graph, &world, &locks), ["a run", "b waits", "c waits"]);
    locks.clear();
    assert_eq!(planned(&graph, &World::default(), &locks), ["a run", "b run", "c run"]);
}

#[test]
fn a_plan_knows_what_is_in_a_directory_that_will_be_brought_back() {
    let text = "stages:\n  a: {cmd: x, deps: [in], outs: [d]}\n  b: {cmd: x, deps: [d/part], outs: [o]}\n";
    let graph = Graph::build(vec![parse(&at("mlv.yaml"), text.as_bytes(), &NoValues).unwrap()]).unwrap();
    let mut world = World::default();
    world.put("in", "1");
    world.put("d/part", "p");
    let locks: HashMap<_, _> = graph.order().map(|index| (index.0, world.run(graph.stage(index)))).collect();
    let made = locks.values().flat_map(|lock| &lock.outs).find(|out| out.path == at("d")).unwrap();
    let part = (made.content.id, "part".to_owned());
    world.files.retain(|path, _| !path.starts_with(&at("d")));
    for (known, verdict) in [(None, "waits"), (Some("p"), "skip"), (Some("q"), "run")] {
        world.parts = known.map(|text| (part.clone(), text.to_owned())).into_iter().collect();
        let expected = ["a restore".to_owned(), format!("b {verdict}")];
        assert_eq!(planned(&graph, &world, &locks), expected, "{known:?}");
    }
}

#[test]
fn an_unchanged_output_of_a_stage_that_ran_stops_the_changes() {
    let (graph, mut world, mut locks) = chain();
    world.put("in", "2");
    let mut ran = Vec::new();
    for index in graph.order() {
        let stage = graph.stage(index);
        let Ok(verdict) = decide(stage, locks.get(&index.0), &world, PlanOptions::default());
        if matches!(verdict, Verdict::Run { .. }) {
            ran.push(stage.name.to_string());
            locks.insert(index.0, world.run(stage));
        }
    }
    // `b` ran and made the same as before: `c` did not have to.
    assert_eq!(ran, ["a", "b"]);
    assert_eq!(planned(&graph, &world, &locks), ["a skip", "b skip", "c skip"]);
}

#[test]
fn missing_inputs_are_named_before_a_run() {
    let (mut world, _) = ran();
    assert_eq!(missing_inputs(&stage(STAGE), &world), Ok(Vec::new()));
    world.files.remove(&at("a"));
    let missing = missing_inputs(&stage(&STAGE.replace("[p]", "[zz, other.yaml: ]")), &world);
    let file = |path: &str| MissingInput::File { path: at(path) };
    let param = MissingInput::Param { file: at("params.yaml"), key: "zz".into() };
    assert_eq!(missing, Ok(vec![file("a"), file("other.yaml"), param]));
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any pipeline of stages over few paths: after a repro nothing is left to do, whatever
        /// was edited or deleted before it.
        #[test]
        fn after_a_repro_nothing_is_left_to_do(
            inputs in proptest::collection::vec(proptest::collection::vec(0usize..8, 0..3), 1..8),
            edits in proptest::collection::vec((0usize..8, 0u8..3), 0..12),
        ) {
            let mut text = String::from("stages:\n");
            for (index, inputs) in inputs.iter().enumerate() {
                // Only from those before it, so that there is no cycle; 0 is a file of its own.
                let deps: Vec<String> = inputs.iter().map(|dep| format!("o{}", dep % (index + 1))).collect();
                text += &format!("  s{index}: {{cmd: x{index}, deps: [{}], outs: [o{}]}}\n", deps.join(", "), index + 1);
            }
            let graph = Graph::build(vec![parse(&at("mlv.yaml"), text.as_bytes(), &NoValues).unwrap()]).unwrap();
            let mut world = World::default();
            world.put("o0", "start");
            let mut locks: HashMap<usize, StageLock> = HashMap::new();
            let repro = |world: &mut World, locks: &mut HashMap<usize, StageLock>| {
                for index in graph.order() {
                    let stage = graph.stage(index);
                    let Ok(verdict) = decide(stage, locks.get(&index.0), world, PlanOptions::default());
                    match verdict {
                        Verdict::Run { .. } => { locks.insert(index.0, world.run(stage)); }
                        Verdict::Restore { repairs } => for repair in repairs {
                            let text = format!("{} of {}", repair.path, stage.deps.iter().map(|path| world.files[path].as_str()).collect::<String>());
                            assert_eq!(info(&text), repair.content);
                            world.files.insert(repair.path, text);
                        },
                        Verdict::Skip { .. } => {}
                        Verdict::Reuse { .. } | Verdict::Waits { .. } => panic!("nothing is unknown here"),
                    }
                }
            };
            repro(&mut world, &mut locks);
            for (path, kind) in edits {
                let path = at(&format!("o{path}"));
                if !world.files.contains_key(&path) { continue; }
                match kind {
                    0 => { world.files.insert(path, "edited".into()); }
                    1 if path.as_str() != "o0" => { world.files.remove(&path); }
                    _ => world.cache.clear(),
                }
            }
            repro(&mut world, &mut locks);
            for line in planned(&graph, &world, &locks) {
                // A cache that was emptied is filled again from the work tree, nothing is run.
                let bare = graph.stage(graph.find(&at("mlv.yaml"), line.split(' ').next().unwrap()).unwrap()).is_bare();
                prop_assert!(!line.ends_with("run") || bare, "{}", line);
            }
        }
    }
}
