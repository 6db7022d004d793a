//! Stages as they are defined, resolved: what `mlv.yaml` says, with paths relative to the root.

use crate::model::path::RepoPath;
use crate::model::value::KeyPath;

/// The stages of one `mlv.yaml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The file, relative to the repository's root.
    pub file: RepoPath,
    /// In the order of the file; names are unique.
    pub stages: Vec<Stage>,
    /// Parameter files that the file lists at the top.
    pub params: Vec<RepoPath>,
    /// Metrics files that the file lists at the top; those of stages are outputs.
    pub metrics: Vec<RepoPath>,
}

/// A command with its inputs and outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name, unique in its file.
    pub name: Box<str>,
    /// Line in the file, from 1, for messages.
    pub line: u32,
    /// What is run.
    pub command: Command,
    /// Where it is run, relative to the repository's root.
    pub wdir: RepoPath,
    /// Files and directories that it reads, sorted, without duplicates.
    pub deps: Vec<RepoPath>,
    /// Parameters that it reads, sorted by file, each file once.
    pub params: Vec<ParamDep>,
    /// What it makes, sorted by path.
    pub outs: Vec<Out>,
    /// Not run because of changed inputs.
    pub frozen: bool,
    /// Run each time.
    pub always_changed: bool,
    /// What it is for.
    pub desc: Option<Box<str>>,
}

impl Stage {
    /// Whether it has neither inputs nor outputs, so that nothing tells when it is up to date.
    pub fn is_bare(&self) -> bool {
        self.deps.is_empty() && self.params.is_empty() && self.outs.is_empty()
    }
}

/// What a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// One script, of one line or several, for one shell.
    Script(Box<str>),
    /// Scripts that are run one after the other, each by a shell of its own.
    List(Vec<Box<str>>),
}

impl Command {
    /// The scripts in the order in which they are run.
    pub fn scripts(&self) -> &[Box<str>] {
        match self {
            Command::Script(script) => std::slice::from_ref(script),
            Command::List(scripts) => scripts,
        }
    }

    /// The scripts as one line, for messages.
    pub fn summary(&self) -> String {
        let lines = self.scripts().iter().flat_map(|script| script.lines());
        lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// Parameters of one file that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamDep {
    /// The file.
    pub file: RepoPath,
    /// Which values.
    pub keys: ParamKeys,
}

/// Which values of a parameter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamKeys {
    /// Each one.
    All,
    /// Those named: sorted, without duplicates.
    Named(Vec<KeyPath>),
}

/// What a stage makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// The file or directory.
    pub path: RepoPath,
    /// Whether mlv keeps the contents; if not, git or nobody does.
    pub cache: bool,
    /// Whether `push` uploads it.
    pub push: bool,
    /// The remote that it goes to instead of the default one.
    pub remote: Option<Box<str>>,
    /// Whether it holds numbers for `metrics`.
    pub metric: bool,
    /// What people wrote about it.
    pub notes: Notes,
}

/// What people write about an output. Free-form `meta` is allowed beside these and never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// A sentence.
    pub desc: Option<Box<str>>,
    /// What kind of thing it is: `type` in the file.
    pub kind: Option<Box<str>>,
    /// Words to find it by.
    pub labels: Vec<Box<str>>,
}
