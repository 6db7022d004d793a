//! `dag`: the stages and what they build on, as a graph to look at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::ops::OpError;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Source, Tracked, TrackedOut};
use crate::pipeline::graph::{Graph, GraphError, GraphProblem, MAX_LINKS, StageAddress};
use crate::repo::Repo;

/// Larger graphs show a group of stages as one, unless asked not to.
const MANY: usize = 50;

/// Which part of the graph, and how fine.
#[derive(Clone, Debug, Default)]
pub struct DagOptions {
    /// Stages and outputs; all stages if none is named.
    pub targets: TargetOptions,
    /// Also what builds on the targets, and all that is linked with that.
    pub full: bool,
    /// Outputs instead of stages.
    pub outs: bool,
    /// Whether the stages of one `foreach` or `matrix` are one node.
    pub collapse: Collapse,
}

/// Whether the stages of one `foreach` or `matrix` are one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collapse {
    /// They are where there would be more than 50 nodes.
    #[default]
    Large,
    /// They are.
    Always,
    /// They are not.
    Never,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A stage.
    Stage,
    /// All stages of one definition.
    Group,
    /// Data that no stage makes: its pointer.
    Data,
    /// An output of a stage or a pointer.
    Output,
}

/// A node of the graph.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Node {
    /// The target or path that it is known by, relative to the root; unique.
    pub name: String,
    /// What it stands for.
    pub kind: NodeKind,
    /// How many stages it stands for, if it is a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<usize>,
    /// The definition that made the stage, if it made several.
    #[serde(skip)]
    group: Option<String>,
}

impl Node {
    /// A node of this name.
    pub fn new(name: impl Into<String>, kind: NodeKind, stages: Option<usize>) -> Node {
        Node { name: name.into(), kind, stages, group: None }
    }
}

/// A link of the graph.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Edge {
    /// The name of the node that is built on.
    pub from: String,
    /// The name of the node that builds on it.
    pub to: String,
}

/// The graph.
#[derive(Debug, Default, serde::Serialize)]
pub struct DagReport {
    /// Each behind those that it builds on, otherwise in the order of the files.
    pub nodes: Vec<Node>,
    /// In the order of the nodes that they lead to.
    pub edges: Vec<Edge>,
    /// Whether groups were made one because there are many nodes.
    #[serde(skip)]
    pub is_collapsed: bool,
    /// Files that could not be used.
    #[serde(skip)]
    pub failed: Vec<(RepoPath, OpError)>,
}

/// The graph of what the targets mean and build on.
pub fn run(repo: &Repo, options: &DagOptions) -> Result<DagReport, OpError> {
    let mut tracked = Tracked::load(repo)?;
    let wanted = wanted(repo, &tracked, options)?;
    let failed = targets::problems(repo, &mut tracked, &options.targets);
    let pipelines = tracked.pipelines().iter().map(|one| (*one.pipeline).clone());
    let graph = Graph::build(pipelines.collect())?;
    let mut drawing = Drawing::default();
    if options.outs {
        drawing.outputs(&tracked, &graph)?;
    } else {
        drawing.stages(&tracked, &graph);
    }
    if let Some(wanted) = wanted {
        // Data that no stage reads is shown to who asks for it.
        let (alone, kind) = match options.outs {
            true => (&wanted.outs, NodeKind::Output),
            false => (&wanted.pointers, NodeKind::Data),
        };
        for name in alone {
            drawing.node(name.clone(), kind);
        }
        drawing.keep(&wanted.names(options.outs), options.full);
    }
    let is_large = drawing.nodes.len() > MANY;
    let mut is_collapsed = false;
    if options.collapse == Collapse::Always || (is_large && options.collapse == Collapse::Large) {
        let before = drawing.nodes.len();
        drawing.collapse();
        is_collapsed = drawing.nodes.len() < before && options.collapse == Collapse::Large;
    }
    Ok(DagReport { is_collapsed, failed, ..drawing.report() })
}

/// What the targets name.
#[derive(Default)]
struct Wanted {
    stages: BTreeSet<String>,
    pointers: BTreeSet<String>,
    outs: BTreeSet<String>,
}

impl Wanted {
    fn names(&self, outs: bool) -> BTreeSet<&str> {
        let names = if outs { vec![&self.outs] } else { vec![&self.stages, &self.pointers] };
        names.into_iter().flatten().map(String::as_str).collect()
    }
}

/// What the targets name; nothing for all.
fn wanted(repo: &Repo, tracked: &Tracked, options: &DagOptions) -> Result<Option<Wanted>, OpError> {
    if options.targets.targets.is_empty() {
        return Ok(None);
    }
    let mut wanted = Wanted::default();
    let (outs, stages) = targets::outputs_and_stages(repo, tracked, &options.targets)?;
    for stage in &stages {
        wanted.outs.extend(tracked.of_stage(&stage.file, &stage.name).map(|out| out.path.to_string()));
    }
    wanted.stages.extend(stages.iter().map(ToString::to_string));
    for selected in outs {
        wanted.outs.insert(selected.out.path.to_string());
        match &selected.out.source {
            Source::Pointer { file } => wanted.pointers.insert(file.to_string()),
            Source::Stage { .. } => wanted.stages.insert(maker(selected.out)),
        };
    }
    Ok(Some(wanted))
}

/// The stage, or the pointer, that an output is known by.
fn maker(out: &TrackedOut) -> String {
    match &out.source {
        Source::Pointer { file } => file.to_string(),
        Source::Stage { file, stage } => StageAddress { file: file.clone(), name: stage.clone() }.to_string(),
    }
}

