//! What a failed command says: `error:`, `cause:` and `hint:` lines, or a JSON document.
//!
//! Any layer's error becomes a [`CliError`] through [`Advice`]: message and causes from its
//! `Display` and sources, kind and hints from the layer that knows. Exit codes come from the
//! table of kinds.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::cli::render::{Viewpoint, count, shell_word};
use crate::cli::ui::Text;
use crate::error::{Advice, ErrorKind, Hint};

/// A failed command.
#[derive(Debug)]
pub(crate) struct CliError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    subject: Option<String>,
    hints: Vec<Hint>,
    failures: Vec<Failure>,
    /// Whether the message says what the only failure says.
    is_said: bool,
    /// The paths that message and hints quote relative to the repository's root.
    quoted: Vec<String>,
}

/// One of several things that failed while others were done.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The path, or the name of what failed.
    pub(crate) path: String,
    /// Why, for scripts.
    pub(crate) kind: ErrorKind,
    /// Why, for people: the message and its causes on one line.
    pub(crate) message: String,
    /// The paths that the message quotes relative to the repository's root.
    quoted: Vec<String>,
}

impl Failure {
    /// The failure of `path` because of `error`.
    pub(crate) fn of(path: impl Display, error: &dyn Advice) -> Failure {
        let (message, causes) = chain(error);
        let message = one_line(&message, &causes);
        Failure { path: path.to_string(), kind: error.kind(), message, quoted: error.quoted() }
    }

    fn document(&self) -> Value {
        json!({ "path": self.path, "kind": self.kind.info().name, "message": self.message })
    }
}

impl CliError {
    /// A failure that the command line itself found.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> CliError {
        CliError(Box::new(Parts {
            kind,
            message: message.into(),
            causes: Vec::new(),
            subject: None,
            hints: Vec::new(),
            failures: Vec::new(),
            is_said: false,
            quoted: Vec::new(),
        }))
    }

    /// What a layer's error says.
    pub(crate) fn of(error: &dyn Advice) -> CliError {
        let (message, causes) = chain(error);
        let (kind, subject, hints) = (error.kind(), error.subject(), error.hints());
        let quoted = error.quoted();
        let failure = |(path, message)| Failure { path, kind, message, quoted: Vec::new() };
        let failures = error.affected().into_iter().map(failure).collect();
        CliError(Box::new(Parts { kind, message, causes, subject, hints, failures, is_said: false, quoted }))
    }

    /// Adds the list of what failed to the document. The text says it already.
    pub(crate) fn with_failures(mut self, failures: Vec<Failure>) -> CliError {
        self.0.failures = failures;
        self.0.is_said = true;
        self
    }

    /// The same with the paths of the repository as they are typed at `view`, in hints as words of
    /// a shell. The document's `path` stays as it is: it is for scripts.
    pub(crate) fn seen_from(mut self, view: &Viewpoint) -> CliError {
        let parts = &mut *self.0;
        for path in &parts.quoted {
            let shown = view.path(path);
            parts.message = replace_path(&parts.message, path, &shown);
            for hint in &mut parts.hints {
                hint.0 = replace_path(&hint.0, path, &shell_word(&shown));
            }
            for failure in parts.failures.iter_mut().filter(|failure| failure.path == *path) {
                failure.path.clone_from(&shown);
            }
        }
        for failure in &mut parts.failures {
            for path in &failure.quoted {
                failure.message = replace_path(&failure.message, path, &view.path(path));
            }
        }
        self
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: impl Display) -> CliError {
        self.0.causes.push(cause.to_string());
        self
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> CliError {
        self.0.hints.push(Hint::new(text));
        self
    }

    /// Several failures as one: their kind if they share it, the list always.
    pub(crate) fn several(failures: Vec<Failure>) -> CliError {
        let mut kinds: Vec<ErrorKind> = failures.iter().map(|failure| failure.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kind = if let [kind] = kinds[..] { kind } else { ErrorKind::Several };
        let message = format!("{} failed", count(failures.len() as u64, "path"));
        let mut error = CliError::new(kind, message);
        error.0.failures = failures;
        error
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.0.kind.info().exit_code
    }

    /// The JSON form: docs/errors.md describes it.
    pub(crate) fn document(&self) -> Value {
        let Parts { kind, message, causes, subject, hints, failures, .. } = &*self.0;
        json!({
            "error": {
                "kind": kind.info().name,
                "message": one_line(message, causes),
                "path": subject,
                "hints": hints,
                "retry": kind.info().retry,
            },
            "failed": failures.iter().map(Failure::document).collect::<Vec<_>>(),
        })
    }

    /// The text form, for stderr. A message is one line whatever names it quotes; a cause may be
    /// what another program said.
    pub(crate) fn render(&self, out: &mut Text) {
        for failure in self.0.failures.iter().filter(|_| !self.0.is_said) {
            out.bad("failed").put(": `").put(&failure.path).put("`: ").put(&failure.message).end();
        }
        out.bad("error").put(": ").put(&self.0.message).end();
        for cause in &self.0.causes {
            out.bad("cause").put(": ").lines(cause, 7).end();
        }
        for hint in &self.0.hints {
            out.hint(&hint.0);
        }
    }
}

impl<E: Advice> From<E> for CliError {
    fn from(error: E) -> CliError {
        CliError::of(&error)
    }
}

/// The error's message and those of its sources, without what an outer one has said already.
fn chain(error: &dyn Advice) -> (String, Vec<String>) {
    let message = error.to_string();
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        let said = causes.last().unwrap_or(&message);
        if !said.contains(&cause) {
            causes.push(cause);
        }
        source = error.source();
    }
    (message, causes)
}

