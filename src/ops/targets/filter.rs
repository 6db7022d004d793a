//! `--include` and `--exclude`: which files of what is meant.

use std::cell::Cell;

use globset::GlobMatcher;

use super::expand;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::repo::Repo;

/// The patterns as they were given.
///
/// One without a slash means every file and folder of that name, one with a slash a path from the
/// current folder; a folder means all in it. `*` and `?` stop at slashes, `**` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterOptions {
    /// Only what matches one of these; everything, if there is none.
    pub include: Vec<String>,
    /// Nothing that matches one of these.
    pub exclude: Vec<String>,
}

impl FilterOptions {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// Patterns to ask about paths.
pub struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

struct Pattern {
    text: String,
    matcher: GlobMatcher,
    is_name: bool,
    was_met: Cell<bool>,
}

impl Filter {
    /// Fails with `BadPattern` for what is no pattern.
    pub fn new(repo: &Repo, options: &FilterOptions) -> Result<Filter, OpError> {
        let patterns = |texts: &[String]| -> Result<Vec<Pattern>, OpError> {
            texts.iter().map(|text| Pattern::new(repo, text)).collect()
        };
        Ok(Filter { include: patterns(&options.include)?, exclude: patterns(&options.exclude)? })
    }

    /// Whether the file at `path` is meant.
    pub fn takes(&self, path: &RepoPath) -> bool {
        // All of them are asked: each is to mean something.
        let included = self.include.iter().filter(|pattern| pattern.matches(path)).count() > 0;
        (included || self.include.is_empty()) && !self.exclude.iter().any(|pattern| pattern.matches(path))
    }

    /// Fails with `NoMatch` if nothing matched one of the patterns to include (R14).
    pub fn check_met(&self) -> Result<(), OpError> {
        match self.include.iter().find(|pattern| !pattern.was_met.get()) {
            Some(pattern) => Err(OpError::NoMatch { target: pattern.text.clone() }),
            None => Ok(()),
        }
    }
}

impl Pattern {
    fn new(repo: &Repo, text: &str) -> Result<Pattern, OpError> {
        let bare = text.trim_end_matches('/');
        let is_name = !bare.contains('/');
        let pattern = if is_name { bare.to_owned() } else { expand::from_root(repo, bare)? };
        let matcher = expand::matcher(text, &pattern)?;
        Ok(Pattern { text: text.to_owned(), matcher, is_name, was_met: Cell::new(false) })
    }

    fn matches(&self, path: &RepoPath) -> bool {
        let text = path.as_str();
        let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
        let mut start = 0;
        for end in ends {
            let part = if self.is_name { &text[start..end] } else { &text[..end] };
            if self.matcher.is_match(part) {
                self.was_met.set(true);
                return true;
            }
            start = end + 1;
        }
        false
    }
}
