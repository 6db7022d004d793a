//! Running a stage's command: the only code of the library that runs what a repository names.
//!
//! A script is given to `/bin/sh -e` or to bash, whatever the user's login shell is, in a process
//! group of its own, so that it ends as a whole. What it prints goes line by line to the reporter and
//! byte by byte to a log, within bounds. Nothing that a command leaves behind can hold mlv up.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use process_wrap::std::{ChildWrapper, CommandWrap};

use crate::error::{Advice, ErrorKind, Hint};
use crate::fs::orphans::{self, VARIABLE};
use crate::model::stage::{Command, Shell};
use crate::pipeline::exec::output::{Output, Received};
use crate::report::{Reporter, Urgency, urgency};

mod output;

/// By absolute path: a shell in the work tree or in PATH is not asked (R11).
const SH: &str = "/bin/sh";
/// Where systems have it; the first is tried if none does, for its error.
const BASH: [&str; 3] = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"];
/// How often a running command is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long output is still read from processes that outlive the command.
const DRAIN: Duration = Duration::from_millis(200);

/// What to run and where.
#[derive(Clone, Copy)]
pub struct Execution<'a> {
    /// The stage's name as a target: in events and in `MLV_STAGE`.
    pub stage: &'a str,
    /// What is run.
    pub command: &'a Command,
    /// The folder that it is run in, absolute.
    pub folder: &'a Path,
    /// The repository's root, absolute: `MLV_ROOT`.
    pub root: &'a Path,
    /// A name that no other run has: `MLV_RUN`, by which processes are found that outlive mlv.
    pub run: &'a str,
    /// What runs the command.
    pub shell: Shell,
    /// Variables that the command gets besides mlv's own environment.
    pub env: &'a [(Box<str>, Box<str>)],
    /// How long all of it may take.
    pub timeout: Option<Duration>,
}

/// How it is run.
#[derive(Clone, Copy)]
pub struct ExecOptions<'a> {
    /// How long processes have between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The most bytes of output that the log takes.
    pub log_limit: u64,
    /// Whether commands are to be ended, and how soon.
    pub urgency: &'a (dyn Fn() -> Urgency + Sync),
}

