//! From the parser's events to nodes, with every limit counted on the way.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::model::place::{Mark, short};
use crate::model::yaml::{Data, Key, Limits, Map, Node, YamlProblem};

pub(super) type Refusal = (Mark, YamlProblem);

/// Reads the one document of `text`.
pub(super) fn document<'a>(text: &'a str, limits: Limits) -> Result<Node<'a>, Refusal> {
    let mut loader = Loader::new(limits);
    let options = granit_parser::options! {
        emit_comments: false,
        disallow_directives: !limits.anchors,
        // Keys may be paths of 4,096 bytes, each written as an escape of up to ten.
        simple_key_max_lookahead: 65_536,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| scan_problem(&error, limits))?;
        loader.event(event, &span)?;
    }
    loader.root.ok_or((Mark::default(), YamlProblem::Empty))
}

fn scan_problem(error: &granit_parser::ScanError, limits: Limits) -> Refusal {
    let marker = error.marker();
    let offset = marker.byte_offset().unwrap_or_default() as u32;
    let mark =
        Mark { line: marker.line() as u32, column: marker.col() as u32 + 1, start: offset, end: offset };
    let problem = match error.kind() {
        ErrorKind::RecursionLimitExceeded => YamlProblem::TooDeep { limit: limits.depth },
        _ => YamlProblem::Syntax { detail: short(&error.info()) },
    };
    (mark, problem)
}

fn mark_of(span: &Span) -> Mark {
    Mark {
        line: span.start.line() as u32,
        column: span.start.col() as u32 + 1,
        start: span.start.byte_offset().unwrap_or_default() as u32,
        end: span.end.byte_offset().unwrap_or_default() as u32,
    }
}

/// What a subtree costs: nodes, and bytes of text.
#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
}

/// A list or map that is not complete yet.
struct Frame<'a> {
    mark: Mark,
    anchor: usize,
    flow: bool,
    before: Cost,
    content: Content<'a>,
}

enum Content<'a> {
    List(Vec<Node<'a>>),
    Map { entries: Vec<(Key<'a>, Node<'a>)>, key: Option<Key<'a>> },
}

struct Loader<'a> {
    limits: Limits,
    open: Vec<Frame<'a>>,
    anchors: HashMap<usize, (Node<'a>, Cost)>,
    spent: Cost,
    /// Copies kept for aliases: nested anchors would otherwise multiply memory by the depth.
    kept: Cost,
    documents: usize,
    root: Option<Node<'a>>,
}

impl<'a> Loader<'a> {
    fn new(limits: Limits) -> Loader<'a> {
        Loader {
            limits,
            open: Vec::new(),
            anchors: HashMap::new(),
            spent: Cost::default(),
            kept: Cost::default(),
            documents: 0,
            root: None,
        }
    }

    fn event(&mut self, event: Event<'a>, span: &Span) -> Result<(), Refusal> {
        let mark = mark_of(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((mark, YamlProblem::SecondDocument));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check(mark, anchor, tag.is_some())?;
                self.spend(mark, Cost { nodes: 1, bytes: text.len() })?;
                let plain = style == ScalarStyle::Plain;
                // The parser says `~` of a value that is not there; nobody wrote that.
                let text = if plain && mark.start == mark.end { Cow::Borrowed("") } else { text };
                let cost = Cost { nodes: 1, bytes: text.len() };
                let node = Node { mark, data: Data::Scalar { text, plain } };
                self.keep(anchor, &node, cost)?;
                self.put(node)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check(mark, anchor, tag.is_some())?;
                self.begin(mark, anchor, style, Content::List(Vec::new()))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check(mark, anchor, tag.is_some())?;
                self.begin(mark, anchor, style, Content::Map { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(mark)?,
            Event::Alias(id) => self.alias(mark, id)?,
            _ => {}
        }
        Ok(())
    }

    fn check(&self, mark: Mark, anchor: usize, tagged: bool) -> Result<(), Refusal> {
        if tagged {
            return Err((mark, YamlProblem::Tag));
        }
        if anchor != 0 && !self.limits.anchors {
            return Err((mark, YamlProblem::Anchor));
        }
        Ok(())
    }

    fn spend(&mut self, mark: Mark, cost: Cost) -> Result<(), Refusal> {
        self.spent = add(self.spent, cost, self.limits).map_err(|problem| (mark, problem))?;
        Ok(())
    }

    fn keep(&mut self, anchor: usize, node: &Node<'a>, cost: Cost) -> Result<(), Refusal> {
        if anchor != 0 {
            self.kept = add(self.kept, cost, self.limits).map_err(|problem| (node.mark, problem))?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        mark: Mark,
        anchor: usize,
        style: StructureStyle,
        content: Content<'a>,
    ) -> Result<(), Refusal> {
        if self.open.len() >= self.limits.depth {
            return Err((mark, YamlProblem::TooDeep { limit: self.limits.depth }));
        }
        let before = self.spent;
        self.spend(mark, Cost { nodes: 1, bytes: 0 })?;
        let flow = style == StructureStyle::Flow;
        self.open.push(Frame { mark, anchor, flow, before, content });
        Ok(())
    }

    fn end(&mut self, mark: Mark) -> Result<(), Refusal> {
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let data = match frame.content {
            Content::List(items) => Data::List(items),
            Content::Map { mut entries, .. } => {
                check_duplicates(&entries)?;
                if self.limits.anchors {
                    merge(&mut entries)?;
                } else if let Some((key, _)) = entries.iter().find(|(key, _)| is_merge(key)) {
                    return Err((key.mark, YamlProblem::Anchor));
                }
                Data::Map(Map { entries, flow: frame.flow })
            }
        };
        let node = Node { mark: Mark { end: mark.end, ..frame.mark }, data };
        let cost = Cost {
            nodes: self.spent.nodes - frame.before.nodes,
            bytes: self.spent.bytes - frame.before.bytes,
        };
        self.keep(frame.anchor, &node, cost)?;
        self.put(node)
    }

    fn alias(&mut self, mark: Mark, id: usize) -> Result<(), Refusal> {
        if !self.limits.anchors {
            return Err((mark, YamlProblem::Anchor));
        }
        // An anchor is known once its value is complete: an alias within it finds nothing.
        let Some(cost) = self.anchors.get(&id).map(|(_, cost)| *cost) else {
            return Err((mark, YamlProblem::EndlessAlias));
        };
        self.spend(mark, cost)?;
        let mut node = self.anchors[&id].0.clone();
        if self.open.len() + depth(&node) > self.limits.depth {
            return Err((mark, YamlProblem::TooDeep { limit: self.limits.depth }));
        }
        node.mark = mark;
        self.put(node)
    }

    fn put(&mut self, node: Node<'a>) -> Result<(), Refusal> {
        match self.open.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Data::Scalar { text, plain } = node.data else {
                        return Err((node.mark, YamlProblem::KeyNotScalar));
                    };
                    *key = Some(Key { mark: node.mark, text, plain });
                }
            },
        }
        Ok(())
    }
}

