//! The system calls of a run, by strace.

use std::collections::HashMap;
use std::fs;
use std::sync::OnceLock;

use super::scenario::Scenario;
use crate::support::{Output, TestEnv, skipped};

/// A system call that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// As strace prints them, descriptors with their paths: `5</tmp/x>, "y", 0`.
    pub(super) args: String,
    pub(super) result: i64,
}

/// Whether strace can be used here; says so once if not.
pub(crate) fn has_strace() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let env = TestEnv::new();
        let probe = env.command("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
        let found = probe.is_ok_and(|status| status.success());
        if !found {
            skipped("strace is not here, or may not trace: apt-get install strace");
        }
        found
    })
}

/// Runs the command of the scenario under strace and returns the calls named in `names`.
pub(super) fn trace(
    scenario: &Scenario,
    env: &TestEnv,
    names: &str,
    variables: &[(&str, &str)],
) -> (Output, Vec<Call>) {
    let log = env.root().join("strace").display().to_string();
    let mut command = env.command("strace");
    command.args(["-qq", "-f", "-y", "-s", "4096", "-e", "signal=none", "-o", &log, "-e"]);
    command.arg(format!("trace={names}")).arg(env!("CARGO_BIN_EXE_mlv")).args(scenario.arguments(env));
    command.envs(variables.iter().copied());
    let output = env.run(&mut command);
    (output, parse(&fs::read_to_string(log).expect("strace wrote its log")))
}

/// Lines `PID name(args) = result`, or in two parts `PID name(args <unfinished ...>` and
/// `PID <... name resumed>rest) = result`; a call counts where it came back.
fn parse(text: &str) -> Vec<Call> {
    let mut open: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, start.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            None => rest.to_owned(),
            Some(resumed) => {
                let end = resumed.split_once(" resumed>").map_or("", |(_, end)| end);
                open.remove(pid).unwrap_or_default() + end
            }
        };
        calls.extend(call(&whole));
    }
    calls
}

fn call(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    // A call that came back in a second line has blanks before the sign: `)          = 0`.
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    let result = result.split([' ', '<']).next()?.parse().ok()?;
    Some(Call { name: name.to_owned(), args: args.trim_end().to_owned(), result })
}

impl Call {
    /// The path behind the descriptor that is the `n`-th argument of its kind.
    pub(super) fn descriptor(&self, n: usize) -> Option<String> {
        let part = self.args.match_indices('<').nth(n)?.0;
        let rest = &self.args[part + 1..];
        Some(rest[..rest.find('>')?].to_owned())
    }

    /// The `n`-th pair of a folder and a name in it, as one path.
    pub(super) fn place(&self, n: usize) -> Option<String> {
        let name = self.args.split('"').nth(2 * n + 1)?;
        Some(if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", self.descriptor(n)?) })
    }
}
