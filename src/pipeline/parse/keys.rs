//! Which keys stand where, and which of them a later version brings.

use crate::model::place::short;
use crate::model::yaml::Map;
use crate::pipeline::parse::problem::{PipelineProblem, Refusal};

/// The keys of one level of the grammar.
pub(in crate::pipeline) struct Keys {
    /// What they belong to, for messages.
    of: &'static str,
    known: &'static [&'static str],
    later: &'static [&'static str],
}

pub(in crate::pipeline) const TOP: Keys = Keys {
    of: "a pipeline",
    known: &["stages", "params", "metrics", "vars", "plots", "artifacts", "shell"],
    later: &["datasets"],
};

pub(in crate::pipeline) const STAGE: Keys = Keys {
    of: "a stage",
    known: &[
        "cmd",
        "wdir",
        "deps",
        "params",
        "outs",
        "metrics",
        "frozen",
        "always_changed",
        "desc",
        "meta",
        "vars",
        "plots",
        "shell",
        "env",
        "env_deps",
        "resources",
        "timeout",
        "retries",
        "needs",
    ],
    later: &[],
};

pub(in crate::pipeline) const FOREACH: Keys =
    Keys { of: "a stage with `foreach`", known: &["foreach", "do"], later: &[] };

pub(in crate::pipeline) const OUT: Keys = Keys {
    of: "an output",
    known: &["cache", "push", "remote", "desc", "type", "labels", "meta", "persist", "optional"],
    later: &["checkpoint"],
};

pub(in crate::pipeline) const PLOT_OUT: Keys = Keys {
    of: "a plot",
    known: &[
        "cache", "push", "remote", "desc", "type", "labels", "meta", "persist", "optional", "x", "y",
        "x_label", "y_label", "title", "template", "header",
    ],
    later: &["checkpoint"],
};

pub(in crate::pipeline) const PLOT: Keys = Keys {
    of: "a plot",
    known: &["x", "y", "x_label", "y_label", "title", "template", "header"],
    later: &[],
};

pub(in crate::pipeline) const ARTIFACT: Keys =
    Keys { of: "an artifact", known: &["path", "desc", "type", "labels", "meta"], later: &[] };

/// Refuses the first key that is not known.
pub(in crate::pipeline) fn check(map: &Map<'_>, keys: &Keys) -> Result<(), Refusal> {
    for (key, _) in &map.entries {
        let name = key.text.as_ref();
        if keys.known.contains(&name) {
            continue;
        }
        if keys.later.contains(&name) {
            let what = format!("`{name}`").into();
            return Err((key.mark, PipelineProblem::NotSupported { what }));
        }
        let near = near(name, keys);
        return Err((key.mark, PipelineProblem::UnknownKey { key: short(name), of: keys.of, near }));
    }
    Ok(())
}

fn near(name: &str, keys: &Keys) -> Option<&'static str> {
    let distance = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), known);
    // A long key would make the comparison dear, and is no slip of the finger.
    let candidates = keys.known.iter().copied().filter(|_| name.len() < 32);
    candidates.min_by_key(|known| distance(known)).filter(|known| distance(known) <= 2)
}
