//! The pointer: the small `*.mlv` file that stands in git for a tracked file or directory.
//!
//! The text comes from other people. [`Pointer::parse`] refuses whatever docs/formats.md does
//! not allow, with the place; [`Pointer::update`] changes only the values that differ, so that
//! comments, unknown keys and the order of keys survive every command.

use crate::model::object::{ContentId, ContentInfo, ParseContentIdError};
use crate::model::path::{PathError, RepoPath, check_output_name};
use crate::model::place::{Located, Mark, Problem, ProblemClass, short};
use crate::model::resolve::{ResolveError, resolve};
use crate::model::stage::Notes;
use crate::model::yaml::{Limits, Map, Node, YamlProblem, load, text_of};

mod edit;
mod merge;
mod write;

/// What a pointer says.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointer {
    /// The output, relative to the repository's root.
    pub path: RepoPath,
    /// Its contents.
    pub content: ContentInfo,
    /// The remote that it goes to instead of the default one.
    pub remote: Option<Box<str>>,
    /// Whether `push` uploads it; true unless the pointer says `push: false`.
    pub push: bool,
    /// Whether `pull` brings it only when it is named (`pull: manual`).
    pub pull_manual: bool,
    /// What people wrote about it.
    pub notes: Notes,
    /// Whether it stays as it is when its source changes (imports).
    pub frozen: bool,
    /// Where it was imported from.
    pub import: Option<Import>,
    /// The folder that `path` is relative to, as written; the pointer's own if none.
    pub wdir: Option<Box<str>>,
}

/// The source of an imported output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// A path of another git repository.
    Repo {
        /// The path there.
        path: Box<str>,
        /// The repository.
        url: Box<str>,
        /// The branch or tag that is followed.
        rev: Option<Box<str>>,
        /// The commit that it was taken from.
        rev_lock: Option<Box<str>>,
    },
    /// A file behind a URL.
    Url {
        /// The URL.
        url: Box<str>,
        /// The version that the server named.
        etag: Option<Box<str>>,
        /// Its size in bytes.
        size: Option<u64>,
    },
}

/// What can be wrong in a pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointerProblem {
    /// The text is refused before its meaning.
    #[error(transparent)]
    Yaml(#[from] YamlProblem),
    /// A tab.
    #[error("a pointer has no tab characters")]
    Tab,
    /// No line feed at the end.
    #[error("the last line has no end: the file may be cut off")]
    CutOff,
    /// A key that must be there.
    #[error("the key `{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A version that this mlv does not know.
    #[error("this is version {found} of the pointer format; this mlv knows version 1")]
    Version {
        /// What the file says.
        found: Box<str>,
    },
    /// A value of another form than the key's.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A value that must have keys.
    #[error("{what} must be a map")]
    NotAMap {
        /// What it is.
        what: &'static str,
    },
    /// More or fewer outputs than one.
    #[error("a pointer has exactly one output, this one has {count}")]
    Outs {
        /// How many there are.
        count: usize,
    },
    /// The output's path.
    #[error("the path `{path}` is refused: {reason}")]
    Path {
        /// As written.
        path: Box<str>,
        /// Why.
        reason: ResolveError,
    },
    /// The output's path has several parts.
    #[error("the path `{path}` must be a single name; the folder is the pointer's own")]
    Parts {
        /// As written.
        path: Box<str>,
    },
    /// The file has another name than its output asks for.
    #[error("the pointer of `{path}` must be called `{path}.mlv`")]
    Name {
        /// The output's name.
        path: Box<str>,
    },
    /// The hash.
    #[error("the hash is refused: {0}")]
    Hash(ParseContentIdError),
    /// A key that belongs to directories, on a file, or the other way round.
    #[error("`{key}` belongs to {of} only")]
    Misplaced {
        /// The key.
        key: &'static str,
        /// "a directory" or "a file".
        of: &'static str,
    },
    /// One option at both levels.
    #[error("`{key}` stands both at the top and in the output")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// The edit would have changed something else too.
    #[error("mlv cannot change this file without touching other parts of it")]
    CannotEdit,
}

