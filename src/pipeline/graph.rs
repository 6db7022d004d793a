//! The stages of all pipelines in the order of their paths.
//!
//! A stage comes after those that make what it reads: an output that is its dependency, lies
//! below one, or contains one. Contradictions between stages are found here; those within one
//! stage were refused by the parser, with their place.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::model::path::{RepoPath, fold, written};
use crate::model::pattern::PathPattern;
use crate::model::place::{Located, Place, Problem, ProblemClass};
use crate::model::stage::{Pipeline, Stage};
use crate::pipeline::paths::PathMap;

/// The name of the pipeline file.
const PIPELINE: &str = "mlv.yaml";
/// Most links between stages: 4,000 that each read a folder which 4,000 others write into would have 16
/// million.
pub const MAX_LINKS: usize = 1_000_000;

/// Most outputs that are held against patterns, all patterns together.
const MAX_LOOKS: usize = 4_000_000;

/// Names a stage in all pipelines: `train`, or `sub/mlv.yaml:train` for one that is not in the root's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageAddress {
    /// The pipeline file.
    pub file: RepoPath,
    /// The stage's name in it.
    pub name: Box<str>,
}

impl fmt::Display for StageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.as_str() == PIPELINE {
            f.write_str(&self.name)
        } else {
            write!(f, "{}:{}", self.file, self.name)
        }
    }
}

/// The place of a stage in a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageIndex(pub usize);

/// Stages that contradict each other, at the place of the last of them.
pub type GraphError = Located<GraphProblem>;

/// What stages that contradict each other do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphProblem {
    /// One output of two stages.
    #[error("the stages `{}` and `{}` both make `{path}`", stages[0], stages[1])]
    SameOut {
        /// The output.
        path: RepoPath,
        /// Both stages, in the order of the file.
        stages: Box<[StageAddress; 2]>,
    },
    /// An output inside another stage's.
    #[error("`{inner}` of stage `{}` lies inside `{outer}` of stage `{}`", stages[1], stages[0])]
    Nested {
        /// The output that contains the other.
        outer: RepoPath,
        /// The output that lies inside.
        inner: RepoPath,
        /// The stage of the outer one, then that of the inner one.
        stages: Box<[StageAddress; 2]>,
    },
    /// Two outputs that some file systems take for one.
    #[error("`{}` of stage `{}` and `{}` of stage `{}` are the same name on macOS and Windows{}", paths[0], stages[0], paths[1], stages[1], written(paths[0].as_str(), paths[1].as_str()))]
    Twins {
        /// The outputs.
        paths: Box<[RepoPath; 2]>,
        /// Their stages.
        stages: Box<[StageAddress; 2]>,
    },
    /// More links than the limit.
    #[error("the stages are linked more than {limit} times")]
    TooManyLinks {
        /// The limit.
        limit: usize,
    },
    /// Stages that wait for each other.
    #[error("the stages wait for each other: {}: {links}", Chain(stages))]
    Cycle {
        /// Each reads what the one before makes, and the first what the last makes.
        stages: Vec<StageAddress>,
        /// What makes them wait, of each with its place: "`b` reads `a`, `a` needs `b` (mlv.yaml:7:12)".
        links: Box<str>,
    },
}

impl GraphProblem {
    /// Whether it is about outputs, so that it is found without a graph, too.
    pub fn is_of_outputs(&self) -> bool {
        matches!(
            self,
            GraphProblem::SameOut { .. } | GraphProblem::Nested { .. } | GraphProblem::Twins { .. }
        )
    }
}

impl Problem for GraphProblem {
    fn class(&self) -> ProblemClass {
        ProblemClass::Contradiction
    }

    fn hint(&self) -> Option<String> {
        match self {
            GraphProblem::SameOut { .. } | GraphProblem::Twins { .. } => {
                Some("give one of them another path".into())
            }
            GraphProblem::Nested { outer, .. } => Some(format!("let one of them write outside of `{outer}`")),
            GraphProblem::Cycle { .. } => Some("let one of them read or need something else".into()),
            GraphProblem::TooManyLinks { .. } => None,
        }
    }
}

