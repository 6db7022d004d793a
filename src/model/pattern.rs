//! Patterns among the dependencies of a stage: `data/*.csv`.
//!
//! A part of a path is a name, a pattern of names (`*`, `?`, `[a-z]`; a leading dot must be written), or
//! `**`, any number of folders. What is there under exactly the name that is written is meant, and nothing
//! else: a file called `a[1].csv` is named so. Elsewhere `[[]` stands for the bracket.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::model::path::RepoPath;

/// What makes a written path a pattern.
const WILD: [char; 3] = ['*', '?', '['];

/// A pattern of paths of the repository.
#[derive(Clone)]
pub struct PathPattern {
    path: RepoPath,
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    Name(Box<str>),
    Names {
        matcher: GlobMatcher,
        hidden: bool,
    },
    /// `**`.
    Folders,
}

impl PathPattern {
    /// Whether a written path is one.
    pub fn is_one(written: &str) -> bool {
        written.contains(WILD)
    }

    /// The pattern `path`, of which the first `literal` parts are names, whatever is in them.
    pub fn new(path: RepoPath, literal: usize) -> Result<PathPattern, globset::Error> {
        let part = |(at, text): (usize, &str)| Part::new(text, at < literal);
        let parts: Result<_, _> = path.components().enumerate().map(part).collect();
        Ok(PathPattern { parts: parts?, path })
    }

    /// What is written, as a path.
    pub fn as_path(&self) -> &RepoPath {
        &self.path
    }

    /// The folder in which all is that it matches.
    pub fn base(&self) -> RepoPath {
        let names = self.parts.iter().take_while(|part| matches!(part, Part::Name(_))).count();
        let names = names.min(self.parts.len().saturating_sub(1));
        let components = self.path.components().take(names);
        components.fold(RepoPath::root(), |folder, name| folder.join_entry(name))
    }

    /// Whether it matches `path`.
    pub fn matches(&self, path: &RepoPath) -> bool {
        self.follow(path).last().is_some_and(|reached| reached.end)
    }

    /// Whether `path` matches, or is what is written.
    pub fn may_be(&self, path: &RepoPath) -> bool {
        self.path == *path || self.matches(path)
    }

    /// The shortest of `path` and the folders above it that it matches.
    pub fn outermost(&self, path: &RepoPath) -> Option<RepoPath> {
        let depth = self.follow(path).position(|reached| reached.end)? + 1;
        Some(path.components().take(depth).fold(RepoPath::root(), |folder, name| folder.join_entry(name)))
    }

    /// Whether it may match something in the folder `path`.
    pub fn leads_into(&self, path: &RepoPath) -> bool {
        self.follow(path).last().is_none_or(|reached| reached.open != 0)
    }

    /// Whether what it matches may be, lie in, or hold the output `out` of a stage.
    ///
    /// `**` goes into no output: nobody knows what is in one before it is made, and every output would be an
    /// input of a stage that reads `**/*.py`.
    pub fn touches(&self, out: &RepoPath) -> bool {
        let is_written = || self.path.starts_with(out) || out.starts_with(&self.path);
        self.goes_into(out) || is_written() || self.follow(out).any(|reached| reached.end)
    }

    fn goes_into(&self, out: &RepoPath) -> bool {
        let mut names = out.components();
        let mut parts = self.parts.iter();
        for name in names.by_ref() {
            match parts.next() {
                Some(part) if part.is_one_level() && part.matches(name) => {}
                _ => return false,
            }
        }
        parts.next().is_some()
    }

    /// How far it leads along `path`, after each name.
    fn follow<'a>(&'a self, path: &'a RepoPath) -> impl Iterator<Item = Reached> + 'a {
        let mut open = self.skipped(1);
        path.components().map(move |name| {
            let reached = self.step(open, name);
            open = reached.open;
            reached
        })
    }

    fn step(&self, open: u128, name: &str) -> Reached {
        let mut next = Reached { open: 0, end: false };
        for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| open & (1 << at) != 0) {
            if part.matches(name) {
                match at + 1 < self.parts.len() {
                    true => next.open |= 1 << (at + 1),
                    false => next.end = true,
                }
                next.open |= if part.is_one_level() { 0 } else { 1 << at };
            }
        }
        next.open = self.skipped(next.open);
        next
    }

    /// The same, where `**` stands for no folder at all; not in the end.
    fn skipped(&self, mut open: u128) -> u128 {
        for (at, part) in self.parts.iter().enumerate().take(self.parts.len().saturating_sub(1)) {
            if open & (1 << at) != 0 && !part.is_one_level() {
                open |= 1 << (at + 1);
            }
        }
        open
    }
}

/// Where in a pattern one may be after some names of a path. A path has at most 128 parts.
#[derive(Clone, Copy)]
struct Reached {
    /// Bit by bit the parts that the next name may be.
    open: u128,
    /// Whether it is all of the pattern.
    end: bool,
}

