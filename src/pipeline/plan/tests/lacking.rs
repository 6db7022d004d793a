//! What is not there, before anything runs.

use super::*;

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

/// The stages of a pipeline of these lines that lack something, each with what.
fn lacked(
    world: &World,
    lines: &str,
    lock: impl Fn(&Stage) -> Option<StageLock>,
    options: PlanOptions,
) -> String {
    let text = format!("stages:\n{lines}");
    let graph = Graph::build(vec![parse(&at("mlv.yaml"), text.as_bytes(), &NoValues).unwrap()]).unwrap();
    let order: Vec<StageIndex> = graph.order().collect();
    let locks: HashMap<usize, StageLock> =
        order.iter().filter_map(|index| Some((index.0, lock(graph.stage(*index))?))).collect();
    let found = lacking(&graph, &order, |index| locks.get(&index.0), world, options);
    let name = |input: &MissingInput| match input {
        MissingInput::File { path } | MissingInput::Match { pattern: path } => path.to_string(),
        MissingInput::Param { file, key } => format!("{file}:{key}"),
    };
    let line = |(index, missing): &(StageIndex, Vec<MissingInput>)| {
        let missing: Vec<String> = missing.iter().map(name).collect();
        format!("{}: {}", graph.address(*index), missing.join(" "))
    };
    found.iter().map(line).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_no_stage_makes_is_lacking_before_anything_runs() {
    let mut world = World::default();
    let lacked = |world: &World, lines: &str| lacked(world, lines, |_| None, PlanOptions::default());
    // What a stage makes, makes a part of, or makes in a folder around it is not missing.
    let made = "  a: {cmd: x, outs: [d/1, e, p.yaml]}\n  b: {cmd: x, deps: [d, e/part, 'd/*'], params: [p.yaml: [k]], outs: [o]}\n";
    assert_eq!(lacked(&world, made), "");
    let lines = "  a: {cmd: x, outs: [a]}\n  b: {cmd: x, deps: [a, in, '*.csv'], params: [k], outs: [b]}\n  c: {cmd: x, deps: [b]}\n";
    assert_eq!(lacked(&world, lines), "b: *.csv in params.yaml");
    world.put("params.yaml", "{p: 1}");
    world.put("in", "1");
    assert_eq!(lacked(&world, lines), "b: *.csv params.yaml:k");
    world.put("params.yaml", "{k: 1}");
    world.put("x.csv", "1");
    assert_eq!(lacked(&world, lines), "");
}

#[test]
fn what_a_stage_that_is_needed_makes_unsaid_is_not_lacking() {
    let lacked = |lines: &str| lacked(&World::default(), lines, |_| None, PlanOptions::default());
    assert_eq!(lacked("  a: {cmd: x}\n  b: {cmd: x, deps: [in], needs: [a]}\n"), "");
    assert_eq!(lacked("  a: {cmd: x, outs: [a]}\n  b: {cmd: x, deps: [in], needs: [a]}\n"), "");
    // That it is read by name is no such need.
    assert_eq!(lacked("  a: {cmd: x, outs: [a]}\n  b: {cmd: x, deps: [in, {stage: a}]}\n"), "b: in");
}

#[test]
fn a_stage_that_has_not_to_run_lacks_nothing() {
    let lines = "  a: {cmd: x, deps: [in], outs: [a]}\n";
    let mut world = World::default();
    world.put("in", "1");
    world.put("a", "a of 1");
    let mut then = world.clone();
    world.files.remove(&at("in"));
    let entry = |world: &mut World, lines: &str| {
        let text = format!("stages:\n{lines}");
        let pipeline = parse(&at("mlv.yaml"), text.as_bytes(), &NoValues).unwrap();
        Some(world.run(&pipeline.stages[0]))
    };
    let lock = entry(&mut then, lines);
    world.cache = then.cache.clone();
    let with = |lines: &str, options| lacked(&world, lines, |_| lock.clone(), options);
    assert_eq!(with(lines, PlanOptions::default()), "a: in");
    assert_eq!(with(lines, PlanOptions { allow_missing: true, ..PlanOptions::default() }), "");
    assert_eq!(with(&lines.replace("cmd: x", "frozen: true, cmd: x"), PlanOptions::default()), "");
    let other = lines.replace("cmd: x", "frozen: true, cmd: y");
    assert_eq!(with(&other, PlanOptions::default()), "a: in");
}
