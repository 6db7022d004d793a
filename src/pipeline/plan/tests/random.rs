//! Any pipeline, edited anyhow.

use proptest::prelude::*;

use super::chains::planned;
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