impl Part {
    fn new(text: &str, literal: bool) -> Result<Part, globset::Error> {
        if literal || !PathPattern::is_one(text) {
            return Ok(Part::Name(text.into()));
        }
        if text == "**" {
            return Ok(Part::Folders);
        }
        // Braces are characters like others here.
        let text = text.replace('{', "[{]").replace('}', "[}]");
        let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(false).build()?;
        Ok(Part::Names { matcher: glob.compile_matcher(), hidden: text.starts_with('.') })
    }

    fn is_one_level(&self) -> bool {
        !matches!(self, Part::Folders)
    }

    /// Whether it is, or may be, the name of this one folder or file.
    fn matches(&self, name: &str) -> bool {
        match self {
            Part::Name(own) => **own == *name,
            Part::Names { matcher, hidden } => (*hidden || !name.starts_with('.')) && matcher.is_match(name),
            Part::Folders => !name.starts_with('.'),
        }
    }
}

// By what is written: a matcher cannot be compared, and follows from it.
impl PartialEq for PathPattern {
    fn eq(&self, other: &PathPattern) -> bool {
        self.path == other.path
    }
}

impl Eq for PathPattern {}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathPattern").field(&self.path).finish()
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> RepoPath {
        RepoPath::parse(path).unwrap()
    }

    fn pattern(text: &str) -> PathPattern {
        PathPattern::new(at(text), 0).unwrap()
    }

    #[test]
    fn parts_match_names_and_two_stars_any_number_of_folders() {
        for (text, path, is_match) in [
            ("data/*.csv", "data/a.csv", true),
            ("data/*.csv", "data/.csv", false),
            ("data/.*", "data/.csv", true),
            ("data/*.csv", "data/sub/a.csv", false),
            ("data/*.csv", "other/a.csv", false),
            ("*/a?", "x/ab", true),
            ("*", "x/ab", false),
            ("**/*.py", "a.py", true),
            ("**/*.py", "x/y/a.py", true),
            ("**/*.py", "x/.y/a.py", false),
            ("src/**", "src", false),
            ("src/**", "src/a", true),
            ("src/**", "src/a/b", true),
            ("src/**/a/**/b", "src/a/b", true),
            ("src/**/a/**/b", "src/x/a/y/a/z/b", true),
            ("src/**/a/**/b", "src/x/y/b", false),
            ("a[[]1].csv", "a[1].csv", true),
            ("a[1].csv", "a1.csv", true),
            ("a[1].csv", "a[1].csv", false),
            ("a{1,2}*", "a{1,2}3", true),
            ("a{1,2}*", "a1", false),
        ] {
            assert_eq!(pattern(text).matches(&at(path)), is_match, "{text} {path}");
        }
        assert!(PathPattern::new(at("a/[b"), 0).is_err());
        // The folder that a stage runs in is what it is.
        let below = PathPattern::new(at("a[1]/*.csv"), 1).unwrap();
        assert!(below.matches(&at("a[1]/x.csv")) && !below.matches(&at("a1/x.csv")));
    }

    #[test]
    fn folder_above_all_that_is_matched_is_known_and_where_to_look_in_it() {
        for (text, base) in [("data/a/*.csv", "data/a"), ("data/*/x", "data"), ("*", ""), ("**/x", "")] {
            assert_eq!(pattern(text).base().as_str(), base, "{text}");
        }
        for (text, folder, leads) in [
            ("data/*/x", "data", true),
            ("data/*/x", "data/a", true),
            ("data/*/x", "data/a/x", false),
            ("data/*/x", "other", false),
            ("data/**", "data/a/b", true),
            ("**/x", ".hidden", false),
        ] {
            assert_eq!(pattern(text).leads_into(&at(folder)), leads, "{text} {folder}");
        }
        assert_eq!(pattern("data/*").outermost(&at("data/a/b")), Some(at("data/a")));
        assert_eq!(pattern("data/*").outermost(&at("data")), None);
    }

    #[test]
    fn outputs_that_it_may_read_are_told() {
        for (text, out, touches) in [
            ("data/*.csv", "data/a.csv", true),
            ("data/*.csv", "data/a.bin", false),
            ("data/*.csv", "data", true),
            ("data/*", "data/sub/deep", true),
            ("features/*/*.csv", "features/us", true),
            ("**/*.py", "model", false),
            ("**/*.py", "gen/a.py", true),
            ("src/**", "src/gen/a.py", true),
            ("src/**/*.py", "src/gen", false),
            ("src/**/*.py", "src", true),
            ("a[1].csv", "a[1].csv", true),
        ] {
            assert_eq!(pattern(text).touches(&at(out)), touches, "{text} {out}");
        }
    }
}