impl Problem for PointerProblem {
    fn class(&self) -> ProblemClass {
        match self {
            PointerProblem::Version { .. } => ProblemClass::Unsupported,
            PointerProblem::Path { .. } | PointerProblem::Parts { .. } => ProblemClass::UnsafePath,
            _ => ProblemClass::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PointerProblem::Yaml(YamlProblem::Empty) => {
                Some("bring it back with git; or delete it, and `mlv add` the data again".into())
            }
            PointerProblem::Yaml(problem) => problem.hint(),
            PointerProblem::Version { .. } => Some("install a newer mlv".into()),
            PointerProblem::Name { path } => Some(format!(
                "call it `{path}.mlv` again; or, to rename the data, write the new name behind `path:` and \
                 give `{path}` that name too"
            )),
            PointerProblem::CannotEdit => Some("write the pointer with one key a line".into()),
            _ => None,
        }
    }

    fn hint_for(&self, file: &str) -> Option<String> {
        match self {
            PointerProblem::Yaml(YamlProblem::ConflictMarker) => Some(format!("mlv resolve {file}")),
            PointerProblem::NotAMap { .. }
            | PointerProblem::Yaml(YamlProblem::NotUtf8 | YamlProblem::TooLarge { .. }) => Some(format!(
                "bring it back with git; if it is no pointer of mlv's, list `{file}` in `.mlvignore`"
            )),
            _ => self.hint(),
        }
    }
}

/// A problem of a pointer at its place.
pub type PointerError = Located<PointerProblem>;

type Refusal = (Mark, PointerProblem);

/// The pointer of the output `path`: the same name with `.mlv` behind it.
pub fn pointer_path(path: &RepoPath) -> Result<RepoPath, PathError> {
    check_output_name(path)?;
    RepoPath::parse(&format!("{}.mlv", path.as_str()))
}

impl Pointer {
    /// A new pointer of the output `path`.
    pub fn new(path: RepoPath, content: ContentInfo) -> Pointer {
        Pointer {
            path,
            content,
            remote: None,
            push: true,
            pull_manual: false,
            notes: Notes::default(),
            frozen: false,
            import: None,
            wdir: None,
        }
    }

    /// Reads the pointer file `file` with the contents `bytes`.
    pub fn parse(file: &RepoPath, bytes: &[u8]) -> Result<Pointer, PointerError> {
        let name = file.as_str();
        let text = text_of(name, bytes, Limits::POINTER).map_err(|error| error.map(Into::into))?;
        let fail = |(mark, problem)| Located::new(name, text, mark, problem);
        check_text(text).map_err(fail)?;
        let root = load(name, text, Limits::POINTER).map_err(|error| error.map(Into::into))?;
        read(file, &root).map_err(fail)
    }

    /// The text of a new pointer file for this, in canonical form. Notes are not written: a new
    /// pointer has none.
    pub fn write(&self) -> String {
        write::pointer(self)
    }

    /// The text `bytes` of the pointer file `file` with the contents `content` instead of those it
    /// names. All else is kept, comments included; line ends become LF. The same bytes come back
    /// if nothing differs.
    pub fn update(file: &RepoPath, bytes: &[u8], content: &ContentInfo) -> Result<Vec<u8>, PointerError> {
        edit::update(file, bytes, content)
    }

    /// The text `bytes` of the pointer file `file` with the remote `remote` instead of the one that it
    /// names; the same bytes if it names none.
    pub fn with_remote(file: &RepoPath, bytes: &[u8], remote: &str) -> Result<Vec<u8>, PointerError> {
        edit::with_remote(file, bytes, remote)
    }
}

/// What the characters alone forbid.
fn check_text(text: &str) -> Result<(), Refusal> {
    let at = |offset: usize| {
        let before = &text[..offset];
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count() as u32;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Mark { line, column: 1 + text[start..offset].chars().count() as u32, ..Mark::default() }
    };
    if let Some(offset) = text.find('\t') {
        return Err((at(offset), PointerProblem::Tab));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err((at(text.len()), PointerProblem::CutOff));
    }
    Ok(())
}

