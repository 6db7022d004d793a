//! `.mlvignore`: which names mlv leaves out, in gitignore's grammar, one file a folder.
//!
//! The file nearest to a path decides; a folder that is left out takes everything in it along.
//! Files are read when the first path below their folder is asked about. The matcher is linear
//! in the length of the path, whatever the pattern.

use std::collections::HashMap;
use std::path::Path;
use std::string::FromUtf8Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::dir::Dir;
use super::error::Error;
use crate::model::path::RepoPath;

/// The name of the files.
pub const IGNORE_FILE: &str = ".mlvignore";
/// Largest ignore file, in bytes.
pub const MAX_SIZE: u64 = 1 << 20;
/// Most patterns in one file.
pub const MAX_PATTERNS: usize = 20_000;

/// The ignore files of one work tree, read as they are needed.
pub struct IgnoreFiles<'d> {
    dir: &'d Dir,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    levels: HashMap<Box<str>, Arc<Level>>,
    /// The folder asked about last: a walk asks of all names of a folder in a row.
    last: Option<(Box<str>, Arc<Level>)>,
    errors: Vec<Error>,
}

/// The rules that hold in one folder.
struct Level {
    /// Bytes of a path below that belong to the folder, with its `/`.
    cut: usize,
    rules: Option<Rules>,
    above: Option<Arc<Level>>,
}

enum Rules {
    /// Plain names without wildcards, as most files have: a lookup instead of a match. The
    /// value says whether only folders are meant.
    Names(HashMap<Box<str>, bool>),
    Patterns(Box<Gitignore>),
}

