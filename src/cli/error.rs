//! What a failed command says: `error:`, `cause:` and `hint:` lines, or a JSON document.
//!
//! Any layer's error becomes a [`CliError`] through [`Advice`]: message and causes from its
//! `Display` and sources, kind and hints from the layer that knows. Exit codes come from the
//! table of kinds.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::cli::render::{Viewpoint, count, thousands};
use crate::cli::ui::Text;
use crate::error::{Advice, ErrorKind, Hint};
use crate::model::shell;
use crate::ops::OpError;

/// More failures than this are counted instead of listed, for people; the document has them all.
const LISTED: usize = 20;
/// How many remedies are shown where failures have different ones.
const HINTED: usize = 3;

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
    /// The paths that the message quotes relative to the repository's root.
    quoted: Vec<String>,
}

/// One of several things that failed while others were done.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The path from the repository's root, or the name of what failed: for scripts.
    pub(crate) path: String,
    /// The same for people.
    shown: String,
    /// Whether it is a path of the repository.
    is_path: bool,
    /// Why, for scripts.
    pub(crate) kind: ErrorKind,
    /// Why, for people: the message and its causes on one line.
    pub(crate) message: String,
    /// The path or object that the message names, if it names one.
    subject: Option<String>,
    /// What to do about it.
    hints: Vec<Hint>,
    /// The paths that the message quotes relative to the repository's root.
    quoted: Vec<String>,
}

impl Failure {
    /// The failure at `path`, relative to the repository's root, because of `error`.
    pub(crate) fn at(path: impl Display, error: &dyn Advice) -> Failure {
        Failure { is_path: true, ..Failure::of(path, error) }
    }

