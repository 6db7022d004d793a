//! Plans of stages that build on each other.

use super::*;

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

pub(super) fn planned(graph: &Graph, world: &World, locks: &HashMap<usize, StageLock>) -> Vec<String> {
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
