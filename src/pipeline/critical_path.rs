//! The chain of stages that a run cannot be shorter than, however many run at once.

use std::collections::HashMap;
use std::time::Duration;

use crate::pipeline::graph::{Graph, StageIndex};

/// A chain of stages of which each waits for the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// From the first to the last; empty if nothing takes time.
    pub stages: Vec<StageIndex>,
    /// What they take together.
    pub time: Duration,
}

/// The longest chain among `stages`, which are in the graph's order, each with the time that it takes.
pub fn critical_path(graph: &Graph, stages: &[(StageIndex, Duration)]) -> CriticalPath {
    // The longest chain that ends with each stage: its time, and the stage before.
    let mut chains: HashMap<StageIndex, (Duration, Option<StageIndex>)> = HashMap::new();
    let mut longest: Option<(StageIndex, Duration)> = None;
    for &(stage, time) in stages {
        let mut before: Option<(Duration, StageIndex)> = None;
        for above in graph.upstream(stage) {
            let Some((length, _)) = chains.get(&above) else { continue };
            // The first of equals: the answer does not depend on the hash map.
            if before.is_none_or(|(longest, _)| *length > longest) {
                before = Some((*length, above));
            }
        }
        let length = time + before.map_or(Duration::ZERO, |(length, _)| length);
        chains.insert(stage, (length, before.map(|(_, above)| above)));
        if longest.is_none_or(|(_, longest)| length > longest) {
            longest = Some((stage, length));
        }
    }
    let Some((last, time)) = longest.filter(|(_, time)| !time.is_zero()) else {
        return CriticalPath::default();
    };
    let mut chain = vec![last];
    while let Some((_, Some(above))) = chain.last().and_then(|stage| chains.get(stage)) {
        chain.push(*above);
    }
    chain.reverse();
    CriticalPath { stages: chain, time }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::RepoPath;
    use crate::pipeline::parse::parse;
    use crate::pipeline::template::NoValues;

    #[test]
    fn it_is_the_chain_that_takes_longest_not_the_one_with_most_stages() {
        let text = "stages:\n  \
                    a: {cmd: x, outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b]}\n  c: {cmd: x, deps: [b], outs: [c]}\n  \
                    long: {cmd: x, deps: [a], outs: [l]}\n  end: {cmd: x, deps: [c, l]}\n";
        let file = RepoPath::parse("mlv.yaml").unwrap();
        let graph = Graph::build(vec![parse(&file, text.as_bytes(), &NoValues).unwrap()]).unwrap();
        let path = |times: &[(&str, u64)]| {
            let time = |index: StageIndex| {
                let found = times.iter().find(|(name, _)| *name == graph.address(index).to_string());
                found.map(|(_, seconds)| (index, Duration::from_secs(*seconds)))
            };
            let stages: Vec<_> = graph.order().filter_map(time).collect();
            let path = critical_path(&graph, &stages);
            let names = path.stages.iter().map(|stage| graph.address(*stage).to_string());
            (names.collect::<Vec<_>>().join(" "), path.time.as_secs())
        };
        let all = [("a", 1), ("b", 2), ("c", 2), ("long", 9), ("end", 1)];
        assert_eq!(path(&all), ("a long end".to_owned(), 11));
        assert_eq!(path(&all[..3]), ("a b c".to_owned(), 5));
        assert_eq!(path(&[("c", 3), ("long", 2)]), ("c".to_owned(), 3));
        assert_eq!(path(&[("a", 0)]), (String::new(), 0));
        assert_eq!(path(&[]), (String::new(), 0));
    }
}