/// `a` → `b` → `a`.
struct Chain<'a>(&'a [StageAddress]);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 30;
        for stage in self.0.iter().take(SHOWN) {
            write!(f, "`{stage}` → ")?;
        }
        if self.0.len() > SHOWN {
            write!(f, "{} more → ", self.0.len() - SHOWN)?;
        }
        self.0.first().map_or(Ok(()), |first| write!(f, "`{first}`"))
    }
}

/// All stages with their edges.
#[derive(Clone, Debug)]
pub struct Graph {
    stages: Vec<(StageAddress, Stage)>,
    by_address: HashMap<StageAddress, usize>,
    makers: PathMap<usize>,
    upstream: Vec<Vec<usize>>,
    downstream: Vec<Vec<usize>>,
    order: Vec<usize>,
}

/// Which stages a command is about, from those that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those and all that they build on.
    WithUpstream,
    /// Those alone.
    Single,
    /// Those and all that builds on them.
    WithDownstream,
    /// Those and all that is linked with them, in either direction.
    Pipeline,
}

impl Graph {
    /// Orders the stages of `pipelines`, which have different files.
    pub fn build(pipelines: Vec<Pipeline>) -> Result<Graph, GraphError> {
        let mut stages = Vec::new();
        for pipeline in pipelines {
            for stage in pipeline.stages {
                let address = StageAddress { file: pipeline.file.clone(), name: stage.name.clone() };
                stages.push((address, stage));
            }
        }
        let makers = makers(&stages)?;
        let upstream = links(&stages, &makers)?;
        let mut downstream = vec![Vec::new(); stages.len()];
        for (index, above) in upstream.iter().enumerate() {
            above.iter().for_each(|&maker| downstream[maker].push(index));
        }
        let order = order(&upstream).map_err(|cycle| self::cycle(&stages, &makers, &cycle))?;
        let by_address =
            stages.iter().enumerate().map(|(index, (address, _))| (address.clone(), index)).collect();
        Ok(Graph { stages, by_address, makers, upstream, downstream, order })
    }

    /// How many stages there are.
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// A stage's definition.
    pub fn stage(&self, index: StageIndex) -> &Stage {
        &self.stages[index.0].1
    }

    /// A stage's name in all pipelines.
    pub fn address(&self, index: StageIndex) -> &StageAddress {
        &self.stages[index.0].0
    }

    /// All stages, each after those that it builds on: otherwise in the order of the files.
    pub fn order(&self) -> impl Iterator<Item = StageIndex> {
        self.order.iter().copied().map(StageIndex)
    }

    /// The stage of this name in this file.
    pub fn find(&self, file: &RepoPath, name: &str) -> Option<StageIndex> {
        let address = StageAddress { file: file.clone(), name: name.into() };
        self.by_address.get(&address).copied().map(StageIndex)
    }

    /// The stage that makes `path`, or the output that contains it.
    pub fn maker(&self, path: &RepoPath) -> Option<StageIndex> {
        let maker = self.makers.get(path).or_else(|| self.makers.above(path).map(|(_, maker)| maker));
        maker.copied().map(StageIndex)
    }

    /// The stages that a stage builds on directly.
    pub fn upstream(&self, index: StageIndex) -> impl Iterator<Item = StageIndex> {
        self.upstream[index.0].iter().copied().map(StageIndex)
    }

    /// The stages that build on a stage directly.
    pub fn downstream(&self, index: StageIndex) -> impl Iterator<Item = StageIndex> {
        self.downstream[index.0].iter().copied().map(StageIndex)
    }

