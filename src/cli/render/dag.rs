//! The graph of stages as text, in Graphviz' language, and in Mermaid's.

use std::collections::{BTreeMap, HashMap};

use crate::cli::escape::escape;
use crate::cli::render::{Viewpoint, count};
use crate::cli::ui::Text;
use crate::ops::dag::{DagReport, Node, NodeKind};

/// A line for each node, behind those that it builds on, which it names.
pub(crate) fn text(report: &DagReport, view: &Viewpoint, out: &mut Text) {
    let label = |node: &Node| escape(&label(node, view)).into_owned();
    let labels: HashMap<&str, String> =
        report.nodes.iter().map(|node| (node.name.as_str(), label(node))).collect();
    let mut above: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in &report.edges {
        above.entry(&edge.to).or_default().push(&labels[edge.from.as_str()]);
    }
    let widths = report.nodes.iter().filter(|node| above.contains_key(node.name.as_str()));
    let width = widths.map(|node| labels[node.name.as_str()].chars().count()).max().unwrap_or(0);
    for node in &report.nodes {
        let shown = &labels[node.name.as_str()];
        out.name(shown);
        if let Some(above) = above.get(node.name.as_str()) {
            out.put(" ".repeat(width - shown.chars().count())).put(" <- ").put(above.join(", "));
        }
        out.end();
    }
}

/// For `dot` of Graphviz, in DVC's form.
pub(crate) fn dot(report: &DagReport, view: &Viewpoint, out: &mut Text) {
    let labels: HashMap<&str, String> = report
        .nodes
        .iter()
        .map(|node| {
            let text = label(node, view).replace('\\', "\\\\").replace('"', "\\\"");
            (node.name.as_str(), format!("\"{text}\""))
        })
        .collect();
    out.put("strict digraph {").end();
    for node in &report.nodes {
        out.put(&labels[node.name.as_str()]).put(";").end();
    }
    for edge in &report.edges {
        out.put(&labels[edge.from.as_str()]).put(" -> ").put(&labels[edge.to.as_str()]).put(";").end();
    }
    out.put("}").end();
}

/// For Mermaid, which draws it on GitHub and GitLab; `fenced` for a file in Markdown.
pub(crate) fn mermaid(report: &DagReport, view: &Viewpoint, fenced: bool, out: &mut Text) {
    if fenced {
        out.put("```mermaid").end();
    }
    out.put("flowchart TD").end();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in report.nodes.iter().enumerate() {
        numbers.insert(&node.name, at + 1);
        // Within quotes only these two mean something.
        let text = label(node, view).replace('#', "#35;").replace('"', "#quot;");
        out.put(format!("    node{}[\"{text}\"]", at + 1)).end();
    }
    for edge in &report.edges {
        let [from, to] = [&edge.from, &edge.to].map(|name| numbers[name.as_str()]);
        out.put(format!("    node{from}-->node{to}")).end();
    }
    if fenced {
        out.put("```").end();
    }
}

/// What a node is called here.
fn label(node: &Node, view: &Viewpoint) -> String {
    match (node.kind, node.stages) {
        (NodeKind::Data | NodeKind::Output, _) => view.path(&node.name),
        (_, Some(stages)) => format!("{} ({})", node.name, count(stages as u64, "stage")),
        _ => node.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::dag::Edge;

    fn report() -> DagReport {
        let node = |name: &str, kind, stages| Node::new(name, kind, stages);
        let edge = |from: &str, to: &str| Edge { from: from.into(), to: to.into() };
        DagReport {
            nodes: vec![
                node("d.mlv", NodeKind::Data, None),
                node("odd@\"x\\#\u{1b}", NodeKind::Stage, None),
                node("train", NodeKind::Group, Some(60)),
            ],
            edges: vec![edge("d.mlv", "train"), edge("odd@\"x\\#\u{1b}", "train")],
            ..DagReport::default()
        }
    }

    fn shown(render: impl Fn(&DagReport, &Viewpoint, &mut Text)) -> String {
        let mut out = Text::new(false);
        render(&report(), &Viewpoint::at_root(), &mut out);
        out.as_str().to_owned()
    }

    #[test]
    fn names_mean_nothing_in_any_form() {
        insta::assert_snapshot!(shown(text), @r#"
        d.mlv
        odd@"x\#\x1b
        train (60 stages) <- d.mlv, odd@"x\#\x1b
        "#);
        insta::assert_snapshot!(shown(dot), @r#"
        strict digraph {
        "d.mlv";
        "odd@\"x\\#\x1b";
        "train (60 stages)";
        "d.mlv" -> "train (60 stages)";
        "odd@\"x\\#\x1b" -> "train (60 stages)";
        }
        "#);
        insta::assert_snapshot!(shown(|report, view, out| mermaid(report, view, true, out)), @r#"
        ```mermaid
        flowchart TD
            node1["d.mlv"]
            node2["odd@#quot;x\#35;\x1b"]
            node3["train (60 stages)"]
            node1-->node3
            node2-->node3
        ```
        "#);
    }
}
