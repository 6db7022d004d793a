//! `mlv.yaml` → [`Pipeline`], with file, line and column in every refusal.
//!
//! The grammar is that of `dvc.yaml`. Two steps: the YAML tree is split into stage definitions,
//! and each is built into a `Stage`. Templates, `foreach` and `matrix` belong between the
//! two; until they are there, what uses them is refused by name.

use crate::model::path::{PathError, RepoPath};
use crate::model::place::{Located, Mark, Problem, ProblemClass, short};
use crate::model::resolve::{ResolveError, resolve};
use crate::model::stage::{Pipeline, StageNameError, check_stage_name};
use crate::model::value::KeyPathError;
use crate::model::yaml::{Key, Limits, Map, Node, YamlProblem, load, text_of};

mod keys;
mod stage;

/// What can be wrong in a pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineProblem {
    /// The text is refused before its meaning.
    #[error(transparent)]
    Yaml(#[from] YamlProblem),
    /// A key that the grammar does not have.
    #[error("{of} has no key `{key}`")]
    UnknownKey {
        /// The key.
        key: Box<str>,
        /// What it stands in: "a stage".
        of: &'static str,
        /// A key that is spelled nearly so.
        near: Option<&'static str>,
    },
    /// Something that a later version knows.
    #[error("{what} is not supported by this version of mlv")]
    NotSupported {
        /// The key or the syntax.
        what: Box<str>,
    },
    /// A key that must be there.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value of another form than the key's.
    #[error("`{key}` must be {expected}, this is {found}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A value that must have keys.
    #[error("{what} must be a map, this is {found}")]
    NotAMap {
        /// What must have them.
        what: &'static str,
        /// What it is instead.
        found: &'static str,
    },
    /// A stage name.
    #[error("the stage name `{name}` is refused: {reason}")]
    Name {
        /// The name.
        name: Box<str>,
        /// Why.
        reason: StageNameError,
    },
    /// A path.
    #[error("the path `{path}` is refused: {reason}")]
    Path {
        /// As written.
        path: Box<str>,
        /// Why.
        reason: ResolveError,
    },
    /// A parameter's key.
    #[error("the parameter `{key}` is refused: {reason}")]
    ParamKey {
        /// As written.
        key: Box<str>,
        /// Why.
        reason: KeyPathError,
    },
    /// A character that no command can have.
    #[error("a command has no NUL character")]
    Nul,
    /// One output twice in a stage.
    #[error("the output `{path}` stands here a second time")]
    OutTwice {
        /// As written.
        path: Box<str>,
    },
    /// An output that is also an input of the stage, or overlaps one.
    #[error("the output `{out}` of stage `{stage}` overlaps its own input `{input}`")]
    OwnInput {
        /// The stage.
        stage: Box<str>,
        /// The output.
        out: RepoPath,
        /// The input.
        input: RepoPath,
    },
    /// An output that the pipeline file lies in.
    #[error("the output `{path}` contains the pipeline file itself")]
    ContainsPipeline {
        /// As written.
        path: Box<str>,
    },
    /// An output that the stage runs in.
    #[error("the stage runs inside its own output `{path}`")]
    RunsInside {
        /// As written.
        path: Box<str>,
    },
}

impl Problem for PipelineProblem {
    fn class(&self) -> ProblemClass {
        match self {
            PipelineProblem::NotSupported { .. } => ProblemClass::Unsupported,
            PipelineProblem::Path { .. } => ProblemClass::UnsafePath,
            PipelineProblem::OutTwice { .. }
            | PipelineProblem::OwnInput { .. }
            | PipelineProblem::ContainsPipeline { .. }
            | PipelineProblem::RunsInside { .. } => ProblemClass::Contradiction,
            _ => ProblemClass::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PipelineProblem::Yaml(problem) => problem.hint(),
            PipelineProblem::UnknownKey { near: Some(near), .. } => Some(format!("did you mean `{near}`")),
            // `- echo a: b` is a map to YAML.
            PipelineProblem::Value { key: "cmd", found: "a map", .. } => {
                Some("put the command in quotes: YAML takes `: ` for a key".into())
            }
            _ => None,
        }
    }
}

/// A problem of a pipeline file at its place.
pub type PipelineError = Located<PipelineProblem>;

type Refusal = (Mark, PipelineProblem);

/// Reads the pipeline file `file` with the contents `bytes`.
pub fn parse(file: &RepoPath, bytes: &[u8]) -> Result<Pipeline, PipelineError> {
    let name = file.as_str();
    let mut pipeline =
        Pipeline { file: file.clone(), stages: Vec::new(), params: Vec::new(), metrics: Vec::new() };
    let text = text_of(name, bytes, Limits::PIPELINE).map_err(|error| error.map(Into::into))?;
    let root = match load(name, text, Limits::PIPELINE) {
        Ok(root) if root.is_null() => return Ok(pipeline),
        Err(error) if error.problem == YamlProblem::Empty => return Ok(pipeline),
        other => other.map_err(|error| error.map(Into::into))?,
    };
    fill(&mut pipeline, &root).map_err(|(mark, problem)| Located::new(name, text, mark, problem))?;
    Ok(pipeline)
}