fn read(file: &RepoPath, root: &Node<'_>) -> Result<Pointer, Refusal> {
    let top = map_of(root, "a pointer")?;
    check_version(root.mark, top)?;
    let item = only_output(root.mark, top)?;
    let outs = map_of(item, "the output")?;
    let wdir = text(top, "wdir")?;
    let folder = folder(file, top, wdir)?;
    let path = output_path(&folder, item.mark, outs)?;
    if wdir.is_none() && file.file_name().strip_suffix(".mlv") != Some(path.file_name()) {
        let mark = outs.get("path").map_or(item.mark, |node| node.mark);
        return Err((mark, PointerProblem::Name { path: path.file_name().into() }));
    }
    let content = content(item.mark, outs)?;
    let either = Either { top, outs };
    Ok(Pointer {
        path,
        content,
        remote: either.text("remote")?,
        push: either.bool("push")?.unwrap_or(true),
        pull_manual: pull_manual(&either)?,
        notes: notes(&either)?,
        frozen: bool(top, "frozen")?.unwrap_or(false),
        import: import(top)?,
        wdir: wdir.map(Into::into),
    })
}

/// The version, and that the keys are there.
fn check_version(mark: Mark, top: &Map<'_>) -> Result<(), Refusal> {
    let version = top.get("version").ok_or((mark, PointerProblem::Missing { key: "version" }))?;
    match version.count() {
        Some(1) => Ok(()),
        Some(other) => Err((version.mark, PointerProblem::Version { found: other.to_string().into() })),
        None => Err(value(version, "version", "a bare whole number")),
    }
}

fn only_output<'a, 'b>(mark: Mark, top: &'b Map<'a>) -> Result<&'b Node<'a>, Refusal> {
    let outs = top.get("outs").ok_or((mark, PointerProblem::Missing { key: "outs" }))?;
    let items = outs.list().ok_or_else(|| value(outs, "outs", "a list"))?;
    match items {
        [item] => Ok(item),
        _ => Err((outs.mark, PointerProblem::Outs { count: items.len() })),
    }
}

/// The folder that the output is in.
fn folder(file: &RepoPath, top: &Map<'_>, wdir: Option<&str>) -> Result<RepoPath, Refusal> {
    let own = file.parent().unwrap_or_else(RepoPath::root);
    let (Some(wdir), Some(node)) = (wdir, top.get("wdir")) else { return Ok(own) };
    resolve(&own, wdir).map_err(|reason| (node.mark, PointerProblem::Path { path: short(wdir), reason }))
}

fn output_path(folder: &RepoPath, mark: Mark, outs: &Map<'_>) -> Result<RepoPath, Refusal> {
    let node = outs.get("path").ok_or((mark, PointerProblem::Missing { key: "path" }))?;
    let written = node.text().ok_or_else(|| value(node, "path", "a single name"))?;
    let refused =
        |error: PathError| (node.mark, PointerProblem::Path { path: short(written), reason: error.into() });
    // What the path is made of before where it leads: `../x` is refused for its dots.
    let name = RepoPath::parse(written).map_err(refused)?;
    if written.contains('/') {
        return Err((node.mark, PointerProblem::Parts { path: short(written) }));
    }
    check_output_name(&name).map_err(refused)?;
    // The whole may pass the limits that each half keeps.
    RepoPath::parse(folder.join(&name).as_str()).map_err(refused)
}

fn content(mark: Mark, outs: &Map<'_>) -> Result<ContentInfo, Refusal> {
    let hash = outs.get("hash").ok_or((mark, PointerProblem::Missing { key: "hash" }))?;
    let id: ContentId = hash
        .text()
        .ok_or_else(|| value(hash, "hash", "a single value"))?
        .parse()
        .map_err(|error| (hash.mark, PointerProblem::Hash(error)))?;
    let size = count(outs, "size")?.ok_or((mark, PointerProblem::Missing { key: "size" }))?;
    let nfiles = count(outs, "nfiles")?;
    let misplaced = |key, of| {
        let mark = outs.get(key).map_or(mark, |node| node.mark);
        (mark, PointerProblem::Misplaced { key, of })
    };
    match (id.is_tree(), nfiles) {
        (true, None) => return Err((mark, PointerProblem::Missing { key: "nfiles" })),
        (false, Some(_)) => return Err(misplaced("nfiles", "a directory")),
        _ => {}
    }
    let executable = bool(outs, "isexec")?.unwrap_or(false);
    if id.is_tree() && executable {
        return Err(misplaced("isexec", "a file"));
    }
    Ok(ContentInfo { id, size, nfiles, executable })
}

