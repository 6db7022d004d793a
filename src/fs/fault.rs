//! Fault points: a test can stop or fail the process at each system call that changes a file.
//!
//! Without the feature `fault` everything here is empty and inlined away. With it the
//! environment variable `MLV_FAULT` says what happens at the `N`-th step, counted from 1 over
//! the whole process: `kill:N` (SIGKILL), `stop:N` (SIGSTOP before that step, so that a test can
//! change files there; SIGCONT goes on), `eio:N`, `enospc:N` (that step fails once),
//! `eio-from:N`, `enospc-from:N` (so do all later ones), or `count:FILE` appends the name of
//! every step to `FILE`, one a line. `MLV_MUTATE` names safety measures, separated by commas,
//! that are left out, so that a test can show that it notices ([`mutated`]).

use std::io;

/// Announces a system call that changes something; `action` is its verb ("rename", "fsync").
///
/// Fails only where a test asked for it.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub fn step(_action: &'static str) -> io::Result<()> {
    Ok(())
}

/// Whether a test asked to leave out the safety measure `name`; always false in a shipped build.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub fn mutated(_name: &str) -> bool {
    false
}

#[cfg(feature = "fault")]
pub use armed::{Plan, mutated, step, trace, with_mutation, with_plan};

#[cfg(feature = "fault")]
mod armed {
    use super::io;
    use rustix::process::Signal;
    use std::cell::RefCell;
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// What happens at which step.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Plan {
        /// The process kills itself.
        Kill(u64),
        /// The process stops until it is told to go on.
        Stop(u64),
        /// The step fails with this error number; the flag: so do all later ones.
        Fail(u64, i32, bool),
        /// Every step is named in this file.
        Count(String),
    }

    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;

    impl Plan {
        fn parse(text: &str) -> Option<Plan> {
            let (verb, rest) = text.split_once(':')?;
            let number = || rest.parse().ok();
            match verb {
                "kill" => Some(Plan::Kill(number()?)),
                "stop" => Some(Plan::Stop(number()?)),
                "eio" => Some(Plan::Fail(number()?, EIO, false)),
                "enospc" => Some(Plan::Fail(number()?, ENOSPC, false)),
                "eio-from" => Some(Plan::Fail(number()?, EIO, true)),
                "enospc-from" => Some(Plan::Fail(number()?, ENOSPC, true)),
                "count" => Some(Plan::Count(rest.to_owned())),
                _ => None,
            }
        }

        fn act(&self, now: u64, action: &'static str) -> io::Result<()> {
            match self {
                Plan::Kill(at) if now == *at => send(Signal::KILL),
                Plan::Stop(at) if now == *at => send(Signal::STOP),
                Plan::Fail(at, errno, lasting) if now == *at || (*lasting && now > *at) => {
                    Err(io::Error::from_raw_os_error(*errno))
                }
                Plan::Count(file) => note(file, now, action),
                _ => Ok(()),
            }
        }
    }

    fn send(signal: Signal) -> io::Result<()> {
        Ok(rustix::process::kill_process(rustix::process::getpid(), signal)?)
    }

    fn note(file: &str, now: u64, action: &str) -> io::Result<()> {
        let mut log = std::fs::File::options().append(true).create(true).open(file)?;
        log.write_all(format!("{now} {action}\n").as_bytes())
    }

    static STEPS: AtomicU64 = AtomicU64::new(0);

    fn from_environment() -> Option<&'static Plan> {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        PLAN.get_or_init(|| Plan::parse(&std::env::var("MLV_FAULT").ok()?)).as_ref()
    }

    thread_local! {
        static LOCAL: RefCell<Option<(Plan, u64)>> = const { RefCell::new(None) };
    }

    /// Runs `body` with `plan` for the steps of this thread alone; returns their number too.
    pub fn with_plan<T>(plan: Plan, body: impl FnOnce() -> T) -> (T, u64) {
        LOCAL.with(|local| *local.borrow_mut() = Some((plan, 0)));
        let result = body();
        let steps = LOCAL.with(|local| local.borrow_mut().take()).map_or(0, |(_, steps)| steps);
        (result, steps)
    }

    thread_local! {
        static TRACE: RefCell<Option<Vec<&'static str>>> = const { RefCell::new(None) };
    }

    /// Runs `body` and returns the names of the steps of this thread, in their order.
    pub fn trace<T>(body: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
        TRACE.with(|trace| *trace.borrow_mut() = Some(Vec::new()));
        let result = body();
        (result, TRACE.with(|trace| trace.borrow_mut().take()).unwrap_or_default())
    }

    /// Announces a system call that changes something; `action` is its verb.
    pub fn step(action: &'static str) -> io::Result<()> {
        TRACE.with(|trace| trace.borrow_mut().iter_mut().for_each(|trace| trace.push(action)));
        let local = LOCAL.with(|local| {
            let mut local = local.borrow_mut();
            let (plan, steps) = local.as_mut()?;
            *steps += 1;
            Some(plan.act(*steps, action))
        });
        if let Some(outcome) = local {
            return outcome;
        }
        let Some(plan) = from_environment() else { return Ok(()) };
        plan.act(STEPS.fetch_add(1, Ordering::Relaxed) + 1, action)
    }

    thread_local! {
        static LEFT_OUT: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// Runs `body` without these safety measures, separated by commas, in this thread alone.
    pub fn with_mutation<T>(names: &str, body: impl FnOnce() -> T) -> T {
        LEFT_OUT.with(|left_out| *left_out.borrow_mut() = Some(names.to_owned()));
        let result = body();
        LEFT_OUT.with(|left_out| *left_out.borrow_mut() = None);
        result
    }

    /// Whether `MLV_MUTATE` names this safety measure.
    pub fn mutated(name: &str) -> bool {
        let is_named = |names: &String| names.split(',').any(|left_out| left_out == name);
        if LEFT_OUT.with(|left_out| left_out.borrow().as_ref().is_some_and(is_named)) {
            return true;
        }
        static NAMES: OnceLock<Vec<String>> = OnceLock::new();
        NAMES
            .get_or_init(|| {
                let names = std::env::var("MLV_MUTATE").unwrap_or_default();
                names.split(',').map(str::to_owned).collect()
            })
            .iter()
            .any(|left_out| left_out == name)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn plans_are_read_and_act_at_their_step() {
            assert_eq!(Plan::parse("kill:7"), Some(Plan::Kill(7)));
            assert_eq!(Plan::parse("stop:1"), Some(Plan::Stop(1)));
            assert_eq!(Plan::parse("enospc-from:2"), Some(Plan::Fail(2, ENOSPC, true)));
            assert_eq!(Plan::parse("count:/tmp/x:y"), Some(Plan::Count("/tmp/x:y".into())));
            assert_eq!(Plan::parse("kill"), None);
            let (outcomes, steps) = with_plan(Plan::Fail(2, EIO, false), || {
                [step("a").is_ok(), step("b").is_ok(), step("c").is_ok()]
            });
            assert_eq!((outcomes, steps), ([true, false, true], 3));
            assert!(step("outside").is_ok());
        }
    }
}
