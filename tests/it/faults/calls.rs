//! Every system call that changes metadata passes a fault point: else the kill matrix has gaps.

use std::collections::BTreeMap;

use super::scenario::SCENARIOS;
use super::trace::{has_strace, trace};

/// The name of the step for each call.
const STEPS: &[(&str, &str)] = &[
    ("rename", "rename"),
    ("renameat", "rename"),
    ("renameat2", "rename"),
    ("link", "link"),
    ("linkat", "link"),
    ("symlink", "symlink"),
    ("symlinkat", "symlink"),
    ("unlink", "unlink"),
    ("rmdir", "rmdir"),
    ("mkdir", "mkdir"),
    ("mkdirat", "mkdir"),
    ("fsync", "fsync"),
    ("fdatasync", "fdatasync"),
    ("syncfs", "syncfs"),
    ("sync", "syncfs"),
    ("sync_file_range", "fsync"),
    ("truncate", "truncate"),
    ("ftruncate", "truncate"),
    ("fchmod", "chmod"),
    ("fchmodat", "chmod"),
    ("chmod", "chmod"),
];

// K1
#[test]
fn system_calls_that_change_metadata_are_the_steps_of_the_fault_points() {
    if !has_strace() {
        return;
    }
    let names: Vec<&str> = STEPS.iter().map(|(call, _)| *call).collect();
    let names = names.join(",") + ",unlinkat";
    for scenario in SCENARIOS {
        let env = (scenario.prepare)();
        let log = env.root().join("steps").display().to_string();
        let (output, calls) = trace(scenario, &env, &names, &[("MLV_FAULT", &format!("count:{log}"))]);
        output.success();
        let mut called: BTreeMap<&str, usize> = BTreeMap::new();
        let root = env.root().display().to_string();
        // The shell of a stage is no part of mlv; its only call of this kind is `mkdir out` or `mkdir out-right`.
        let is_of_a_stage = |args: &str| args.starts_with("\"out");
        // Nor is git, which writes its own configuration, whole or not at all.
        let is_of_git = |args: &str| args.contains(".git/config.lock");
        for call in calls.iter().filter(|call| !is_of_a_stage(&call.args) && !is_of_git(&call.args)) {
            assert!(call.name != "sync", "it flushes everybody's data");
            let step = match call.name.as_str() {
                "unlinkat" if call.args.contains("AT_REMOVEDIR") => "rmdir",
                "unlinkat" => "unlink",
                name => STEPS.iter().find(|(call, _)| *call == name).expect("only these are traced").1,
            };
            *called.entry(step).or_default() += 1;
            let is_inside = call.args.contains(&root) || !call.args.contains("\"/");
            assert!(is_inside, "{}: outside of the machine: {call:?}", scenario.name);
        }
        let text = std::fs::read_to_string(&log).expect("the command has steps");
        let mut announced: BTreeMap<&str, usize> = BTreeMap::new();
        for step in text.lines().filter_map(|line| line.split_once(' ')).map(|(_, step)| step) {
            if STEPS.iter().any(|(_, known)| *known == step) {
                *announced.entry(step).or_default() += 1;
            }
        }
        assert_eq!(announced, called, "{}: announced and called", scenario.name);
    }
}
