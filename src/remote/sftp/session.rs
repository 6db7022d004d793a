//! One `ssh` process that speaks SFTP, and the requests that are under way in it.

use std::collections::HashMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::wire::{Answer, Ask, MAX_PACKET, Packet, Status, parse};
use crate::remote::backend::Situation;
use crate::report::interrupted;

/// The most of ssh's complaint that is repeated, in characters.
const MAX_COMPLAINT: usize = 400;
/// The most of it that is kept, in bytes.
const MAX_STDERR: usize = 64 << 10;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SftpError {
    /// The server says no.
    #[error("the server answered: {}", words(*.0))]
    Status(Status),
    /// The connection is over.
    #[error("{said}")]
    Closed { situation: Situation, said: String },
    /// An answer that does not fit what was asked.
    #[error("the server's answer is no SFTP")]
    Nonsense,
}

fn words(status: Status) -> &'static str {
    match status {
        Status::End => "end of file",
        Status::NoSuchFile => "no such file",
        Status::Denied => "permission denied",
        Status::Failure => "failure",
        Status::Unsupported => "not supported",
        Status::Other => "an error",
    }
}

impl SftpError {
    pub(super) fn situation(&self) -> Situation {
        match self {
            SftpError::Status(Status::NoSuchFile) => Situation::NotFound,
            SftpError::Status(Status::Denied) => Situation::Denied,
            SftpError::Status(Status::Unsupported) => Situation::NotSupported,
            SftpError::Status(_) => Situation::Refused,
            SftpError::Closed { situation, .. } => *situation,
            SftpError::Nonsense => Situation::Invalid,
        }
    }

    /// What to do about it, where SSH is what came in the way.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self {
            SftpError::Closed { situation: Situation::Denied, .. } => Some(
                "make `ssh` log in there without asking: load the key by `ssh-add`, or set the remote's `keyfile`",
            ),
            SftpError::Closed { situation: Situation::StrangeHost, .. } => Some(
                "log in there once by hand, with `ssh`, and accept the host's key if it is the right one",
            ),
            SftpError::Nonsense => {
                Some("see that no login script there prints anything: `ssh HOST true` is silent")
            }
            _ => None,
        }
    }

    /// Whether the session can go on.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, SftpError::Status(_))
    }
}

/// A connection. Requests may be sent ahead; answers are asked for by the request's id.
pub(super) struct Session {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    last_id: u32,
    early: HashMap<u32, Answer>,
    extensions: Vec<String>,
    complaints: Complaints,
}

impl Session {
    /// Starts `command`, an `ssh` with the subsystem `sftp`, and greets the server.
    pub(super) fn start(mut command: Command) -> Result<Session, SftpError> {
        let failed = |error: std::io::Error| SftpError::Closed {
            situation: Situation::Failed,
            said: format!("`ssh` cannot be run: {error}"),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(stderr)) = pipes else { return Err(SftpError::Nonsense) };
        let complaints = Complaints::read(stderr);
        let (input, output) = (BufWriter::new(input), BufReader::with_capacity(256 << 10, output));
        let early = HashMap::new();
        let mut session =
            Session { child, input, output, last_id: 0, early, extensions: Vec::new(), complaints };
        session.write(&Packet::new(Ask::Init, 3).finish())?;
        match session.receive()? {
            (3.., Answer::Version(extensions)) => session.extensions = extensions,
            _ => return Err(SftpError::Nonsense),
        }
        Ok(session)
    }

    /// Whether the server knows the extension `name`.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.extensions.iter().any(|known| known == name)
    }

    /// Sends a request; its answer is [`Session::answer`] of the id that is returned.
    pub(super) fn send(&mut self, ask: Ask, fill: impl FnOnce(Packet) -> Packet) -> Result<u32, SftpError> {
        self.last_id = self.last_id.wrapping_add(1);
        let packet = fill(Packet::new(ask, self.last_id)).finish();
        self.write(&packet)?;
        Ok(self.last_id)
    }

    /// Waits for the answer to a request that was sent; a status other than success is an error.
    pub(super) fn answer(&mut self, id: u32) -> Result<Answer, SftpError> {
        let answer = loop {
            if let Some(answer) = self.early.remove(&id) {
                break answer;
            }
            self.input.flush().map_err(|_| self.closed())?;
            let (found, answer) = self.receive()?;
            if found == id {
                break answer;
            }
            self.early.insert(found, answer);
        };
        match answer {
            Answer::Not(status) => Err(SftpError::Status(status)),
            answer => Ok(answer),
        }
    }

    /// One request and its answer.
    pub(super) fn ask(&mut self, ask: Ask, fill: impl FnOnce(Packet) -> Packet) -> Result<Answer, SftpError> {
        let id = self.send(ask, fill)?;
        self.answer(id)
    }

    /// A request whose answer is a handle.
    pub(super) fn handle(
        &mut self,
        ask: Ask,
        fill: impl FnOnce(Packet) -> Packet,
    ) -> Result<Vec<u8>, SftpError> {
        match self.ask(ask, fill)? {
            Answer::Handle(handle) => Ok(handle),
            _ => Err(SftpError::Nonsense),
        }
    }

    fn write(&mut self, packet: &[u8]) -> Result<(), SftpError> {
        self.input.write_all(packet).map_err(|_| self.closed())
    }

    fn receive(&mut self) -> Result<(u32, Answer), SftpError> {
        self.input.flush().map_err(|_| self.closed())?;
        let mut len = [0; 4];
        self.output.read_exact(&mut len).map_err(|_| self.closed())?;
        let len = u32::from_be_bytes(len) as usize;
        // A login script that prints something looks like a very long packet.
        if len > MAX_PACKET {
            return Err(SftpError::Nonsense);
        }
        let mut packet = vec![0; len];
        self.output.read_exact(&mut packet).map_err(|_| self.closed())?;
        parse(&packet).ok_or(SftpError::Nonsense)
    }

    /// Why the connection is over: ssh says so on its way out.
    fn closed(&mut self) -> SftpError {
        if interrupted() {
            return SftpError::Closed { situation: Situation::Interrupted, said: "interrupted".to_owned() };
        }
        // It may hang on to a connection that is of no use any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.complaints.all();
        let last =
            said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("the connection is closed");
        let situation = match () {
            () if said.contains("Host key verification failed") => Situation::StrangeHost,
            () if last.contains("Permission denied") => Situation::Denied,
            () => Situation::Unreachable,
        };
        SftpError::Closed { situation, said: last.chars().take(MAX_COMPLAINT).collect() }
    }
}

/// What a process prints to stderr, read beside: a connection that it shares with others may keep
/// the pipe open after its end.
struct Complaints {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Complaints {
    fn read(mut stderr: ChildStderr) -> Complaints {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut piece) {
                let mut text = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if text.len() < MAX_STDERR {
                    text.extend_from_slice(&piece[..count]);
                }
            }
        });
        Complaints { text, reader }
    }

    /// What was printed, after the end of the process.
    fn all(&self) -> String {
        for _ in 0..20 {
            if self.reader.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
