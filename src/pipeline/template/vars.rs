//! Where the values of templates come from: `params.yaml` beside the pipeline, then `vars`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::model::path::RepoPath;
use crate::model::place::{Mark, short};
use crate::model::value::{Entries, KeyPath, Value};
use crate::model::values;
use crate::model::yaml::{Map, Node};
use crate::pipeline::parse::problem::{Failure, PipelineProblem, Refusal};
use crate::pipeline::template::{Budget, size_of};

/// The files that a pipeline may take values from, as they are in the same state of the project.
pub trait ValueFiles {
    /// The contents of `file`, of at most 8 MiB; nothing if it is not there. Fails with the reason.
    fn read(&self, file: &RepoPath) -> Result<Option<Vec<u8>>, Box<str>>;
}

/// No files.
#[derive(Clone, Copy, Debug)]
pub struct NoValues;

impl ValueFiles for NoValues {
    fn read(&self, _file: &RepoPath) -> Result<Option<Vec<u8>>, Box<str>> {
        Ok(None)
    }
}

/// Bytes of all files that one pipeline takes values from.
const MAX_BYTES: usize = 32 << 20;

/// Reads each file once.
pub(in crate::pipeline) struct VarsReader<'f> {
    files: &'f dyn ValueFiles,
    known: RefCell<BTreeMap<RepoPath, Option<Rc<Value>>>>,
    left: Cell<usize>,
}

