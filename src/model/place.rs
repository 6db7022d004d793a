//! Where in a text file a problem is: file, line, column and the line itself.
//!
//! Pointers, pipelines, locks and parameter files are edited by people and merged by git, so
//! each refusal names the place. The enums of what can be wrong live with the formats.

use std::error::Error;
use std::fmt;

/// A place in a text file. Lines and columns count from 1, columns in characters; line 0
/// means the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Line number.
    pub line: u32,
    /// Column number.
    pub column: u32,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

/// What kind of refusal a [`Problem`] is: decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemClass {
    /// The file cannot be read as what it should be.
    Invalid,
    /// A path that is refused.
    UnsafePath,
    /// A version or feature that this mlv does not know.
    Unsupported,
    /// A definition that contradicts itself.
    Contradiction,
}

/// Something that can be wrong in a text file; `Display` says what, without the place.
pub trait Problem: fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// What kind of refusal it is.
    fn class(&self) -> ProblemClass {
        ProblemClass::Invalid
    }

    /// What the user can do next, if the message does not say it.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The same where the name of the file belongs into it.
    fn hint_for(&self, _file: &str) -> Option<String> {
        self.hint()
    }
}

/// A problem at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<P> {
    /// The file, relative to the repository's root.
    pub file: Box<str>,
    /// Where in it.
    pub mark: Mark,
    /// What is wrong.
    pub problem: P,
    /// The line, without its end and at most 200 bytes of it; none if the file as a whole is meant.
    pub excerpt: Option<Excerpt>,
}

/// A line of the file that an error is about; shown as the error's cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Line number, from 1.
    pub line: u32,
    /// Its text.
    pub text: Box<str>,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} reads `{}`", self.line, self.text)
    }
}

impl Error for Excerpt {}

impl<P: Problem> Located<P> {
    /// Puts `problem` at `mark` of `file`, whose text is `text`.
    pub fn new(file: &str, text: &str, mark: Mark, problem: P) -> Located<P> {
        Located { file: file.into(), mark, problem, excerpt: excerpt(text, mark.line) }
    }

    /// The same, which names no line of the file.
    pub fn of_whole_file(self) -> Located<P> {
        Place::of_file(&self.file).with(self.problem)
    }

    /// The same place with the problem turned into another type.
    pub fn map<Q>(self, f: impl FnOnce(P) -> Q) -> Located<Q> {
        Located { file: self.file, mark: self.mark, problem: f(self.problem), excerpt: self.excerpt }
    }
}

impl<P: Problem> fmt::Display for Located<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.mark)?;
        write!(f, ": {}", self.problem)
    }
}

/// `mlv.yaml:4:7`, as far as the mark knows.
fn write_place(f: &mut fmt::Formatter<'_>, file: &str, mark: Mark) -> fmt::Result {
    f.write_str(file)?;
    for number in [mark.line, mark.column] {
        if number == 0 {
            break;
        }
        write!(f, ":{number}")?;
    }
    Ok(())
}

/// A place that a message names: `mlv.yaml:4:7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the repository's root.
    pub file: Box<str>,
    /// Where in it.
    pub mark: Mark,
    /// The line; none if the file as a whole is meant.
    pub excerpt: Option<Excerpt>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.mark)
    }
}

impl Place {
    /// The file `file` as a whole.
    pub fn of_file(file: &str) -> Place {
        Place { file: file.into(), mark: Mark::default(), excerpt: None }
    }

    /// Says that `problem` is here.
    pub fn with<P>(self, problem: P) -> Located<P> {
        Located { file: self.file, mark: self.mark, problem, excerpt: self.excerpt }
    }
}

/// A text file that was read, for messages about places in it.
#[derive(PartialEq, Eq)]
pub struct SourceText {
    /// The file, relative to the repository's root.
    pub file: Box<str>,
    /// Its text.
    pub text: Box<str>,
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceText").field(&self.file).finish()
    }
}

impl SourceText {
    /// The place at `mark`.
    pub fn place(&self, mark: Mark) -> Place {
        Place { file: self.file.clone(), mark, excerpt: excerpt(&self.text, mark.line) }
    }
}

impl<P: Problem> Error for Located<P> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &(dyn Error + 'static))
    }
}

/// Line `line` of `text`, shortened.
fn excerpt(text: &str, line: u32) -> Option<Excerpt> {
    let index = (line as usize).checked_sub(1)?;
    let full = text.lines().nth(index)?.trim_end();
    Some(Excerpt { line, text: short(full) })
}

/// `text` for a message: at most 200 bytes of what somebody wrote into a file.
pub fn short(text: &str) -> Box<str> {
    const MOST: usize = 200;
    if text.len() <= MOST {
        return text.into();
    }
    let mut cut = MOST;
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}…", &text[..cut]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("unknown key")]
    struct Unknown;
    impl Problem for Unknown {}

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(&*short("é"), "é");
        assert_eq!(short(&"é".repeat(500)).chars().count(), 101);
        assert_eq!(short(&format!("x{}", "é".repeat(500))).chars().count(), 101);
    }

    #[test]
    fn message_names_the_place_and_the_cause_shows_the_line() {
        let mark = Mark { line: 2, column: 3, start: 0, end: 0 };
        let error = Located::new("mlv.yaml", "a: 1\r\n  b: 2\r\n", mark, Unknown);
        assert_eq!(error.to_string(), "mlv.yaml:2:3: unknown key");
        assert_eq!(error.source().map(|cause| cause.to_string()).as_deref(), Some("line 2 reads `  b: 2`"));
    }
}
