//! YAML text as a tree of nodes that know their place, within limits.
//!
//! A loader of our own over the event parser, because each format needs the exact place of
//! every key (for errors and for edits that keep comments), limits that count nodes *after*
//! aliases, and refusals that a deserialiser cannot express. Scalars stay text here; what
//! YAML makes of them is [`Value`](crate::model::value::Value)'s business, and paths and
//! hashes are text whatever YAML would make of them.

use std::borrow::Cow;

use crate::model::place::{Located, Mark, Problem};

mod load;

/// How much of everything a text may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file, and bytes of text that aliases may add.
    pub bytes: usize,
    /// Nested lists and maps.
    pub depth: usize,
    /// Scalars, lists, maps and keys, after aliases.
    pub nodes: usize,
    /// Lines, blank ones and comments included.
    pub lines: usize,
    /// Whether anchors and aliases are allowed.
    pub anchors: bool,
}

impl Limits {
    /// Those of `mlv.yaml` and parameter files.
    pub const PIPELINE: Limits =
        Limits { bytes: 8 << 20, depth: 64, nodes: 100_000, lines: 1_000_000, anchors: true };
    /// Those of pointers.
    pub const POINTER: Limits =
        Limits { bytes: 1 << 20, depth: 64, nodes: 100_000, lines: 100_000, anchors: false };
    /// Those of `mlv.lock`.
    pub const LOCK: Limits =
        Limits { bytes: 64 << 20, depth: 64, nodes: 1_000_000, lines: 2_000_000, anchors: false };
}

/// A scalar, list or map, and where it stands.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Its first character and its bytes (of a list or map: only the start is exact).
    pub mark: Mark,
    /// What it is.
    pub data: Data<'a>,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// Text, and whether it was written without quotes.
    Scalar {
        /// The text, unescaped.
        text: Cow<'a, str>,
        /// Written without quotes, so that YAML may see a number, a truth value or null in it.
        plain: bool,
    },
    /// A list.
    List(Vec<Node<'a>>),
    /// A map in the order of the file, each key once.
    Map(Map<'a>),
}

/// A map's entries in the order of the file.
#[derive(Clone, Debug)]
pub struct Map<'a> {
    /// Keys and values, each key once.
    pub entries: Vec<(Key<'a>, Node<'a>)>,
    /// Written with braces on one or more lines, not one entry a line.
    pub flow: bool,
}

/// The key of a map entry.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    /// Where it stands.
    pub mark: Mark,
    /// Its text.
    pub text: Cow<'a, str>,
    /// Written without quotes.
    pub plain: bool,
}

/// Why a text is refused before anybody looks at its meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum YamlProblem {
    /// Bytes that are not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    /// More bytes than the limit.
    #[error("the file is larger than the limit of {limit} bytes, aliases included")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// More lines than the limit.
    #[error("the file has more lines than the limit of {limit}")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// Nesting beyond the limit.
    #[error("lists and maps are nested deeper than the limit of {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More nodes than the limit, aliases included.
    #[error("more than the limit of {limit} keys and values, aliases included")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// Not YAML.
    #[error("this is no YAML: {detail}")]
    Syntax {
        /// What the parser says.
        detail: Box<str>,
    },
    /// git's conflict markers.
    #[error("a conflict marker (possible merge conflict)")]
    ConflictMarker,
    /// One key twice in a map.
    #[error("the key `{key}` stands here a second time")]
    DuplicateKey {
        /// The key.
        key: Box<str>,
    },
    /// A key that is a list or a map.
    #[error("a key must be a single value")]
    KeyNotScalar,
    /// A tag.
    #[error("YAML tags are not allowed here")]
    Tag,
    /// An anchor or alias where none is allowed.
    #[error("YAML anchors, aliases and merge keys are not allowed here")]
    Anchor,
    /// An alias that names a value it is a part of, or none.
    #[error("the alias names a value that it is a part of")]
    EndlessAlias,
    /// A merge key whose value is no map.
    #[error("the value of `<<` must be a map or a list of maps")]
    MergeKey,
    /// A second document.
    #[error("the file must hold one YAML document")]
    SecondDocument,
    /// Nothing but comments.
    #[error("the file is empty")]
    Empty,
}