impl<'f> VarsReader<'f> {
    pub(in crate::pipeline) fn new(files: &'f dyn ValueFiles) -> VarsReader<'f> {
        VarsReader { files, known: RefCell::default(), left: Cell::new(MAX_BYTES) }
    }

    /// The files that were there, sorted.
    pub(in crate::pipeline) fn found(self) -> Vec<RepoPath> {
        let known = self.known.into_inner().into_iter();
        known.filter(|(_, value)| value.is_some()).map(|(file, _)| file).collect()
    }

    fn read(&self, mark: Mark, file: &RepoPath) -> Result<Option<Rc<Value>>, Failure> {
        if let Some(known) = self.known.borrow().get(file) {
            return Ok(known.clone());
        }
        let bytes = self
            .files
            .read(file)
            .map_err(|reason| (mark, PipelineProblem::VarsUnreadable { file: file.clone(), reason }))?;
        let value = match bytes {
            None => None,
            Some(bytes) => {
                let what = "bytes of files with values";
                let left = self.left.get().checked_sub(bytes.len());
                self.left.set(left.ok_or((mark, PipelineProblem::TooMany { limit: MAX_BYTES, what }))?);
                let value = values::read(file, &bytes);
                let value = value.map_err(|error| Failure::There(Box::new(error.map(Into::into))))?;
                Some(Rc::new(value))
            }
        };
        self.known.borrow_mut().insert(file.clone(), value.clone());
        Ok(value)
    }
}

/// The values that templates may name.
#[derive(Clone)]
pub(in crate::pipeline) struct Values {
    root: Value,
    /// Where each key at the top came from, for messages.
    origins: HashMap<Box<str>, Rc<str>>,
    /// Files of which all is in `root`.
    whole: Vec<RepoPath>,
}

impl Values {
    /// None.
    pub(in crate::pipeline) fn empty() -> Values {
        Values { root: Value::Map(Entries::new()), origins: HashMap::new(), whole: Vec::new() }
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// How many keys and values there are.
    pub(in crate::pipeline) fn size(&self) -> usize {
        size_of(&self.root)
    }

    /// Adds the values of `params.yaml`, if it is there.
    pub(in crate::pipeline) fn add_default(
        &mut self,
        reader: &VarsReader<'_>,
        file: RepoPath,
    ) -> Result<(), Failure> {
        let Some(value) = reader.read(Mark::default(), &file)? else { return Ok(()) };
        if let Value::Map(entries) = &*value {
            self.merge(Mark::default(), entries, &format!("`{file}`"))?;
        }
        self.whole.push(file);
        Ok(())
    }

    /// Adds what `vars` of `map` names; paths are relative to `folder`. Nothing in it is a template.
    pub(in crate::pipeline) fn add(
        &mut self,
        reader: &VarsReader<'_>,
        map: &Map<'_>,
        folder: &RepoPath,
        budget: &Budget,
    ) -> Result<(), Failure> {
        for item in crate::pipeline::parse::list(map, "vars")? {
            // Costs of merging: a key of a map may meet each key that is there.
            budget.steps(item.mark, self.size())?;
            match item.map() {
                Some(_) => {
                    if let Value::Map(entries) = Value::of(item) {
                        self.merge(item.mark, &entries, &format!("line {}", item.mark.line))?;
                    }
                }
                None => self.add_file(reader, item, folder, budget)?,
            }
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        reader: &VarsReader<'_>,
        item: &Node<'_>,
        folder: &RepoPath,
        budget: &Budget,
    ) -> Result<(), Failure> {
        const EXPECTED: &str = "a list of files and maps";
        let mark = item.mark;
        let written = crate::pipeline::parse::text_at(item, "vars", EXPECTED)?;
        let (written, keys) = match written.split_once(':') {
            Some((file, keys)) if !keys.starts_with("//") => (file, Some(keys)),
            _ => (written, None),
        };
        let file = crate::pipeline::parse::path(folder, mark, written)?;
        if self.whole.contains(&file) {
            return Ok(());
        }
        let value = reader.read(mark, &file)?;
        let value = value.ok_or_else(|| (mark, PipelineProblem::NoVarsFile { file: file.clone() }))?;
        budget.steps(mark, size_of(&value))?;
        let Value::Map(entries) = &*value else { return Ok(()) };
        let origin = format!("`{file}`");
        let Some(keys) = keys else {
            self.whole.push(file);
            return Ok(self.merge(mark, entries, &origin)?);
        };
        for key in keys.split(',').map(str::trim) {
            let path: KeyPath = key
                .parse()
                .map_err(|reason| (mark, PipelineProblem::ParamKey { key: short(key), reason }))?;
            let missing = || (mark, PipelineProblem::NoVarsKey { file: file.clone(), key: short(key) });
            let found = path.find(&value).ok_or_else(missing)?.clone();
            // `a.b` of a file is `a.b` to templates too.
            let nested = key.rsplit('.').fold(found, |inner, part| Value::Map(vec![(part.into(), inner)]));
            if let Value::Map(entries) = nested {
                self.merge(mark, &entries, &origin)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, mark: Mark, entries: &Entries, origin: &str) -> Result<(), Refusal> {
        let Value::Map(root) = &mut self.root else { return Ok(()) };
        let origin: Rc<str> = origin.into();
        merge(root, entries).map_err(|key| {
            let top = super::text::split_first(&key).0;
            let first = self.origins.get(top).map_or("another file", |first| first);
            (mark, PipelineProblem::VarTwice { key: short(&key), first: first.into() })
        })?;
        for (key, _) in entries {
            self.origins.entry(key.clone()).or_insert_with(|| origin.clone());
        }
        Ok(())
    }
}

/// Maps are merged, other values stand once. Fails with the key that stands twice.
fn merge(into: &mut Entries, from: &Entries) -> Result<(), String> {
    let known: HashMap<Box<str>, usize> =
        into.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
    for (key, value) in from {
        match (known.get(key), value) {
            (None, value) => into.push((key.clone(), value.clone())),
            (Some(&at), Value::Map(more)) => match &mut into[at].1 {
                Value::Map(there) => merge(there, more).map_err(|inner| format!("{key}.{inner}"))?,
                _ => return Err(key.to_string()),
            },
            (Some(_), _) => return Err(key.to_string()),
        }
    }
    Ok(())
}
