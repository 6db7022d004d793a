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
    fn is_left_out(&self, _: &RepoPath) -> bool {
        false
    }

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

mod chains;
mod lacking;
mod random;
