//! Ctrl-C, SIGTERM and a terminal that goes away: the first asks the operation to stop, the second
//! ends the process; where commands of stages run, the second ends these at once, and the third the
//! process.
//!
//! One request often comes as several signals: `timeout` and the shells of CI send them to the
//! process and then to its group. So what follows within a moment says nothing new.

use std::io::{self, PipeReader, Read};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{exit, pipe};

use crate::error::ErrorKind;
use crate::report::{Stop, request_stop};

/// Signals that are no further apart than this are one request. Who means it twice waits longer
/// to see what the first did.
const MOMENT: Duration = Duration::from_millis(500);

/// Installs the handlers. If that fails, signals end the process as they do without.
pub(crate) fn install() {
    let _ = try_install();
}

fn try_install() -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    // Before the handlers: what they write must be read.
    std::thread::Builder::new().name("signals".into()).spawn(move || obey(reader))?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // `nohup` asks for what it says.
        if signal != SIGHUP || !is_ignored(signal) {
            pipe::register(signal, writer.try_clone()?)?;
        }
    }
    Ok(())
}

/// Reads a byte for each signal, as long as the process runs.
fn obey(mut signals: PipeReader) {
    let mut last: Option<Instant> = None;
    let mut byte = [0];
    while let Ok(1) = signals.read(&mut byte) {
        if last.is_none_or(|last| last.elapsed() > MOMENT) {
            last = Some(Instant::now());
            if request_stop() == Stop::AtOnce {
                exit(i32::from(ErrorKind::Interrupted.info().exit_code));
            }
        }
    }
}

/// Whether the process was started with the signal ignored; true where that cannot be learnt.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // proc_pid_status(5): a hexadecimal mask, the lowest bit for signal 1.
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn signals_are_not_ignored_unless_somebody_asked_for_it() {
        // The runtime of the standard library does so.
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!is_ignored(SIGTERM));
    }
}