impl<'d> IgnoreFiles<'d> {
    /// Reads nothing yet. `dir` is the root of the work tree.
    pub fn new(dir: &'d Dir) -> IgnoreFiles<'d> {
        IgnoreFiles { dir, state: Mutex::default() }
    }

    /// Whether the name `path` (relative to the root) is left out by itself.
    ///
    /// A walk that does not enter what is left out needs no more.
    pub fn is_ignored(&self, path: &str, is_dir: bool) -> bool {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut level = Some(self.level(folder));
        while let Some(here) = level {
            if let Some(verdict) =
                here.rules.as_ref().and_then(|rules| rules.verdict(&path[here.cut..], is_dir))
            {
                return verdict;
            }
            level = here.above.clone();
        }
        false
    }

    /// Whether `path` or a folder above it is left out.
    pub fn is_below_ignored(&self, path: &RepoPath, is_dir: bool) -> bool {
        let path = path.as_str();
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        folders.any(|folder| self.is_ignored(folder, true)) || self.is_ignored(path, is_dir)
    }

    /// Takes what was wrong with the files read so far: those count as if they were not there.
    pub fn take_errors(&self) -> Vec<Error> {
        std::mem::take(&mut self.lock().errors)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn level(&self, folder: &str) -> Arc<Level> {
        let mut state = self.lock();
        if let Some((_, level)) = state.last.as_ref().filter(|(last, _)| &**last == folder) {
            return level.clone();
        }
        let level = state.load(self.dir, folder);
        state.last = Some((folder.into(), level.clone()));
        level
    }
}

impl State {
    /// The level of `folder`, loaded together with those above it; no recursion.
    fn load(&mut self, dir: &Dir, folder: &str) -> Arc<Level> {
        let mut above = None;
        let ends = folder.match_indices('/').map(|(end, _)| end);
        let whole = (!folder.is_empty()).then_some(folder.len());
        for end in std::iter::once(0).chain(ends).chain(whole) {
            let folder = &folder[..end];
            let level = match self.levels.get(folder) {
                Some(level) => level.clone(),
                None => {
                    let rules = read_rules(dir, folder).unwrap_or_else(|error| {
                        self.errors.push(error);
                        None
                    });
                    let level = Level::link(folder, rules, above);
                    self.levels.insert(folder.into(), level.clone());
                    level
                }
            };
            above = Some(level);
        }
        above.unwrap_or_else(|| Level::link("", None, None))
    }
}

impl Level {
    /// A folder without a file of its own passes its parent's rules on.
    fn link(folder: &str, rules: Option<Rules>, above: Option<Arc<Level>>) -> Arc<Level> {
        match (rules, above) {
            (None, Some(above)) => above,
            (rules, above) => {
                let cut = if folder.is_empty() { 0 } else { folder.len() + 1 };
                Arc::new(Level { cut, rules, above })
            }
        }
    }
}

impl Rules {
    /// `path` is relative to the rules' folder.
    fn verdict(&self, path: &str, is_dir: bool) -> Option<bool> {
        match self {
            Rules::Names(names) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                names.get(name).filter(|folders_only| is_dir || !**folders_only).map(|_| true)
            }
            Rules::Patterns(patterns) => match patterns.matched(path, is_dir) {
                ::ignore::Match::None => None,
                ::ignore::Match::Ignore(_) => Some(true),
                ::ignore::Match::Whitelist(_) => Some(false),
            },
        }
    }
}

fn read_rules(dir: &Dir, folder: &str) -> Result<Option<Rules>, Error> {
    let path = if folder.is_empty() { IGNORE_FILE.to_owned() } else { format!("{folder}/{IGNORE_FILE}") };
    // A folder whose name is no path of mlv's is refused elsewhere.
    let Ok(path) = RepoPath::parse(&path) else { return Ok(None) };
    let bytes = match dir.read_file(&path, MAX_SIZE) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(Error::NotAFolder { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let full = dir.full(&path);
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&full, &error))?;
    parse(text.strip_prefix('\u{feff}').unwrap_or(&text), &full)
}

fn not_utf8(file: &Path, error: &FromUtf8Error) -> Error {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let pattern = String::from_utf8_lossy(error.as_bytes()).lines().nth(line).unwrap_or_default().to_owned();
    let source = ::ignore::Error::Glob { glob: None, err: "it is not UTF-8 text".to_owned() };
    Error::IgnorePattern { path: file.to_path_buf(), line: line + 1, pattern, source }
}

fn parse(text: &str, file: &Path) -> Result<Option<Rules>, Error> {
    let lines = || text.lines().map(|line| line.trim_end_matches('\r'));
    let is_pattern = |line: &&str| !line.trim_end().is_empty() && !line.starts_with('#');
    let count = lines().filter(is_pattern).count();
    if count > MAX_PATTERNS {
        return Err(Error::TooManyPatterns { path: file.to_path_buf(), limit: MAX_PATTERNS });
    }
    if count == 0 {
        return Ok(None);
    }
    let names: Option<HashMap<_, _>> = lines().filter(is_pattern).map(plain_name).collect();
    if let Some(names) = names {
        return Ok(Some(Rules::Names(names)));
    }
    let mut builder = GitignoreBuilder::new("");
    for (number, line) in lines().enumerate() {
        builder.add_line(None, line).map_err(|source| refused(file, number + 1, line, source))?;
    }
    let patterns = builder.build().map_err(|source| refused(file, 0, "", source))?;
    Ok(Some(Rules::Patterns(Box::new(patterns))))
}

fn refused(file: &Path, line: usize, pattern: &str, source: ::ignore::Error) -> Error {
    Error::IgnorePattern { path: file.to_path_buf(), line, pattern: pattern.to_owned(), source }
}

/// A pattern that means one name, at any depth, and whether it means folders only.
fn plain_name(line: &str) -> Option<(Box<str>, bool)> {
    let name = line.strip_suffix('/').unwrap_or(line);
    let is_plain = !name.is_empty() && !name.contains(['/', '*', '?', '[', '\\', '!', '{', ' ']);
    is_plain.then(|| (name.into(), name.len() < line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn nearest_file_decides_and_folders_take_their_contents_along() {
        let root = tree(&[
            (".mlvignore", "*.tmp\n/only-here\n__pycache__/\n"),
            ("data/.mlvignore", "!keep.tmp\r\n# note\r\n\r\nraw/\r\n"),
        ]);
        let dir = Dir::open(root.path()).unwrap();
        let files = IgnoreFiles::new(&dir);
        let cases = [
            ("a.tmp", false, true),
            ("data/a.tmp", false, true),
            ("data/keep.tmp", false, false),
            ("keep.tmp", false, true),
            ("only-here", false, true),
            ("data/only-here", false, false),
            ("x/__pycache__", true, true),
            ("x/__pycache__", false, false),
            ("data/raw", true, true),
            ("data/deep/raw", true, true),
            ("raw", true, false),
        ];
        for (path, is_dir, expected) in cases {
            assert_eq!(files.is_ignored(path, is_dir), expected, "{path}");
        }
        let below = RepoPath::parse("data/raw/x/y").unwrap();
        assert!(!files.is_ignored(below.as_str(), false) && files.is_below_ignored(&below, false));
        assert!(files.take_errors().is_empty());
    }

    #[test]
    fn plain_names_match_as_patterns_do() {
        let text = "Thumbs.db\n.ipynb_checkpoints/\n";
        let Some(names @ Rules::Names(_)) = parse(text, Path::new("f")).unwrap() else { panic!("plain") };
        let Some(patterns) = parse(&format!("{text}*.never\n"), Path::new("f")).unwrap() else { panic!() };
        for path in ["Thumbs.db", "a/Thumbs.db", "Thumbs.db2", "a/.ipynb_checkpoints", "x"] {
            for is_dir in [false, true] {
                assert_eq!(names.verdict(path, is_dir), patterns.verdict(path, is_dir), "{path} {is_dir}");
            }
        }
    }

    #[test]
    fn a_bad_line_and_too_many_are_named() {
        let root = tree(&[(".mlvignore", "ok\n{a\n")]);
        let dir = Dir::open(root.path()).unwrap();
        let files = IgnoreFiles::new(&dir);
        files.is_ignored("x", false);
        let errors = files.take_errors();
        if let Some(error) = errors.first() {
            assert!(error.to_string().contains(".mlvignore:2"), "{error}");
        }
        let many = "a\n".repeat(MAX_PATTERNS + 1);
        assert!(matches!(parse(&many, Path::new("f")), Err(Error::TooManyPatterns { .. })));
    }
}