/// The text with `path` replaced where it stands as a word, or as that of its pointer.
fn replace_path(text: &str, path: &str, shown: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        let starts = before.chars().next_back().or(replaced.chars().next_back());
        let starts = starts.is_none_or(|c| matches!(c, ' ' | '`' | '\'' | '='));
        let behind = after.strip_prefix(".mlv").unwrap_or(after);
        let ends = behind.chars().next().is_none_or(|c| matches!(c, ' ' | '`' | '\'' | ':' | ',' | ')'));
        replaced.push_str(before);
        replaced.push_str(if starts && ends { shown } else { path });
        rest = after;
    }
    replaced + rest
}

fn one_line(message: &str, causes: &[String]) -> String {
    let mut line = message.to_owned();
    for cause in causes {
        line.push_str(": ");
        line.push_str(cause);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn paths_are_replaced_as_words() {
        let replaced = |text| replace_path(text, "d/a", "../a");
        assert_eq!(replaced("`d/a` lies in `x/d/a`, d/ab"), "`../a` lies in `x/d/a`, d/ab");
        assert_eq!(replaced("mlv remove d/a.mlv && mlv add d/a"), "mlv remove ../a.mlv && mlv add ../a");
        assert_eq!(replaced("d/a:3:1: no"), "../a:3:1: no");
        assert_eq!(replaced("d/ad/a d/a"), "d/ad/a ../a");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot rename `a`")]
    struct Rename(#[source] io::Error);

    impl Advice for Rename {
        fn kind(&self) -> ErrorKind {
            ErrorKind::of_io(&self.0)
        }
        fn hints(&self) -> Vec<Hint> {
            vec![Hint::new("free some space")]
        }
        fn subject(&self) -> Option<String> {
            Some("a".into())
        }
    }

    fn full() -> Rename {
        Rename(io::Error::from(io::ErrorKind::StorageFull))
    }

    #[test]
    fn text_has_error_causes_and_hints() {
        let mut text = Text::new(false);
        CliError::from(full()).render(&mut text);
        insta::assert_snapshot!(text.as_str(), @r"
        error: cannot rename `a`
        cause: no storage space
        hint: free some space
        ");
    }

    #[test]
    fn document_has_the_documented_fields() {
        let error = CliError::from(full());
        insta::assert_snapshot!(error.document(), @r#"{"error":{"kind":"no_space","message":"cannot rename `a`: no storage space","path":"a","hints":["free some space"],"retry":true},"failed":[]}"#);
        assert_eq!(error.exit_code(), 9);
    }

    #[test]
    fn several_failures_keep_a_shared_kind() {
        let damaged = Failure {
            path: "x".into(),
            kind: ErrorKind::Damaged,
            message: "does not match".into(),
            quoted: Vec::new(),
        };
        assert_eq!(CliError::several(vec![damaged.clone(), damaged.clone()]).exit_code(), 5);
        let mixed = CliError::several(vec![damaged, Failure::of("y", &full())]);
        assert_eq!(mixed.exit_code(), 1);
        let mut text = Text::new(false);
        mixed.render(&mut text);
        insta::assert_snapshot!(text.as_str(), @r"
        failed: `x`: does not match
        failed: `y`: cannot rename `a`: no storage space
        error: 2 paths failed
        ");
    }
}