    /// The failure of what is called `name` because of `error`.
    pub(crate) fn of(name: impl Display, error: &dyn Advice) -> Failure {
        let (message, causes) = chain(error);
        let message = one_line(&message, &causes);
        let (kind, subject) = (error.kind(), error.subject());
        let (hints, quoted) = (error.hints(), error.quoted());
        let path = name.to_string();
        Failure { shown: path.clone(), path, is_path: false, kind, message, subject, hints, quoted }
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
        let failure = |(path, message): (String, _)| Failure {
            shown: path.clone(),
            path,
            is_path: true,
            kind,
            message,
            subject: None,
            hints: Vec::new(),
            quoted: Vec::new(),
        };
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
    /// a shell. Each `path` of the document stays as it is: it is for scripts.
    pub(crate) fn seen_from(mut self, view: &Viewpoint) -> CliError {
        let parts = &mut *self.0;
        for hint in &mut parts.hints {
            *hint = hint.with_paths(|path| shell::path(&view.path(path)));
        }
        for failure in &mut parts.failures {
            if failure.is_path {
                failure.shown = view.path(&failure.path);
            }
            failure.message = view.text(&show_quoted(&failure.message, &failure.quoted, view));
        }
        parts.message = view.text(&show_quoted(&parts.message, &parts.quoted, view));
        for cause in &mut parts.causes {
            *cause = view.text(cause);
        }
        if let Some(path) = &mut parts.subject
            && let Some(from_root) = view.below_root(path)
        {
            *path = from_root.to_owned();
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

    /// The same with one remedy for all that failed.
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> CliError {
        self.0.hints = vec![Hint::new(text)];
        self
    }

    /// Several failures as one: their kind if they share it, the list always. A single one is
    /// the error itself.
    pub(crate) fn several(failures: Vec<Failure>) -> CliError {
        CliError::several_of("path", failures)
    }

    /// The failure of a command of whose stages these failed; nothing if none did. That the user asked to
    /// stop counts more than whatever else failed.
    pub(crate) fn of_stages(failed: &[(String, OpError)]) -> Option<CliError> {
        let failures: Vec<Failure> = failed.iter().map(|(stage, error)| Failure::of(stage, error)).collect();
        let interrupted = failed.iter().find(|(_, error)| error.kind() == ErrorKind::Interrupted);
        match (interrupted, failed) {
            (None, []) => None,
            (Some((_, error)), _) | (None, [(_, error)]) => Some(CliError::of(error).with_failures(failures)),
            _ => Some(CliError::several_of("stage", failures)),
        }
    }

    /// As [`CliError::several`], of things that are no paths: `noun` is one of them.
    pub(crate) fn several_of(noun: &str, failures: Vec<Failure>) -> CliError {
        if let [only] = &failures[..] {
            return CliError::single(only).with_failures(failures);
        }
        let mut kinds: Vec<ErrorKind> = failures.iter().map(|failure| failure.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kind = if let [kind] = kinds[..] { kind } else { ErrorKind::Several };
        let message = format!("{} failed", count(failures.len() as u64, noun));
        let mut error = CliError::new(kind, message);
        for failure in &failures {
            for hint in &failure.hints {
                if error.0.hints.len() < HINTED && !error.0.hints.contains(hint) {
                    error.0.hints.push(hint.clone());
                }
            }
        }
        error.0.failures = failures;
        error
    }

    fn single(failure: &Failure) -> CliError {
        let Failure { path, kind, message, subject, hints, quoted, .. } = failure;
        let is_named = path.is_empty() || !quoted.is_empty() || message.contains(&**path);
        let message = if is_named { message.clone() } else { format!("`{path}`: {message}") };
        let mut error = CliError::new(*kind, message);
        let of_repository = subject.as_ref().filter(|_| !quoted.is_empty()).unwrap_or(path);
        error.0.subject = (!of_repository.is_empty()).then(|| of_repository.clone());
        error.0.hints.clone_from(hints);
        error.0.quoted.clone_from(quoted);
        error.0.quoted.extend(failure.is_path.then(|| path.clone()));
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
        let listed = if self.0.is_said { &[][..] } else { &self.0.failures[..] };
        for failure in listed.iter().take(LISTED) {
            out.bad("failed").put(": `").put(&failure.shown).put("`: ").put(&failure.message).end();
        }
        if listed.len() > LISTED {
            let more = thousands((listed.len() - LISTED) as u64);
            out.bad("failed").put(format!(": … and {more} more")).end();
        }
        out.bad("error").put(": ").put(&self.0.message).end();
        for cause in &self.0.causes {
            out.bad("cause").put(": ").lines(cause, 7).end();
        }
        for hint in &self.0.hints {
            out.hint(&hint.text);
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

/// The text with those of the `quoted` paths, and of their pointers, as they are typed at `view` that
/// stand between backticks or are the place in front. Elsewhere the same letters may be a word.
fn show_quoted(text: &str, quoted: &[String], view: &Viewpoint) -> String {
    let is_quoted = |part: &str| {
        quoted
            .iter()
            .any(|path| part == path || part.strip_suffix(".mlv").is_some_and(|output| output == path))
    };
    let parts = text.split('`').enumerate().map(|(at, part)| match part.split_once(':') {
        _ if at % 2 == 1 && is_quoted(part) => view.path(part),
        Some((file, rest)) if at == 0 && is_quoted(file) => format!("{}:{rest}", view.path(file)),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
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
    use crate::error::hint_path;
    use std::io;

    #[test]
    fn paths_are_shown_where_they_are_quoted() {
        let view = Viewpoint::in_folder("d");
        let shown = |text, path: &str| show_quoted(text, &[path.to_owned()], &view);
        assert_eq!(shown("`d/a` lies in `x/d/a`, d/a", "d/a"), "`a` lies in `x/d/a`, d/a");
        assert_eq!(
            shown("the data of `data` is lost: `data.mlv`", "data"),
            "the data of `../data` is lost: `../data.mlv`"
        );
        assert_eq!(shown("d/a:3:1: no", "d/a"), "a:3:1: no");
        assert_eq!(shown("`a` and `d/a`", "a"), "`../a` and `d/a`");
        let hint = Hint::new(format!("mlv fetch {}", hint_path("fetch")));
        assert_eq!(
            CliError::new(ErrorKind::Usage, "").hint(hint.text).seen_from(&view).0.hints[0].text,
            "mlv fetch ../fetch"
        );
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
            shown: "x".into(),
            is_path: true,
            kind: ErrorKind::Damaged,
            message: "does not match".into(),
            subject: None,
            hints: Vec::new(),
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
        hint: free some space
        ");
    }

    #[test]
    fn a_single_failure_is_the_error_itself() {
        let error = CliError::several(vec![Failure::of("x", &full())]);
        let mut text = Text::new(false);
        error.render(&mut text);
        insta::assert_snapshot!(text.as_str(), @r"
        error: `x`: cannot rename `a`: no storage space
        hint: free some space
        ");
        insta::assert_snapshot!(error.document(), @r#"{"error":{"kind":"no_space","message":"`x`: cannot rename `a`: no storage space","path":"x","hints":["free some space"],"retry":true},"failed":[{"path":"x","kind":"no_space","message":"cannot rename `a`: no storage space"}]}"#);
    }

    #[test]
    fn long_lists_end_in_a_count() {
        let failures = (0..1500).map(|number| Failure::of(number, &full())).collect();
        let mut text = Text::new(false);
        CliError::several(failures).render(&mut text);
        assert_eq!(text.as_str().lines().count(), 20 + 3, "{}", text.as_str());
        assert!(text.as_str().contains("failed: … and 1,480 more\nerror: 1,500 paths failed\n"));
    }
}