impl Problem for YamlProblem {
    fn hint(&self) -> Option<String> {
        match self {
            YamlProblem::ConflictMarker => Some("resolve the merge conflict in the file".into()),
            _ => None,
        }
    }
}

/// A YAML problem at its place.
pub type YamlError = Located<YamlProblem>;

/// The text of a file: UTF-8 within the limits of bytes and lines, without a byte order mark.
pub fn text_of<'a>(file: &str, bytes: &'a [u8], limits: Limits) -> Result<&'a str, YamlError> {
    let whole = |problem| Located::new(file, "", Mark::default(), problem);
    if bytes.len() > limits.bytes {
        return Err(whole(YamlProblem::TooLarge { limit: limits.bytes }));
    }
    // Blank lines cost the parser as much as full ones: 64 MiB of them took 3 s.
    if bytes.iter().filter(|byte| **byte == b'\n').count() > limits.lines {
        return Err(whole(YamlProblem::TooManyLines { limit: limits.lines }));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let line = 1 + good.bytes().filter(|byte| *byte == b'\n').count() as u32;
        Located::new(file, "", Mark { line, ..Mark::default() }, YamlProblem::NotUtf8)
    })
}

/// Reads the one document of `text`, which [`text_of`] returned.
pub fn load<'a>(file: &str, text: &'a str, limits: Limits) -> Result<Node<'a>, YamlError> {
    if let Some(line) = conflict_marker(text) {
        let mark = Mark { line, column: 1, ..Mark::default() };
        return Err(Located::new(file, text, mark, YamlProblem::ConflictMarker));
    }
    load::document(text, limits).map_err(|(mark, problem)| Located::new(file, text, mark, problem))
}

/// The line of the first conflict marker, if git left any.
pub fn conflict_marker(text: &str) -> Option<u32> {
    let mut first = None;
    for (index, line) in text.split('\n').enumerate() {
        // Both ends must be there: a lone `=======` or `>>>>>>> ` may be prose.
        if line.starts_with("<<<<<<< ") {
            first = first.or(Some(index as u32 + 1));
        } else if line.starts_with(">>>>>>> ") && first.is_some() {
            return first;
        }
    }
    None
}

impl<'a> Map<'a> {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The entry of `key`.
    pub fn entry(&self, key: &str) -> Option<&(Key<'a>, Node<'a>)> {
        self.entries.iter().find(|(found, _)| found.text == key)
    }
}

impl<'a> Node<'a> {
    /// The text of a scalar, whatever YAML would make of it.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar without quotes.
    pub fn plain(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Option<&[Node<'a>]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn map(&self) -> Option<&Map<'a>> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether this is an empty scalar, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// A truth value.
    pub fn bool(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// A bare decimal number from 0 to 2^63 - 1.
    pub fn count(&self) -> Option<u64> {
        let text = self.plain()?;
        let canonical = text == "0" || !text.starts_with('0');
        if !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().filter(|count| *count <= i64::MAX as u64)
    }

    /// What it is, for messages: "a list".
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Scalar { .. } if self.is_null() => "nothing",
            Data::Scalar { .. } => "a single value",
        }
    }

    /// What it is, a single value as it stands there: "a list", "`3`", "the text `yes`".
    pub fn description(&self) -> Box<str> {
        const SHOWN: usize = 40;
        let Some(text) = self.text().filter(|_| !self.is_null()) else { return self.kind().into() };
        let is_text = self.bool().is_none() && self.plain().is_none_or(|text| text.parse::<f64>().is_err());
        let what = if is_text { "the text " } else { "" };
        let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
        format!("{what}`{}{more}`", text.chars().take(SHOWN).collect::<String>()).into()
    }
}

#[cfg(test)]
mod tests;