impl Default for ExecOptions<'_> {
    fn default() -> Self {
        ExecOptions { grace: Duration::from_secs(5), log_limit: 64 << 20, urgency: &urgency }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With exit code 0.
    Success,
    /// With another exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// mlv ended it, because the user asked to stop.
    Interrupted,
    /// mlv ended it, because it took longer than it may.
    TimedOut,
}

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The folder is not there.
    #[error("the folder `{}` that stage `{stage}` runs in does not exist", folder.display())]
    NoFolder {
        /// The stage.
        stage: Box<str>,
        /// The folder.
        folder: PathBuf,
    },
    /// The shell could not be started.
    #[error("cannot start `{shell}` for stage `{stage}`")]
    Start {
        /// The shell.
        shell: &'static str,
        /// The stage.
        stage: Box<str>,
        /// What the operating system says.
        source: io::Error,
    },
    /// The shell's end could not be learnt.
    #[error("cannot wait for the command of stage `{stage}`")]
    Wait {
        /// The stage.
        stage: Box<str>,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Advice for ExecError {
    fn kind(&self) -> ErrorKind {
        match self {
            ExecError::NoFolder { .. } => ErrorKind::StageInvalid,
            ExecError::Start { source, .. } | ExecError::Wait { source, .. } => ErrorKind::of_io(source),
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            ExecError::NoFolder { stage, .. } => {
                vec![Hint::new(format!("make the folder, or correct `wdir` of stage `{stage}`"))]
            }
            _ => Vec::new(),
        }
    }
}

/// Runs the scripts of a command one after the other, up to the first that does not succeed.
///
/// Processes of the command's group that are left when it ends are ended too, with a warning.
pub fn run(
    execution: &Execution<'_>,
    log: &mut dyn Write,
    reporter: &dyn Reporter,
    options: ExecOptions<'_>,
) -> Result<End, ExecError> {
    if !execution.folder.is_dir() {
        let folder = execution.folder.to_owned();
        return Err(ExecError::NoFolder { stage: execution.stage.into(), folder });
    }
    let mut output = Output::new(execution.stage, log, reporter, options.log_limit);
    let mut end = End::Success;
    let deadline = execution.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    for script in execution.command.scripts() {
        if (options.urgency)() != Urgency::None {
            end = End::Interrupted;
        }
        if end != End::Success {
            break;
        }
        end = run_script(execution, (script, deadline), &mut output, options)?;
    }
    output.finish();
    Ok(end)
}

fn run_script(
    execution: &Execution<'_>,
    (script, deadline): (&str, Option<Instant>),
    output: &mut Output<'_>,
    options: ExecOptions<'_>,
) -> Result<End, ExecError> {
    let (shell, flags) = shell(execution.shell);
    let failed = |source| ExecError::Start { shell, stage: execution.stage.into(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    // `--`, because `sh -c -x` takes a script that starts with a dash for an option.
    let mut process = Process::new(shell);
    process
        .args(flags)
        .args(["-c", "--", script])
        .current_dir(execution.folder)
        // A file that bash would run first.
        .env_remove("BASH_ENV")
        .envs(execution.env.iter().map(|(name, value)| (&**name, &**value)))
        .env("MLV_ROOT", execution.root)
        .env("MLV_STAGE", execution.stage)
        .env(VARIABLE, execution.run)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    let mut wrapped = CommandWrap::from(process);
    #[cfg(unix)]
    wrapped.wrap(process_wrap::std::ProcessGroup::leader());
    output.follow(reader).map_err(failed)?;
    let child = wrapped.spawn().map_err(failed)?;
    // It holds the pipe's writing end: while this is open, the reader sees no end.
    drop(wrapped);
    let mut running =
        Running { child, status: None, open: true, asked: None, killed: false, deadline, is_late: false };
    let end = running.until_end(output, options);
    end.map_err(|source| ExecError::Wait { stage: execution.stage.into(), source })
}

/// The program and its options.
fn shell(shell: Shell) -> (&'static str, &'static [&'static str]) {
    match shell {
        Shell::Sh => (SH, &["-e"]),
        Shell::Bash => {
            let found = BASH.into_iter().find(|path| Path::new(path).exists());
            (found.unwrap_or(BASH[0]), &["-e", "-o", "pipefail"])
        }
    }
}

/// A started shell and what is known of it.
struct Running {
    child: Box<dyn ChildWrapper>,
    status: Option<ExitStatus>,
    /// Whether some process may still write to the pipe.
    open: bool,
    /// When the group was asked to end.
    asked: Option<Instant>,
    killed: bool,
    /// When it must have ended.
    deadline: Option<Instant>,
    /// Whether it was ended because it had not.
    is_late: bool,
}

impl Running {
    fn until_end(&mut self, output: &mut Output<'_>, options: ExecOptions<'_>) -> io::Result<End> {
        let mut looked = Instant::now();
        let mut pause = Duration::from_micros(200);
        while self.status.is_none() {
            if self.open {
                match output.receive(TICK) {
                    Received::Bytes if looked.elapsed() < TICK => continue,
                    Received::Bytes | Received::Nothing => {}
                    Received::End => self.open = false,
                }
            } else {
                // It closed its output: nearly always because it is ending just now.
                std::thread::sleep(pause);
                pause = (pause * 2).min(TICK);
            }
            looked = Instant::now();
            self.status = self.child.try_wait()?;
            self.obey(options);
        }
        let interrupted = self.asked.is_some();
        self.drain(output, DRAIN);
        if self.end_group(options) && !interrupted {
            output.warn("processes that the command left behind were ended");
        }
        self.drain(output, DRAIN);
        output.unfollow();
        Ok(match (interrupted, self.is_late) {
            (true, true) => End::TimedOut,
            (true, false) => End::Interrupted,
            _ => self.end(),
        })
    }

    /// Ends the group if the user asked for it: politely first, at once the second time.
    fn obey(&mut self, options: ExecOptions<'_>) {
        if self.status.is_some() || self.killed {
            return;
        }
        let urgency = (options.urgency)();
        match self.asked {
            None if urgency != Urgency::None || self.is_too_late() => {
                self.is_late = urgency == Urgency::None;
                self.asked = Some(Instant::now());
                signal(&*self.child, Signal::Term);
            }
            Some(asked) if urgency == Urgency::Kill || asked.elapsed() >= options.grace => {
                self.killed = true;
                signal(&*self.child, Signal::Kill);
            }
            _ => {}
        }
    }

    fn is_too_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn drain(&mut self, output: &mut Output<'_>, most: Duration) {
        let start = Instant::now();
        while self.open && start.elapsed() < most {
            self.open = output.receive(TICK.min(most)) != Received::End;
        }
    }

    /// Ends what is left of the group behind its leader; returns whether there was anything.
    fn end_group(&mut self, options: ExecOptions<'_>) -> bool {
        if !orphans::has_living(self.child.id()) {
            return false;
        }
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        while start.elapsed() < options.grace && (options.urgency)() != Urgency::Kill {
            // Signals that arrive again do no harm.
            signal(&*self.child, Signal::Term);
            std::thread::sleep(pause);
            if !orphans::has_living(self.child.id()) {
                return true;
            }
            pause = (pause * 2).min(TICK);
        }
        signal(&*self.child, Signal::Kill);
        true
    }

    fn end(&self) -> End {
        let Some(status) = self.status else { return End::Interrupted };
        match status.code() {
            Some(0) => End::Success,
            Some(code) => End::Code(code),
            None => End::Signal(signal_of(status)),
        }
    }
}

impl Drop for Running {
    /// On the way out of an error or a panic, nothing keeps running.
    fn drop(&mut self) {
        if self.status.is_none() {
            signal(&*self.child, Signal::Kill);
            // Reaped, or gone already.
            let _ = self.child.wait();
        }
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Term = 15,
    Kill = 9,
}

/// Sends a signal to the whole group, if there is anybody to get it.
#[cfg(unix)]
fn signal(child: &dyn ChildWrapper, signal: Signal) {
    // Nobody is left to get it.
    let _ = child.signal(signal as i32);
}

#[cfg(not(unix))]
fn signal(_child: &dyn ChildWrapper, _signal: Signal) {}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default()
}

#[cfg(not(unix))]
fn signal_of(_status: ExitStatus) -> i32 {
    0
}

#[cfg(test)]
mod tests;
