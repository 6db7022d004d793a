//! The only place that prints: text built by [`Text`], JSON documents, and nothing else.
//!
//! Data goes to stdout, everything else to stderr. A reader that closes the pipe has seen
//! enough: that is no failure. Any other failure to write is one.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::cli::error::CliError;
use crate::cli::escape::{escape, json_line, redact};
use crate::error::ErrorKind;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    fn is_on(self, stream: &impl IsTerminal) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !is_set("NO_COLOR") && !is_dumb() && stream.is_terminal(),
        }
    }
}

/// Text to print. What is put in is escaped; line ends and colours come from its methods only,
/// so that no value from outside can make either.
pub(crate) struct Text {
    colour: bool,
    text: String,
}

impl Text {
    /// An empty text.
    pub(crate) fn new(colour: bool) -> Text {
        Text { colour, text: String::new() }
    }

    /// Appends a value.
    pub(crate) fn put(&mut self, value: impl Display) -> &mut Text {
        self.text.push_str(&escape(&value.to_string()));
        self
    }

    /// Appends something done or added, or a command: green.
    pub(crate) fn good(&mut self, value: impl Display) -> &mut Text {
        self.paint("32", value)
    }

    /// Appends something failed or deleted: red.
    pub(crate) fn bad(&mut self, value: impl Display) -> &mut Text {
        self.paint("31", value)
    }

    /// Appends something changed or doubtful: yellow.
    pub(crate) fn warn(&mut self, value: impl Display) -> &mut Text {
        self.paint("33", value)
    }

    /// Appends a path, a remote, a hint: cyan.
    pub(crate) fn name(&mut self, value: impl Display) -> &mut Text {
        self.paint("36", value)
    }

    /// Appends a heading: bold.
    pub(crate) fn strong(&mut self, value: impl Display) -> &mut Text {
        self.paint("1", value)
    }

    /// Appends something of less interest: dim.
    pub(crate) fn faint(&mut self, value: impl Display) -> &mut Text {
        self.paint("2", value)
    }

    /// Appends a tab, between values that programs may read.
    pub(crate) fn tab(&mut self) -> &mut Text {
        self.text.push('\t');
        self
    }

    /// Ends the line.
    pub(crate) fn end(&mut self) -> &mut Text {
        self.text.push('\n');
        self
    }

    /// Appends several lines, each indented by `indent` spaces but the first.
    pub(crate) fn lines(&mut self, value: &str, indent: usize) -> &mut Text {
        for (number, line) in value.trim_end().split('\n').enumerate() {
            if number > 0 {
                self.end();
                self.text.extend(std::iter::repeat_n(' ', if line.is_empty() { 0 } else { indent }));
            }
            self.text.push_str(&escape(&line.trim_end().replace('\t', "    ")));
        }
        self
    }

    /// Ends the line with `hint:` and the text.
    pub(crate) fn hint(&mut self, value: impl Display) -> &mut Text {
        self.name("hint").put(": ").put(value).end()
    }

    /// The finished text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn paint(&mut self, code: &str, value: impl Display) -> &mut Text {
        if !self.colour {
            return self.put(value);
        }
        self.text.push_str("\x1b[");
        self.text.push_str(code);
        self.text.push('m');
        self.put(value);
        self.text.push_str("\x1b[0m");
        self
    }
}

/// The printer.
#[derive(Clone, Copy)]
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    stdout_colour: bool,
    stderr_colour: bool,
}

impl Ui {
    /// A printer on the process's stdout and stderr.
    pub(crate) fn new(colour: Colour, json: bool, quiet: bool) -> Ui {
        Ui {
            json,
            quiet,
            stdout_colour: colour.is_on(&io::stdout()),
            stderr_colour: colour.is_on(&io::stderr()),
        }
    }

    /// Whether the result is to be a JSON document.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether only data and errors are to be printed.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// An empty text in the colours of stdout.
    pub(crate) fn text(self) -> Text {
        Text::new(self.stdout_colour)
    }

    /// An empty text in the colours of stderr.
    pub(crate) fn note_text(self) -> Text {
        Text::new(self.stderr_colour)
    }

    /// Prints data to stdout.
    pub(crate) fn data(self, text: &Text) -> Result<(), CliError> {
        to_stdout(text.as_str().as_bytes())
    }

    /// Prints a JSON document to stdout.
    pub(crate) fn document(self, value: &impl serde::Serialize) -> Result<(), CliError> {
        to_stdout(format!("{}\n", json_line(value)).as_bytes())
    }

    /// Prints a note to stderr. Nobody can be told that this failed.
    pub(crate) fn note(self, text: &Text) {
        let _ = io::stderr().lock().write_all(redact(text.as_str()).as_bytes());
    }

    /// Prints one JSON object as a line to stderr.
    pub(crate) fn note_json(self, value: &impl serde::Serialize) {
        let line = format!("{}\n", json_line(value));
        let _ = io::stderr().lock().write_all(redact(&line).as_bytes());
    }

    /// Prints an error, as a document or as text, and returns the exit code.
    pub(crate) fn fail(self, error: &CliError) -> u8 {
        if self.json {
            // If the document cannot be printed, the exit code still tells.
            let document = redact(&json_line(&error.document())).into_owned();
            let _ = to_stdout(format!("{document}\n").as_bytes());
        } else {
            let mut text = self.note_text();
            error.render(&mut text);
            self.note(&text);
        }
        error.exit_code()
    }
}

/// Stdout for bytes that are no text of mlv's: they come as they are.
#[derive(Default)]
pub(crate) struct RawData {
    /// Whether the reader has gone, having seen enough.
    pub(crate) is_closed: bool,
}

impl Write for RawData {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::stdout().lock().write(bytes);
        self.is_closed = written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

fn to_stdout(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let kind = ErrorKind::of_io(&error);
            Err(CliError::new(kind, "cannot write to stdout").because(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_end_lines_or_paint() {
        let mut text = Text::new(true);
        text.put("  ").good("added\x1b[0m").put(" ").name("a\nb").end();
        assert_eq!(text.as_str(), "  \x1b[32madded\\x1b[0m\x1b[0m \x1b[36ma\\nb\x1b[0m\n");
    }

    #[test]
    fn lines_after_the_first_are_indented() {
        let mut text = Text::new(false);
        text.put("error: ").lines("one\n\ttwo\n\nhint: three\n", 7).end();
        assert_eq!(text.as_str(), "error: one\n           two\n\n       hint: three\n");
    }
}
