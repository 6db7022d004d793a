//! What commands print: read by a thread, cut into lines, logged, all within bounds.

use std::io::{self, PipeReader, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::report::{Event, Reporter};

/// Longest line that is reported; longer ones come in pieces.
const MAX_LINE: usize = 16 << 10;
/// Bytes of one read, and how many reads may wait: 1 MiB in all.
const BLOCK: usize = 64 << 10;
const BLOCKS: usize = 16;

/// Where a stage's output goes.
pub(super) struct Output<'a> {
    stage: &'a str,
    reporter: &'a dyn Reporter,
    log: Log<'a>,
    line: Vec<u8>,
    blocks: Option<Receiver<Vec<u8>>>,
}

/// What came within some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Output, which was passed on.
    Bytes,
    /// Nothing yet.
    Nothing,
    /// The end: nobody can write any more.
    End,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        stage: &'a str,
        log: &'a mut dyn Write,
        reporter: &'a dyn Reporter,
        limit: u64,
    ) -> Output<'a> {
        let log = Log { to: Some(log), left: limit };
        Output { stage, reporter, log, line: Vec::new(), blocks: None }
    }

    /// Reads `pipe` from now on. A thread of its own does, since the pipe may stay open for ever:
    /// it then waits until the process ends, or until a write finds nobody listening.
    pub(super) fn follow(&mut self, mut pipe: PipeReader) -> io::Result<()> {
        let (sender, receiver) = sync_channel(BLOCKS);
        let read = move || {
            let mut buffer = vec![0; BLOCK];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(length) if sender.send(buffer[..length].to_vec()).is_ok() => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(_) | Err(_) => return,
                }
            }
        };
        std::thread::Builder::new().name("stage output".into()).spawn(read)?;
        self.blocks = Some(receiver);
        Ok(())
    }

    /// Stops listening, whether the pipe is closed or not.
    pub(super) fn unfollow(&mut self) {
        self.blocks = None;
    }

    /// Waits for output and passes it on.
    pub(super) fn receive(&mut self, most: Duration) -> Received {
        let Some(blocks) = &self.blocks else { return Received::End };
        match blocks.recv_timeout(most) {
            Ok(block) => {
                self.take(&block);
                Received::Bytes
            }
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::End,
        }
    }

    /// Logs the block and tells its lines, and what stands on one that has no end yet.
    pub(super) fn take(&mut self, block: &[u8]) {
        if let Err(error) = self.log.write(block) {
            self.warn(&format!("the log of its output ends here: {error}"));
        }
        let mut rest = block;
        while let Some(newline) = rest.iter().position(|byte| *byte == b'\n') {
            self.add(&rest[..newline]);
            self.flush();
            rest = &rest[newline + 1..];
        }
        self.add(rest);
        if !self.line.is_empty() {
            let (stage, line) = (self.stage.to_owned(), self.shown());
            self.reporter.event(&Event::StageProgress { stage, line });
        }
    }

    fn add(&mut self, mut part: &[u8]) {
        while self.line.len() + part.len() > MAX_LINE {
            let (fits, more) = part.split_at(MAX_LINE - self.line.len());
            self.line.extend_from_slice(fits);
            self.flush();
            part = more;
        }
        self.line.extend_from_slice(part);
    }

    fn flush(&mut self) {
        let (stage, line) = (self.stage.to_owned(), self.shown());
        self.reporter.event(&Event::StageOutput { stage, line });
        self.line.clear();
    }

    /// The line as it stands: a progress bar writes over itself, and its last state is the line.
    fn shown(&self) -> String {
        let end = self.line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
        let shown = self.line[..end].rsplit(|byte| *byte == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(shown).into_owned()
    }

    /// Tells of something that happened to the stage.
    pub(super) fn warn(&self, what: &str) {
        let message = format!("stage `{}`: {what}", self.stage);
        self.reporter.event(&Event::Warning { message });
    }

    /// Passes on the last line, if it has no end.
    pub(super) fn finish(&mut self) {
        if !self.line.is_empty() {
            self.flush();
        }
        if let Err(error) = self.log.flush() {
            self.warn(&format!("the log of its output is not complete: {error}"));
        }
    }
}

/// A log that takes so many bytes and no more.
struct Log<'a> {
    to: Option<&'a mut dyn Write>,
    left: u64,
}

impl Log<'_> {
    /// The first error is the last: the command goes on without a log.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(to) = &mut self.to else { return Ok(()) };
        let fits = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= fits as u64;
        let mut written = to.write_all(&bytes[..fits]);
        if fits < bytes.len() {
            written = written.and_then(|()| to.write_all(b"\n[mlv: the rest of the output is not kept]\n"));
            written = written.and_then(|()| to.flush());
            self.to = None;
        }
        if written.is_err() {
            self.to = None;
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.take().map_or(Ok(()), |to| to.flush())
    }
}