    /// What `selection` makes of `targets`, in the order of [`Graph::order`].
    ///
    /// A frozen stage is not linked with what it builds on: nothing there can make it run. That it
    /// is a target itself does not change that.
    pub fn select(&self, targets: &[StageIndex], selection: Selection) -> Vec<StageIndex> {
        let is_frozen = |index: &usize| self.stages[*index].1.frozen;
        let above = |index: usize| self.upstream[index].iter().copied().filter(move |_| !is_frozen(&index));
        let below = |index: usize| self.downstream[index].iter().copied().filter(|below| !is_frozen(below));
        let mut chosen = vec![false; self.len()];
        let mut open: Vec<usize> = targets.iter().map(|target| target.0).collect();
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut chosen[index], true) {
                continue;
            }
            if matches!(selection, Selection::WithUpstream | Selection::Pipeline) {
                open.extend(above(index));
            }
            if matches!(selection, Selection::WithDownstream | Selection::Pipeline) {
                open.extend(below(index));
            }
        }
        self.order().filter(|index| chosen[index.0]).collect()
    }
}

/// Which stage makes which path.
fn makers(stages: &[(StageAddress, Stage)]) -> Result<PathMap<usize>, GraphError> {
    let pair = |a: usize, b: usize| Box::new([stages[a].0.clone(), stages[b].0.clone()]);
    let place = |index: usize, out: &RepoPath| stages[index].1.places.of_out(out);
    let mut makers = PathMap::default();
    let mut by_fold: HashMap<String, (usize, RepoPath)> = HashMap::new();
    for (index, (_, stage)) in stages.iter().enumerate() {
        for out in &stage.outs {
            if let Some(other) = makers.insert(out.path.clone(), index) {
                let (path, stages) = (out.path.clone(), pair(other, index));
                return Err(place(index, &out.path).with(GraphProblem::SameOut { path, stages }));
            }
            let folded = fold(out.path.as_str()).into_owned();
            if let Some((other, twin)) = by_fold.insert(folded, (index, out.path.clone())) {
                let (paths, stages) = (Box::new([twin, out.path.clone()]), pair(other, index));
                return Err(place(index, &out.path).with(GraphProblem::Twins { paths, stages }));
            }
        }
    }
    for (path, index) in makers.iter() {
        if let Some((outer, maker)) = makers.above(path) {
            let problem = GraphProblem::Nested { outer, inner: path.clone(), stages: pair(*maker, *index) };
            return Err(place(*index, path).with(problem));
        }
    }
    Ok(makers)
}

/// The makers of what each stage reads.
fn links(stages: &[(StageAddress, Stage)], makers: &PathMap<usize>) -> Result<Vec<Vec<usize>>, GraphError> {
    let mut left = MAX_LINKS;
    let mut upstream = Vec::with_capacity(stages.len());
    let places: HashMap<(&RepoPath, &str), usize> =
        stages.iter().enumerate().map(|(at, (address, _))| ((&address.file, &*address.name), at)).collect();
    let mut looks = MAX_LOOKS;
    for (address, stage) in stages {
        let mut above = upstream_of(stage, makers);
        let too_many = |limit| stage.places.of_stage().with(GraphProblem::TooManyLinks { limit });
        for pattern in &stage.patterns {
            looks = add_matched(pattern, makers, looks, &mut above).ok_or_else(|| too_many(MAX_LOOKS))?;
        }
        let needed = stage.needs.iter().filter_map(|name| places.get(&(&address.file, &**name)));
        above.extend(needed);
        let mut seen = HashSet::new();
        above.retain(|maker| seen.insert(*maker));
        left = left.checked_sub(above.len()).ok_or_else(|| too_many(MAX_LINKS))?;
        upstream.push(above);
    }
    Ok(upstream)
}

/// Adds the makers of what `pattern` may match. Returns what is left of `looks` after the outputs that
/// were looked at; nothing if that was not enough.
fn add_matched(
    pattern: &PathPattern,
    makers: &PathMap<usize>,
    mut looks: usize,
    found: &mut Vec<usize>,
) -> Option<usize> {
    let base = pattern.base();
    let at = makers.get(&base).map(|maker| (base.clone(), maker));
    for (out, maker) in at.into_iter().chain(makers.above(&base)) {
        found.extend(pattern.touches(&out).then_some(*maker));
    }
    for (out, maker) in makers.entries_below(&base) {
        looks = looks.checked_sub(1)?;
        found.extend(pattern.touches(out).then_some(*maker));
    }
    Some(looks)
}