/// A graph that is being made.
#[derive(Default)]
struct Drawing {
    nodes: Vec<Node>,
    /// The place of each node.
    known: HashMap<String, usize>,
    /// By node: those that it builds on.
    above: BTreeMap<usize, BTreeSet<usize>>,
}

impl Drawing {
    fn node(&mut self, name: String, kind: NodeKind) -> usize {
        *self.known.entry(name).or_insert_with_key(|name| {
            self.nodes.push(Node::new(name.as_str(), kind, None));
            self.nodes.len() - 1
        })
    }

    /// Stages, and the pointers that they read.
    fn stages(&mut self, tracked: &Tracked, graph: &Graph) {
        for index in graph.order() {
            let data = inputs(tracked, graph.stage(index)).into_iter();
            let data = data.filter(|out| matches!(out.source, Source::Pointer { .. })).map(maker);
            let mut above: BTreeSet<usize> = data.map(|name| self.node(name, NodeKind::Data)).collect();
            let makers = graph.upstream(index).map(|above| graph.address(above).to_string());
            above.extend(makers.map(|name| self.node(name, NodeKind::Stage)));
            let address = graph.address(index);
            let stage = self.node(address.to_string(), NodeKind::Stage);
            self.nodes[stage].group = group_of(address);
            self.above.insert(stage, above);
        }
    }

    /// Outputs of stages, and the data that stages read.
    fn outputs(&mut self, tracked: &Tracked, graph: &Graph) -> Result<(), GraphError> {
        let mut left = MAX_LINKS;
        for index in graph.order() {
            let stage = graph.stage(index);
            let too_many = || stage.places.of_stage().with(GraphProblem::TooManyLinks { limit: MAX_LINKS });
            let read = inputs(tracked, stage).into_iter().map(|out| out.path.to_string());
            let above: BTreeSet<usize> = read.map(|name| self.node(name, NodeKind::Output)).collect();
            // A stage that reads a thousand files and makes a thousand has a million links.
            left = left.checked_sub(above.len() * stage.outs.len()).ok_or_else(too_many)?;
            for out in &stage.outs {
                let made = self.node(out.path.to_string(), NodeKind::Output);
                self.above.insert(made, above.clone());
            }
        }
        Ok(())
    }

    /// Leaves `wanted` and what it builds on; with `full` all that is linked with it.
    fn keep(&mut self, wanted: &BTreeSet<&str>, full: bool) {
        let mut linked: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (node, above) in &self.above {
            linked.entry(*node).or_default().extend(above);
            for maker in above.iter().filter(|_| full) {
                linked.entry(*maker).or_default().push(*node);
            }
        }
        let mut kept = BTreeSet::new();
        let mut open: Vec<usize> = wanted.iter().filter_map(|name| self.known.get(*name).copied()).collect();
        while let Some(node) = open.pop() {
            if kept.insert(node) {
                open.extend(linked.get(&node).into_iter().flatten());
            }
        }
        self.map(|at, node| kept.contains(&at).then(|| node.clone()));
    }

    /// Makes one node of the stages of each definition.
    fn collapse(&mut self) {
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for group in self.nodes.iter().filter_map(|node| node.group.as_ref()) {
            *sizes.entry(group.clone()).or_default() += 1;
        }
        self.map(|_, node| {
            let group = node.group.as_ref().map(|group| (group, sizes.get(group).copied()));
            Some(group.map_or_else(|| node.clone(), |(group, size)| Node::new(group, NodeKind::Group, size)))
        });
    }

    /// The graph with each node replaced; those of one name become one, and no node is linked with
    /// itself.
    fn map(&mut self, replace: impl Fn(usize, &Node) -> Option<Node>) {
        let old = std::mem::take(self);
        let mut places = HashMap::new();
        for (at, node) in old.nodes.iter().enumerate() {
            let Some(new) = replace(at, node) else { continue };
            let place = self.node(new.name.clone(), new.kind);
            self.nodes[place] = new;
            places.insert(at, place);
        }
        for (node, above) in &old.above {
            let Some(place) = places.get(node) else { continue };
            let above = above.iter().filter_map(|maker| places.get(maker)).filter(|maker| *maker != place);
            self.above.entry(*place).or_default().extend(above);
        }
    }

    fn report(self) -> DagReport {
        let name = |at: usize| self.nodes[at].name.clone();
        let links = self.above.iter().flat_map(|(to, above)| above.iter().map(move |from| (*from, *to)));
        let edges = links.map(|(from, to)| Edge { from: name(from), to: name(to) }).collect();
        DagReport { edges, nodes: self.nodes, ..DagReport::default() }
    }
}

/// The outputs that a stage reads something of.
fn inputs<'t>(tracked: &'t Tracked, stage: &Stage) -> Vec<&'t TrackedOut> {
    let paths = stage.deps.iter().chain(stage.params.iter().map(|params| &params.file));
    let mut found = Vec::new();
    for path in paths {
        match tracked.containing(path) {
            Some((out, _)) => found.push(out),
            None => found.extend(tracked.below(path)),
        }
    }
    found.extend(stage.patterns.iter().flat_map(|pattern| tracked.read_by(pattern)));
    found
}

/// `build` of `build@us`, as a target.
fn group_of(address: &StageAddress) -> Option<String> {
    let (group, _) = address.name.split_once('@')?;
    Some(StageAddress { file: address.file.clone(), name: group.into() }.to_string())
}