fn add(sum: Cost, cost: Cost, limits: Limits) -> Result<Cost, YamlProblem> {
    let sum = Cost { nodes: sum.nodes + cost.nodes, bytes: sum.bytes + cost.bytes };
    if sum.nodes > limits.nodes {
        return Err(YamlProblem::TooManyNodes { limit: limits.nodes });
    }
    if sum.bytes > 2 * limits.bytes {
        return Err(YamlProblem::TooLarge { limit: limits.bytes });
    }
    Ok(sum)
}

fn depth(node: &Node<'_>) -> usize {
    match &node.data {
        Data::Scalar { .. } => 0,
        Data::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Data::Map(map) => 1 + map.entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}

fn check_duplicates(entries: &[(Key<'_>, Node<'_>)]) -> Result<(), Refusal> {
    let mut keys: Vec<&Key<'_>> = entries.iter().map(|(key, _)| key).collect();
    keys.sort_by(|a, b| a.text.cmp(&b.text).then(a.mark.start.cmp(&b.mark.start)));
    for pair in keys.windows(2) {
        if pair[0].text == pair[1].text {
            let key = short(&pair[1].text);
            return Err((pair[1].mark, YamlProblem::DuplicateKey { key }));
        }
    }
    Ok(())
}

fn is_merge(key: &Key<'_>) -> bool {
    key.plain && key.text == "<<"
}

/// Replaces a merge key by the entries of the maps it names; entries that are there win.
fn merge<'a>(entries: &mut Vec<(Key<'a>, Node<'a>)>) -> Result<(), Refusal> {
    let Some(index) = entries.iter().position(|(key, _)| is_merge(key)) else { return Ok(()) };
    let (key, value) = entries.remove(index);
    let sources = match value.data {
        Data::List(items) => items,
        data => vec![Node { mark: value.mark, data }],
    };
    let mut present: HashSet<String> = entries.iter().map(|(key, _)| key.text.clone().into_owned()).collect();
    for source in sources {
        let Data::Map(map) = source.data else { return Err((key.mark, YamlProblem::MergeKey)) };
        for (key, value) in map.entries {
            if present.insert(key.text.clone().into_owned()) {
                entries.push((key, value));
            }
        }
    }
    Ok(())
}
