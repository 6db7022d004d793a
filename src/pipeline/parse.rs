//! `mlv.yaml` → [`Pipeline`], with file, line and column in every refusal.
//!
//! The grammar is that of `dvc.yaml`. Three steps: the YAML tree is split into definitions of
//! stages, [`template`] makes of each what it stands for, and `stage` builds that into a
//! `Stage`.

use std::sync::Arc;

use crate::model::path::{PathError, RepoPath};
use crate::model::place::{Located, Mark, SourceText, short};
use crate::model::resolve::{ResolveError, resolve};
use crate::model::stage::{Pipeline, StageNameError, check_stage_name};
use crate::model::yaml::{Key, Limits, Map, Node, YamlProblem, load, text_of};
use crate::pipeline::parse::problem::{Failure, Refusal};
use crate::pipeline::template::{self, Budget, Scope, ValueFiles, Values, VarsReader, expand};

pub(super) mod keys;
mod outs;
mod plots;
pub(super) mod problem;
mod settings;
mod stage;

pub use crate::pipeline::parse::problem::{PipelineError, PipelineProblem};

/// Reads the pipeline file `file` with the contents `bytes`; values of templates come from `files`.
pub fn parse(file: &RepoPath, bytes: &[u8], files: &dyn ValueFiles) -> Result<Pipeline, PipelineError> {
    let name = file.as_str();
    let text = text_of(name, bytes, Limits::PIPELINE).map_err(|error| error.map(Into::into))?;
    let root = match load(name, text, Limits::PIPELINE) {
        Ok(root) if root.is_null() => return Ok(Pipeline::empty(file)),
        Err(error) if error.problem == YamlProblem::Empty => return Ok(Pipeline::empty(file)),
        other => other.map_err(|error| error.map(Into::into))?,
    };
    let parser = Parser {
        file,
        source: Arc::new(SourceText { file: name.into(), text: text.into() }),
        folder: file.parent().unwrap_or_else(RepoPath::root),
        is_templated: template::is_templated(text),
        reader: VarsReader::new(files),
        budget: Budget::new(),
    };
    parser.pipeline(&root).map_err(|failure| match failure {
        Failure::Here(mark, problem) => {
            Located::new(name, text, template_mark(text, mark, &problem), problem)
        }
        Failure::There(error) => *error,
    })
}

/// The place of the template that a problem is about, in the value at `mark`.
fn template_mark(text: &str, mark: Mark, problem: &PipelineProblem) -> Mark {
    let written = match problem {
        PipelineProblem::Undefined { key, .. } | PipelineProblem::NotText { key, .. } => {
            format!("${{{key}}}")
        }
        PipelineProblem::TemplateSyntax { written } => written.to_string(),
        _ => return mark,
    };
    let value = text.get(mark.start as usize..mark.end as usize).unwrap_or_default();
    // A value in quotes may be written otherwise than it is read.
    let Some(at) = value.find(&written) else { return mark };
    let before = &value[..at];
    let line = mark.line + before.matches('\n').count() as u32;
    let column = match before.rsplit_once('\n') {
        Some((_, last)) => 1 + last.chars().count() as u32,
        None => mark.column + before.chars().count() as u32,
    };
    let start = mark.start + at as u32;
    Mark { line, column, start, end: start + written.len() as u32 }
}

/// All that the parts of one file have in common.
struct Parser<'f> {
    file: &'f RepoPath,
    source: Arc<SourceText>,
    folder: RepoPath,
    /// Whether there is any template: most files have none, and are read without a copy.
    is_templated: bool,
    reader: VarsReader<'f>,
    budget: Budget,
}

impl Parser<'_> {
    fn pipeline(self, root: &Node<'_>) -> Result<Pipeline, Failure> {
        let top = map_of(root, "a pipeline")?;
        keys::check(top, &keys::TOP)?;
        let mut values = Values::empty();
        if let (true, Ok(file)) = (self.is_templated, self.file.with_file_name(stage::DEFAULT_PARAMS)) {
            // Nobody has to say so.
            values.add_default(&self.reader, file)?;
        }
        values.add(&self.reader, top, &self.folder, &self.budget)?;
        let scope = Scope { values: &values, local: None, budget: &self.budget };
        let mut pipeline = Pipeline::empty(self.file);
        pipeline.params = self.files(top, "params", scope)?;
        pipeline.metrics = self.files(top, "metrics", scope)?;
        if let Some(node) = top.get("plots").filter(|node| !node.is_null()) {
            pipeline.plots = plots::plots(&scope.node(node, false)?, &self.folder)?;
        }
        if let Some(node) = top.get("artifacts").filter(|node| !node.is_null()) {
            pipeline.artifacts = plots::artifacts(&scope.node(node, false)?, &self.folder)?;
        }
        let shell = settings::shell(top)?.unwrap_or_default();
        let mut references = Vec::new();
        for (key, node) in definitions(top)? {
            let name = key.text.as_ref();
            check_name(name)
                .map_err(|reason| (key.mark, PipelineProblem::Name { name: short(name), reason }))?;
            let definition = map_of(node, "a stage")?;
            expand::each((key.mark, name), definition, scope, &mut |name, definition, scope| {
                let at = pipeline.stages.len();
                let (stage, named) = self.stage((key, name), definition, scope, (shell, at))?;
                pipeline.stages.push(stage);
                references.extend(named);
                Ok(())
            })?;
        }
        settings::resolve(&mut pipeline.stages, &references)?;
        pipeline.values = self.reader.found();
        Ok(pipeline)
    }

    /// A top-level list of files.
    fn files(&self, top: &Map<'_>, key: &'static str, scope: Scope<'_>) -> Result<Vec<RepoPath>, Refusal> {
        let mut files = Vec::new();
        for item in list(top, key)? {
            let item = scope.node(item, false)?;
            let written = text_at(&item, key, "a list of files")?;
            files.push(path(&self.folder, item.mark, written)?);
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
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

/// What `written` names from `folder`.
pub(super) fn path(folder: &RepoPath, mark: Mark, written: &str) -> Result<RepoPath, Refusal> {
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

pub(super) fn value(node: &Node<'_>, key: &'static str, expected: &'static str) -> Refusal {
    (node.mark, PipelineProblem::Value { key, expected, found: node.description() })
}

pub(super) fn map_of<'a, 'b>(node: &'b Node<'a>, what: &'static str) -> Result<&'b Map<'a>, Refusal> {
    node.map().ok_or((node.mark, PipelineProblem::NotAMap { what, found: node.description() }))
}

/// The items of a list that may be missing or empty.
pub(super) fn list<'a, 'b>(map: &'b Map<'a>, key: &'static str) -> Result<&'b [Node<'a>], Refusal> {
    match map.get(key) {
        Some(node) if !node.is_null() => node.list().ok_or_else(|| value(node, key, "a list")),
        _ => Ok(&[]),
    }
}

/// The text of a scalar.
pub(super) fn text_at<'b>(
    node: &'b Node<'_>,
    key: &'static str,
    expected: &'static str,
) -> Result<&'b str, Refusal> {
    node.text().filter(|_| !node.is_null()).ok_or_else(|| value(node, key, expected))
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
