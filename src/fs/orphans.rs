//! Ending processes that a killed mlv left running: a stage's command that goes on would write
//! into outputs that were put back (R21).
//!
//! They are known by a variable in their environment that names the run: unlike a pid it is never
//! given out twice. Where there is no `/proc`, none is found.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};

/// The variable that names the run.
pub const VARIABLE: &str = "MLV_RUN";
/// How long they have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Largest environment that is looked into, in bytes.
const MAX_ENVIRONMENT: u64 = 4 << 20;

/// Ends all processes of `run`; returns whether there were any.
pub fn end_all(run: &str) -> bool {
    let start = Instant::now();
    let mut found = processes_of(run);
    let is_any = !found.is_empty();
    while !found.is_empty() {
        let signal = if start.elapsed() < GRACE { Signal::TERM } else { Signal::KILL };
        let left = found.into_iter().filter(|pid| kill_process(*pid, signal) != Err(Errno::SRCH)).count();
        // What cannot be killed (a process in the kernel) is not waited for.
        if left == 0 || start.elapsed() > GRACE * 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        found = processes_of(run);
    }
    is_any
}

fn processes_of(run: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let wanted = format!("{VARIABLE}={run}");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mine = std::process::id().cast_signed();
    pids.filter(|pid: &i32| *pid != mine && has_variable(*pid, wanted.as_bytes()))
        .filter_map(Pid::from_raw)
        .collect()
}

/// Whether a process of the group goes on: one that ended, and that nobody reaps, does not. So it is in a container
/// whose first process is no init.
pub fn has_living(group: u32) -> bool {
    let id = Pid::from_raw(group.cast_signed());
    // The usual answer, without a look at every process.
    if id.is_none_or(|id| test_kill_process_group(id) == Err(Errno::SRCH)) {
        return false;
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return true };
    let mut stats = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let group = group.to_string();
    stats.any(|stat| {
        // `pid (name) state parent group …`; the name may hold anything.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let (state, _parent, found) = (fields.next(), fields.next(), fields.next());
        found == Some(&*group) && !matches!(state, Some("Z" | "X"))
    })
}

/// Whether the process was started with this `NAME=value`. Those of other users cannot be looked at.
fn has_variable(pid: i32, wanted: &[u8]) -> bool {
    use std::io::Read;
    let Ok(file) = std::fs::File::open(Path::new("/proc").join(format!("{pid}/environ"))) else {
        return false;
    };
    let mut environment = Vec::new();
    let read = file.take(MAX_ENVIRONMENT).read_to_end(&mut environment);
    read.is_ok() && environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_group_of_which_nobody_reaps_the_dead_has_no_living() {
        use std::os::unix::process::CommandExt;
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        assert!(has_living(child.id()));
        child.kill().unwrap();
        let start = Instant::now();
        while has_living(child.id()) {
            assert!(start.elapsed() < Duration::from_secs(60), "it was killed");
            std::thread::yield_now();
        }
        // It is there until it is waited for.
        assert!(Path::new(&format!("/proc/{}", child.id())).exists());
        child.wait().unwrap();
    }

    #[test]
    fn processes_of_a_run_end_and_others_stay() {
        let mut ours = Command::new("sleep").arg("60").env(VARIABLE, "test-1").spawn().unwrap();
        let mut other = Command::new("sleep").arg("60").env(VARIABLE, "test-12").spawn().unwrap();
        // Between fork and exec the environment is that of the parent.
        while processes_of("test-1").is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(processes_of("test-1").len(), 1);
        let ending = std::thread::spawn(|| end_all("test-1"));
        assert!(!ours.wait().unwrap().success());
        assert!(ending.join().unwrap());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