/// The makers of what `stage` reads by name, in the order of its inputs.
fn upstream_of(stage: &Stage, makers: &PathMap<usize>) -> Vec<usize> {
    inputs_of(stage).flat_map(|input| makers_of(input, makers)).collect()
}

fn inputs_of(stage: &Stage) -> impl Iterator<Item = &RepoPath> {
    stage.deps.iter().chain(stage.params.iter().map(|params| &params.file))
}

/// Who makes the input, what contains it, and what lies in it.
fn makers_of(input: &RepoPath, makers: &PathMap<usize>) -> impl Iterator<Item = usize> {
    let around = makers.get(input).into_iter().chain(makers.above(input).map(|(_, maker)| maker));
    around.chain(makers.below(input)).copied().collect::<Vec<_>>().into_iter()
}

/// The error of a cycle: for each member what it takes from the one before it, of long cycles for the
/// first few. It stands where the first does so.
fn cycle(stages: &[(StageAddress, Stage)], makers: &PathMap<usize>, cycle: &[usize]) -> GraphError {
    const SHOWN: usize = 6;
    let link = |(&index, &maker): (&usize, &usize)| {
        let stage = &stages[index].1;
        let input = inputs_of(stage).find(|input| makers_of(input, makers).any(|found| found == maker));
        let is_touched =
            |pattern: &&PathPattern| stages[maker].1.outs.iter().any(|out| pattern.touches(&out.path));
        let pattern = || stage.patterns.iter().find(is_touched).map(PathPattern::as_path);
        match input.or_else(pattern) {
            Some(input) => (stage.places.of_input(input), format!("reads `{input}`")),
            None => (stage.places.of_need(&stages[maker].0.name), format!("needs `{}`", stages[maker].0)),
        }
    };
    let before = cycle.last().into_iter().chain(cycle);
    let found: Vec<(Place, String)> = cycle.iter().zip(before).take(SHOWN).map(link).collect();
    let told = cycle.iter().zip(&found).enumerate().map(|(at, (index, (place, takes)))| {
        let stage = &stages[*index].0;
        // That of the first stands in front of the message.
        if at == 0 { format!("`{stage}` {takes}") } else { format!("`{stage}` {takes} ({place})") }
    });
    let mut links: Vec<String> = told.collect();
    if cycle.len() > SHOWN {
        links.push(format!("and {} more", cycle.len() - SHOWN));
    }
    let place = found.into_iter().next().map_or_else(|| Place::of_file(PIPELINE), |(place, _)| place);
    place.with(GraphProblem::Cycle {
        stages: cycle.iter().map(|index| stages[*index].0.clone()).collect(),
        links: links.join(", ").into(),
    })
}

/// Depth first, makers before readers; fails with the members of a cycle, each reading what the
/// one before it makes.
fn order(upstream: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        New,
        Open,
        Done,
    }
    let mut visits = vec![Visit::New; upstream.len()];
    let mut order = Vec::with_capacity(upstream.len());
    for root in 0..upstream.len() {
        // The path from the root, each with the makers that are still to be visited.
        let mut path: Vec<(usize, std::slice::Iter<'_, usize>)> = Vec::new();
        if visits[root] == Visit::New {
            visits[root] = Visit::Open;
            path.push((root, upstream[root].iter()));
        }
        while let Some((index, makers)) = path.last_mut() {
            match makers.next() {
                None => {
                    visits[*index] = Visit::Done;
                    order.push(*index);
                    path.pop();
                }
                Some(&maker) if visits[maker] == Visit::New => {
                    visits[maker] = Visit::Open;
                    path.push((maker, upstream[maker].iter()));
                }
                Some(&maker) if visits[maker] == Visit::Open => {
                    let members = path.iter().map(|(index, _)| *index);
                    let mut cycle: Vec<usize> = members.skip_while(|index| *index != maker).collect();
                    cycle.reverse();
                    return Err(cycle);
                }
                Some(_) => {}
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests;