/// An option may stand at the top, where DVC has some, or in the output.
struct Either<'a, 'b> {
    top: &'b Map<'a>,
    outs: &'b Map<'a>,
}

impl<'a, 'b> Either<'a, 'b> {
    fn get(&self, key: &'static str) -> Result<Option<&'b Node<'a>>, Refusal> {
        match (self.top.get(key), self.outs.get(key)) {
            (Some(_), Some(node)) => Err((node.mark, PointerProblem::Twice { key })),
            (top, outs) => Ok(top.or(outs)),
        }
    }

    fn text(&self, key: &'static str) -> Result<Option<Box<str>>, Refusal> {
        let Some(node) = self.get(key)? else { return Ok(None) };
        let text = node.text().ok_or_else(|| value(node, key, "a single value"))?;
        Ok(Some(text.into()))
    }

    fn bool(&self, key: &'static str) -> Result<Option<bool>, Refusal> {
        let Some(node) = self.get(key)? else { return Ok(None) };
        node.bool().map(Some).ok_or_else(|| value(node, key, "true or false"))
    }
}

fn pull_manual(either: &Either<'_, '_>) -> Result<bool, Refusal> {
    match either.get("pull")? {
        None => Ok(false),
        Some(node) if node.text() == Some("manual") => Ok(true),
        Some(node) => node.bool().map(|pull| !pull).ok_or_else(|| value(node, "pull", "`manual`")),
    }
}

fn notes(either: &Either<'_, '_>) -> Result<Notes, Refusal> {
    let mut labels = Vec::new();
    if let Some(node) = either.get("labels")? {
        let wrong = || value(node, "labels", "a list of texts");
        for item in node.list().ok_or_else(wrong)? {
            labels.push(item.text().ok_or_else(wrong)?.into());
        }
    }
    Ok(Notes { desc: either.text("desc")?, kind: either.text("type")?, labels })
}

fn import(top: &Map<'_>) -> Result<Option<Import>, Refusal> {
    let Some(deps) = top.get("deps") else { return Ok(None) };
    let Some([item]) = deps.list() else { return Err(value(deps, "deps", "a list of one source")) };
    let source = map_of(item, "the source")?;
    let path = text(source, "path")?.ok_or((item.mark, PointerProblem::Missing { key: "path" }))?;
    let Some(repo) = source.get("repo") else {
        return Ok(Some(Import::Url {
            url: path.into(),
            etag: text(source, "etag")?.map(Into::into),
            size: count(source, "size")?,
        }));
    };
    let fields = map_of(repo, "`repo`")?;
    let url = text(fields, "url")?.ok_or((repo.mark, PointerProblem::Missing { key: "url" }))?;
    Ok(Some(Import::Repo {
        path: path.into(),
        url: url.into(),
        rev: text(fields, "rev")?.map(Into::into),
        rev_lock: text(fields, "rev_lock")?.map(Into::into),
    }))
}

fn value(node: &Node<'_>, key: &'static str, expected: &'static str) -> Refusal {
    (node.mark, PointerProblem::Value { key, expected })
}

fn map_of<'a, 'b>(node: &'b Node<'a>, what: &'static str) -> Result<&'b Map<'a>, Refusal> {
    node.map().ok_or((node.mark, PointerProblem::NotAMap { what }))
}

fn text<'b>(map: &'b Map<'_>, key: &'static str) -> Result<Option<&'b str>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.text().map(Some).ok_or_else(|| value(node, key, "a single value"))
}

fn bool(map: &Map<'_>, key: &'static str) -> Result<Option<bool>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.bool().map(Some).ok_or_else(|| value(node, key, "true or false"))
}

fn count(map: &Map<'_>, key: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(node) = map.get(key) else { return Ok(None) };
    node.count().map(Some).ok_or_else(|| value(node, key, "a whole number from 0 to 2^63 - 1"))
}

#[cfg(test)]
mod tests;
