//! What can be wrong in a pipeline file.

use crate::model::path::RepoPath;
use crate::model::place::{Located, Mark, Problem, ProblemClass};
use crate::model::resolve::ResolveError;
use crate::model::stage::StageNameError;
use crate::model::value::KeyPathError;
use crate::model::values::ValuesProblem;
use crate::model::yaml::YamlProblem;

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
        found: Box<str>,
    },
    /// A value that must have keys.
    #[error("{what} must be a map, this is {found}")]
    NotAMap {
        /// What must have them.
        what: &'static str,
        /// What it is instead.
        found: Box<str>,
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
    /// A pattern of paths.
    #[error("`{pattern}` is no pattern: {reason}")]
    Pattern {
        /// As written.
        pattern: Box<str>,
        /// Why.
        reason: Box<str>,
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
    /// The name of a variable.
    #[error(
        "the name `{name}` is refused: one has letters, digits and `_`, starts with no digit and no `MLV_`, and stands once"
    )]
    Variable {
        /// The name.
        name: Box<str>,
    },
    /// The name of a resource.
    #[error(
        "the name `{name}` of a resource is refused: one has lower-case letters, digits and `_`, starts with a letter, and is not `root`, `run` or `stage`"
    )]
    Resource {
        /// The name.
        name: Box<str>,
    },
    /// A stage that the file does not have.
    #[error("this file has no stage or group `{name}`")]
    NoSuchStage {
        /// As written.
        name: Box<str>,
        /// One that is spelled nearly so.
        near: Option<Box<str>>,
    },
    /// A stage that waits for itself.
    #[error("the stage `{name}` would wait for itself")]
    NeedsItself {
        /// The stage.
        name: Box<str>,
    },
    /// An artifact's name.
    #[error("the artifact's name `{name}` is refused: one has letters, digits, `_`, `-`, `.` and `/`, once")]
    ArtifactName {
        /// The name.
        name: Box<str>,
    },
    /// A `${` without a key and a `}` behind it.
    #[error("`{written}` is no template: one is `${{key}}` or `${{key.sub[0]}}`")]
    TemplateSyntax {
        /// As written.
        written: Box<str>,
    },
    /// A template whose key has no value.
    #[error("`${{{key}}}` has no value")]
    Undefined {
        /// The key.
        key: Box<str>,
        /// A key that is spelled nearly so.
        near: Option<Box<str>>,
    },
    /// A template for a list or map, where a text is wanted.
    #[error("`${{{key}}}` is {found}, which is no text")]
    NotText {
        /// The key.
        key: Box<str>,
        /// "a list" or "a map".
        found: &'static str,
    },
    /// A value that cannot become an option of a command.
    #[error("`{key}` of the map is {found}, which is no option of a command")]
    NotAnOption {
        /// The key within the map.
        key: Box<str>,
        /// What it is.
        found: &'static str,
    },
    /// One key of `vars` from two places.
    #[error("`{key}` is set here and by {first}")]
    VarTwice {
        /// The key.
        key: Box<str>,
        /// Where it was set before.
        first: Box<str>,
    },
    /// A file of values that is not there.
    #[error("the file `{file}` is not there")]
    NoVarsFile {
        /// The file.
        file: RepoPath,
    },
    /// A key that a file of values does not have.
    #[error("`{file}` has no `{key}`")]
    NoVarsKey {
        /// The file.
        file: RepoPath,
        /// The key.
        key: Box<str>,
    },
    /// A file of values that cannot be read.
    #[error("the file `{file}` cannot be read: {reason}")]
    VarsUnreadable {
        /// The file.
        file: RepoPath,
        /// What the operating system says.
        reason: Box<str>,
    },
    /// A file of values that is refused.
    #[error(transparent)]
    Values(#[from] ValuesProblem),
    /// Two stages of one group with one name.
    #[error("the stage `{name}` is generated twice")]
    GeneratedTwice {
        /// The name.
        name: Box<str>,
    },
    /// More of something than the limit.
    #[error("more than the limit of {limit} {what}")]
    TooMany {
        /// The limit.
        limit: usize,
        /// Of what: "generated stages".
        what: &'static str,
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
            | PipelineProblem::GeneratedTwice { .. }
            | PipelineProblem::NeedsItself { .. }
            | PipelineProblem::RunsInside { .. } => ProblemClass::Contradiction,
            _ => ProblemClass::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PipelineProblem::Yaml(problem) => problem.hint(),
            PipelineProblem::Values(problem) => problem.hint(),
            PipelineProblem::UnknownKey { near: Some(near), .. } => Some(format!("did you mean `{near}`")),
            PipelineProblem::NoSuchStage { near: Some(near), .. } => Some(format!("did you mean `{near}`")),
            PipelineProblem::Undefined { near: Some(near), .. } => {
                Some(format!("did you mean `${{{near}}}`; for the shell's own variable write `\\${{`"))
            }
            PipelineProblem::Undefined { .. } => {
                Some("set it in `params.yaml` or `vars`; for the shell's own variable write `\\${`".into())
            }
            PipelineProblem::NoVarsFile { .. } => {
                Some("write it; or, if mlv tracks it, bring it and what depends on it: mlv pull".into())
            }
            PipelineProblem::TemplateSyntax { .. } => Some("for the text itself write `\\${`".into()),
            PipelineProblem::Pattern { .. } => Some("for the bracket itself write `[[]`".into()),
            // `- echo a: b` is a map to YAML.
            PipelineProblem::Value { key: "cmd", found, .. } if **found == *"a map" => {
                Some("put the command in quotes: YAML takes `: ` for a key".into())
            }
            PipelineProblem::Value { expected: "true or false", found, .. }
                if ["yes", "no", "on", "off"].iter().any(|word| **found == *format!("the text `{word}`")) =>
            {
                Some("write `true` or `false`: to YAML 1.2 `yes`, `no`, `on` and `off` are texts".into())
            }
            _ => None,
        }
    }
}

/// A problem of a pipeline file at its place.
pub type PipelineError = Located<PipelineProblem>;

/// A problem at its place in the pipeline file itself.
pub(in crate::pipeline) type Refusal = (Mark, PipelineProblem);

/// A problem of the pipeline file, or of a file that it takes values from.
pub(in crate::pipeline) enum Failure {
    Here(Mark, PipelineProblem),
    There(Box<PipelineError>),
}

impl From<Refusal> for Failure {
    fn from((mark, problem): Refusal) -> Failure {
        Failure::Here(mark, problem)
    }
}
