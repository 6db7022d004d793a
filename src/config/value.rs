//! Values of the configuration: reading them from text and TOML, and refusing what a tracked
//! file may not say.

use toml_edit::{Array, Item};

use super::expand;
use super::keys::{KeyInfo, Kind, check_remote_name};
use crate::model::path::RepoPath;
use crate::model::secret::has_credential;
use crate::model::units::ByteSize;

/// A value as it stands in a file, of the right type for its key.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Text; of a secret too.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Words in order.
    Words(Vec<String>),
}

/// Why a value cannot be used, as the end of a sentence that names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueProblem {
    /// Another type is needed.
    #[error("must be {0}")]
    Type(&'static str),
    /// A number out of bounds.
    #[error("must be a whole number from {0} to {1}")]
    Bounds(i64, i64),
    /// Not one of the words.
    #[error("must be {}", one_of(.0))]
    Word(&'static [&'static str]),
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// A control character, which no value needs.
    #[error("has a control character")]
    Control,
    /// A word named twice.
    #[error("names `{0}` twice")]
    Twice(String),
    /// Not a name that a remote can have.
    #[error("must be the name of a remote")]
    RemoteName,
    /// A credential in a URL, in a tracked file.
    #[error("holds a password or a token, and the file is tracked by git")]
    Credential,
    /// A key that a tracked file may not set.
    #[error("cannot be set in a file that is tracked by git")]
    Private,
    /// A cache outside of the repository, in a tracked file.
    #[error("leads out of the repository, and the file is tracked by git")]
    Outside,
    /// A variable that a tracked file may not use.
    #[error("uses `${{{0}}}`, and in a file tracked by git only names that start with MLV_VAR_ are expanded")]
    Variable(String),
    /// A `${` without its end, or around something that is no name.
    #[error("has `${{` without a variable's name and `}}` after it")]
    Expansion,
}

impl ValueProblem {
    /// Whether the value would do in a file that git does not track.
    pub fn is_about_tracking(&self) -> bool {
        matches!(
            self,
            ValueProblem::Credential
                | ValueProblem::Private
                | ValueProblem::Outside
                | ValueProblem::Variable(_)
        )
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

impl Value {
    /// Reads what a user typed or an environment variable holds.
    pub fn from_text(info: &KeyInfo, text: &str) -> Result<Value, ValueProblem> {
        let value = match info.kind {
            Kind::Bool => Value::Bool(parse_bool(text).ok_or(ValueProblem::Type("`true` or `false`"))?),
            Kind::BoolOrPath => parse_bool(text).map_or_else(|| Value::Text(text.to_owned()), Value::Bool),
            Kind::Integer(low, high) => {
                Value::Integer(text.trim().parse().map_err(|_| ValueProblem::Bounds(low, high))?)
            }
            Kind::Words(_) => Value::Words(text.split(',').map(|word| word.trim().to_owned()).collect()),
            _ => Value::Text(text.to_owned()),
        };
        value.check(info)
    }

    /// Reads an item of a TOML file; numbers and booleans may be quoted.
    pub(super) fn from_toml(info: &KeyInfo, item: &Item) -> Result<Value, ValueProblem> {
        if let Some(text) = item.as_str() {
            return Value::from_text(info, text);
        }
        let wrong = ValueProblem::Type(type_name(info.kind));
        let value = match (info.kind, item) {
            (Kind::Bool | Kind::BoolOrPath, item) => Value::Bool(item.as_bool().ok_or(wrong)?),
            (Kind::Integer(..), item) => Value::Integer(item.as_integer().ok_or(wrong)?),
            (Kind::Size, item) => Value::Text(item.as_integer().ok_or(wrong)?.to_string()),
            (Kind::Words(_), item) => {
                let words = item.as_array().ok_or(wrong.clone())?.iter();
                let words: Option<Vec<String>> = words.map(|word| word.as_str().map(str::to_owned)).collect();
                Value::Words(words.ok_or(wrong)?)
            }
            _ => return Err(wrong),
        };
        value.check(info)
    }

    pub(super) fn to_toml(&self) -> toml_edit::Value {
        match self {
            Value::Text(text) => text.as_str().into(),
            Value::Bool(on) => (*on).into(),
            Value::Integer(number) => (*number).into(),
            Value::Words(words) => Array::from_iter(words.iter().map(String::as_str)).into(),
        }
    }

    /// The value as a user would type it; callers mask secrets.
    pub(super) fn to_text(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Bool(on) => on.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Words(words) => words.join(","),
        }
    }

    fn check(self, info: &KeyInfo) -> Result<Value, ValueProblem> {
        match (&self, info.kind) {
            (Value::Integer(number), Kind::Integer(low, high)) if !(low..=high).contains(number) => {
                return Err(ValueProblem::Bounds(low, high));
            }
            (Value::Text(text), kind) => check_text(text, kind)?,
            (Value::Words(words), Kind::Words(known)) => check_words(words, known)?,
            _ => {}
        }
        Ok(self)
    }

    /// Refuses what must not come from a file that other people may have written.
    pub(super) fn check_tracked(&self, info: &KeyInfo) -> Result<(), ValueProblem> {
        if info.is_private {
            return Err(ValueProblem::Private);
        }
        let Value::Text(text) = self else { return Ok(()) };
        if let Some(name) = expand::variables(text).find(|name| !name.starts_with("MLV_VAR_")) {
            return Err(ValueProblem::Variable(name.to_owned()));
        }
        match info.kind {
            Kind::Url if has_credential(text) => Err(ValueProblem::Credential),
            // What a variable makes of it is not known here, so none is allowed.
            Kind::Folder if !is_inside(text) => Err(ValueProblem::Outside),
            _ => Ok(()),
        }
    }
}

fn check_text(text: &str, kind: Kind) -> Result<(), ValueProblem> {
    if text.is_empty() {
        return Err(ValueProblem::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(ValueProblem::Control);
    }
    expand::check(text)?;
    match kind {
        Kind::Word(known) if !known.contains(&text) => Err(ValueProblem::Word(known)),
        Kind::Size if text.parse::<ByteSize>().is_err() => Err(ValueProblem::Type(type_name(kind))),
        Kind::RemoteName if check_remote_name(text).is_err() => Err(ValueProblem::RemoteName),
        _ => Ok(()),
    }
}

fn check_words(words: &[String], known: &'static [&'static str]) -> Result<(), ValueProblem> {
    for (at, word) in words.iter().enumerate() {
        if !known.contains(&word.as_str()) {
            return Err(ValueProblem::Word(known));
        }
        if words[..at].contains(word) {
            return Err(ValueProblem::Twice(word.clone()));
        }
    }
    if words.is_empty() { Err(ValueProblem::Empty) } else { Ok(()) }
}

/// Whether a folder, relative to the root, cannot lie outside of the repository or in `.git`.
fn is_inside(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let below = text.strip_prefix(".mlv/").unwrap_or(text);
    expand::variables(text).next().is_none() && !below.starts_with('~') && RepoPath::parse(below).is_ok()
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "`true` or `false`",
        Kind::BoolOrPath => "`true`, `false` or a path",
        Kind::Integer(..) => "a whole number",
        Kind::Size => "a number of bytes, such as `128 KiB`",
        Kind::Words(_) => "a list of words",
        _ => "text",
    }
}
