//! A map in a command: `${train}` becomes `--lr 0.1 --layers 64 32`, as DVC does it.

use crate::model::place::{Mark, short};
use crate::model::shell;
use crate::model::value::{Entries, Value};
use crate::pipeline::parse::problem::{PipelineProblem, Refusal};
use crate::pipeline::template::{Scope, kind, scalar_text};

/// What an option costs besides its text, in bytes: it is made of several small texts.
const OPTION: usize = 32;

impl Scope<'_> {
    /// Appends the options that `entries` stand for. Costs of what is appended are the caller's;
    /// of the names of nested maps, which it may have to make very often, this function's.
    pub(super) fn unpack(&self, mark: Mark, entries: &Entries, out: &mut String) -> Result<(), Refusal> {
        let mut options = Vec::new();
        self.options(mark, entries, "", &mut options)?;
        out.push_str(&options.join(" "));
        Ok(())
    }

    fn options(
        &self,
        mark: Mark,
        entries: &Entries,
        prefix: &str,
        options: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        for (key, value) in entries {
            self.budget.steps(mark, 1)?;
            let name = if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
            self.budget.bytes(mark, OPTION + name.len())?;
            let option = format!("--{}", shell::word(&name));
            match value {
                Value::Map(inner) => self.options(mark, inner, &name, options)?,
                Value::Bool(false) => {}
                Value::Bool(true) => options.push(option),
                Value::List(items) if items.is_empty() => {}
                Value::List(items) => {
                    options.push(option);
                    for item in items {
                        self.budget.steps(mark, 1)?;
                        options.push(argument(item).ok_or_else(|| {
                            (mark, PipelineProblem::NotAnOption { key: short(&name), found: kind(item) })
                        })?);
                    }
                }
                value => {
                    options.push(option);
                    options.extend(argument(value));
                }
            }
        }
        Ok(())
    }
}

/// A scalar as a word for the shell; a text always in quotes.
fn argument(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(shell::quoted(text)),
        value => scalar_text(value).map(|text| text.into_owned()),
    }
}