fn fill(pipeline: &mut Pipeline, root: &Node<'_>) -> Result<(), Refusal> {
    let top = map_of(root, "a pipeline")?;
    keys::check(top, &keys::TOP)?;
    let folder = pipeline.file.parent().unwrap_or_else(RepoPath::root);
    pipeline.params = files(top, "params", &folder)?;
    pipeline.metrics = files(top, "metrics", &folder)?;
    for (key, node) in definitions(top)? {
        let name = key.text.as_ref();
        check_name(name).map_err(|reason| (key.mark, PipelineProblem::Name { name: short(name), reason }))?;
        pipeline.stages.push(stage::build(&pipeline.file, &folder, key, node)?);
    }
    Ok(())
}

/// The name of a stage that somebody wrote: `@` is for generated ones.
fn check_name(name: &str) -> Result<(), StageNameError> {
    if name.contains('@') { Err(StageNameError::Character) } else { check_stage_name(name) }
}

/// The stages as they are defined, in the order of the file.
fn definitions<'a, 'b>(top: &'b Map<'a>) -> Result<&'b [(Key<'a>, Node<'a>)], Refusal> {
    match top.get("stages") {
        Some(stages) if !stages.is_null() => Ok(&map_of(stages, "`stages`")?.entries),
        _ => Ok(&[]),
    }
}

/// A top-level list of files.
fn files(top: &Map<'_>, key: &'static str, folder: &RepoPath) -> Result<Vec<RepoPath>, Refusal> {
    let mut files = Vec::new();
    for item in list(top, key)? {
        let written = text_at(item, key, "a list of files")?;
        files.push(path(folder, item.mark, &written)?);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// What `written` names from `folder`.
fn path(folder: &RepoPath, mark: Mark, written: &str) -> Result<RepoPath, Refusal> {
    resolve(folder, written).map_err(|reason| match reason {
        ResolveError::Url => {
            let what = format!("the external path `{}`", short(written)).into();
            (mark, PipelineProblem::NotSupported { what })
        }
        _ => refused(mark, written, reason),
    })
}

fn refused(mark: Mark, path: &str, reason: ResolveError) -> Refusal {
    (mark, PipelineProblem::Path { path: short(path), reason })
}

fn refused_name(mark: Mark, path: &str, error: PathError) -> Refusal {
    refused(mark, path, ResolveError::Path(error))
}

fn value(node: &Node<'_>, key: &'static str, expected: &'static str) -> Refusal {
    (node.mark, PipelineProblem::Value { key, expected, found: node.kind() })
}

fn map_of<'a, 'b>(node: &'b Node<'a>, what: &'static str) -> Result<&'b Map<'a>, Refusal> {
    node.map().ok_or((node.mark, PipelineProblem::NotAMap { what, found: node.kind() }))
}

/// The items of a list that may be missing or empty.
fn list<'a, 'b>(map: &'b Map<'a>, key: &'static str) -> Result<&'b [Node<'a>], Refusal> {
    match map.get(key) {
        Some(node) if !node.is_null() => node.list().ok_or_else(|| value(node, key, "a list")),
        _ => Ok(&[]),
    }
}

/// A text in which templates are not supported yet: `\${` stands for `${`.
fn text_at(node: &Node<'_>, key: &'static str, expected: &'static str) -> Result<String, Refusal> {
    let text = node.text().filter(|_| !node.is_null()).ok_or_else(|| value(node, key, expected))?;
    literal(node.mark, text)
}

/// `text` with `\${` for `${`; a template is refused.
fn literal(mark: Mark, text: &str) -> Result<String, Refusal> {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split("${").enumerate() {
        if index > 0 {
            if !out.ends_with('\\') {
                let what = "the template `${}` (write `\\${` for the text)".into();
                return Err((mark, PipelineProblem::NotSupported { what }));
            }
            out.pop();
            out.push_str("${");
        }
        out.push_str(part);
    }
    Ok(out)
}

fn text(map: &Map<'_>, key: &'static str) -> Result<Option<Box<str>>, Refusal> {
    let Some(node) = map.get(key).filter(|node| !node.is_null()) else { return Ok(None) };
    text_at(node, key, "a text").map(|text| Some(text.into()))
}

fn bool(map: &Map<'_>, key: &'static str) -> Result<Option<bool>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.bool().map(Some).ok_or_else(|| value(node, key, "true or false"))
}

#[cfg(test)]
mod tests;
